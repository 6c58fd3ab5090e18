//! What the application configures of alerts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aqe_core::monitor::alerts::{Firing, Rule, Severity};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::outbound::Target;
use crate::upstream::ChildSpec;

/// Which rules there are and who is told; can be changed while the gateway runs.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSettings {
    /// The rules.
    pub rules: Vec<Rule>,
    /// How long a firing goes on until it is told again; `None`: it is told once.
    pub repeat: Option<Duration>,
    /// From which severity on alerts are logged; `None`: none are.
    pub log: Option<Severity>,
    /// From which severity on alerts are sent to clients that have asked for log messages; `None`: none are.
    pub mcp_log: Option<Severity>,
    /// URLs that are told.
    pub webhooks: Vec<WebhookSettings>,
    /// Programs that are run.
    pub commands: Vec<CommandSettings>,
}

/// A URL that is told.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookSettings {
    /// What it is called; unique among webhooks and commands.
    pub name: Arc<str>,
    /// Where it is.
    pub target: Target,
    /// What signs each delivery; `None`: nothing does.
    pub secret: Option<SigningKey>,
    /// From which severity on it is told.
    pub min_severity: Severity,
    /// Time for one attempt.
    pub timeout: Duration,
    /// How long after an alert it is still tried to deliver it.
    pub retry_for: Duration,
}

/// A program that is run.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandSettings {
    /// What it is called; unique among webhooks and commands.
    pub name: Arc<str>,
    /// What is run, with which environment.
    pub spec: ChildSpec,
    /// From which severity on it is told.
    pub min_severity: Severity,
    /// Time until it is killed.
    pub timeout: Duration,
}

/// The key of signatures. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// A key of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// A key that is written in base64.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(Self)
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Keeps firings across restarts.
pub trait AlertHistory: Send + Sync + fmt::Debug {
    /// Keeps a firing in the place of one with the same id; failures are the store's to report.
    fn save(&self, firing: Firing);
}

/// What earlier runs have kept, and where this one keeps its own.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Where firings are kept; `None`: only in memory.
    pub history: Option<Arc<dyn AlertHistory>>,
    /// Earlier firings that are over, the newest first.
    pub past: Vec<Firing>,
}
