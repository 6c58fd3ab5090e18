//! What the gateway needs to know, as plain values. The application fills them from its configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aqe_core::balancer::{BudgetConfig, ScoreWeights, Strategy};
use aqe_core::batching::Batching;
use aqe_core::cache::{Disk, MemoryConfig, UpstreamRules};
use aqe_core::envelope::Limits;
use aqe_core::health::HealthConfig;
use aqe_core::inprocess::InProcess;
use aqe_core::pool::PoolConfig;
use aqe_core::registry::{Glob, RegistryConfig};
use aqe_core::revision::Era;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::admin::About;
use crate::alerts::settings::{AlertSettings, Kept};
use crate::telemetry::Telemetry;
use crate::upstream::{ChildSpec, HttpSpec};

/// The principal of whoever may connect without a token: the user of this machine whose server it is.
pub const LOCAL_PRINCIPAL: &str = "local";

/// Settings of the whole gateway that hold until it ends.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds on one message.
    pub message: Limits,
    /// Longest body or line in bytes.
    pub max_body_bytes: usize,
    /// Fuzzily resolved names that are remembered.
    pub resolved_names: usize,
    /// Entries of one page of a list; longer lists are paged.
    pub page_size: usize,
    /// When children are started and servers connected.
    pub start: Start,
    /// How long the first list waits for upstreams whose manifest is not known yet.
    pub first_list_wait: Duration,
    /// Bounds on legacy sessions.
    pub sessions: SessionSettings,
    /// Whether whoever connects is [`LOCAL_PRINCIPAL`].
    pub sole_principal: bool,
    /// Whether connections are kept and names are indexed. Without it each call opens a connection of its own, which
    /// is closed after it, and names are searched one by one: the plain server that benchmarks compare with.
    pub optimized: bool,
    /// How long notifications may wait for others on their way; `None`: not at all.
    pub batching: Option<Batching>,
    /// Whether requests are counted and timed.
    pub monitoring: bool,
    /// Most tools that `/metrics` names one by one.
    pub max_tool_series: usize,
    /// What is told to others: traces, the access log.
    pub telemetry: Arc<Telemetry>,
    /// What the admin API says of this process.
    pub about: About,
    /// How long the calls of an upstream that is no longer configured may go on.
    pub drain_timeout: Duration,
    /// What the admin API asks of the application.
    pub control: mpsc::Sender<Control>,
    /// The result cache; `None`: there is none.
    pub cache: Option<CacheSettings>,
    /// How often the dashboard gets new figures.
    pub dashboard_interval: Duration,
    /// What earlier runs have kept of alerts, and where this one keeps its own.
    pub alerts_kept: Kept,
}

/// The result cache.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// The levels in memory.
    pub memory: MemoryConfig,
    /// The level on disk, if there is one.
    pub disk: Option<Arc<dyn Disk>>,
}

/// Settings that can be changed while the gateway runs.
#[derive(Debug, Clone)]
pub struct Reloadable {
    /// How names are shown and found.
    pub registry: RegistryConfig,
    /// The connections to all replicas.
    pub pool: PoolConfig,
    /// How calls are spread over the replicas of an upstream, unless it says otherwise itself.
    pub balancing: Balancing,
    /// The upstreams, in the order of the configuration.
    pub upstreams: Vec<UpstreamSettings>,
    /// Which rules there are, and who is told. Rules have no effect unless requests are counted.
    pub alerts: AlertSettings,
}

/// What the admin API asks of the application.
#[derive(Debug)]
pub enum Control {
    /// Stop as on a signal.
    Drain,
    /// Read the configuration again and put it in force; tells what has come of it, or why nothing has.
    Reload(oneshot::Sender<Result<Value, String>>),
}

/// When an upstream is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// All at once, in the background, when the gateway starts.
    Eager,
    /// At the first call; at start only where the manifest is not known.
    Lazy,
}

/// Bounds on legacy HTTP sessions.
#[derive(Debug, Clone, Copy)]
pub struct SessionSettings {
    /// Sessions in all; one more is refused.
    pub max_sessions: usize,
    /// A session without call, stream or message for this long is closed.
    pub idle_timeout: Duration,
}

/// One upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamSettings {
    /// Its name, unique.
    pub name: String,
    /// Where it runs; at least one.
    pub replicas: Vec<ReplicaSettings>,
    /// Its own strategy.
    pub strategy: Option<Strategy>,
    /// Who shares a connection; `None` is the safe choice for the era and transport.
    pub session_scope: Option<SessionScope>,
    /// Category of its tools.
    pub category: Option<String>,
    /// Its annotations are believed.
    pub trusted: bool,
    /// Which tools are shown.
    pub allow: Vec<Glob>,
    /// Which tools are hidden.
    pub deny: Vec<Glob>,
    /// Its era where the configuration says it; otherwise it is probed.
    pub era: Option<Era>,
    /// From start or connect to a finished handshake.
    pub connect_timeout: Duration,
    /// From request to answer.
    pub request_timeout: Duration,
    /// Longest silence of a call that reports progress; each notification starts it anew.
    pub idle_timeout: Duration,
    /// Other request time-outs by the tool's own name.
    pub tool_timeouts: Vec<(String, Duration)>,
    /// Longest line, event or body in bytes that is held.
    pub max_message_bytes: usize,
    /// Longest answer in bytes that is passed on while it comes; 0: none is.
    pub max_result_bytes: u64,
    /// Which of its answers are kept.
    pub cache: UpstreamRules,
}

