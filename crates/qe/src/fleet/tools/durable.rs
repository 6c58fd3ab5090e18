//! Fleets as the gateway knows them: a run as an MCP task of its principal, and everything for whoever looks after the server.

use std::time::{Duration, SystemTime};

use aqe_core::durable::{
    BeginFuture, Begun, Durable, DurableError, DurableFuture, Later, TaskPage, WorkFigures,
};
use aqe_core::inprocess::{Caller, ToolResult};
use aqe_core::tasks::{Canceller, Outcome, Seen, State};
use aqe_core::work::TaskState;
use aqe_store::UnixMillis;
use aqe_store::work::{Cancel, Counts, Fleet, Run, RunQuery, Target, Task, TaskQuery};
use serde_json::{Value, json};

use super::super::Fleets;
use super::super::engine::KEPT_MS;
use super::super::plan::Plan;
use super::{cancel, init, orchestrate, refuse, status};
use crate::arguments::{object, rfc3339};
use crate::reply::{Refusal, refused, structured};

/// Fleets of one page.
const FLEETS: usize = 20;
/// Runs that are shown with a fleet, the newest.
const RUNS: u32 = 10;
/// Tasks that are shown with each of several fleets: of those at work, and of the newest others.
const TASKS_OF_EACH: u32 = 20;
/// Tasks of one page, unless another number is asked for, and at most.
const TASKS: u32 = 50;
const TASKS_MAX: u32 = 200;

/// The states of tasks that somebody works on or will soon.
const AT_WORK: [TaskState; 3] = [TaskState::Running, TaskState::Retrying, TaskState::Waiting];

impl From<Refusal> for DurableError {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(refusal.0)
    }
}

fn failed(error: &aqe_store::StoreError) -> DurableError {
    refuse(error).into()
}

fn bad(text: impl Into<String>) -> DurableError {
    DurableError::Bad(text.into())
}

impl Durable for Fleets {
    fn begins_runs(&self, tool: &str) -> bool {
        tool == "qe_task_orchestrate"
    }

