//! The tool registry: which tool a name means, decided without I/O, clock or randomness of its own.
//!
//! # Layout
//! - [`entry`]: what is known of one tool, and the manifests that it comes from.
//! - [`naming`]: how tools of many upstreams share one space of names.
//! - [`builder`]: manifests in, an immutable [`Snapshot`] out.
//! - [`snapshot`]: exact lookup, categories, listing, statistics.
//! - [`lookup`]: what to do with a name that no tool has.
//! - `index`, `trie`: the two exact indexes; `nearest`, `osa`: the index of near names.
//! - [`resolved`]: the bounded cache of names that were resolved to a near one.
//! - [`usage`]: calls, errors and latency of one tool, kept across snapshots.
//!
//! A snapshot never changes. A caller publishes a new one when a manifest changes, so that every reader sees
//! one consistent list.

pub mod builder;
pub mod config;
pub mod entry;
pub mod glob;
mod index;
pub mod lookup;
pub mod naming;
mod nearest;
mod osa;
pub mod resolved;
pub mod snapshot;
mod table;
mod trie;
pub mod usage;

#[cfg(test)]
mod sample_names;
#[cfg(test)]
mod tests;

pub use builder::SnapshotBuilder;
pub use config::{FuzzyPolicy, FuzzyRule, IndexKind, RegistryConfig, RegistryConfigError};
pub use entry::{Annotations, RawTool, RawToolError, ToolEntry, Upstream, UpstreamTools};
pub use glob::Glob;
pub use lookup::{Lookup, MAX_SUGGESTIONS, Suggestion, Variant};
pub use naming::{Collision, MAX_SHOWN_NAME, NameIssue, NameIssueKind, NamingRule, PrefixPolicy, Separator};
pub use resolved::{ResolvedNames, ResolvedNamesReading};
pub use snapshot::{RegistryStats, Snapshot};
pub use usage::Usage;
