//! `qe_task_orchestrate`: tasks and what they depend on, submitted at once; or cancelled.

use std::time::{Duration, Instant};

use aqe_core::durable::Later;
use aqe_core::inprocess::Caller;
use aqe_core::work::{Dependency, Graph, On, Priority};
use aqe_store::UnixMillis;
use aqe_store::limits::ATTEMPTS_MAX;
use aqe_store::work::{Children, ChildrenAdded, Fleet, NewTask, Policy, Submission, TaskId, TaskQuery};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::Fleets;
use super::super::engine::Event;
use super::super::plan::{Plan, Topology};
use super::super::profile::Work;
use super::{cancel, find, init, new_id, refuse, status, there};
use crate::arguments;
use crate::reply::{Refusal, structured};

/// The tool as it is listed.
pub(crate) const DEFINITION: &str = r#"{"name":"qe_task_orchestrate","title":"Run tasks","description":"Run tasks in a fleet, as a graph, durably; qe_fleet_status shows them. Or `action: cancel` a run or task. In a hierarchical fleet a running task submits more with `parent`.","inputSchema":{"type":"object","properties":{"fleet_id":{"type":"string"},"tasks":{"type":"array","items":{"type":"object","properties":{"key":{"type":"string"},"profile":{"type":"string"},"args":{"type":"object"},"depends_on":{"type":"array","items":{"type":"string"}},"on":{"enum":["success","done"]},"priority":{"type":"integer","maximum":9},"timeout_ms":{"type":"integer"},"retries":{"type":"integer"}},"required":["key","profile"]}},"failure":{"enum":["continue","fail_fast"]},"deadline_ms":{"type":"integer"},"wait_ms":{"type":"integer"},"dry_run":{"type":"boolean"},"idempotency_key":{"type":"string"},"parent":{"type":"string"},"action":{"enum":["submit","cancel"]},"run_id":{"type":"string"},"task_id":{"type":"string"}},"required":[]},"outputSchema":{"type":"object"},"annotations":{"openWorldHint":true}}"#;

/// Tasks that are shown in the answer; `qe_fleet_status` shows all.
pub(super) const SHOWN: u32 = 100;

/// Longest waiting, and how often is looked meanwhile.
const WAIT_MAX_MS: u64 = 600_000;
const LOOK: Duration = Duration::from_millis(50);

