//! Which patterns are suggested: those that are alike to what is asked for, and went well.

use aqe_store::UnixMillis;
use aqe_store::learning::{Pattern, State};

use super::beta;
use super::context::Level;
use super::posterior::Posterior;
use super::similarity::{Similarity, cosine};
use super::told;

/// What is less alike is not suggested: hashed words of unlike texts still meet by chance.
const UNLIKE: f64 = 0.1;

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
    pub(super) words: Option<&'a str>,
    pub(super) levels: &'a [(String, Level)],
    /// Draw each chance from what is known (Thompson sampling), by this seed.
    pub(super) explore: Option<u64>,
    pub(super) now: UnixMillis,
}

/// Ranks by similarity × chance, the best first; of equals, the older one. What is retired is left out.
pub(super) fn rank(
    patterns: Vec<Pattern>,
    question: &Question<'_>,
    similarity: &impl Similarity,
) -> Vec<Ranked> {
    let asked = question.words.map(|words| similarity.sketch(words));
    let mut rng = question.explore.map(fastrand::Rng::with_seed);
    let mut ranked: Vec<Ranked> = Vec::new();
    for pattern in patterns {
        let state = told::state(&pattern, question.now);
        if state == State::Retired {
            continue;
        }
        let similarity = asked.as_ref().map(|asked| cosine(asked, &similarity.sketch(&text(&pattern))));
        if similarity.is_some_and(|similarity| similarity < UNLIKE) {
            continue;
        }
        let (known, level) = told::nearest(&pattern, question.levels, question.now);
        let chance = rng.as_mut().map_or(known.mean(), |rng| beta::draw(rng, known.alpha, known.beta));
        let score = similarity.unwrap_or(1.0) * chance;
        ranked.push(Ranked { pattern, state, known, level, similarity, chance, score });
    }
    ranked.sort_by(|one, other| {
        other.score.total_cmp(&one.score).then_with(|| one.pattern.id.cmp(&other.pattern.id))
    });
    ranked
}

/// What of a pattern is compared.
pub(super) fn text(pattern: &Pattern) -> String {
    let description = pattern.texts.as_ref().map_or("", |texts| &texts.description);
    [&pattern.title, " ", description].concat()
}
