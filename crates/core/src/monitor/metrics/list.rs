//! The list of metrics.
//!
//! Names that come from outside are in the labels `tool`, `upstream`, `category` and `replica` only. Upstreams, their
//! replicas and categories are as many as the configuration has; tools are as many as servers like, so that only so many
//! have points of their own, and the others are [`OTHER`].

use super::bounds::{DURATIONS, DURATIONS_OF_MANY};
use super::{Kind, Metric, Stability, Unit};

/// The value of the labels `tool` and `category` for all tools of an upstream that have no points of their own. No tool
/// can be called so: names have no parentheses.
pub const OTHER: &str = "(other)";

/// The values of the label `result` of [`POOL_ACQUIRES`].
pub mod acquired {
    /// A connection was there.
    pub const HIT: &str = "hit";
    /// One was opened meanwhile.
    pub const MISS: &str = "miss";
    /// The time was up before there was one.
    pub const TIMEOUT: &str = "timeout";
    /// Refused for another cause.
    pub const REFUSED: &str = "refused";
    /// The call gave up waiting.
    pub const CANCELLED: &str = "cancelled";
}

macro_rules! metrics {
    ($($static:ident = $name:literal, $kind:expr, $unit:ident, [$($label:literal),*], $stability:ident, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $static: Metric = Metric {
                name: $name,
                kind: $kind,
                unit: Unit::$unit,
                help: $help,
                labels: &[$($label),*],
                stability: Stability::$stability,
            };
        )*

        /// All metrics, in the order in which they are written.
        pub static ALL: &[&Metric] = &[$(&$static),*];
    };
}

use Kind::{Counter, Gauge, Histogram, Info, States};

