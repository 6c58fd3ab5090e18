//! The load balancer of one upstream: which replica takes a call, decided without I/O, clock or randomness of its own.
//!
//! # Layout
//! - `state`: [`Balancer`]: calls in, choices out; `upkeep`: what happens between calls, probes and pauses.
//! - [`call`]: what a caller says of a call and gets for it.
//! - [`config`]: strategy, replicas, validated settings. `strategy`: how each strategy chooses; `sticky`: the choice by
//!   a key. `replica`: what is counted of one replica.
//! - [`budget`]: how many calls may be sent twice.
//! - [`error`]: why no replica was chosen. [`status`]: what to show.
//! - health itself (ejection, probes, the way back) is in [`crate::health`].
//!
//! # Driving it
//! Keep the balancer behind a mutex that is never held across an await. All methods take the time as a value; it
//! should not step back, and nothing breaks if it does.
//!
//! 1. [`Balancer::pick`] chooses a replica and counts the call as in flight on it, in one step, so that two callers
//!    cannot both take the last place. It gives a [`Ticket`].
//! 2. [`Balancer::finished`] takes the ticket back with the outcome. *Every* ticket must come back, also when the call
//!    is dropped half-way ([`Outcome::Cancelled`](crate::health::Outcome::Cancelled)): hold it in a guard.
//! 3. To try again elsewhere: [`Balancer::may_retry`], then `pick` with the replicas so far in
//!    [`Request::exclude`]. To hedge: wait for the tool's p95, then [`Balancer::may_hedge`] and `pick` alike.
//! 4. [`Balancer::tick`] once a second: gives the probes to send and what changed. Report each probe with
//!    [`Balancer::probed`].
//!
//! [`PickError::Full`] is worth waiting for (a place becomes free with the next `finished`);
//! [`PickError::NoAvailableReplicas`] is not.

pub mod budget;
pub mod call;
pub mod config;
pub mod error;
pub(crate) mod random;
mod replica;
mod state;
pub mod status;
mod sticky;
mod strategy;
#[cfg(test)]
mod tests;
mod upkeep;

pub use budget::BudgetConfig;
pub use call::{Affinity, Change, Probe, Request, Tick, Ticket};
pub use config::{BalancerConfig, BalancerConfigError, MAX_REPLICAS, ReplicaConfig, ScoreWeights, Strategy};
pub use error::{NoAvailableReplicas, PickError, Unavailable, UnavailableReplica};
pub use replica::ReplicaId;
pub use state::Balancer;
pub use status::{BalancerStatus, ReplicaStatus};
