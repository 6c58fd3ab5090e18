//! Fleets that are known, and their agents: started when they are wanted.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use aqe_core::work::TaskState;
use aqe_store::work::{Fleet, TaskQuery};

use super::super::agent::Process;
use super::super::plan::{AGENTS_MAX, Plan};
use super::super::profile::Work;
use super::super::server;
use super::{Agent, AgentShown, Engine, Known, Spawn, wait, warn};

/// Running tasks that are looked at for dead servers at a time.
const LOOKED_AT: u32 = 1_000;

/// How many tasks are shown durations of.
const TOOK: usize = 128;

impl Engine {
    /// Learns of all fleets of the store that are of this server's folder, and gives up what dead servers have left.
    pub(super) fn adopt(&mut self) {
        match wait(self.shared.store.fleets(None)) {
            Ok(fleets) => {
                self.forget(|known| fleets.iter().all(|fleet| fleet.id != *known));
                for fleet in fleets {
                    self.know(fleet);
                }
                self.inherit();
            }
            Err(error) => warn("cannot read the fleets", &error.to_string()),
        }
        self.bury();
    }

    /// Keeps the `min` agents of fleets whose keepers are gone from now on. Of several servers that find that out, one does.
    fn inherit(&mut self) {
        let own = &self.shared.server;
        for known in self.fleets.iter_mut().filter(|known| known.plan.keeps_agents()) {
            if known.plan.keeper.as_deref().is_some_and(|keeper| keeper == own || !server::is_gone(keeper)) {
                continue;
            }
            let plan = Plan { keeper: Some(own.clone()), ..known.plan.clone() };
            let Ok(settings) = serde_json::to_string(&plan) else { continue };
            let (id, before) = (known.fleet.id.clone(), known.fleet.settings.clone());
            match wait(self.shared.store.swap_settings(id, before, settings.clone())) {
                Ok(true) => (known.plan, known.fleet.settings) = (plan, settings),
                // It will be read how the fleet is now.
                Ok(false) => {}
                Err(error) => warn("cannot keep a fleet's agents", &error.to_string()),
            }
        }
    }

    /// Whether there is a fleet whose agents are kept here.
    pub(super) fn keeps_agents(&self) -> bool {
        self.fleets.iter().any(|known| known.plan.is_kept_by(&self.shared.server))
    }

