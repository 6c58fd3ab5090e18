//! All reports that were asked for as one, with the paths of the working tree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aqe_store::UnixMillis;
use serde::Serialize;

use super::discover::discover;
use super::formats::Format;
use super::load::{Cache, Loaded, Provenance, SOURCE_BYTES, Stamp};
use super::model::{Counts, FileCoverage, Report};
use super::nocov;
use super::path_map::PathMap;
use super::paths::{Found, Mapper};
use crate::metrics::is_test;
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Sources whose lines are counted to find those that became shorter: the ones with the fewest bytes for each line that
/// the report has. A file with fewer bytes than lines is told without.
const MOST_COUNTED: usize = 200;
/// Bytes of sources that are read for that in one call. What was counted before is known.
const COUNTED_BYTES: u64 = 8 << 20;

/// What is asked of which reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked<'a> {
    /// Their paths; none: those that lie where runners put them.
    pub(crate) reports: &'a [String],
    pub(crate) path_map: PathMap,
    /// Whether files of tests count like all others.
    pub(crate) with_tests: bool,
}

/// What reports say of the working tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    /// Files by their paths relative to the project; those that are not in it by the report's.
    pub(crate) report: Report,
    /// Files of tests, if they are told apart. They run whenever tests do: beside the code they would make it look better.
    tests: Option<Report>,
    pub(crate) unmatched: Vec<Unmatched>,
    pub(crate) stale: Vec<Stale>,
    pub(crate) provenance: Vec<Provenance>,
    pub(crate) warnings: Vec<String>,
}

/// Files of tests that are in no figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TestsExcluded {
    files: usize,
    line: Option<Counts>,
    rule: &'static str,
}

/// As [`is_test`] decides.
const TEST_RULE: &str = "in a folder named as those of tests are (test, tests, spec, fixtures, …), or named as the test \
                         runners of the language expect; `include_tests` counts them";

/// A path of a report that is none of the project's files. It counts in the totals: what a report says is not made
/// better by not finding it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unmatched {
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// A source that is not what was measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Stale {
    pub(crate) file: String,
    pub(crate) reason: &'static str,
}

impl Coverage {
    pub(crate) fn is_stale(&self, file: &str) -> bool {
        self.stale.binary_search_by(|stale| stale.file.as_str().cmp(file)).is_ok()
    }

    /// What is told of the tests; `None` if they count like all others.
    pub(crate) fn tests_excluded(&self) -> Option<TestsExcluded> {
        let tests = self.tests.as_ref()?;
        Some(TestsExcluded { files: tests.files().len(), line: tests.totals().line, rule: TEST_RULE })
    }

    /// The same, if each of the reports has its end.
    ///
    /// # Errors
    /// The reason, for those who judge: what is missing could be anything.
    pub(crate) fn if_whole(self) -> Result<Self, String> {
        match self.provenance.iter().find(|from| !from.whole) {
            Some(from) => Err(format!("{} is not whole: it was cut off; write it again", from.path)),
            None => Ok(self),
        }
    }

    /// Leaves out what is of other files.
    pub(crate) fn keep(&mut self, has: impl Fn(&str) -> bool) {
        self.report.keep(&has);
        if let Some(tests) = &mut self.tests {
            tests.keep(&has);
        }
        self.unmatched.retain(|unmatched| has(&unmatched.path));
        self.stale.retain(|stale| has(&stale.file));
    }
}

/// Reads the reports that are asked for; `None` if none is named and none is there.
///
/// # Errors
/// If one of them cannot be read: what is left would be another figure, and might be a better one. If no file of a
/// report is the project's.
pub(crate) fn collect(
    cache: &Cache,
    project: &Project,
    asked: &Asked<'_>,
    now: UnixMillis,
    stop: &Stop,
) -> Result<Option<Coverage>, Refusal> {
    let mut coverage = Coverage::default();
    let paths: Vec<PathBuf> = if asked.reports.is_empty() {
        let discovered = discover(project, stop)?;
        if let Some(first) = discovered.others.first() {
            coverage.warnings.push(format!(
                "{} more reports were found and not read, as {}: name in `reports` what is to be added",
                discovered.others.len(),
                project.shown(first)
            ));
        }
        discovered.reports
    } else {
        asked.reports.iter().map(PathBuf::from).collect()
    };
    if paths.is_empty() {
        return Ok(None);
    }
    let loaded = paths.iter().map(|path| cache.load(project, path, now, stop));
    let loaded = loaded.collect::<Result<Vec<Loaded>, Refusal>>()?;
    coverage.add(cache, project, loaded, &asked.path_map, now, stop)?;
    if !asked.with_tests {
        coverage.part();
    }
    Ok(Some(coverage))
}

/// A file of a report, and what it is in the project.
struct Mapped {
    file: Arc<FileCoverage>,
    format: Format,
    found: Option<Found>,
    /// When the report was written.
    written: i128,
}

/// A source that may be shorter than its report says.
struct Suspect<'a> {
    bytes_per_line: u64,
    path: &'a str,
    /// The last line that the report has.
    last: u32,
    stamp: Stamp,
}

const SHORTER: &str = "shorter than its report says";

