//! The files that agents and editors keep their MCP servers in, read as they are.
//!
//! Known shapes: `mcpServers` (Claude Code, Cursor and most others) and `servers` (VS Code); comments and
//! trailing commas are allowed, as editors allow them. These files are written for other programs, so a
//! server that cannot be used here is left out with a warning, and keys that mean nothing here are named
//! in a note; only a file that cannot be read as such is a fault.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::address::is_loopback;
use super::endpoint::{Draft, Endpoint};
use super::env::clip;
use super::place::{Severity, Sink};
use super::section::{Context, Spot, describe};
use super::server::Server;
use super::tree::{Entry, Node, Value};
use super::upstream::{MAX_NAME, Upstream, is_name};

/// Top-level keys that mean nothing here and that every file of some editor has.
const SILENT: &[&str] = &["$schema", "inputs"];

/// The folder that relative paths in such a file start at: its own, or the project's when an editor keeps
/// it in a folder of its own (`.vscode/mcp.json`, `.cursor/mcp.json`).
pub(super) fn base_folder(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let editors = [".vscode", ".cursor"];
    let is_editors = folder.file_name().is_some_and(|name| editors.iter().any(|e| name == *e));
    match folder.parent() {
        Some(project) if is_editors => project.to_owned(),
        _ => folder.to_owned(),
    }
}

/// Reads the servers of one file; `names` are those that are in use, and get the new ones.
pub(super) fn read(
    cx: Context<'_>,
    root: &Node,
    server: &Server,
    separator: &str,
    names: &mut Names,
) -> Vec<Upstream> {
    let Value::Table(entries) = &root.value else {
        cx.fault(&root.at, format!("the file must hold an object; found {}", describe(&root.value, false)));
        return Vec::new();
    };
    let (lists, others): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().partition(|e| e.key == "mcpServers" || e.key == "servers");
    if lists.is_empty() {
        let message = "no servers: the file has neither \"mcpServers\" nor \"servers\"";
        cx.note(Severity::Warning, &root.at, message);
    }
    let ignored = others.iter().map(|e| e.key.as_str()).filter(|key| !SILENT.contains(key));
    note_ignored(&cx, root, "", ignored);
    let mut upstreams: Vec<Upstream> = Vec::new();
    let mut written: HashSet<&str> = HashSet::new();
    for list in lists {
        let Value::Table(entries) = &list.node.value else {
            let found = describe(&list.node.value, false);
            cx.fault(&list.node.at, format!("\"{}\" must be an object; found {found}", list.key));
            continue;
        };
        for entry in &entries[..cx.limit(&list.key, &list.key_at, entries.len())] {
            if names.has(&entry.key) || !written.insert(&entry.key) {
                let message = format!("\"{}\" is left out: another server has that name", clip(&entry.key));
                cx.note(Severity::Info, &entry.key_at, message);
            } else if let Some(upstream) = one(cx, entry, server, separator, names) {
                names.add(&upstream.name);
                upstreams.push(upstream);
            }
        }
    }
    upstreams
}

/// The names that are in use, without regard to case.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    fn has(&self, name: &str) -> bool {
        self.0.contains(&name.to_ascii_lowercase())
    }

    pub(super) fn add(&mut self, name: &str) {
        self.0.insert(name.to_ascii_lowercase());
    }
}

/// Reads one server; what would be a fault elsewhere leaves it out.
fn one(cx: Context<'_>, entry: &Entry, server: &Server, separator: &str, names: &Names) -> Option<Upstream> {
    let sink = Sink::default();
    let draft = draft(Context { sink: &sink, ..cx }, entry, server);
    let upstream = draft.map(|(endpoint, enabled)| {
        let name = usable_name(&entry.key, separator, names);
        let mut upstream = Upstream::new(name, cx.place(&entry.key_at), endpoint, server);
        upstream.enabled = enabled;
        upstream
    });
    let (faults, _, notes) = sink.finish();
    let is_sound = faults.is_empty();
    for fault in faults {
        let message = format!("\"{}\" is left out: {}", clip(&entry.key), fault.message);
        cx.sink.note(Severity::Warning, Some(fault.place), message);
    }
    for note in notes {
        cx.sink.note(note.severity, note.place, note.message);
    }
    let upstream = upstream.filter(|_| is_sound)?;
    if upstream.name != entry.key {
        let message = format!("\"{}\" is called \"{}\" here", clip(&entry.key), upstream.name);
        cx.note(Severity::Info, &entry.key_at, message);
    }
    Some(upstream)
}

