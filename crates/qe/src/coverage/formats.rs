//! Coverage reports, each format read into the one model. Which format it is, its content says, not its name.

mod clover;
mod cobertura;
mod count;
mod coverage_py;
mod detect;
mod go;
mod istanbul;
mod jacoco;
mod json;
mod lcov;
mod llvm;
mod rust_names;
mod simplecov;
#[cfg(test)]
mod tests;
mod xml;

use std::fmt;

use serde::Serialize;

use super::model::{FileCoverage, Report};
use crate::stop::Stop;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Trace files of lcov 1.x and 2.x (geninfo(1)).
    Lcov,
    /// Cobertura's XML, and what many tools write in its name.
    Cobertura,
    /// JaCoCo's XML.
    Jacoco,
    /// Clover's XML, as by Clover, PHPUnit and Istanbul.
    Clover,
    /// Istanbul's `coverage-final.json`.
    Istanbul,
    /// The JSON of coverage.py, formats 2 and 3.
    CoveragePy,
    /// What `llvm-cov export` writes, versions 2 and 3.
    Llvm,
    /// What `go test -coverprofile` writes.
    Go,
    /// SimpleCov's `.resultset.json`.
    Simplecov,
}

impl Format {
    /// As it is written in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lcov => "lcov",
            Self::Cobertura => "cobertura",
            Self::Jacoco => "jacoco",
            Self::Clover => "clover",
            Self::Istanbul => "istanbul",
            Self::CoveragePy => "coverage-py",
            Self::Llvm => "llvm",
            Self::Go => "go",
            Self::Simplecov => "simplecov",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A report that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) format: Format,
    pub(crate) report: Report,
    /// Folders that the report says its paths are relative to.
    pub(crate) sources: Vec<String>,
    /// The program that wrote it, if the report says.
    pub(crate) tool: Option<String>,
    /// When it was written, if the report says: milliseconds since the Unix epoch.
    pub(crate) generated: Option<i64>,
    /// Whether it has its end. What is missing of one that was cut off could say anything.
    pub(crate) is_whole: bool,
    /// What was left out and why.
    pub(crate) warnings: Vec<String>,
}

/// Why a report is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Its content is of no format that is known.
    #[error("no coverage report that is known: {0}")]
    Unknown(String),
    /// It is of a format, but not whole or not well formed.
    #[error("broken {format} report at {place}: {what}")]
    Broken {
        /// Which format it seems to be.
        format: Format,
        /// Line, element or byte.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// It is well formed and has no file in it.
    #[error("the {0} report has no file in it")]
    Empty(Format),
    /// It asks for more memory than any real report does.
    #[error("the {format} report says more than {most} things: no real one does")]
    TooMuch {
        /// Which format it is.
        format: Format,
        /// The most lines, branches and functions that are read of one report.
        most: u64,
    },
    /// The call was cancelled, or its time was up.
    #[error("stopped: the call was cancelled, or its time was up")]
    Stopped,
}

/// Lines, branches and functions of one report. 200 MB of lcov's shortest records are fewer than 30 million.
const MOST_RECORDS: u64 = 64_000_000;
/// The largest line number that is believed. Ranges of lines are told by their ends, so it bounds what a few bytes can
/// ask for.
const MOST_LINES: u32 = 5_000_000;
/// Outcomes of one line. Some formats only say how many there are.
const MOST_OUTCOMES: u32 = 10_000;
/// Records between two looks at the clock.
const LOOK_EVERY: u32 = 1 << 14;

/// Reads a report of any format.
pub(crate) fn read(bytes: &[u8], stop: &Stop) -> Result<Parsed, ReadError> {
    let wide = crate::xml::is_wide(bytes).then(|| crate::xml::text(bytes));
    let bytes = wide.as_deref().map_or(bytes, str::as_bytes);
    let format = detect::detect(bytes)?;
    let mut draft = Draft::new(format, stop);
    match format {
        Format::Lcov => lcov::read(bytes, &mut draft),
        Format::Cobertura => cobertura::read(bytes, &mut draft),
        Format::Jacoco => jacoco::read(bytes, &mut draft),
        Format::Clover => clover::read(bytes, &mut draft),
        Format::Istanbul => istanbul::read(bytes, &mut draft),
        Format::CoveragePy => coverage_py::read(bytes, &mut draft),
        Format::Llvm => llvm::read(bytes, &mut draft),
        Format::Go => go::read(bytes, &mut draft),
        Format::Simplecov => simplecov::read(bytes, &mut draft),
    }?;
    draft.finish()
}

