//! Test results in JUnit's XML, which has no specification and many dialects: pytest, nextest, Jest, Surefire, Gradle,
//! Go, PHPUnit, GoogleTest.

mod places;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use crate::xml::{Element, Item, Xml};
use places::Places;

/// Tests that are named; the others are only counted.
const NAMED_MAX: usize = 500;

/// Characters of a message that are kept.
const MESSAGE_CHARS: usize = 160;

/// Places that are kept of a failure: a stack of calls has many.
const PLACES_MAX: usize = 12;

/// What one report says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tests {
    pub(crate) total: u64,
    /// Those that failed and those that could not run.
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Those that failed and passed without a change in between.
    pub(crate) flaky: u64,
    /// What all tests took together, as far as the report says.
    pub(crate) seconds: Option<f64>,
    /// How each test ended, by [`Test::key`]: several times, if the report has several runs of it.
    pub(crate) ends: HashMap<u64, Ends>,
    /// The failed and the flaky ones, as many as are named.
    pub(crate) named: Vec<Test>,
    /// What is odd about the report.
    pub(crate) warnings: Vec<String>,
}

/// One test that is worth a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    /// Of its suite, name and file: the same in another report of the same tests, as long as this process lives.
    pub(crate) key: u64,
    pub(crate) id: String,
    pub(crate) outcome: Outcome,
    /// As the report has it.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) message: Option<String>,
    /// Files and lines that its failure speaks of, in order.
    pub(crate) places: Vec<(String, u32)>,
}

/// Keys are not to be guessed: reports are written by strangers.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// In which ways runs of one test ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) passed: bool,
    pub(crate) failed: bool,
    /// A run of it was called flaky by its own tool.
    pub(crate) flaky: bool,
}

impl Ends {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passed = true,
            Outcome::Skipped => {}
            Outcome::Flaky => self.flaky = true,
            Outcome::Failed => self.failed = true,
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.passed |= other.passed;
        self.failed |= other.failed;
        self.flaky |= other.flaky;
    }

    /// Whether it failed once and passed once, and no tool has said so.
    pub(crate) fn disagree(self) -> bool {
        self.passed && self.failed && !self.flaky
    }
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
    let mut suites: Vec<String> = Vec::new();
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
                    ("testsuite" | "testsuites", None) => {
                        declared.add(depth, &element);
                        suites.push(element.attribute("name").unwrap_or_default());
                    }
                    ("testcase", None) => {
                        let suite = suites.last().map_or("", String::as_str);
                        case = Some((depth, Case::new(&element, suite)));
                    }
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
                    tests.add(case);
                }
                suites.truncate(xml.depth());
            }
        }
    }
    let disagreeing = tests.ends.values().filter(|ends| ends.disagree()).count();
    if disagreeing > 0 {
        tests.warnings.push(format!(
            "{disagreeing} tests are there more than once, failed and passed; they count as failed, and as flaky"
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
    seconds: Option<f64>,
    is_reported: bool,
}

impl Case {
    fn new(element: &Element<'_>, suite: &str) -> Self {
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
        let key = KEYS.hash_one((suite, &id, &file));
        // Surefire writes thousands apart.
        let seconds = element.attribute("time").and_then(|time| time.replace(',', "").trim().parse().ok());
        let seconds = seconds.filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
        let test = Test { key, id, outcome, file, line, message: None, places: Vec::new() };
        Self { test, seconds, is_reported: false }
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
        if self.is_reported
            && let Some(message) = element.attribute("message")
        {
            self.say(&message);
        }
    }

    fn say(&mut self, text: &str) {
        if !self.is_reported {
            return;
        }
        if self.test.message.is_none() {
            self.test.message = short(text);
        }
        let most = PLACES_MAX.saturating_sub(self.test.places.len());
        self.test.places.extend(Places::of(text).take(most).map(|(path, line)| (path.to_owned(), line)));
    }
}

/// The first line that says something.
fn short(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(MESSAGE_CHARS).collect())
}

impl Tests {
    /// Counts a test. It may have been there already: some tools write a rerun beside the first run.
    fn add(&mut self, Case { test, seconds, .. }: Case) {
        self.ends.entry(test.key).or_default().add(test.outcome);
        self.total += 1;
        if let Some(seconds) = seconds {
            *self.seconds.get_or_insert(0.0) += seconds;
        }
        let count = match test.outcome {
            Outcome::Passed => None,
            Outcome::Skipped => Some(&mut self.skipped),
            Outcome::Flaky => Some(&mut self.flaky),
            Outcome::Failed => Some(&mut self.failed),
        };
        if let Some(count) = count {
            *count += 1;
        }
        if test.outcome >= Outcome::Flaky && self.named.len() < NAMED_MAX {
            self.named.push(test);
        }
    }
}

#[cfg(test)]
mod tests;
