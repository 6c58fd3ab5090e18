//! Cancelling a run or a task: an action of `qe_task_orchestrate`.

use aqe_store::UnixMillis;
use aqe_store::work::{Cancel, Cancelled, Target};
use serde_json::json;

use super::super::Fleets;
use super::super::engine::Event;
use super::orchestrate::SHOWN;
use super::refuse;
use crate::reply::{Refusal, structured};

pub(super) async fn run(
    fleets: &Fleets,
    run: Option<&str>,
    task: Option<&str>,
    principal: &str,
    now: UnixMillis,
) -> Result<Vec<u8>, Refusal> {
    let (target, name) = match (run, task) {
        (Some(run), None) => (Target::Run(run.to_owned()), run),
        (None, Some(task)) => {
            (Target::Task(task.parse().map_err(|error| Refusal(format!("`task_id`: {error}")))?), task)
        }
        _ => return Err(Refusal("say what to cancel: `run_id` or `task_id`".into())),
    };
    let reason = "cancelled by its owner".to_owned();
    let cancel = Cancel { scope: Some(principal.to_owned()), target, reason, now };
    let cancelled =
        end(fleets, cancel).await?.ok_or_else(|| Refusal(format!("there is no run or task `{name}`")))?;
    let stopping: Vec<String> =
        cancelled.wished.iter().take(SHOWN as usize).map(ToString::to_string).collect();
    let count = cancelled.wished.len();
    structured(&json!({ "cancelled": cancelled.at_once, "stopping": count, "stopping_tasks": stopping }))
}

/// Cancels, and tells the agents of what runs. `None`: there is no such run or task.
pub(super) async fn end(fleets: &Fleets, cancel: Cancel) -> Result<Option<Cancelled>, Refusal> {
    let cancelled = fleets.shared.store.cancel(cancel).await.map_err(|error| refuse(&error))?;
    if let Some(cancelled) = cancelled.as_ref().filter(|cancelled| !cancelled.wished.is_empty()) {
        fleets.tell(Event::Cancel(cancelled.wished.clone()))?;
    }
    Ok(cancelled)
}
