//! Replies that hold a list which is the same for everybody: it is compressed once, when the first client asks for it so.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::stem::Stem;
use super::{Coding, Effort};

/// Longer lists are compressed with less effort: with the most, that takes a second for each MiB.
const HARD_BYTES: usize = 256 * 1024;

/// A list as it stands in replies, and its coded forms.
#[derive(Debug)]
pub(crate) struct List {
    /// The member of the result that holds it.
    member: &'static str,
    /// A JSON array.
    array: Bytes,
    coded: [Coded; Coding::ALL.len()],
}

#[derive(Debug, Default)]
struct Coded {
    begun: AtomicBool,
    stem: OnceLock<Stem>,
}

impl List {
    /// A list, not coded yet.
    pub(crate) fn new(member: &'static str, array: Bytes) -> Arc<Self> {
        Arc::new(Self { member, array, coded: Default::default() })
    }

    /// The list itself.
    pub(crate) fn array(&self) -> &Bytes {
        &self.array
    }

    /// The coded beginning of replies, if it is there. Whoever asks first has it made in the background.
    fn stem(self: &Arc<Self>, coding: Coding) -> Option<&Stem> {
        let coded = &self.coded[coding as usize];
        if let Some(stem) = coded.stem.get() {
            return Some(stem);
        }
        if !coded.begun.swap(true, Ordering::Relaxed) {
            let this = Arc::clone(self);
            tokio::task::spawn_blocking(move || this.make(coding));
        }
        None
    }

    fn make(&self, coding: Coding) {
        let effort = if self.array.len() > HARD_BYTES { Effort::ONCE } else { Effort::OFTEN };
        let text = [self.opening().as_bytes(), &self.array].concat();
        match Stem::new(coding, &text, effort) {
            Ok(stem) => drop(self.coded[coding as usize].stem.set(stem)),
            // Each reply is then compressed by itself.
            Err(error) => tracing::warn!(%error, coding = coding.name(), "a list cannot be compressed"),
        }
    }

    /// What coded replies begin with. It holds nothing of the request, unlike the beginning of others, so that the list
    /// follows at the same place in each.
    fn opening(&self) -> String {
        format!(r#"{{"result":{{"{}":"#, self.member)
    }
}

/// Where a reply holds a list. The reply is `{"jsonrpc":"2.0","id":ID,"result":{MEMBERS"NAME":ARRAY REST}}`, in which
/// each of MEMBERS ends and REST begins with a comma.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    list: Arc<List>,
    /// Where the first of MEMBERS begins.
    members: usize,
    array: Range<usize>,
}

impl Listed {
    /// The list stands at `array` of a reply, and the members of its result begin at `members`.
    pub(crate) fn new(list: &Arc<List>, members: usize, array: Range<usize>) -> Self {
        Self { list: Arc::clone(list), members, array }
    }

    /// The coded reply that says the same as `parts`, in two parts; `None` while the list is not coded, and where a reply
    /// is too short or odd.
    pub(crate) fn encode(&self, parts: &[Bytes; 3], coding: Coding) -> Option<[Bytes; 2]> {
        let stem = self.list.stem(coding)?;
        let [first, list, last] = parts;
        let rest = if list.is_empty() { first.get(self.array.end..)? } else { last };
        let end = stem.end(&self.end(first.get(..self.array.start)?, rest)?)?;
        Some([stem.bytes().clone(), end.into()])
    }

    /// `,MEMBERS REST},"jsonrpc":"2.0","id":ID}` out of what stands before and after the list.
    fn end(&self, before: &[u8], after: &[u8]) -> Option<Vec<u8>> {
        let name = self.list.member.len() + r#""":"#.len();
        let members = before.get(self.members..before.len().checked_sub(name)?)?;
        let envelope = before.get(1..self.members)?.strip_suffix(br#""result":{"#)?.strip_suffix(b",")?;
        let rest = after.strip_suffix(b"}")?;
        let (comma, members): (&[u8], _) = match members.strip_suffix(b",") {
            Some(members) => (b",", members),
            None => (b"", members),
        };
        Some([comma, members, rest, b",", envelope, b"}"].concat())
    }
}
