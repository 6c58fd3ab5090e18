//! `store`: what an operator does with the store's file. No server is needed, and one may be using it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aqe_store::{Conflicts, Imported, MemorySearch as _, StoreFile, TransferError};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Failure;
use super::ask::block_on;
use super::output::{self, bytes, printable};
use super::places::Stored;
use super::table::Table;
use crate::app;
use crate::config;

/// `store`.
#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Read everything and say what is wrong. Exit code 1 if something is.
    #[command(after_help = "Examples:\n  aqe-v3 store check\n  aqe-v3 store check --config aqe.toml --json")]
    Check {
        #[command(flatten)]
        stored: Stored,
    },
    /// Copy the whole store, as it is at one moment, into a new file, and check the copy.
    #[command(after_help = "Example:\n  aqe-v3 store backup aqe-2026-11-22.db")]
    Backup {
        #[command(flatten)]
        stored: Stored,
        /// The copy; a file that is there is never overwritten.
        file: PathBuf,
    },
    /// Write memory entries with all versions, and what was learnt, as lines of JSON with checksums.
    #[command(
        after_help = "Examples:\n  aqe-v3 store export memory.jsonl\n  aqe-v3 store export --principal bearer | gzip > memory.gz"
    )]
    Export(Export),
    /// Read what `export` has written. All of it is proven before anything is written.
    #[command(
        after_help = "Examples:\n  aqe-v3 store import memory.jsonl --dry-run\n  aqe-v3 store import memory.jsonl --on-conflict replace"
    )]
    Import(Import),
    /// Forget what has expired, and give free room back to the file system.
    #[command(after_help = "Example:\n  aqe-v3 store compact")]
    Compact {
        #[command(flatten)]
        stored: Stored,
    },
    /// Show what is in the store and what it takes.
    #[command(after_help = "Examples:\n  aqe-v3 store stats\n  aqe-v3 store stats --json")]
    Stats {
        #[command(flatten)]
        stored: Stored,
    },
}

/// `store export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    stored: Stored,
    /// A new file; `-` is standard output.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Only what belongs to this principal: `local`, or `bearer` for whoever has the server's token.
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
}

/// `store import`.
#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(flatten)]
    stored: Stored,
    /// What `export` has written.
    file: PathBuf,
    /// What holds where an entry is there and differs.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnConflict::Fail)]
    on_conflict: OnConflict,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Where an entry is there and differs.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnConflict {
    /// Keep it.
    Skip,
    /// Put the file's in its place.
    Replace,
    /// Do nothing at all.
    Fail,
}

impl Store {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Check { stored } => return check(&stored),
            Self::Backup { stored, file } => {
                let size = open(&stored)?.backup(&file).map_err(|error| failed(&error))?;
                let said = json!({ "file": file, "bytes": size });
                shown(&stored, &said, || format!("{}: {}, checked", file.display(), bytes(size)))?;
            }
            Self::Export(export) => export.run()?,
            Self::Import(import) => import.run()?,
            Self::Compact { stored } => {
                let done = open(&stored)?.compact(app::now()).map_err(|error| failed(&error))?;
                shown(&stored, &json!(done), || {
                    let note = if done.log_is_empty { "" } else { LOG_IN_USE };
                    format!(
                        "{} → {}; {} expired entries forgotten, {} empty namespaces removed{note}",
                        bytes(done.bytes_before),
                        bytes(done.bytes_after),
                        done.entries_forgotten,
                        done.namespaces_removed
                    )
                })?;
            }
            Self::Stats { stored } => stats(&stored)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What to know if the log could not be emptied.
pub(super) const LOG_IN_USE: &str = "\nanother process is reading: the write-ahead log still holds what was, until that ends or `aqe-v3 store compact` is run again";

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(printable(&error.to_string()))
}

fn open(stored: &Stored) -> Result<StoreFile, Failure> {
    Ok(app::store_file(&stored.config()?.store))
}

fn shown(stored: &Stored, said: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
    Ok(output::line(&if stored.json { said.to_string() } else { printable(&text()) })?)
}

fn check(stored: &Stored) -> Result<ExitCode, Failure> {
    let checked = open(stored)?.check().map_err(|error| failed(&error))?;
    shown(stored, &json!(checked), || {
        if checked.faults.is_empty() {
            format!(
                "sound: {}, {} memory entries in {} versions, {} patterns",
                bytes(checked.bytes),
                checked.entries,
                checked.versions,
                checked.patterns
            )
        } else {
            checked.faults.join("\n")
        }
    })?;
    Ok(ExitCode::from(u8::from(!checked.faults.is_empty())))
}

