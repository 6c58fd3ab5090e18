//! Whether it went better with what was learnt than without: two shares of successes, and how sure their difference is.

use aqe_store::learning::{Compared, Outcomes};
use serde::Serialize;

/// The quantile of the normal distribution for an interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// What was observed with and without. It is no experiment: who follows a suggestion may have had the easier case.
#[derive(Debug, Serialize)]
pub(super) struct Uplift {
    used: Side,
    unused: Side,
    /// The share with less the share without.
    difference: Option<f64>,
    /// Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10) of 95 %.
    ci95: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Side {
    successes: u64,
    n: u64,
    /// `null` without trials.
    share: Option<f64>,
}

impl Uplift {
    pub(super) fn of(compared: Compared) -> Self {
        let Compared { used, unused } = compared;
        let is_known = used.trials() > 0 && unused.trials() > 0;
        let side = |of: Outcomes| Side { successes: of.successes, n: of.trials(), share: share(of) };
        let difference = share(used).zip(share(unused)).map(|(used, unused)| used - unused);
        Self {
            used: side(used),
            unused: side(unused),
            difference,
            ci95: is_known.then(|| newcombe(used, unused)),
            reason: match (used.trials(), unused.trials()) {
                (0, 0) => Some("no outcome is known yet, with or without"),
                (0, _) => Some("no outcome is known yet of what was learnt and used"),
                (_, 0) => Some("no outcome is known yet without what was learnt"),
                _ => None,
            },
        }
    }
}

fn share(of: Outcomes) -> Option<f64> {
    (of.trials() > 0).then(|| of.successes as f64 / of.trials() as f64)
}

/// Wilson's score interval (1927).
fn wilson(of: Outcomes) -> [f64; 2] {
    let (n, p) = (of.trials() as f64, share(of).unwrap_or(0.5));
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    [(centre - half) / scale, (centre + half) / scale]
}

fn newcombe(one: Outcomes, other: Outcomes) -> [f64; 2] {
    let (p, q) = (share(one).unwrap_or(0.5), share(other).unwrap_or(0.5));
    let ([p_low, p_high], [q_low, q_high]) = (wilson(one), wilson(other));
    let difference = p - q;
    [difference - (p - p_low).hypot(q_high - q), difference + (p_high - p).hypot(q - q_low)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(successes: u64, trials: u64) -> Outcomes {
        Outcomes { successes, failures: trials - successes }
    }

    #[test]
    fn the_interval_is_the_one_that_newcombe_published() {
        // Table II of the paper, method 10.
        for (one, other, low, high) in [
            (outcomes(56, 70), outcomes(48, 80), 0.0524, 0.3339),
            (outcomes(9, 10), outcomes(3, 10), 0.1705, 0.8090),
            (outcomes(6, 7), outcomes(2, 7), 0.0582, 0.8062),
            (outcomes(5, 56), outcomes(0, 29), -0.0381, 0.1926),
            (outcomes(0, 10), outcomes(0, 20), -0.1611, 0.2775),
            (outcomes(10, 10), outcomes(0, 10), 0.6075, 1.0),
        ] {
            let [found_low, found_high] = newcombe(one, other);
            assert!(
                (found_low - low).abs() < 6e-5 && (found_high - high).abs() < 6e-5,
                "{found_low} {found_high}"
            );
        }
    }

    #[test]
    fn what_has_no_trials_on_one_side_is_not_known() {
        let none = Outcomes::default();
        for (used, unused) in [(none, none), (outcomes(1, 2), none), (none, outcomes(1, 2))] {
            let uplift = Uplift::of(Compared { used, unused });
            assert!(uplift.difference.is_none() && uplift.ci95.is_none() && uplift.reason.is_some());
        }
        let known = Uplift::of(Compared { used: outcomes(1, 2), unused: outcomes(1, 4) });
        assert_eq!((known.difference, known.reason), (Some(0.25), None));
    }
}
