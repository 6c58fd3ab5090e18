//! Figures: counts of what is covered, by kind.

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

    pub(super) fn of(covered: impl Iterator<Item = bool>) -> Self {
        covered.fold(Self::default(), |mut counts, covered| {
            counts.add(Self { covered: covered.into(), total: 1 });
            counts
        })
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
