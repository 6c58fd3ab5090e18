//! Where reports lie, if none is named.

use std::path::PathBuf;

use ignore::{DirEntry, Walk, WalkBuilder};

use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Names that the runners give their reports.
const NAMES: [&str; 19] = [
    "lcov.info",
    "coverage.lcov",
    "coverage.info",
    "coverage-final.json",
    "coverage.json",
    "coverage.xml",
    "cobertura.xml",
    "cobertura-coverage.xml",
    "coverage.cobertura.xml",
    "jacoco.xml",
    "jacocoTestReport.xml",
    "clover.xml",
    "cover.out",
    "coverage.out",
    "coverage.txt",
    "c.out",
    "profile.cov",
    "llvm-cov.json",
    ".resultset.json",
];
/// Folders that they put them into, relative to the project.
const FOLDERS: [&str; 13] = [
    "",
    "coverage",
    "coverage/.nyc",
    "coverage/lcov",
    "coverage/cobertura",
    "target",
    "target/site/jacoco",
    "target/site/cobertura",
    "target/llvm-cov",
    "target/coverage",
    "build/reports/jacoco/test",
    "build/logs",
    "reports",
];
/// Folders within folders, and entries, that are looked at if there is none in those.
const MOST_DEPTH: usize = 6;
const MOST_ENTRIES: usize = 100_000;
/// Reports of one name: the parts of a project may each have one.
const MOST_REPORTS: usize = 200;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Discovered {
    /// Reports of one name, in the order of their paths: that of which the newest is the newest of all.
    pub(super) reports: Vec<PathBuf>,
    /// The others. Reports of other names mostly say the same of the same run.
    pub(super) others: Vec<PathBuf>,
}

pub(super) fn discover(project: &Project, stop: &Stop) -> Result<Discovered, Refusal> {
    // Most of them are not there.
    let folders = FOLDERS.iter().map(|folder| project.root.join(folder)).filter(|folder| folder.is_dir());
    let usual = folders.flat_map(|folder| NAMES.iter().map(move |name| folder.join(name)));
    let mut found: Vec<PathBuf> = usual.filter(|path| path.is_file()).collect();
    if found.is_empty() {
        let mut all = WalkBuilder::new(&project.root);
        // Reports are what `.gitignore` is about.
        all.standard_filters(false).max_depth(Some(MOST_DEPTH));
        for (looked_at, entry) in walk(all).take(MOST_ENTRIES).enumerate() {
            if looked_at % 64 == 0 {
                stop.check()?;
            }
            let Ok(entry) = entry else { continue };
            let is_report = entry.file_name().to_str().is_some_and(|name| NAMES.contains(&name));
            if is_report && entry.file_type().is_some_and(|kind| kind.is_file()) {
                found.push(entry.into_path());
            }
        }
    }
    found.retain(|path| project.find(path).is_ok());
    found.sort();
    let age = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let newest =
        found.iter().max_by_key(|path| age(path)).and_then(|path| path.file_name()).map(ToOwned::to_owned);
    let (mut reports, mut others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|path| path.file_name() == newest.as_deref());
    others.extend(reports.drain(reports.len().min(MOST_REPORTS)..));
    Ok(Discovered { reports, others })
}

/// Goes through a project. Links are not followed; the folders of Git, of packages and of caches are left out.
pub(super) fn walk(mut how: WalkBuilder) -> Walk {
    how.require_git(false).parents(false).git_global(false).filter_entry(is_of_the_project).build()
}

fn is_of_the_project(entry: &DirEntry) -> bool {
    if !entry.file_type().is_some_and(|kind| kind.is_dir()) || entry.depth() == 0 {
        return true;
    }
    let holds = |name: &str| entry.path().join(name).exists();
    let name = entry.file_name();
    name != ".git" && name != "node_modules" && !holds("pyvenv.cfg") && !holds("CACHEDIR.TAG")
}
