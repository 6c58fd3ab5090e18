//! What a harness that runs inside of an interpreter answers, in one form for all of them.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::files;
use crate::project::child::{Output, RunError};
use crate::reply::Refusal;

/// Why there is no answer.
pub(super) enum Asked {
    /// The harness says why, or could not be started.
    Refused(Refusal),
    /// The process ended without an answer.
    Died(String),
}

impl Asked {
    /// Where the end of `process` leaves nothing to answer.
    pub(super) fn refusal(self, process: &str) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Died(how) => Refusal(format!("{process} ended: {how}")),
        }
    }
}

/// How the process ended; `Err` if it did not by itself.
pub(super) fn ended(output: Result<Output, RunError>) -> Result<Output, Asked> {
    output.map_err(|error| match error {
        RunError::Stopped { .. } => Asked::Died("it did not end in time".into()),
        error => refused(error.to_string()),
    })
}

/// What a harness that `program` ran has answered.
pub(super) fn answer<T: DeserializeOwned>(output: &Output, program: &str) -> Result<T, Asked> {
    if output.stdout.is_empty() {
        return Err(match output.status.code() {
            Some(127) => refused(format!("{program} is not installed")),
            _ => Asked::Died(files::ended(output.status)),
        });
    }
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Asked::Died(format!("its answer cannot be read: {error}")))?;
    if let Some(failed) = answer.get("failed").and_then(Value::as_str) {
        return Err(refused(failed.to_owned()));
    }
    if let Some(fault) = answer.get("fault").and_then(Value::as_str) {
        return Err(refused(format!(
            "this is a fault of ours, not of the code: the harness failed: {fault}"
        )));
    }
    serde_json::from_value(answer)
        .map_err(|error| refused(format!("this is a fault of ours: the harness answered otherwise: {error}")))
}

fn refused(text: String) -> Asked {
    Asked::Refused(Refusal(text))
}
