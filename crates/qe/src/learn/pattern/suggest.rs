//! Action `suggest`.

use aqe_store::learning::{Extent, PatternId, State, Which};
use serde::Serialize;

use super::super::context::Level;
use super::super::rank::{Question, Ranked, UNLIKE, rank};
use super::super::similarity::{self, Sketch};
use super::super::told::{Chance, Record};
use super::super::{NOTE, cut, shown, wait};
use super::{Action, Call};
use crate::reply::{Refusal, structured};

/// Suggestions if nothing is said, and at most: few are read better than many.
const SUGGESTED: usize = 3;
const SUGGESTED_MAX: usize = 10;
/// Bytes of a content that are shown; `export` with `pattern_id` gives the whole.
const CONTENT_BYTES: usize = 1_000;
/// Observations that are shown of each.
const EVIDENCE: u32 = 3;
/// Bytes of a question.
const QUERY_MAX_BYTES: usize = 2_000;

#[derive(Debug, Serialize)]
struct Answer {
    action: Action,
    /// What to do, and apart from it what to avoid, the best first.
    suggestions: Vec<Suggestion>,
    avoid: Vec<Suggestion>,
    /// Patterns that were looked at.
    searched: usize,
    ranked_by: &'static str,
    /// How likeness is measured; `null` if no words were sent.
    similarity: Option<&'static str>,
    note: &'static str,
}

#[derive(Debug, Serialize)]
struct Suggestion {
    id: String,
    title: String,
    state: State,
    score: f64,
    parts: Parts,
    /// In the context that `parts.context` names.
    posterior: Chance,
    description: String,
    content: String,
    /// Bytes of the content in all, if it is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_bytes: Option<usize>,
    tags: Vec<String>,
    evidence: Vec<Record>,
}

#[derive(Debug, Serialize)]
struct Parts {
    similarity: Option<f64>,
    chance: f64,
    /// How much of the context that was asked for the outcomes are of.
    context: Level,
}

impl Call<'_> {
    pub(super) fn suggest(&self) -> Result<Vec<u8>, Refusal> {
        let arguments = self.arguments;
        let most = arguments.k.unwrap_or(SUGGESTED);
        if !(1..=SUGGESTED_MAX).contains(&most) {
            return Err(Refusal(format!("`k`: {most} is not between 1 and {SUGGESTED_MAX}")));
        }
        let explore = match (arguments.explore.unwrap_or(false), arguments.seed) {
            (true, None) => {
                return Err(Refusal(
                    "`explore` needs `seed`: the same seed over the same observations draws the same; send another one \
                     each time"
                        .into(),
                ));
            }
            (is_asked, seed) => seed.filter(|_| is_asked),
        };
        let surroundings = arguments.context.clone().unwrap_or_default().normal()?;
        let levels = surroundings.levels();
        let words = [arguments.query.as_deref(), surroundings.error_signature.as_deref()];
        let words = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if words.len() > QUERY_MAX_BYTES {
            return Err(Refusal(format!("`query` is longer than {QUERY_MAX_BYTES} bytes")));
        }
        let words = Some(words.trim()).filter(|words| !words.is_empty());
        let which = Which {
            most: u32::MAX,
            levels: levels.iter().map(|(name, _)| name.clone()).collect(),
            ..Which::default()
        };
        let patterns = wait(self.context.durable.patterns(self.principal(), which))?;
        let searched = patterns.len();
        self.request.stop.check()?;
        let question = Question { levels: &levels, explore, now: self.request.now, most };
        let mut alike: Vec<_> = patterns.into_iter().map(|pattern| (pattern, None)).collect();
        if let Some(words) = words {
            let patterns: Vec<_> = alike.into_iter().map(|(pattern, _)| pattern).collect();
            let sketches = self.context.sketches.of(self.context, &self.request.principal, &patterns)?;
            let asked = Sketch::of(words);
            let likeness = sketches.into_iter().map(|sketch| Some(asked.likeness(&sketch)));
            alike = patterns.into_iter().zip(likeness).collect();
            alike.retain(|(_, likeness)| likeness.is_some_and(|likeness| likeness >= UNLIKE));
        }
        let (to_do, to_avoid) = rank(alike, &question);
        // An outcome that is reported of one of these is one of a suggestion that was used.
        let handed: Vec<PatternId> = to_do.iter().chain(&to_avoid).map(|one| one.pattern.id).collect();
        if !handed.is_empty() {
            wait(self.context.durable.suggested(self.principal(), handed, self.request.now))?;
        }
        let told = |ranked: Vec<Ranked>| -> Result<Vec<Suggestion>, Refusal> {
            ranked.into_iter().map(|one| self.suggestion(one)).collect()
        };
        structured(&Answer {
            action: Action::Suggest,
            suggestions: told(to_do)?,
            avoid: told(to_avoid)?,
            searched,
            ranked_by: match explore {
                Some(_) => "similarity x draw from the posterior",
                None => "similarity x posterior mean",
            },
            similarity: words.map(|_| similarity::NAME),
            note: NOTE,
        })
    }

    fn suggestion(&self, ranked: Ranked) -> Result<Suggestion, Refusal> {
        let id = ranked.pattern.id;
        let texts = self.one(id, Extent::Whole)?.texts.unwrap_or_default();
        let observations = wait(self.context.durable.observations(self.principal(), id, EVIDENCE))?;
        let mut content = texts.content;
        let bytes = content.len();
        cut(&mut content, CONTENT_BYTES);
        Ok(Suggestion {
            id: shown(id),
            title: ranked.pattern.title,
            state: ranked.state,
            score: ranked.score,
            parts: Parts { similarity: ranked.similarity, chance: ranked.chance, context: ranked.level },
            posterior: ranked.known.into(),
            description: texts.description,
            content_bytes: (content.len() < bytes).then_some(bytes),
            content,
            tags: texts.tags,
            evidence: observations.into_iter().map(Record::from).collect(),
        })
    }
}
