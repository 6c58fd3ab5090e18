//! Alerts of `[monitoring]`: rules, thresholds, and how they are told.

use std::time::Duration;

use aqe_core::monitor::alerts::{
    BurnRate, Comparison, Condition, Rule, Scope, ScopeKind, Severity, Signal, Thresholds, Unit, Window,
};

use super::alert_sinks::{self, Command, Webhook};
use super::env::clip;
use super::keys::{Choice, Flag, Group, Int, OptChoice, OptReal, Real, SectionKeys, Tables, Text};
use super::place::Place;
use super::pool::{DAY_S, seconds};
use super::section::{Section, Spot};
use super::upstream::{NAME_FORM, is_name};

/// The alert keys of `[monitoring]`.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// Whether any rule is looked at.
    pub enabled: bool,
    /// How long a firing goes on until it is told again; `None`: it is told once.
    pub repeat: Option<Duration>,
    /// From which severity on alerts are logged.
    pub log: Option<Severity>,
    /// From which severity on clients that ask for log messages are told.
    pub mcp_log: Option<Severity>,
    /// The rules: those that there are by default, but for those that the file replaces or switches off, and its own.
    pub rules: Vec<Rule>,
    /// Where those of the file are written, by their names.
    pub places: Vec<(String, Place)>,
    /// URLs that are told.
    pub webhooks: Vec<Webhook>,
    /// Programs that are run.
    pub commands: Vec<Command>,
}

/// Longest name of a tool or replica in a rule, bytes.
const MAX_SUBJECT: usize = 256;

const SIGNALS: &[(&str, Signal)] = &{
    let mut words = [("", Signal::LatencyMean); Signal::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = (Signal::ALL[at].as_str(), Signal::ALL[at]);
        at += 1;
    }
    words
};

pub(super) static ALERTING: Group = Group { name: "alerting", meaning: "How alerts are told." };
pub(super) static ALERT_THRESHOLDS: Group = Group {
    name: "alert_thresholds",
    meaning: "From which values on the rules fire that there are by default.",
};
pub(super) static ALERT: Tables = Tables { name: "alert", meaning: "Rules of your own." };
pub(super) static WEBHOOK: Tables = Tables { name: "webhook", meaning: "URLs that are told of alerts." };
pub(super) static COMMAND: Tables = Tables { name: "command", meaning: "Programs that are run for alerts." };

static ENABLED: Flag = Flag { name: "enabled", default: true, meaning: "Whether any rule is looked at." };
static REPEAT_S: Real = Real {
    name: "repeat_s",
    default: 14_400.0,
    min: 0.0,
    max: 7.0 * DAY_S,
    meaning: "How long an alert goes on until it is told again; 0: it is told once. Acknowledged ones are not repeated.",
};
static LOG: Choice<Option<Severity>> = Choice {
    name: "log",
    options: &[
        ("info", Some(Severity::Info)),
        ("warning", Some(Severity::Warning)),
        ("critical", Some(Severity::Critical)),
        ("off", None),
    ],
    meaning: "From which severity on alerts are written to the log.",
};
static MCP_LOG: Choice<Option<Severity>> = Choice {
    name: "mcp_log",
    options: &[
        ("warning", Some(Severity::Warning)),
        ("info", Some(Severity::Info)),
        ("critical", Some(Severity::Critical)),
        ("off", None),
    ],
    meaning: "From which severity on alerts are sent as `notifications/message` to clients that have set a log level \
              (`logging/setLevel`) which lets them through.",
};

pub(super) static ALERTING_KEYS: SectionKeys = SectionKeys {
    path: "monitoring.alerting",
    repeated: false,
    meaning: "How alerts are told; see docs/monitoring.md.",
    keys: &[&ENABLED, &REPEAT_S, &LOG, &MCP_LOG],
};

static P95_RESPONSE_TIME_MS: Real = Real {
    name: "p95_response_time_ms",
    default: 200.0,
    min: 0.0,
    max: 1e9,
    meaning: "Rule `response-time`: the p95 of the latency of the last minute is above this for five minutes.",
};
static ERROR_RATE: Real = Real {
    name: "error_rate",
    default: 0.05,
    min: 0.0,
    max: 1.0,
    meaning: "Rule `error-rate`: the share of failed requests of the last minute is above this for one minute.",
};
static POOL_HIT_RATE: Real = Real {
    name: "pool_hit_rate",
    default: 0.7,
    min: 0.0,
    max: 1.0,
    meaning: "Rule `pool-hit-rate`: the share of calls of the last minute that found an open connection is below this for \
              ten minutes.",
};
static MEMORY_BYTES: Real = Real {
    name: "memory_bytes",
    default: 500e6,
    min: 0.0,
    max: 1e15,
    meaning: "Rule `memory`: this process has more resident memory than this for five minutes.",
};