impl Coverage {
    fn add(
        &mut self,
        cache: &Cache,
        project: &Project,
        loaded: Vec<Loaded>,
        path_map: &PathMap,
        now: UnixMillis,
        stop: &Stop,
    ) -> Result<(), Refusal> {
        let mut mapper = Mapper::new(project, path_map, stop);
        let mut mapped: Vec<Mapped> = Vec::new();
        let mut known: Vec<(&str, Option<String>)> = Vec::new();
        for report in &loaded {
            let folder = report.path.parent().unwrap_or(Path::new("/"));
            let files = report.parsed.report.files();
            let found = mapper.map(&report.parsed, folder)?;
            if let Some(Err(reason)) = found.first().filter(|_| found.iter().all(Result::is_err)) {
                return Err(Refusal(format!(
                    "{}: none of its {} files is in {} ({}: {reason}): is it a report of another project? If not, say in `path_map` where its paths lead",
                    report.provenance.path,
                    files.len(),
                    project.root.display(),
                    files.first().map_or("", |file| &file.path),
                )));
            }
            // Parts of a project may have the same report word for word: not of the same files, though.
            let first = found.iter().find_map(|found| found.as_ref().ok()).map(|found| found.path.clone());
            let identity = (report.provenance.sha256.as_str(), first);
            if known.contains(&identity) {
                let path = &report.provenance.path;
                self.warnings.push(format!("{path} says the same as another report: it counts once"));
                continue;
            }
            known.push(identity);
            for (file, found) in files.iter().zip(found) {
                if let Err(reason) = &found {
                    let unmatched = Unmatched { path: file.path.clone(), reason: reason.to_string() };
                    self.unmatched.push(unmatched);
                }
                let (found, format) = (found.ok(), report.parsed.format);
                let file = match &found {
                    Some(found) if format == Format::Simplecov => nocov::left(project, &found.path, file),
                    _ => Arc::clone(file),
                };
                mapped.push(Mapped { file, format, found, written: report.written });
            }
        }
        let unused = mapper.unused().map(|from| format!("`path_map`: no path begins with `{from}`"));
        self.warnings.extend(unused);
        let suspects = self.find_stale(&mapped);
        self.find_shorter(cache, project, suspects, now, stop)?;
        self.merge(mapped);
        for report in loaded {
            let of_report = report.parsed.warnings.iter();
            self.warnings.extend(of_report.map(|warning| format!("{}: {warning}", report.provenance.path)));
            self.provenance.push(report.provenance);
        }
        Ok(())
    }

    /// Tells files of tests apart.
    fn part(&mut self) {
        // The folders around a path of another machine may have any name.
        let is_test = |path: &str| !path.starts_with('/') && is_test(path);
        let (tests, others) = std::mem::take(&mut self.report).parted(is_test);
        (self.report, self.tests) = (others, Some(tests));
    }

    /// Sources that are stale by their time or size; the others, those with the fewest bytes for each line first.
    fn find_stale<'a>(&mut self, mapped: &'a [Mapped]) -> Vec<Suspect<'a>> {
        let mut suspects = Vec::new();
        for Mapped { file, found, written, .. } in mapped {
            let Some(found) = found else { continue };
            let (stamp, last) = (found.stamp, file.last_line());
            let mut stale = |reason| self.stale.push(Stale { file: found.path.clone(), reason });
            if stamp.modified > *written {
                stale("newer than its report");
            } else if stamp.bytes < u64::from(last) {
                stale(SHORTER);
            } else if last > 0 && stamp.bytes <= SOURCE_BYTES {
                suspects.push(Suspect {
                    bytes_per_line: stamp.bytes / u64::from(last),
                    path: &found.path,
                    last,
                    stamp,
                });
            }
        }
        suspects.sort_unstable_by_key(|suspect| (suspect.bytes_per_line, suspect.path));
        suspects
    }

    fn find_shorter(
        &mut self,
        cache: &Cache,
        project: &Project,
        suspects: Vec<Suspect<'_>>,
        now: UnixMillis,
        stop: &Stop,
    ) -> Result<(), Refusal> {
        let mut most = COUNTED_BYTES;
        for Suspect { path, last, stamp, .. } in suspects.into_iter().take(MOST_COUNTED) {
            stop.check()?;
            let lines = cache.lines(project, path, stamp, now, &mut most)?;
            if lines.is_some_and(|lines| lines < last) {
                self.stale.push(Stale { file: path.to_owned(), reason: SHORTER });
            }
        }
        self.stale.sort_unstable();
        self.stale.dedup_by(|one, other| one.file == other.file);
        Ok(())
    }

    /// Files that several reports have are merged. Formats count the outcomes of a line's decisions each in its own way:
    /// of a file that is in reports of several formats, the first one's branches are taken.
    fn merge(&mut self, mut mapped: Vec<Mapped>) {
        fn path(mapped: &Mapped) -> &str {
            mapped.found.as_ref().map_or(&mapped.file.path, |found| &found.path)
        }
        mapped.sort_by(|one, other| path(one).cmp(path(other)));
        let mut mixed = 0_u32;
        let mut files: Vec<Arc<FileCoverage>> = Vec::with_capacity(mapped.len());
        for same in mapped.chunk_by(|one, other| path(one) == path(other)) {
            let Some(first) = same.first() else { continue };
            if same.len() == 1 && first.file.path == path(first) {
                files.push(Arc::clone(&first.file));
                continue;
            }
            let mut merged = FileCoverage { path: path(first).to_owned(), ..(*first.file).clone() };
            let mut format = first.file.branches.as_ref().map(|_| first.format);
            for other in &same[1..] {
                let mut more = (*other.file).clone();
                if format.is_some_and(|format| format != other.format) && more.branches.take().is_some() {
                    mixed += 1;
                }
                format = format.or(more.branches.as_ref().map(|_| other.format));
                merged.merge(more);
            }
            files.push(Arc::new(merged));
        }
        if mixed > 0 {
            self.warnings.push(format!(
                "{mixed} files have branches in reports of several formats, which cannot be matched: the first format's are counted"
            ));
        }
        self.report = Report::of_sorted(files);
    }
}
