//! The reports that a gate rests on: which there are, what they say, and where that comes from.

pub(crate) mod junit;
mod kept;
pub(crate) mod mutation;
#[cfg(any(test, fuzzing))]
pub(crate) mod promises;
pub(crate) mod sarif;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use aqe_store::UnixMillis;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::metric::Kind;
use crate::builtin::Request;
use crate::project::Project;
use crate::reply::Refusal;
pub(crate) use kept::Reports;

/// Bytes of one report, and reports of one kind.
const REPORT_MAX_BYTES: u64 = 64 << 20;
const REPORTS_MAX: usize = 1_000;

/// Paths of reports; files, or folders of files. A kind that is absent is looked for where tools write.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paths {
    pub(crate) coverage: Option<Vec<String>>,
    pub(crate) junit: Option<Vec<String>>,
    pub(crate) sarif: Option<Vec<String>>,
    pub(crate) mutation: Option<Vec<String>>,
}

impl Paths {
    /// These, and of the kinds that are absent here the other's.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            coverage: self.coverage.or(other.coverage),
            junit: self.junit.or(other.junit),
            sarif: self.sarif.or(other.sarif),
            mutation: self.mutation.or(other.mutation),
        }
    }

    fn of(&self, kind: Kind) -> Option<&[String]> {
        match kind {
            Kind::Coverage => self.coverage.as_deref(),
            Kind::Junit => self.junit.as_deref(),
            Kind::Sarif => self.sarif.as_deref(),
            Kind::Mutation => self.mutation.as_deref(),
            Kind::Source => None,
        }
    }
}

/// Where tools write if nobody tells them otherwise; folders end in `/`.
fn usual(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Junit => &[
            "junit.xml",
            "report.xml",
            "test-results.xml",
            "TEST-results.xml",
            "reports/junit.xml",
            "test-results/",
            "test-reports/",
            "reports/junit/",
            "target/nextest/default/junit.xml",
            "target/nextest/ci/junit.xml",
            "target/surefire-reports/",
            "target/failsafe-reports/",
            "build/test-results/test/",
        ],
        Kind::Sarif => &["./", "reports/", "target/", "build/reports/"],
        Kind::Mutation => &[
            "reports/mutation/mutation.json",
            "StrykerOutput/reports/mutation-report.json",
            "mutants.out/outcomes.json",
            "mutants/mutmut-cicd-stats.json",
            "target/pit-reports/mutations.xml",
            "build/reports/pitest/mutations.xml",
        ],
        Kind::Coverage | Kind::Source => &[],
    }
}

/// How the names of a kind's files end, in a folder.
fn endings(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Sarif => &[".sarif", ".sarif.json"],
        Kind::Mutation => &[".json", ".xml"],
        _ => &[".xml"],
    }
}

/// A report that was read, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Provenance {
    pub(crate) kind: Kind,
    pub(crate) path: String,
    pub(crate) format: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) modified: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tools: Vec<String>,
    #[serde(skip)]
    pub(crate) written: Option<SystemTime>,
}

/// All reports of one kind.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) reports: Vec<(Provenance, T)>,
    /// Reports that should be there and cannot be read, each with the reason. What they would say is not known.
    pub(crate) broken: Vec<String>,
}

impl<T> Loaded<T> {
    /// Why nothing can be said; `None` if it can.
    pub(crate) fn gap(&self, kind: &str, advice: &str) -> Option<String> {
        match (self.broken.first(), self.reports.is_empty()) {
            (Some(first), _) if self.broken.len() > 1 => {
                Some(format!("{first} (and {} more)", self.broken.len() - 1))
            }
            (Some(first), _) => Some(first.clone()),
            (None, true) => Some(format!("there is no {kind}: {advice}")),
            (None, false) => None,
        }
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.reports.iter().map(|(from, _)| from.path.clone()).collect()
    }
}

/// What is in a report, its format, and the tools that wrote it.
type Said<T> = (T, String, Vec<String>);

/// Reads all reports of a kind, those that are not known. `parse` says what is in one.
pub(crate) fn load<T: Clone + Send + Sync + 'static>(
    known: &Reports,
    project: &Project,
    paths: &Paths,
    kind: Kind,
    request: &Request,
    parse: impl Fn(&[u8]) -> Result<Said<T>, String>,
) -> Result<Loaded<T>, Refusal> {
    let mut loaded = Loaded { reports: Vec::new(), broken: Vec::new() };
    for path in find(project, paths, kind, &mut loaded.broken) {
        request.stop.check()?;
        match read(known, project, &path, kind, request.now, &parse) {
            // A copy of a report says nothing more.
            Ok((from, _)) if loaded.reports.iter().any(|(known, _)| known.sha256 == from.sha256) => {}
            Ok(report) => loaded.reports.push(report),
            Err(reason) => loaded.broken.push(reason),
        }
    }
    Ok(loaded)
}

fn read<T: Clone + Send + Sync + 'static>(
    known: &Reports,
    project: &Project,
    path: &str,
    kind: Kind,
    now: UnixMillis,
    parse: impl Fn(&[u8]) -> Result<Said<T>, String>,
) -> Result<(Provenance, T), String> {
    let real = project.find(path).map_err(|refusal| refusal.0)?;
    let parse = |bytes: &[u8]| parse(bytes).map_err(|reason| format!("{path}: {reason}"));
    let read = known.read(project, &real, kind, now, parse)?;
    let (content, format, tools) = (*read.content).clone();
    let written = real.metadata().ok().and_then(|metadata| metadata.modified().ok());
    let modified = written.and_then(|time| Timestamp::try_from(time).ok());
    let modified = modified.and_then(|time| time.round(jiff::Unit::Second).ok()).map(|time| time.to_string());
    let provenance = Provenance {
        kind,
        path: path.to_owned(),
        format,
        bytes: read.bytes,
        sha256: hex(&read.sha256),
        modified,
        tools,
        written,
    };
    Ok((provenance, content))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The files of a kind, each once.
fn find(project: &Project, paths: &Paths, kind: Kind, broken: &mut Vec<String>) -> BTreeSet<String> {
    let named = paths.of(kind);
    let all: Vec<&str> = match named {
        Some(named) => named.iter().map(String::as_str).collect(),
        None => usual(kind).to_vec(),
    };
    let mut found = BTreeSet::new();
    for path in all {
        let real = match project.find(path) {
            Ok(real) => real,
            // What is only looked for need not be there.
            Err(_) if named.is_none() => continue,
            Err(refusal) => {
                broken.push(refusal.0);
                continue;
            }
        };
        let before = found.len();
        if real.is_dir() {
            found.extend(inside(project, &real, kind));
        } else {
            found.insert(project.shown(&real));
        }
        if named.is_some() && found.len() == before && real.is_dir() {
            broken.push(format!("{path}: there is no report in it ({})", endings(kind).join(", ")));
        }
    }
    if found.len() > REPORTS_MAX {
        broken.push(format!("there are {} reports, and at most {REPORTS_MAX} are read", found.len()));
    }
    found.into_iter().take(REPORTS_MAX).collect()
}

/// The reports that lie directly in a folder.
fn inside(project: &Project, folder: &Path, kind: Kind) -> Vec<String> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let is_report = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        endings(kind).iter().any(|ending| name.ends_with(ending)) && path.is_file()
    };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| is_report(path));
    paths.map(|path| project.shown(&path)).collect()
}
