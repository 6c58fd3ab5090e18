//! What any store promises of patterns and what was observed of them.

use super::StoreFuture;
use crate::UnixMillis;
use crate::learning::{
    Ended, Kept, Learned, Lesson, Lessons, Observation, Observed, Pattern, PatternId, Rule, Which,
};

/// What was learnt. It belongs to a principal, and no other sees it.
pub trait LearningStore {
    /// Counts observations in their order, all or none, and makes the patterns that are not there. Answered when it would
    /// outlive a power failure. Two writers lose none of each other's.
    ///
    /// Each trial is foretold first, from the narrowest context that has enough, and the forecast kept beside the outcome.
    /// An observation of a pattern that became part of another counts for that. One without trials only tells what the
    /// pattern says, and takes back that somebody retired it.
    ///
    /// The oldest observations beyond [`OBSERVATIONS_PER_PRINCIPAL`](crate::limits::OBSERVATIONS_PER_PRINCIPAL) go, which
    /// changes no tally. Beyond [`CONTEXTS_PER_PATTERN`](crate::limits::CONTEXTS_PER_PATTERN), new contexts count in those
    /// that are there already, and in "any".
    ///
    /// # Errors
    /// [`StoreError::Pattern`](crate::StoreError::Pattern) for an id that is not there;
    /// [`StoreError::Limit`](crate::StoreError::Limit) for texts beyond the bounds, and for a pattern beyond
    /// [`PATTERNS_PER_PRINCIPAL`](crate::limits::PATTERNS_PER_PRINCIPAL) if none that is retired can go.
    fn observe(
        &self,
        principal: String,
        observations: Vec<Observation>,
        rule: Rule,
    ) -> StoreFuture<'_, Vec<Observed>>;

    /// Counts what attempts of tasks have come to since it was asked last, at most
    /// [`LESSONS_MAX`](crate::limits::LESSONS_MAX) of them: for the principal of each, once, whoever dies meanwhile. That an
    /// attempt is to be learnt from is kept with its end, and forgotten with the observation, in one transaction. What teaches
    /// nothing (`None`) is not looked at again.
    ///
    /// Answered before it is on disk: what a power failure takes is counted when it is asked next.
    fn learn_from_tasks(&self, lesson: fn(&Ended) -> Option<Lesson>, rule: Rule) -> StoreFuture<'_, Lessons>;

    /// Notes that patterns were suggested. Of what to do, the next outcome that somebody asserts within
    /// [`SUGGESTION_COUNTS_MS`](crate::limits::SUGGESTION_COUNTS_MS) is one of a suggestion that was used.
    fn suggested(&self, principal: String, patterns: Vec<PatternId>, now: UnixMillis) -> StoreFuture<'_, ()>;

    /// Patterns, in the order of their ids.
    fn patterns(&self, principal: String, which: Which) -> StoreFuture<'_, Vec<Pattern>>;

    /// The newest observations of a pattern that are still kept, at most so many, the newest first.
    fn observations(&self, principal: String, pattern: PatternId, most: u32) -> StoreFuture<'_, Vec<Kept>>;

    /// Retires a pattern until it is told anew.
    ///
    /// # Errors
    /// [`StoreError::Pattern`](crate::StoreError::Pattern) for an id that is not there.
    fn retire(&self, principal: String, pattern: PatternId, now: UnixMillis) -> StoreFuture<'_, ()>;

    /// Makes `part` a part of `whole`: its tallies, observations and later observations count there. Evidence that both
    /// have is kept once, but has counted twice.
    ///
    /// # Errors
    /// [`StoreError::Pattern`](crate::StoreError::Pattern) for an id that is not there, one pattern twice, or two
    /// polarities.
    fn merge(&self, principal: String, part: PatternId, whole: PatternId, rule: Rule) -> StoreFuture<'_, ()>;

    /// Sums over all patterns of a principal.
    fn learned(&self, principal: String) -> StoreFuture<'_, Learned>;
}
