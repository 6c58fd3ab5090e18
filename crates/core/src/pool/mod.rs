//! The connection pool: who gets which connection, and when one is opened, probed and closed. Decisions only: no I/O,
//! no locks, no clock and no randomness of its own.
//!
//! # Driving it
//! A driver holds the [`Pool`] under one lock that no await crosses. It calls a method, takes the [`Effect`]s with
//! [`Pool::take_effects`], gives up the lock and carries the effects out in their order:
//!
//! | the driver | calls |
//! |---|---|
//! | wants a connection for a call, gives up waiting, is done with it | [`Pool::acquire`], [`Pool::cancel`], [`Pool::release`] |
//! | carried out an [`Effect::Open`] | [`Pool::opened`] or [`Pool::open_failed`] |
//! | carried out an [`Effect::Close`], or saw a connection end by itself | [`Pool::closed`] |
//! | carried out an [`Effect::Probe`] | [`Pool::probed`] |
//! | reaches [`Pool::next_deadline`], which any method may have brought forward | [`Pool::tick`] |
//!
//! What arrives late, such as a probe of a connection that is gone or the opening of one that was to be closed, is
//! ignored. Times must not go back.
//!
//! # Terms
//! A connection belongs to a replica and a variant. It is *unbound* until its first call, which binds it to the
//! [`Scope`] of that call for good; a [`Lane`] is a replica, a variant and a scope. The calls of a lane share its
//! connections, up to `max_calls` on each, before the pool opens more; only then do they wait, first come, first
//! served. Room for a new connection goes to the lane that has gone longest without being served.
//!
//! One connection at a time is opened for each lane that has none or whose connections are full, however many calls
//! wait; and one at a time to keep the minimum, except for the first ones of a replica, which open side by side.
//! `max_opening` bounds all that.
//!
//! # Layout
//! - `state`: [`Pool`] itself; leases.  `grow`: what to open, and what has to go for it.
//! - `events`: what the driver reports.  `lifetime`: what time does.  `control`: settings, drain, ends of sessions.
//! - [`Lane`], [`Effect`], [`PoolConfig`], [`PoolStatus`]: what goes in and out.
//! - `connection`, `replica`, `lane`, `backoff`: what is known of each; `arena`: where that lies; `check`: what must
//!   always hold.

mod arena;
mod backoff;
#[cfg(debug_assertions)]
mod check;
mod config;
mod connection;
mod control;
mod effect;
mod events;
mod grow;
mod lane;
mod lifetime;
mod replica;
mod state;
mod stats;

#[cfg(test)]
mod tests;

pub use backoff::{BACKOFF_FIRST, BACKOFF_MOST, CRASH_LOOP_FAILURES, CRASH_LOOP_WINDOW, STABLE_AFTER};
pub use config::{PoolConfig, PoolConfigError, ReplicaConfig};
pub use connection::{CloseReason, ConnId};
pub use effect::{Acquire, AcquireError, DrainTarget, Effect, Lease, Occupancy, Outcome};
pub use lane::{Lane, Scope, WaiterId};
pub use replica::ReplicaId;
pub use state::Pool;
pub use stats::{
    ConnectionFigures, PoolFigures, PoolStatus, PoolWaits, ReplicaHealth, ReplicaStatus, WaitTimes,
};
