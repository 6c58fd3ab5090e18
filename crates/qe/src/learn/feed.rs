//! What our own tools tell of what they saw.

use std::sync::atomic::{AtomicU64, Ordering};

use aqe_store::learning::{Observation, Pattern, Polarity, Subject, Texts, Trials, Which};

use super::context::Surroundings;
use super::posterior::RULE;
use super::told;
use crate::builtin::{Context, Request};

/// How the feed does.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    /// Observations that could not be kept since the process began.
    lost: AtomicU64,
}

impl Feed {
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Trials of one way of working that a tool has seen the end of.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The pattern, of polarity `do`; made when it is first seen.
    pub(crate) title: String,
    pub(crate) description: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) surroundings: Surroundings,
    pub(crate) successes: u32,
    pub(crate) failures: u32,
    pub(crate) infrastructure: u32,
    pub(crate) reward: Option<f64>,
    /// Names the run by what it depends on, so that the same run counts once.
    pub(crate) evidence: String,
    /// Whether what was learnt was made use of; `None`: there is nothing to compare.
    pub(crate) used: Option<bool>,
}

/// Counts what one call has seen, in one transaction. The call goes on whatever comes of it; what is lost is counted.
pub(crate) fn observe(context: &Context, request: &Request, seen: Vec<Seen>) {
    let total = seen.len() as u64;
    let observation = |one: Seen| {
        let (description, tags) = (one.description.to_owned(), vec![one.tag.to_owned()]);
        let texts = Texts { description, content: String::new(), tags };
        let surroundings = one.surroundings.normal().unwrap_or_default();
        Observation {
            pattern: Subject::Titled { polarity: Polarity::Do, title: one.title, texts },
            levels: surroundings.levels().into_iter().map(|(name, _)| name).collect(),
            trials: Trials {
                successes: one.successes,
                failures: one.failures,
                infrastructure: one.infrastructure,
                reward: one.reward,
                evidence: Some(one.evidence),
                at: request.now,
                ..Trials::default()
            },
            used: one.used,
        }
    };
    // A pattern without trials would only be told, and that is no outcome.
    let seen = seen.into_iter().map(observation).filter(|one| one.trials.count() > 0).collect::<Vec<_>>();
    if seen.is_empty() {
        return;
    }
    if super::wait(context.durable.observe(request.principal.clone(), seen, RULE)).is_err() {
        context.learning.lost.fetch_add(total, Ordering::Relaxed);
    }
}

/// What is known of the patterns whose titles begin so, in these surroundings: the rest of the title, and the mean of the chance
/// of success. Nothing if it cannot be read: the caller goes on without.
pub(crate) fn known(
    context: &Context,
    request: &Request,
    prefix: &str,
    surroundings: Surroundings,
) -> Vec<(String, f64)> {
    let levels = surroundings.normal().unwrap_or_default().levels();
    let names = levels.iter().map(|(name, _)| name.clone()).collect();
    let which = Which { most: u32::MAX, levels: names, ..Which::default() };
    let all = super::wait(context.durable.patterns(request.principal.clone(), which)).unwrap_or_default();
    let one = |pattern: Pattern| {
        let name = pattern.title.strip_prefix(prefix).filter(|_| pattern.polarity == Polarity::Do)?;
        let (known, _) = told::nearest(&pattern, &levels, request.now);
        Some((name.to_owned(), known.mean()))
    };
    all.into_iter().filter_map(one).collect()
}
