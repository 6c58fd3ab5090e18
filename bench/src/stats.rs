//! Medians of rounds, with the least and the greatest beside them.

use serde::Serialize;

/// The median of some rounds, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` without rounds.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*rounds.first()?, *rounds.last()?);
        let middle = rounds.len() / 2;
        let median = if rounds.len() % 2 == 1 {
            rounds[middle]
        } else {
            f64::midpoint(rounds[middle - 1], rounds[middle])
        };
        Some(Self { median, min, max })
    }

    /// One value.
    pub(crate) fn exactly(value: f64) -> Self {
        Self { median: value, min: value, max: value }
    }

    /// The ratios of the rounds of `subject` to those of `baseline` that were run beside them.
    pub(crate) fn ratio(subject: &[f64], baseline: &[f64]) -> Option<Self> {
        Self::of(subject.iter().zip(baseline).map(|(subject, baseline)| subject / baseline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).map(|spread| spread.median), Some(2.0));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::ratio(&[4.0], &[2.0]), Some(Spread::exactly(2.0)));
    }
}
