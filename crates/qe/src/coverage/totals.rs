//! Figures: counts of what is covered, by kind.

use std::sync::OnceLock;

use serde::Serialize;

/// How many of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) covered: u64,
    pub(crate) total: u64,
}

impl Counts {
    /// Percent, rounded down to two decimals so that only all of them are 100; `None` of nothing.
    pub(crate) fn percent(self) -> Option<f64> {
        let hundredths = u128::from(self.covered) * 10_000 / u128::from(self.total).max(1);
        (self.total > 0).then(|| hundredths as f64 / 100.0)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.covered += other.covered;
        self.total += other.total;
    }

    pub(super) fn of<T>(all: &[T], is_covered: impl Fn(&T) -> bool) -> Self {
        Self { covered: all.iter().filter(|one| is_covered(one)).count() as u64, total: all.len() as u64 }
    }
}

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            covered: u64,
            total: u64,
            pct: Option<f64>,
        }
        Shown { covered: self.covered, total: self.total, pct: self.percent() }.serialize(serializer)
    }
}

/// The figures of a file or of many; `None` where no report measured the kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    pub(crate) line: Option<Counts>,
    pub(crate) branch: Option<Counts>,
    pub(crate) function: Option<Counts>,
}

impl Totals {
    pub(crate) fn add(&mut self, other: Self) {
        for (ours, theirs) in [
            (&mut self.line, other.line),
            (&mut self.branch, other.branch),
            (&mut self.function, other.function),
        ] {
            if let Some(theirs) = theirs {
                ours.get_or_insert_default().add(theirs);
            }
        }
    }
}

/// Figures of a file that are counted when they are first asked for. They are no part of what the file is: a copy, which is
/// made to be changed, counts anew, and files with different ones may be equal.
#[derive(Debug, Default)]
pub(crate) struct Counted(OnceLock<Totals>);

impl Counted {
    pub(super) fn or_count(&self, count: impl FnOnce() -> Totals) -> Totals {
        *self.0.get_or_init(count)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Counted {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Counted {}
