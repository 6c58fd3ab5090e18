//! Medians of rounds, with the least and the greatest beside them; ratios with intervals.

use serde::Serialize;

/// The median of some rounds, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// `None` without rounds.
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Self> {
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
    pub fn exactly(value: f64) -> Self {
        Self { median: value, min: value, max: value }
    }

    /// The ratios of the rounds of `subject` to those of `baseline` that were run beside them.
    pub fn ratio(subject: &[f64], baseline: &[f64]) -> Option<Self> {
        Self::of(subject.iter().zip(baseline).map(|(subject, baseline)| subject / baseline))
    }
}

/// A ratio of two sides that took turns, with the interval in which it lies with a probability of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The geometric mean of the rounds' ratios.
    pub ratio: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Quantiles 0.975 of Student's t distribution for 1, 2, … degrees of freedom.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

impl Ratio {
    /// Of rounds that were run beside each other: Student's interval of the logarithms of their ratios, which takes
    /// those to be about normally distributed and independent. `None` with fewer than two rounds, or if a figure is
    /// not above zero. For more than 31 rounds the interval of 31 is taken, which is a little too wide.
    pub fn of(subject: &[f64], baseline: &[f64]) -> Option<Self> {
        let logs: Vec<f64> =
            subject.iter().zip(baseline).map(|(subject, baseline)| (subject / baseline).ln()).collect();
        if logs.len() < 2 || logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let reach = T[(logs.len() - 2).min(T.len() - 1)] * (variance / n).sqrt();
        Some(Self { ratio: mean.exp(), low: (mean - reach).exp(), high: (mean + reach).exp() })
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

    #[test]
    fn a_ratio_has_the_interval_that_a_table_gives() {
        // Logarithms 0, 1, 2: mean 1, standard error 1/√3, t 4.303.
        let e = std::f64::consts::E;
        let ratio = Ratio::of(&[1.0, e, e * e], &[1.0, 1.0, 1.0]).unwrap();
        let reach = 4.303 / 3.0_f64.sqrt();
        assert!((ratio.ratio - e).abs() < 1e-9, "{ratio:?}");
        assert!(
            (ratio.low.ln() - (1.0 - reach)).abs() < 1e-9 && (ratio.high.ln() - (1.0 + reach)).abs() < 1e-9
        );
        assert_eq!(Ratio::of(&[1.0], &[1.0]), None);
        assert_eq!(Ratio::of(&[0.0, 1.0], &[1.0, 1.0]), None);
    }
}
