//! What coverage says of a change: of its own lines, and of lines that it did not touch.

use std::collections::BTreeMap;
use std::thread;

use memchr::memchr_iter;
use serde::Serialize;

use super::collect::Coverage;
use super::model::{Branch, Counts, Line, Report, stretches};
use crate::each::joined;
use crate::project::Project;
use crate::project::git::{FileDiff, Git, Lines};
use crate::reply::Refusal;
use crate::stop::Stop;

/// Bytes of an untracked file whose lines are counted.
const UNTRACKED_BYTES: u64 = 4 << 20;

/// A change: from one commit to another, or to the files as they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    /// The commit that it began at: the merge base of what was named.
    pub(crate) base: String,
    /// The commit that it ends at; `None`: the working tree.
    pub(crate) head: Option<String>,
    pub(crate) files: Vec<FileDiff>,
    /// New or changed lines of each file, in order.
    pub(crate) added: BTreeMap<String, Vec<Lines>>,
}

impl Change {
    /// From where `base` and `head` parted to `head`; to the working tree, with what Git does not know yet, if that is
    /// `None`.
    pub(crate) fn of(
        project: &Project,
        base: &str,
        head: Option<&str>,
        stop: &Stop,
    ) -> Result<Self, Refusal> {
        let git = Git::of(project, stop)?.ok_or_else(|| {
            Refusal(format!("{} is not below a Git working tree: leave out `base`", project.root.display()))
        })?;
        let commit = |name: &str, argument: &str| -> Result<String, Refusal> {
            git.commit(name)?.ok_or_else(|| Refusal(format!("`{argument}`: there is no commit {name}")))
        };
        let base = commit(base, "base")?;
        let head = head.map(|head| commit(head, "head")).transpose()?;
        let parted = git.merge_base(&base, head.as_deref().unwrap_or("HEAD"))?;
        let base = parted.ok_or_else(|| Refusal("`base` and `head` have no commit in common".into()))?;
        Self::between(project, &git, base, head, stop)
    }

    /// From the commit `base` to the commit `head`.
    pub(crate) fn between(
        project: &Project,
        git: &Git<'_>,
        base: String,
        head: Option<String>,
        stop: &Stop,
    ) -> Result<Self, Refusal> {
        let (files, untracked) = thread::scope(|scope| {
            let untracked = head.is_none().then(|| scope.spawn(|| git.untracked()));
            let files = git.diff(&base, head.as_deref());
            (files, untracked.map(joined).transpose())
        });
        let files = files?;
        let changed = files.iter().filter(|file| !file.deleted);
        let mut added: BTreeMap<String, Vec<Lines>> =
            changed.map(|file| (file.path.clone(), file.added().collect())).collect();
        for path in untracked?.unwrap_or_default() {
            stop.check()?;
            let Ok(content) = project.read(&path, UNTRACKED_BYTES) else { continue };
            let breaks = memchr_iter(b'\n', &content).count();
            let lines = u32::try_from(breaks + usize::from(!content.ends_with(b"\n"))).unwrap_or(u32::MAX);
            if !content.is_empty() {
                added.insert(path, vec![Lines { start: 1, end: lines }]);
            }
        }
        Ok(Self { base, head, files, added })
    }

    /// Whether a line is new or changed.
    pub(crate) fn has(&self, file: &str, lines: Lines) -> bool {
        let ranges = self.added.get(file).map_or(&[][..], Vec::as_slice);
        ranges.iter().any(|range| range.start <= lines.end && lines.start <= range.end)
    }
}

/// Coverage of new and changed lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) line: Counts,
    /// `None` if none of the changed files has branches measured.
    pub(crate) branch: Option<Counts>,
    /// Lines of each file that never ran.
    pub(crate) uncovered: Vec<Uncovered>,
    /// Changed files that no report knows, in order.
    pub(crate) unmeasured: Vec<String>,
}

/// Stretches of a file that never ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Uncovered {
    pub(crate) file: String,
    pub(crate) ranges: Vec<Lines>,
}

impl Patch {
    /// What `coverage` says of `change`. Lines without code do not count.
    pub(crate) fn of(coverage: &Coverage, change: &Change) -> Self {
        let mut patch = Self::default();
        for (path, ranges) in change.added.iter().filter(|(_, ranges)| !ranges.is_empty()) {
            let Some(file) = coverage.report.file(path).filter(|file| file.lines.is_some()) else {
                patch.unmeasured.push(path.clone());
                continue;
            };
            let lines: Vec<Line> = ranges.iter().flat_map(|range| file.within(*range)).copied().collect();
            let covered = lines.iter().filter(|line| line.hits > 0).count() as u64;
            patch.line.add(Counts { covered, total: lines.len() as u64 });
            if file.branches.is_some() {
                let branches = ranges.iter().flat_map(|range| file.branches_within(*range));
                let taken: Vec<bool> = branches.map(Branch::is_taken).collect();
                let covered = taken.iter().filter(|taken| **taken).count() as u64;
                patch.branch.get_or_insert_default().add(Counts { covered, total: taken.len() as u64 });
            }
            // Stretches end where the change does.
            let ranges: Vec<Lines> =
                ranges.iter().flat_map(|range| stretches(file.within(*range).iter().copied())).collect();
            if !ranges.is_empty() {
                patch.uncovered.push(Uncovered { file: path.clone(), ranges });
            }
        }
        patch
    }
}

/// A line that is as it was and ran before or now, but not both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Indirect {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

/// Lines that `change` did not touch and whose coverage is not what `before` said. Lines that only one of the reports
/// has are not told: who measured them has changed, not who runs them.
pub(crate) fn indirect(before: &Report, now: &Report, change: &Change) -> Vec<Indirect> {
    let diffs: BTreeMap<&str, &FileDiff> =
        change.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let word = |hits: u32| if hits > 0 { "covered" } else { "uncovered" };
    let mut flips = Vec::new();
    for file in now.files() {
        let diff = diffs.get(file.path.as_str());
        let old_path = diff.map_or(Some(file.path.as_str()), |diff| diff.old_path.as_deref());
        let Some(old) = old_path.and_then(|path| before.file(path)) else { continue };
        for line in file.lines.iter().flatten() {
            let old_line = diff.map_or(Some(line.number), |diff| diff.old_line(line.number));
            let Some(from) = old_line.and_then(|line| old.hits(line)) else { continue };
            if (from > 0) != (line.hits > 0) {
                let (from, to) = (word(from), word(line.hits));
                flips.push(Indirect { file: file.path.clone(), line: line.number, from, to });
            }
        }
    }
    flips
}
