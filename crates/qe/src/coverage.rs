//! Coverage: reports of all formats as one model, and what they say of a working tree.

pub(crate) mod analyze;
pub(crate) mod collect;
mod discover;
mod filter;
pub(crate) mod formats;
pub(crate) mod gaps;
pub(crate) mod load;
pub(crate) mod model;
mod nocov;
pub(crate) mod page;
pub(crate) mod patch;
pub(crate) mod path_map;
mod paths;
mod threads;
mod totals;

use std::time::{Duration, Instant};

pub use formats::{Format, ReadError};

use crate::stop::Stop;

/// What a report says in sum: how many are covered of how many; `None` of what it has not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What it was read as.
    pub format: Format,
    /// Files that it has.
    pub files: usize,
    /// Lines with code.
    pub line: Option<(u64, u64)>,
    /// Outcomes of decisions.
    pub branch: Option<(u64, u64)>,
    /// Functions.
    pub function: Option<(u64, u64)>,
    /// What was left out and why.
    pub warnings: Vec<String>,
}

/// Reads a coverage report of any format, for whoever wants to know how it is read: benches and fuzz targets.
///
/// # Errors
/// If it is no report, or a broken one; if it takes longer than `most`.
pub fn summarize(report: &[u8], most: Duration) -> Result<Summary, ReadError> {
    let (stop, _call) = Stop::at(Instant::now() + most);
    let parsed = formats::read(report, &stop)?;
    let totals = parsed.report.totals();
    let pair = |counts: Option<model::Counts>| counts.map(|counts| (counts.covered, counts.total));
    Ok(Summary {
        format: parsed.format,
        files: parsed.report.files().len(),
        line: pair(totals.line),
        branch: pair(totals.branch),
        function: pair(totals.function),
        warnings: parsed.warnings,
    })
}
