//! What the gateway offers at one moment: the lists of all upstreams under one roof, and where each name leads.
//!
//! A catalog never changes. A new one is built when a manifest changes and put in the place of the old one, so that
//! a reader takes no lock and sees one consistent state.

mod caching;
mod capabilities;
mod param_headers;
mod resources;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use aqe_core::cache::Place;
use aqe_core::envelope::{MAX_FRAGMENT_DEPTH, Scanner, decode_quoted, encode_string};
use aqe_core::registry::{RawTool, RegistryConfig, Snapshot, SnapshotBuilder, ToolEntry, UpstreamTools};
use aqe_core::revision::{Era, Revision};
use bytes::Bytes;

pub(crate) use caching::Places;
pub use capabilities::Capabilities;
pub use param_headers::{MAX_SAFE_INTEGER, ParamHeaders, decode_header};
pub use resources::{Resources, Target};

use crate::bridge;
use crate::cache::ResultCache;
use crate::coding::List;
use crate::settings::{Endpoint, UpstreamSettings};
use crate::upstream::{ListKind, Manifest, Upstream, handshake};

/// The offer of all upstreams at one moment.
#[derive(Debug)]
pub struct Catalog {
    /// The upstreams, in the order of the configuration. Whoever was led to one by this catalog holds this list, so
    /// that an upstream that is no longer configured is known to be left alone when nobody does.
    pub upstreams: Arc<[Arc<Upstream>]>,
    /// How names are shown and found.
    pub registry: Arc<RegistryConfig>,
    /// Tools by shown name.
    pub tools: Snapshot,
    /// Prompts by shown name, under the same rules.
    pub prompts: Snapshot,
    /// All tools as they are listed.
    tool_list: Arc<List>,
    /// The same for clients that are told of each tool whether it runs as a task; `None`: none does.
    task_list: Option<Arc<OnceLock<Arc<List>>>>,
    /// All prompts as they are listed.
    pub(crate) prompt_list: Arc<List>,
    /// Resources and templates.
    pub resources: Resources,
    /// What is declared to clients.
    pub capabilities: Capabilities,
    /// `instructions` for clients.
    pub instructions: Option<String>,
    /// The result of `server/discover`, raw JSON.
    pub discovery: String,
    /// `x-mcp-header` parameters by shown tool name; most tools have none.
    pub param_headers: HashMap<Box<str>, ParamHeaders>,
    /// What may be kept besides the answers of tools, by the upstream's position.
    caching: Vec<Places>,
}

impl Catalog {
    /// Builds the catalog of these upstreams; `previous` hands over usage counts.
    pub fn build(
        registry: &Arc<RegistryConfig>,
        upstreams: &Arc<[Arc<Upstream>]>,
        previous: Option<&Self>,
        cache: Option<&ResultCache>,
    ) -> Self {
        let started = Instant::now();
        let manifests: Vec<(&Arc<Upstream>, Option<Arc<Manifest>>)> =
            upstreams.iter().map(|upstream| (upstream, upstream.manifest())).collect();
        let mut tools = Vec::new();
        let mut prompts = Vec::new();
        let mut sources = Vec::new();
        for (position, (upstream, manifest)) in manifests.iter().enumerate() {
            let source = cache.and_then(|cache| caching::source(upstream, manifest.as_deref(), cache));
            let list = |kind| manifest.as_ref().map(|manifest| Arc::clone(manifest.list(kind)));
            let settings = upstream.settings();
            let raw_tools = match settings.in_process() {
                Some(builtin) => Some(builtin.definitions().into()),
                _ => list(ListKind::Tools),
            };
            let modern_http =
                settings.replicas.iter().any(|replica| matches!(replica.endpoint, Endpoint::Http(_)))
                    && manifest.as_ref().is_some_and(|manifest| manifest.peer.era == Era::Modern);
            let raw_tools = raw_tools.as_deref().unwrap_or_default().iter().filter(|definition| {
                // An HTTP client must leave out tools with invalid header annotations (2026-07-28, "Custom Headers").
                !modern_http || ParamHeaders::read(definition).is_ok()
            });
            tools.push(UpstreamTools { cache: source.clone(), ..entries(&settings, position, raw_tools) });
            sources.push(source);
            let raw_prompts = list(ListKind::Prompts);
            prompts.push(entries(&settings, position, raw_prompts.as_deref().unwrap_or_default().iter()));
        }
        let snapshot = |lists: &[UpstreamTools], previous: Option<&Snapshot>| {
            let mut builder = SnapshotBuilder::new(RegistryConfig::clone(registry));
            for list in lists {
                builder = builder.upstream(list);
            }
            if let Some(previous) = previous {
                builder = builder.previous(previous);
            }
            builder.build(SystemTime::now())
        };
        let tools = snapshot(&tools, previous.map(|catalog| &catalog.tools));
        let prompts = snapshot(&prompts, previous.map(|catalog| &catalog.prompts));
        let param_headers = tools
            .tools()
            .iter()
            .filter_map(|tool| Some((tool.shown.clone(), ParamHeaders::read(&tool.definition).ok()??)))
            .collect();
        for issue in tools.issues().iter().chain(prompts.issues()) {
            tracing::debug!(?issue, "name");
        }
        let tools = tools.with_build_time(started.elapsed());
        let tool_list = list("tools", &tools, previous.map(|former| (&former.tools, &former.tool_list)));
        let prompt_list =
            list("prompts", &prompts, previous.map(|former| (&former.prompts, &former.prompt_list)));
        let resources = Resources::build(&manifests);
        let has_tasks = tools.tools().iter().any(|entry| runs_as_task(upstreams, entry));
        let task_list = has_tasks.then(|| match previous {
            Some(former) if former.tools.etag() == tools.etag() => {
                former.task_list.clone().unwrap_or_default()
            }
            _ => Arc::default(),
        });
        let capabilities = Capabilities::merge(&manifests, has_tasks);
        let instructions = instructions(&manifests);
        let caching = caching::places(&manifests, &sources, &resources);
        let discovery = discovery(&capabilities, instructions.as_deref());
        Self {
            upstreams: Arc::clone(upstreams),
            registry: Arc::clone(registry),
            tools,
            prompts,
            tool_list,
            task_list,
            prompt_list,
            resources,
            capabilities,
            instructions,
            discovery,
            param_headers,
            caching,
        }
    }

