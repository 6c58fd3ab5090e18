//! What was measured of a project at a commit.

use crate::UnixMillis;

/// Values of one commit on one branch. Only what was measured is in it: what is not known is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The project, by its absolute path.
    pub project: String,
    pub branch: String,
    pub commit: String,
    /// When the commit was made: the order of a history.
    pub at: UnixMillis,
    /// Name of the metric, and its value, which is finite.
    pub values: Vec<(String, f64)>,
}
