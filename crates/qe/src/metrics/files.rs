//! The sources of a project: which files there are, which of them are tests.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use aqe_store::UnixMillis;
use ignore::{DirEntry, WalkBuilder};

use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;
use crate::syntax::Language;

/// Sources of one project; some million lines.
const MOST_FILES: usize = 20_000;
/// Bytes of all of them.
const MOST_BYTES: u64 = 64 << 20;
/// Entries of folders that are looked at.
const MOST_ENTRIES: usize = 500_000;

/// A source as it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Relative to the project.
    pub(crate) path: String,
    pub(crate) language: Language,
    pub(crate) is_test: bool,
    pub(crate) stamp: Stamp,
    /// When its content was written: nanoseconds since the epoch.
    pub(crate) written: i128,
}

/// What changes when a file is written, unless that happens within a tick of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    pub(crate) inode: u64,
    /// Nanoseconds since the epoch; the later of the times of the content and of the entry.
    pub(crate) changed: i128,
}

/// A file that changed less than this before it was read may change again without a new time: clocks of file systems tick,
/// the coarsest every two seconds.
const TICK_NANOS: i128 = 2_000_000_000;

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let written = written(metadata);
        let changed = written.max(nanos(metadata.ctime(), metadata.ctime_nsec()));
        Self { bytes: metadata.len(), inode: metadata.ino(), changed }
    }

    /// Whether no change can have gone by at `now` without a change of the stamp.
    pub(crate) fn is_settled(&self, now: UnixMillis) -> bool {
        self.changed + TICK_NANOS < i128::from(now) * 1_000_000
    }
}

fn nanos(seconds: i64, nanos: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

fn written(metadata: &Metadata) -> i128 {
    nanos(metadata.mtime(), metadata.mtime_nsec())
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// In the order of their paths.
    pub(super) files: Vec<SourceFile>,
    pub(super) warnings: Vec<String>,
}

/// The sources of a project in a language that is understood. What `.gitignore` and `.ignore` say is left out, and hidden
/// files, `node_modules`, virtual environments (`pyvenv.cfg`) and build folders (`CACHEDIR.TAG`). No link is followed.
pub(super) fn find(project: &Project, stop: &Stop) -> Result<Sources, Refusal> {
    let walk = WalkBuilder::new(&project.root)
        .parents(false)
        .require_git(false)
        .git_global(false)
        .filter_entry(is_of_the_project)
        .build();
    let mut sources = Sources::default();
    let (mut bytes, mut unreadable) = (0, 0_u32);
    for (looked_at, entry) in walk.enumerate() {
        if looked_at % 64 == 0 {
            stop.check()?;
        }
        if looked_at >= MOST_ENTRIES {
            sources
                .warnings
                .push(format!("only the first {MOST_ENTRIES} entries of the folders were looked at"));
            break;
        }
        let Ok(entry) = entry else {
            unreadable += 1;
            continue;
        };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let Some(language) = Language::of(entry.path()) else { continue };
        let Ok(metadata) = entry.metadata() else {
            unreadable += 1;
            continue;
        };
        if sources.files.len() >= MOST_FILES || bytes + metadata.len() > MOST_BYTES {
            sources.warnings.push(format!(
                "only {} sources of {bytes} bytes were measured, which is as much as is: name a folder as `root`",
                sources.files.len()
            ));
            break;
        }
        bytes += metadata.len();
        let (stamp, written) = (Stamp::of(&metadata), written(&metadata));
        let path = project.shown(entry.path());
        let is_test = is_test(&path);
        sources.files.push(SourceFile { path, language, is_test, stamp, written });
    }
    if unreadable > 0 {
        sources.warnings.push(format!("{unreadable} entries of the folders could not be read"));
    }
    sources.files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

fn is_of_the_project(entry: &DirEntry) -> bool {
    if !entry.file_type().is_some_and(|kind| kind.is_dir()) || entry.depth() == 0 {
        return true;
    }
    let holds = |name: &str| PathBuf::from(entry.path()).join(name).exists();
    entry.file_name() != "node_modules" && !holds("pyvenv.cfg") && !holds("CACHEDIR.TAG")
}

/// Folders of tests.
const TEST_FOLDERS: [&str; 9] =
    ["test", "tests", "__tests__", "spec", "specs", "testdata", "fixtures", "e2e", "__mocks__"];

/// Whether a file is one of tests, by its path: it stands in one of [`TEST_FOLDERS`], or it is called as the test runners of
/// its language expect it.
pub(crate) fn is_test(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if folders.split('/').any(|folder| TEST_FOLDERS.contains(&folder)) {
        return true;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    match extension {
        "py" | "pyi" => stem.starts_with("test_") || stem.ends_with("_test") || stem == "conftest",
        "go" => stem.ends_with("_test"),
        "java" => ["Test", "Tests", "IT", "TestCase"].iter().any(|end| stem.ends_with(end)),
        "rs" => stem == "tests" || stem == "test" || stem.ends_with("_test") || stem.ends_with("_tests"),
        _ => stem.rsplit_once('.').is_some_and(|(_, mark)| mark == "test" || mark == "spec"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::project::Roots;

    #[test]
    fn sources_are_told_from_tests_and_from_what_is_not_the_projects() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "src/a.rs",
            "src/a/tests.rs",
            "lib/b.py",
            "lib/test_b.py",
            "web/c.test.ts",
            "web/c.ts",
            "src/test/java/D.java",
            "DTest.java",
            "latest.py",
            "node_modules/e.js",
            "out/f.py",
            "kept/out/g.py",
            "venv/h.py",
            "venv/pyvenv.cfg",
            "target/i.rs",
            "target/CACHEDIR.TAG",
            ".hidden/j.py",
            "README.md",
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::write(folder.path().join(".gitignore"), "/out\n").unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("a.rs", folder.path().join("src/l.rs")).unwrap();
        let project = Roots::new(&[folder.path().to_owned()]).project(None).unwrap();
        let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(10));
        let found = find(&project, &stop).unwrap();
        let of = |is_test: bool| -> Vec<_> {
            found.files.iter().filter(|file| file.is_test == is_test).map(|file| file.path.as_str()).collect()
        };
        assert_eq!(of(false), ["kept/out/g.py", "latest.py", "lib/b.py", "src/a.rs", "web/c.ts"]);
        let tests =
            ["DTest.java", "lib/test_b.py", "src/a/tests.rs", "src/test/java/D.java", "web/c.test.ts"];
        assert_eq!(of(true), tests);
        assert!(found.warnings.is_empty());
    }
}
