//! Tasks to agents.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aqe_core::inprocess::Caller;
use aqe_core::work::Failure;
use aqe_core::work::assign::{Load, least_loaded};
use aqe_store::limits::CLAIM_MAX;
use aqe_store::work::{Claim, Claimed, Slots};
use serde_json::{Map, Value};
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;

use super::super::agent::Process;
use super::super::outcome::Outcome;
use super::super::profile::{Profile, Work};
use super::super::runner::MARK;
use super::super::server;
use super::super::wire::{Job, Order};
use super::{Agent, Current, Engine, Event, POLL, Shared, wait, warn};

/// How long a lease lasts without a heartbeat, and how often there is one.
pub(super) const LEASE_MS: i64 = 20_000;
pub(super) const BEAT: Duration = Duration::from_secs(3);

impl Engine {
    /// Takes ready tasks for all agents that are free or may be started.
    pub(super) fn claim_all(&mut self) {
        for place in 0..self.fleets.len() {
            // Each task that cannot be begun is over and makes room.
            while self.claim(place) > 0 {}
        }
    }

    fn claim(&mut self, place: usize) -> usize {
        let now = Instant::now();
        let known = &self.fleets[place];
        let id = known.fleet.id.clone();
        let busy = self.agents.values().filter(|agent| agent.fleet == id && agent.current.is_some()).count();
        let most = known.fleet.max_running.saturating_sub(busy as u32).min(CLAIM_MAX);
        let mut slots = Vec::new();
        for worker in &known.plan.workers {
            let profile = self.shared.profiles.get(&worker.profile).filter(|profile| profile.is_enabled);
            let Some(profile) = profile else { continue };
            if self.shared.is_out_of_reach(&profile.work) {
                self.again_at = Some(now + POLL);
                continue;
            }
            let (busy, idle) = self.count(&id, &worker.profile);
            let restarts = known.restarts.get(&worker.profile);
            let may_start = restarts.is_none_or(|restarts| restarts.may_start(now));
            let startable = if may_start { worker.max.saturating_sub(busy + idle) } else { 0 };
            if idle + startable > 0 {
                slots.push(Slots { profile: worker.profile.clone(), free: idle + startable });
            }
        }
        if slots.is_empty() || most == 0 {
            return 0;
        }
        let claim = Claim {
            fleet: id.clone(),
            slots,
            most,
            worker: server::worker(&self.shared.server),
            server: self.shared.server.clone(),
            lease_ms: LEASE_MS,
            now: self.now(),
        };
        let claimed = wait(self.shared.store.claim(claim)).unwrap_or_else(|error| {
            warn("cannot claim tasks", &error.to_string());
            Vec::new()
        });
        let count = claimed.len();
        for task in claimed {
            if let Err(outcome) = self.begin(&id, &task) {
                self.finish(&task, outcome);
            }
        }
        count
    }

    /// Gives a task to an agent that is free, else to a new one.
    fn begin(&mut self, fleet: &str, task: &Claimed) -> Result<(), Outcome> {
        let shared = Arc::clone(&self.shared);
        let permanent = |error: String| Outcome::failed(Failure::Permanent, error);
        let profile = shared
            .profiles
            .get(&task.profile)
            .ok_or_else(|| permanent(format!("this server has no profile `{}`", task.profile)))?;
        let able = self.agents.iter().filter(|(_, it)| it.fleet == fleet && it.profile == task.profile);
        let id = match least_loaded(able.map(|(id, agent)| (*id, agent.load()))) {
            Some(id) => id,
            None => self.start(fleet, &task.profile, None).map_err(|error| {
                self.died(fleet, &task.profile);
                Outcome::failed(Failure::Transient, format!("no agent could be started: {error}"))
            })?,
        };
        let args = arguments(&task.payload).map_err(permanent)?;
        let timeout = attempt_time(profile, task);
        let now = Instant::now();
        let mut current = Current {
            claimed: task.clone(),
            job: None,
            tool: None,
            began: now,
            beat_at: now + BEAT,
            progress: None,
            is_cancelled: false,
            is_lost: false,
        };
        let Some(agent) = self.agents.get_mut(&id) else { return Ok(()) };
        agent.last_word = now;
        match &profile.work {
            Work::Command(command) => {
                let folder = command.cwd.clone().or_else(|| shared.folder.clone());
                let folder = folder.ok_or_else(|| permanent("no folder: set `roots` in [qe]".into()))?;
                let argv = command.argv(&args, &folder).map_err(|error| permanent(error.to_string()))?;
                let job = Job {
                    argv,
                    cwd: folder.to_string_lossy().into_owned(),
                    env: environment(
                        &shared,
                        command.env.clone(),
                        agent.process.as_ref().map(Process::mark),
                        task,
                    ),
                    timeout_ms: timeout.as_millis() as u64,
                    memory_mb: command.memory_mb,
                };
                let order = Order::Run(Box::new(job.clone()));
                current.job = Some(job);
                let told = agent.process.as_ref().map(|process| process.order(&order));
                agent.current = Some(current);
                if !matches!(told, Some(Ok(()))) {
                    self.gone(id, "its agent could not be told");
                }
            }
            Work::Builtin { tool } => {
                let (stop, stopped) = oneshot::channel();
                agent.stop = Some(stop);
                agent.current = Some(current);
                let call = Call {
                    is_builtin: true,
                    tool: tool.clone(),
                    args: Value::Object(args).to_string(),
                    principal: task.principal.clone(),
                    timeout,
                };
                self.call(id, call, stopped);
            }
            Work::Tool { .. } => {
                let call = profile.work.tool_call(&args);
                let (tool, args) = call.unwrap_or_else(|| Err("no tool".into())).map_err(permanent)?;
                let (stop, stopped) = oneshot::channel();
                agent.stop = Some(stop);
                current.tool = Some(tool.clone());
                agent.current = Some(current);
                let principal = task.principal.clone();
                self.call(id, Call { is_builtin: false, tool, args, principal, timeout }, stopped);
            }
        }
        Ok(())
    }

