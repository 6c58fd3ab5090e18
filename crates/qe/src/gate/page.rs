//! Which of a condition's places are named: some at a time, and the next with a cursor.

use sha2::{Digest as _, Sha256};

use super::change::Change;
use super::condition::Condition;
use super::inputs::hex;
use super::measure::Source;
use super::measured::Evidence;
use crate::coverage::page::Page;
use crate::reply::Refusal;

/// What a caller asks for.
#[derive(Debug)]
pub(crate) struct Places {
    /// Of each condition.
    pub(super) most: usize,
    pub(super) is_asked: bool,
    pub(super) cursor: Option<String>,
}

/// The pages of all conditions.
#[derive(Debug)]
pub(super) struct Pages {
    /// `None`: no place is named.
    pages: Option<Vec<Page>>,
    /// The only condition of which places are asked for.
    condition: Option<usize>,
}

impl Places {
    /// Pages over what was read and is asked.
    ///
    /// # Errors
    /// If there is a cursor of something else.
    pub(super) fn over(
        &self,
        asked: &[(Condition, bool)],
        read: &[Source],
        change: Option<&Change>,
    ) -> Result<Pages, Refusal> {
        if !self.is_asked {
            return Ok(Pages { pages: None, condition: None });
        }
        let cursor = self.cursor.as_deref().map(|cursor| {
            let (at, rest) = cursor.split_once('.')?;
            at.parse::<usize>().ok().filter(|at| *at < asked.len()).map(|at| (at, rest))
        });
        let cursor = match cursor {
            Some(None) => {
                return Err(Refusal("`cursor`: this is none of ours; leave it out to begin anew".into()));
            }
            Some(Some(cursor)) => Some(cursor),
            None => None,
        };
        let new = change.map(|change| (&change.patch.base, &change.patch.added));
        let all = serde_json::to_vec(&(read, new)).map_err(|error| Refusal(error.to_string()))?;
        let all = hex(&Sha256::digest(&all));
        let page = |at: usize, condition: &Condition| {
            let cursor = cursor.filter(|(of, _)| *of == at).map(|(_, rest)| rest);
            Page::new(Some(self.most), cursor, &(format!("{condition:?}"), &all))
        };
        let pages = asked.iter().enumerate().map(|(at, (condition, _))| page(at, condition));
        let pages = pages.collect::<Result<Vec<_>, _>>()?;
        Ok(Pages { pages: Some(pages), condition: cursor.map(|(at, _)| at) })
    }
}

impl Pages {
    /// The condition that the cursor is of.
    pub(super) fn condition(&self) -> Option<usize> {
        self.condition
    }

    /// The places of a condition that are named now, and the cursor of the next.
    pub(super) fn of(&self, condition: usize, places: Vec<Evidence>) -> (Vec<Evidence>, Option<String>) {
        let Some(page) = self.pages.as_ref().and_then(|pages| pages.get(condition)) else {
            return (Vec::new(), None);
        };
        let total = places.len();
        let named: Vec<_> = page.from(places).map(Evidence::bounded).collect();
        let next = page.after(page.start() + named.len(), total);
        (named, next.map(|next| format!("{condition}.{next}")))
    }
}
