//! The four tools over fleets.

mod cancel;
mod durable;
mod init;
mod orchestrate;
mod remove;
mod spawn;
mod status;

use aqe_core::inprocess::Caller;
use aqe_store::work::Fleet;
use aqe_store::{StoreError, UnixMillis};
use sha2::{Digest as _, Sha256};

use super::Fleets;
use super::keep::hexadecimal;
use super::plan::Plan;
use crate::reply::Refusal;

/// Their definitions, in the order of use.
pub(crate) const DEFINITIONS: [&str; 4] =
    [init::DEFINITION, status::DEFINITION, spawn::DEFINITION, orchestrate::DEFINITION];

const NAMES: [&str; 4] = ["qe_fleet_init", "qe_fleet_status", "qe_agent_spawn", "qe_task_orchestrate"];

/// The name as the table of tools has it, if it is one of these.
pub(crate) fn named(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|it| *it == name)
}

/// Calls one of them.
pub(crate) async fn call(
    fleets: Option<&Fleets>,
    name: &str,
    arguments: &str,
    caller: Caller<'_>,
    now: UnixMillis,
) -> Result<Vec<u8>, Refusal> {
    match name {
        "qe_fleet_init" => init::run(fleets, arguments, caller, now).await,
        "qe_fleet_status" => status::run(fleets, arguments, caller, now).await,
        "qe_agent_spawn" => spawn::run(fleets, arguments, caller).await,
        _ => orchestrate::run(fleets, arguments, caller, now).await,
    }
}

/// The fleets, if this process has any.
fn there(fleets: Option<&Fleets>) -> Result<&Fleets, Refusal> {
    let none = "fleets live in a server: start one with `aqe-v3 mcp start`, then ask it with `aqe-v3 fleet`";
    fleets.ok_or_else(|| Refusal(none.into()))
}

fn refuse(error: &StoreError) -> Refusal {
    Refusal(error.to_string())
}

/// An id that nobody can guess: 128 random bits. Ids of MCP tasks begin with `aqe`.
fn new_id(prefix: &str) -> Result<String, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Refusal(format!("the system has no randomness: {error}")))?;
    Ok(format!("{prefix}-{:032x}", u128::from_ne_bytes(random)))
}

/// The name of a fleet in the store: two folders may each have one of the same name.
fn stored_name(name: &str, folder: &str) -> String {
    let digest = Sha256::digest(folder.as_bytes());
    let mark = hexadecimal(&digest[..8]);
    format!("{name}@{mark}")
}

/// The folder whose fleets this server works for.
fn folder(fleets: &Fleets) -> Result<String, Refusal> {
    let folder = fleets.shared.folder.as_ref();
    folder
        .map(|folder| folder.to_string_lossy().into_owned())
        .ok_or_else(|| Refusal("no folder may be read: set `roots` in [qe] to the projects' folders".into()))
}

/// The caller's fleets of this folder.
async fn own(fleets: &Fleets, principal: &str) -> Result<Vec<(Fleet, Plan)>, Refusal> {
    let folder = folder(fleets)?;
    let all = fleets.shared.store.fleets(Some(principal.to_owned())).await.map_err(|error| refuse(&error))?;
    let read = all.into_iter().filter_map(|fleet| {
        let plan: Plan = serde_json::from_str(&fleet.settings).ok()?;
        Some((fleet, plan))
    });
    Ok(read.filter(|(_, plan)| plan.folder == folder).collect())
}

/// The caller's fleet of that id or name; without one the only one, or that of the name `default`.
async fn find(fleets: &Fleets, principal: &str, wanted: Option<&str>) -> Result<(Fleet, Plan), Refusal> {
    let mut own = own(fleets, principal).await?;
    let place = match wanted {
        Some(wanted) => own.iter().position(|(fleet, plan)| fleet.id == wanted || plan.name == wanted),
        None if own.len() == 1 => Some(0),
        None => own.iter().position(|(_, plan)| plan.name == init::DEFAULT_NAME),
    };
    place.map(|place| own.swap_remove(place)).ok_or_else(|| {
        Refusal(match (wanted, own.len()) {
            (_, 0) => "there is no fleet: make one with qe_fleet_init".into(),
            (Some(wanted), _) => format!("there is no fleet `{wanted}`; qe_fleet_status lists them"),
            (None, _) => "there are several fleets: say which by `fleet_id`".into(),
        })
    })
}