/// Reads what a server says of itself: where it is, and whether it is on. `None` without a fault means
/// that it is none for us.
fn draft(cx: Context<'_>, entry: &Entry, server: &Server) -> Option<(Endpoint, bool)> {
    let Value::Table(keys) = &entry.node.value else {
        cx.fault(
            &entry.node.at,
            format!("it must be an object; found {}", describe(&entry.node.value, false)),
        );
        return None;
    };
    let mut draft = Draft { inherit_env: server.inherit_env.clone(), ..Draft::default() };
    let (mut kind, mut plain_url, mut enabled) = (None, None, true);
    let mut ignored = Vec::new();
    for key in keys {
        match key.key.as_str() {
            "type" | "transport" => kind = text(&cx, key),
            "command" => draft.command = text(&cx, key),
            "args" => draft.args = texts(&cx, key),
            "env" => draft.env = pairs(&cx, key),
            "cwd" => draft.cwd = text(&cx, key),
            // Some agents keep "url" for SSE and name the streamable one otherwise: theirs goes first.
            "httpUrl" | "serverUrl" => draft.url = text(&cx, key),
            "url" => plain_url = text(&cx, key),
            "headers" => draft.headers = pairs(&cx, key),
            "disabled" => enabled = !flag(&cx, key)?,
            "enabled" => enabled = flag(&cx, key)?,
            other => ignored.push(other),
        }
    }
    draft.url = draft.url.or(plain_url);
    match kind.as_ref().map(|k| (k.value, &k.at)) {
        Some(("stdio", _)) => draft.url = None,
        Some(("http" | "streamable-http" | "streamableHttp" | "streamable_http", _)) => draft.command = None,
        Some(("sse", at)) => {
            cx.fault(at, "the old SSE transport is not supported; many servers also offer \"http\" at /mcp");
            return None;
        }
        Some((other, at)) => {
            cx.fault(at, format!("\"type\" \"{}\" is not supported; stdio and http are", clip(other)));
            return None;
        }
        None => {}
    }
    if is_ourselves(&draft, server) {
        let message = format!("\"{}\" is left out: it is this server", clip(&entry.key));
        cx.note(Severity::Info, &entry.key_at, message);
        return None;
    }
    note_ignored(&cx, &entry.node, &format!("\"{}\": ", clip(&entry.key)), ignored.into_iter());
    Some((draft.finish(&cx, &entry.key_at, "an upstream")?, enabled))
}

/// Whether an entry would start or call this very server. An agent that keeps us in the same file as our
/// upstreams would otherwise make us start ourselves without end.
fn is_ourselves(draft: &Draft<'_>, server: &Server) -> bool {
    if let Some(command) = &draft.command {
        let words: Vec<&str> =
            std::iter::once(command.value).chain(draft.args.iter().map(|a| a.value)).collect();
        let starts = words.windows(2).any(|pair| pair == ["mcp", "start"]);
        let is_our_name = |word: &&str| {
            Path::new(word).file_stem().is_some_and(|stem| stem == env!("CARGO_PKG_NAME") || stem == "cargo")
        };
        return starts && words.iter().any(is_our_name);
    }
    let Some(url) = &draft.url else { return false };
    let Ok(uri) = url.value.parse::<http::Uri>() else { return false };
    uri.authority().is_some_and(|a| is_loopback(a) && a.port_u16() == Some(server.listen.port()))
}

