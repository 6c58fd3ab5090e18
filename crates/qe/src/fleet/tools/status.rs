//! `qe_fleet_status`: fleets, agents, queues, runs, tasks and what happened, as they are.

use aqe_core::inprocess::Caller;
use aqe_core::work::TaskState;
use aqe_store::UnixMillis;
use aqe_store::work::{
    Attempt, AttemptOutcome, Counts, Event as Happened, EventQuery, Fleet, Run, RunQuery, Scope, Task,
    TaskId, TaskQuery,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::super::Fleets;
use super::super::engine::{Event, Figures};
use super::super::plan::Plan;
use super::{find, init, own, refuse, there};
use crate::arguments::{self, rfc3339};
use crate::reply::{Refusal, structured};

/// The tool as it is listed.
pub(crate) const DEFINITION: &str = r#"{"name":"qe_fleet_status","title":"Fleet status","description":"Fleets, their agents, queue, runs and tasks as they are now. With `task_id`: its attempts, results and output; with `run_id`: its tasks.","inputSchema":{"type":"object","properties":{"fleet_id":{"type":"string"},"run_id":{"type":"string"},"task_id":{"type":"string"},"include":{"type":"array","items":{"enum":["workers","queue","runs","tasks","events"]}},"states":{"type":"array","items":{"type":"string"}},"cursor":{"type":"integer"},"limit":{"type":"integer","default":50}},"required":[]},"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;

/// Items of a page.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    fleet_id: Option<String>,
    run_id: Option<String>,
    task_id: Option<String>,
    include: Option<Vec<Part>>,
    states: Option<Vec<String>>,
    cursor: Option<u64>,
    limit: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Workers,
    Queue,
    Runs,
    Tasks,
    Events,
}

/// The engine's figures of a fleet.
pub(super) async fn figures(fleets: &Fleets, fleet: &str) -> Result<Figures, Refusal> {
    let (reply, figures) = oneshot::channel();
    fleets.tell(Event::Show { fleet: fleet.to_owned(), reply })?;
    figures.await.map_err(|_| Refusal("the fleets' engine has stopped; try again".into()))
}

pub(super) async fn run(
    fleets: Option<&Fleets>,
    arguments: &str,
    caller: Caller<'_>,
    now: UnixMillis,
) -> Result<Vec<u8>, Refusal> {
    let asked: Arguments = arguments::parse(arguments)?;
    let fleets = there(fleets)?;
    let most = asked.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&most) {
        return Err(Refusal(format!("`limit` must be from 1 to {LIMIT_MAX}")));
    }
    if let Some(task) = &asked.task_id {
        let shown = one_task(fleets, task, Some(caller.principal.to_owned())).await?;
        return structured(&shown.ok_or_else(|| Refusal(format!("there is no task `{task}`")))?);
    }
    if let Some(run) = &asked.run_id {
        return one_run(fleets, run, &asked, most, caller.principal).await;
    }
    if asked.fleet_id.is_some() {
        let (fleet, plan) = find(fleets, caller.principal, asked.fleet_id.as_deref()).await?;
        return structured(&one_fleet(fleets, &fleet, &plan, &asked, most, now).await?);
    }
    let mut all = Vec::new();
    for (fleet, plan) in own(fleets, caller.principal).await? {
        all.push(one_fleet(fleets, &fleet, &plan, &asked, most, now).await?);
    }
    structured(&json!({ "fleets": all }))
}

