//! `memory delete` and `memory history`.

use aqe_qe::rfc3339;
use aqe_store::{At, Delete, Deleted, EntryRef, Get, Store as _};
use clap::Args;
use serde_json::{Value, json};

use super::super::Failure;
use super::super::ask::block_on;
use super::super::output::{bytes, printable};
use super::super::store::LOG_IN_USE;
use super::super::table::Table;
use super::{Owned, failed};
use crate::app;

/// `memory delete`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteEntry {
    #[command(flatten)]
    owned: Owned,
    namespace: String,
    key: String,
    /// Remove all versions at once, and write the file anew so that nothing of them is left in it. Backups and exports that
    /// were made before keep what they have.
    #[arg(long)]
    purge: bool,
    /// Only if the entry is at this version.
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
}

/// `memory history`.
#[derive(Debug, Args)]
pub(in crate::cli) struct History {
    #[command(flatten)]
    owned: Owned,
    namespace: String,
    key: String,
}

impl DeleteEntry {
    pub(super) fn run(self) -> Result<(), Failure> {
        let store = self.owned.open()?;
        let delete = Delete {
            principal: self.owned.principal.clone(),
            namespace: self.namespace,
            key: self.key,
            if_version: self.if_version,
            purge: self.purge,
            now: app::now(),
        };
        let deleted = block_on(store.delete(delete))?.map_err(|error| failed(&error))?;
        let Some(Deleted { id, version, versions_removed }) = deleted else {
            return Err(Failure::Failed("there is no such entry in this namespace (names are exact)".into()));
        };
        drop(store);
        let compacted = if self.purge {
            let file = app::store_file(&self.owned.stored.config()?.store);
            Some(file.compact(app::now()).map_err(|error| {
                Failure::Failed(printable(&format!(
                    "the entry is removed, but traces may be left in free room of the file ({error}): run aqe-v3 store compact"
                )))
            })?)
        } else {
            None
        };
        let said = json!({
            "id": format!("mem_{}", id.0), "version": version, "versions_removed": versions_removed,
            "compacted": compacted,
        });
        self.owned.shown(&said, || match (version, compacted) {
            (Some(version), _) => {
                format!("deleted: version {version} says so; earlier ones can be read for a day")
            }
            (None, compacted) => {
                let note = compacted.filter(|done| !done.log_is_empty).map_or("", |_| LOG_IN_USE);
                format!("purged: {versions_removed} versions are gone, from the file too{note}")
            }
        })
    }
}

impl History {
    pub(super) fn run(self) -> Result<(), Failure> {
        let store = self.owned.open()?;
        let get = Get {
            principal: &self.owned.principal,
            namespace: &self.namespace,
            entry: EntryRef::Key(&self.key),
            at: At::Now,
            history: true,
            now: app::now(),
        };
        let versions = block_on(store.history(get))?.map_err(|error| failed(&error))?;
        if versions.is_empty() {
            return Err(Failure::Failed("there is no such entry in this namespace (names are exact)".into()));
        }
        let said: Vec<Value> = versions
            .iter()
            .map(|one| {
                json!({
                    "version": one.version, "created": rfc3339(one.created), "valid_from": rfc3339(one.valid_from),
                    "expires": one.expires.map(rfc3339), "deleted": one.is_deletion(), "value_bytes": one.value_bytes,
                })
            })
            .collect();
        self.owned.shown(&json!({ "versions": said }), || {
            let mut table =
                Table::new(&["version", "written", "valid from", "expires", "bytes"]).right([0, 4]);
            for one in &versions {
                let ends = match one.expires {
                    _ if one.is_deletion() => "deleted".into(),
                    Some(at) => rfc3339(at),
                    None => String::new(),
                };
                table.row([
                    one.version.to_string(),
                    rfc3339(one.created),
                    rfc3339(one.valid_from),
                    ends,
                    bytes(one.value_bytes),
                ]);
            }
            table.to_string()
        })
    }
}
