//! `memory list`.

use aqe_qe::rfc3339;
use aqe_store::limits::LISTED_MAX;
use aqe_store::{List, Listed, NamespaceUse, Store as _};
use clap::Args;
use serde_json::{Value, json};

use super::super::Failure;
use super::super::ask::block_on;
use super::super::output::bytes;
use super::super::table::Table;
use super::{Owned, failed};
use crate::app;

/// `memory list`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListEntries {
    #[command(flatten)]
    owned: Owned,
    /// The namespace; without it, all of them are shown with what they take.
    namespace: Option<String>,
    /// Only keys that begin so.
    #[arg(long, default_value = "", requires = "namespace")]
    prefix: String,
    /// Only keys behind this one.
    #[arg(long, value_name = "KEY", requires = "namespace")]
    after: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(LISTED_MAX)))]
    limit: u32,
}

impl ListEntries {
    pub(super) fn run(self) -> Result<(), Failure> {
        let store = self.owned.open()?;
        let principal = self.owned.principal.clone();
        let Some(namespace) = self.namespace else {
            let found = block_on(store.namespaces(principal))?.map_err(|error| failed(&error))?;
            let said: Vec<Value> = found
                .iter()
                .map(|one| json!({ "namespace": one.name, "entries": one.entries, "bytes": one.bytes }))
                .collect();
            return self.owned.shown(&json!({ "namespaces": said }), || namespaces(&found));
        };
        let list = List {
            principal,
            namespace,
            prefix: self.prefix,
            after: self.after,
            most: self.limit,
            now: app::now(),
        };
        let found = block_on(store.list(list))?.map_err(|error| failed(&error))?;
        let said: Vec<Value> = found.iter().map(listed).collect();
        self.owned.shown(&json!({ "entries": said }), || entries(&found, self.limit))
    }
}

fn listed(one: &Listed) -> Value {
    json!({
        "id": format!("mem_{}", one.id.0), "key": one.key, "version": one.version.version, "kind": one.kind,
        "tags": one.tags, "created": rfc3339(one.created), "updated": rfc3339(one.version.created),
        "expires": one.version.expires.map(rfc3339), "value_bytes": one.version.value_bytes, "hits": one.hits,
    })
}

fn namespaces(found: &[NamespaceUse]) -> String {
    if found.is_empty() {
        return "nothing is stored".into();
    }
    let mut table = Table::new(&["namespace", "entries", "bytes"]).right([1, 2]);
    for one in found {
        table.row([one.name.clone(), one.entries.to_string(), bytes(one.bytes)]);
    }
    table.to_string()
}

fn entries(found: &[Listed], limit: u32) -> String {
    if found.is_empty() {
        return "no entries".into();
    }
    let heading = ["key", "version", "kind", "tags", "updated", "expires", "bytes", "found"];
    let mut table = Table::new(&heading).right([1, 6, 7]);
    for one in found {
        let version = &one.version;
        table.row([
            one.key.clone(),
            version.version.to_string(),
            one.kind.clone().unwrap_or_default(),
            one.tags.as_ref().map_or_else(String::new, |tags| tags.join(" ")),
            rfc3339(version.created),
            version.expires.map_or_else(String::new, rfc3339),
            bytes(version.value_bytes),
            one.hits.to_string(),
        ]);
    }
    match found.last() {
        Some(last) if found.len() == limit as usize => {
            format!("{table}\nmore may follow: --after '{}'", last.key)
        }
        _ => table.to_string(),
    }
}
