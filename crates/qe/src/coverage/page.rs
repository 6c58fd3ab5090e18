//! Long lists, some at a time.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::reply::Refusal;

/// Items of a page if nothing is said, and at most.
const ITEMS: usize = 20;
const MOST_ITEMS: usize = 200;

/// What a cursor goes on with: hexadecimal digits of what was paged over, and where the next page begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    digest: [u8; 8],
    start: usize,
    items: usize,
}

impl Page {
    /// The page that is asked for of what has this identity.
    ///
    /// # Errors
    /// If the cursor is of another call, or what it pages over has changed since.
    pub(crate) fn new(
        max_items: Option<usize>,
        cursor: Option<&str>,
        identity: &impl Serialize,
    ) -> Result<Self, Refusal> {
        let identity = serde_json::to_vec(identity)
            .map_err(|error| Refusal(format!("this is a fault of ours: {error}")))?;
        let mut digest = [0; 8];
        digest.copy_from_slice(&Sha256::digest(&identity)[..8]);
        let items = max_items.unwrap_or(ITEMS);
        if !(1..=MOST_ITEMS).contains(&items) {
            return Err(Refusal(format!("`max_items`: {items} is not between 1 and {MOST_ITEMS}")));
        }
        let Some(cursor) = cursor else { return Ok(Self { digest, start: 0, items }) };
        let unknown = || Refusal("`cursor`: this is none of ours; leave it out to begin anew".into());
        let (of, start) = cursor.split_once('-').ok_or_else(unknown)?;
        let of = u64::from_str_radix(of, 16).map_err(|_| unknown())?;
        let start = start.parse().map_err(|_| unknown())?;
        if of.to_be_bytes() != digest {
            return Err(Refusal(
                "`cursor`: what it pages over has changed, or other arguments were sent; leave it out to begin anew".into(),
            ));
        }
        Ok(Self { digest, start, items })
    }

    /// The items of this page, and the cursor of the next.
    pub(crate) fn of<'a, T>(&self, all: &'a [T]) -> (&'a [T], Option<String>) {
        let start = self.start.min(all.len());
        let end = start.saturating_add(self.items).min(all.len());
        (&all[start..end], self.after(end, all.len()))
    }

    /// The items of this page, where they are not needed any more.
    pub(crate) fn from<T>(&self, all: Vec<T>) -> impl Iterator<Item = T> + use<T> {
        all.into_iter().skip(self.start).take(self.items)
    }

    /// The first item's place.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The cursor that goes on at `end`, if something is left.
    pub(crate) fn after(&self, end: usize, total: usize) -> Option<String> {
        (end < total).then(|| format!("{:016x}-{end}", u64::from_be_bytes(self.digest)))
    }
}