    /// The upstream of a tool or prompt of this catalog.
    ///
    /// # Panics
    /// If the entry is of another catalog.
    pub fn upstream_of(&self, entry: &ToolEntry) -> &Arc<Upstream> {
        &self.upstreams[entry.upstream.index as usize]
    }

    /// Whether a built-in tool runs as a task where its client can (`core::tasks`).
    pub(crate) fn has_tasks(&self) -> bool {
        self.task_list.is_some()
    }

    /// All tools as a client of this revision is told of them.
    pub(crate) fn tool_list(&self, revision: Revision) -> &Arc<List> {
        match &self.task_list {
            Some(list) if revision == Revision::V20251125 => list.get_or_init(|| {
                let each = self.tools.tools().iter().map(|entry| self.definition(entry, revision));
                let each: Vec<Bytes> = each.collect();
                List::new("tools", [b"[", &each.join(&b","[..])[..], b"]"].concat().into())
            }),
            _ => &self.tool_list,
        }
    }

    /// A tool as a client of this revision is told of it. 2025-11-25 alone has `execution.taskSupport`.
    pub(crate) fn definition(&self, entry: &ToolEntry, revision: Revision) -> Bytes {
        let own = &entry.definition;
        match own.trim_ascii_end().strip_suffix(b"}") {
            Some(open) if revision == Revision::V20251125 && runs_as_task(&self.upstreams, entry) => {
                [open, br#","execution":{"taskSupport":"optional"}}"#].concat().into()
            }
            _ => own.clone(),
        }
    }

    /// Where answers of the upstream at this position are kept.
    pub(crate) fn caching_of(&self, index: u32) -> Option<&Places> {
        self.caching.get(index as usize)
    }

    /// Where answers to `resources/read` of the upstream with this [`Upstream::id`] are kept, if they are.
    pub(crate) fn resources_of(&self, id: usize) -> Option<&Arc<Place>> {
        let at = self.upstreams.iter().position(|upstream| upstream.id == id)?;
        self.caching.get(at)?.resources.as_ref()
    }

    /// The upstream with this [`Upstream::id`], unless it has gone.
    pub fn upstream(&self, id: usize) -> Option<&Arc<Upstream>> {
        self.upstreams.iter().find(|upstream| upstream.id == id)
    }
}

/// Whether a tool is built in and takes so long that it runs as a task where its client can.
fn runs_as_task(upstreams: &[Arc<Upstream>], entry: &ToolEntry) -> bool {
    entry.upstream.builtin
        && upstreams
            .get(entry.upstream.index as usize)
            .and_then(|upstream| upstream.in_process())
            .is_some_and(|tools| tools.takes_long(&entry.original))
}

/// The list of a snapshot; the former one if it is the same, with what was made of it.
fn list(member: &'static str, snapshot: &Snapshot, former: Option<(&Snapshot, &Arc<List>)>) -> Arc<List> {
    match former {
        Some((former, list)) if former.etag() == snapshot.etag() => Arc::clone(list),
        _ => List::new(member, snapshot.list().clone()),
    }
}

/// Joined instructions of the upstreams are cut here: they go into every agent's context.
const MAX_INSTRUCTIONS: usize = 16 * 1024;

fn instructions(manifests: &[(&Arc<Upstream>, Option<Arc<Manifest>>)]) -> Option<String> {
    let each: Vec<(&str, String)> = manifests
        .iter()
        .filter_map(|(upstream, manifest)| {
            Some((upstream.name(), manifest.as_ref()?.peer.instructions.clone()?))
        })
        .collect();
    match &each[..] {
        [] => None,
        [(_, only)] => Some(only.clone()),
        several => {
            let mut text = String::new();
            for (name, instructions) in several {
                let _ = write!(text, "# {name}\n{instructions}\n\n");
            }
            let end = (0..=MAX_INSTRUCTIONS.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
            Some(text.trim_end().to_owned())
        }
    }
}

fn discovery(capabilities: &Capabilities, instructions: Option<&str>) -> String {
    let versions = Revision::ALL.map(|revision| format!("\"{revision}\""));
    let versions: Vec<&str> = versions.iter().rev().map(String::as_str).collect();
    let instructions = instructions.map(|text| format!(r#","instructions":{}"#, encode_string(text)));
    format!(
        r#"{{{},"supportedVersions":[{}],"capabilities":{}{},"_meta":{{"io.modelcontextprotocol/serverInfo":{}}}}}"#,
        bridge::modern_members("server/discover"),
        versions.join(","),
        capabilities.of(Revision::NEWEST_MODERN),
        instructions.unwrap_or_default(),
        handshake::implementation()
    )
}

fn entries<'a>(
    settings: &UpstreamSettings,
    position: usize,
    definitions: impl Iterator<Item = &'a Bytes>,
) -> UpstreamTools {
    UpstreamTools {
        name: settings.name.as_str().into(),
        order: position as u32,
        trusted: settings.trusted,
        builtin: settings.in_process().is_some(),
        category: settings.category.as_deref().map(Into::into),
        allow: settings.allow.clone(),
        deny: settings.deny.clone(),
        tools: definitions.filter_map(raw_tool).collect(),
        cache: None,
    }
}

/// Reads what the registry needs of a definition; `None` if it has no name or two.
fn raw_tool(definition: &Bytes) -> Option<RawTool> {
    let mut scanner = Scanner::new(definition, MAX_FRAGMENT_DEPTH).ok()?;
    let mut name = None;
    let mut twice = false;
    let mut annotations = aqe_core::registry::Annotations::default();
    let mut category = None;
    scanner
        .object(|scanner, key| {
            match key {
                b"name" => {
                    let span = scanner.value()?;
                    twice |= name.replace(span).is_some();
                }
                b"annotations" | b"_meta" if scanner.peek() == Some(b'{') => {
                    scanner.object(|scanner, key| {
                        let value = scanner.value()?.of(definition);
                        let flag = match value {
                            b"true" => Some(true),
                            b"false" => Some(false),
                            _ => None,
                        };
                        match key {
                            b"readOnlyHint" => annotations.read_only = flag,
                            b"idempotentHint" => annotations.idempotent = flag,
                            b"destructiveHint" => annotations.destructive = flag,
                            b"openWorldHint" => annotations.open_world = flag,
                            b"category" => category = text(value),
                            _ => {}
                        }
                        Ok(())
                    })?;
                }
                _ => {
                    scanner.value()?;
                }
            }
            Ok(())
        })
        .ok()?;
    let name = name.filter(|_| !twice)?;
    let decoded = text(name.of(definition))?;
    let place = name.start as usize..name.end as usize;
    let tool = RawTool::new(definition.clone(), place, decoded).ok()?.with_annotations(annotations);
    Some(match category {
        Some(category) => tool.with_category(category),
        None => tool,
    })
}

/// A raw JSON string, decoded.
fn text(raw: &[u8]) -> Option<String> {
    decode_quoted(raw).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_name_hints_and_category_and_keeps_the_definition() {
        let definition = Bytes::from_static(
            br#"{"x":1e400,"annotations":{"readOnlyHint":true,"vendor":1},"name":"a\u0062","_meta":{"category":"files"}}"#,
        );
        let tools = vec![raw_tool(&definition).unwrap()];
        let upstream = UpstreamTools { name: "up".into(), tools, ..UpstreamTools::default() };
        let builder = SnapshotBuilder::new(RegistryConfig::default()).upstream(&upstream);
        let snapshot = builder.build(SystemTime::UNIX_EPOCH);
        let tool = snapshot.get("ab").unwrap();
        assert_eq!(tool.annotations.read_only, Some(true));
        assert_eq!(&*tool.category, "files");
        assert_eq!(tool.definition, String::from_utf8_lossy(&definition).replace(r"a\u0062", "ab"));
    }

    #[test]
    fn a_definition_without_or_with_two_names_is_left_out() {
        for text in [r"{}", r#"{"name":1}"#, r#"{"name":"a","name":"b"}"#] {
            assert!(raw_tool(&Bytes::from_static(text.as_bytes())).is_none(), "{text}");
        }
    }
}
