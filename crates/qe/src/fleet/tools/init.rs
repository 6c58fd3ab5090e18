//! `qe_fleet_init`: a fleet, and its first agents.

use aqe_core::inprocess::Caller;
use aqe_store::UnixMillis;
use aqe_store::work::Fleet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Fleets;
use super::super::engine::{AgentShown, Event};
use super::super::plan::{AGENTS_MAX, Plan, Topology, Worker};
use super::{folder, new_id, refuse, remove, status, stored_name, there};
use crate::arguments;
use crate::reply::{Refusal, structured};

/// The tool as it is listed.
pub(crate) const DEFINITION: &str = r#"{"name":"qe_fleet_init","title":"Start fleet","description":"Make a fleet of agents that run tasks by profiles (pytest, nextest, cargo-test, npm-test, builtin:qe_..., the operator's). One of that name is reused: `differs` says what is not as asked, `update` changes it.","inputSchema":{"type":"object","properties":{"name":{"type":"string","default":"default"},"workers":{"type":"array","description":"default: every profile","items":{"type":"object","properties":{"profile":{"type":"string"},"min":{"type":"integer"},"max":{"type":"integer"}},"required":["profile"]}},"max_concurrency":{"type":"integer"},"topology":{"enum":["pool","pipeline","hierarchical"],"default":"pool","description":"pipeline: workers are stages"},"prewarm":{"type":"boolean"},"update":{"type":"boolean"},"remove":{"enum":["idle","cancel"]}},"required":[]},"outputSchema":{"type":"object","required":["fleet_id","created","effective"]},"annotations":{"idempotentHint":true,"openWorldHint":false}}"#;

/// The name of a fleet without one.
pub(super) const DEFAULT_NAME: &str = "default";

/// Characters of a name.
const NAME_MAX: usize = 64;

/// Profiles of one fleet: as many as a claim can name.
const WORKERS_MAX: usize = aqe_store::limits::PROFILES_PER_CLAIM;

/// Tasks of one fleet that run at a time.
const CONCURRENCY_MAX: u32 = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    name: Option<String>,
    workers: Option<Vec<Worker>>,
    max_concurrency: Option<u32>,
    topology: Option<String>,
    prewarm: Option<bool>,
    update: Option<bool>,
    remove: Option<remove::Remove>,
}

#[derive(Debug, Serialize)]
struct Reply {
    fleet_id: String,
    name: String,
    created: bool,
    updated: bool,
    /// What was asked for and is not so.
    differs: Vec<Value>,
    effective: Value,
    workers: Vec<AgentShown>,
    capacity: u32,
}

pub(super) async fn run(
    fleets: Option<&Fleets>,
    arguments: &str,
    caller: Caller<'_>,
    now: UnixMillis,
) -> Result<Vec<u8>, Refusal> {
    let asked: Arguments = arguments::parse(arguments)?;
    let fleets = there(fleets)?;
    if let Some(how) = asked.remove {
        return remove::run(fleets, asked.name.as_deref(), how, caller, now).await;
    }
    let (plan, max_running) = plan(fleets, &asked)?;
    let wanted = Fleet {
        id: new_id("fleet")?,
        principal: caller.principal.to_owned(),
        name: stored_name(&plan.name, &plan.folder),
        settings: serde_json::to_string(&plan).map_err(|error| Refusal(error.to_string()))?,
        max_running,
        created: now,
    };
    let store = &fleets.shared.store;
    let made = store.create_fleet(wanted.clone()).await.map_err(|error| refuse(&error))?;
    let mut fleet = made.fleet;
    let mut updated = false;
    if !made.is_new && asked.update == Some(true) {
        let new = Fleet { settings: wanted.settings.clone(), max_running, ..fleet.clone() };
        fleet = store.update_fleet(new).await.map_err(|error| refuse(&error))?.unwrap_or(fleet);
        updated = true;
    }
    let unreadable =
        |error: serde_json::Error| Refusal(format!("the fleet's settings cannot be read: {error}"));
    let mut in_effect: Plan = serde_json::from_str(&fleet.settings).map_err(unreadable)?;
    if in_effect.keeper != plan.keeper {
        in_effect.keeper.clone_from(&plan.keeper);
        let settings = serde_json::to_string(&in_effect).map_err(unreadable)?;
        let before = std::mem::replace(&mut fleet.settings, settings.clone());
        store.swap_settings(fleet.id.clone(), before, settings).await.map_err(|error| refuse(&error))?;
    }
    let differs = differs(&asked, (&plan, max_running), (&in_effect, fleet.max_running));
    fleets.tell(Event::Fleet(Box::new(fleet.clone())))?;
    let figures = status::figures(fleets, &fleet.id).await?;
    structured(&Reply {
        fleet_id: fleet.id,
        name: in_effect.name.clone(),
        created: made.is_new,
        updated,
        differs,
        effective: effective(&in_effect, fleet.max_running),
        workers: figures.agents,
        capacity: in_effect.workers.iter().map(|worker| worker.max).sum::<u32>().min(fleet.max_running),
    })
}