async fn one_fleet(
    fleets: &Fleets,
    fleet: &Fleet,
    plan: &Plan,
    asked: &Arguments,
    most: u32,
    now: UnixMillis,
) -> Result<Value, Refusal> {
    let default = [Part::Workers, Part::Queue, Part::Runs];
    let has = |part: Part| asked.include.as_deref().unwrap_or(&default).contains(&part);
    let store = &fleets.shared.store;
    let scope = Some(fleet.principal.clone());
    let id = Some(fleet.id.clone());
    let mut shown = json!({
        "fleet_id": fleet.id, "name": plan.name, "created": rfc3339(fleet.created),
        "effective": init::effective(plan, fleet.max_running),
    });
    if has(Part::Workers) {
        let figures = figures(fleets, &fleet.id).await?;
        shown["degraded"] = json!(degraded(fleets, plan, &figures));
        shown["keeps_agents"] = json!(plan.is_kept_by(&fleets.shared.server));
        shown["throughput_1m"] = json!(figures.over_1m);
        shown["restarts"] =
            figures.restarts.iter().map(|(profile, count)| (profile.clone(), json!(count))).collect();
        shown["workers"] = json!(figures.agents);
    }
    if has(Part::Queue) {
        let counts = store.counts(scope.clone(), id.clone(), now).await.map_err(|error| refuse(&error))?;
        shown["queue"] = queue(&counts);
    }
    if has(Part::Runs) {
        let query = RunQuery { scope: scope.clone(), fleet: id.clone(), before: asked.cursor, most };
        let page = store.runs(query).await.map_err(|error| refuse(&error))?;
        shown["runs"] = page.items.iter().map(of_run).collect();
        shown["next_cursor"] = json!(page.next);
    }
    if has(Part::Tasks) {
        let states = states(asked)?;
        let query = TaskQuery { scope, run: None, fleet: id, states, from: asked.cursor, most };
        let page = store.tasks(query).await.map_err(|error| refuse(&error))?;
        shown["tasks"] = page.items.iter().map(of_task).collect();
        shown["next_cursor"] = json!(page.next);
    }
    Ok(shown)
}

/// What is not as the fleet was made.
pub(super) fn degraded(fleets: &Fleets, plan: &Plan, figures: &Figures) -> Vec<String> {
    let mut all = Vec::new();
    for worker in &plan.workers {
        let agents = || figures.agents.iter().filter(|agent| agent.profile == worker.profile);
        let count = agents().count();
        if plan.is_kept_by(&fleets.shared.server) && count < worker.min as usize {
            all.push(format!("{}: {count} of {} agents", worker.profile, worker.min));
        }
        if let Some(session) = agents().filter_map(|agent| agent.session.as_ref()).find(|it| it.is_down()) {
            let (upstream, error) =
                (&session.upstream, session.error.as_deref().unwrap_or("no reason is known"));
            all.push(format!("{}: the upstream `{upstream}` does not serve: {error}", worker.profile));
        }
        if fleets.shared.profiles.get(&worker.profile).is_none_or(|profile| !profile.is_enabled) {
            all.push(format!("{}: this server has no such profile, or it is off", worker.profile));
        }
    }
    all
}

async fn one_run(
    fleets: &Fleets,
    id: &str,
    asked: &Arguments,
    most: u32,
    principal: &str,
) -> Result<Vec<u8>, Refusal> {
    let store = &fleets.shared.store;
    let scope = Some(principal.to_owned());
    let run = store.run(scope.clone(), id.to_owned()).await.map_err(|error| refuse(&error))?;
    let run = run.ok_or_else(|| Refusal(format!("there is no run `{id}`")))?;
    let mut shown = of_run(&run);
    if asked.include.as_ref().is_some_and(|parts| parts.contains(&Part::Events)) {
        let after = asked.cursor.unwrap_or(0);
        let query = EventQuery { scope, run: Some(id.to_owned()), after, most };
        let page = store.events(query).await.map_err(|error| refuse(&error))?;
        shown["events"] = page.items.iter().map(of_event).collect();
        shown["next_cursor"] = json!(page.next);
        return structured(&shown);
    }
    let states = states(asked)?;
    let query = TaskQuery { scope, run: Some(id.to_owned()), fleet: None, states, from: asked.cursor, most };
    let page = store.tasks(query).await.map_err(|error| refuse(&error))?;
    shown["tasks"] = page.items.iter().map(of_task).collect();
    shown["next_cursor"] = json!(page.next);
    structured(&shown)
}