    /// Calls a tool on a thread of its own.
    fn call(&mut self, agent: u64, call: Call, stopped: oneshot::Receiver<()>) {
        let (tell, shared) = (self.tell.clone(), Arc::clone(&self.shared));
        let work = move || {
            let outcome = match &shared.runtime {
                Some(runtime) => runtime.block_on(call.made(&shared, stopped)),
                None => Outcome::failed(Failure::Permanent, "tools cannot be called here"),
            };
            // The engine may be gone.
            let _ = tell.send(Event::Over { agent, outcome });
        };
        if let Err(error) = std::thread::Builder::new().name("fleet-call".into()).spawn(work) {
            self.over(agent, Outcome::failed(Failure::Transient, error.to_string()));
        }
    }
}

impl Agent {
    /// An agent runs one task at a time.
    fn load(&self) -> Load {
        Load { capacity: 1, running: u32::from(self.current.is_some()), served: self.done + self.failed }
    }
}

impl Shared {
    /// Whether tasks of such work have to wait: no replica of the upstream whose tool it calls takes calls.
    fn is_out_of_reach(&self, work: &Work) -> bool {
        let Work::Tool { tool: Some(tool) } = work else { return false };
        let sessions = self.calls.get().and_then(|calls| calls.sessions(tool));
        sessions.is_some_and(|sessions| sessions.serving == 0)
    }
}

/// A call of a tool.
struct Call {
    is_builtin: bool,
    tool: String,
    args: String,
    principal: String,
    timeout: Duration,
}

impl Call {
    async fn made(&self, shared: &Shared, stopped: oneshot::Receiver<()>) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let result = tokio::select! {
            result = self.answered(shared, deadline) => result,
            _ = stopped => return Outcome::failed(Failure::Cancelled, "it was stopped because that was wanted"),
            () = tokio::time::sleep_until(deadline.into()) => {
                return Outcome::failed(Failure::Timeout, format!("it took longer than {} ms", self.timeout.as_millis()));
            }
        };
        match result {
            Ok(result) => Self::outcome(&result),
            Err(failed) => failed,
        }
    }

    /// The `CallToolResult`.
    async fn answered(&self, shared: &Shared, deadline: Instant) -> Result<Value, Outcome> {
        let permanent = |error: String| Outcome::failed(Failure::Permanent, error);
        if self.is_builtin {
            let tools = shared.tools.get().and_then(Weak::upgrade);
            let tools = tools.ok_or_else(|| permanent("there are no built-in tools here".into()))?;
            let caller = Caller { principal: &self.principal, deadline, progress: None };
            let result = tools.call(&self.tool, &self.args, caller).await;
            let result = result.map_err(|error| permanent(error.to_string()))?;
            return Ok(serde_json::from_slice(&result.json).unwrap_or_default());
        }
        let calls = shared.calls.get();
        let calls = calls.ok_or_else(|| Outcome::failed(Failure::Transient, "the server is starting"))?;
        let answer = calls.call(&self.principal, &self.tool, &self.args).await;
        let answer = answer.map_err(|error| Outcome::failed(Failure::Transient, error))?;
        let mut answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let error = &answer["error"];
        if error.is_object() {
            // What is wrong with the request (JSON-RPC 2.0, 5.1) would be so again; all else may pass.
            let is_wrong = matches!(error["code"].as_i64(), Some(-32602..=-32600));
            let failure = if is_wrong { Failure::Permanent } else { Failure::Transient };
            return Err(Outcome::failed(failure, error["message"].as_str().unwrap_or("no reason was given")));
        }
        Ok(answer["result"].take())
    }

    fn outcome(result: &Value) -> Outcome {
        if result["isError"] == true {
            let text = result["content"][0]["text"].as_str().unwrap_or("no reason was given");
            return Outcome { result: Some(result.to_string()), ..Outcome::failed(Failure::Permanent, text) };
        }
        let structured = &result["structuredContent"];
        let kept = if structured.is_null() { result } else { structured };
        Outcome { failure: None, result: Some(kept.to_string()), evidence: None }
    }
}

/// How long an attempt may take.
fn attempt_time(profile: &Profile, task: &Claimed) -> Duration {
    task.timeout_ms.map_or(profile.timeout, |ms| Duration::from_millis(ms).min(profile.timeout))
}

/// The task's arguments in its payload.
fn arguments(payload: &str) -> Result<Map<String, Value>, String> {
    let payload: HashMap<String, Value> = serde_json::from_str(payload).map_err(|error| error.to_string())?;
    match payload.into_iter().find(|(key, _)| key == "args") {
        Some((_, Value::Object(args))) => Ok(args),
        Some((_, Value::Null)) | None => Ok(Map::new()),
        Some(_) => Err("`args` must be an object".into()),
    }
}

fn environment(
    shared: &Shared,
    mut env: Vec<(String, String)>,
    agent: Option<&str>,
    task: &Claimed,
) -> Vec<(String, String)> {
    let mut add = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
    if let Some((name, value)) = shared.mark {
        add(name, value);
    }
    if let Some(agent) = agent {
        add(MARK, agent);
    }
    add("AQE_V3_TASK", &task.task.to_string());
    add("AQE_V3_ATTEMPT", &task.token.to_string());
    env
}