    fn begin<'a>(&'a self, arguments: &'a str, caller: Caller<'a>, later: Later) -> BeginFuture<'a> {
        Box::pin(async move {
            let arguments = object(arguments)?;
            let now = (self.shared.clock)();
            let said = match orchestrate::begin(self, arguments, caller, Some(later), now).await {
                Ok(orchestrate::Said::Result(json)) => Ok(json),
                // It was kept a moment ago.
                Ok(orchestrate::Said::Run(id)) => match self.run(caller.principal, &id).await {
                    Ok(Some(seen)) => return Ok(Begun::Run(Box::new(seen))),
                    Ok(None) => Err(Refusal(format!("the run `{id}` is gone"))),
                    Err(error) => Err(Refusal(error.to_string())),
                },
                Err(refusal) => Err(refusal),
            };
            Ok(Begun::Result(match said {
                Ok(json) => ToolResult { json, is_error: false },
                Err(refusal) => ToolResult { json: refused(&refusal), is_error: true },
            }))
        })
    }

    fn is_run(&self, id: &str) -> bool {
        id.strip_prefix("run-").is_some_and(|rest| {
            rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
        })
    }

    fn run<'a>(&'a self, principal: &'a str, id: &'a str) -> DurableFuture<'a, Option<Seen>> {
        Box::pin(async move {
            let found = self.shared.store.run(Some(principal.to_owned()), id.to_owned()).await;
            let Some(run) = found.map_err(|error| failed(&error))? else { return Ok(None) };
            let result = match run.ended {
                None => Value::Null,
                Some(_) => orchestrate::shown(self, id, principal).await?,
            };
            Ok(Some(seen(&run, &result, (self.shared.clock)())?))
        })
    }

    fn runs<'a>(
        &'a self,
        principal: &'a str,
        before: Option<u64>,
        most: u32,
    ) -> DurableFuture<'a, (Vec<Seen>, Option<u64>)> {
        Box::pin(async move {
            let query = RunQuery { scope: Some(principal.to_owned()), fleet: None, before, most };
            let page = self.shared.store.runs(query).await.map_err(|error| failed(&error))?;
            let now = (self.shared.clock)();
            let seen = page.items.iter().map(|run| seen(run, &status::of_run(run), now));
            Ok((seen.collect::<Result<_, _>>()?, page.next))
        })
    }

    fn cancel<'a>(
        &'a self,
        principal: Option<&'a str>,
        id: &'a str,
    ) -> DurableFuture<'a, Option<(usize, usize)>> {
        Box::pin(async move {
            let target = match id.parse() {
                Ok(task) => Target::Task(task),
                Err(_) => Target::Run(id.to_owned()),
            };
            let reason = match principal {
                Some(_) => "cancelled by its owner",
                None => "cancelled by an operator",
            };
            let scope = principal.map(str::to_owned);
            let cancel = Cancel { scope, target, reason: reason.to_owned(), now: (self.shared.clock)() };
            let cancelled = cancel::end(self, cancel).await?;
            Ok(cancelled.map(|cancelled| (cancelled.at_once as usize, cancelled.wished.len())))
        })
    }

    fn fleets(&self, cursor: usize) -> DurableFuture<'_, String> {
        Box::pin(async move {
            let all = of_folder(self).await?;
            let mut shown = Vec::new();
            for (fleet, plan) in all.iter().skip(cursor).take(FLEETS) {
                let mut one = one(self, fleet, plan).await?;
                one["tasks"] = newest(self, fleet).await?.iter().map(status::of_task).collect();
                shown.push(one);
            }
            let next = cursor.saturating_add(FLEETS);
            let next = (next < all.len()).then_some(next);
            Ok(json!({ "fleets": shown, "total": all.len(), "next_cursor": next }).to_string())
        })
    }

    fn fleet<'a>(&'a self, id: &'a str, page: TaskPage) -> DurableFuture<'a, Option<String>> {
        Box::pin(async move {
            let most = page.limit.unwrap_or(TASKS);
            if !(1..=TASKS_MAX).contains(&most) {
                return Err(bad(format!("\"limit\" must be a whole number from 1 to {TASKS_MAX}")));
            }
            let states = page.state.as_deref().map(state).transpose()?.into_iter().collect();
            let all = of_folder(self).await?;
            let Some((fleet, plan)) = all.iter().find(|(fleet, _)| fleet.id == id) else { return Ok(None) };
            let mut shown = one(self, fleet, plan).await?;
            let store = &self.shared.store;
            let scope = Some(fleet.principal.clone());
            let runs = RunQuery { scope, fleet: Some(fleet.id.clone()), before: None, most: RUNS };
            let runs = store.runs(runs).await.map_err(|error| failed(&error))?;
            shown["runs"] = runs.items.iter().map(status::of_run).collect();
            let fleet = Some(fleet.id.clone());
            let query = TaskQuery { scope: None, run: page.run, fleet, states, from: page.cursor, most };
            let tasks = store.tasks(query).await.map_err(|error| failed(&error))?;
            shown["tasks"] = tasks.items.iter().map(status::of_task).collect();
            shown["next_cursor"] = json!(tasks.next);
            Ok(Some(shown.to_string()))
        })
    }

    fn task<'a>(&'a self, id: &'a str) -> DurableFuture<'a, Option<String>> {
        Box::pin(async move {
            let shown = status::one_task(self, id, None).await.map_err(|refusal| bad(refusal.0))?;
            Ok(shown.map(|shown| shown.to_string()))
        })
    }

    fn figures(&self) -> DurableFuture<'_, WorkFigures> {
        Box::pin(async move {
            let all = of_folder(self).await?;
            let mut sum: Vec<(&str, u64)> = TaskState::ALL.map(|state| (state.as_str(), 0)).to_vec();
            let mut agents: Option<Vec<(&str, u64)>> = Some(AGENT_STATES.map(|state| (state, 0)).to_vec());
            let mut deaths = Some(0);
            for (fleet, _) in &all {
                let counts = counts(self, fleet).await?;
                for ((_, total), state) in sum.iter_mut().zip(TaskState::ALL) {
                    *total += of_state(&counts, state);
                }
                let Some(figures) = self.look(&fleet.id).await else {
                    (agents, deaths) = (None, None);
                    continue;
                };
                for (state, total) in agents.iter_mut().flatten() {
                    *total += figures.agents.iter().filter(|agent| agent.state == *state).count() as u64;
                }
                let died = figures.restarts.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
                deaths = deaths.map(|deaths| deaths + died);
            }
            Ok(WorkFigures { fleets: all.len() as u64, tasks: sum, agents, deaths })
        })
    }
}

/// The states of agents, as they are shown.
const AGENT_STATES: [&str; 3] = ["starting", "ready", "busy"];

/// The fleets of this server's folder, whoever's they are, the newest first.
async fn of_folder(fleets: &Fleets) -> Result<Vec<(Fleet, Plan)>, DurableError> {
    // A server that may read no folder works for no fleet.
    let Ok(folder) = super::folder(fleets) else { return Ok(Vec::new()) };
    let all = fleets.shared.store.fleets(None).await.map_err(|error| failed(&error))?;
    let mut own: Vec<(Fleet, Plan)> = all
        .into_iter()
        .filter_map(|fleet| {
            let plan: Plan = serde_json::from_str(&fleet.settings).ok()?;
            (plan.folder == folder).then_some((fleet, plan))
        })
        .collect();
    own.sort_by(|(one, _), (other, _)| (other.created, &other.id).cmp(&(one.created, &one.id)));
    Ok(own)
}