metrics! {
    // The process.
    BUILD = "aqe_build_info", Info, None, ["version"], Stable,
        "The version that runs.";
    HEALTH = "aqe_health", States(&["healthy", "warning", "critical"]), None, [], Stable,
        "How well it is, by the error rate and the pool hit rate of the last minute.";
    STARTUP = "aqe_startup_seconds", Gauge, Seconds, [], Stable,
        "Time from the start of the process until clients could connect.";
    SESSIONS = "aqe_sessions", Gauge, None, [], Stable,
        "Conversations with clients of the legacy era at this moment; modern ones have none.";
    THREADS = "aqe_threads", Gauge, None, [], Stable,
        "Threads of the process.";
    PROCESS_CPU = "process_cpu_seconds_total", Counter, Seconds, [], Stable,
        "CPU time of the process, without its children.";
    PROCESS_MEMORY = "process_resident_memory_bytes", Gauge, Bytes, [], Stable,
        "Resident memory of the process, without its children.";
    PROCESS_FILES = "process_open_fds", Gauge, None, [], Stable,
        "Open files of the process, sockets among them.";
    PROCESS_MAX_FILES = "process_max_fds", Gauge, None, [], Stable,
        "Most open files that the process may have.";
    PROCESS_START = "process_start_time_seconds", Gauge, Seconds, [], Stable,
        "When the process was started, in seconds since the Unix epoch.";

    // Requests of clients.
    REQUESTS = "aqe_requests_total", Counter, None, ["method"], Stable,
        "Requests that ended: answered, failed, or cancelled by their clients.";
    REQUESTS_CANCELLED = "aqe_requests_cancelled_total", Counter, None, ["method"], Stable,
        "Requests that their clients cancelled: neither answered nor failed.";
    REQUEST_ERRORS = "aqe_request_errors_total", Counter, None, ["method", "kind"], Stable,
        "Requests that failed, by method and kind of error.";
    REQUESTS_CACHED = "aqe_requests_cached_total", Counter, None, ["method"], Stable,
        "Requests that were answered with an answer given before, or to an equal call at the same time.";
    REQUEST_BYTES = "aqe_request_bytes_total", Counter, Bytes, ["method"], Stable,
        "Length of the requests that were answered.";
    RESPONSE_BYTES = "aqe_response_bytes_total", Counter, Bytes, ["method"], Stable,
        "Length of the answers, before compression.";
    REQUEST_DURATION = "aqe_request_duration_seconds", Histogram(&DURATIONS), Seconds, ["method"], Stable,
        "Time from a request being read whole until its answer was handed to the transport; without cancelled ones.";
    REQUESTS_IN_FLIGHT = "aqe_requests_in_flight", Gauge, None, [], Stable,
        "Requests that are being answered at this moment.";
    REFUSED = "aqe_refused_total", Counter, None, ["reason"], Stable,
        "What came in and never became a request: no JSON-RPC message, no or a wrong token, a foreign origin, bad \
         headers, no such session, too large.";

    // Tools.
    TOOL_REQUESTS = "aqe_tool_requests_total", Counter, None, ["tool", "upstream", "category"], Stable,
        "Calls of tools that ended: answered, failed, or cancelled by their clients.";
    TOOL_CANCELLED = "aqe_tool_cancelled_total", Counter, None, ["tool", "upstream", "category"], Stable,
        "Calls of tools that their clients cancelled: neither answered nor failed.";
    TOOL_FAILURES = "aqe_tool_failures_total", Counter, None, ["tool", "upstream", "category"], Stable,
        "Calls of tools that failed, for whatever reason.";
    TOOL_ERRORS = "aqe_tool_errors_total", Counter, None, ["tool", "upstream", "category", "kind"], Stable,
        "The same by kind of error; a kind that never came up has no point.";
    TOOL_CACHED = "aqe_tool_cached_total", Counter, None, ["tool", "upstream", "category"], Stable,
        "Calls of tools that were answered with an answer given before, or to an equal call at the same time.";
    TOOL_REQUEST_BYTES = "aqe_tool_request_bytes_total", Counter, Bytes, ["tool", "upstream", "category"], Stable,
        "Length of the calls that were answered.";
    TOOL_RESPONSE_BYTES = "aqe_tool_response_bytes_total", Counter, Bytes, ["tool", "upstream", "category"], Stable,
        "Length of the answers to calls, before compression.";
    TOOL_TOKENS = "aqe_tool_result_estimated_tokens_total", Counter, None, ["tool", "upstream", "category"], Experimental,
        "Tokens of the results in a model's context, estimated: bytes of JSON text / 4.";
    TOOL_DURATION = "aqe_tool_duration_seconds", Histogram(&DURATIONS_OF_MANY), Seconds, ["tool", "upstream", "category"], Stable,
        "Time from a call being read whole until its answer was handed to the transport; without cancelled ones.";
    UPSTREAM_DURATION = "aqe_upstream_duration_seconds", Histogram(&DURATIONS), Seconds, ["upstream"], Stable,
        "What the upstream took of the calls of tools that it was asked for.";
    OVERHEAD_DURATION = "aqe_overhead_duration_seconds", Histogram(&DURATIONS), Seconds, ["upstream"], Stable,
        "What we took of the same calls: latency minus upstream, call by call.";
    LOOKUPS = "aqe_tool_lookups_total", Counter, None, ["result"], Stable,
        "Tools looked up by name: exact, resolved to a near name, or unknown.";
    LIST_BYTES = "aqe_tools_list_bytes", Gauge, Bytes, [], Stable,
        "Length of the whole list of tools.";
    LIST_TOKENS = "aqe_tools_list_estimated_tokens", Gauge, None, [], Experimental,
        "Tokens of the whole list of tools in a model's context, estimated: bytes of JSON text / 4.";
    DEFINITIONS = "aqe_tool_definitions", Gauge, None, ["upstream"], Stable,
        "Tools that are shown to clients.";
    DEFINITION_BYTES = "aqe_tool_definition_bytes", Gauge, Bytes, ["upstream"], Stable,
        "Length of the definitions of the tools that are shown.";

    // Replicas and balancers.
    REPLICA_REQUESTS = "aqe_replica_requests_total", Counter, None, ["upstream", "replica"], Stable,
        "What was sent to a replica, with what was sent again.";
    REPLICA_CANCELLED = "aqe_replica_cancelled_total", Counter, None, ["upstream", "replica"], Stable,
        "What was sent to a replica and cancelled.";
    REPLICA_ERRORS = "aqe_replica_errors_total", Counter, None, ["upstream", "replica", "kind"], Stable,
        "What was sent to a replica and failed, by kind of error.";
    REPLICA_DURATION = "aqe_replica_duration_seconds", Histogram(&DURATIONS), Seconds, ["upstream", "replica"], Stable,
        "Time until a replica had answered what was sent to it.";
    REPLICA_STATE = "aqe_replica_state", States(&["closed", "slow-start", "open", "half-open"]), None, ["upstream", "replica"], Stable,
        "The circuit breaker of a replica: closed is in use, open is out.";
    REPLICA_IN_FLIGHT = "aqe_replica_in_flight", Gauge, None, ["upstream", "replica"], Stable,
        "Calls that are with a replica at this moment.";
    BALANCER_PICKS = "aqe_balancer_picks_total", Counter, None, ["upstream", "replica"], Stable,
        "Calls for which a replica was chosen.";
    BALANCER_EJECTIONS = "aqe_balancer_ejections_total", Counter, None, ["upstream", "replica"], Stable,
        "Times that a replica was taken out.";
    BALANCER_RECOVERIES = "aqe_balancer_recoveries_total", Counter, None, ["upstream", "replica"], Stable,
        "Times that a replica came back.";
    BALANCER_RETRIES = "aqe_balancer_retries_total", Counter, None, ["upstream"], Stable,
        "Calls that were sent again after a failure.";
    BALANCER_HEDGES = "aqe_balancer_hedges_total", Counter, None, ["upstream"], Stable,
        "Calls that were sent to a second replica as well.";
    BALANCER_PANIC = "aqe_balancer_panic", Gauge, None, ["upstream"], Stable,
        "1 while so few replicas are well that those that are out serve too, else 0.";

    // The pool of connections.
    POOL_MAX = "aqe_pool_max_connections", Gauge, None, [], Stable,
        "Most connections to all replicas together.";
    POOL_CONNECTIONS = "aqe_pool_connections", Gauge, None, ["upstream", "replica", "state"], Stable,
        "Connections at this moment: idle, busy (with calls), opening, draining, closing.";
    POOL_WAITING = "aqe_pool_waiting", Gauge, None, ["upstream", "replica"], Stable,
        "Calls that wait for a connection at this moment.";
    POOL_ACQUIRES = "aqe_pool_acquires_total", Counter, None, ["upstream", "replica", "result"], Stable,
        "Calls that wanted a connection: hit (one was there), miss (one was opened meanwhile), timeout, refused, cancelled.";
    POOL_WAIT = "aqe_pool_wait_duration_seconds", Histogram(&DURATIONS), Seconds, ["upstream", "replica"], Stable,
        "Time that calls waited for a connection, those that got one at once and those whose time was up among them.";
    POOL_OPENED = "aqe_pool_opened_total", Counter, None, ["upstream", "replica"], Stable,
        "Connections that were opened.";
    POOL_OPEN_FAILURES = "aqe_pool_open_failures_total", Counter, None, ["upstream", "replica"], Stable,
        "Attempts to open a connection that failed.";
    POOL_CLOSED = "aqe_pool_closed_total", Counter, None, ["upstream", "replica", "reason"], Stable,
        "Connections that were taken out of service, by the first reason; lost: it ended without our doing, such as a \
         child that crashed.";
    POOL_REPLICA_STATE = "aqe_pool_replica_state", States(&["ready", "backing-off", "crash-looping", "draining"]), None, ["upstream", "replica"], Stable,
        "Whether connections to a replica can be opened: backing off after a failure, rarely tried while it fails again \
         and again.";

    // The cache of results.
    CACHE_HITS = "aqe_cache_hits_total", Counter, None, ["level"], Stable,
        "Questions that a level of the cache had the answer to.";
    CACHE_STALE = "aqe_cache_stale_hits_total", Counter, None, ["level"], Stable,
        "Hits with an answer whose time was over, which was fetched anew in the background.";
    CACHE_MISSES = "aqe_cache_misses_total", Counter, None, ["level"], Stable,
        "Questions that a level of the cache had no answer to; the next level is asked then.";
    CACHE_INSERTED = "aqe_cache_inserted_total", Counter, None, ["level"], Stable,
        "Answers that were taken in.";
    CACHE_EVICTED = "aqe_cache_evicted_total", Counter, None, ["level"], Stable,
        "Answers that gave way to others, or were not admitted for their sake.";
    CACHE_ENTRIES = "aqe_cache_entries", Gauge, None, ["level"], Stable,
        "Answers held; no point while a level is off.";
    CACHE_BYTES = "aqe_cache_bytes", Gauge, Bytes, ["level"], Stable,
        "Bytes held; no point for a level whose bytes another one counts, or that is off.";
    CACHE_MAX_BYTES = "aqe_cache_max_bytes", Gauge, Bytes, ["level"], Stable,
        "Most bytes that a level may hold.";
    CACHE_JOINED = "aqe_cache_joined_total", Counter, None, [], Stable,
        "Calls that were not sent because an equal one was under way.";
    CACHE_DAMAGED = "aqe_cache_disk_damaged_total", Counter, None, [], Stable,
        "Answers on disk that were found damaged.";
    CACHE_DROPPED = "aqe_cache_disk_dropped_total", Counter, None, [], Stable,
        "Answers that were not written to disk, because there were too many to write at once.";

    // What is told to others.
    ALERT_STATE = "aqe_alert_state", States(&["inactive", "pending", "firing", "acknowledged", "resolved"]), None, ["alert", "severity"], Stable,
        "The state of an alert rule of the gateway itself.";
    ALERT_NOTICES = "aqe_alert_notices_total", Counter, None, ["receiver", "type", "outcome"], Stable,
        "Notices of alerts for a receiver: delivered, failed (given up), or dropped because too many were waiting.";
    SPANS = "aqe_spans_total", Counter, None, ["outcome"], Stable,
        "Recorded spans: exported, dropped because too many were waiting, rejected by the collector, or failed.";
    ACCESS_LOG_LINES = "aqe_access_log_lines_total", Counter, None, ["outcome"], Stable,
        "Lines of the access log: written, or dropped because too many were waiting.";

    // Fleets.
    FLEETS = "aqe_fleets", Gauge, None, [], Experimental,
        "Fleets of this server's folder.";
    FLEET_TASKS = "aqe_fleet_tasks", Gauge, None, ["state"], Experimental,
        "Tasks of the fleets of this server's folder, by state; those that are over, of the runs that are kept.";
    FLEET_AGENTS = "aqe_fleet_agents", Gauge, None, ["state"], Experimental,
        "Agents of this server at this moment: starting, ready, busy.";
    FLEET_DEATHS = "aqe_fleet_agent_deaths_total", Counter, None, [], Experimental,
        "Agents of this server that died; begins anew when the fleets have had nothing to do.";

    // Child processes.
    CHILDREN = "aqe_children", Gauge, None, ["upstream", "replica"], Stable,
        "Child processes of a replica.";
    CHILD_MEMORY = "aqe_child_resident_memory_bytes", Gauge, Bytes, ["upstream", "replica"], Stable,
        "Resident memory of the child processes of a replica and of what they have started, every 5 s.";
    CHILD_CPU = "aqe_child_cpu_seconds_total", Counter, Seconds, ["upstream", "replica"], Stable,
        "CPU time of the child processes of a replica and of what they have started, as seen every 5 s.";
    CHILD_UPTIME = "aqe_child_uptime_seconds", Gauge, Seconds, ["upstream", "replica"], Stable,
        "How long the youngest child process of a replica runs; begins anew after a restart.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_conventions_of_prometheus() {
        let mut families = HashSet::new();
        for metric in ALL {
            let Metric { name, kind, unit, help, labels, .. } = metric;
            assert!(families.insert(metric.family()), "{name} is there twice");
            let words = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(words(name) && (name.starts_with("aqe_") || name.starts_with("process_")), "{name}");
            assert_eq!(matches!(kind, Kind::Counter), name.ends_with("_total"), "{name}");
            assert_eq!(matches!(kind, Kind::Info), name.ends_with("_info"), "{name}");
            if let Some(unit) = unit.as_str() {
                assert!(metric.family().ends_with(&format!("_{unit}")), "{name}");
            } else {
                assert!(
                    !metric.family().ends_with("_seconds") && !metric.family().ends_with("_bytes"),
                    "{name}"
                );
            }
            for suffix in ["_bucket", "_count", "_sum", "_created", "_gcount", "_gsum"] {
                assert!(!metric.family().ends_with(suffix), "{name}");
            }
            assert!(help.ends_with('.') && !help.contains("  "), "{help}");
            let distinct: HashSet<_> = labels.iter().collect();
            assert_eq!(distinct.len(), labels.len(), "{name}");
            assert!(labels.iter().all(|label| words(label) && *label != "le"), "{name}");
        }
    }
}
