//! What the gateway needs to know, as plain values. The application fills them from its configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aqe_core::envelope::Limits;
use aqe_core::inprocess::InProcess;
use aqe_core::registry::{Glob, RegistryConfig};
use aqe_core::revision::Era;

use crate::admin::About;
use crate::upstream::{ChildSpec, HttpSpec};

/// Settings of the whole gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds on one message.
    pub message: Limits,
    /// Longest body or line in bytes.
    pub max_body_bytes: usize,
    /// How names are shown and found.
    pub registry: RegistryConfig,
    /// Fuzzily resolved names that are remembered.
    pub resolved_names: usize,
    /// Entries of one page of a list; longer lists are paged.
    pub page_size: usize,
    /// When children are started and servers connected.
    pub start: Start,
    /// How long the first list waits for upstreams whose manifest is not known yet.
    pub first_list_wait: Duration,
    /// The upstreams, in the order of the configuration.
    pub upstreams: Vec<UpstreamSettings>,
    /// Bounds on legacy sessions.
    pub sessions: SessionSettings,
    /// What the admin API says of this process.
    pub about: About,
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
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Its name, unique.
    pub name: String,
    /// How it is reached.
    pub endpoint: Endpoint,
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
    /// Longest line or body in bytes.
    pub max_message_bytes: usize,
}

/// How an upstream is reached.
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
    /// A text that changes when the endpoint does, so that a manifest of another server is not shown for this one.
    pub fn fingerprint(&self) -> String {
        match &self.endpoint {
            Endpoint::Child(child) => {
                let cwd = child.cwd.clone().unwrap_or_else(PathBuf::new);
                format!("stdio {} {:?} {}", child.command, child.args, cwd.display())
            }
            Endpoint::Http(http) => format!("http {}", http.url),
            Endpoint::InProcess(_) => "in-process".into(),
        }
    }

    /// The time-out of a call to the tool `name`.
    pub fn timeout_for(&self, name: &str) -> Duration {
        let own = self.tool_timeouts.iter().find(|(tool, _)| tool == name);
        own.map_or(self.request_timeout, |(_, timeout)| *timeout)
    }
}