/// All that is known of a task, if there is one of that id in that scope.
pub(super) async fn one_task(fleets: &Fleets, text: &str, scope: Scope) -> Result<Option<Value>, Refusal> {
    let id: TaskId = text.parse().map_err(|error| Refusal(format!("`task_id`: {error}")))?;
    let found = fleets.shared.store.task(scope, id).await.map_err(|error| refuse(&error))?;
    let Some(detail) = found else { return Ok(None) };
    let mut shown = of_task(&detail.task);
    shown["payload"] = raw(&detail.payload);
    shown["depends_on"] =
        detail.needs.iter().map(|need| json!({ "key": need.key, "on": need.on.as_str() })).collect();
    shown["attempts"] = detail.attempts.iter().map(of_attempt).collect();
    shown["events"] = detail.events.iter().map(of_event).collect();
    Ok(Some(shown))
}

fn states(asked: &Arguments) -> Result<Vec<TaskState>, Refusal> {
    let words = asked.states.iter().flatten();
    words
        .map(|word| {
            TaskState::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| {
                let known: Vec<&str> = TaskState::ALL.iter().map(|state| state.as_str()).collect();
                Refusal(format!("`states`: there is no `{word}`; there are: {}", known.join(", ")))
            })
        })
        .collect()
}

/// JSON text of the store as JSON.
fn raw(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

pub(super) fn queue(counts: &Counts) -> Value {
    json!({
        "blocked": counts.blocked, "scheduled": counts.scheduled, "ready": counts.ready,
        "running": counts.running, "retrying": counts.retrying, "waiting": counts.waiting,
        "done": counts.done, "failed": counts.failed, "dead": counts.dead,
        "cancelled": counts.cancelled, "skipped": counts.skipped, "oldest_age_ms": counts.oldest_ready_ms,
    })
}

/// `running`, `done`, `failed` or `cancelled`: what became of a run.
pub(super) fn state_of(run: &Run) -> &'static str {
    match run.ended {
        None => "running",
        Some(_) if run.failed > 0 => "failed",
        Some(_) if run.cancelled > 0 => "cancelled",
        Some(_) => "done",
    }
}

pub(super) fn of_run(run: &Run) -> Value {
    json!({
        "run_id": run.id, "state": state_of(run), "created": rfc3339(run.created),
        "ended": run.ended.map(rfc3339), "deadline": run.deadline.map(rfc3339),
        "total": run.tasks, "open": run.open, "done": run.done, "failed": run.failed, "cancelled": run.cancelled,
    })
}

pub(super) fn of_task(task: &Task) -> Value {
    json!({
        "task_id": task.id.to_string(), "key": task.key, "profile": task.profile, "state": task.state.as_str(),
        "priority": task.priority.get(), "attempts": task.attempts, "max_attempts": task.max_attempts,
        "waits_for": task.pending, "parent": task.parent.as_ref().map(ToString::to_string),
        "open_children": task.open_children, "progress": task.progress, "error": task.error,
        "cancel_wanted": task.cancel_wanted, "created": rfc3339(task.created),
        "started": task.started.map(rfc3339), "ended": task.ended.map(rfc3339), "due": task.due.map(rfc3339),
    })
}

fn of_attempt(attempt: &Attempt) -> Value {
    let outcome = match attempt.outcome {
        AttemptOutcome::Done => "done",
        AttemptOutcome::Failed(failure) => failure.as_str(),
    };
    json!({
        "attempt": attempt.token, "outcome": outcome, "error": attempt.error,
        "started": rfc3339(attempt.started), "ended": rfc3339(attempt.ended),
        "result": attempt.result.as_deref().map(raw), "evidence": attempt.evidence.as_deref().map(raw),
    })
}

fn of_event(event: &Happened) -> Value {
    json!({
        "at": rfc3339(event.at), "event": event.kind.as_str(), "run_id": event.run, "task": event.task,
        "detail": event.detail,
    })
}
