//! What is done when its time comes: heartbeats, lost attempts, idle and silent agents, old runs.

use std::time::{Duration, Instant};

use aqe_store::work::{Beat, Heartbeat, Retention};

use super::claims::{BEAT, LEASE_MS};
use super::{Agent, Engine, LONGEST_POLL, POLL, ask_to_end, wait, warn};

/// How long an agent beyond `min` is kept without a task.
const IDLE: Duration = Duration::from_secs(60);

/// How long an agent at work may say nothing: it reports each second.
const SILENT: Duration = Duration::from_secs(15);

/// How often old runs are removed, how many are kept, and for how long (milliseconds).
const PRUNE: Duration = Duration::from_secs(60);
const KEPT_RUNS: u32 = 1_000;
pub(crate) const KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

impl Engine {
    pub(super) fn upkeep(&mut self) {
        let now = Instant::now();
        self.beats(now);
        self.end_agents(now);
        if now >= self.poll_at {
            self.look(now);
        }
        if self.store_at.is_some_and(|at| now >= at) {
            self.sweep();
        }
        let is_restart =
            self.fleets.iter_mut().flat_map(|known| known.restarts.values_mut()).fold(false, |any, it| {
                let is_due = it.not_before.is_some_and(|at| now >= at);
                if is_due {
                    it.not_before = None;
                }
                any || is_due
            });
        let is_again = self.again_at.take_if(|at| now >= *at).is_some();
        self.is_dirty |= is_restart || is_again;
        self.prewarm();
        if std::mem::take(&mut self.is_dirty) {
            self.claim_all();
            self.learn();
            self.store_at = match wait(self.shared.store.wake_at()) {
                Ok(at) => at.map(|at| {
                    let left = u64::try_from(at.saturating_sub(self.now())).unwrap_or(0);
                    // Not at once again: what is due was just claimed, as far as there was room.
                    now + Duration::from_millis(left).max(Duration::from_millis(50))
                }),
                Err(_) => None,
            };
        }
        if now >= self.prune_at {
            self.prune(now);
        }
    }

    /// Looks for what other servers have left; less often while there is nothing.
    fn look(&mut self, now: Instant) {
        let is_at_work = self.agents.values().any(|agent| agent.current.is_some());
        self.poll = if is_at_work { POLL } else { (self.poll * 2).min(LONGEST_POLL) };
        self.poll_at = now + self.poll;
        self.adopt();
        self.sweep();
    }

    fn sweep(&mut self) {
        self.store_at = None;
        self.is_dirty = true;
        if let Err(error) = wait(self.shared.store.sweep(self.now())) {
            warn("cannot give up lost attempts", &error.to_string());
        }
    }

    fn beats(&mut self, now: Instant) {
        let store = self.shared.store.clone();
        let wall = self.now();
        for agent in self.agents.values_mut() {
            let Some(current) = agent.current.as_mut().filter(|current| now >= current.beat_at) else {
                continue;
            };
            current.beat_at = now + BEAT;
            if current.is_lost {
                continue;
            }
            let beat = Heartbeat {
                task: current.claimed.task.clone(),
                token: current.claimed.token,
                lease_ms: LEASE_MS,
                progress: current.progress.clone(),
                now: wall,
            };
            let is_to_end = match wait(store.heartbeat(beat)) {
                Ok(Beat::Extended { cancel_wanted, .. }) => cancel_wanted.is_some(),
                Ok(Beat::Lost(_)) => {
                    current.is_lost = true;
                    true
                }
                Err(error) => {
                    warn("cannot keep a heartbeat", &error.to_string());
                    false
                }
            };
            if is_to_end && !current.is_cancelled {
                current.is_cancelled = true;
                ask_to_end(agent);
            }
        }
    }

    /// Ends agents that are idle for long, and those that are stuck.
    fn end_agents(&mut self, now: Instant) {
        let mut silent = Vec::new();
        let mut idle = Vec::new();
        for (id, agent) in self.agents.iter().filter(|(_, agent)| end_at(agent).is_some_and(|at| now >= at)) {
            let ends = if is_expected(agent) { &mut silent } else { &mut idle };
            ends.push(*id);
        }
        for id in silent {
            self.gone(id, "nothing was heard of its agent");
        }
        for id in idle {
            let Some(agent) = self.agents.get(&id) else { continue };
            let known = self.fleets.iter().find(|known| known.fleet.id == agent.fleet);
            let worker = known.filter(|known| known.plan.is_kept_by(&self.shared.server));
            let min =
                worker.and_then(|known| known.plan.worker(&agent.profile)).map_or(0, |worker| worker.min);
            let (busy, others) = self.count(&agent.fleet, &agent.profile);
            if busy + others > min {
                // It has nothing to give back.
                self.agents.remove(&id);
            } else if let Some(agent) = self.agents.get_mut(&id) {
                agent.idle_since = now;
            }
        }
    }

    fn prune(&mut self, now: Instant) {
        self.prune_at = now + PRUNE;
        let retention = Retention { ended_before: Some(self.now() - KEPT_MS), keep: Some(KEPT_RUNS) };
        match wait(self.shared.store.prune(retention)) {
            Ok(pruned) if pruned.is_more => self.prune_at = now,
            Ok(_) => {}
            Err(error) => warn("cannot remove old runs", &error.to_string()),
        }
    }

    /// Whether there are tasks that this server could run, now or later.
    pub(super) fn has_open_tasks(&self) -> bool {
        self.fleets.iter().any(|known| {
            let counts = self.shared.store.counts(None, Some(known.fleet.id.clone()), self.now());
            wait(counts).is_ok_and(|it| {
                it.blocked + it.scheduled + it.ready + it.running + it.retrying + it.waiting > 0
            })
        })
    }
}

/// Whether an agent is to be heard of.
fn is_expected(agent: &Agent) -> bool {
    agent.process.is_some() && (agent.current.is_some() || !agent.is_ready)
}

/// When an agent is ended if nothing happens before: it is silent, or idle.
pub(super) fn end_at(agent: &Agent) -> Option<Instant> {
    if is_expected(agent) {
        return Some(agent.last_word + SILENT);
    }
    let is_idle = agent.current.is_none();
    is_idle.then(|| agent.idle_since + agent.ttl.unwrap_or(IDLE))
}
