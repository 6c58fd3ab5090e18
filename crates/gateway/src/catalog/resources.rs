//! Which upstream a resource URI leads to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aqe_core::envelope::{Edits, MAX_FRAGMENT_DEPTH, Message, Scanner, Span, decode_quoted, encode_string};
use bytes::Bytes;

use crate::upstream::{ListKind, Manifest, Upstream};

/// Where a URI leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The upstream's [`id`](Upstream::id).
    pub upstream: usize,
    /// The upstream's own URI.
    pub uri: String,
}

/// Resources and templates of all upstreams. A URI that two upstreams offer stays with the first one; the others'
/// is shown as `name+uri` (a `ui://` one as `ui://name+…`, because its scheme has a meaning).
#[derive(Debug, Default)]
pub struct Resources {
    by_uri: HashMap<String, Target>,
    shown: HashMap<(usize, String), String>,
    templates: Vec<(String, usize)>,
    capable: Vec<usize>,
    names: HashMap<usize, String>,
    /// Entries as shown, raw JSON.
    pub list: Vec<Bytes>,
    /// Template entries, raw JSON.
    pub template_list: Vec<Bytes>,
}

impl Resources {
    pub(super) fn build(manifests: &[(&Arc<Upstream>, Option<Arc<Manifest>>)]) -> Self {
        let mut this = Self::default();
        for (upstream, manifest) in manifests {
            let Some(manifest) = manifest else { continue };
            this.names.insert(upstream.id, upstream.name().to_owned());
            if manifest.capability("resources").is_some() {
                this.capable.push(upstream.id);
            }
            let mut own = HashSet::new();
            for entry in manifest.list(ListKind::Resources).iter() {
                let Some((span, uri)) = member(entry, b"uri") else { continue };
                if !own.insert(uri.clone()) {
                    continue;
                }
                this.add(upstream.id, entry, span, uri);
            }
            for entry in manifest.list(ListKind::Templates).iter() {
                if let Some((_, template)) = member(entry, b"uriTemplate") {
                    this.templates.push((template, upstream.id));
                }
                this.template_list.push(entry.clone());
            }
        }
        this
    }

    fn add(&mut self, upstream: usize, entry: &Bytes, span: Span, uri: String) {
        if !self.by_uri.contains_key(&uri) {
            self.by_uri.insert(uri.clone(), Target { upstream, uri });
            self.list.push(entry.clone());
            return;
        }
        let shown = namespaced(&self.names[&upstream], &uri);
        let mut definition = entry[..span.start as usize].to_vec();
        definition.extend_from_slice(encode_string(&shown).as_bytes());
        definition.extend_from_slice(&entry[span.end as usize..]);
        self.list.push(definition.into());
        self.shown.insert((upstream, uri.clone()), shown.clone());
        self.by_uri.insert(shown, Target { upstream, uri });
    }

    /// Whether an upstream lists this very URI.
    pub fn lists(&self, uri: &str) -> bool {
        self.by_uri.contains_key(uri)
    }

    /// The upstreams to ask for a URI, the likeliest first. More than one only where nothing says which.
    pub fn candidates(&self, uri: &str) -> Vec<Target> {
        if let Some(target) = self.by_uri.get(uri) {
            return vec![target.clone()];
        }
        for (index, name) in &self.names {
            if let Some(own) = without_namespace(name, uri) {
                return vec![Target { upstream: *index, uri: own }];
            }
        }
        let by_template: Vec<usize> = self
            .templates
            .iter()
            .filter(|(template, _)| matches(template, uri))
            .map(|(_, index)| *index)
            .collect();
        let indexes = if by_template.is_empty() { &self.capable } else { &by_template };
        let mut seen = HashSet::new();
        let fresh = indexes.iter().filter(|index| seen.insert(**index));
        fresh.map(|index| Target { upstream: *index, uri: uri.to_owned() }).collect()
    }

    /// Whether a resource of this upstream is shown under another URI than its own.
    pub fn renames(&self, upstream: usize) -> bool {
        self.shown.keys().any(|(of, _)| *of == upstream)
    }