/// A report while it is being read.
#[derive(Debug)]
struct Draft<'a> {
    format: Format,
    files: Vec<FileCoverage>,
    sources: Vec<String>,
    tool: Option<String>,
    generated: Option<i64>,
    /// What was left out: why, how often, and where first.
    skipped: Vec<(&'static str, u64, String)>,
    is_whole: bool,
    warnings: Vec<String>,
    stop: &'a Stop,
    /// Records that may still come, and those until the next look at the clock.
    left: u64,
    until_look: u32,
}

impl<'a> Draft<'a> {
    fn new(format: Format, stop: &'a Stop) -> Self {
        Self {
            format,
            files: Vec::new(),
            sources: Vec::new(),
            tool: None,
            generated: None,
            skipped: Vec::new(),
            is_whole: true,
            warnings: Vec::new(),
            stop,
            left: MOST_RECORDS,
            until_look: LOOK_EVERY,
        }
    }

    /// For a part of the same report that says nothing but files.
    fn part(&self) -> Self {
        Self::new(self.format, self.stop)
    }

    /// Adds a part that follows on what is there: as if both had been read into one.
    fn append(&mut self, part: Self) -> Result<(), ReadError> {
        let records = MOST_RECORDS - part.left;
        self.left = self.left.checked_sub(records).ok_or_else(|| self.too_much())?;
        self.files.extend(part.files);
        for (why, times, place) in part.skipped {
            self.skip_times(why, times, || place);
        }
        // Where it was cut off first is said.
        if self.is_whole {
            self.warnings.extend(part.warnings);
        }
        self.is_whole &= part.is_whole;
        Ok(())
    }

    fn too_much(&self) -> ReadError {
        ReadError::TooMuch { format: self.format, most: MOST_RECORDS }
    }

    /// To be asked before `records` more are kept.
    fn take(&mut self, records: u64) -> Result<(), ReadError> {
        self.left = self.left.checked_sub(records).ok_or_else(|| self.too_much())?;
        self.until_look = self.until_look.saturating_sub(1);
        if self.until_look == 0 {
            self.until_look = LOOK_EVERY;
            self.stop.check().map_err(|_| ReadError::Stopped)?;
        }
        Ok(())
    }

    /// Something is left out.
    fn skip(&mut self, why: &'static str, place: impl FnOnce() -> String) {
        self.skip_times(why, 1, place);
    }

    fn skip_times(&mut self, why: &'static str, more: u64, first: impl FnOnce() -> String) {
        match self.skipped.iter_mut().find(|(other, ..)| *other == why) {
            Some((_, times, _)) => *times += more,
            None => self.skipped.push((why, more, first())),
        }
    }

    /// The report was cut off, or one of those that were put together to it.
    fn cut(&mut self, place: impl fmt::Display) {
        if std::mem::replace(&mut self.is_whole, false) {
            self.warnings.push(format!("not whole: it ends {place}; what is missing is not known"));
        }
    }

    /// A line number, if it is one.
    fn line(&mut self, number: u64) -> Option<u32> {
        let line = u32::try_from(number).ok().filter(|line| (1..=MOST_LINES).contains(line));
        if line.is_none() {
            self.skip("line numbers that no file has", || number.to_string());
        }
        line
    }

    fn broken(&self, place: impl fmt::Display, what: impl fmt::Display) -> ReadError {
        ReadError::Broken { format: self.format, place: place.to_string(), what: what.to_string() }
    }

    /// A file that is complete.
    fn file(&mut self, file: FileCoverage) {
        if file.path.is_empty() {
            self.skip("files without a name", String::new);
        } else {
            self.files.push(file.sorted());
        }
    }

    fn finish(mut self) -> Result<Parsed, ReadError> {
        if self.files.is_empty() {
            return Err(ReadError::Empty(self.format));
        }
        self.warnings.extend(self.skipped.into_iter().map(|(why, times, place)| {
            let place = if place.is_empty() { place } else { format!(", first {place}") };
            format!("left out: {why} ({times} times{place})")
        }));
        Ok(Parsed {
            format: self.format,
            report: Report::new(self.files),
            sources: self.sources,
            tool: self.tool,
            generated: self.generated,
            is_whole: self.is_whole,
            warnings: self.warnings,
        })
    }
}
