//! Against small servers on loopback: what goes over the wire, and what comes of it.

mod answers;
mod cancel;
mod coding;
mod faults;
mod frames;
mod http2;
mod http2_faults;
mod http2_silence;
mod listening;
mod long;
mod resuming;
mod sessions;
mod support;
mod tls;
mod transport;