    /// The upstream that offers a template with this text, for completion.
    pub fn template_owner(&self, template: &str) -> Option<usize> {
        self.templates.iter().find(|(other, _)| other == template).map(|(_, index)| *index)
    }

    /// The URI under which clients know an upstream's resource.
    pub fn shown(&self, upstream: usize, uri: &str) -> Option<&str> {
        self.shown.get(&(upstream, uri.to_owned())).map(String::as_str)
    }

    /// Puts the shown URI into `contents[].uri` of a read result where it differs from the upstream's.
    pub fn show_contents<'a>(
        &self,
        upstream: usize,
        contents: Span,
        answer: &'a Message,
        edits: &mut Edits<'a>,
    ) {
        if self.shown.is_empty() {
            return;
        }
        let raw = contents.of(answer.bytes());
        let Ok(mut scanner) = Scanner::new(raw, MAX_FRAGMENT_DEPTH) else { return };
        let mut found = Vec::new();
        let _ = scanner.array(|scanner| {
            if scanner.peek() != Some(b'{') {
                return scanner.value().map(|_| ());
            }
            scanner.object(|scanner, key| {
                let span = scanner.value()?;
                if key == b"uri" {
                    found.push(span);
                }
                Ok(())
            })?;
            Ok(())
        });
        for span in found {
            let uri = decode_quoted(span.of(raw)).unwrap_or_default();
            if let Some(shown) = self.shown(upstream, &uri) {
                let place = Span { start: contents.start + span.start, end: contents.start + span.end };
                edits.replace(place, encode_string(shown).into_bytes());
            }
        }
    }
}

fn namespaced(name: &str, uri: &str) -> String {
    match uri.strip_prefix("ui://") {
        Some(rest) => format!("ui://{name}+{rest}"),
        None => format!("{name}+{uri}"),
    }
}

fn without_namespace(name: &str, uri: &str) -> Option<String> {
    if let Some(rest) = uri.strip_prefix("ui://") {
        return Some(format!("ui://{}", rest.strip_prefix(name)?.strip_prefix('+')?));
    }
    Some(uri.strip_prefix(name)?.strip_prefix('+')?.to_owned())
}

/// A string member of an entry: where its value stands and what it says.
fn member(entry: &Bytes, name: &[u8]) -> Option<(Span, String)> {
    let mut scanner = Scanner::new(entry, MAX_FRAGMENT_DEPTH).ok()?;
    let mut found = None;
    scanner
        .object(|scanner, key| {
            let span = scanner.value()?;
            if key == name {
                found = Some(span);
            }
            Ok(())
        })
        .ok()?;
    let span = found?;
    Some((span, decode_quoted(span.of(entry))?.into_owned()))
}

/// Whether a URI can come from a template (RFC 6570): its literal parts stand in the URI in their order.
fn matches(template: &str, uri: &str) -> bool {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else { break };
        parts.push(&rest[..open]);
        rest = &rest[open + close + 1..];
    }
    let last = rest;
    let Some((first, middle)) = parts.split_first() else { return template == uri };
    let Some(mut left) = uri.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_by_their_literal_parts() {
        assert!(matches("test://template/{id}/data", "test://template/7/data"));
        assert!(!matches("test://template/{id}/data", "test://template/7/other"));
        assert!(matches("file:///{+path}", "file:///a/b"));
        assert!(matches("a://x", "a://x"));
        assert!(!matches("a://{x}", "b://y"));
        assert!(matches("s://{a}/{b}", "s://1/2"));
    }

    #[test]
    fn a_namespaced_uri_leads_back() {
        for uri in ["file:///a", "ui://widget/1"] {
            assert_eq!(without_namespace("two", &namespaced("two", uri)).as_deref(), Some(uri));
        }
        assert_eq!(without_namespace("two", "file:///a"), None);
        assert!(namespaced("two", "ui://w").starts_with("ui://"));
    }
}