/// A fleet's settings, as they are shown.
pub(super) fn effective(plan: &Plan, max_running: u32) -> Value {
    json!({
        "topology": plan.topology, "max_concurrency": max_running,
        "workers": plan.workers, "prewarm": plan.prewarm,
    })
}

fn differs(asked: &Arguments, wanted: (&Plan, u32), is: (&Plan, u32)) -> Vec<Value> {
    let all = [
        (asked.workers.is_some(), "workers", json!(wanted.0.workers), json!(is.0.workers)),
        (asked.max_concurrency.is_some(), "max_concurrency", json!(wanted.1), json!(is.1)),
        (asked.topology.is_some(), "topology", json!(wanted.0.topology), json!(is.0.topology)),
        (asked.prewarm.is_some(), "prewarm", json!(wanted.0.prewarm), json!(is.0.prewarm)),
    ];
    let differing = all.into_iter().filter(|(is_asked, _, wanted, is)| *is_asked && wanted != is);
    differing.map(|(_, what, asked, is)| json!({ "what": what, "asked": asked, "in_effect": is })).collect()
}

fn plan(fleets: &Fleets, asked: &Arguments) -> Result<(Plan, u32), Refusal> {
    let name = asked.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
    let is_name = !name.is_empty() && name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    if !is_name {
        return Err(Refusal(format!("`name` must have 1 to {NAME_MAX} characters")));
    }
    let topology = match asked.topology.as_deref() {
        None | Some("pool") => Topology::Pool,
        Some("pipeline") => Topology::Pipeline,
        Some("hierarchical") => Topology::Hierarchical,
        Some(other) => {
            return Err(Refusal(format!(
                "`topology`: `{other}` would change nothing, as agents do not talk to each other; there are pool (one \
                 queue), pipeline (workers are stages) and hierarchical (tasks may submit tasks)"
            )));
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let max_running = asked.max_concurrency.unwrap_or(processors as u32);
    if !(1..=CONCURRENCY_MAX).contains(&max_running) {
        return Err(Refusal(format!("`max_concurrency` must be from 1 to {CONCURRENCY_MAX}")));
    }
    let workers = match &asked.workers {
        Some(workers) => check(fleets, workers)?,
        None if topology == Topology::Pipeline => {
            return Err(Refusal("a pipeline needs `workers`: they are its stages, in order".into()));
        }
        None => every(fleets, max_running),
    };
    let prewarm = asked.prewarm.unwrap_or(true);
    let keeper = Some(fleets.shared.server.clone());
    Ok((Plan { name, folder: folder(fleets)?, topology, workers, prewarm, keeper }, max_running))
}

fn every(fleets: &Fleets, max_running: u32) -> Vec<Worker> {
    let enabled = fleets.shared.profiles.values().filter(|profile| profile.is_enabled).take(WORKERS_MAX);
    let worker = |profile: String| Worker { profile, min: 0, max: max_running.min(AGENTS_MAX) };
    enabled.map(|profile| worker(profile.name.clone())).collect()
}

fn check(fleets: &Fleets, workers: &[Worker]) -> Result<Vec<Worker>, Refusal> {
    if workers.is_empty() || workers.len() > WORKERS_MAX {
        return Err(Refusal(format!("`workers` must name 1 to {WORKERS_MAX} profiles")));
    }
    let mut seen: Vec<&str> = Vec::new();
    for worker in workers {
        let Worker { profile, min, max } = worker;
        enabled(fleets, profile)?;
        if *max < 1 || *max > AGENTS_MAX || min > max {
            return Err(Refusal(format!(
                "`workers` of `{profile}`: 0 <= min <= max, and 1 <= max <= {AGENTS_MAX}"
            )));
        }
        if seen.contains(&profile.as_str()) {
            return Err(Refusal(format!("`workers` names `{profile}` twice")));
        }
        seen.push(profile);
    }
    if workers.iter().map(|worker| worker.min).sum::<u32>() > AGENTS_MAX {
        return Err(Refusal(format!("`min` of all workers together may be {AGENTS_MAX} at most")));
    }
    Ok(workers.to_vec())
}

/// A profile that tasks may use.
pub(super) fn enabled<'a>(
    fleets: &'a Fleets,
    name: &str,
) -> Result<&'a super::super::profile::Profile, Refusal> {
    let profiles = &fleets.shared.profiles;
    match profiles.get(name) {
        Some(profile) if profile.is_enabled => Ok(profile),
        Some(_) => Err(Refusal(format!(
            "the profile `{name}` is off: the operator can switch it on: [[fleet.profile]] name = \"{name}\""
        ))),
        None => {
            let known: Vec<&str> =
                profiles.values().filter(|it| it.is_enabled).map(|it| it.name.as_str()).collect();
            Err(Refusal(format!("there is no profile `{name}`; there are: {}", known.join(", "))))
        }
    }
}
