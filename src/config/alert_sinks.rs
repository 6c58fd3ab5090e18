//! `[[monitoring.webhook]]` and `[[monitoring.command]]`: who is told of alerts.

use std::time::Duration;

use aqe_core::monitor::alerts::Severity;

use super::alerts::name;
use super::endpoint::{Child, Draft, Endpoint, HttpServer};
use super::keys::{Choice, Int, Map, Real, SectionKeys, Text, Texts};
use super::pool::{DAY_S, seconds};
use super::secret::Secret;
use super::section::{Section, Spot};
use super::server::inherited;
use super::upstream::NAME_FORM;

/// Names that sinks have which need no configuration.
const TAKEN: &[&str] = &["log", "mcp_log"];
/// Shortest key of signatures, bytes.
const SHORTEST_SECRET: usize = 16;
/// Longest time for one attempt, milliseconds.
const LONGEST_MS: u64 = 600_000;

/// A URL that is told.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub server: HttpServer,
    /// What signs each delivery.
    pub secret: Option<Secret>,
    /// From which severity on it is told.
    pub min_severity: Severity,
    /// Time for one attempt.
    pub timeout: Duration,
    /// How long it is tried.
    pub retry_for: Duration,
}

/// A program that is run.
#[derive(Clone, Debug)]
pub struct Command {
    /// What it is called.
    pub name: String,
    /// What is run.
    pub child: Child,
    /// From which severity on it is told.
    pub min_severity: Severity,
    /// Time until it is killed.
    pub timeout: Duration,
}

static NAME: Text = Text {
    name: "name",
    kind: NAME_FORM,
    absent: "required",
    meaning: "What it is called; differs from every other webhook and command.",
};
static MIN_SEVERITY: Choice<Severity> = Choice {
    name: "min_severity",
    options: &[("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)],
    meaning: "From which severity on it is told.",
};
static URL: Text = Text {
    name: "url",
    kind: "an http or https URL",
    absent: "required",
    meaning: "Where a POST with a JSON document is sent to. Write `\"${NAME}\"` where the URL is a secret.",
};
static HEADERS: Map = Map {
    name: "headers",
    kind: "a table of strings",
    meaning: "Headers for every request to it, such as `Authorization`.",
};
static CA_FILE: Text = Text {
    name: "ca_file",
    kind: "a path",
    absent: "the public ones alone",
    meaning: "A PEM file with further root certificates to trust.",
};
static SECRET: Text = Text {
    name: "secret",
    kind: "16 or more characters, or `whsec_` and base64",
    absent: "none: not signed",
    meaning: "The key of the header `webhook-signature` (HMAC-SHA256, standardwebhooks.com). Write `\"${NAME}\"` and keep \
              it in the environment.",
};
static TIMEOUT_MS: Int = Int {
    name: "timeout_ms",
    default: 10_000,
    min: 1,
    max: LONGEST_MS,
    meaning: "Time for one attempt, from the look-up of the host to the answer.",
};
static RETRY_FOR_S: Real = Real {
    name: "retry_for_s",
    default: 600.0,
    min: 0.0,
    max: DAY_S,
    meaning: "How long after an alert it is still tried to deliver it: again after 1 s, 2 s, 4 s and so on up to a minute, or \
              when `Retry-After` says.",
};

pub(super) static WEBHOOK_KEYS: SectionKeys = SectionKeys {
    path: "monitoring.webhook",
    repeated: true,
    meaning: "A URL that is told of alerts; one table for each. docs/monitoring.md shows the document.",
    keys: &[&NAME, &URL, &HEADERS, &CA_FILE, &SECRET, &MIN_SEVERITY, &TIMEOUT_MS, &RETRY_FOR_S],
};

static COMMAND: Text = Text {
    name: "command",
    kind: "a program",
    absent: "required",
    meaning: "The program: a name in `PATH` or a path. It gets the JSON document of the webhooks on its standard input, and \
              `AQE_ALERT_NAME`, `_EVENT`, `_SEVERITY`, `_TEXT`, `_ID` and `_DELIVERY` as variables. No shell reads it.",
};
static ARGS: Texts =
    Texts { name: "args", kind: "a list of strings", absent: "`[]`", meaning: "Its arguments." };
static ENV: Map = Map {
    name: "env",
    kind: "a table of strings",
    meaning: "Its environment variables, beside `PATH`, `HOME`, the locale and their like.",
};
static INHERIT_ENV: Texts = Texts {
    name: "inherit_env",
    kind: "a list of variable names",
    absent: "`[]`",
    meaning: "Further variables of the server's environment that it gets.",
};
static CWD: Text = Text {
    name: "cwd",
    kind: "a path",
    absent: "that of the server",
    meaning: "The folder that it starts in.",
};
static RUN_TIMEOUT_MS: Int = Int {
    name: "timeout_ms",
    default: 30_000,
    min: 1,
    max: LONGEST_MS,
    meaning: "How long it may run; it is killed then, with all that it has started.",
};

pub(super) static COMMAND_KEYS: SectionKeys = SectionKeys {
    path: "monitoring.command",
    repeated: true,
    meaning: "A program that is run for each alert that is told; one table for each. One run at a time, and no second one \
              where it fails.",
    keys: &[&NAME, &COMMAND, &ARGS, &ENV, &INHERIT_ENV, &CWD, &MIN_SEVERITY, &RUN_TIMEOUT_MS],
};

/// The names of sinks so far.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    fn take(&mut self, section: &Section<'_, '_>) -> Option<String> {
        let Spot { value, at } = name(section, &NAME)?;
        if TAKEN.contains(&value.as_str()) || self.0.contains(&value) {
            section.cx.fault(&at, format!("another webhook, command or sink is called \"{value}\""));
        }
        self.0.push(value.clone());
        Some(value)
    }
}

