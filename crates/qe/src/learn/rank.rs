//! Which patterns are suggested: those that are alike to what is asked for, and went well.

use aqe_store::UnixMillis;
use aqe_store::learning::{Pattern, Polarity, State};

use super::beta;
use super::context::Level;
use super::posterior::Posterior;
use super::told;

/// What is less alike is not suggested: texts that have nothing to do with each other meet by chance. Of the answers that
/// `similarity/tests/measured.rs` knows, at least 95 in a hundred are more alike to their question.
pub(super) const UNLIKE: f64 = 0.2;

/// A pattern that may be suggested, and why.
#[derive(Debug)]
pub(super) struct Ranked {
    pub(super) pattern: Pattern,
    pub(super) state: State,
    pub(super) known: Posterior,
    pub(super) level: Level,
    /// `None`: nothing was asked for by words.
    pub(super) similarity: Option<f64>,
    /// The chance that it is ranked by: the mean or, to explore, a draw.
    pub(super) chance: f64,
    pub(super) score: f64,
}

/// The question.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) levels: &'a [(String, Level)],
    /// Draw each chance from what is known (Thompson sampling), by this seed.
    pub(super) explore: Option<u64>,
    pub(super) now: UnixMillis,
    /// How many are wanted of what to do, and of what to avoid.
    pub(super) most: usize,
}

/// Ranks by similarity × chance, the best first; of equals, the older one. What is retired is left out. Answers with what to do,
/// and with what to avoid.
pub(super) fn rank(
    patterns: Vec<(Pattern, Option<f64>)>,
    question: &Question<'_>,
) -> (Vec<Ranked>, Vec<Ranked>) {
    let mut rng = question.explore.map(fastrand::Rng::with_seed);
    let mut scored: Vec<(f64, f64, Pattern, Option<f64>)> = Vec::new();
    for (pattern, similarity) in patterns {
        let (known, _) = told::nearest(&pattern, question.levels, question.now);
        let chance = rng.as_mut().map_or(known.mean(), |rng| beta::draw(rng, known.alpha, known.beta));
        scored.push((similarity.unwrap_or(1.0) * chance, chance, pattern, similarity));
    }
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.2.id.cmp(&other.2.id)));
    let (mut to_do, mut to_avoid) = (Vec::new(), Vec::new());
    for (score, chance, pattern, similarity) in scored {
        let side = if pattern.polarity == Polarity::Do { &mut to_do } else { &mut to_avoid };
        if side.len() >= question.most {
            continue;
        }
        // Only now: a state costs more than all the rest.
        let state = told::state(&pattern, question.now);
        if state != State::Retired {
            let (known, level) = told::nearest(&pattern, question.levels, question.now);
            side.push(Ranked { pattern, state, known, level, similarity, chance, score });
        }
    }
    (to_do, to_avoid)
}
