//! Manifests in, an immutable snapshot out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use sha2::{Digest, Sha256};

use super::config::RegistryConfig;
use super::entry::{RawTool, ToolEntry, Upstream, UpstreamTools};
use super::index::ExactIndex;
use super::naming::{self, NameIssue, NameIssueKind, Named, Origin};
use super::nearest::NearestNames;
use super::snapshot::Snapshot;
use super::usage::Usage;

/// Collects the manifests of all upstreams, and builds a [`Snapshot`] of them.
///
/// The same manifests and settings always give the same snapshot, in whatever order they are added.
#[derive(Debug)]
pub struct SnapshotBuilder<'a> {
    config: RegistryConfig,
    /// By name: an upstream added again replaces what it said before.
    upstreams: BTreeMap<&'a str, &'a UpstreamTools>,
    previous: Option<&'a Snapshot>,
}

impl<'a> SnapshotBuilder<'a> {
    /// A builder without upstreams.
    pub fn new(config: RegistryConfig) -> Self {
        Self { config, upstreams: BTreeMap::new(), previous: None }
    }

    /// Adds an upstream. Add all that are configured, also those without tools at the moment: how many there are
    /// decides whether names get a prefix.
    #[must_use]
    pub fn upstream(mut self, upstream: &'a UpstreamTools) -> Self {
        self.upstreams.insert(&upstream.name, upstream);
        self
    }

    /// Carries over the usage of the tools of an earlier snapshot, by upstream and original name.
    #[must_use]
    pub fn previous(mut self, previous: &'a Snapshot) -> Self {
        self.previous = Some(previous);
        self
    }

    /// Builds the snapshot. `compiled_at` is the time that it will state.
    pub fn build(self, compiled_at: SystemTime) -> Snapshot {
        let mut upstreams: Vec<&UpstreamTools> = self.upstreams.into_values().collect();
        upstreams.sort_by_key(|upstream| upstream.order);
        let Selection { chosen, mut issues, denied_tools } = select(&upstreams);

        let origins: Vec<Origin<'_>> = chosen
            .iter()
            .map(|(upstream, tool)| Origin {
                upstream: &upstream.name,
                builtin: upstream.builtin,
                name: tool.name(),
            })
            .collect();
        let foreign = upstreams.iter().filter(|upstream| !upstream.builtin).count();
        let (named, name_issues) = naming::assign(&origins, foreign, &self.config.naming);
        issues.extend(name_issues);

        let shown: Vec<&str> = named.iter().map(|named| &*named.shown).collect();
        let index = ExactIndex::build(self.config.index, &shown);
        let names =
            NearestNames::build(named.iter().map(|named| (&*named.shown, named.after_prefix.as_deref())));
        let (list, spans) = write_list(&chosen, &shown);
        let (etag, fingerprint) = digests(&list, &self.config);
        let definitions = spans.into_iter().map(|span| list.slice(span));
        let (entries, categories) = entries(&self.config, &chosen, named, definitions, self.previous);
        Snapshot {
            config: self.config,
            entries,
            index,
            names,
            categories,
            list,
            etag,
            fingerprint,
            issues,
            denied_tools,
            compiled_at,
            build_time: None,
        }
    }
}

/// The tools to show.
struct Selection<'a> {
    chosen: Vec<(&'a UpstreamTools, &'a RawTool)>,
    issues: Vec<NameIssue>,
    denied_tools: usize,
}

/// Applies allow and deny lists, and leaves out what an upstream lists twice.
fn select<'a>(upstreams: &[&'a UpstreamTools]) -> Selection<'a> {
    let mut selection = Selection { chosen: Vec::new(), issues: Vec::new(), denied_tools: 0 };
    for &upstream in upstreams {
        let mut seen: HashSet<&str> = HashSet::with_capacity(upstream.tools.len());
        for tool in &upstream.tools {
            if !permits(upstream, tool.name()) {
                selection.denied_tools += 1;
            } else if seen.insert(tool.name()) {
                selection.chosen.push((upstream, tool));
            } else {
                selection.issues.push(NameIssue {
                    upstream: upstream.name.clone(),
                    original: tool.name().into(),
                    shown: None,
                    kind: NameIssueKind::Duplicate,
                });
            }
        }
    }
    selection
}

