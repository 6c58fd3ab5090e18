//! Defects that were found in other tools of this kind, each as a test that ours has not got it. What other files of these
//! tests show already is named there.
//!
//! | defect | shown by |
//! |---|---|
//! | lists and coverage are served stale after a report changed | `coverage::a_report_that_was_changed_a_moment_ago_is_read_again`, `gate::a_report_that_was_rewritten_a_moment_ago_is_read_again`, `metrics::a_source_that_changed_a_moment_ago_is_measured_anew` |
//! | 300 files with 60 uncovered lines each: 16 gaps in one file | `gaps::every_uncovered_line_of_300_files_is_in_one_gap` |
//! | the gate needs a file that is not shipped | `gate::a_clean_change_passes_with_all_its_sources_named` (built in) |
//! | generated Python does not parse; generated tests fail on correct code | `testgen::tests_for_a_python_module_pass_by_themselves_and_reach_nearly_all_of_it`, `testgen::tests_for_a_javascript_module_pass_by_themselves_and_notice_a_fault` |
//! | files are written into the user's project | `testgen::nothing_is_left_in_the_project_and_files_are_only_added` |
//! | arguments are not validated | `definitions::the_schema_names_exactly_the_arguments_that_are_taken` |
//! | everything else | here |

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::project::Project;

