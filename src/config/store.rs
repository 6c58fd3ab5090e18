//! `[store]`: durable state.

use std::path::PathBuf;

use aqe_qe::Secrets;
use aqe_store::limits::{
    BYTES_PER_NAMESPACE, BYTES_PER_PRINCIPAL, ENTRIES_PER_NAMESPACE, ENTRIES_PER_PRINCIPAL, FILE_MAX_BYTES,
    NAMESPACES_PER_PRINCIPAL,
};
use aqe_store::{Durability, Quotas};

use super::keys::{Choice, Int, SectionKeys, Text};
use super::paths;
use super::section::Section;

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The SQLite file; its folder may have to be created.
    pub path: PathBuf,
    /// Whether the user chose the path; the default one is a convenience that the gateway can do without.
    pub is_chosen: bool,
    /// Bytes that the file may grow to.
    pub max_file_bytes: u64,
    /// What an answered memory write survives.
    pub durability: Durability,
    /// What happens to credentials in memory entries.
    pub secrets: Secrets,
    /// What memory entries may take.
    pub quotas: Quotas,
}

static PATH: Text = Text {
    name: "path",
    kind: "a path",
    absent: "`$XDG_DATA_HOME/aqe-v3/aqe.db`",
    meaning: "The SQLite file. Without `XDG_DATA_HOME` the default is below `~/.local/share`.",
};

/// Bytes that a file can have whose size is a number of SQLite's: far above what anybody keeps here.
const MOST_BYTES: u64 = 1 << 46;
/// Entries and namespaces that may be allowed.
const MOST_ENTRIES: u64 = 100_000_000;

static MAX_FILE_BYTES: Int = Int {
    name: "max_file_bytes",
    default: FILE_MAX_BYTES,
    min: 1 << 20,
    max: MOST_BYTES,
    meaning: "Bytes that the file may grow to. Beyond it writes fail; `aqe-v3 store compact` gives back what is free in it.",
};
static DURABILITY: Choice<Durability> = Choice {
    name: "durability",
    options: &[("normal", Durability::Normal), ("full", Durability::Full)],
    meaning: "When a memory entry counts as stored. `\"normal\"`: it survives the end of this process at any moment, and the last \
              ones before a power failure may be lost. `\"full\"`: it survives that as well; each write waits for the disk. What \
              was learnt, and the states of tasks, are always written so.",
};
static SECRETS: Choice<Secrets> = Choice {
    name: "secrets",
    options: &[("refuse", Secrets::Refuse), ("mask", Secrets::Mask)],
    meaning: "What `qe_memory_store` does with a value in which it recognises a credential. `\"refuse\"`: it is not stored. \
              `\"mask\"`: it is stored with `[masked: …]` in the credential's place, and the answer says what was masked and where.",
};
static MAX_NAMESPACE_ENTRIES: Int = Int {
    name: "max_namespace_entries",
    default: ENTRIES_PER_NAMESPACE,
    min: 1,
    max: MOST_ENTRIES,
    meaning: "Memory entries of one namespace of a principal. Writes beyond it are refused, once what has expired or was deleted \
              has made room.",
};
static MAX_NAMESPACE_BYTES: Int = Int {
    name: "max_namespace_bytes",
    default: BYTES_PER_NAMESPACE,
    min: 1,
    max: MOST_BYTES,
    meaning: "Bytes of one namespace of a principal, all versions included.",
};
static MAX_NAMESPACES: Int = Int {
    name: "max_namespaces",
    default: NAMESPACES_PER_PRINCIPAL,
    min: 1,
    max: MOST_ENTRIES,
    meaning: "Namespaces of one principal.",
};
static MAX_ENTRIES: Int = Int {
    name: "max_entries",
    default: ENTRIES_PER_PRINCIPAL,
    min: 1,
    max: MOST_ENTRIES,
    meaning: "Memory entries of one principal, in all namespaces.",
};
static MAX_BYTES: Int = Int {
    name: "max_bytes",
    default: BYTES_PER_PRINCIPAL,
    min: 1,
    max: MOST_BYTES,
    meaning: "Bytes of one principal's memory entries, in all namespaces, all versions included.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "store",
    repeated: false,
    meaning: "Durable state.",
    keys: &[
        &PATH,
        &MAX_FILE_BYTES,
        &DURABILITY,
        &SECRETS,
        &MAX_NAMESPACE_ENTRIES,
        &MAX_NAMESPACE_BYTES,
        &MAX_NAMESPACES,
        &MAX_ENTRIES,
        &MAX_BYTES,
    ],
};

impl Store {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        let cx = &section.cx;
        let path = match section.expanded(&PATH) {
            Some(spot) => paths::resolve(cx, PATH.name, spot.value.value(), &spot.at),
            None => match (section.key_at(PATH.name), cx.env.data_dir()) {
                // Present but unusable: reported already.
                (Some(_), _) => None,
                (None, Some(folder)) => Some(folder.join("aqe.db")),
                (None, None) => {
                    let message = "cannot tell where the user's data lives: set \"path\" in [store], or the \
                                   environment variable HOME";
                    cx.sink
                        .fault(super::place::Place::whole(std::sync::Arc::clone(cx.source)), message.into());
                    None
                }
            },
        };
        Self {
            path: path.unwrap_or_default(),
            is_chosen: section.key_at(PATH.name).is_some(),
            max_file_bytes: section.int(&MAX_FILE_BYTES),
            durability: section.choice(&DURABILITY),
            secrets: section.choice(&SECRETS),
            quotas: Quotas {
                entries_per_namespace: section.int(&MAX_NAMESPACE_ENTRIES),
                bytes_per_namespace: section.int(&MAX_NAMESPACE_BYTES),
                namespaces_per_principal: section.int(&MAX_NAMESPACES),
                entries_per_principal: section.int(&MAX_ENTRIES),
                bytes_per_principal: section.int(&MAX_BYTES),
            },
        }
    }
}
