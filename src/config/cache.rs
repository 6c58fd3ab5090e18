//! `[cache]`: which answers are kept, where, and for how long; and `cache` of an `[[upstream]]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aqe_core::cache::{OnWrite, UpstreamRules};
use aqe_core::registry::Glob as Pattern;

use super::env::clip;
use super::glob::Glob;
use super::keys::{Choice, Flag, Group, Int, Map, OptInt, Real, SectionKeys, Text};
use super::paths;
use super::place::Place;
use super::pool::{DAY_S, seconds};
use super::section::Section;
use super::server::DAY_MS;

/// Longest time for which an answer can be kept: thirty days, in milliseconds.
const LONGEST_MS: u64 = 30 * DAY_MS;
const MIB: u64 = 1 << 20;

/// `[cache]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Whether anything is kept at all.
    pub enabled: bool,
    /// Largest answer that is kept, bytes.
    pub max_entry: u64,
    /// Entries of the first level.
    pub l1_entries: usize,
    /// Entries of the second level.
    pub l2_entries: usize,
    /// Bytes of the second level.
    pub l2_bytes: u64,
    /// How long an answer may stay in memory.
    pub l2_ttl: Duration,
    /// The level on disk; `None`: there is none.
    pub l3: Option<Disk>,
}

/// `[cache.l3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The folder of its file.
    pub path: PathBuf,
    /// Bytes that the file may grow to.
    pub max_bytes: u64,
}

static ENABLED: Flag = Flag {
    name: "enabled",
    default: true,
    meaning: "Whether answers are kept at all. Without more than this key, only those are that say it themselves \
              (`ttlMs`, `cacheScope`); answers of tools are where `cache` of their `[[upstream]]` says so.",
};
static MAX_ENTRY_BYTES: Int = Int {
    name: "max_entry_bytes",
    default: MIB,
    min: 1024,
    max: 256 * MIB,
    meaning: "Largest answer that is kept, with its question.",
};
static L1: Group = Group { name: "l1", meaning: "The few answers that are asked for most." };
static L2: Group = Group { name: "l2", meaning: "Memory." };
static L3: Group = Group { name: "l3", meaning: "Disk." };

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "cache",
    repeated: false,
    meaning: "Answers that are given again without asking the server. `_meta` of such a reply says so: \
              `\"aqe-v3/cache\": {\"level\": \"l2\", \"ageMs\": 120}`. An answer is kept for the principal who asked, \
              unless it says itself that it is everybody's (`cacheScope`) or `shared` of its upstream says so; errors, \
              tasks and answers that ask for input are not kept. `mcp cache stats` shows the levels, `mcp cache clear` \
              empties them.",
    keys: &[&ENABLED, &MAX_ENTRY_BYTES, &L1, &L2, &L3],
};

static ENTRIES: Int = Int {
    name: "entries",
    default: 512,
    min: 0,
    max: 65_536,
    meaning: "Entries, rounded up to a power of two, of at most 16 KiB each; 0: there is no such level.",
};

pub(super) static L1_KEYS: SectionKeys = SectionKeys {
    path: "cache.l1",
    repeated: false,
    meaning: "The few answers that are asked for most, found by the text of the question as it came.",
    keys: &[&ENTRIES],
};

static MAX_ENTRIES: Int = Int {
    name: "max_entries",
    default: 10_000,
    min: 16,
    max: 10_000_000,
    meaning: "Most entries. The one that gives way is chosen by how often and how lately it was asked for.",
};
static MAX_BYTES: Int = Int {
    name: "max_bytes",
    default: 64 * MIB,
    min: MIB,
    max: 64 * 1024 * MIB,
    meaning: "Most bytes of all entries together.",
};
static TTL_S: Real = Real {
    name: "ttl_s",
    default: 300.0,
    min: 0.001,
    max: DAY_S,
    meaning: "Longest time that an answer stays in memory, whatever its server or a rule allows.",
};

pub(super) static L2_KEYS: SectionKeys = SectionKeys {
    path: "cache.l2",
    repeated: false,
    meaning: "Answers in memory.",
    keys: &[&MAX_ENTRIES, &MAX_BYTES, &TTL_S],
};

static L3_ENABLED: Flag = Flag {
    name: "enabled",
    default: false,
    meaning: "Whether answers are kept on disk as well, and found there by the next process.",
};
static PATH: Text = Text {
    name: "path",
    kind: "a path",
    absent: "`$XDG_CACHE_HOME/aqe-v3`",
    meaning: "The folder of its file, `answers.db`, which several processes may share and which is begun anew when it is \
              damaged. Without `XDG_CACHE_HOME` the default is below `~/.cache`.",
};
static L3_MAX_BYTES: Int = Int {
    name: "max_bytes",
    default: 256 * MIB,
    min: MIB,
    max: 1024 * 1024 * MIB,
    meaning: "Bytes that the file may grow to. The entry that was used least lately gives way.",
};

pub(super) static L3_KEYS: SectionKeys = SectionKeys {
    path: "cache.l3",
    repeated: false,
    meaning: "Answers on disk, of calls that took a millisecond or longer.",
    keys: &[&L3_ENABLED, &PATH, &L3_MAX_BYTES],
};