fn note_ignored<'k>(cx: &Context<'_>, node: &Node, subject: &str, keys: impl Iterator<Item = &'k str>) {
    const SHOWN: usize = 8;
    let keys: Vec<String> = keys.map(|key| format!("\"{}\"", clip(key))).collect();
    if keys.is_empty() {
        return;
    }
    let more = if keys.len() > SHOWN { ", …" } else { "" };
    let list = keys[..keys.len().min(SHOWN)].join(", ");
    cx.note(Severity::Info, &node.at, format!("{subject}ignored: {list}{more}"));
}

fn wrong(cx: &Context<'_>, entry: &Entry, kind: &str) {
    let found = describe(&entry.node.value, false);
    cx.fault(&entry.node.at, format!("\"{}\" must be {kind}; found {found}", clip(&entry.key)));
}

fn text<'t>(cx: &Context<'_>, entry: &'t Entry) -> Option<Spot<&'t str>> {
    match &entry.node.value {
        Value::Text(text) => Some(Spot { value: text, at: entry.node.at.clone() }),
        Value::Null => None,
        _ => {
            wrong(cx, entry, "a string");
            None
        }
    }
}

fn flag(cx: &Context<'_>, entry: &Entry) -> Option<bool> {
    if let Value::Bool(flag) = entry.node.value {
        return Some(flag);
    }
    wrong(cx, entry, "true or false");
    None
}

fn texts<'t>(cx: &Context<'_>, entry: &'t Entry) -> Vec<Spot<&'t str>> {
    let mut texts = Vec::new();
    match &entry.node.value {
        Value::List(items) => {
            for item in &items[..cx.limit(&entry.key, &entry.node.at, items.len())] {
                match &item.value {
                    Value::Text(text) => texts.push(Spot { value: text.as_str(), at: item.at.clone() }),
                    _ => wrong(cx, entry, "a list of strings only"),
                }
            }
        }
        Value::Null => {}
        _ => wrong(cx, entry, "a list of strings"),
    }
    texts
}

fn pairs<'t>(cx: &Context<'_>, entry: &'t Entry) -> Vec<(Spot<&'t str>, Spot<&'t str>)> {
    let mut pairs = Vec::new();
    match &entry.node.value {
        Value::Table(entries) => {
            for pair in &entries[..cx.limit(&entry.key, &entry.node.at, entries.len())] {
                let name = Spot { value: pair.key.as_str(), at: pair.key_at.clone() };
                pairs.extend(text(cx, pair).map(|value| (name, value)));
            }
        }
        Value::Null => {}
        _ => wrong(cx, entry, "an object of strings"),
    }
    pairs
}

/// The name itself where it may be one here, else the nearest that may and that nobody has.
fn usable_name(name: &str, separator: &str, names: &Names) -> String {
    if is_name(name) && !name.contains(separator) && !names.has(name) {
        return name.to_owned();
    }
    let filler = if separator.chars().all(|c| c == '-') { "_" } else { "-" };
    let mut base: String =
        name.chars().map(|c| if super::registry::is_name_character(c) { c } else { '-' }).collect();
    // Each round shortens the name, or replaces a separator of one character by another: it ends.
    while base.contains(separator) {
        base = base.replace(separator, filler);
    }
    let trimmed = |text: &str, len: usize| {
        let edge = |c: char| !c.is_ascii_alphanumeric();
        let text = text.trim_matches(edge);
        text[..text.len().min(len)].trim_matches(edge).to_owned()
    };
    base = trimmed(&base, MAX_NAME);
    if base.is_empty() {
        "server".clone_into(&mut base);
    }
    let numbered = (2..).map(|n: u64| {
        let suffix = format!("{filler}{n}");
        trimmed(&base, MAX_NAME - suffix.len()) + &suffix
    });
    // An endless supply of names against a bounded number of servers: one is always free.
    std::iter::once(base.clone())
        .chain(numbered)
        .find(|n| !names.has(n) && !n.contains(separator))
        .unwrap_or(base)
}
