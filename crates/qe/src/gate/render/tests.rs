use proptest::prelude::*;

use super::*;
use crate::gate::condition::{Condition, Level, Op, Rules, Verdict};
use crate::gate::inputs::{junit as junit_in, sarif as sarif_in};
use crate::gate::measured::{Evidence, Measured};
use crate::gate::metric::Metric;
use crate::gate::verdict::{Judged, Named, NewCode, Report, Suppressed, summary};
use crate::project::git::Lines;

const RULES: Rules = Rules { require_data: true, min_new_lines: 20, new_lines: Some(100) };

fn judged(metric: Metric, op: Op, threshold: f64, level: Level, measured: Measured) -> Judged {
    Judged::new(
        &Condition { metric, op, threshold, level, severity: None },
        measured,
        RULES,
        None,
        |places| (places, None),
    )
}

fn report(name: &str, file: &str) -> Report {
    let place = |line| Evidence {
        file: Some(file.to_owned()),
        range: Some(Lines { start: line, end: line + 1 }),
        id: name.to_owned(),
        detail: Some(name.to_owned()),
    };
    let bad = Measured::known(2.0).with(vec![place(3), place(9)]);
    let conditions = vec![
        judged(Metric::NewCoverage, Op::AtLeast, 80.0, Level::Error, Measured::known(85.5)),
        judged(Metric::TestsFailed, Op::AtMost, 0.0, Level::Error, bad.clone()),
        judged(Metric::Flaky, Op::AtMost, 0.0, Level::Warn, bad),
        judged(Metric::MutationScore, Op::AtLeast, 60.0, Level::Error, Measured::unknown(name)),
        judged(Metric::CrapMaxNew, Op::AtMost, 30.0, Level::Error, Measured::nothing("no new function")),
    ];
    Report {
        status: Verdict::Failed,
        exit_code: 2,
        summary: summary(Verdict::Failed, &conditions),
        is_part: false,
        gate: Named { name: name.to_owned(), source: "built-in".into(), require_data: true },
        new_code: NewCode {
            base: None,
            commit: None,
            files: None,
            lines: None,
            reason: Some(name.to_owned()),
        },
        conditions,
        baseline: None,
        suppressed: Suppressed::default(),
        provenance: Vec::new(),
        provenance_total: 0,
        warnings: vec![name.to_owned()],
    }
}

#[test]
fn the_summary_says_how_many_of_each() {
    assert_eq!(
        report("x", "a").summary,
        "Quality gate failed: 1 of 5 conditions hold, 2 do not, 1 have no data, 1 are ignored."
    );
}

#[test]
fn sarif_tells_failures_from_what_is_not_known() {
    let findings = sarif_in::parse(sarif(&report("t", "src/a b.py")).unwrap().as_bytes()).unwrap();
    let said: Vec<_> =
        findings.issues.iter().map(|one| (one.rule.as_str(), one.severity, one.file.as_deref())).collect();
    let (error, warning) = (sarif_in::Severity::Error, sarif_in::Severity::Warning);
    let file = Some("src/a b.py");
    let wanted = [
        ("tests_failed", error, file),
        ("tests_failed", error, file),
        ("flaky", warning, file),
        ("flaky", warning, file),
    ];
    assert_eq!(said, wanted);
    assert_eq!(findings.issues[0].lines, Some(Lines { start: 3, end: 4 }));
}

#[test]
fn junit_counts_what_fails_and_what_is_not_known() {
    let tests = junit_in::parse(&junit(&report("t", "a.py"))).unwrap();
    assert_eq!((tests.total, tests.failed, tests.skipped, tests.warnings.len()), (5, 2, 1, 0));
    let lax = Report { gate: Named { require_data: false, ..report("t", "a").gate }, ..report("t", "a.py") };
    let tests = junit_in::parse(&junit(&lax)).unwrap();
    assert_eq!((tests.total, tests.failed, tests.skipped), (5, 1, 2));
}

#[test]
fn markdown_has_a_row_for_each_condition_and_no_markup_of_strangers() {
    let text = markdown(&report("<img src=x> | `a` [b](c)\n# d", "a_b.py"));
    assert_eq!(text.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |")).count(), 6);
    assert!(text.contains("| passed | new\\_coverage \\>= 80 | 85.5 % |"), "{text}");
    assert!(text.contains("\\<img src=x\\> \\| \\`a\\` \\[b\\](c) \\# d"), "{text}");
    assert!(!text.contains(" <img") && !text.contains(" [b]") && !text.contains("\n# d"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_names_there_are_the_documents_stay_whole(name in "\\PC{0,30}|[<>&'\"\\]\\[!\\x00-\\x1f]{0,20}", file in "\\PC{1,20}") {
        let report = report(&name, &file);
        let tests = junit_in::parse(&junit(&report)).unwrap();
        prop_assert_eq!((tests.total, tests.failed), (5, 2));
        let findings = sarif_in::parse(sarif(&report).unwrap().as_bytes()).unwrap();
        prop_assert_eq!(findings.issues.len(), 4);
        prop_assert_eq!(findings.issues[0].file.as_deref(), Some(file.as_str()));
        markdown(&report);
    }
}