pub(super) static THRESHOLDS_KEYS: SectionKeys = SectionKeys {
    path: "monitoring.alert_thresholds",
    repeated: false,
    meaning: "From which values on the rules fire that there are by default.",
    keys: &[&P95_RESPONSE_TIME_MS, &ERROR_RATE, &POOL_HIT_RATE, &MEMORY_BYTES],
};

static NAME: Text = Text {
    name: "name",
    kind: NAME_FORM,
    absent: "required",
    meaning: "What it is called. A rule with the name of a default one takes its place: `response-time`, `error-rate`, \
              `pool-hit-rate`, `memory`.",
};
static RULE_ENABLED: Flag = Flag {
    name: "enabled",
    default: true,
    meaning: "Whether it is looked at; also for default ones, by name.",
};
static SIGNAL: OptChoice<Signal> = OptChoice {
    name: "signal",
    options: SIGNALS,
    absent: "this or `burn_rate`",
    meaning: "What is watched. Latencies are in milliseconds, rates are shares from 0 to 1; `replicas_out` is the number \
              of replicas that take no calls.",
};
static ABOVE: OptReal = OptReal {
    name: "above",
    absent: "this or `below`",
    min: 0.0,
    max: 1e15,
    meaning: "The condition holds while the signal is above this.",
};
static BELOW: OptReal = OptReal {
    name: "below",
    absent: "this or `above`",
    min: 0.0,
    max: 1e15,
    meaning: "The condition holds while the signal is below this.",
};
static WINDOW: Choice<Window> = Choice {
    name: "window",
    options: &[("1m", Window::OneMinute), ("10s", Window::TenSeconds), ("5m", Window::FiveMinutes)],
    meaning: "The time that the signal is taken over.",
};
static BURN_RATE: Group = Group { name: "burn_rate", meaning: "In place of a signal: an error budget." };
static TOOL: Text = Text {
    name: "tool",
    kind: "the name of a tool, as clients see it",
    absent: "everything is watched",
    meaning: "Watch this tool alone.",
};
static UPSTREAM: Text = Text {
    name: "upstream",
    kind: "the name of an upstream",
    absent: "everything is watched",
    meaning: "Watch this upstream alone.",
};
static CATEGORY: Text = Text {
    name: "category",
    kind: "the name of a category",
    absent: "everything is watched",
    meaning: "Watch this category of tools alone.",
};
static REPLICA: Text = Text {
    name: "replica",
    kind: "the name of a replica",
    absent: "the whole upstream is watched",
    meaning: "Watch this replica of `upstream` alone.",
};
static FOR_S: Real = Real {
    name: "for_s",
    default: 0.0,
    min: 0.0,
    max: DAY_S,
    meaning: "How long the condition must hold until the alert fires; until then it is pending.",
};
static RESOLVE_AFTER_S: Real = Real {
    name: "resolve_after_s",
    default: 0.0,
    min: 0.0,
    max: DAY_S,
    meaning: "How long the condition must not hold until the alert resolves. Keeps one that flaps from being many.",
};
static SEVERITY: Choice<Severity> = Choice {
    name: "severity",
    options: &[("warning", Severity::Warning), ("info", Severity::Info), ("critical", Severity::Critical)],
    meaning: "How bad it is; each receiver chooses from which severity on it is told.",
};
static MIN_REQUESTS: Int = Int {
    name: "min_requests",
    default: 1,
    min: 1,
    max: 1_000_000_000,
    meaning: "Requests in the window (of a burn rate: in the long one) below which latencies and rates count as not known.",
};

pub(super) static ALERT_KEYS: SectionKeys = SectionKeys {
    path: "monitoring.alert",
    repeated: true,
    meaning: "A rule; one table for each. It takes `signal` with `above` or `below`, or `burn_rate`.",
    keys: &[
        &NAME,
        &RULE_ENABLED,
        &SIGNAL,
        &ABOVE,
        &BELOW,
        &WINDOW,
        &BURN_RATE,
        &TOOL,
        &UPSTREAM,
        &CATEGORY,
        &REPLICA,
        &FOR_S,
        &RESOLVE_AFTER_S,
        &SEVERITY,
        &MIN_REQUESTS,
    ],
};

static OBJECTIVE: Real = Real {
    name: "objective",
    default: 0.999,
    min: 0.01,
    max: 0.999_999,
    meaning: "The share of requests that should succeed; the rest is the error budget.",
};
static FACTOR: Real = Real {
    name: "factor",
    default: 14.4,
    min: 0.1,
    max: 100_000.0,
    meaning: "The condition holds while errors use up the budget more than so many times as fast as it allows.",
};
static LONG_WINDOW_S: Real = Real {
    name: "long_window_s",
    default: 3600.0,
    min: 60.0,
    max: 21_600.0,
    meaning: "The window that shows that it matters.",
};
static SHORT_WINDOW_S: OptReal = OptReal {
    name: "short_window_s",
    absent: "a twelfth of `long_window_s`",
    min: 1.0,
    max: 21_600.0,
    meaning: "The window that shows that it goes on: at least a sixtieth of the long one, and shorter than it.",
};

