//! `[monitoring]`: who sees what the gateway does.

use std::net::SocketAddr;
use std::time::Duration;

use aqe_gateway::telemetry::access_log::Destination;

use super::address::parse_listen;
use super::alerts::{ALERT, ALERT_THRESHOLDS, ALERTING, COMMAND, WEBHOOK};
use super::keys::{Flag, Group, Int, SectionKeys, Text};
use super::otlp::{self, Otlp};
use super::paths;
use super::place::Place;
use super::section::{Section, Spot};

/// `[monitoring]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitoring {
    /// Whether requests are counted and timed.
    pub enabled: bool,
    /// Whether the dashboard and `/metrics` are served over TCP.
    pub dashboard: bool,
    /// A listener of their own; `None`: that of MCP, where it is a loopback one.
    pub listen: Option<SocketAddr>,
    /// How often the dashboard gets new figures.
    pub dashboard_interval: Duration,
    /// Most tools that `/metrics` names one by one.
    pub max_tool_series: usize,
    /// Where a line for each request goes; `None`: nowhere.
    pub access_log: Option<Destination>,
    /// Traces for a collector.
    pub otlp: Otlp,
}

static ENABLED: Flag = Flag {
    name: "enabled",
    default: true,
    meaning: "Whether requests are counted and timed. Without it there are no figures, no alerts, no list of calls in flight, \
              and no call goes to a second replica (`hedge_budget_percent`).",
};
static DASHBOARD: Flag = Flag {
    name: "dashboard",
    default: true,
    meaning: "Whether the dashboard, the part of the admin API that it reads, and `/metrics` are served over TCP: where \
              `listen` says, else where HTTP listens, if that is loopback. They need `bearer_token`, if there is one.",
};
static LISTEN: Text = Text {
    name: "listen",
    kind: "an address and port",
    absent: "none: where HTTP listens, if that is loopback",
    meaning: "A listener for the dashboard and `/metrics` alone, such as `\"127.0.0.1:9464\"`; also for a server that \
              speaks stdio only. Beyond loopback only with `bearer_token`. Where stdio is served and the port is taken, the \
              server goes on without it.",
};
static DASHBOARD_INTERVAL_MS: Int = Int {
    name: "dashboard_interval_ms",
    default: 1_000,
    min: 100,
    max: 10_000,
    meaning: "How often the dashboard gets new figures. Nothing is done while nobody looks.",
};
static MAX_TOOL_SERIES: Int = Int {
    name: "max_tool_series",
    default: 500,
    min: 0,
    max: 100_000,
    meaning: "Most tools that `/metrics` names one by one, in the order of their first calls. The others of an upstream \
              are one tool there, `(other)`. Each has 22 samples or more.",
};

static ACCESS_LOG: Text = Text {
    name: "access_log",
    kind: "`\"off\"`, `\"stderr\"` or a path",
    absent: "`\"off\"`",
    meaning: "Where one line of JSON goes for each request that has ended: standard error, or a file, which is made \
              with mode 0600 and opened anew on SIGHUP. Arguments and results are never in it.",
};
static OTLP: Group = Group { name: "otlp", meaning: "Traces for an OpenTelemetry collector." };

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "monitoring",
    repeated: false,
    meaning: "Who sees what the gateway does.",
    keys: &[
        &ENABLED,
        &DASHBOARD,
        &LISTEN,
        &DASHBOARD_INTERVAL_MS,
        &MAX_TOOL_SERIES,
        &ALERTING,
        &ALERT_THRESHOLDS,
        &ALERT,
        &WEBHOOK,
        &COMMAND,
        &ACCESS_LOG,
        &OTLP,
    ],
};

impl Monitoring {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        Self {
            enabled: section.flag(&ENABLED),
            dashboard: section.flag(&DASHBOARD),
            listen: listen(section),
            dashboard_interval: Duration::from_millis(section.int(&DASHBOARD_INTERVAL_MS)),
            max_tool_series: usize::try_from(section.int(&MAX_TOOL_SERIES)).unwrap_or(usize::MAX),
            access_log: access_log(section),
            otlp: Otlp::read(&section.group(&OTLP, &otlp::KEYS)),
        }
    }

    /// Where the address of the listener is written.
    pub(super) fn listen_at(section: &Section<'_, '_>) -> Option<Place> {
        section.key_at(LISTEN.name).map(|at| section.cx.place(&at))
    }
}

fn access_log(section: &Section<'_, '_>) -> Option<Destination> {
    let Spot { value, at } = section.expanded(&ACCESS_LOG)?;
    match value.value() {
        "off" => None,
        "stderr" => Some(Destination::Stderr),
        path => paths::resolve(&section.cx, ACCESS_LOG.name, path, &at).map(Destination::File),
    }
}

fn listen(section: &Section<'_, '_>) -> Option<SocketAddr> {
    let Spot { value, at } = section.text(&LISTEN)?;
    parse_listen(value).map_err(|fault| section.cx.fault(&at, format!("\"listen\": {fault}"))).ok()
}