async fn counts(fleets: &Fleets, fleet: &Fleet) -> Result<Counts, DurableError> {
    let scope = Some(fleet.principal.clone());
    let counts = fleets.shared.store.counts(scope, Some(fleet.id.clone()), (fleets.shared.clock)()).await;
    counts.map_err(|error| failed(&error))
}

/// A fleet with its agents and counts.
async fn one(fleets: &Fleets, fleet: &Fleet, plan: &Plan) -> Result<Value, DurableError> {
    let queue = status::queue(&counts(fleets, fleet).await?);
    let figures = fleets.look(&fleet.id).await;
    let restarts = figures.as_ref().map(|figures| {
        let each = figures.restarts.iter().map(|(profile, count)| (profile.clone(), json!(count)));
        each.collect::<Value>()
    });
    Ok(json!({
        "fleet_id": fleet.id, "name": plan.name, "principal": fleet.principal, "created": rfc3339(fleet.created),
        "effective": init::effective(plan, fleet.max_running),
        "degraded": figures.as_ref().map(|figures| status::degraded(fleets, plan, figures)),
        "throughput_1m": figures.as_ref().map(|figures| figures.over_1m),
        "restarts": restarts, "queue": queue,
        "agents": figures.map(|figures| figures.agents),
    }))
}

/// The tasks that are at work, then the newest others.
async fn newest(fleets: &Fleets, fleet: &Fleet) -> Result<Vec<Task>, DurableError> {
    let store = &fleets.shared.store;
    let of = |states: &[TaskState]| TaskQuery {
        fleet: Some(fleet.id.clone()),
        states: states.to_vec(),
        most: TASKS_OF_EACH,
        ..TaskQuery::default()
    };
    let others: Vec<TaskState> =
        TaskState::ALL.into_iter().filter(|state| !AT_WORK.contains(state)).collect();
    let mut all = store.tasks(of(&AT_WORK)).await.map_err(|error| failed(&error))?.items;
    all.extend(store.tasks(of(&others)).await.map_err(|error| failed(&error))?.items);
    Ok(all)
}

fn state(word: &str) -> Result<TaskState, DurableError> {
    TaskState::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| {
        let known: Vec<&str> = TaskState::ALL.iter().map(|state| state.as_str()).collect();
        bad(format!("\"state\" is one of {}", known.join(", ")))
    })
}

fn of_state(counts: &Counts, state: TaskState) -> u64 {
    match state {
        TaskState::Blocked => counts.blocked,
        TaskState::Scheduled => counts.scheduled,
        TaskState::Ready => counts.ready,
        TaskState::Running => counts.running,
        TaskState::Retrying => counts.retrying,
        TaskState::Waiting => counts.waiting,
        TaskState::Done => counts.done,
        TaskState::Failed => counts.failed,
        TaskState::Dead => counts.dead,
        TaskState::Cancelled => counts.cancelled,
        TaskState::Skipped => counts.skipped,
    }
}

/// A run as a task. One with failed tasks is a tool that has failed: its result says so, first in words.
fn seen(run: &Run, result: &Value, now: UnixMillis) -> Result<Seen, DurableError> {
    let state = match status::state_of(run) {
        "running" => State::Working,
        "cancelled" => State::Cancelled(Canceller::Client),
        "failed" => {
            let others = match run.cancelled {
                0 => String::new(),
                cancelled => format!(", {cancelled} were cancelled or never begun"),
            };
            let text = format!("{} of {} tasks failed{others}", run.failed, run.tasks);
            let content = [text, result.to_string()].map(|text| json!({ "type": "text", "text": text }));
            let json = json!({ "content": content, "structuredContent": result, "isError": true });
            State::Ended(Outcome::Result { json: json.to_string().into(), is_error: true })
        }
        _ => State::Ended(Outcome::Result { json: structured(result)?.into(), is_error: false }),
    };
    let time = |ms: UnixMillis| {
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
    };
    let until = run.ended.unwrap_or(now).saturating_add(KEPT_MS);
    let ttl = u64::try_from(until.saturating_sub(run.created)).unwrap_or_default();
    Ok(Seen {
        id: run.id.as_str().into(),
        state,
        note: Some(format!("{} of {} tasks are over", run.tasks - run.open, run.tasks).into()),
        created: time(run.created),
        updated: time(run.ended.unwrap_or(run.created)),
        ttl: Duration::from_millis(ttl),
        order: 0,
    })
}
