//! The health of one replica: what its calls and probes say, when it is taken out, tried again and trusted again.
//!
//! # Layout
//! - [`outcome`]: how a call ended, and the [`Reason`]s for which a replica is taken out.
//! - [`config`]: thresholds and times.
//! - `record`: the record of one replica, fed by calls and probes alike.
//! - `breaker`: the one state machine behind it: closed, open with a growing back-off, half-open with one trial in
//!   flight, slow start.
//! - `window`: counts of the last ten seconds; `latency`: two averages of the latency.
//!
//! A replica is *ejected* when its calls speak against it; then it may still serve when too few others are left.
//! It is *down* when a probe says so; then nothing but a probe goes to it.

mod breaker;
pub mod config;
mod latency;
pub mod outcome;
mod record;
mod window;

pub use breaker::BreakerState;
pub use config::{HealthConfig, HealthConfigError};
pub use outcome::{FailureKind, Outcome, Reason};

pub(crate) use breaker::Standing;
pub(crate) use record::{Call, Record, Shift};
pub(crate) use window::Window;
