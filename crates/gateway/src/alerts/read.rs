//! What the admin API shows of alerts.

use std::collections::HashMap;
use std::sync::Arc;

use aqe_core::monitor::alerts::{Firing, Reading, Severity};
use serde_json::{Value, json};

use super::clock::{Clock, rfc3339};
use super::delivery::Sink;
use super::notice::{merge, of_rule, times};
use super::{Alerting, Watch};

/// A receiver's name and kind, and how many notices have come to which end.
pub(crate) type Notices = (Arc<str>, &'static str, [(&'static str, u64); 3]);

impl Alerting {
    /// The rules that are pending, firing or acknowledged, the worst first: `alerts` of `/admin/alerts`.
    pub fn open(&self) -> Value {
        let watch = self.lock();
        let read = watch.alerts.read();
        Value::Array(
            open(&watch, &read)
                .into_iter()
                .map(|reading| of_reading(reading, &watch.clock, &watch.open))
                .collect(),
        )
    }

    /// The rules with their states.
    pub(crate) fn rules(&self) -> Vec<Reading> {
        self.lock().alerts.read()
    }

    /// What has become of the notices for each receiver, each by its name.
    pub(crate) fn notices(&self) -> Vec<Notices> {
        let watch = self.lock();
        let of = |sink: &Sink| {
            let figures = sink.figures();
            let counts =
                [("delivered", figures.delivered), ("failed", figures.failed), ("dropped", figures.dropped)];
            (Arc::clone(sink.receiver.name()), sink.receiver.kind(), counts)
        };
        watch.sinks.iter().map(of).collect()
    }

    /// Whether any rule fires, acknowledged or not: the worst severity of those.
    pub fn worst(&self) -> Option<Severity> {
        let watch = self.lock();
        let read = watch.alerts.read();
        read.iter().filter(|reading| reading.firing.is_some()).map(|reading| reading.rule.severity).max()
    }

    /// Everything: open alerts, rules, receivers and the `history` newest firings that are over. `is_known` tells
    /// whether there is what a rule is about.
    pub(crate) fn status(
        &self,
        history: usize,
        is_known: impl Fn(&aqe_core::monitor::alerts::Scope) -> Option<bool>,
    ) -> Value {
        let watch = self.lock();
        let read = watch.alerts.read();
        let rules: Vec<Value> = read
            .iter()
            .map(|reading| {
                let mut value = of_reading(reading, &watch.clock, &watch.open);
                value["known"] = is_known(&reading.rule.scope).into();
                value
            })
            .collect();
        let alerts: Vec<Value> = open(&watch, &read)
            .into_iter()
            .map(|reading| of_reading(reading, &watch.clock, &watch.open))
            .collect();
        let past: Vec<Value> = watch.past.iter().take(history).map(of_past).collect();
        json!({ "alerts": alerts, "rules": rules, "history": past, "sinks": sinks(&watch) })
    }
}

/// Those that are not at rest, the worst first and of those the oldest.
fn open<'a>(watch: &Watch, read: &'a [Reading]) -> Vec<&'a Reading> {
    let mut open: Vec<&Reading> = read.iter().filter(|reading| reading.state.is_open()).collect();
    open.sort_by_key(|reading| {
        let since = reading.since.map(|since| watch.clock.unix_ms(since));
        (reading.firing.is_none(), std::cmp::Reverse(reading.rule.severity), since)
    });
    open
}

fn of_reading(reading: &Reading, clock: &Clock, kept: &HashMap<u64, Firing>) -> Value {
    let rule = &reading.rule;
    let mut value = of_rule(rule);
    let known = reading.firing.as_ref().map(|open| open.last).or(reading.value);
    let own = json!({
        "state": reading.state.as_str(),
        "since": reading.since.map_or(Value::Null, |since| rfc3339(clock.unix_ms(since))),
        "value": reading.value,
        "text": known.map(|value| rule.sentence(value)),
        "default": rule.is_default,
        "resolve_after_ms": rule.resolve_after.as_secs_f64() * 1e3,
        "min_requests": rule.min_requests,
        "id": null,
        "started": null,
        "peak": null,
        "ack": null,
    });
    merge(&mut value, &own);
    let firing = reading.firing.as_ref().and_then(|open| Some((open, kept.get(&open.number)?)));
    if let Some((open, firing)) = firing {
        value["id"] = firing.id.as_str().into();
        let times = times(firing);
        for key in ["started", "ack"] {
            value[key] = times[key].clone();
        }
        value["peak"] = open.peak.into();
    }
    value
}

fn of_past(firing: &Firing) -> Value {
    let mut value = json!({
        "id": firing.id,
        "pid": firing.pid,
        "name": firing.name,
        "severity": firing.severity.as_str(),
        "signal": firing.signal,
        "scope": firing.scope,
        "threshold": firing.threshold,
        "text": firing.text,
    });
    merge(&mut value, &times(firing));
    value
}

fn sinks(watch: &Watch) -> Vec<Value> {
    let plain = |name: &str, least: Option<Severity>| json!({ "name": name, "kind": name, "min_severity": least.map(Severity::as_str) });
    let mut all = vec![plain("log", watch.log), plain("mcp_log", watch.mcp_log)];
    all.extend(watch.sinks.iter().map(|sink| {
        let figures = sink.figures();
        json!({
            "name": **sink.receiver.name(),
            "kind": sink.receiver.kind(),
            "min_severity": sink.receiver.min_severity().as_str(),
            "queued": sink.queued(),
            "delivered": figures.delivered,
            "retries": figures.retries,
            "failed": figures.failed,
            "dropped": figures.dropped,
            "last_error": figures.last_error,
        })
    }));
    all
}
