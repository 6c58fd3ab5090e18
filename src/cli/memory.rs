//! `memory`: entries of the store, for people. They are read and written by the tools' own code over the configured store: no
//! server is needed, and one that uses the store sees every change at once.

mod list;
mod versions;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::inprocess::Caller;
use aqe_gateway::settings::LOCAL_PRINCIPAL;
use aqe_store::limits::VALUE_MAX_BYTES;
use aqe_store::{SqliteStore, StoreError};
use clap::{Args, Subcommand};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::ask::{block_on, items, text};
use super::output::{self, printable};
use super::places::Stored;
use super::table::Table;
use super::{Failure, qe};
use crate::app;

/// Longest time that one command takes; the first search of a large store reads it.
const LIMIT: Duration = Duration::from_secs(120);

/// `memory`.
#[derive(Debug, Subcommand)]
pub(super) enum Memory {
    /// Show the namespaces, or the entries of one.
    #[command(after_help = "Examples:\n  aqe-v3 memory list\n  aqe-v3 memory list decisions --prefix api/")]
    List(list::ListEntries),
    /// Print a value.
    #[command(
        after_help = "Examples:\n  aqe-v3 memory get decisions retries\n  aqe-v3 memory get decisions retries --version 2 --json"
    )]
    Get(Get),
    /// Store a text, or JSON.
    #[command(
        after_help = "Examples:\n  aqe-v3 memory put decisions retries 'three times, with jitter' --tag http\n  \
                      aqe-v3 memory put limits default --from-json - < limits.json"
    )]
    Put(Put),
    /// Find entries by words and by meaning.
    #[command(after_help = "Example:\n  aqe-v3 memory search 'what did we decide about retries'")]
    Search(Search),
    /// Delete an entry. Its versions can be read for a day; with --purge they go at once, and from the file too.
    #[command(
        after_help = "Examples:\n  aqe-v3 memory delete decisions retries\n  aqe-v3 memory delete notes token --purge"
    )]
    Delete(versions::DeleteEntry),
    /// Show the versions of an entry.
    #[command(after_help = "Example:\n  aqe-v3 memory history decisions retries")]
    History(versions::History),
}

/// Whose memory.
#[derive(Debug, Clone, Args)]
pub(super) struct Owned {
    #[command(flatten)]
    stored: Stored,
    /// Whose entries: those of agents on this machine, or of `bearer`, who has the server's token.
    #[arg(long, value_name = "NAME", default_value = LOCAL_PRINCIPAL)]
    principal: String,
}

/// `memory get`.
#[derive(Debug, Args)]
pub(super) struct Get {
    #[command(flatten)]
    owned: Owned,
    namespace: String,
    key: String,
    /// The version of this number.
    #[arg(long, conflicts_with = "as_of")]
    version: Option<u64>,
    /// The version in effect then, such as 2026-11-22T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
}

/// `memory put`.
#[derive(Debug, Args)]
pub(super) struct Put {
    #[command(flatten)]
    owned: Owned,
    namespace: String,
    key: String,
    /// The value, kept as a text; `-` is standard input.
    value: String,
    /// The value is JSON, and kept as that.
    #[arg(long)]
    from_json: bool,
    /// A label; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// `fact`, `decision`, `failure`, `snippet` or `metric`.
    #[arg(long)]
    kind: Option<String>,
    /// Seconds until it expires.
    #[arg(long, value_name = "SECONDS")]
    ttl_s: Option<u64>,
    /// From 0 to 1.
    #[arg(long)]
    importance: Option<f64>,
    /// Only if the entry is at this version; 0: only if it is absent.
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// `version`, `replace`, `fail` or `merge`.
    #[arg(long, value_name = "WHAT")]
    on_conflict: Option<String>,
}

/// `memory search`.
#[derive(Debug, Args)]
pub(super) struct Search {
    #[command(flatten)]
    owned: Owned,
    query: String,
    /// Only in this namespace; may be given several times.
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// `hybrid`, `lexical` or `vector`.
    #[arg(long)]
    mode: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 10)]
    limit: u32,
}