/// Reports a required key that is not there.
fn missing<T>(section: &Section<'_, '_>, key: &Text) -> Option<T> {
    if section.key_at(key.name).is_none() {
        section.cx.fault(&section.at, format!("\"{}\" is missing", key.name));
    }
    None
}

impl Webhook {
    /// Reads one table. `None` when it cannot be used; why is reported.
    pub(super) fn read(section: &Section<'_, '_>, names: &mut Names) -> Option<Self> {
        let name = names.take(section);
        let draft = Draft {
            url: section.text(&URL),
            headers: section.text_map(&HEADERS),
            ca_file: section.text(&CA_FILE),
            ..Draft::default()
        };
        let secret = section.expanded(&SECRET).map(|Spot { value, at }| {
            let is_sound = match value.value().strip_prefix("whsec_") {
                Some(encoded) => encoded.len() >= SHORTEST_SECRET && is_base64(encoded),
                None => value.value().len() >= SHORTEST_SECRET,
            };
            if !is_sound {
                section.cx.fault(&at, format!("\"{}\" must be {}", SECRET.name, SECRET.kind));
            }
            Secret::new(value.value())
        });
        let min_severity = section.choice(&MIN_SEVERITY);
        let timeout = Duration::from_millis(section.int(&TIMEOUT_MS));
        let retry_for = seconds(section, &RETRY_FOR_S);
        // A wrong type was reported where it stands.
        let there = draft.url.as_ref().map(drop).or_else(|| missing(section, &URL));
        let server = there.and_then(|()| draft.finish(&section.cx, &section.at, "a webhook"));
        let Endpoint::Http(server) = server? else { return None };
        Some(Self { name: name?, server, secret, min_severity, timeout, retry_for })
    }
}

fn is_base64(text: &str) -> bool {
    let data = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - data.len() <= 2
        && data.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
}

impl Command {
    /// Reads one table. `None` when it cannot be used; why is reported.
    pub(super) fn read(section: &Section<'_, '_>, names: &mut Names) -> Option<Self> {
        let name = names.take(section);
        let draft = Draft {
            command: section.text(&COMMAND),
            args: section.texts(&ARGS),
            env: section.text_map(&ENV),
            inherit_env: inherited(section, &INHERIT_ENV),
            cwd: section.text(&CWD),
            ..Draft::default()
        };
        let min_severity = section.choice(&MIN_SEVERITY);
        let timeout = Duration::from_millis(section.int(&RUN_TIMEOUT_MS));
        let there = draft.command.as_ref().map(drop).or_else(|| missing(section, &COMMAND));
        let child = there.and_then(|()| draft.finish(&section.cx, &section.at, "a command"));
        let Endpoint::Child(child) = child? else { return None };
        Some(Self { name: name?, child, min_severity, timeout })
    }
}
