//! `[pool]`: the connections to all replicas.

use std::time::Duration;

use super::keys::{Int, Real, SectionKeys};
use super::section::Section;

/// Longest time limit, in seconds: a day.
pub(super) const DAY_S: f64 = 24.0 * 3600.0;
/// Shortest time, in seconds, after which the pool does something by itself.
const LEAST_S: f64 = 0.01;
/// Most connections that anybody can want of one process.
pub(super) const MOST_CONNECTIONS: u64 = 100_000;

/// `[pool]`.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Most connections of all replicas together.
    pub max_connections: u32,
    /// Connections that are kept open to each replica; never above `max_connections`.
    pub min_connections: u32,
    /// Most connections that are being opened at one moment.
    pub max_opening: u32,
    /// How long a connection above the minimum may be idle.
    pub idle_timeout: Duration,
    /// Calls after which a connection is replaced.
    pub max_uses: u32,
    /// Age at which a connection is replaced.
    pub max_lifetime: Duration,
    /// How often a connection is probed on which no call succeeded meanwhile.
    pub health_check_interval: Duration,
    /// Longest wait for a connection.
    pub acquire_timeout: Duration,
}

static MAX_CONNECTIONS: Int = Int {
    name: "max_connections",
    default: 50,
    min: 1,
    max: MOST_CONNECTIONS,
    meaning: "Most connections of all replicas together: child processes, and sessions of HTTP servers. With all \
              in use, calls wait.",
};
static MIN_CONNECTIONS: Int = Int {
    name: "min_connections",
    default: 5,
    min: 0,
    max: MOST_CONNECTIONS,
    meaning: "Connections that are kept open to each replica, as far as it may have so many. By default never \
              more than `max_connections`.",
};
static MAX_OPENING: Int = Int {
    name: "max_opening",
    default: 8,
    min: 1,
    max: 1000,
    meaning: "Most connections that are being opened at one moment; one replica may have half of that.",
};
static IDLE_TIMEOUT_S: Real = Real {
    name: "idle_timeout_s",
    default: 300.0,
    min: LEAST_S,
    max: DAY_S,
    meaning: "How long a connection above the minimum may be idle before it is closed.",
};
static MAX_USES: Int = Int {
    name: "max_uses",
    default: 1000,
    min: 1,
    max: u32::MAX as u64,
    meaning: "Calls after which a connection is replaced, though not before it has lived a hundred times as long as it \
              took to open; one that holds state of its users is not. The new one is opened before the old one goes: \
              for that moment a replica may have one more than its maximum.",
};
static MAX_LIFETIME_S: Real = Real {
    name: "max_lifetime_s",
    default: 3600.0,
    min: LEAST_S,
    max: DAY_S,
    meaning: "Age at which a connection is replaced, varied by 10 %; one that holds state of its users is not.",
};
static HEALTH_CHECK_INTERVAL_S: Real = Real {
    name: "health_check_interval_s",
    default: 30.0,
    min: LEAST_S,
    max: DAY_S,
    meaning: "How often a connection is probed on which no call succeeded meanwhile, varied by 10 %.",
};
static ACQUIRE_TIMEOUT_MS: Int = Int {
    name: "acquire_timeout_ms",
    default: 5000,
    min: 1,
    max: super::server::DAY_MS,
    meaning: "Longest wait of a call for a connection while others have them all.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "pool",
    repeated: false,
    meaning: "The connections to all upstreams. `mcp pool configure` changes them while the server runs.",
    keys: &[
        &MAX_CONNECTIONS,
        &MIN_CONNECTIONS,
        &MAX_OPENING,
        &IDLE_TIMEOUT_S,
        &MAX_USES,
        &MAX_LIFETIME_S,
        &HEALTH_CHECK_INTERVAL_S,
        &ACQUIRE_TIMEOUT_MS,
    ],
};

impl Pool {
    /// Reads the section; `size` is what the command line says of `max_connections`.
    pub(super) fn read(section: &Section<'_, '_>, size: Option<u32>) -> Self {
        let in_file = section.int(&MAX_CONNECTIONS);
        let min = section.int(&MIN_CONNECTIONS);
        if let Some(at) = section.key_at(MIN_CONNECTIONS.name)
            && min > in_file
        {
            let message = format!("\"min_connections\" ({min}) is above \"max_connections\" ({in_file})");
            section.cx.fault(&at, message);
        }
        let max_connections = size.unwrap_or(in_file as u32);
        Self {
            max_connections,
            min_connections: (min as u32).min(max_connections),
            max_opening: section.int(&MAX_OPENING) as u32,
            idle_timeout: seconds(section, &IDLE_TIMEOUT_S),
            max_uses: section.int(&MAX_USES) as u32,
            max_lifetime: seconds(section, &MAX_LIFETIME_S),
            health_check_interval: seconds(section, &HEALTH_CHECK_INTERVAL_S),
            acquire_timeout: Duration::from_millis(section.int(&ACQUIRE_TIMEOUT_MS)),
        }
    }
}

/// Reads a time in seconds. The bounds of its key are those of a duration.
pub(super) fn seconds(section: &Section<'_, '_>, key: &Real) -> Duration {
    Duration::from_secs_f64(section.real(key))
}