impl Export {
    fn run(self) -> Result<(), Failure> {
        let store = open(&self.stored)?;
        let principal = self.principal.as_deref();
        if self.file == Path::new("-") {
            let out = BufWriter::new(io::stdout().lock());
            return match store.export(principal, out) {
                Ok(_) => Ok(()),
                Err(TransferError::Io(error)) => Err(Failure::Output(error)),
                Err(error) => Err(failed(&error)),
            };
        }
        let at = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", self.file.display()));
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Under its name when it is whole.
        let mut half =
            tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(|e| at(&e))?;
        let mut out = BufWriter::new(half.as_file_mut());
        let counts = store.export(principal, &mut out).map_err(|error| failed(&error))?;
        out.flush().map_err(|error| at(&error))?;
        drop(out);
        half.as_file().sync_all().map_err(|error| at(&error))?;
        half.persist_noclobber(&self.file).map_err(|error| at(&error.error))?;
        shown(&self.stored, &json!(counts), || {
            format!(
                "{}: {} memory entries in {} versions, {} patterns, {} observations",
                self.file.display(),
                counts.entries,
                counts.versions,
                counts.patterns,
                counts.observations
            )
        })
    }
}

impl Import {
    fn run(self) -> Result<(), Failure> {
        let config = self.stored.config()?;
        let at = |error: &dyn std::fmt::Display| failed(&format!("{}: {error}", self.file.display()));
        let file = File::open(&self.file).map_err(|error| at(&error))?;
        let conflicts = match self.on_conflict {
            OnConflict::Skip => Conflicts::Skip,
            OnConflict::Replace => Conflicts::Replace,
            OnConflict::Fail => Conflicts::Fail,
        };
        let store = app::store_file(&config.store);
        let done = store
            .import(BufReader::new(file), conflicts, self.dry_run, app::now())
            .map_err(|error| at(&error))?;
        if !self.dry_run && done.added + done.replaced > 0 {
            make_vectors(&config.store)?;
        }
        shown(&self.stored, &json!(done), || imported(&done, self.dry_run))
    }
}

fn imported(done: &Imported, is_dry_run: bool) -> String {
    let Imported { added, unchanged, replaced, skipped, expired, .. } = done;
    let mut said = format!(
        "{added} added, {unchanged} there already, {replaced} replaced, {skipped} kept as they were, {expired} expired"
    );
    if is_dry_run {
        said.insert_str(0, "nothing was written; it would be: ");
    }
    for name in &done.conflicts {
        said.extend(["\ndiffers: ", name]);
    }
    said
}

/// So that the first search need not.
fn make_vectors(store: &config::Store) -> Result<(), Failure> {
    let store = app::store(store).map_err(|error| failed(&error))?;
    block_on(async {
        let mut after = None;
        loop {
            let step = store.reembed(after).await.map_err(|error| failed(&error))?;
            if step.next.is_none() {
                return Ok::<(), Failure>(());
            }
            after = step.next;
        }
    })?
}

fn stats(stored: &Stored) -> Result<(), Failure> {
    let config = stored.config()?;
    let stats = app::store_file(&config.store).stats().map_err(|error| failed(&error))?;
    let quotas = config.store.quotas;
    let namespaces: Vec<Value> = stats
        .namespaces
        .iter()
        .map(|one| {
            json!({ "principal": one.principal, "namespace": one.name, "entries": one.entries, "bytes": one.bytes })
        })
        .collect();
    let said = json!({
        "path": config.store.path, "file_bytes": stats.file_bytes, "log_bytes": stats.log_bytes,
        "free_bytes": stats.free_bytes, "max_file_bytes": config.store.max_file_bytes, "schema": stats.schema,
        "namespaces": namespaces, "rows": stats.rows,
        "quotas": {
            "max_namespace_entries": quotas.entries_per_namespace, "max_namespace_bytes": quotas.bytes_per_namespace,
            "max_namespaces": quotas.namespaces_per_principal, "max_entries": quotas.entries_per_principal,
            "max_bytes": quotas.bytes_per_principal,
        },
    });
    shown(stored, &said, || {
        let mut table =
            Table::new(&["principal", "namespace", "entries", "bytes", "of its bytes"]).right([2, 3, 4]);
        for one in &stats.namespaces {
            let share = 100.0 * one.bytes as f64 / quotas.bytes_per_namespace as f64;
            let cells = [one.principal.clone(), one.name.clone(), one.entries.to_string(), bytes(one.bytes)];
            table.row(cells.into_iter().chain([format!("{share:.1} %")]));
        }
        let rows: Vec<String> = stats.rows.iter().map(|(what, count)| format!("{count} {what}")).collect();
        format!(
            "{}: {} of {}, {} free in it, and {} of log\n{}\n\n{table}",
            config.store.path.display(),
            bytes(stats.file_bytes),
            bytes(config.store.max_file_bytes),
            bytes(stats.free_bytes),
            bytes(stats.log_bytes),
            rows.join(", ")
        )
    })
}
