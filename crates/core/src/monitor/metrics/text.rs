//! The text formats: that of Prometheus (0.0.4) and OpenMetrics 1.0.
//!
//! Written by hand: the crates that do it keep the values themselves, under locks or by label on the hot path, and take no
//! histogram that is already counted in the old format.

use std::fmt::Write as _;

use super::{Kind, Metric, Sink};
use crate::monitor::Counts;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, 0.0.4: what everything reads.
    Prometheus,
    /// OpenMetrics 1.0: with units, and an end by which a text that breaks off is known.
    OpenMetrics,
}

impl Format {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes the points that it is told of.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    text: String,
    /// The metric whose points come.
    open: Option<&'static Metric>,
    /// The labels of a point, written once for all samples of it.
    labels: String,
}

impl Encoder {
    /// An empty text. `capacity` is how long it may become, in bytes, if that is known.
    pub fn new(format: Format, capacity: usize) -> Self {
        Self { format, text: String::with_capacity(capacity), open: None, labels: String::new() }
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Writes what a metric is, before its first point, and the labels of this one.
    fn begin(&mut self, metric: &'static Metric, labels: &[&str]) {
        if self.open.is_none_or(|open| !std::ptr::eq(open, metric)) {
            self.open = Some(metric);
            self.describe(metric);
        }
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        self.labels.clear();
        for (name, value) in metric.labels.iter().zip(labels) {
            push_label(&mut self.labels, name, value);
        }
    }

    fn describe(&mut self, metric: &Metric) {
        let openmetrics = self.format == Format::OpenMetrics;
        let name = if openmetrics { metric.family() } else { metric.name };
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Histogram(_) => "histogram",
            Kind::States(_) if openmetrics => "stateset",
            Kind::Info if openmetrics => "info",
            // The old format has no word for the others.
            Kind::Gauge | Kind::States(_) | Kind::Info => "gauge",
        };
        // Writing to a string cannot fail; so below.
        let _ = write!(self.text, "# HELP {name} ");
        escape(&mut self.text, metric.help, openmetrics);
        let _ = write!(self.text, "\n# TYPE {name} {kind}\n");
        if let Some(unit) = metric.unit.as_str().filter(|_| openmetrics) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    /// A line: the name with its ending, the labels with one more, the value.
    fn sample(
        &mut self,
        name: &str,
        ending: &str,
        more: Option<(&str, &str)>,
        value: impl std::fmt::Display,
    ) {
        self.text.push_str(name);
        self.text.push_str(ending);
        if more.is_some() || !self.labels.is_empty() {
            self.text.push('{');
            self.text.push_str(&self.labels);
            if let Some((name, value)) = more {
                push_label(&mut self.text, name, value);
            }
            // The comma after the last.
            self.text.pop();
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

impl Sink for Encoder {
    fn whole(&mut self, metric: &'static Metric, labels: &[&str], value: u64) {
        self.begin(metric, labels);
        self.sample(metric.name, "", None, value);
    }

    fn real(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        // What is no number is not known.
        if value.is_finite() {
            self.begin(metric, labels);
            self.sample(metric.name, "", None, value);
        }
    }

    fn histogram(&mut self, metric: &'static Metric, labels: &[&str], counts: &Counts) {
        let Kind::Histogram(bounds) = metric.kind else {
            debug_assert!(false, "{} is no histogram", metric.name);
            return;
        };
        self.begin(metric, labels);
        for (bound, below) in bounds.iter().zip(counts.below_each(bounds.iter().map(|bound| bound.ns))) {
            self.sample(metric.name, "_bucket", Some(("le", bound.le)), below);
        }
        self.sample(metric.name, "_bucket", Some(("le", "+Inf")), counts.count());
        self.sample(metric.name, "_sum", None, counts.sum().as_secs_f64());
        self.sample(metric.name, "_count", None, counts.count());
    }

    fn state(&mut self, metric: &'static Metric, labels: &[&str], state: &str) {
        let Kind::States(states) = metric.kind else {
            debug_assert!(false, "{} is no state set", metric.name);
            return;
        };
        debug_assert!(states.contains(&state), "{} cannot be {state}", metric.name);
        self.begin(metric, labels);
        for of in states {
            self.sample(metric.name, "", Some((metric.name, of)), u8::from(*of == state));
        }
    }
}

/// Writes `name="value",`.
fn push_label(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str("=\"");
    escape(text, value, true);
    text.push_str("\",");
}

/// Writes a text so that it ends where it is to. NUL, which some readers take for the end, becomes U+FFFD.
fn escape(text: &mut String, value: &str, quotes: bool) {
    let special = |byte: u8| matches!(byte, b'\\' | b'\n' | b'"' | 0);
    if !value.bytes().any(special) {
        text.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            '\0' => text.push('\u{fffd}'),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
