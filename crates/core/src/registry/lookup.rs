//! What to do with the name that a caller gave: exactly this tool, the one it must have meant, or none.

use std::sync::Arc;

use super::config::FuzzyPolicy;
use super::entry::ToolEntry;
use super::nearest::Candidate;
use super::resolved::ResolvedNames;
use super::snapshot::Snapshot;

/// Most suggestions in the answer to an unknown name.
pub const MAX_SUGGESTIONS: usize = 3;

/// What a name means.
#[derive(Debug, Clone)]
pub enum Lookup<'s> {
    /// A tool is shown under exactly this name. Whether the caller may use it is not decided here.
    Exact(&'s Arc<ToolEntry>),
    /// No tool has the name, but it can only be a misspelling of this one, which is safe to run.
    Resolved {
        /// The tool to run; the reply must say so.
        entry: &'s Arc<ToolEntry>,
        /// Similarity of the two names in the form that matched: 1 is equality.
        similarity: f64,
        /// Edits between the two names in the form that matched.
        edits: u8,
        /// The form in which they matched.
        variant: Variant,
    },
    /// No tool has the name, and none may run in its place.
    Unknown {
        /// The most similar tools that the caller may see, most similar first; may be empty.
        suggestions: Vec<Suggestion<'s>>,
    },
}

/// A tool that a name may have meant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Suggestion<'s> {
    /// The tool.
    pub entry: &'s Arc<ToolEntry>,
    /// Similarity of the two names in the form that matched: 1 is equality.
    pub similarity: f64,
    /// The form in which they were compared.
    pub variant: Variant,
}

/// The form in which two names were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// The same but for upper and lower case.
    Case,
    /// As written, case ignored.
    Spelling,
    /// The same without `-`, `_` and `.`.
    Separators,
    /// The caller's name has no vowels and is the tool's name without vowels.
    Vowels,
    /// The tool's name without the prefix of its upstream. Only ever suggested.
    Prefix,
}

impl Variant {
    /// A word for logs, metrics and replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Spelling => "spelling",
            Self::Separators => "separators",
            Self::Vowels => "vowels",
            Self::Prefix => "prefix",
        }
    }
}

impl Snapshot {
    /// What `name` means to a caller that may see the tools for which `visible` holds.
    ///
    /// A near name is resolved only if the policy is [`FuzzyPolicy::Resolve`], the rule leaves exactly one candidate
    /// among *all* tools (also those that the caller may not see, so that hiding a tool never redirects a call), the
    /// caller may see it, and it is read-only by the word of somebody we trust
    /// ([`ToolEntry::may_run_for_near_name`]).
    pub fn lookup<'s>(
        &'s self,
        name: &str,
        resolved: &ResolvedNames,
        visible: impl Fn(&ToolEntry) -> bool,
    ) -> Lookup<'s> {
        if let Some(entry) = self.get(name) {
            return Lookup::Exact(entry);
        }
        if self.config().fuzzy == FuzzyPolicy::Off {
            return Lookup::Unknown { suggestions: Vec::new() };
        }
        if self.config().fuzzy == FuzzyPolicy::Resolve
            && let Some(candidate) = self.candidate(name, resolved)
        {
            let entry = self.at(candidate.id);
            if entry.may_run_for_near_name() && visible(entry) {
                resolved.count_resolved();
                let Candidate { similarity, edits, variant, .. } = candidate;
                return Lookup::Resolved { entry, similarity, edits, variant };
            }
        }
        Lookup::Unknown { suggestions: self.nearest(name, MAX_SUGGESTIONS, visible) }
    }

    /// The tools most like `name`, whatever the policy says: most similar first, at most `count`, none
    /// less than 0.6 alike, and only those for which `visible` holds.
    pub fn nearest<'s>(
        &'s self,
        name: &str,
        count: usize,
        visible: impl Fn(&ToolEntry) -> bool,
    ) -> Vec<Suggestion<'s>> {
        let ranked = self.names().ranked(name, count, |id| visible(self.at(id)));
        let suggestion = |Candidate { id, similarity, variant, .. }| Suggestion {
            entry: self.at(id),
            similarity,
            variant,
        };
        ranked.into_iter().map(suggestion).collect()
    }

    fn candidate(&self, name: &str, resolved: &ResolvedNames) -> Option<Candidate> {
        if let Some(known) = resolved.get(self.fingerprint(), name) {
            return Some(known);
        }
        let best = self.names().best(name, &self.config().rule)?;
        if self.at(best.id).may_run_for_near_name() {
            resolved.insert(self.fingerprint(), name, best);
        }
        Some(best)
    }
}
