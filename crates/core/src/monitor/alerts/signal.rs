//! What can be watched, in which unit and of what.

use std::time::Duration;

use super::Counted;
use super::scope::ScopeKind;
use crate::monitor::Span;

/// The span of time that a signal is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last ten seconds.
    TenSeconds,
    /// The last minute.
    OneMinute,
    /// The last five minutes.
    FiveMinutes,
}

impl Window {
    /// The same among all spans of the figures.
    pub fn span(self) -> Span {
        match self {
            Self::TenSeconds => Span::TenSeconds,
            Self::OneMinute => Span::Minute,
            Self::FiveMinutes => Span::FiveMinutes,
        }
    }

    /// Its name: `10s`, `1m`, `5m`.
    pub fn as_str(self) -> &'static str {
        self.span().as_str()
    }

    /// Its length.
    pub fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::TenSeconds => 10,
            Self::OneMinute => 60,
            Self::FiveMinutes => 300,
        })
    }
}

/// What a signal is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Millis,
    /// A share from 0 to 1.
    Share,
    /// Bytes.
    Bytes,
    /// Per second.
    PerSecond,
    /// A number of things, or a factor.
    Number,
}

impl Unit {
    /// The word for it, as receivers get it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Millis => "ms",
            Self::Share => "share",
            Self::Bytes => "bytes",
            Self::PerSecond => "per_s",
            Self::Number => "number",
        }
    }

    /// A value with its unit, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Millis => format!("{} ms", rounded(value)),
            Self::Share => format!("{} %", rounded(value * 100.0)),
            Self::Bytes => format!("{} MB", rounded(value / 1e6)),
            Self::PerSecond => format!("{}/s", rounded(value)),
            Self::Number => rounded(value),
        }
    }
}

/// Three significant digits, and no more than the value has.
fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

macro_rules! signals {
    ($($variant:ident $word:literal $unit:ident [$($kind:ident)*] $words:literal;)*) => {
        /// What can be watched.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Signal {
            $(#[doc = $words] $variant,)*
        }

        impl Signal {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in the configuration and in what receivers get.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it is measured in.
            pub fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit,)* }
            }

            /// What it is, for people.
            pub fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }

            /// Of what it can be watched.
            pub fn scopes(self) -> &'static [ScopeKind] {
                match self { $(Self::$variant => &[$(ScopeKind::$kind),*],)* }
            }
        }
    };
}

signals! {
    LatencyMean "latency_mean" Millis [All Tool Upstream Category Replica] "mean latency";
    LatencyP50 "latency_p50" Millis [All Tool Upstream Category Replica] "median latency";
    LatencyP90 "latency_p90" Millis [All Tool Upstream Category Replica] "p90 of the latency";
    LatencyP95 "latency_p95" Millis [All Tool Upstream Category Replica] "p95 of the latency";
    LatencyP99 "latency_p99" Millis [All Tool Upstream Category Replica] "p99 of the latency";
    LatencyMax "latency_max" Millis [All Tool Upstream Category Replica] "greatest latency";
    UpstreamP95 "upstream_p95" Millis [All Tool Upstream Category] "p95 of the time that servers took";
    OverheadP95 "overhead_p95" Millis [All Tool Upstream Category] "p95 of the time that the gateway took";
    ErrorRate "error_rate" Share [All Tool Upstream Category Replica] "error rate";
    RequestsPerS "requests_per_s" PerSecond [All Tool Upstream Category Replica] "request rate";
    InFlight "in_flight" Number [All Replica] "calls in flight";
    PoolHitRate "pool_hit_rate" Share [All Upstream Replica] "pool hit rate";
    PoolWaiting "pool_waiting" Number [All Upstream Replica] "calls that wait for a connection";
    CacheHitRate "cache_hit_rate" Share [All] "cache hit rate";
    MemoryBytes "memory_bytes" Bytes [All] "memory in use";
    ReplicasOut "replicas_out" Number [All Upstream Replica] "replicas that are out";
}

impl Signal {
    /// Whether it is taken over a window; otherwise it is as it is at the moment.
    pub fn has_window(self) -> bool {
        !matches!(self, Self::InFlight | Self::PoolWaiting | Self::MemoryBytes | Self::ReplicasOut)
    }

    /// Whether it is known of few calls only badly, so that a rule can ask for a number of them.
    pub fn is_of_calls(self) -> bool {
        self.has_window() && !matches!(self, Self::RequestsPerS | Self::PoolHitRate | Self::CacheHitRate)
    }

    /// The counters of which it is the share of the good ones.
    pub(super) fn counted(self) -> Option<Counted> {
        match self {
            Self::PoolHitRate => Some(Counted::Pool),
            Self::CacheHitRate => Some(Counted::Cache),
            _ => None,
        }
    }
}
