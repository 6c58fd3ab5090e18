//! Fleets: agents that run tasks which outlive the conversation.
//!
//! An agent is a process of this program that runs one program at a time for its server, or a place for a call of a built-in
//! tool in the server itself. What agents may do is declared in profiles, by the operator; a task names a profile and gives
//! arguments, never a command line. The store keeps fleets, tasks and attempts (`aqe_store::work`).
//!
//! # Layout
//! - `profile`, `argv`: what agents may do. `plan`: what a fleet was made with.
//! - `engine`: tasks to agents. `agent`: an agent as the server has it. `outcome`: how an attempt ended.
//! - `runner`, `keep`: the process of an agent. `wire`: what it and the server say to each other.
//! - `server`: which servers are dead. `tools`: the four tools.

mod agent;
mod argv;
mod engine;
mod keep;
mod outcome;
mod plan;
mod profile;
mod runner;
mod server;
pub(crate) mod tools;
mod wire;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use aqe_core::inprocess::{Calls, InProcess};
use aqe_store::{Store, UnixMillis};

use crate::project::Roots;
pub use argv::ArgumentError;
pub(crate) use engine::Fleets;
use engine::{Event, Shared};
pub use profile::{Command, Profile, TIMEOUT, Work, defaults};
pub use runner::work;

/// What the operator decides of fleets.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What agents may do, beside [`defaults`], in whose place they stand.
    pub profiles: Vec<Profile>,
    /// The program that becomes an agent when it is called with `fleet work`; see [`work`].
    pub executable: PathBuf,
}

impl Fleets {
    /// Fleets over a store. Nothing runs yet.
    pub(crate) fn over(
        store: Arc<dyn Store>,
        settings: &Settings,
        roots: &Roots,
        mark: Option<(&'static str, &'static str)>,
        clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    ) -> Self {
        let profiles = defaults().into_iter().chain(settings.profiles.iter().cloned());
        Self::new(Shared {
            store,
            clock,
            profiles: profiles.map(|profile| (profile.name.clone(), profile)).collect(),
            executable: settings.executable.clone(),
            folder: roots.first().map(ToOwned::to_owned),
            server: server::own_id(),
            mark,
            tools: OnceLock::new(),
            calls: OnceLock::new(),
            runtime: tokio::runtime::Handle::try_current().ok(),
        })
    }

    /// Gives tasks a way to tools of upstreams.
    pub(crate) fn attach(&self, calls: Arc<dyn Calls>) {
        // A second time the first stays.
        let _ = self.shared.calls.set(calls);
    }

    /// Goes on with what other servers have left; `tools` are those that builtin profiles call.
    pub(crate) fn resume(&self, tools: Weak<dyn InProcess>) {
        // A second time the first stays.
        let _ = self.shared.tools.set(tools);
        if let Err(refusal) = self.tell(Event::Wake) {
            tracing::warn!(error = refusal.0, "fleet: tasks are not resumed");
        }
    }
}