/// How calls are spread over replicas.
#[derive(Debug, Clone, PartialEq)]
pub struct Balancing {
    /// How a replica is chosen.
    pub strategy: Strategy,
    /// What the strategy `weighted` looks at.
    pub score: ScoreWeights,
    /// When a replica is taken out, and how it comes back.
    pub health: HealthConfig,
    /// How many calls may be sent again after a failure.
    pub retries: BudgetConfig,
    /// How many read-only calls may be sent twice to cut the tail.
    pub hedges: BudgetConfig,
}

impl Default for Balancing {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            score: ScoreWeights::default(),
            health: HealthConfig::default(),
            retries: BudgetConfig::RETRIES,
            hedges: BudgetConfig::OFF,
        }
    }
}

/// Who shares a connection to a server that may keep state in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionScope {
    /// Everybody: the server keeps no state.
    Shared,
    /// All calls of one principal.
    PerPrincipal,
    /// All calls of one client session; those of a client without sessions count as its principal's.
    PerClientSession,
    /// Nobody: each call has a connection of its own.
    PerRequest,
}

/// One replica of an upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaSettings {
    /// What it is called in tables and errors; unique within the upstream.
    pub name: Arc<str>,
    /// How it is reached.
    pub endpoint: Endpoint,
    /// Most connections: children, or sessions of an HTTP server.
    pub max_connections: u32,
    /// Connections to keep open; `None` is that of the pool.
    pub min_connections: Option<u32>,
    /// Calls that one connection carries at once.
    pub max_calls: u32,
    /// Calls on every open connection at which another is opened; `None` is `max_calls`.
    pub grow_at: Option<u32>,
    /// Share of the calls relative to the others.
    pub weight: f64,
    /// Tool categories that it is meant for.
    pub categories: Vec<Box<str>>,
}

impl ReplicaSettings {
    /// A replica with the defaults of its transport: one child, or as many HTTP sessions as the pool allows.
    pub fn new(name: impl Into<Arc<str>>, endpoint: Endpoint) -> Self {
        let max_connections = if matches!(endpoint, Endpoint::Http(_)) { u32::MAX } else { 1 };
        Self {
            name: name.into(),
            endpoint,
            max_connections,
            min_connections: None,
            max_calls: MAX_CALLS,
            grow_at: None,
            weight: 1.0,
            categories: Vec::new(),
        }
    }
}

/// Calls that one connection carries at once where the configuration does not say: a bound, not a target.
pub const MAX_CALLS: u32 = 1_000;

/// How a replica is reached.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// A child process, spoken to over stdin and stdout.
    Child(ChildSpec),
    /// A streamable HTTP server.
    Http(HttpSpec),
    /// Tools in this process.
    InProcess(Arc<dyn InProcess>),
}

impl UpstreamSettings {
    /// The tools in this process, if that is what the upstream is.
    pub fn in_process(&self) -> Option<&Arc<dyn InProcess>> {
        match &self.replicas.first()?.endpoint {
            Endpoint::InProcess(tools) => Some(tools),
            Endpoint::Child(_) | Endpoint::Http(_) => None,
        }
    }

    /// Whether connections that were opened under these settings may stay under others. What a connection is opened
    /// to, and who shares it, is the same then.
    pub fn keeps_connections(&self, other: &Self) -> bool {
        let same = |(one, other): (&ReplicaSettings, &ReplicaSettings)| {
            one.name == other.name && one.endpoint == other.endpoint
        };
        self.replicas.len() == other.replicas.len()
            && self.replicas.iter().zip(&other.replicas).all(same)
            && self.era == other.era
            && self.session_scope == other.session_scope
            && self.max_message_bytes == other.max_message_bytes
    }

    /// A text that changes when the endpoint of a replica does, so that a manifest of another server is not shown for
    /// this one.
    pub fn fingerprint(&self) -> String {
        let parts: Vec<String> = self.replicas.iter().map(|replica| replica.endpoint.fingerprint()).collect();
        parts.join(", ")
    }

    /// What the answers depend on but the server's own version: where it runs, and with which credentials. A digest, since
    /// those are secret.
    pub fn identity(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |text: &[u8]| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        for replica in &self.replicas {
            add(replica.endpoint.fingerprint().as_bytes());
            match &replica.endpoint {
                Endpoint::Child(child) => {
                    // One that is told none starts in ours, which is another one in another project.
                    let cwd = child.cwd.clone().map_or_else(std::env::current_dir, Ok).unwrap_or_default();
                    add(cwd.as_os_str().as_encoded_bytes());
                    let mut env: Vec<_> = child.env.iter().collect();
                    env.sort_unstable();
                    for (name, value) in env {
                        add(name.as_bytes());
                        add(value.as_bytes());
                    }
                }
                Endpoint::Http(http) => {
                    for (name, value) in &http.headers {
                        add(name.as_str().as_bytes());
                        add(value.as_bytes());
                    }
                }
                Endpoint::InProcess(_) => {}
            }
        }
        hash.finalize().into()
    }

    /// The time-out of a call to the tool `name`.
    pub fn timeout_for(&self, name: &str) -> Duration {
        let own = self.tool_timeouts.iter().find(|(tool, _)| tool == name);
        own.map_or(self.request_timeout, |(_, timeout)| *timeout)
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Child(one), Self::Child(other)) => one == other,
            (Self::Http(one), Self::Http(other)) => one == other,
            (Self::InProcess(one), Self::InProcess(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Endpoint {
    fn fingerprint(&self) -> String {
        match self {
            Endpoint::Child(child) => {
                let cwd = child.cwd.clone().unwrap_or_else(PathBuf::new);
                format!("stdio {} {:?} {}", child.command, child.args, cwd.display())
            }
            Endpoint::Http(http) => format!("http {}", http.url),
            Endpoint::InProcess(_) => "in-process".into(),
        }
    }
}
