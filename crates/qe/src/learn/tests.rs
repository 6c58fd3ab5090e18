//! A seeded bandit: five ways of working with different chances, one choice and one outcome per step. What our suggestions
//! choose is compared with what other rules would, on the same arms and the same luck.
//!
//! `cargo test -p aqe-qe --lib learn::tests -- --nocapture` prints the table.

use aqe_store::learning::{Pattern, PatternId, Polarity, Seen, State, Tally};

use super::posterior::{HALF_LIFE_MS, decide};
use super::rank::{Question, rank};

const CHANCES: [f64; 5] = [0.95, 0.75, 0.6, 0.45, 0.3];
const STEPS: usize = 400;
const RUNS: u64 = 300;

/// What a rule knows of an arm.
#[derive(Debug, Clone, Copy, Default)]
struct Arm {
    successes: f64,
    failures: f64,
    /// For the rules that keep a confidence.
    confidence: f64,
}

impl Arm {
    fn uses(&self) -> f64 {
        self.successes + self.failures
    }

    fn rate(&self) -> f64 {
        if self.uses() > 0.0 { self.successes / self.uses() } else { 0.0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `suggest` with `explore`.
    Thompson,
    /// `suggest` without.
    Greedy,
    /// A tenth up for a success, one down for a failure, between nought and one.
    StepUpAndDown,
    /// `min(1, 0.5 + 0.05 × uses + 0.3 × rate)`: the confidence grows by being used.
    Usage,
    /// The lower end of Wilson's interval, and one choice in twenty by chance.
    Wilson,
}

const WAYS: [Way; 5] = [Way::Thompson, Way::Greedy, Way::StepUpAndDown, Way::Usage, Way::Wilson];

fn pattern(place: usize, arm: &Arm) -> Pattern {
    let tally = Tally { successes: arm.successes, failures: arm.failures, at: 0 };
    Pattern {
        id: PatternId(i64::try_from(place + 1).unwrap()),
        polarity: Polarity::Do,
        title: String::new(),
        created: 0,
        last: None,
        state: State::Candidate,
        retired: None,
        merged_into: None,
        tally,
        measured: tally,
        told: 1,
        seen: Seen::default(),
        levels: Vec::new(),
        texts: None,
    }
}

fn choose(way: Way, arms: &[Arm; 5], rng: &mut fastrand::Rng) -> usize {
    let best = |value: &dyn Fn(&Arm) -> f64, rng: &mut fastrand::Rng| {
        let top = arms.iter().map(value).fold(f64::MIN, f64::max);
        let equals: Vec<usize> = (0..5).filter(|&place| value(&arms[place]) >= top).collect();
        equals[rng.usize(..equals.len())]
    };
    match way {
        Way::Thompson | Way::Greedy => {
            let patterns = arms.iter().enumerate().map(|(place, arm)| (pattern(place, arm), None)).collect();
            let explore = (way == Way::Thompson).then(|| rng.u64(..));
            let question = Question { levels: &[], explore, now: 0, most: 1 };
            let (ranked, _) = rank(patterns, &question);
            // All may be retired: then there is no suggestion, and chance chooses.
            ranked.first().map_or_else(|| rng.usize(..5), |one| one.pattern.id.0 as usize - 1)
        }
        Way::StepUpAndDown => best(&|arm| arm.confidence, rng),
        Way::Usage => best(&|arm| (0.5 + 0.05 * arm.uses() + 0.3 * arm.rate()).min(1.0), rng),
        Way::Wilson if rng.f64() < 0.05 => rng.usize(..5),
        Way::Wilson => best(&wilson, rng),
    }
}

/// The lower end of Wilson's 95 % interval.
fn wilson(arm: &Arm) -> f64 {
    let (n, z) = (arm.uses(), 1.96_f64);
    if n == 0.0 {
        return 0.0;
    }
    let centre = arm.rate() + z * z / (2.0 * n);
    let half = z * (arm.rate() * (1.0 - arm.rate()) / n + z * z / (4.0 * n * n)).sqrt();
    (centre - half) / (1.0 + z * z / n)
}

/// Shares of successes, and of choices of the best arm.
fn play(way: Way, run: u64) -> (f64, f64) {
    let mut luck = fastrand::Rng::with_seed(run);
    let mut chances = CHANCES;
    luck.shuffle(&mut chances);
    // Each arm's outcomes are drawn before, so that all rules have the same luck.
    let outcomes: Vec<[bool; 5]> = (0..STEPS).map(|_| chances.map(|chance| luck.f64() < chance)).collect();
    let mut rng = fastrand::Rng::with_seed(run + 1_000_000);
    let mut arms = [Arm { confidence: 0.5, ..Arm::default() }; 5];
    let (mut successes, mut best) = (0, 0);
    for outcome in outcomes {
        let choice = choose(way, &arms, &mut rng);
        let arm = &mut arms[choice];
        if outcome[choice] {
            successes += 1;
            arm.successes += 1.0;
            arm.confidence = (arm.confidence + 0.1).min(1.0);
        } else {
            arm.failures += 1.0;
            arm.confidence = (arm.confidence - 1.0).max(0.0);
        }
        best += usize::from(chances[choice] >= CHANCES[0]);
    }
    (f64::from(successes) / STEPS as f64, best as f64 / STEPS as f64)
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Half of the 95 % confidence interval of a mean.
pub(super) fn margin(values: &[f64]) -> f64 {
    let mean = mean(values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
    1.96 * (variance / values.len() as f64).sqrt()
}

#[test]
fn suggestions_that_explore_beat_greedy_ones_and_the_peers_rules() {
    println!("{RUNS} runs of {STEPS} steps over chances {CHANCES:?}, in any order; ± is the 95 % interval");
    println!("{:<14} {:>16} {:>9}  {:>24}", "rule", "mean success", "best arm", "Thompson is better by");
    let mut ours: Vec<f64> = Vec::new();
    for way in WAYS {
        let (successes, best): (Vec<f64>, Vec<f64>) = (0..RUNS).map(|run| play(way, run)).unzip();
        if way == Way::Thompson {
            ours.clone_from(&successes);
        }
        let gains: Vec<f64> = ours.iter().zip(&successes).map(|(ours, other)| ours - other).collect();
        println!(
            "{:<14} {:>7.3} ± {:>6.3} {:>7.1} %  {:>15.3} ± {:>6.3}",
            format!("{way:?}"),
            mean(&successes),
            margin(&successes),
            100.0 * mean(&best),
            mean(&gains),
            margin(&gains)
        );
        if way == Way::Thompson {
            assert!(mean(&successes) > 0.9, "{}", mean(&successes));
        } else {
            // By five points in a hundred at least, and that surely.
            assert!(mean(&gains) - margin(&gains) > 0.05, "{way:?}: {} ± {}", mean(&gains), margin(&gains));
        }
    }
}

#[test]
fn one_seed_leads_to_one_course() {
    for way in WAYS {
        let (one, other) = (play(way, 3), play(way, 3));
        assert!((one.0 - other.0).abs() + (one.1 - other.1).abs() < f64::EPSILON);
    }
}

#[test]
fn forecasts_of_steady_ways_become_right() {
    // Prequential: each outcome is foretold before it counts.
    let mut luck = fastrand::Rng::with_seed(11);
    let (mut squared, mut ideal, mut n) = (0.0, 0.0, 0.0);
    for chance in CHANCES {
        let mut tally = Tally::default();
        for step in 0..2_000 {
            let outcome = if luck.f64() < chance { 1.0 } else { 0.0 };
            if step >= 50 {
                squared += (tally.mean() - outcome).powi(2);
                ideal += (chance - outcome).powi(2);
                n += 1.0;
            }
            tally = tally.with(outcome, 1.0 - outcome, 0, HALF_LIFE_MS);
        }
        assert!((tally.mean() - chance).abs() < 0.05, "{chance}: {}", tally.mean());
        assert_eq!(decide(State::Candidate, &tally, &tally) == State::Promoted, chance > 0.8);
        assert_eq!(decide(State::Candidate, &tally, &tally) == State::Retired, chance < 0.4);
    }
    assert!((squared - ideal) / n < 0.002, "{}", (squared - ideal) / n);
}
