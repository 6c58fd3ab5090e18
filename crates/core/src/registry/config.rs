//! The settings of the registry (`[registry]` in the configuration), as validated values.

use thiserror::Error;

use super::glob::Glob;
use super::naming::NamingRule;

/// All settings that decide what a [`Snapshot`](super::Snapshot) looks like and how it answers.
#[derive(Debug, Clone, Default)]
pub struct RegistryConfig {
    /// Which exact index to build.
    pub index: IndexKind,
    /// How names are shown.
    pub naming: NamingRule,
    /// What a call with an unknown name may lead to.
    pub fuzzy: FuzzyPolicy,
    /// When two names are near enough.
    pub rule: FuzzyRule,
    /// Categories and the shown names that belong to each; the first that fits counts, before what the upstream and
    /// the tool say.
    pub categories: Vec<(Box<str>, Vec<Glob>)>,
}

impl RegistryConfig {
    /// The configured category of the tool that is shown as `shown`.
    pub(super) fn category_of(&self, shown: &str) -> Option<&str> {
        let fits = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(shown));
        self.categories.iter().find(|(_, globs)| fits(globs)).map(|(category, _)| &**category)
    }
}

/// The structure behind exact lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IndexKind {
    /// A hash table: the fastest exact lookup; listing by prefix scans all names.
    #[default]
    Hash,
    /// A radix tree: exact lookup in the length of the name, and listing by prefix in the length of the answer.
    Trie,
}

/// What a call with a name that no tool has may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FuzzyPolicy {
    /// Run the nearest tool where that is safe (see [`Snapshot::lookup`](super::Snapshot::lookup)), else suggest.
    #[default]
    Resolve,
    /// Never run a near tool; name the nearest in the error.
    Suggest,
    /// Neither run nor name a near tool.
    Off,
}

/// When a near name counts as a misspelling of exactly one tool: similar enough, few edits away, and ahead of the
/// next candidate, all at once; and some word of it must be in no tool's name.
///
/// The threshold alone is unsafe: on names of 25 characters it allows five edits, enough to turn `get` into
/// `set` or `create` into `delete`. And two edits are enough to turn `gitlab` into `github`: a name that consists of
/// words that other tools' names have is that of another tool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FuzzyRule {
    threshold: f64,
    max_edits: u8,
    margin: u8,
}

impl FuzzyRule {
    /// Default least similarity: normalised optimal string alignment, 1 is equality.
    pub const DEFAULT_THRESHOLD: f64 = 0.8;
    /// Most edits between a misspelt name and the tool it resolves to.
    pub const MAX_EDITS: u8 = 2;
    /// Edits by which the best candidate must lead the second best.
    pub const MARGIN: u8 = 1;

    /// A rule with the given least similarity, and [`Self::MAX_EDITS`] and [`Self::MARGIN`].
    ///
    /// # Errors
    /// [`RegistryConfigError::Threshold`] unless `threshold` lies within 0 and 1.
    pub fn with_threshold(threshold: f64) -> Result<Self, RegistryConfigError> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(RegistryConfigError::Threshold(threshold));
        }
        Ok(Self { threshold, max_edits: Self::MAX_EDITS, margin: Self::MARGIN })
    }

    /// Least similarity, between 0 and 1.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Most edits between the two names.
    pub fn max_edits(&self) -> u8 {
        self.max_edits
    }

    /// Edits by which the best candidate must lead the second best; at least 1.
    pub fn margin(&self) -> u8 {
        self.margin
    }
}

impl Default for FuzzyRule {
    fn default() -> Self {
        Self { threshold: Self::DEFAULT_THRESHOLD, max_edits: Self::MAX_EDITS, margin: Self::MARGIN }
    }
}

/// A setting of the registry that cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RegistryConfigError {
    /// The similarity threshold is not a number between 0 and 1.
    #[error("fuzzy_threshold must lie between 0 and 1, not {0}")]
    Threshold(f64),
    /// The separator is empty, too long or has characters that names may not have.
    #[error("separator must be 1 to {max} characters of A-Z a-z 0-9 _ . -, not {given:?}", max = super::naming::MAX_SEPARATOR)]
    Separator {
        /// What was given.
        given: Box<str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_outside_zero_to_one_is_refused() {
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(FuzzyRule::with_threshold(bad).is_err(), "{bad}");
        }
        assert_eq!(FuzzyRule::with_threshold(0.8).unwrap(), FuzzyRule::default());
    }
}
