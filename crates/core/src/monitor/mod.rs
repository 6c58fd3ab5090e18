//! What is known of the calls: counts, errors, latencies, over sliding windows and since the start.
//!
//! ```text
//! a call ends ─▶ Series (one per tool, method, replica): counters and histograms, added to by each thread on its own
//!                  │ once a second
//!                  ▼
//!              Windows: what was added in the last 10 s, 1 min, 5 min ─▶ Totals ─▶ figures
//! ```
//! Recording is a few plain additions to memory that no other thread writes ([`slot`]); everything that costs more is
//! done once a second, or when somebody looks. Categories, upstreams and the whole are sums of their tools' series, made
//! at reading.
//!
//! - [`alerts`]: which figures are watched, and when a person is told.
//! - [`slot`]: which memory a thread adds to.
//! - [`histogram`]: latencies in buckets of 1.6 %.
//! - [`series`]: all that is recorded of one tool, method or replica.
//! - [`windows`]: sliding windows of a series.
//! - [`verdict`]: whether the whole is well, and why not.
//! - [`metrics`]: the list of metrics that other programs get, and the text that Prometheus reads.
//! - [`tokens`]: how many tokens a text takes in a model's context, estimated.

pub mod alerts;
pub mod histogram;
pub mod metrics;
pub mod series;
pub mod slot;
pub mod tokens;
pub mod verdict;
pub mod windows;

pub use histogram::{Counts, MAX_ERROR};
pub use series::{ErrorKind, Finished, Series, Totals};
pub use verdict::{Reason, Thresholds, Verdict};
pub use windows::{Marks, Span, Windows};