    /// Forgets fleets that are no more, and ends their agents. One that is at work ends when its task does.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&String) -> bool) {
        self.fleets.retain(|known| !is_gone(&known.fleet.id));
        self.agents.retain(|_, agent| agent.current.is_some() || !is_gone(&agent.fleet));
    }

    /// Gives up the attempts of servers that are dead.
    pub(super) fn bury(&mut self) {
        if self.fleets.is_empty() {
            return;
        }
        let query = TaskQuery { states: vec![TaskState::Running], most: LOOKED_AT, ..TaskQuery::default() };
        let Ok(page) = wait(self.shared.store.tasks(query)) else { return };
        let workers = page.items.iter().filter_map(|task| server::server_of(task.worker.as_deref()?));
        let mut dead: Vec<String> =
            workers.filter(|it| *it != self.shared.server).map(str::to_owned).collect();
        dead.sort_unstable();
        dead.dedup();
        for server in dead.into_iter().filter(|server| server::is_dead(server)) {
            match wait(self.shared.store.abandon(server, self.now())) {
                Ok(requeued) => self.is_dirty |= !requeued.is_empty(),
                Err(error) => warn("cannot give up what a dead server has left", &error.to_string()),
            }
        }
    }

    /// Takes note of a fleet, if it is of this server's folder.
    pub(super) fn know(&mut self, fleet: Fleet) {
        let Ok(plan) = serde_json::from_str::<Plan>(&fleet.settings) else { return };
        if self.shared.folder.as_ref().is_none_or(|folder| folder.to_string_lossy() != plan.folder) {
            return;
        }
        if let Some(known) = self.fleets.iter_mut().find(|known| known.fleet.id == fleet.id) {
            (known.fleet, known.plan) = (fleet, plan);
        } else {
            let (restarts, over) = (HashMap::new(), VecDeque::new());
            self.fleets.push(Known { fleet, plan, restarts, over });
        }
    }

    /// Agents of a profile of a fleet: those at work and those that are not.
    pub(super) fn count(&self, fleet: &str, profile: &str) -> (u32, u32) {
        let of = self.agents.values().filter(|agent| agent.fleet == fleet && agent.profile == profile);
        of.fold((0, 0), |(busy, idle), agent| match agent.current {
            Some(_) => (busy + 1, idle),
            None => (busy, idle + 1),
        })
    }

    /// Starts agents until each profile of a fleet whose agents are kept here has its `min`.
    pub(super) fn prewarm(&mut self) {
        let now = Instant::now();
        let mut wanted = Vec::new();
        for known in self.fleets.iter().filter(|known| known.plan.is_kept_by(&self.shared.server)) {
            for worker in &known.plan.workers {
                let (busy, idle) = self.count(&known.fleet.id, &worker.profile);
                let may = known.restarts.get(&worker.profile).is_none_or(|restarts| restarts.may_start(now));
                if may && busy + idle < worker.min {
                    wanted.push((known.fleet.id.clone(), worker.profile.clone(), worker.min - busy - idle));
                }
            }
        }
        for (fleet, profile, count) in wanted {
            for _ in 0..count {
                if let Err(error) = self.start(&fleet, &profile, None) {
                    self.died(&fleet, &profile);
                    warn("cannot start an agent", &error);
                    break;
                }
            }
        }
    }

    /// Starts an agent.
    pub(super) fn start(&mut self, fleet: &str, profile: &str, ttl: Option<Duration>) -> Result<u64, String> {
        let id = self.next_agent;
        let work = self.shared.profiles.get(profile).map(|profile| &profile.work);
        let process = match work.ok_or_else(|| format!("there is no profile `{profile}`"))? {
            Work::Command(_) => {
                let mark = format!("{}-{id}", self.shared.server);
                Some(Process::start(&self.shared.executable, mark, id, self.tell.clone())?)
            }
            Work::Builtin { .. } | Work::Tool { .. } => None,
        };
        self.next_agent += 1;
        let now = Instant::now();
        let is_ready = process.is_none();
        let agent = Agent {
            fleet: fleet.to_owned(),
            profile: profile.to_owned(),
            process,
            stop: None,
            is_ready,
            current: None,
            started: now,
            startup: is_ready.then_some(Duration::ZERO),
            idle_since: now,
            last_word: now,
            ttl,
            done: 0,
            failed: 0,
            took: VecDeque::new(),
        };
        self.agents.insert(id, agent);
        Ok(id)
    }

    /// Notes that an agent has died or could not be started.
    pub(super) fn died(&mut self, fleet: &str, profile: &str) {
        if let Some(known) = self.fleets.iter_mut().find(|known| known.fleet.id == fleet) {
            known.restarts.entry(profile.to_owned()).or_default().died(Instant::now());
        }
    }

    /// Notes how long a task took.
    pub(super) fn took(agent: &mut Agent, duration: Duration) {
        if agent.took.len() == TOOK {
            agent.took.pop_front();
        }
        agent.took.push_back(duration);
    }

    pub(super) fn spawn(&mut self, spawn: Spawn) {
        let most =
            self.fleets.iter().find(|known| known.fleet.id == spawn.fleet).map(|known| {
                known.plan.worker(&spawn.profile).map_or(0, |worker| worker.max).min(AGENTS_MAX)
            });
        let made: Vec<Result<AgentShown, String>> = (0..spawn.count)
            .map(|_| {
                let (busy, idle) = self.count(&spawn.fleet, &spawn.profile);
                if most.is_none_or(|most| busy + idle >= most) {
                    return Err("capacity".to_owned());
                }
                let id = self.start(&spawn.fleet, &spawn.profile, spawn.ttl)?;
                self.shown(id).ok_or_else(|| "it has died".to_owned())
            })
            .collect();
        self.is_dirty = true;
        // Who asked may not wait any more.
        let _ = spawn.reply.send(made);
    }
}
