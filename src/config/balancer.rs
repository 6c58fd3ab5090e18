//! `[balancer]`: how calls are spread over the replicas of an upstream.

use std::time::Duration;

use aqe_core::balancer::Strategy;

use super::keys::{Choice, Flag, Int, Real, SectionKeys};
use super::pool::{DAY_S, seconds};
use super::section::Section;
use super::server::DAY_MS;

/// `[balancer]`.
#[derive(Clone, Debug)]
pub struct Balancer {
    /// How a replica is chosen.
    pub strategy: Strategy,
    /// What load counts in the strategy `weighted`.
    pub load_weight: f64,
    /// What latency counts in it.
    pub response_weight: f64,
    /// What the tool's category counts in it.
    pub category_weight: f64,
    /// Time between probes of one replica.
    pub health_check_interval: Duration,
    /// Whether calls can take a replica out.
    pub ejection: bool,
    /// Failures in a row that do.
    pub failures_in_row: u32,
    /// Time-outs in a row that do.
    pub timeouts_in_row: u32,
    /// Least share of successes over ten seconds, 0 to 1.
    pub success_rate: f64,
    /// Times the latency of the others from which a replica is slow.
    pub slow_factor: f64,
    /// How long a replica is out for the first time.
    pub backoff_min: Duration,
    /// How long it is out at most.
    pub backoff_max: Duration,
    /// Time over which a replica that came back takes up its full share.
    pub slow_start: Duration,
    /// Share of healthy replicas below which ejected ones serve as well, 0 to 1.
    pub panic_threshold: f64,
    /// Calls that may be sent again, in percent of all.
    pub retry_budget_percent: u32,
    /// Read-only calls that may be sent to a second replica, in percent of all.
    pub hedge_budget_percent: u32,
}

/// The strategies by name, the default first.
pub(super) static STRATEGIES: &[(&str, Strategy)] = &[
    ("least-connections", Strategy::LeastConnections),
    ("round-robin", Strategy::RoundRobin),
    ("response-time", Strategy::ResponseTime),
    ("weighted", Strategy::Weighted),
    ("p2c", Strategy::P2c),
];

static STRATEGY: Choice<Strategy> = Choice {
    name: "strategy",
    options: STRATEGIES,
    meaning: "How a replica is chosen: the one with the fewest calls in flight for its weight; each in turn; at \
              random, the more often the faster it answers; by a score of load, latency and category; the \
              better of two at random by latency and load. None gets more calls than it can carry.",
};
static LOAD_WEIGHT: Real = Real {
    name: "load_weight",
    default: 0.4,
    min: 0.0,
    max: 1000.0,
    meaning: "What the load counts in the score of the strategy `weighted`.",
};
static RESPONSE_WEIGHT: Real = Real {
    name: "response_weight",
    default: 0.4,
    min: 0.0,
    max: 1000.0,
    meaning: "What the latency counts in it.",
};
static CATEGORY_WEIGHT: Real = Real {
    name: "category_weight",
    default: 0.2,
    min: 0.0,
    max: 1000.0,
    meaning: "What it counts in it that the replica's `categories` hold that of the tool.",
};
static HEALTH_CHECK_INTERVAL_S: Real = Real {
    name: "health_check_interval_s",
    default: 10.0,
    min: 0.1,
    max: DAY_S,
    meaning: "Time between probes of a replica. A failed probe takes it out until one succeeds.",
};
static EJECTION: Flag = Flag {
    name: "ejection",
    default: true,
    meaning: "Whether calls that fail or take long can take a replica out. Probes can either way.",
};
static FAILURES_IN_ROW: Int = Int {
    name: "failures_in_row",
    default: 7,
    min: 1,
    max: 1_000_000,
    meaning: "Failed calls in a row that take a replica out.",
};
static TIMEOUTS_IN_ROW: Int = Int {
    name: "timeouts_in_row",
    default: 3,
    min: 1,
    max: 1_000_000,
    meaning: "Calls in a row without an answer in time that take it out.",
};
static SUCCESS_RATE: Real = Real {
    name: "success_rate",
    default: 0.8,
    min: 0.0,
    max: 1.0,
    meaning: "Least share of successes among the calls of ten seconds; below it a replica is taken out.",
};
static SLOW_FACTOR: Real = Real {
    name: "slow_factor",
    default: 5.0,
    min: 1.1,
    max: 1e9,
    meaning: "A replica that takes so many times as long as the others is taken out.",
};
static BACKOFF_MIN_MS: Int = Int {
    name: "backoff_min_ms",
    default: 1000,
    min: 1,
    max: DAY_MS,
    meaning: "How long a replica is out for the first time; doubled each time that it fails again.",
};
static BACKOFF_MAX_MS: Int = Int {
    name: "backoff_max_ms",
    default: 60_000,
    min: 1,
    max: DAY_MS,
    meaning: "How long it is out at most.",
};
static SLOW_START_MS: Int = Int {
    name: "slow_start_ms",
    default: 10_000,
    min: 0,
    max: DAY_MS,
    meaning: "Time over which a replica that came back takes up its full share.",
};
static PANIC_THRESHOLD: Real = Real {
    name: "panic_threshold",
    default: 0.5,
    min: 0.0,
    max: 1.0,
    meaning: "Share of healthy replicas below which those serve as well that their calls have taken out.",
};
static RETRY_BUDGET_PERCENT: Int = Int {
    name: "retry_budget_percent",
    default: 20,
    min: 0,
    max: 100,
    meaning: "Calls of ten seconds that may be sent again after a failure, in percent of all, and ten a second \
              besides; 0 is none at all. Only calls are sent again of which that is safe.",
};
static HEDGE_BUDGET_PERCENT: Int = Int {
    name: "hedge_budget_percent",
    default: 0,
    min: 0,
    max: 100,
    meaning: "Calls of read-only tools that may be sent to a second replica when they take longer than 95 of 100 of \
              their tool, in percent of all; the first answer counts and the other call is cancelled. 0 is none.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "balancer",
    repeated: false,
    meaning: "How calls are spread over the replicas of an upstream. `mcp balance configure` changes the strategy \
              and its weights while the server runs.",
    keys: &[
        &STRATEGY,
        &LOAD_WEIGHT,
        &RESPONSE_WEIGHT,
        &CATEGORY_WEIGHT,
        &HEALTH_CHECK_INTERVAL_S,
        &EJECTION,
        &FAILURES_IN_ROW,
        &TIMEOUTS_IN_ROW,
        &SUCCESS_RATE,
        &SLOW_FACTOR,
        &BACKOFF_MIN_MS,
        &BACKOFF_MAX_MS,
        &SLOW_START_MS,
        &PANIC_THRESHOLD,
        &RETRY_BUDGET_PERCENT,
        &HEDGE_BUDGET_PERCENT,
    ],
};

