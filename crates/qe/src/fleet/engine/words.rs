//! What agents say, and ends of attempts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aqe_core::work::Failure;
use aqe_store::StoreError;
use aqe_store::limits::ERROR_MAX_BYTES;
use aqe_store::work::{Claimed, Completion, FailureReport, Finish, TaskId};

use super::super::outcome::Outcome;
use super::super::profile::Work;
use super::super::wire::Word;
use super::{Engine, ask_to_end, wait, warn};

/// How often the end of an attempt is told again to a store that has no time for it, and after how long.
const TELLINGS: u32 = 10;
const TELL_AGAIN: Duration = Duration::from_millis(100);

/// Ends of tasks that are counted for the rate.
const OVER_MAX: usize = 100_000;

impl Engine {
    pub(super) fn said(&mut self, id: u64, word: Word) {
        let now = Instant::now();
        let Some(agent) = self.agents.get_mut(&id) else { return };
        agent.last_word = now;
        match word {
            Word::Ready => {
                agent.is_ready = true;
                agent.startup = Some(now.saturating_duration_since(agent.started));
            }
            Word::Beat { lines, last } => {
                if let Some(current) = &mut agent.current {
                    current.progress = match lines {
                        0 => Some(last).filter(|last| !last.is_empty()),
                        1 => Some(format!("1 line; {last}")),
                        _ => Some(format!("{lines} lines; {last}")),
                    };
                }
            }
            Word::End(end) => {
                let pid = agent.process.as_ref().map_or(0, |process| process.pid);
                let job = agent.current.as_ref().and_then(|current| current.job.clone());
                let work = self.shared.profiles.get(&agent.profile).map(|profile| &profile.work);
                if let (Some(job), Some(Work::Command(command))) = (job, work) {
                    let outcome = Outcome::of(*end, &job, command, pid);
                    self.over(id, outcome);
                }
            }
        }
    }

    /// An agent's task is over.
    pub(super) fn over(&mut self, id: u64, outcome: Outcome) {
        let now = Instant::now();
        let Some(agent) = self.agents.get_mut(&id) else { return };
        agent.stop = None;
        agent.idle_since = now;
        let Some(current) = agent.current.take() else { return };
        if outcome.failure.is_none() {
            agent.done += 1;
        } else {
            agent.failed += 1;
        }
        Self::took(agent, now.saturating_duration_since(current.began));
        let (fleet, profile) = (agent.fleet.clone(), agent.profile.clone());
        if let Some(known) = self.fleets.iter_mut().find(|known| known.fleet.id == fleet) {
            known.restarts.entry(profile).or_default().lived();
            note(&mut known.over, now);
        }
        self.is_dirty = true;
        if !current.is_lost {
            let outcome = self.unless_stopping(outcome);
            self.finish(&current.claimed, outcome);
        }
    }

    /// What is cancelled because the server stops goes on elsewhere.
    fn unless_stopping(&self, outcome: Outcome) -> Outcome {
        let is_cancelled = matches!(outcome.failure, Some((Failure::Cancelled, _)));
        if is_cancelled && self.is_stopping {
            return Outcome { failure: Some((Failure::GivenBack, "its server stopped".into())), ..outcome };
        }
        outcome
    }

    /// An agent is dead, or is to be. What it has started dies before its task may go to another.
    pub(super) fn gone(&mut self, id: u64, why: &str) {
        let Some(agent) = self.agents.remove(&id) else { return };
        let (fleet, profile) = (agent.fleet, agent.profile);
        drop(agent.process);
        if let Some(stop) = agent.stop {
            let _ = stop.send(());
        }
        if !self.is_stopping {
            self.died(&fleet, &profile);
        }
        self.is_dirty = true;
        if let Some(current) = agent.current.filter(|current| !current.is_lost) {
            let failure = if self.is_stopping { Failure::GivenBack } else { Failure::Lost };
            self.finish(&current.claimed, Outcome::failed(failure, why));
        }
    }

    /// Tells the store how an attempt ended.
    pub(super) fn finish(&mut self, task: &Claimed, outcome: Outcome) {
        let mut outcome = outcome;
        for _ in 0..TELLINGS {
            let told = match &outcome.failure {
                None => wait(self.shared.store.complete(Completion {
                    task: task.task.clone(),
                    token: task.token,
                    result: outcome.result.clone(),
                    evidence: outcome.evidence.clone(),
                    now: self.now(),
                })),
                Some((failure, error)) => wait(self.shared.store.fail(FailureReport {
                    task: task.task.clone(),
                    token: task.token,
                    failure: *failure,
                    error: cut(error),
                    result: outcome.result.clone(),
                    evidence: outcome.evidence.clone(),
                    seed: self.now().unsigned_abs() ^ (u64::from(task.task.number) << 32),
                    now: self.now(),
                })),
            };
            match told {
                Ok(Finish::Refused(why)) => {
                    tracing::debug!(task = %task.task, ?why, "fleet: the end of an attempt came too late");
                    return;
                }
                Ok(_) => return,
                // What is too long is left out; how it ended is what counts.
                Err(StoreError::Limit { .. }) if outcome.result.is_some() => outcome.result = None,
                Err(StoreError::Limit { .. }) if outcome.evidence.is_some() => outcome.evidence = None,
                Err(StoreError::Overloaded | StoreError::Locked { .. }) => std::thread::sleep(TELL_AGAIN),
                Err(error) => {
                    warn("cannot keep how an attempt ended: its lease will run out", &error.to_string());
                    return;
                }
            }
        }
    }

    /// Tells the agents of running tasks to end them.
    pub(super) fn cancel(&mut self, tasks: &[TaskId]) {
        for agent in self.agents.values_mut() {
            let Some(current) = &mut agent.current else { continue };
            if !current.is_cancelled && tasks.contains(&current.claimed.task) {
                current.is_cancelled = true;
                ask_to_end(agent);
            }
        }
    }
}

fn note(over: &mut VecDeque<Instant>, now: Instant) {
    if over.len() == OVER_MAX {
        over.pop_front();
    }
    over.push_back(now);
}

fn cut(error: &str) -> String {
    let end = (0..=ERROR_MAX_BYTES.min(error.len())).rev().find(|at| error.is_char_boundary(*at));
    error[..end.unwrap_or(0)].to_owned()
}
