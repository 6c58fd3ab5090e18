//! Removing a fleet, with its runs: a wish of `qe_fleet_init`.

use std::time::{Duration, Instant};

use aqe_core::inprocess::Caller;
use aqe_store::UnixMillis;
use aqe_store::work::{Cancel, Fleet, FleetRemoved, RunQuery, Target};
use serde::Deserialize;
use serde_json::json;

use super::super::Fleets;
use super::super::engine::Event;
use super::super::runner::GRACE;
use super::{cancel, find, refuse};
use crate::reply::{Refusal, structured};

/// How long is waited for running tasks to end: they are asked to, and killed after [`GRACE`]; those of other servers hear of
/// it with their next heartbeat, within 3 s.
const WAIT: Duration = GRACE.saturating_add(Duration::from_secs(8));

/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// Runs of a page.
const PAGE: u32 = 200;

/// What becomes of tasks that are not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Remove {
    /// They go on, and nothing is removed.
    Idle,
    /// They are cancelled.
    Cancel,
}

pub(super) async fn run(
    fleets: &Fleets,
    name: Option<&str>,
    how: Remove,
    caller: Caller<'_>,
    now: UnixMillis,
) -> Result<Vec<u8>, Refusal> {
    let (fleet, plan) = find(fleets, caller.principal, name).await?;
    let cancelled = if how == Remove::Cancel { cancel_all(fleets, &fleet, now).await? } else { 0 };
    let until = (Instant::now() + WAIT).min(caller.deadline.checked_sub(LOOK).unwrap_or(caller.deadline));
    loop {
        let scope = Some(caller.principal.to_owned());
        let removed = fleets.shared.store.remove_fleet(scope, fleet.id.clone()).await;
        match removed.map_err(|error| refuse(&error))? {
            FleetRemoved::Removed => break,
            FleetRemoved::Absent => return Err(Refusal("the fleet was removed by another call".into())),
            FleetRemoved::Busy { open } if how == Remove::Idle => {
                return Err(Refusal(format!(
                    "{open} tasks of the fleet are not over: wait for them, or cancel them with it: `remove` cancel"
                )));
            }
            FleetRemoved::Busy { open } if Instant::now() >= until => {
                return Err(Refusal(format!("{open} tasks of the fleet have not ended yet: try again")));
            }
            FleetRemoved::Busy { .. } => tokio::time::sleep(LOOK).await,
        }
    }
    fleets.tell(Event::Removed(fleet.id.clone()))?;
    structured(&json!({
        "fleet_id": fleet.id, "name": plan.name, "created": false, "removed": true, "cancelled": cancelled,
        "effective": null,
    }))
}

/// Cancels all runs of a fleet that are not over; how many.
async fn cancel_all(fleets: &Fleets, fleet: &Fleet, now: UnixMillis) -> Result<usize, Refusal> {
    let store = &fleets.shared.store;
    let scope = Some(fleet.principal.clone());
    let mut query =
        RunQuery { scope: scope.clone(), fleet: Some(fleet.id.clone()), before: None, most: PAGE };
    let mut count = 0;
    loop {
        let page = store.runs(query.clone()).await.map_err(|error| refuse(&error))?;
        for run in page.items.into_iter().filter(|run| run.ended.is_none()) {
            let reason = "its fleet is removed".to_owned();
            let cancel = Cancel { scope: scope.clone(), target: Target::Run(run.id), reason, now };
            cancel::end(fleets, cancel).await?;
            count += 1;
        }
        match page.next {
            Some(next) => query.before = Some(next),
            None => return Ok(count),
        }
    }
}