/// The five tools, with arguments under which each succeeds on [`project`].
fn calls() -> [(&'static str, Value); 5] {
    [
        ("qe_coverage_analyze", json!({})),
        ("qe_coverage_gaps", json!({})),
        ("qe_quality_gate", json!({})),
        ("qe_quality_metrics", json!({})),
        ("qe_test_generate", json!({"targets": [{"file": "src/a.py"}], "mode": "plan"})),
    ]
}

fn project() -> Project {
    let project = Project::new();
    project
        .write("src/a.py", "def half(n):\n    if n % 2:\n        raise ValueError(n)\n    return n // 2\n");
    project.write("lcov.info", "SF:src/a.py\nDA:1,1\nDA:2,3\nDA:3,0\nDA:4,3\nend_of_record\n");
    project.write(
        "junit.xml",
        "<testsuite><testcase name='a' time='0.25'/><testcase name='b' time='0.5'/></testsuite>",
    );
    project
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

/// "Tool failures without `isError`."
#[tokio::test]
async fn a_failure_says_that_it_is_one() {
    let project = Project::new();
    for (tool, arguments) in [
        ("qe_coverage_analyze", json!({})),
        ("qe_coverage_gaps", json!({})),
        ("qe_quality_gate", json!({"gate": "none.toml"})),
        ("qe_quality_metrics", json!({"root": "none"})),
        ("qe_test_generate", json!({"targets": [{"file": "none.py"}]})),
    ] {
        // `refusal` asks that `isError` is true and nothing is made up beside it.
        let text = project.refusal(tool, arguments).await;
        assert!(text.len() > 20, "{tool}: {text}");
    }
}

/// "28 tool names contain `/`."
#[tokio::test]
async fn names_are_such_as_every_client_takes() {
    for definition in Project::new().tools.set.definitions() {
        let definition: Value = serde_json::from_slice(definition).unwrap();
        let name = definition["name"].as_str().unwrap();
        let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!((1..=64).contains(&name.len()) && name.chars().all(is_fine), "{name}");
    }
}

/// "The third identical call refused as a loop."
#[tokio::test]
async fn an_equal_call_is_answered_as_often_as_it_is_made() {
    let project = project();
    for (tool, arguments) in calls() {
        let mut first = project.call(tool, arguments.clone()).await;
        for again in 0..4 {
            let mut next = project.call(tool, arguments.clone()).await;
            // How much was known already is told, and differs.
            for answer in [&mut first, &mut next] {
                let answer = answer.as_object_mut().unwrap();
                answer.retain(|name, _| name != "computed_files" && name != "cached_files");
            }
            assert_eq!(next, first, "{tool}, call {again}");
        }
    }
}

/// "Deleting the coverage report raises the quality score from 60 to 70."
#[tokio::test]
async fn without_its_report_nothing_is_better_than_with_it() {
    let project = project();
    let conditions = json!([{"metric": "coverage", "op": ">=", "value": 80}]);
    let judged = project.call("qe_quality_gate", json!({"conditions": conditions})).await;
    assert_eq!((&judged["status"], &judged["exit_code"]), (&json!("failed"), &json!(2)));
    let measured = project.call("qe_quality_metrics", json!({})).await;
    assert_eq!(measured["coverage"]["line"]["pct"], 75.0);
    fs::remove_file(project.path("lcov.info")).unwrap();
    let judged = project.call("qe_quality_gate", json!({"conditions": conditions})).await;
    assert_eq!((&judged["status"], &judged["exit_code"]), (&json!("no_data"), &json!(3)));
    let after = project.call("qe_quality_metrics", json!({})).await;
    assert_eq!(after["coverage"], Value::Null);
    assert!(after["unknown"]["coverage"].is_string());
    // Nothing else moved because of it.
    assert_eq!(after["project"], measured["project"]);
}

/// "Security score is a constant 85", "p95 150 ms and 1,250 operations/s hard-coded", "per-test rows of a test run made up".
#[tokio::test]
async fn every_figure_follows_from_what_is_there() {
    let empty = Project::new();
    let none = empty.call("qe_quality_metrics", json!({})).await;
    let mut numbers = Vec::new();
    collect(&none["project"], &mut numbers);
    assert!(numbers.iter().all(|number| *number == 0.0), "an empty project has no figures: {none:#}");
    for what in ["coverage", "tests", "mutation"] {
        assert!(none[what].is_null() && none["unknown"][what].is_string(), "{none:#}");
    }
    let project = project();
    let before = project.call("qe_quality_metrics", json!({})).await;
    assert_eq!((&before["tests"]["total"], &before["tests"]["seconds"]), (&json!(2), &json!(0.75)));
    project
        .write("junit.xml", "<testsuite><testcase name='a'><failure message='no'/></testcase></testsuite>");
    let after = project.call("qe_quality_metrics", json!({})).await;
    assert_eq!(
        after["tests"],
        json!({"total": 1, "failed": 1, "skipped": 0, "flaky": 0, "seconds": null}),
        "what the report does not say is not known"
    );
    let judged = project
        .call("qe_quality_gate", json!({"conditions": [{"metric": "tests_failed", "op": "<=", "value": 0}]}))
        .await;
    let evidence = &judged["conditions"][0]["evidence"];
    assert_eq!(evidence, &json!([{"id": "a", "detail": "no"}]), "one test failed, and no other is told of");
}

fn collect(value: &Value, numbers: &mut Vec<f64>) {
    match value {
        Value::Number(number) => numbers.extend(number.as_f64()),
        Value::Array(all) => all.iter().for_each(|one| collect(one, numbers)),
        Value::Object(all) => all.values().for_each(|one| collect(one, numbers)),
        _ => {}
    }
}

/// "Coverage totals" of another project, "files written into the user's project": what only looks leaves no trace.
#[tokio::test]
async fn looking_changes_nothing() {
    let project = project();
    project.git(&["init", "-q", "-b", "main"]);
    project.git(&["add", "."]);
    project.git(&["commit", "-q", "-m", "one"]);
    let before = files(&project.path(""));
    for (tool, arguments) in calls() {
        let definition = definition(&project, tool);
        if tool != "qe_test_generate" {
            assert_eq!(definition["annotations"]["readOnlyHint"], true, "{tool}");
        }
        project.call(tool, arguments).await;
    }
    assert_eq!(files(&project.path("")), before);
}

/// "Text hidden in tool descriptions", and lists of tools that fill the context.
#[tokio::test]
async fn descriptions_are_plain_and_tell_no_model_what_to_do_beside_the_task() {
    let project = Project::new();
    for (tool, _) in calls() {
        let definition = definition(&project, tool);
        let text = definition["description"].as_str().unwrap();
        assert!(text.is_ascii() && !text.contains(['<', '>', '\n']), "{tool}: {text}");
        for word in ["ignore", "always", "must", "before anything", "secret", "important"] {
            assert!(!text.to_lowercase().contains(word), "{tool}: {word}: {text}");
        }
    }
}

/// "10 failures of 10 = confidence 1.0", "any pattern under 90.9 % success drifts to 0", and "no way to record a pattern".
#[tokio::test]
async fn ten_failures_in_a_row_never_give_a_high_confidence_and_nine_of_ten_successes_do() {
    let project = Project::new();
    let outcome = async |title: &str, result: &str| {
        let arguments =
            json!({"action": "record", "pattern": {"title": title}, "outcome": {"result": result}});
        project.call("qe_learn_pattern", arguments).await
    };
    let mut last = 1.0;
    for _ in 0..10 {
        let mean = outcome("always fails", "failure").await["posterior"]["mean"].as_f64().unwrap();
        assert!(mean < last && mean < 0.5, "each failure makes it less: {mean}");
        last = mean;
    }
    let failed = outcome("always fails", "failure").await;
    assert!(failed["posterior"]["upper95"].as_f64().unwrap() < 0.3, "{failed:#}");
    assert_eq!(failed["state"], "retired");
    for place in 0..100 {
        outcome("mostly works", if place % 10 == 9 { "failure" } else { "success" }).await;
    }
    let works = outcome("mostly works", "success").await;
    assert!((works["posterior"]["mean"].as_f64().unwrap() - 0.9).abs() < 0.02, "{works:#}");
    assert_eq!(works["state"], "active", "what is only asserted is never promoted");
    let suggested = project.call("qe_learn_pattern", json!({"action": "suggest"})).await;
    assert_eq!(suggested["suggestions"].as_array().unwrap().len(), 1, "what fails is not suggested");
}

/// "Learning lost": what was learnt is there for the next process; and being asked changes nothing.
#[tokio::test]
async fn asking_for_a_suggestion_is_no_evidence() {
    let project = Project::new();
    let record = json!({"action": "record", "pattern": {"title": "p"}, "outcome": {"result": "success"}});
    project.call("qe_learn_pattern", record).await;
    let before = project.call("qe_learn_status", json!({})).await;
    for _ in 0..5 {
        project.call("qe_learn_pattern", json!({"action": "suggest", "query": "p"})).await;
    }
    assert_eq!(project.call("qe_learn_status", json!({})).await, before);
}

/// "Coverage … 5.8–6.7 s", per-file gaps that name one file only: an answer fits a context whatever the project's size.
#[tokio::test]
async fn answers_of_a_large_project_are_short_and_say_how_much_is_left() {
    let project = Project::new();
    let mut report = String::new();
    for file in 0..400 {
        let body: Vec<String> =
            (0..10).map(|line| format!("    if a == {line}{file}:\n        a += {line}\n")).collect();
        let source = format!("def f{file}(a):\n{}    return a\n", body.concat());
        project.write(&format!("src/m{file:03}.py"), &source);
        let lines: Vec<String> = (1..=22).map(|line| format!("DA:{line},0\n")).collect();
        let part = format!("SF:src/m{file:03}.py\n{}end_of_record\n", lines.concat());
        report.push_str(&part);
    }
    project.write("lcov.info", &report);
    for (tool, arguments) in calls().into_iter().take(4) {
        let answer = project.call(tool, arguments).await;
        let bytes = answer.to_string().len();
        assert!(bytes <= 24 << 10, "{tool}: {bytes} bytes");
        if tool != "qe_quality_gate" {
            assert_eq!(answer["total"], 400, "{tool}");
            assert!(answer["next_cursor"].is_string(), "{tool}");
        }
    }
}

fn definition(project: &Project, tool: &str) -> Value {
    let all = project.tools.set.definitions().iter();
    let mut all = all.map(|definition| serde_json::from_slice::<Value>(definition).unwrap());
    all.find(|definition| definition["name"] == tool).unwrap()
}
