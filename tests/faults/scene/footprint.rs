//! What the gateway holds of the system's: descriptors and child processes, as `/proc` shows them.

use std::collections::BTreeMap;
use std::fs;

use aqe_testkit::process::live_children;

/// By how many descriptors of a kind there may be more than before.
const TOLERANCE: usize = 2;

/// A look at `/proc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Descriptors by kind: `socket`, `pipe`, `anon_inode` and files.
    descriptors: BTreeMap<String, usize>,
    children: usize,
}

impl Footprint {
    /// What a process holds now.
    pub(crate) fn of(pid: u32) -> Self {
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("expected a running process") {
            // One that is closed meanwhile counts no more.
            let Ok(target) = entry.and_then(|entry| fs::read_link(entry.path())) else { continue };
            let target = target.to_string_lossy();
            let kind = target.split_once(':').map_or("file", |(kind, _)| kind);
            *descriptors.entry(kind.to_owned()).or_default() += 1;
        }
        Self { descriptors, children: live_children(pid).len() }
    }

    /// Whether nothing has been left behind since `before`.
    pub(crate) fn is_like(&self, before: &Self) -> bool {
        let count = |footprint: &Self, kind: &str| footprint.descriptors.get(kind).copied().unwrap_or(0);
        self.descriptors.keys().all(|kind| count(self, kind) <= count(before, kind) + TOLERANCE)
            && self.children == before.children
    }
}
