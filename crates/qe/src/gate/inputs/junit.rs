//! Test results in JUnit's XML, which has no specification and many dialects: pytest, nextest, Jest, Surefire, Gradle,
//! Go, PHPUnit, GoogleTest.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use crate::xml::{Element, Item, Xml};

/// Tests that are named; the others are only counted.
const NAMED_MAX: usize = 500;

/// Characters of a message that are kept.
const MESSAGE_CHARS: usize = 160;

/// What one report says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tests {
    pub(crate) total: u64,
    /// Those that failed and those that could not run.
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Those that failed and passed without a change in between.
    pub(crate) flaky: u64,
    /// The failed and the flaky ones, as many as are named.
    pub(crate) named: Vec<Test>,
    /// What is odd about the report.
    pub(crate) warnings: Vec<String>,
}

/// One test that is worth a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) id: String,
    pub(crate) outcome: Outcome,
    /// As the report has it.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) message: Option<String>,
}

/// How a test ended. The later ones count more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Passed,
    Skipped,
    Flaky,
    Failed,
}

/// Numbers that suites give of themselves.
#[derive(Debug, Default)]
struct Declared {
    failed: u64,
    total: u64,
    /// A suite below one that has counted is in that one's count.
    counted_at: Option<usize>,
}

/// Reads a report.
///
/// # Errors
/// If it is no XML, not whole, or no test report.
pub(crate) fn parse(text: &str) -> Result<Tests, String> {
    let mut xml = Xml::new(text);
    let mut tests = Tests::default();
    let mut seen = Seen::default();
    let mut declared = Declared::default();
    let mut case: Option<(usize, Case)> = None;
    while let Some(item) = xml.next()? {
        match item {
            Item::Start(element) => {
                let (depth, name) = (xml.depth(), element.name());
                if depth == 1 && !matches!(name, "testsuites" | "testsuite" | "testcase") {
                    return Err(format!("no test report: its root is <{name}>, and not <testsuites>"));
                }
                match (name, &mut case) {
                    ("testsuite" | "testsuites", None) => declared.add(depth, &element),
                    ("testcase", None) => case = Some((depth, Case::new(&element))),
                    (_, Some((at, case))) if depth == *at + 1 => case.add(&element),
                    _ => {}
                }
            }
            Item::Text(text) => {
                if let Some((at, case)) = &mut case
                    && xml.depth() == *at + 1
                {
                    case.say(&text);
                }
            }
            Item::End(_) => {
                declared.leave(xml.depth());
                if case.as_ref().is_some_and(|(at, _)| xml.depth() < *at)
                    && let Some((_, case)) = case.take()
                {
                    seen.add(&mut tests, case);
                }
            }
        }
    }
    if seen.disagreeing > 0 {
        tests.warnings.push(format!(
            "{} tests are there more than once with different outcomes; the worst of them counts",
            seen.disagreeing
        ));
    }
    if declared.failed > tests.failed {
        // A suite that could not be loaded has no test that could tell.
        tests.warnings.push(format!(
            "its suites say {} failed, its tests say {}: the larger counts",
            declared.failed, tests.failed
        ));
        tests.failed = declared.failed;
        tests.total = tests.total.max(declared.total);
    }
    Ok(tests)
}

impl Declared {
    fn add(&mut self, depth: usize, element: &Element<'_>) {
        let numbers = ["failures", "errors", "tests"].map(|name| element.number(name));
        if self.counted_at.is_some() || numbers[..2] == [None, None] {
            return;
        }
        self.counted_at = Some(depth);
        let [failures, errors, total] = numbers.map(Option::unwrap_or_default);
        self.failed = self.failed.saturating_add(failures).saturating_add(errors);
        self.total = self.total.saturating_add(total);
    }

    /// An element has ended, and `depth` are still open.
    fn leave(&mut self, depth: usize) {
        self.counted_at = self.counted_at.filter(|at| depth >= *at);
    }
}

/// A test while it is read.
#[derive(Debug)]
struct Case {
    test: Test,
    is_reported: bool,
}

impl Case {
    fn new(element: &Element<'_>) -> Self {
        let name = element.attribute("name").unwrap_or_default();
        let class = element.attribute("classname").or_else(|| element.attribute("class")).unwrap_or_default();
        let class = class.trim();
        let id = match name.trim() {
            // Jest says the same twice.
            name if class.is_empty() || class == name => name.to_owned(),
            name => format!("{class}::{name}"),
        };
        // GoogleTest and CTest say there what others say in an element.
        let status = element.attribute("status").or_else(|| element.attribute("result"));
        let outcome = match status.as_deref() {
            Some("fail" | "failed" | "error") => Outcome::Failed,
            Some("notrun" | "skipped" | "disabled" | "ignored" | "pending") => Outcome::Skipped,
            _ => Outcome::Passed,
        };
        let line = element.number("line").and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0);
        let file = element.attribute("file").filter(|file| !file.is_empty());
        Self { test: Test { id, outcome, file, line, message: None }, is_reported: false }
    }

    /// A child of the test.
    fn add(&mut self, element: &Element<'_>) {
        let outcome = match element.name() {
            "skipped" => Outcome::Skipped,
            // Surefire, nextest: it failed first, and passed when it was run again.
            "flakyFailure" | "flakyError" => Outcome::Flaky,
            // The latter two: it failed again.
            "failure" | "error" | "rerunFailure" | "rerunError" => Outcome::Failed,
            _ => {
                self.is_reported = false;
                return;
            }
        };
        self.is_reported = outcome >= Outcome::Flaky && outcome >= self.test.outcome;
        self.test.outcome = self.test.outcome.max(outcome);
        if self.is_reported && self.test.message.is_none() {
            self.test.message = element.attribute("message").as_deref().and_then(short);
        }
    }

    fn say(&mut self, text: &str) {
        if self.is_reported && self.test.message.is_none() {
            self.test.message = short(text);
        }
    }
}

/// The first line that says something.
fn short(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(MESSAGE_CHARS).collect())
}

/// Tests that were there already, by a hash of their name: a rerun may stand beside the first run.
#[derive(Debug, Default)]
struct Seen {
    hasher: RandomState,
    outcomes: HashMap<u64, Outcome>,
    disagreeing: u64,
}

impl Seen {
    fn add(&mut self, tests: &mut Tests, case: Case) {
        let test = case.test;
        let key = self.hasher.hash_one((&test.id, &test.file));
        if let Some(before) = self.outcomes.insert(key, test.outcome)
            && before != test.outcome
        {
            self.disagreeing += 1;
        }
        tests.total += 1;
        match test.outcome {
            Outcome::Passed => return,
            Outcome::Skipped => {
                tests.skipped += 1;
                return;
            }
            Outcome::Flaky => tests.flaky += 1,
            Outcome::Failed => tests.failed += 1,
        }
        if tests.named.len() < NAMED_MAX {
            tests.named.push(test);
        }
    }
}

#[cfg(test)]
mod tests;
