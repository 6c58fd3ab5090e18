//! Which files are asked about.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::reply::Refusal;

/// Patterns of one call.
const MOST_PATTERNS: usize = 100;

/// Globs as of `.gitignore`: `*` stops at `/`, `**` does not.
#[derive(Debug)]
pub(super) struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Filter {
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, Refusal> {
        Ok(Self {
            include: (!include.is_empty()).then(|| globs("include", include)).transpose()?,
            exclude: globs("exclude", exclude)?,
        })
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path)) && !self.exclude.is_match(path)
    }
}

fn globs(argument: &str, patterns: &[String]) -> Result<GlobSet, Refusal> {
    if patterns.len() > MOST_PATTERNS {
        return Err(Refusal(format!(
            "`{argument}`: {} patterns are more than {MOST_PATTERNS}",
            patterns.len()
        )));
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // A folder means all that is in it.
        let whole = if pattern.ends_with('/') { format!("{pattern}**") } else { pattern.clone() };
        let glob = GlobBuilder::new(&whole).literal_separator(true).build();
        set.add(glob.map_err(|error| Refusal(format!("`{argument}`: {error}")))?);
    }
    set.build().map_err(|error| Refusal(format!("`{argument}`: {error}")))
}
