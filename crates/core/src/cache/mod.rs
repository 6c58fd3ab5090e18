//! The result cache: what may be kept, for how long, for whom, and when it no longer counts. Decisions only: the time
//! comes in as a value, and what touches the disk or an upstream is elsewhere.
//!
//! # Layout
//! - [`canonical`]: the canonical form of JSON (RFC 8785). [`question`]: what two calls must have in common.
//! - [`place`]: rules, and where answers belong. [`namespace`]: what makes them invalid.
//! - [`body`]: a result, read once, and the replies that are written of it. [`entry`]: how long it counts.
//! - [`hot`], [`memory`]: the first and the second level. [`disk`]: what a third one does. [`stats`]: counts of each.
//!
//! # What is kept
//! - An answer to `resources/read` or `prompts/get` that says so (`ttlMs`, `cacheScope`; 2026-07-28, "Caching").
//! - The result of a tool for which the configuration says so, by its name, or because the configuration allows it for
//!   tools that are annotated as read-only and idempotent.
//! - Never: an error response; a result that asks for input, or one to which input led (`inputResponses`, or a question
//!   to the client during the call); a task; anything larger than the bounds. A result that says `isError` only where
//!   the configuration gives a time for it.
//! - Progress and log messages are not kept. An answer that they came before is: no revision promises them, so a
//!   client does without them when the answer is there at once.
//! - For the principal who asked, unless the answer or the configuration says that it is everybody's.

pub mod body;
pub mod canonical;
mod count;
pub mod disk;
pub mod entry;
pub mod hot;
pub mod memory;
pub mod namespace;
pub mod place;
pub mod question;
pub mod stats;
#[cfg(test)]
mod tests;

pub use body::{Body, MARK, Note, result_of};
pub use canonical::{NotCanonical, canonicalize};
pub use disk::{Disk, DiskReading, Forget, Record};
pub use entry::{Entry, Life, Parts, State};
pub use memory::{Hit, LevelReading, Memory, MemoryConfig};
pub use namespace::{Kind, Namespace, Stamp};
pub use place::{Caching, OnWrite, Place, Rule, Source, UpstreamRules};
pub use question::{Asked, Key, Keys, MAX_KEY_BYTES, Question, Scope};
pub use stats::{Counts, Level, Reading};
