//! "Did you mean": what to say of a word that is none of the valid ones.

use std::fmt::Write as _;

use super::env::clip;
use super::keys::SectionKeys;
use super::reference::SECTIONS;
use super::section::Context;

/// The message for a key that does not exist.
pub(super) fn unknown_key(cx: &Context<'_>, keys: &SectionKeys, key: &str) -> String {
    let is_top = keys.path.is_empty();
    let kind = if is_top { "section or key" } else { "key" };
    let mut message = format!("unknown {kind} \"{}\"", clip(key));
    if cx.sink.is_full() {
        return message;
    }
    let home = SECTIONS.iter().find(|s| s.keys.iter().any(|k| k.name() == key));
    if let Some(near) = nearest(key, keys.keys.iter().map(|k| k.name())) {
        let _ = write!(message, "; did you mean \"{near}\"?");
    } else if let Some(home) = home {
        let here = if is_top { "at the top".to_owned() } else { format!("in {}", keys.heading()) };
        let _ = write!(message, " {here}; it belongs to {}", home.heading());
    } else if is_top {
        let _ = write!(message, "; the sections are {}", headings());
    }
    message
}

fn headings() -> String {
    let top = SECTIONS.iter().filter(|s| !s.path.contains('.'));
    top.map(|s| s.heading()).collect::<Vec<_>>().join(", ")
}

/// The word that a misspelt one was most likely meant to be.
///
/// A word that only lacks the end of a valid one (`request_timeout` for `request_timeout_ms`) counts as
/// near; otherwise one edit in three characters does, at least one and at most four.
pub(super) fn nearest<'w>(word: &str, valid: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    const LONGEST: usize = 64;
    const SHORTEST_START: usize = 3;
    if word.len() > LONGEST || word.is_empty() {
        return None;
    }
    let lower = word.to_lowercase().replace('-', "_");
    let allowed = (lower.chars().count() / 3).clamp(1, 4);
    valid
        .filter_map(|candidate| {
            let flat = candidate.replace('-', "_");
            let shares_start = lower.len().min(flat.len()) >= SHORTEST_START
                && (flat.starts_with(&lower) || lower.starts_with(&flat));
            let edits = if shares_start { 1 } else { strsim::osa_distance(&lower, &flat) };
            (edits <= allowed).then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}
