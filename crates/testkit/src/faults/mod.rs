//! A TCP proxy on loopback that does what networks do, switched by the test while it runs. The words are those of
//! Toxiproxy.
//!
//! A [`FaultProxy`] stands before one server; one [`Fault`] at a time holds for all its connections, those that are
//! open already as well as new ones. What shapes bytes ([`Fault::Latency`], [`Fault::Bandwidth`], [`Fault::Slicer`],
//! [`Fault::LimitData`]) acts on what the server answers, as Toxiproxy's *downstream* does.
//!
//! - this file: the faults. `proxy`: the listener and its connections. `pipe`: one direction of a connection.

mod pipe;
mod proxy;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use proxy::FaultProxy;

/// What goes wrong between a client and its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// What the server sends arrives so much later, give or take up to `jitter`. The rate stays what it was.
    Latency {
        /// The mean.
        latency: Duration,
        /// How far it varies to either side.
        jitter: Duration,
    },
    /// What the server sends passes at this rate, in bytes per second, at least 1.
    Bandwidth {
        /// The rate.
        bytes_per_s: u64,
    },
    /// What the server sends passes in pieces of so many bytes, at least 1, with a pause before each.
    Slicer {
        /// Size of a piece.
        bytes: usize,
        /// Time before each piece.
        pause: Duration,
    },
    /// Of what the server sends on a connection so many bytes pass, counted from now on; then the connection ends.
    LimitData {
        /// How many.
        bytes: u64,
        /// How it ends.
        end: End,
    },
    /// Connections are accepted, and nothing passes in either direction for as long as it lasts: also on those that
    /// are open (half-open TCP). Healed, what was held back passes, as after a retransmission.
    Blackhole,
    /// Open connections are reset, new ones as soon as they are accepted.
    Reset,
    /// Open connections are closed and new ones refused: nobody listens. Healed, the same port listens again.
    Refuse,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both directions are closed.
    Close,
    /// The client is told that nothing more comes; what it sends still arrives.
    HalfClose,
    /// With a TCP reset.
    Reset,
}