fn permits(upstream: &UpstreamTools, name: &str) -> bool {
    let allowed = upstream.allow.is_empty() || upstream.allow.iter().any(|glob| glob.matches(name));
    if !allowed || upstream.deny.is_empty() {
        return allowed;
    }
    // An invisible character in a name must not get it past the list.
    let mapped = naming::mapped(name);
    !upstream.deny.iter().any(|glob| glob.matches(name) || glob.matches(&mapped))
}

/// Writes all definitions under their shown names as one array, and says where each stands in it.
fn write_list(chosen: &[(&UpstreamTools, &RawTool)], shown: &[&str]) -> (Bytes, Vec<std::ops::Range<usize>>) {
    let lengths = chosen.iter().map(|(_, tool)| tool.definition().len());
    let room: usize = lengths.sum::<usize>() + chosen.len() * (naming::MAX_SHOWN_NAME + 1) + 2;
    let mut list = Vec::with_capacity(room);
    let mut spans = Vec::with_capacity(chosen.len());
    list.push(b'[');
    for ((_, tool), shown) in chosen.iter().zip(shown) {
        if !spans.is_empty() {
            list.push(b',');
        }
        let start = list.len();
        tool.write_as(shown, &mut list);
        spans.push(start..list.len());
    }
    list.push(b']');
    (Bytes::from(list), spans)
}

/// The entity tag of the list, and the fingerprint of everything that a near name depends on.
fn digests(list: &[u8], config: &RegistryConfig) -> (Box<str>, u128) {
    let digest = Sha256::digest(list);
    let mut etag = String::from('"');
    for byte in digest.iter().take(16) {
        // Writing to a string cannot fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    let rule = Sha256::new()
        .chain_update(digest)
        .chain_update(config.rule.threshold().to_le_bytes())
        .chain_update([config.rule.max_edits(), config.rule.margin()])
        .finalize();
    let fingerprint = rule.iter().take(16).fold(0, |sum, &byte| sum << 8 | u128::from(byte));
    (etag.into(), fingerprint)
}

type Entries = (Vec<Arc<ToolEntry>>, BTreeMap<Arc<str>, Vec<u32>>);

/// Makes the entries and sorts them into categories.
fn entries(
    config: &RegistryConfig,
    chosen: &[(&UpstreamTools, &RawTool)],
    named: Vec<Named>,
    definitions: impl Iterator<Item = Bytes>,
    previous: Option<&Snapshot>,
) -> Entries {
    let earlier: HashMap<(&str, &str), &Arc<Usage>> = previous
        .into_iter()
        .flat_map(Snapshot::tools)
        .map(|entry| ((&*entry.upstream.name, &*entry.original), &entry.usage))
        .collect();
    let mut categories: BTreeMap<Arc<str>, Vec<u32>> = BTreeMap::new();
    let mut entries: Vec<Arc<ToolEntry>> = Vec::with_capacity(chosen.len());
    let mut last: Option<Arc<Upstream>> = None;
    for (((from, tool), named), definition) in chosen.iter().zip(named).zip(definitions) {
        let same = last.take().filter(|last| last.name == from.name);
        let upstream = same.unwrap_or_else(|| {
            Arc::new(Upstream {
                index: from.order,
                name: from.name.clone(),
                builtin: from.builtin,
                trusted: from.trusted,
            })
        });
        last = Some(Arc::clone(&upstream));
        let stated = from.category.as_deref().or(tool.category.as_deref()).unwrap_or(&from.name);
        let category = config.category_of(&named.shown).unwrap_or(stated);
        let category = categories
            .get_key_value(category)
            .map_or_else(|| category.into(), |(known, _)| Arc::clone(known));
        categories.entry(Arc::clone(&category)).or_default().push(entries.len() as u32);
        entries.push(Arc::new(ToolEntry {
            shown: named.shown,
            original: tool.name().into(),
            upstream,
            definition,
            category,
            annotations: tool.annotations,
            usage: earlier
                .get(&(&*from.name, tool.name()))
                .map(|usage| Arc::clone(usage))
                .unwrap_or_default(),
            caching: from
                .cache
                .as_ref()
                .map(|source| source.of_tool(tool.name(), tool.annotations, tool.definition()))
                .unwrap_or_default(),
        }));
    }
    (entries, categories)
}