impl Memory {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Get(get) => get.run(),
            Self::Put(put) => put.run(),
            Self::Search(search) => search.run(),
            Self::Delete(delete) => delete.run(),
            Self::History(history) => history.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Owned {
    fn open(&self) -> Result<SqliteStore, Failure> {
        app::store(&self.stored.config()?.store)
            .map_err(|error| Failure::Failed(format!("[store] path: {error}")))
    }

    /// Calls one of the tools, with a `value` as it is written if there is one; what was not said is not sent.
    fn call(&self, tool: &str, asked: Value, value: Option<&RawValue>) -> Result<Box<RawValue>, Failure> {
        let given: Map<String, Value> = match asked {
            Value::Object(asked) => asked.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        };
        let config = self.stored.config()?;
        let tools = app::tools(Arc::new(self.open()?), &app::tools_settings(Vec::new(), &config));
        let mut arguments = Value::Object(given).to_string();
        if let Some(value) = value {
            arguments.pop();
            arguments.extend([",\"value\":", value.get(), "}"]);
        }
        let caller = Caller { principal: &self.principal, deadline: Instant::now() + LIMIT, progress: None };
        let result = block_on(tools.call(tool, &arguments, caller))?;
        qe::said(&result.map_err(|error| Failure::Failed(error.to_string()))?)
    }

    fn told(&self, tool: &str, asked: Value, value: Option<&RawValue>) -> Result<Value, Failure> {
        parsed(&self.call(tool, asked, value)?)
    }

    fn shown(&self, said: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        Ok(output::line(&if self.stored.json { said.to_string() } else { printable(&text()) })?)
    }
}

fn failed(error: &StoreError) -> Failure {
    Failure::Failed(printable(&error.to_string()))
}

impl Get {
    fn run(self) -> Result<(), Failure> {
        let asked = json!({
            "namespace": self.namespace, "key": self.key, "version": self.version, "as_of": self.as_of,
        });
        let said = self.owned.call("qe_memory_retrieve", asked, None)?;
        // A value may have numbers that we do not read: it is shown as it was stored.
        let members: BTreeMap<&str, &RawValue> =
            serde_json::from_str(said.get()).map_err(|error| Failure::Failed(error.to_string()))?;
        let Some(value) = members.get("value") else {
            return Err(Failure::Failed(printable(&text(&parsed(&said)?["reason"]))));
        };
        let text = serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned());
        Ok(output::line(&if self.owned.stored.json { said.get().to_owned() } else { printable(&text) })?)
    }
}

fn parsed(said: &RawValue) -> Result<Value, Failure> {
    serde_json::from_str(said.get()).map_err(|error| Failure::Failed(error.to_string()))
}

impl Put {
    fn run(self) -> Result<(), Failure> {
        let given = if self.value == "-" { input()? } else { self.value };
        let given = if self.from_json { given } else { Value::String(given).to_string() };
        let value: Box<RawValue> = serde_json::from_str(&given)
            .map_err(|error| Failure::Usage(format!("the value is not JSON: {error}")))?;
        let asked = json!({
            "namespace": self.namespace, "key": self.key, "kind": self.kind, "ttl_s": self.ttl_s,
            "tags": (!self.tags.is_empty()).then_some(self.tags), "importance": self.importance,
            "if_version": self.if_version, "on_conflict": self.on_conflict,
        });
        let said = self.owned.told("qe_memory_store", asked, Some(&value))?;
        self.owned.shown(&said, || {
            let expires = said["expires"].as_str().map(|at| format!(", expires {at}")).unwrap_or_default();
            let masked = items(&said["masked"]).iter();
            let masked =
                masked.map(|mark| format!("\nmasked: {} in {}", text(&mark["kind"]), text(&mark["at"])));
            let masked: String = masked.collect();
            format!("{} version {}{expires}{masked}", text(&said["id"]), said["version"])
        })
    }
}

/// Standard input, as far as a value may be long.
fn input() -> Result<String, Failure> {
    let mut text = String::new();
    // One byte more, so that what is too long is refused and not cut.
    let read = std::io::stdin().lock().take(VALUE_MAX_BYTES as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::Failed(format!("standard input: {error}")))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

impl Search {
    fn run(self) -> Result<(), Failure> {
        let asked = json!({
            "query": self.query, "mode": self.mode, "limit": self.limit,
            "namespaces": (!self.namespaces.is_empty()).then_some(self.namespaces),
        });
        let said = self.owned.told("qe_memory_search", asked, None)?;
        self.owned.shown(&said, || {
            if items(&said["results"]).is_empty() {
                return format!("nothing found among {} entries", said["searched"]);
            }
            let mut table = Table::new(&["score", "namespace", "key", "snippet"]).right([0]);
            for hit in items(&said["results"]) {
                let score = hit["score"].as_f64().map_or_else(|| "-".into(), |score| format!("{score:.3}"));
                table.row([score, text(&hit["namespace"]), text(&hit["key"]), text(&hit["snippet"])]);
            }
            table.to_string()
        })
    }
}
