//! The capabilities that clients are told: our own, and what upstreams of the client's era add to them.

use std::sync::Arc;

use aqe_core::envelope::{encode_string, open_object};
use aqe_core::revision::{Era, Revision};

use crate::upstream::{Manifest, Upstream};

/// Raw JSON of `capabilities`.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// Before 2025-11-25.
    older: String,
    legacy: String,
    modern: String,
}

/// Tasks of our own, as 2025-11-25 declares them ("Tasks", "Capabilities").
const LEGACY_TASKS: &str = r#"{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}"#;

impl Capabilities {
    /// `tasks`: whether there are tools that run as tasks of our own.
    pub(super) fn merge(manifests: &[(&Arc<Upstream>, Option<Arc<Manifest>>)], tasks: bool) -> Self {
        Self {
            older: merged(manifests, Era::Legacy, false),
            legacy: merged(manifests, Era::Legacy, tasks),
            modern: merged(manifests, Era::Modern, tasks),
        }
    }

    /// The text for a client of this revision.
    pub fn of(&self, revision: Revision) -> &str {
        match revision {
            Revision::V20260728 => &self.modern,
            Revision::V20251125 => &self.legacy,
            _ => &self.older,
        }
    }
}

fn merged(manifests: &[(&Arc<Upstream>, Option<Arc<Manifest>>)], era: Era, tasks: bool) -> String {
    let mut members = vec![("tools".to_owned(), r#"{"listChanged":true}"#.to_owned())];
    let mut extensions: Vec<(String, String)> = Vec::new();
    let known: Vec<&Arc<Manifest>> = manifests.iter().filter_map(|(_, manifest)| manifest.as_ref()).collect();
    let declares = |name: &str| known.iter().any(|manifest| manifest.capability(name).is_some());
    for (name, value) in [
        ("resources", r#"{"subscribe":true,"listChanged":true}"#),
        ("prompts", r#"{"listChanged":true}"#),
        ("logging", "{}"),
        ("completions", "{}"),
    ] {
        // Alerts of our own are log messages to legacy clients.
        let is_ours = name == "logging" && era == Era::Legacy;
        if is_ours || declares(name) {
            members.push((name.to_owned(), value.to_owned()));
        }
    }
    match era {
        Era::Legacy if tasks => members.push(("tasks".to_owned(), LEGACY_TASKS.to_owned())),
        Era::Modern if tasks => {
            extensions.push(("io.modelcontextprotocol/tasks".to_owned(), "{}".to_owned()));
        }
        _ => {}
    }
    // What we do not speak ourselves passes through where both ends are of one era.
    for manifest in known.iter().filter(|manifest| manifest.peer.era == era) {
        for (name, value) in open_object(&manifest.peer.capabilities).unwrap_or_default() {
            if name == "extensions" {
                for (name, value) in open_object(value).unwrap_or_default() {
                    add(&mut extensions, name, value);
                }
            } else {
                add(&mut members, name, value);
            }
        }
    }
    if !extensions.is_empty() {
        members.push(("extensions".to_owned(), object(&extensions)));
    }
    object(&members)
}

/// Adds a member that is not there yet; the first upstream's settings win.
fn add(members: &mut Vec<(String, String)>, name: String, value: &[u8]) {
    if !members.iter().any(|(other, _)| *other == name) {
        members.push((name, String::from_utf8_lossy(value).into_owned()));
    }
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}:{value}", encode_string(name))).collect();
    format!("{{{}}}", members.join(","))
}
