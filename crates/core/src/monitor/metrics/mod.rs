//! The metrics that other programs get: one list of what there is ([`list`]), and how its points are written ([`text`]).
//!
//! Whoever has figures tells a [`Sink`] of them, metric by metric; the text formats of Prometheus and OpenMetrics are one
//! sink, and whatever else takes the same metrics is another. The reference page, the dashboard and the alert rules are
//! made from the same list.
//!
//! Figures are since the start of the process and are reset by nobody, so that any number of readers can make rates of
//! them. What is not known has no point: never a 0 in its place.

pub mod bounds;
pub mod list;
pub mod text;

pub use list::ALL;

use self::bounds::Bound;
use super::Counts;

/// A metric: what is measured, apart from any value.
#[derive(Debug)]
pub struct Metric {
    /// Its name, as queries have it: with `_total` or `_info`.
    pub name: &'static str,
    /// What its points are.
    pub kind: Kind,
    /// What its values are counted in; the name says so too.
    pub unit: Unit,
    /// What it means, in a sentence.
    pub help: &'static str,
    /// The names of its labels, in the order in which points give their values.
    pub labels: &'static [&'static str],
    /// Whether one can rely on it.
    pub stability: Stability,
}

/// What the points of a metric are.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A count or sum that only grows while the process lives, from 0.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// How many values are less than each of these bounds, with count and sum.
    Histogram(&'static [Bound]),
    /// One of these states: a point for each, 1 for that which holds and 0 for the others. The state is in a label that
    /// is called as the metric is (OpenMetrics, StateSet).
    States(&'static [&'static str]),
    /// Always 1; the labels are what it tells.
    Info,
}

impl Kind {
    /// Its name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
            Self::States(_) => "state set",
            Self::Info => "info",
        }
    }
}

/// What values are counted in. Base units only, after the conventions of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// The end of the names of metrics in this unit, but for `_total`; none for things.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Seconds => Some("seconds"),
            Self::Bytes => Some("bytes"),
        }
    }
}

/// Whether one can rely on a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// Name, labels and meaning stay until the next major version.
    Stable,
    /// They may change in any version; the changelog says so.
    Experimental,
}

impl Stability {
    /// In lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Experimental => "experimental",
        }
    }
}

impl Metric {
    /// The name of its family: without the endings that belong to samples in OpenMetrics.
    pub fn family(&self) -> &'static str {
        let end = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            _ => "",
        };
        self.name.strip_suffix(end).unwrap_or(self.name)
    }
}

/// Takes points. All points of a metric come together, no two of them with the same values of labels; a metric without
/// points does not come.
pub trait Sink {
    /// A point of a counter, a gauge or an info, whose values are whole.
    fn whole(&mut self, metric: &'static Metric, labels: &[&str], value: u64);
    /// A point of a counter or a gauge, whose values have fractions.
    fn real(&mut self, metric: &'static Metric, labels: &[&str], value: f64);
    /// A point of a histogram.
    fn histogram(&mut self, metric: &'static Metric, labels: &[&str], counts: &Counts);
    /// All points of a state set: which of its states holds.
    fn state(&mut self, metric: &'static Metric, labels: &[&str], state: &str);
}
