//! The verdict as test results, for programs that show those: each condition is a test.

use std::fmt::Write as _;

use crate::gate::condition::{Level, Status};
use crate::gate::verdict::{Judged, Report};

/// Writing to a string cannot fail, so what `write!` says is not looked at.
pub(crate) fn junit(report: &Report) -> String {
    let of = |status: Status, level: Level| {
        report.conditions.iter().filter(|one| (one.status, one.level) == (status, level)).count()
    };
    let failures = of(Status::Failed, Level::Error);
    let unknown = of(Status::NoData, Level::Error);
    let errors = if report.gate.require_data { unknown } else { 0 };
    let skipped = report
        .conditions
        .iter()
        .filter(|one| outcome(one, report.gate.require_data) == Some("skipped"))
        .count();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", report.conditions.len());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"quality gate\" {counts}>\n  <testsuite name=\"{}\" {counts} skipped=\"{skipped}\">\n",
        escaped(&report.gate.name)
    );
    for one in &report.conditions {
        let _ = write!(text, "    <testcase classname=\"quality gate\" name=\"{}\"", escaped(&one.asked()));
        let said = escaped(&one.said());
        let _ = match outcome(one, report.gate.require_data) {
            Some("skipped") => writeln!(text, "><skipped message=\"{said}\"/></testcase>"),
            Some(element) => {
                writeln!(text, "><{element} message=\"{said}\">{}</{element}></testcase>", places(one))
            }
            None => writeln!(text, "><system-out>{said}</system-out></testcase>"),
        };
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// The element that says how it went; none if it is well. There is no word for a warning.
fn outcome(one: &Judged, require_data: bool) -> Option<&'static str> {
    match (one.status, one.level) {
        (Status::Passed, _) | (Status::Failed, Level::Warn) => None,
        (Status::Failed, Level::Error) => Some("failure"),
        (Status::NoData, Level::Error) if require_data => Some("error"),
        (Status::NoData | Status::Ignored, _) => Some("skipped"),
    }
}

fn places(one: &Judged) -> String {
    let mut text = String::new();
    for evidence in &one.evidence {
        let file = evidence.file.as_deref().unwrap_or_default();
        let line = evidence.range.map(|range| format!(":{}", range.start)).unwrap_or_default();
        let detail = evidence.detail.as_deref().unwrap_or_default();
        let _ = writeln!(text, "{file}{line} {} {detail}", evidence.id);
    }
    escaped(&text)
}

/// Text as it may stand in XML, which not every character may.
fn escaped(text: &str) -> String {
    let allowed = |one: &char| !one.is_control() || matches!(one, '\n' | '\t');
    let safe: String =
        text.chars().filter(allowed).filter(|one| !matches!(one, '\u{fffe}' | '\u{ffff}')).collect();
    quick_xml::escape::escape(safe.as_str()).into_owned()
}
