//! Sketches of patterns, kept as long as their texts are the same: to make those of ten thousand takes longer than all else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aqe_store::learning::{Extent, Pattern, PatternId, Which};

use super::similarity::Sketch;
use super::wait;
use crate::builtin::Context;
use crate::reply::Refusal;

/// Sketches that are kept: of two principals with as many patterns as there may be, some 12 MB.
const KEPT_MAX: usize = 20_000;

/// By pattern: how often it was told by then, and its sketch. The store uses no number again.
#[derive(Debug, Default)]
pub(crate) struct Sketches(Mutex<HashMap<PatternId, (u64, Arc<Sketch>)>>);

/// What of a pattern is compared.
pub(super) fn text(pattern: &Pattern) -> String {
    let description = pattern.texts.as_ref().map_or("", |texts| &texts.description);
    [&pattern.title, " ", description].concat()
}

impl Sketches {
    /// The sketches of these patterns, in their order. Texts are read of those alone that are not known yet.
    pub(super) fn of(
        &self,
        context: &Context,
        principal: &str,
        patterns: &[Pattern],
    ) -> Result<Vec<Arc<Sketch>>, Refusal> {
        let mut missing: Vec<PatternId> = Vec::new();
        {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for pattern in patterns {
                if kept.get(&pattern.id).is_none_or(|(told, _)| *told != pattern.told) {
                    missing.push(pattern.id);
                }
            }
        }
        let mut made: HashMap<PatternId, (u64, Arc<Sketch>)> = HashMap::new();
        if !missing.is_empty() {
            let which = Which {
                ids: Some(missing),
                most: u32::MAX,
                texts: Extent::Summary,
                merged: true,
                ..Which::default()
            };
            for pattern in wait(context.durable.patterns(principal.to_owned(), which))? {
                made.insert(pattern.id, (pattern.told, Arc::new(Sketch::of(&text(&pattern)))));
            }
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |pattern: &Pattern| {
            let known = made.get(&pattern.id).or_else(|| kept.get(&pattern.id));
            // It is gone since: its title is all that is left.
            known.map_or_else(|| Arc::new(Sketch::of(&pattern.title)), |(_, sketch)| Arc::clone(sketch))
        };
        let sketches = patterns.iter().map(of).collect();
        if kept.len() + made.len() > KEPT_MAX {
            kept.clear();
        }
        kept.extend(made);
        Ok(sketches)
    }
}
