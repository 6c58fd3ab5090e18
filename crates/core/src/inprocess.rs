//! Tools that run inside this process, as one more upstream.
//!
//! The gateway knows a built-in tool by this trait only. Arguments and results stay raw JSON, as for
//! any other upstream; the gateway splices them into the reply and never looks inside.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::durable::Durable;

/// On whose behalf a tool runs, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Id of the authenticated principal. Whatever a tool keeps belongs to it and is shown to nobody else.
    pub principal: &'a str,
    /// When the caller stops waiting. The gateway drops the call's future then; a tool that starts work
    /// outside of that future (a process, a task) ends it by this time itself.
    pub deadline: Instant,
    /// Who is to be told how far the call is, if anybody.
    pub progress: Option<&'a Arc<dyn Progress>>,
}

/// Takes word of how far a call is, from any thread; what comes after its end goes nowhere.
pub trait Progress: Send + Sync + fmt::Debug {
    /// `done` of `total` steps, if it is known how many there are: `done` grows from one report to the next. `message` is
    /// for people. (MCP 2025-03-26 and later, "Progress".)
    fn report(&self, done: f64, total: Option<f64>, message: &str);
}

/// A tool's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The raw JSON of an MCP `CallToolResult`.
    pub json: Vec<u8>,
    /// Whether it says `"isError":true`.
    pub is_error: bool,
}

/// A call under way. Dropping it cancels the call.
pub type CallFuture<'a> = Pin<Box<dyn Future<Output = Result<ToolResult, InProcessError>> + Send + 'a>>;

/// A call of any tool under way: the raw JSON-RPC response, or why there is none. Dropping it cancels the call.
pub type AnyCallFuture<'a> = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>>;

/// Calls tools of all upstreams, in the way of a client's call: routed, balanced, bounded in time, counted.
pub trait Calls: Send + Sync + fmt::Debug {
    /// Calls the tool of the name that clients see, on behalf of a principal. `arguments` is the raw text of a JSON object.
    fn call<'a>(&'a self, principal: &'a str, tool: &'a str, arguments: &'a str) -> AnyCallFuture<'a>;

    /// The pooled sessions by which a tool is called; `None`: no upstream of now has such a tool, or it runs in this process.
    fn sessions(&self, tool: &str) -> Option<Sessions>;
}

/// The sessions that the pool has with one upstream at this moment, and the replicas behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// The upstream's name.
    pub upstream: String,
    /// Sessions that are open.
    pub open: u32,
    /// Those of them with a call.
    pub in_use: u32,
    /// Calls that they carry.
    pub in_flight: u64,
    /// Replicas that there are.
    pub replicas: u32,
    /// Those of them that take calls.
    pub serving: u32,
    /// What the last failure to reach one said, while none serves.
    pub error: Option<String>,
}

/// The end of a set of tools under way.
pub type StopFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A set of tools in this process.
pub trait InProcess: Send + Sync + fmt::Debug {
    /// The tools' definitions, each one the raw JSON of an MCP `Tool` (name, title, description,
    /// inputSchema, outputSchema, annotations). The same for the life of the value.
    fn definitions(&self) -> &[Bytes];

    /// Gives the tools a way to call others, once there is one. Only the first counts.
    fn attach(&self, calls: Arc<dyn Calls>) {
        drop(calls);
    }

    /// Ends in order what the tools have running outside of calls. No call comes after it.
    fn stop(&self) -> StopFuture<'_> {
        Box::pin(async {})
    }

    /// Whether a call of the tool `name` may take so long that its caller would rather come back for the result: where its
    /// client can, the gateway then makes a task of it (MCP tasks).
    fn takes_long(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The work that the tools keep beyond calls, if they keep any.
    fn durable(&self) -> Option<&dyn Durable> {
        None
    }

    /// Calls the tool `name`. `arguments` is the raw text of a JSON object, or empty if the request had none.
    ///
    /// Bad arguments and failures of the tool's own domain are a result too, with `isError: true` and a text that
    /// says what to do (SEP-1303).
    ///
    /// # Errors
    /// Only what the protocol answers with a JSON-RPC error: see [`InProcessError`].
    fn call<'a>(&'a self, name: &'a str, arguments: &'a str, caller: Caller<'a>) -> CallFuture<'a>;
}

/// Why a request never became a tool call. Both are JSON-RPC "invalid params" (-32602).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InProcessError {
    /// No tool of this set has that name.
    #[error("unknown tool `{name}`")]
    UnknownTool {
        /// The name as it was asked for.
        name: String,
    },
    /// `arguments` is present and is no JSON object.
    #[error("`arguments` must be a JSON object")]
    ArgumentsNotAnObject,
}
