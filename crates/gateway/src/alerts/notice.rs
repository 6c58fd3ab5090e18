//! What receivers are told of an alert: one JSON document, the same for all.

use std::path::Path;
use std::sync::Arc;

use aqe_core::monitor::alerts::{Condition, Event, Firing, Rule, Scope, Severity, What};
use bytes::Bytes;
use serde_json::{Value, json};

use super::clock::rfc3339;

/// Something that is told.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// Unique; the same in every attempt to deliver it, so that a receiver can drop doubles.
    pub(crate) delivery: String,
    /// `fired`, `repeated`, `acknowledged`, `resolved` or `test`.
    pub(crate) event: &'static str,
    /// The rule's name.
    pub(crate) name: Arc<str>,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// The firing's id.
    pub(crate) id: String,
    /// One line for people.
    pub(crate) text: String,
    /// The JSON document.
    pub(crate) document: Bytes,
}

/// The server that tells.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) pid: u32,
    pub(super) folder: String,
}

impl Origin {
    pub(super) fn new(folder: &Path) -> Self {
        Self { pid: std::process::id(), folder: folder.display().to_string() }
    }
}

impl Notice {
    /// A notice of what has happened to a firing.
    pub(super) fn of(event: &Event, firing: &Firing, delivery: String, at: i64, origin: &Origin) -> Self {
        let word = match event.what {
            What::Fired => "fired",
            What::Repeated => "repeated",
            What::Acknowledged => "acknowledged",
            What::Resolved(_) => "resolved",
        };
        let rule = &event.rule;
        let severity = rule.severity;
        let text = match (event.what, &firing.acked_by) {
            (What::Resolved(why), _) => format!("[resolved] {}: {}", rule.name, why.meaning()),
            (What::Acknowledged, Some(by)) => {
                format!("[acknowledged] {} by {by}: {}", rule.name, firing.text)
            }
            _ => format!("[{}] {}: {}", severity.as_str(), rule.name, firing.text),
        };
        let mut alert = of_rule(rule);
        alert["id"] = firing.id.as_str().into();
        alert["value"] = event.value.into();
        alert["text"] = firing.text.as_str().into();
        merge(&mut alert, &times(firing));
        Self {
            event: word,
            name: Arc::clone(&rule.name),
            severity,
            id: firing.id.clone(),
            document: document(&delivery, word, &text, at, &alert, origin),
            delivery,
            text,
        }
    }

    /// A notice that only shows whether notices arrive.
    pub(super) fn test(delivery: String, at: i64, origin: &Origin) -> Self {
        let (word, name, severity) = ("test", "test", Severity::Info);
        let text = "[test] this is a test of the alerts of aqe-v3; nothing is wrong".to_owned();
        let alert = json!({ "id": delivery, "name": name, "severity": severity.as_str(), "text": text });
        Self {
            event: word,
            name: name.into(),
            severity,
            id: delivery.clone(),
            document: document(&delivery, word, &text, at, &alert, origin),
            delivery,
            text,
        }
    }
}

fn document(delivery: &str, event: &str, text: &str, at: i64, alert: &Value, origin: &Origin) -> Bytes {
    let server = json!({
        "name": "aqe-v3",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": origin.pid,
        "folder": origin.folder,
    });
    let document = json!({
        "delivery": delivery,
        "event": event,
        "at": rfc3339(at),
        // Where chat programs look for what to show.
        "text": text,
        "alert": alert,
        "server": server,
    });
    document.to_string().into()
}

/// What a rule watches, and when it fires.
pub(super) fn of_rule(rule: &Rule) -> Value {
    let window = match &rule.condition {
        Condition::Threshold { signal, window, .. } if signal.has_window() => Some(window.as_str()),
        _ => None,
    };
    let burn_rate = match &rule.condition {
        Condition::BurnRate(burn) => json!({
            "objective": burn.objective,
            "long_window_ms": burn.long.as_secs_f64() * 1e3,
            "short_window_ms": burn.short.as_secs_f64() * 1e3,
        }),
        Condition::Threshold { .. } => Value::Null,
    };
    json!({
        "name": *rule.name,
        "severity": rule.severity.as_str(),
        "signal": rule.signal(),
        "unit": rule.unit().as_str(),
        "scope": of_scope(&rule.scope),
        "comparison": rule.comparison().as_str(),
        "threshold": rule.threshold(),
        "window": window,
        "burn_rate": burn_rate,
        "for_ms": rule.hold.as_secs_f64() * 1e3,
    })
}

fn of_scope(scope: &Scope) -> Value {
    let kind = scope.kind().as_str();
    match scope {
        Scope::All => json!({ "kind": kind, "name": null }),
        Scope::Tool(name) | Scope::Upstream(name) | Scope::Category(name) => {
            json!({ "kind": kind, "name": **name })
        }
        Scope::Replica { upstream, replica } => {
            json!({ "kind": kind, "name": **replica, "upstream": **upstream })
        }
    }
}

/// What became of a firing.
pub(super) fn times(firing: &Firing) -> Value {
    let ack = firing.acked_by.as_ref().map(
        |by| json!({ "by": by, "at": firing.acked_at.map_or(Value::Null, rfc3339), "note": firing.ack_note }),
    );
    json!({
        "started": rfc3339(firing.started),
        "ended": firing.ended.map_or(Value::Null, rfc3339),
        "resolution": firing.resolution.map(aqe_core::monitor::alerts::Resolution::as_str),
        "peak": firing.peak,
        "ack": ack,
    })
}

/// Adds the members of one object to another.
pub(super) fn merge(to: &mut Value, from: &Value) {
    if let (Some(to), Some(from)) = (to.as_object_mut(), from.as_object()) {
        to.extend(from.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
}