static TOOL_TTL_MS: Map = Map {
    name: "tool_ttl_ms",
    kind: "a table of whole numbers of milliseconds",
    meaning: "How long answers of tools are kept, by patterns for its own names for them: `{ \"get_*\" = 60000 }`. The \
              first in the file that fits counts; 0 is not at all. Name only tools that change nothing and whose answer \
              depends on nothing but their arguments, the user and what the server knows.",
};
static ANNOTATED_TTL_MS: OptInt = OptInt {
    name: "annotated_ttl_ms",
    absent: "not kept",
    min: 0,
    max: LONGEST_MS,
    meaning: "How long answers of its other tools are kept that it annotates as read-only and idempotent.",
};
static STALE_MS: Int = Int {
    name: "stale_ms",
    default: 0,
    min: 0,
    max: LONGEST_MS,
    meaning: "How long after that an answer is still given, marked `\"stale\": true`, while a fresh one is fetched in the \
              background.",
};
static ERROR_TTL_MS: OptInt = OptInt {
    name: "error_ttl_ms",
    absent: "not kept",
    min: 0,
    max: LONGEST_MS,
    meaning: "How long a tool's result is kept that says `isError`.",
};
static SHARED: Flag = Flag {
    name: "shared",
    default: false,
    meaning: "Whether answers of its tools are the same for every user, so that one is given what another has asked for.",
};
static HINTS: Flag = Flag {
    name: "hints",
    default: true,
    meaning: "Whether its answers to `resources/read` and `prompts/get` are kept as long as they say.",
};
static ON_WRITE: Choice<OnWrite> = Choice {
    name: "on_write",
    options: &[("assume", OnWrite::NotReadOnly), ("declared", OnWrite::Declared), ("ignore", OnWrite::Never)],
    meaning: "Which calls make everything that is kept of it invalid: those of each tool that is neither kept nor \
              annotated as read-only, those of tools that are annotated as not read-only or as destructive, or none.",
};

pub(super) static UPSTREAM_KEYS: SectionKeys = SectionKeys {
    path: "upstream.cache",
    repeated: false,
    meaning: "Which answers of an upstream are kept; belongs to the `[[upstream]]` above it.",
    keys: &[&TOOL_TTL_MS, &ANNOTATED_TTL_MS, &STALE_MS, &ERROR_TTL_MS, &SHARED, &HINTS, &ON_WRITE],
};

impl Cache {
    /// Reads the section.
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        let l1 = section.group(&L1, &L1_KEYS);
        let l2 = section.group(&L2, &L2_KEYS);
        let l3 = section.group(&L3, &L3_KEYS);
        let (max_entry, l2_bytes) = (section.int(&MAX_ENTRY_BYTES), l2.int(&MAX_BYTES));
        if let Some(at) = section.key_at(MAX_ENTRY_BYTES.name).or_else(|| l2.key_at(MAX_BYTES.name))
            && max_entry > l2_bytes
        {
            let message =
                format!("\"max_entry_bytes\" ({max_entry}) is above \"max_bytes\" of l2 ({l2_bytes})");
            section.cx.fault(&at, message);
        }
        Self {
            enabled: section.flag(&ENABLED),
            max_entry,
            l1_entries: l1.int(&ENTRIES) as usize,
            l2_entries: l2.int(&MAX_ENTRIES) as usize,
            l2_bytes,
            l2_ttl: seconds(&l2, &TTL_S),
            l3: Disk::read(&l3),
        }
    }
}

impl Disk {
    fn read(section: &Section<'_, '_>) -> Option<Self> {
        let cx = &section.cx;
        let max_bytes = section.int(&L3_MAX_BYTES);
        let given = section.expanded(&PATH);
        let given = given.and_then(|spot| paths::resolve(cx, PATH.name, spot.value.value(), &spot.at));
        if !section.flag(&L3_ENABLED) {
            return None;
        }
        let path = match (given, section.key_at(PATH.name), cx.env.cache_dir()) {
            (Some(path), ..) => Some(path),
            // Present but unusable: reported already.
            (None, Some(_), _) => None,
            (None, None, Some(folder)) => Some(folder),
            (None, None, None) => {
                let message = "cannot tell where the user's caches live: set \"path\" in [cache.l3], or the \
                               environment variable HOME";
                cx.sink.fault(Place::whole(Arc::clone(cx.source)), message.into());
                None
            }
        };
        Some(Self { path: path?, max_bytes })
    }
}

/// Reads `cache` of an upstream.
pub(super) fn rules(section: &Section<'_, '_>) -> UpstreamRules {
    let ms = Duration::from_millis;
    let mut tools = Vec::new();
    for (pattern, ttl) in section.int_map(&TOOL_TTL_MS, 0, LONGEST_MS) {
        match Glob::new(pattern) {
            Ok(glob) => tools.push((Pattern::new(glob.as_str()), ms(ttl))),
            Err(fault) => {
                let at = section.key_at(TOOL_TTL_MS.name).unwrap_or_else(|| section.at.clone());
                section.cx.fault(&at, format!("\"{}\": \"{}\" {fault}", TOOL_TTL_MS.name, clip(pattern)));
            }
        }
    }
    UpstreamRules {
        tools,
        annotated: section.opt_int(&ANNOTATED_TTL_MS).map(ms),
        stale: ms(section.int(&STALE_MS)),
        errors: section.opt_int(&ERROR_TTL_MS).map(ms),
        shared: section.flag(&SHARED),
        hints: section.flag(&HINTS),
        on_write: section.choice(&ON_WRITE),
    }
}
