//! What a fleet was made with: kept with it in the store, as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Agents of one profile that a fleet may have.
pub(crate) const AGENTS_MAX: u32 = 64;

/// How a fleet's tasks relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Topology {
    /// One queue; tasks wait only for those that they name.
    #[default]
    Pool,
    /// Its workers are stages: tasks of one begin when those of the stages before have succeeded.
    Pipeline,
    /// Tasks may submit tasks, and are over only with them.
    Hierarchical,
}

/// Agents of one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Worker {
    pub(crate) profile: String,
    /// Agents that are kept.
    #[serde(default)]
    pub(crate) min: u32,
    /// Agents at most.
    #[serde(default = "one")]
    pub(crate) max: u32,
}

fn one() -> u32 {
    1
}

/// What is kept with a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// What its principal calls it.
    pub(crate) name: String,
    /// The folder whose tasks it runs: servers of other folders leave it alone.
    pub(crate) folder: String,
    pub(crate) topology: Topology,
    pub(crate) workers: Vec<Worker>,
    /// Whether `min` agents are started at once.
    pub(crate) prewarm: bool,
    /// The server that keeps the `min` agents: the one on which the fleet was asked for last, or one that has found that one dead.
    #[serde(default)]
    pub(crate) keeper: Option<String>,
}

impl Plan {
    pub(crate) fn worker(&self, profile: &str) -> Option<&Worker> {
        self.workers.iter().find(|worker| worker.profile == profile)
    }

    /// Whether that server keeps agents of it that nobody has asked for.
    pub(crate) fn is_kept_by(&self, server: &str) -> bool {
        self.keeps_agents() && self.keeper.as_deref() == Some(server)
    }

    /// Whether some server is to keep agents of it.
    pub(crate) fn keeps_agents(&self) -> bool {
        self.prewarm && self.workers.iter().any(|worker| worker.min > 0)
    }
}

/// When an agent of a profile may be started after others have died.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Restarts {
    /// Deaths in a row that no finished task has come between.
    pub(crate) deaths: u32,
    /// Deaths in all.
    pub(crate) total: u32,
    pub(crate) not_before: Option<std::time::Instant>,
}

/// Longest pause before an agent is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Restarts {
    /// Notes a death. The first is no reason to wait; the pause doubles with each further one.
    pub(crate) fn died(&mut self, now: std::time::Instant) {
        self.total += 1;
        self.deaths += 1;
        let pause = match self.deaths {
            0 | 1 => Duration::ZERO,
            deaths => (Duration::from_millis(250) * (1 << (deaths - 2).min(10))).min(LONGEST_PAUSE),
        };
        self.not_before = now.checked_add(pause);
    }

    /// Notes that an agent is of use.
    pub(crate) fn lived(&mut self) {
        self.deaths = 0;
        self.not_before = None;
    }

    pub(crate) fn may_start(&self, now: std::time::Instant) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }
}