impl Balancer {
    /// Reads the section; `strategy` is what the command line says.
    pub(super) fn read(section: &Section<'_, '_>, strategy: Option<Strategy>) -> Self {
        let balancer = Self {
            strategy: strategy.unwrap_or(section.choice(&STRATEGY)),
            load_weight: section.real(&LOAD_WEIGHT),
            response_weight: section.real(&RESPONSE_WEIGHT),
            category_weight: section.real(&CATEGORY_WEIGHT),
            health_check_interval: seconds(section, &HEALTH_CHECK_INTERVAL_S),
            ejection: section.flag(&EJECTION),
            failures_in_row: section.int(&FAILURES_IN_ROW) as u32,
            timeouts_in_row: section.int(&TIMEOUTS_IN_ROW) as u32,
            success_rate: section.real(&SUCCESS_RATE),
            slow_factor: section.real(&SLOW_FACTOR),
            backoff_min: Duration::from_millis(section.int(&BACKOFF_MIN_MS)),
            backoff_max: Duration::from_millis(section.int(&BACKOFF_MAX_MS)),
            slow_start: Duration::from_millis(section.int(&SLOW_START_MS)),
            panic_threshold: section.real(&PANIC_THRESHOLD),
            retry_budget_percent: section.int(&RETRY_BUDGET_PERCENT) as u32,
            hedge_budget_percent: section.int(&HEDGE_BUDGET_PERCENT) as u32,
        };
        balancer.check(section);
        balancer
    }

    fn check(&self, section: &Section<'_, '_>) {
        let written = |names: &[&str]| names.iter().find_map(|name| section.key_at(name));
        if self.backoff_min > self.backoff_max
            && let Some(at) = written(&[BACKOFF_MIN_MS.name, BACKOFF_MAX_MS.name])
        {
            let (min, max) = (self.backoff_min.as_millis(), self.backoff_max.as_millis());
            let message = format!("\"backoff_min_ms\" ({min}) is above \"backoff_max_ms\" ({max})");
            section.cx.fault(&at, message);
        }
        let sum = self.load_weight + self.response_weight + self.category_weight;
        if sum <= 0.0
            && let Some(at) = written(&[LOAD_WEIGHT.name, RESPONSE_WEIGHT.name, CATEGORY_WEIGHT.name])
        {
            let message = "\"load_weight\", \"response_weight\" and \"category_weight\" must not all be 0";
            section.cx.fault(&at, message);
        }
    }
}