/// Longest deadline: what nobody waits for any more, after a month.
const DEADLINE_MAX_MS: i64 = 30 * 24 * 3600 * 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    fleet_id: Option<String>,
    tasks: Option<Vec<TaskAsked>>,
    failure: Option<Failure>,
    deadline_ms: Option<i64>,
    wait_ms: Option<u64>,
    dry_run: Option<bool>,
    idempotency_key: Option<String>,
    parent: Option<String>,
    action: Option<Action>,
    run_id: Option<String>,
    task_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskAsked {
    key: String,
    profile: String,
    args: Option<Map<String, Value>>,
    depends_on: Option<Vec<String>>,
    on: Option<Begin>,
    priority: Option<u8>,
    timeout_ms: Option<u64>,
    retries: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Begin {
    Success,
    Done,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Failure {
    Continue,
    FailFast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Submit,
    Cancel,
}

/// What a call came to.
pub(super) enum Said {
    /// A result.
    Result(Vec<u8>),
    /// A run of this id, for a caller that comes back for it.
    Run(String),
}

pub(super) async fn run(
    fleets: Option<&Fleets>,
    arguments: &str,
    caller: Caller<'_>,
    now: UnixMillis,
) -> Result<Vec<u8>, Refusal> {
    // What is wrong with the arguments is said first.
    let asked = arguments::parse(arguments)?;
    match carry_out(there(fleets)?, asked, caller, None, now).await? {
        Said::Result(result) => Ok(result),
        Said::Run(_) => Err(Refusal("this is a fault of ours: nobody comes back for the run".into())),
    }
}

/// `later`: when the caller would rather come back for the run.
pub(super) async fn begin(
    fleets: &Fleets,
    arguments: &str,
    caller: Caller<'_>,
    later: Option<Later>,
    now: UnixMillis,
) -> Result<Said, Refusal> {
    carry_out(fleets, arguments::parse(arguments)?, caller, later, now).await
}

async fn carry_out(
    fleets: &Fleets,
    mut asked: Arguments,
    caller: Caller<'_>,
    later: Option<Later>,
    now: UnixMillis,
) -> Result<Said, Refusal> {
    if asked.wait_ms.is_some_and(|wait| wait > WAIT_MAX_MS) {
        return Err(Refusal(format!("`wait_ms` may be {WAIT_MAX_MS} at most")));
    }
    if asked.action == Some(Action::Cancel) {
        let (run, task) = (asked.run_id.as_deref(), asked.task_id.as_deref());
        return cancel::run(fleets, run, task, caller.principal, now).await.map(Said::Result);
    }
    if asked.run_id.is_some() || asked.task_id.is_some() {
        return Err(Refusal(
            "`run_id` and `task_id` are for `action: cancel`; qe_fleet_status shows a run".into(),
        ));
    }
    let (fleet, plan) = find(fleets, caller.principal, asked.fleet_id.as_deref()).await?;
    let given = asked.tasks.take().unwrap_or_default();
    let mut tasks = given.iter().map(|task| new_task(fleets, &plan, task)).collect::<Result<Vec<_>, _>>()?;
    if plan.topology == Topology::Pipeline {
        chain(&plan, &mut tasks);
    }
    let nodes: Vec<_> = tasks.iter().map(|task| (task.key.as_str(), task.needs.as_slice())).collect();
    let graph = Graph::check(&nodes).map_err(|error| Refusal(error.to_string()))?;
    let path = graph.critical_path(|_| 1);
    let critical: Vec<&str> = path.tasks.iter().map(|task| nodes[*task].0).collect();
    let critical = json!({ "length": critical.len(), "keys": critical.into_iter().take(SHOWN as usize).collect::<Vec<_>>() });
    if asked.dry_run == Some(true) {
        let shown = json!({ "dry_run": true, "total": tasks.len(), "critical_path": critical });
        return structured(&shown).map(Said::Result);
    }
    if let Some(parent) = &asked.parent {
        return children(fleets, &plan, parent, tasks, caller.principal, now).await.map(Said::Result);
    }
    let (run, is_new) = submit(fleets, fleet, &asked, tasks, caller, now).await?;
    let mut wait_ms = asked.wait_ms.unwrap_or(0);
    match later {
        Some(Later::Always) => return Ok(Said::Run(run)),
        Some(Later::IfNotOver(patience)) => wait_ms = wait_ms.min(patience.as_millis() as u64),
        None => {}
    }
    wait_for(fleets, &run, wait_ms, caller).await?;
    let mut shown = shown(fleets, &run, caller.principal).await?;
    if later.is_some() && shown["open"] != 0 {
        return Ok(Said::Run(run));
    }
    shown["created"] = json!(is_new);
    shown["critical_path"] = critical;
    structured(&shown).map(Said::Result)
}

/// A task as the store takes it, checked as far as can be known before it runs.
fn new_task(fleets: &Fleets, plan: &Plan, asked: &TaskAsked) -> Result<NewTask, Refusal> {
    let at = |text: String| Refusal(format!("task `{}`: {text}", asked.key));
    let profile = init::enabled(fleets, &asked.profile).map_err(|refusal| at(refusal.0))?;
    if plan.worker(&asked.profile).is_none() {
        return Err(at(format!("the fleet has no workers of the profile `{}`", asked.profile)));
    }
    let args = asked.args.clone().unwrap_or_default();
    if let Work::Command(command) = &profile.work {
        let folder = command.cwd.as_ref().or(fleets.shared.folder.as_ref());
        let folder = folder.ok_or_else(|| at("no folder: set `roots` in [qe]".into()))?;
        command.argv(&args, folder).map_err(|error| at(error.to_string()))?;
    }
    if let Some(Err(error)) = profile.work.tool_call(&args) {
        return Err(at(error));
    }
    let retries = asked.retries.unwrap_or(profile.retries);
    if retries >= ATTEMPTS_MAX {
        return Err(at(format!("`retries` must be less than {ATTEMPTS_MAX}")));
    }
    let priority = match asked.priority {
        None => Priority::default(),
        Some(number) => Priority::new(number).ok_or_else(|| at("`priority` must be from 0 to 9".into()))?,
    };
    let on = match asked.on {
        None | Some(Begin::Success) => On::Success,
        Some(Begin::Done) => On::Done,
    };
    let most = profile.timeout.as_millis() as u64;
    if asked.timeout_ms.is_some_and(|ms| ms == 0 || ms > most) {
        return Err(at(format!("`timeout_ms` must be from 1 to {most}, which is the profile's")));
    }
    let needs = asked.depends_on.iter().flatten().map(|key| Dependency { key: key.clone(), on }).collect();
    Ok(NewTask {
        needs,
        priority,
        max_attempts: retries + 1,
        timeout_ms: asked.timeout_ms,
        ..NewTask::new(&asked.key, &asked.profile, json!({ "args": args }).to_string())
    })
}

/// In a pipeline each task depends on all of the stage before, that is, of the workers before its own that have tasks.
fn chain(plan: &Plan, tasks: &mut [NewTask]) {
    let stage = |task: &NewTask| plan.workers.iter().position(|worker| worker.profile == task.profile);
    let stages: Vec<Option<usize>> = tasks.iter().map(stage).collect();
    let keys: Vec<String> = tasks.iter().map(|task| task.key.clone()).collect();
    for (task, own) in tasks.iter_mut().zip(&stages) {
        let before = stages.iter().filter(|stage| *stage < own).max();
        let Some(before) = before else { continue };
        for (key, _) in keys.iter().zip(&stages).filter(|(_, stage)| *stage == before) {
            if !task.needs.iter().any(|need| need.key == *key) {
                task.needs.push(Dependency { key: key.clone(), on: On::Success });
            }
        }
    }
}

/// Keeps a run: its id, and whether it is new.
async fn submit(
    fleets: &Fleets,
    fleet: Fleet,
    asked: &Arguments,
    tasks: Vec<NewTask>,
    caller: Caller<'_>,
    now: UnixMillis,
) -> Result<(String, bool), Refusal> {
    if asked.deadline_ms.is_some_and(|ms| !(1..=DEADLINE_MAX_MS).contains(&ms)) {
        return Err(Refusal(format!("`deadline_ms` must be from 1 to {DEADLINE_MAX_MS}")));
    }
    let submission = Submission {
        run: new_id("run")?,
        principal: caller.principal.to_owned(),
        fleet: fleet.id.clone(),
        tasks,
        policy: match asked.failure {
            None | Some(Failure::Continue) => Policy::Continue,
            Some(Failure::FailFast) => Policy::FailFast,
        },
        idempotency_key: asked.idempotency_key.clone(),
        deadline: asked.deadline_ms.map(|ms| now + ms),
        now,
    };
    let store = &fleets.shared.store;
    let submitted = store.submit(submission).await.map_err(|error| refuse(&error))?;
    if !submitted.is_same {
        return Err(Refusal(format!(
            "the `idempotency_key` was used for other tasks, in run `{}`: nothing was submitted",
            submitted.run
        )));
    }
    fleets.tell(Event::Fleet(Box::new(fleet)))?;
    Ok((submitted.run, submitted.is_new))
}

/// Waits until a run is over or the time is.
async fn wait_for(fleets: &Fleets, run: &str, wait_ms: u64, caller: Caller<'_>) -> Result<(), Refusal> {
    // What is left of the caller's time must do for the answer.
    let until = (Instant::now() + Duration::from_millis(wait_ms))
        .min(caller.deadline.checked_sub(LOOK).unwrap_or(caller.deadline));
    while Instant::now() < until {
        let scope = Some(caller.principal.to_owned());
        let found = fleets.shared.store.run(scope, run.to_owned()).await.map_err(|error| refuse(&error))?;
        let Some(now) = found.filter(|run| run.ended.is_none()) else { break };
        if let Some(progress) = caller.progress {
            let over = (now.tasks - now.open) as f64;
            progress.report(over, Some(now.tasks as f64), "tasks are over");
        }
        tokio::time::sleep(LOOK.min(until.saturating_duration_since(Instant::now()))).await;
    }
    Ok(())
}

pub(super) async fn shown(fleets: &Fleets, run: &str, principal: &str) -> Result<Value, Refusal> {
    let store = &fleets.shared.store;
    let scope = Some(principal.to_owned());
    let found = store.run(scope.clone(), run.to_owned()).await.map_err(|error| refuse(&error))?;
    let now = found.ok_or_else(|| Refusal(format!("the run `{run}` is gone")))?;
    let query = TaskQuery { scope, run: Some(run.to_owned()), most: SHOWN, ..TaskQuery::default() };
    let page = store.tasks(query).await.map_err(|error| refuse(&error))?;
    let tasks = page.items.iter().map(|task| {
        let mut short = json!({ "key": task.key, "id": task.id.to_string(), "state": task.state.as_str() });
        if let Some(error) = &task.error {
            short["error"] = json!(error);
        }
        short
    });
    Ok(json!({
        "run_id": run, "state": status::state_of(&now), "total": now.tasks, "open": now.open, "done": now.done,
        "failed": now.failed, "cancelled": now.cancelled,
        "tasks": tasks.collect::<Vec<_>>(), "tasks_shown": page.items.len(),
    }))
}

/// Tasks of a running task.
async fn children(
    fleets: &Fleets,
    plan: &Plan,
    parent: &str,
    tasks: Vec<NewTask>,
    principal: &str,
    now: UnixMillis,
) -> Result<Vec<u8>, Refusal> {
    if plan.topology != Topology::Hierarchical {
        return Err(Refusal("`parent` is for fleets with `topology` hierarchical".into()));
    }
    let store = &fleets.shared.store;
    let id: TaskId = parent.parse().map_err(|error| Refusal(format!("`parent`: {error}")))?;
    let found = store.task(Some(principal.to_owned()), id.clone()).await.map_err(|error| refuse(&error))?;
    let token = found
        .map(|found| found.task.attempts)
        .ok_or_else(|| Refusal(format!("there is no task `{parent}`")))?;
    let children = Children { parent: id, token: u64::from(token), tasks, now };
    let (added, ids) = match store.submit_children(children).await.map_err(|error| refuse(&error))? {
        ChildrenAdded::Added(ids) => (true, ids),
        ChildrenAdded::Existing(ids) => (false, ids),
        ChildrenAdded::Mixed { key } => {
            return Err(Refusal(format!(
                "an earlier attempt submitted other tasks, but one of the key `{key}` too"
            )));
        }
        ChildrenAdded::Refused(why) => {
            return Err(Refusal(format!("the task `{parent}` does not run: {why:?}")));
        }
    };
    fleets.tell(Event::Wake)?;
    let ids: Vec<String> = ids.iter().take(SHOWN as usize).map(ToString::to_string).collect();
    structured(&json!({ "parent": parent, "created": added, "tasks": ids }))
}