pub(super) static BURN_RATE_KEYS: SectionKeys = SectionKeys {
    path: "monitoring.alert.burn_rate",
    repeated: false,
    meaning: "An error budget that is used up too fast, over a long and a short window; belongs to the \
              `[[monitoring.alert]]` above it.",
    keys: &[&OBJECTIVE, &FACTOR, &LONG_WINDOW_S, &SHORT_WINDOW_S],
};

impl Alerts {
    /// Reads the alert keys of `[monitoring]`.
    pub(super) fn read(monitoring: &Section<'_, '_>) -> Self {
        let told = monitoring.group(&ALERTING, &ALERTING_KEYS);
        let levels = monitoring.group(&ALERT_THRESHOLDS, &THRESHOLDS_KEYS);
        let thresholds = Thresholds {
            p95_response_time_ms: levels.real(&P95_RESPONSE_TIME_MS),
            error_rate: levels.real(&ERROR_RATE),
            pool_hit_rate: levels.real(&POOL_HIT_RATE),
            memory_bytes: levels.real(&MEMORY_BYTES),
        };
        let mut rules = thresholds.rules();
        let mut places: Vec<(String, Place)> = Vec::new();
        for node in monitoring.tables(&ALERT) {
            let section = Section::open(monitoring.cx, &ALERT_KEYS, Some(node));
            let (name, rule) = rule(&section);
            let Some(Spot { value: name, at }) = name else { continue };
            if places.iter().any(|(known, _)| *known == name) {
                section.cx.fault(&at, format!("another alert is called \"{name}\""));
            }
            // It stands in for the default one of its name.
            rules.retain(|known| *known.name != *name);
            rules.extend(rule);
            places.push((name, section.cx.place(&at)));
        }
        let repeat = seconds(&told, &REPEAT_S);
        let webhooks = monitoring.tables(&WEBHOOK).into_iter();
        let commands = monitoring.tables(&COMMAND).into_iter();
        let open = |keys, node| Section::open(monitoring.cx, keys, Some(node));
        let mut names = alert_sinks::Names::default();
        Self {
            enabled: told.flag(&ENABLED),
            repeat: (!repeat.is_zero()).then_some(repeat),
            log: told.choice(&LOG),
            mcp_log: told.choice(&MCP_LOG),
            rules,
            places,
            webhooks: webhooks
                .filter_map(|node| Webhook::read(&open(&alert_sinks::WEBHOOK_KEYS, node), &mut names))
                .collect(),
            commands: commands
                .filter_map(|node| Command::read(&open(&alert_sinks::COMMAND_KEYS, node), &mut names))
                .collect(),
        }
    }
}

/// Reads a rule: its name, and the rule itself unless it is switched off or cannot be used.
fn rule(section: &Section<'_, '_>) -> (Option<Spot<String>>, Option<Rule>) {
    let name = name(section, &NAME);
    let enabled = section.flag(&RULE_ENABLED);
    let scope = scope(section);
    let condition = condition(section, enabled);
    let (hold, resolve_after) = (seconds(section, &FOR_S), seconds(section, &RESOLVE_AFTER_S));
    let (severity, min_requests) = (section.choice(&SEVERITY), section.int(&MIN_REQUESTS));
    let Some((condition, scope)) = condition.zip(scope).filter(|_| enabled && name.is_some()) else {
        return (name, None);
    };
    let own = name.as_ref().map_or("", |name| &name.value).into();
    let rule =
        Rule { name: own, condition, scope, hold, resolve_after, severity, min_requests, is_default: false };
    check(section, &rule);
    (name, Some(rule))
}

/// Reads a required name.
pub(super) fn name(section: &Section<'_, '_>, key: &Text) -> Option<Spot<String>> {
    let Some(Spot { value, at }) = section.text(key) else {
        if section.key_at(key.name).is_none() {
            section.cx.fault(&section.at, format!("\"{}\" is missing", key.name));
        }
        return None;
    };
    if is_name(value) {
        return Some(Spot { value: value.to_owned(), at });
    }
    section.cx.fault(&at, format!("\"{}\" must be {NAME_FORM}; found \"{}\"", key.name, clip(value)));
    None
}

