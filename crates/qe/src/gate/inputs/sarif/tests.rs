use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn log(results: &Value) -> Vec<u8> {
    let rules = json!([{ "id": "R1", "defaultConfiguration": { "level": "error" } }, { "id": "R2" }]);
    json!({
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "lint", "version": "1.2", "rules": rules } },
            "originalUriBaseIds": { "SRC": { "uri": "file:///work/project/" } },
            "artifacts": [{ "location": { "uri": "src/b%20c.py" } }],
            "results": results
        }]
    })
    .to_string()
    .into_bytes()
}

fn issues(results: &Value) -> Vec<Issue> {
    parse(&log(results)).unwrap().issues
}

#[test]
fn the_level_is_the_results_else_the_rules_else_warning() {
    let found = issues(&json!([
        { "ruleId": "R1", "message": { "text": "a" } },
        { "ruleIndex": 0, "level": "note", "message": { "text": "a" } },
        { "ruleId": "R1/2", "message": { "text": "a" } },
        { "ruleId": "R2", "message": { "text": "a" } },
        { "rule": { "index": 1 }, "message": { "text": "a" } },
        { "message": { "text": "a" } },
    ]));
    let said: Vec<_> = found.iter().map(|issue| (issue.rule.as_str(), issue.severity)).collect();
    let wanted = [
        ("R1", Severity::Error),
        ("R1", Severity::Note),
        ("R1/2", Severity::Error),
        ("R2", Severity::Warning),
        ("R2", Severity::Warning),
        ("unnamed", Severity::Warning),
    ];
    assert_eq!(said, wanted);
}

#[test]
fn what_is_suppressed_absent_or_no_failure_is_no_issue() {
    let findings = parse(&log(&json!([
        { "suppressions": [{ "kind": "inSource" }] },
        { "suppressions": [{ "kind": "external", "status": "accepted" }] },
        { "suppressions": [{ "kind": "external", "status": "underReview" }], "message": { "text": "kept" } },
        { "suppressions": [] , "message": { "text": "kept" } },
        { "baselineState": "absent" },
        { "kind": "pass" },
        { "kind": "informational" },
        { "kind": "fail", "message": { "text": "kept" } },
    ])))
    .unwrap();
    assert!(findings.issues.iter().all(|issue| issue.message == "kept"));
    assert_eq!((findings.issues.len(), findings.suppressed), (3, 2));
    assert_eq!(findings.tools, ["lint 1.2"]);
}

#[test]
fn places_are_found_by_uri_base_and_index() {
    let at = |location: &Value, region: &Value| {
        let place = json!({ "physicalLocation": { "artifactLocation": location, "region": region } });
        let issue = issues(&json!([{ "locations": [place] }])).remove(0);
        (issue.file, issue.lines.map(|lines| (lines.start, lines.end)))
    };
    let file = |name: &str| Some(name.to_owned());
    assert_eq!(
        at(&json!({ "uri": "src/a.py" }), &json!({ "startLine": 3 })),
        (file("src/a.py"), Some((3, 3)))
    );
    let based = json!({ "uri": "src/a.py", "uriBaseId": "SRC" });
    assert_eq!(
        at(&based, &json!({ "startLine": 3, "endLine": 5 })),
        (file("/work/project/src/a.py"), Some((3, 5)))
    );
    assert_eq!(
        at(&json!({ "uri": "src/a.py", "uriBaseId": "%SRCROOT%" }), &json!({})),
        (file("src/a.py"), None)
    );
    assert_eq!(at(&json!({ "index": 0 }), &json!({ "startLine": 0 })), (file("src/b c.py"), None));
    assert_eq!(
        at(&json!({ "uri": "file:///x/a.py" }), &json!({ "startLine": 9, "endLine": 1 })),
        (file("/x/a.py"), Some((9, 9)))
    );
    assert_eq!(at(&json!({ "index": -1 }), &json!({})), (None, None));
}

#[test]
fn a_fingerprint_outlives_a_move_and_tells_twins_apart() {
    let result = |line: u32, text: &str| {
        json!({ "ruleId": "R1", "message": { "text": text }, "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": "a.py" }, "region": { "startLine": line } } }] })
    };
    let one = issues(&json!([result(3, "a"), result(4, "b"), result(9, "a")]));
    let moved = issues(&json!([result(5, "a"), result(6, "b"), result(11, "a")]));
    let prints = |issues: &[Issue]| issues.iter().map(|issue| issue.fingerprint.clone()).collect::<Vec<_>>();
    assert_eq!(prints(&one), prints(&moved));
    let mut all = prints(&one);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3);
    let said = |value: &str, text: &str| json!({ "partialFingerprints": { "h": value }, "message": { "text": text } });
    let said = issues(&json!([said("1", "a"), said("2", "a"), said("3", "x")]));
    let reworded = issues(&json!([{ "partialFingerprints": { "h": "1" }, "message": { "text": "b" } }]));
    assert_eq!(said[0].fingerprint, reworded[0].fingerprint, "the analyser's own fingerprint decides");
    assert_ne!(said[0].fingerprint, said[1].fingerprint);
}

#[test]
fn a_report_that_compares_says_what_is_new() {
    let found = issues(
        &json!([{ "baselineState": "new" }, { "baselineState": "unchanged" }, { "baselineState": "updated" }, {}]),
    );
    assert_eq!(
        found.iter().map(|issue| issue.is_new).collect::<Vec<_>>(),
        [Some(true), Some(false), Some(false), None]
    );
}

#[test]
fn what_did_not_analyse_is_not_clean() {
    let run = |more: &str| {
        format!(r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"lint"}}}}{more}}}]}}"#)
    };
    for (bad, words) in [
        (run(""), "no `results`"),
        (run(r#","results":[],"invocations":[{"executionSuccessful":false}]"#), "did not succeed"),
        (r#"{"version":"1.0.0","runs":[]}"#.to_owned(), "1.0.0"),
        (r#"{"version":"2.1.0","runs":[]}"#.to_owned(), "no run"),
        ("{}".to_owned(), "no SARIF"),
        ("[".repeat(1_000), "no SARIF"),
        (String::new(), "no SARIF"),
    ] {
        let error = parse(bad.as_bytes()).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert!(parse(run(r#","results":[]"#).as_bytes()).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_result_is_lost(levels in proptest::collection::vec(0_usize..4, 0..30)) {
        let names = ["none", "note", "warning", "error"];
        let results: Vec<_> = levels.iter().map(|level| json!({ "level": names[*level], "message": { "text": "a" } })).collect();
        let found = issues(&json!(results));
        let ranks: Vec<_> = found.iter().map(|issue| issue.severity as usize).collect();
        assert_eq!(ranks, levels);
    }

    #[test]
    fn any_uri_is_a_path(uri in "\\PC{0,40}|(%[0-9a-f]{0,2}|/|file:|\\.\\.){0,12}") {
        issues(&json!([{ "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri } } }] }]));
    }
}
