//! The tools at one moment: immutable, so that every reader sees one consistent list.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::config::RegistryConfig;
use super::entry::ToolEntry;
use super::index::ExactIndex;
use super::naming::NameIssue;
use super::nearest::NearestNames;
use super::resolved::{ResolvedNames, ResolvedNamesReading};

/// All tools at one moment, indexed. Made by a [`SnapshotBuilder`](super::SnapshotBuilder).
#[derive(Debug)]
pub struct Snapshot {
    pub(super) config: RegistryConfig,
    pub(super) entries: Vec<Arc<ToolEntry>>,
    pub(super) index: ExactIndex,
    pub(super) names: NearestNames,
    pub(super) categories: BTreeMap<Arc<str>, Vec<u32>>,
    pub(super) list: Bytes,
    pub(super) etag: Box<str>,
    pub(super) fingerprint: u128,
    pub(super) issues: Vec<NameIssue>,
    pub(super) denied_tools: usize,
    pub(super) compiled_at: SystemTime,
    pub(super) build_time: Option<Duration>,
}

/// The figures of a snapshot and of the searches in it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RegistryStats {
    /// Tools shown.
    pub total_tools: usize,
    /// Tools of the manifests that allow or deny lists keep back.
    pub denied_tools: usize,
    /// Categories in alphabetical order, with the number of their tools.
    pub categories: Vec<(Arc<str>, usize)>,
    /// Names that are not shown as their upstream wrote them for another reason than its prefix.
    pub name_issues: usize,
    /// When the snapshot was built.
    pub compiled_at: SystemTime,
    /// How long that took; `None` if nobody measured.
    pub build_time: Option<Duration>,
    /// Searches for near names, of all snapshots.
    pub fuzzy: ResolvedNamesReading,
}

impl Snapshot {
    /// The tool that is shown under exactly this name.
    pub fn get(&self, name: &str) -> Option<&Arc<ToolEntry>> {
        self.index.get(name).map(|id| self.at(id))
    }

    /// The same, looked for from the first tool to the last: how a server without an index finds it
    /// (`--optimized=false`).
    pub fn scan(&self, name: &str) -> Option<&Arc<ToolEntry>> {
        self.entries.iter().find(|entry| *entry.shown == *name)
    }

    /// All tools in the order of the list: by upstream as configured, then as the upstream lists them.
    pub fn tools(&self) -> &[Arc<ToolEntry>] {
        &self.entries
    }

    /// Number of tools.
    pub fn total_tools(&self) -> usize {
        self.entries.len()
    }

    /// The tools whose shown names begin with `prefix`, in byte order of the names; with the prefix and separator of
    /// an upstream, those of one namespace. Costs the length of the answer with the trie, a scan with the hash.
    pub fn with_prefix(&self, prefix: &str) -> Vec<&Arc<ToolEntry>> {
        match &self.index {
            ExactIndex::Trie(trie) => {
                trie.with_prefix(prefix.as_bytes()).iter().map(|&id| self.at(id)).collect()
            }
            ExactIndex::Hash(_) => {
                let mut found: Vec<_> =
                    self.entries.iter().filter(|entry| entry.shown.starts_with(prefix)).collect();
                found.sort_unstable_by(|one, other| one.shown.cmp(&other.shown));
                found
            }
        }
    }

    /// The categories in alphabetical order, with the number of their tools.
    pub fn categories(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.categories.iter().map(|(category, ids)| (category, ids.len()))
    }

    /// The tools of a category, in list order.
    pub fn in_category(&self, category: &str) -> impl Iterator<Item = &Arc<ToolEntry>> {
        self.categories.get(category).into_iter().flatten().map(|&id| self.at(id))
    }

    /// The tools with most calls, most called first, by name where equal; none that was never called.
    pub fn most_used(&self, count: usize) -> Vec<&Arc<ToolEntry>> {
        let mut used: Vec<_> = self
            .entries
            .iter()
            .map(|entry| (entry.usage.calls(), entry))
            .filter(|(calls, _)| *calls > 0)
            .collect();
        used.sort_unstable_by(|(more, one), (less, other)| {
            less.cmp(more).then_with(|| one.shown.cmp(&other.shown))
        });
        used.into_iter().take(count).map(|(_, entry)| entry).collect()
    }

    /// All definitions in list order as one JSON array, `[{…},{…}]`: the value of `tools` in a `tools/list` result.
    pub fn list(&self) -> &Bytes {
        &self.list
    }

    /// A strong entity tag of [`Self::list`] (RFC 9110, 8.8.3), quotes included: equal only if the bytes are.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// What should be known about names, in list order.
    pub fn issues(&self) -> &[NameIssue] {
        &self.issues
    }

    /// When the snapshot was built, as its builder was told.
    pub fn compiled_at(&self) -> SystemTime {
        self.compiled_at
    }

    /// Notes how long the build took, as the caller measured it.
    #[must_use]
    pub fn with_build_time(mut self, build_time: Duration) -> Self {
        self.build_time = Some(build_time);
        self
    }

    /// The figures of this snapshot, and of the searches that `resolved` has seen.
    pub fn stats(&self, resolved: &ResolvedNames) -> RegistryStats {
        RegistryStats {
            total_tools: self.total_tools(),
            denied_tools: self.denied_tools,
            categories: self.categories().map(|(category, tools)| (Arc::clone(category), tools)).collect(),
            name_issues: self.issues.len(),
            compiled_at: self.compiled_at,
            build_time: self.build_time,
            fuzzy: resolved.read(),
        }
    }

    /// The settings that the snapshot was built with.
    pub fn config(&self) -> &RegistryConfig {
        &self.config
    }

    pub(super) fn at(&self, id: u32) -> &Arc<ToolEntry> {
        &self.entries[id as usize]
    }

    pub(super) fn names(&self) -> &NearestNames {
        &self.names
    }

    /// Differs whenever a near name could be resolved otherwise: covers the names, their order and the rule.
    pub(super) fn fingerprint(&self) -> u128 {
        self.fingerprint
    }
}
