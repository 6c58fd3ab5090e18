//! Figures of agents, as they are at this moment.

use std::time::{Duration, Instant};

use aqe_core::inprocess::Sessions;
use serde::Serialize;

use super::super::profile::Work;
use super::{Agent, Engine};

/// An agent.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AgentShown {
    pub(crate) id: String,
    pub(crate) profile: String,
    pub(crate) kind: &'static str,
    /// `None`: it works in the server's own process.
    pub(crate) pid: Option<u32>,
    /// Of an agent that calls a tool of an upstream: the pooled sessions by which it does. `None`: it calls none, or it is not known
    /// which before it has a task.
    pub(crate) session: Option<SessionShown>,
    /// `starting`, `ready`, `busy`.
    pub(crate) state: &'static str,
    pub(crate) startup_ms: Option<u64>,
    pub(crate) uptime_ms: u64,
    pub(crate) rss_kb: Option<u64>,
    pub(crate) cpu_ms: Option<u64>,
    pub(crate) current_task: Option<String>,
    pub(crate) progress: Option<String>,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) p50_ms: Option<u64>,
    pub(crate) p95_ms: Option<u64>,
    /// How long ago it was last heard of.
    pub(crate) silent_ms: Option<u64>,
}

/// The sessions of the pool that an agent's calls go through.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SessionShown {
    pub(crate) upstream: String,
    /// `serving`; `degraded`: not all of its replicas take calls; `down`: none does, and tasks wait.
    pub(crate) health: &'static str,
    pub(crate) open: u32,
    pub(crate) in_use: u32,
    pub(crate) calls_in_flight: u64,
    pub(crate) replicas: u32,
    pub(crate) replicas_serving: u32,
    pub(crate) error: Option<String>,
}

impl SessionShown {
    /// Whether tasks have to wait.
    pub(crate) fn is_down(&self) -> bool {
        self.replicas_serving == 0
    }

    fn of(sessions: Sessions) -> Self {
        let Sessions { upstream, open, in_use, in_flight, replicas, serving, error } = sessions;
        let health = match serving {
            0 => "down",
            some if some < replicas => "degraded",
            _ => "serving",
        };
        let (calls_in_flight, replicas_serving) = (in_flight, serving);
        Self { upstream, health, open, in_use, calls_in_flight, replicas, replicas_serving, error }
    }
}

/// What the engine knows of a fleet that the store does not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) agents: Vec<AgentShown>,
    /// Tasks that were over here in the last minute.
    pub(crate) over_1m: usize,
    /// Of each profile with deaths: how many agents have died.
    pub(crate) restarts: Vec<(String, u32)>,
}

impl Engine {
    pub(super) fn figures(&self, fleet: &str) -> Figures {
        let now = Instant::now();
        let known = self.fleets.iter().find(|known| known.fleet.id == fleet);
        let minute = Duration::from_secs(60);
        let of = self.agents.iter().filter(|(_, agent)| agent.fleet == fleet);
        Figures {
            agents: of.map(|(id, agent)| self.agent(*id, agent, now)).collect(),
            over_1m: known.map_or(0, |known| {
                known.over.iter().rev().take_while(|at| now.saturating_duration_since(**at) <= minute).count()
            }),
            restarts: known
                .into_iter()
                .flat_map(|known| known.restarts.iter().filter(|(_, it)| it.total > 0))
                .map(|(profile, it)| (profile.clone(), it.total))
                .collect(),
        }
    }

    pub(super) fn shown(&self, id: u64) -> Option<AgentShown> {
        self.agents.get(&id).map(|agent| self.agent(id, agent, Instant::now()))
    }

    fn session(&self, agent: &Agent) -> Option<SessionShown> {
        let Work::Tool { tool } = &self.shared.profiles.get(&agent.profile)?.work else { return None };
        let called = || agent.current.as_ref().and_then(|current| current.tool.as_deref());
        let tool = tool.as_deref().or_else(called)?;
        self.shared.calls.get()?.sessions(tool).map(SessionShown::of)
    }

    fn agent(&self, id: u64, agent: &Agent, now: Instant) -> AgentShown {
        let ms = |duration: Duration| duration.as_millis() as u64;
        let pid = agent.process.as_ref().map(|process| process.pid);
        let usage = pid.and_then(usage);
        let mut took: Vec<Duration> = agent.took.iter().copied().collect();
        took.sort_unstable();
        // The nearest rank.
        let rank = |percent: usize| {
            let place = (took.len() * percent).div_ceil(100).checked_sub(1)?;
            took.get(place).copied().map(ms)
        };
        AgentShown {
            id: format!("a{id}"),
            profile: agent.profile.clone(),
            kind: self.shared.profiles.get(&agent.profile).map_or("unknown", |profile| profile.kind()),
            pid,
            session: self.session(agent),
            state: match (&agent.current, agent.is_ready) {
                (Some(_), _) => "busy",
                (None, true) => "ready",
                (None, false) => "starting",
            },
            startup_ms: agent.startup.map(ms),
            uptime_ms: ms(now.saturating_duration_since(agent.started)),
            rss_kb: usage.map(|(rss, _)| rss),
            cpu_ms: usage.map(|(_, cpu)| cpu),
            current_task: agent.current.as_ref().map(|current| current.claimed.task.to_string()),
            progress: agent.current.as_ref().and_then(|current| current.progress.clone()),
            done: agent.done,
            failed: agent.failed,
            p50_ms: rank(50),
            p95_ms: rank(95),
            silent_ms: pid.map(|_| ms(now.saturating_duration_since(agent.last_word))),
        }
    }
}

/// Memory in KiB and processor time in milliseconds of a process, its dead children's included; see `proc_pid_stat(5)`.
fn usage(pid: u32) -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the next field is the third.
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)? + field(16)? + field(17)?;
    let page = rustix::param::page_size() as u64;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some((field(24)? * page / 1024, ticks * 1000 / per_second))
}
