//! What a tally says of the chance of success: Beta(1 + successes, 1 + failures), and what follows from it.

use aqe_store::UnixMillis;
use aqe_store::learning::{Rule, State, Tally};

use super::beta;

/// Observations lose half of their weight in so many milliseconds: 30 days.
pub(crate) const HALF_LIFE_MS: f64 = 30.0 * 86_400_000.0;
/// The chance that the truth lies below `lower95`, and above `upper95`.
const TAIL: f64 = 0.05;

/// How observations are weighed here, and what follows.
pub(crate) const RULE: Rule = Rule { half_life_ms: HALF_LIFE_MS, back_off_below: 5.0, decide };

/// The chance of success, as far as it is known at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posterior {
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
}

impl Posterior {
    pub(crate) fn of(tally: Tally, now: UnixMillis) -> Self {
        Self::from(&tally.at(now, HALF_LIFE_MS))
    }

    pub(crate) fn n_eff(self) -> f64 {
        self.alpha + self.beta - 2.0
    }

    pub(crate) fn mean(self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// With 95 % certainty the chance is not below.
    pub(crate) fn lower(self) -> f64 {
        beta::quantile(TAIL, self.alpha, self.beta)
    }

    /// With 95 % certainty the chance is not above.
    pub(crate) fn upper(self) -> f64 {
        beta::quantile(1.0 - TAIL, self.alpha, self.beta)
    }

    /// Whether `lower` is at least this. A quantile costs ten times as much, and what lies below the mean already nothing.
    pub(crate) fn is_surely_above(self, chance: f64) -> bool {
        self.mean() > chance && beta::cdf(chance, self.alpha, self.beta) <= TAIL
    }

    /// Whether `upper` is less than this.
    fn is_surely_below(self, chance: f64) -> bool {
        self.mean() < chance && beta::cdf(chance, self.alpha, self.beta) > 1.0 - TAIL
    }
}

impl From<&Tally> for Posterior {
    fn from(tally: &Tally) -> Self {
        Self { alpha: 1.0 + tally.successes, beta: 1.0 + tally.failures }
    }
}

/// What a state takes: trials, and a lower bound. It is left only when the bound falls to the second number (hysteresis).
pub(crate) struct Threshold {
    n_eff: f64,
    pub(crate) enter: f64,
    leave: f64,
}

pub(crate) const ACTIVE: Threshold = Threshold { n_eff: 5.0, enter: 0.6, leave: 0.5 };
pub(crate) const PROMOTED: Threshold = Threshold { n_eff: 20.0, enter: 0.8, leave: 0.7 };
/// Retired below, a candidate again from the second number on.
const RETIRED: (f64, f64) = (0.4, 0.5);

impl Threshold {
    fn is_reached(&self, known: Posterior) -> bool {
        known.n_eff() >= self.n_eff && known.is_surely_above(self.enter)
    }
}

/// The state that follows from the last one and what is known now.
pub(crate) fn decide(was: State, all: &Tally, measured: &Tally) -> State {
    let known = Posterior::from(all);
    // Even five failures in a row have no upper bound below 0.4 if they weigh less than this.
    if was == State::Candidate && known.n_eff() < 4.8 {
        return was;
    }
    let mut state = was;
    // No way from one state to another has more steps; no state leads back to one that was left.
    for _ in 0..State::ALL.len() {
        let next = step(state, known, Posterior::from(measured));
        if next == state {
            break;
        }
        state = next;
    }
    state
}

/// Promotion asks our own measurements alone: what somebody asserts has been checked by nobody, and can be said as often as one
/// likes.
fn step(state: State, known: Posterior, measured: Posterior) -> State {
    if state != State::Retired && known.is_surely_below(RETIRED.0) {
        return State::Retired;
    }
    match state {
        State::Candidate if ACTIVE.is_reached(known) => State::Active,
        State::Active if !known.is_surely_above(ACTIVE.leave) => State::Candidate,
        State::Active if PROMOTED.is_reached(measured) => State::Promoted,
        State::Promoted if !measured.is_surely_above(PROMOTED.leave) => State::Active,
        State::Promoted if !known.is_surely_above(ACTIVE.leave) => State::Active,
        State::Retired if !known.is_surely_below(RETIRED.1) => State::Candidate,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(successes: f64, failures: f64) -> Tally {
        Tally { successes, failures, at: 0 }
    }

    #[test]
    fn a_pattern_rises_and_falls_by_its_bounds() {
        let alone = |was, all: &Tally| decide(was, all, all);
        let from = |was, successes, failures| alone(was, &tally(successes, failures));
        assert_eq!(from(State::Candidate, 4.0, 0.0), State::Candidate);
        assert_eq!(from(State::Candidate, 5.0, 0.0), State::Active);
        assert_eq!(from(State::Candidate, 19.0, 0.0), State::Active);
        assert_eq!(from(State::Candidate, 20.0, 0.0), State::Promoted, "in one step of ours");
        assert_eq!(from(State::Candidate, 0.0, 4.0), State::Candidate);
        assert_eq!(from(State::Promoted, 0.0, 5.0), State::Retired);
        // What is between the thresholds stays what it was.
        for (n, lower, was) in [
            (tally(11.0, 3.0), 0.5..0.6, State::Candidate),
            (tally(11.0, 3.0), 0.5..0.6, State::Active),
            (tally(30.0, 4.0), 0.7..0.8, State::Active),
            (tally(30.0, 4.0), 0.7..0.8, State::Promoted),
        ] {
            assert!(lower.contains(&Posterior::from(&n).lower()), "{}", Posterior::from(&n).lower());
            assert_eq!(alone(was, &n), was);
        }
        assert!((0.4..0.5).contains(&Posterior::from(&tally(1.0, 7.0)).upper()));
        assert_eq!(from(State::Retired, 1.0, 7.0), State::Retired);
        assert_eq!(from(State::Candidate, 1.0, 7.0), State::Candidate);
    }

    #[test]
    fn what_is_only_asserted_never_promotes() {
        let none = tally(0.0, 0.0);
        assert_eq!(decide(State::Candidate, &tally(10.0, 0.0), &none), State::Active);
        assert_eq!(decide(State::Candidate, &tally(10_000.0, 0.0), &none), State::Active);
        assert_eq!(decide(State::Candidate, &tally(10_000.0, 0.0), &tally(19.0, 0.0)), State::Active);
        assert_eq!(decide(State::Candidate, &tally(10_020.0, 0.0), &tally(20.0, 0.0)), State::Promoted);
        // Nor does it keep up what measurements no longer bear; but it can bring down what they do.
        assert_eq!(decide(State::Promoted, &tally(10_000.0, 5.0), &tally(5.0, 5.0)), State::Active);
        assert_eq!(decide(State::Promoted, &tally(30.0, 30.0), &tally(30.0, 0.0)), State::Candidate);
        assert_eq!(decide(State::Promoted, &tally(30.0, 300.0), &tally(30.0, 0.0)), State::Retired);
    }

    #[test]
    fn what_is_long_ago_decides_nothing() {
        let old = tally(40.0, 0.0).at(HALF_LIFE_MS as i64 * 10, HALF_LIFE_MS);
        assert_eq!(decide(State::Promoted, &old, &old), State::Candidate);
        let old = tally(0.0, 40.0).at(HALF_LIFE_MS as i64 * 10, HALF_LIFE_MS);
        assert_eq!(decide(State::Retired, &old, &old), State::Candidate);
    }

    proptest! {
        #[test]
        fn deciding_again_changes_nothing_and_the_quick_way_is_right(
            successes in 0.0_f64..60.0, failures in 0.0_f64..60.0, was in 0_usize..4,
            share in (0.0_f64..=1.0, 0.0_f64..=1.0),
        ) {
            let tally = tally(successes, failures);
            let measured = Tally { successes: successes * share.0, failures: failures * share.1, at: 0 };
            let next = decide(State::ALL[was], &tally, &measured);
            prop_assert_eq!(decide(next, &tally, &measured), next);
            let known = Posterior::from(&tally);
            prop_assert_eq!(known.is_surely_above(0.6), known.lower() >= 0.6);
            prop_assert_eq!(known.is_surely_below(0.4), known.upper() < 0.4);
            prop_assert!(known.lower() < known.mean() && known.mean() < known.upper());
            if tally.n_eff() < 4.8 {
                prop_assert!(!known.is_surely_below(0.4) && !ACTIVE.is_reached(known));
            }
        }
    }
}
