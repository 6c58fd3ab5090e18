//! Work that tools keep beyond the call and the process that began it: runs, of tasks, in fleets of agents.
//!
//! The gateway knows it by this trait only. To its clients a run is an MCP task of the same id; whoever looks after the
//! server is shown all fleets, whoever's they are, as raw JSON.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::inprocess::{Caller, InProcessError, ToolResult};
use crate::tasks::Seen;

/// When the caller of a tool would rather come back for what becomes of a run than wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// If it is not over after so long, or after the time that the call itself wants to wait, whichever is shorter.
    IfNotOver(Duration),
    /// In any case.
    Always,
}

/// What a call that may begin a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// A result: nothing was begun, or the run is over already.
    Result(ToolResult),
    /// A run, to come back for.
    Run(Box<Seen>),
}

/// Which part of a fleet's tasks is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskPage {
    /// Only those of this run.
    pub run: Option<String>,
    /// Only those in this state, by its word.
    pub state: Option<String>,
    /// From where on: `next_cursor` of the page before.
    pub cursor: Option<u64>,
    /// How many at most; `None`: as many as are usual.
    pub limit: Option<u32>,
}

/// How much work there is, in all fleets together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkFigures {
    /// Fleets.
    pub fleets: u64,
    /// Tasks by the word of their state, each state once.
    pub tasks: Vec<(&'static str, u64)>,
    /// Agents of this process by the word of their state, each state once; `None`: not known at the moment.
    pub agents: Option<Vec<(&'static str, u64)>>,
    /// Agents of this process that have died.
    pub deaths: Option<u64>,
}

/// Why nothing can be shown or done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurableError {
    /// What was asked means nothing; the text says why.
    #[error("{0}")]
    Bad(String),
    /// It could not be found out.
    #[error("{0}")]
    Failed(String),
}

/// An answer under way.
pub type DurableFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, DurableError>> + Send + 'a>>;

/// A call that may begin a run, under way.
pub type BeginFuture<'a> = Pin<Box<dyn Future<Output = Result<Begun, InProcessError>> + Send + 'a>>;

/// Durable work of a set of tools.
pub trait Durable: Send + Sync + fmt::Debug {
    /// Whether calls of this tool begin runs.
    fn begins_runs(&self, tool: &str) -> bool;

    /// Calls the tool that begins runs, for a caller that can come back. Dropping the call leaves a run that has begun.
    ///
    /// # Errors
    /// As [`InProcess::call`](crate::inprocess::InProcess::call).
    fn begin<'a>(&'a self, arguments: &'a str, caller: Caller<'a>, later: Later) -> BeginFuture<'a>;

    /// Whether an id may be that of a run, by its form.
    fn is_run(&self, id: &str) -> bool;

    /// A run of the principal as a task; `None`: there is none.
    fn run<'a>(&'a self, principal: &'a str, id: &'a str) -> DurableFuture<'a, Option<Seen>>;

    /// Runs of the principal, the newest first, those before the place `before`; and where the next page begins. What came of
    /// them is cut short.
    fn runs<'a>(
        &'a self,
        principal: &'a str,
        before: Option<u64>,
        most: u32,
    ) -> DurableFuture<'a, (Vec<Seen>, Option<u64>)>;

    /// Ends a run, or a task of one; `principal`: whose it must be, `None` of anybody's. How many tasks were over at once and how
    /// many are being ended; `None`: there is none of that id.
    fn cancel<'a>(
        &'a self,
        principal: Option<&'a str>,
        id: &'a str,
    ) -> DurableFuture<'a, Option<(usize, usize)>>;

    /// All fleets with their agents, counts and newest tasks, from the place `cursor` on: JSON.
    fn fleets(&self, cursor: usize) -> DurableFuture<'_, String>;

    /// A fleet with a page of its tasks: JSON; `None`: there is none of that id.
    fn fleet<'a>(&'a self, id: &'a str, page: TaskPage) -> DurableFuture<'a, Option<String>>;

    /// A task with its attempts and what is kept of their output: JSON; `None`: there is none of that id.
    fn task<'a>(&'a self, id: &'a str) -> DurableFuture<'a, Option<String>>;

    /// How much there is.
    fn figures(&self) -> DurableFuture<'_, WorkFigures>;
}