/// Of what; `None` where that is said wrongly.
fn scope(section: &Section<'_, '_>) -> Option<Scope> {
    let read = |key: &Text| {
        let Spot { value, at } = section.text(key)?;
        if (1..=MAX_SUBJECT).contains(&value.len()) && !value.chars().any(char::is_control) {
            return Some(Spot { value, at });
        }
        section.cx.fault(&at, format!("\"{}\" must be {}", key.name, key.kind));
        None
    };
    let [tool, upstream, category, replica] = [&TOOL, &UPSTREAM, &CATEGORY, &REPLICA].map(read);
    let given = [&tool, &upstream, &category].into_iter().flatten().collect::<Vec<_>>();
    if let [_, second, ..] = given[..] {
        section.cx.fault(&second.at, "a rule watches one of \"tool\", \"upstream\" and \"category\"");
        return None;
    }
    match (tool, upstream, category, replica) {
        (None, Some(upstream), None, Some(replica)) => {
            Some(Scope::Replica { upstream: upstream.value.into(), replica: replica.value.into() })
        }
        (.., Some(replica)) => {
            section.cx.fault(&replica.at, "\"replica\" needs the \"upstream\" that it is of");
            None
        }
        (Some(tool), ..) => Some(Scope::Tool(tool.value.into())),
        (_, Some(upstream), ..) => Some(Scope::Upstream(upstream.value.into())),
        (_, _, Some(category), _) => Some(Scope::Category(category.value.into())),
        _ => Some(Scope::All),
    }
}

/// When the rule's condition holds. One that is switched off need not say.
fn condition(section: &Section<'_, '_>, required: bool) -> Option<Condition> {
    let signal = section.opt_choice(&SIGNAL);
    let (above, below) = (section.opt_real(&ABOVE), section.opt_real(&BELOW));
    let window = section.choice(&WINDOW);
    let burn = section.group(&BURN_RATE, &BURN_RATE_KEYS);
    let burn = section.key_at(BURN_RATE.name).map(|at| (at, burn));
    let fault = |message: &str| {
        if required {
            section.cx.fault(&section.at, message);
        }
        None
    };
    if let Some((at, burn)) = burn {
        for key in [SIGNAL.name, ABOVE.name, BELOW.name, WINDOW.name] {
            if let Some(at) = section.key_at(key) {
                section.cx.fault(&at, format!("\"{key}\" has no effect with \"burn_rate\""));
            }
        }
        let long = seconds(&burn, &LONG_WINDOW_S);
        let short = burn.opt_real(&SHORT_WINDOW_S).map_or(long / 12, Duration::from_secs_f64);
        if short < long / BurnRate::FINEST || short >= long {
            let message =
                "\"short_window_s\" must be at least a sixtieth of \"long_window_s\", and shorter than it";
            section.cx.fault(&burn.key_at(SHORT_WINDOW_S.name).unwrap_or(at), message);
        }
        let (objective, factor) = (burn.real(&OBJECTIVE), burn.real(&FACTOR));
        return Some(Condition::BurnRate(BurnRate { objective, factor, long, short }));
    }
    if section.key_at(SIGNAL.name).is_some() && signal.is_none() {
        // A wrong word was reported where it stands.
        return None;
    }
    let Some(signal) = signal else {
        return fault("neither \"signal\" nor \"burn_rate\" is given; an alert needs one of them");
    };
    let (comparison, threshold) = match (above, below) {
        (Some(above), None) => (Comparison::Above, above),
        (None, Some(below)) => (Comparison::Below, below),
        (Some(_), Some(_)) => {
            return fault("\"above\" and \"below\" are both given; an alert has one threshold");
        }
        (None, None) => return fault("neither \"above\" nor \"below\" is given; an alert needs one of them"),
    };
    Some(Condition::Threshold { signal, comparison, threshold, window })
}

/// What no single key of a rule can tell.
fn check(section: &Section<'_, '_>, rule: &Rule) {
    let at = |key: &str| section.key_at(key).unwrap_or_else(|| section.at.clone());
    let kind = rule.scope.kind();
    let (scopes, of_calls, has_window): (&[ScopeKind], _, _) = match &rule.condition {
        Condition::Threshold { signal, .. } => (signal.scopes(), signal.is_of_calls(), signal.has_window()),
        Condition::BurnRate(_) => (Signal::ErrorRate.scopes(), true, true),
    };
    if !scopes.contains(&kind) {
        let known: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let message = format!(
            "\"{}\" is not known of a {}, only of: {}",
            rule.signal(),
            kind.as_str(),
            known.join(", ")
        );
        section.cx.fault(&at(kind.as_str()), message);
    }
    for (key, has_effect) in [(WINDOW.name, has_window), (MIN_REQUESTS.name, of_calls)] {
        if let Some(at) = section.key_at(key).filter(|_| !has_effect) {
            section.cx.fault(&at, format!("\"{key}\" has no effect with \"{}\"", rule.signal()));
        }
    }
    if rule.unit() == Unit::Share && rule.threshold() > 1.0 {
        let key = rule.comparison().as_str();
        section.cx.fault(&at(key), format!("\"{key}\" is a share from 0 to 1 here: 0.05 is 5 %"));
    }
}
