//! `qe_quality_gate` on real repositories.

mod repository;

use serde_json::{Value, json};

use crate::support::Tools;
use repository::{Repository, condition, lcov, report_of};

const GATE: &str = "qe_quality_gate";

/// A change of thirty lines that is tested, clean and new: everything that the built-in gate asks for.
fn clean() -> Repository {
    let repository = Repository::new();
    repository.write("src/new.py", &repository::function("area", 28));
    repository.write("coverage.info", &lcov("src/new.py", 1..=30, |_| 1));
    repository.write("junit.xml", r#"<testsuite><testcase name="a" classname="t"/></testsuite>"#);
    repository.write("lint.sarif", &report_of(&[]));
    repository
}

#[tokio::test]
async fn a_clean_change_passes_with_all_its_sources_named() {
    let repository = clean();
    let verdict = repository.judge(json!({})).await;
    assert_eq!((&verdict["status"], &verdict["exit_code"]), (&json!("passed"), &json!(0)), "{verdict:#}");
    assert_eq!(verdict["gate"]["source"], "built-in");
    assert_eq!((&verdict["new_code"]["base"], &verdict["new_code"]["lines"]), (&json!("main"), &json!(30)));
    assert_eq!(condition(&verdict, "new_coverage")["actual"], 100.0);
    assert_eq!(condition(&verdict, "new_coverage")["provenance"], json!(["coverage.info"]));
    let kinds: Vec<_> =
        verdict["provenance"].as_array().unwrap().iter().map(|from| from["kind"].clone()).collect();
    assert_eq!(kinds, ["junit", "sarif", "coverage", "source"]);
    for from in verdict["provenance"].as_array().unwrap().iter().filter(|from| from["kind"] != "source") {
        assert!(
            from["sha256"].as_str().is_some_and(|hash| hash.len() == 64) && from["bytes"].is_u64(),
            "{from}"
        );
        assert!(!from["modified"].is_null() && !from["format"].is_null(), "{from}");
    }
}

#[tokio::test]
async fn each_fault_fails_its_condition_and_says_where_it_is() {
    let repository = clean();
    repository.write("coverage.info", &lcov("src/new.py", 1..=30, |line| u32::from(line < 21)));
    repository.write(
        "junit.xml",
        r#"<testsuite><testcase name="a" classname="t" file="/build/src/old.py" line="2"><failure message="boom"/></testcase></testsuite>"#,
    );
    repository.write(
        "lint.sarif",
        &report_of(&[("E1", "error", "src/new.py", 7), ("E2", "warning", "src/old.py", 2)]),
    );
    let verdict = repository.judge(json!({})).await;
    assert_eq!((&verdict["status"], &verdict["exit_code"]), (&json!("failed"), &json!(2)), "{verdict:#}");
    let of = |metric: &str| condition(&verdict, metric);
    let coverage = of("new_coverage");
    assert_eq!((&coverage["status"], &coverage["actual"]), (&json!("failed"), &json!(66.66)));
    assert_eq!(coverage["evidence"], json!([{"file": "src/new.py", "range": [21, 30], "id": "never run"}]));
    let tests = of("tests_failed");
    assert_eq!(
        tests["evidence"],
        json!([{"file": "src/old.py", "range": [2, 2], "id": "t::a", "detail": "boom"}])
    );
    let issues = of("new_issues");
    assert_eq!(
        (&issues["actual"], &issues["evidence_total"]),
        (&json!(1.0), &json!(1)),
        "what is old is not new"
    );
    assert_eq!(issues["evidence"][0]["file"], "src/new.py");
    let short = repository.judge(json!({"explain": false})).await;
    assert!(condition(&short, "new_coverage").get("evidence").is_none());
}

#[tokio::test]
async fn losing_an_input_never_turns_a_verdict_for_the_better() {
    for lost in ["coverage.info", "junit.xml", "lint.sarif", ".git"] {
        let repository = clean();
        repository.remove(lost);
        let verdict = repository.judge(json!({})).await;
        assert_eq!(
            (&verdict["status"], &verdict["exit_code"]),
            (&json!("no_data"), &json!(3)),
            "{lost}: {verdict:#}"
        );
        let conditions = verdict["conditions"].as_array().unwrap();
        let unknown: Vec<_> = conditions.iter().filter(|one| one["status"] == "no_data").collect();
        assert!(!unknown.is_empty());
        for one in unknown {
            assert!(
                one["actual"].is_null() && one["reason"].as_str().is_some_and(|reason| reason.len() > 10),
                "{one}"
            );
        }
    }
    // One of two named reports is gone: what is left says less than both.
    let repository = clean();
    repository.write("more.xml", r#"<testsuite><testcase name="b"><failure/></testcase></testsuite>"#);
    let inputs = json!({"inputs": {"junit": ["junit.xml", "more.xml"]}});
    assert_eq!(condition(&repository.judge(inputs.clone()).await, "tests_failed")["status"], "failed");
    repository.remove("more.xml");
    assert_eq!(condition(&repository.judge(inputs).await, "tests_failed")["status"], "no_data");
}

#[tokio::test]
async fn new_code_that_no_report_knows_is_not_covered() {
    let repository = clean();
    repository.write("src/forgotten.py", &repository::function("forgotten", 8));
    repository.touch("coverage.info");
    repository.touch("junit.xml");
    repository.touch("lint.sarif");
    let verdict = repository.judge(json!({})).await;
    let coverage = condition(&verdict, "new_coverage");
    assert_eq!((&coverage["status"], &coverage["actual"]), (&json!("no_data"), &Value::Null), "{coverage:#}");
    assert!(coverage["reason"].as_str().unwrap().contains("src/forgotten.py"), "{coverage:#}");
    repository.write(".qe/gate.toml", "[gate]\nexclude = [\"src/forgotten.py\"]\n[[condition]]\nmetric = \"new_coverage\"\nop = \">=\"\nvalue = 80\n");
    assert_eq!(repository.judge(json!({})).await["status"], "passed");
}

#[tokio::test]
async fn a_report_that_is_older_than_the_code_says_nothing() {
    let repository = clean();
    repository.age("junit.xml", 600);
    let verdict = repository.judge(json!({})).await;
    assert_eq!(verdict["exit_code"], 3);
    let tests = condition(&verdict, "tests_failed");
    assert!(
        tests["reason"].as_str().unwrap().starts_with("stale: src/new.py was written after junit.xml"),
        "{tests}"
    );
    let gate =
        "[gate]\nrequire_data = false\n[[condition]]\nmetric = \"tests_failed\"\nop = \"<=\"\nvalue = 0\n";
    repository.write(".qe/gate.toml", gate);
    let verdict = repository.judge(json!({})).await;
    assert_eq!(verdict["status"], "passed");
    assert!(verdict["conditions"][0]["reason"].as_str().unwrap().contains("stale, used all the same"));
}

#[tokio::test]
async fn a_report_that_was_rewritten_a_moment_ago_is_read_again() {
    let repository = clean();
    for outcome in ["<failure/>", "<skipped/>", "<failure/>", "<failure/>", "<skipped/>"] {
        repository.write(
            "junit.xml",
            &format!(r#"<testsuite><testcase name="a">{outcome}</testcase></testsuite>"#),
        );
        let verdict = repository.judge(json!({})).await;
        let failed = u32::from(outcome == "<failure/>");
        assert_eq!(condition(&verdict, "tests_failed")["actual"], f64::from(failed));
    }
}

#[tokio::test]
async fn shares_of_a_small_change_are_ignored_and_counts_are_not() {
    let repository = Repository::new();
    repository.write("src/new.py", &repository::function("small", 3));
    repository.write("coverage.info", &lcov("src/new.py", 1..=5, |_| 0));
    repository.write("junit.xml", r#"<testsuite><testcase name="a"><failure/></testcase></testsuite>"#);
    repository.write("lint.sarif", &report_of(&[("E1", "note", "src/new.py", 1)]));
    let verdict = repository.judge(json!({})).await;
    let status = |metric: &str| condition(&verdict, metric)["status"].clone();
    assert_eq!((status("new_coverage"), status("new_duplicated_pct")), (json!("ignored"), json!("ignored")));
    assert!(condition(&verdict, "new_coverage")["reason"].as_str().unwrap().contains("new_lines 5 < 20"));
    assert_eq!((status("new_issues"), status("tests_failed")), (json!("failed"), json!("failed")));
}

#[tokio::test]
async fn duplicates_complexity_and_crap_of_new_code_are_measured() {
    let repository = Repository::new();
    repository.write("src/one.py", &repository::function("twice", 40));
    repository.write("src/two.py", &repository::function("twice", 40));
    let lines = |path| lcov(path, 1..=42, |_| 0);
    repository.write("coverage.info", &(lines("src/one.py") + &lines("src/two.py")));
    let conditions = json!([
        {"metric": "new_duplicated_pct", "op": "<=", "value": 3},
        {"metric": "complexity_max_new", "op": "<=", "value": 10},
        {"metric": "crap_max_new", "op": "<=", "value": 30, "level": "warn"},
        {"metric": "duplicated_pct", "op": "<=", "value": 100},
    ]);
    let verdict = repository.judge(json!({"conditions": conditions})).await;
    let of = |metric: &str| condition(&verdict, metric);
    assert!(of("new_duplicated_pct")["actual"].as_f64().unwrap() > 80.0, "{verdict:#}");
    assert_eq!(of("new_duplicated_pct")["evidence"][0]["file"], "src/one.py");
    // 40 lines, every other one an `if`.
    assert_eq!(
        (&of("complexity_max_new")["actual"], &of("complexity_max_new")["status"]),
        (&json!(21.0), &json!("failed"))
    );
    assert_eq!(of("crap_max_new")["actual"], 21.0 * 21.0 + 21.0, "comp² + comp, for nothing of it ran");
    assert_eq!(of("crap_max_new")["evidence"][0]["id"], "twice");
    assert_eq!(of("duplicated_pct")["status"], "passed");
}

#[tokio::test]
async fn a_warning_does_not_fail_and_is_not_hidden() {
    let repository = clean();
    repository.write(
        "junit.xml",
        r#"<testsuite><testcase name="a"><flakyFailure message="once"/></testcase></testsuite>"#,
    );
    let verdict = repository.judge(json!({})).await;
    assert_eq!((&verdict["status"], &verdict["exit_code"]), (&json!("warn"), &json!(0)));
    assert_eq!(condition(&verdict, "flaky")["evidence"][0]["detail"], "once");
}

#[tokio::test]
async fn a_baseline_is_a_ratchet() {
    let repository = clean();
    repository.write(
        "lint.sarif",
        &report_of(&[("E1", "error", "src/old.py", 1), ("E2", "error", "src/old.py", 2)]),
    );
    let first = repository.judge(json!({"format": "baseline"})).await;
    repository.write(".qe/baseline.json", first["content"].as_str().unwrap());
    let gate = "[[condition]]\nmetric = \"tests_failed\"\nop = \"<=\"\nvalue = 0\n[baseline]\nfile = \".qe/baseline.json\"\n";
    repository.write(".qe/gate.toml", gate);
    let same = repository.judge(json!({})).await;
    assert_eq!(same["status"], "passed", "{same:#}");
    assert_eq!((&same["baseline"]["fixed"], &same["baseline"]["new"]), (&json!(0), &json!(0)));
    assert_eq!(condition(&same, "coverage")["delta"], 0.0);
    // One is fixed, one is new, and coverage falls.
    repository.write(
        "lint.sarif",
        &report_of(&[("E1", "error", "src/old.py", 9), ("E3", "error", "src/old.py", 2)]),
    );
    repository.write("coverage.info", &lcov("src/new.py", 1..=30, |line| u32::from(line < 29)));
    let worse = repository.judge(json!({})).await;
    assert_eq!(worse["status"], "failed");
    assert_eq!(
        (&worse["baseline"]["fixed"], &worse["baseline"]["new"]),
        (&json!(1), &json!(1)),
        "a move is no new finding"
    );
    assert_eq!(worse["baseline"]["worse"], json!(["new_issues", "coverage"]));
    assert!(condition(&worse, "coverage")["delta"].as_f64().unwrap() < 0.0);
    // A new baseline lets nothing of that in.
    let next = repository.judge(json!({"format": "baseline"})).await;
    let next: Value = serde_json::from_str(next["content"].as_str().unwrap()).unwrap();
    let before: Value = serde_json::from_str(first["content"].as_str().unwrap()).unwrap();
    assert_eq!(next["metrics"]["coverage"], before["metrics"]["coverage"]);
    assert_eq!(next["issues"].as_array().unwrap().len(), 1);
    // Without its baseline a gate knows less, and does not pass.
    repository.remove(".qe/baseline.json");
    let gone = repository.judge(json!({})).await;
    assert_eq!((&gone["status"], &gone["exit_code"]), (&json!("no_data"), &json!(3)));
    assert!(gone["baseline"]["reason"].as_str().unwrap().contains("format"), "{gone:#}");
}

#[tokio::test]
async fn a_suppression_holds_until_its_day() {
    let repository = clean();
    repository.write("lint.sarif", &report_of(&[("E1", "error", "src/new.py", 1)]));
    let gate = "[[condition]]\nmetric = \"new_issues\"\nop = \"<=\"\nvalue = 0\n[[suppress]]\nrule = \"E1\"\nfile = \"src/\"\nreason = \"goes with the next release\"\nexpires = \"2026-11-21\"\n";
    repository.write(".qe/gate.toml", gate);
    let held = repository.judge(json!({})).await;
    assert_eq!((&held["status"], &held["suppressed"]["by_gate"]), (&json!("passed"), &json!(1)), "{held:#}");
    repository.tools.advance(24 * 3_600);
    let expired = repository.judge(json!({})).await;
    assert_eq!(expired["status"], "failed");
    assert!(expired["suppressed"]["expired"][0].as_str().unwrap().contains("2026-11-21"));
}

#[tokio::test]
async fn documents_say_what_the_verdict_says() {
    let repository = clean();
    repository.write(
        "junit.xml",
        r#"<testsuite><testcase name="a"><failure message="boom"/></testcase></testsuite>"#,
    );
    let document = async |format: &str| {
        let result = repository.judge(json!({"format": format})).await;
        assert_eq!(
            (&result["status"], &result["exit_code"], &result["format"]),
            (&json!("failed"), &json!(2), &json!(format))
        );
        result["content"].as_str().unwrap().to_owned()
    };
    let markdown = document("markdown").await;
    assert!(markdown.contains("| **failed** | tests\\_failed \\<= 0 | 1 |"), "{markdown}");
    let sarif: Value = serde_json::from_str(&document("sarif").await).unwrap();
    let failures =
        sarif["runs"][0]["results"].as_array().unwrap().iter().filter(|result| result["kind"] == "fail");
    assert_eq!(failures.map(|result| result["ruleId"].clone()).collect::<Vec<_>>(), ["tests_failed"]);
    assert!(document("junit").await.contains(r#"failures="1" errors="0""#));
}

#[tokio::test]
async fn broken_hostile_and_foreign_inputs_are_no_data_with_the_reason() {
    let repository = clean();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("junit.xml"), "<testsuite><testcase name='a'/></testsuite>").unwrap();
    std::os::unix::fs::symlink(outside.path().join("junit.xml"), repository.path("link.xml")).unwrap();
    for (name, text) in [
        ("half.xml", "<testsuite><testcase name='a'>"),
        ("bomb.xml", "<!DOCTYPE a [<!ENTITY a \"b\"><!ENTITY c \"&a;&a;\">]><testsuite>&c;</testsuite>"),
        ("page.xml", "<html></html>"),
        ("none.xml", "<testsuite/>"),
    ] {
        repository.write(name, text);
    }
    let outside = outside.path().join("junit.xml").display().to_string();
    for (input, words) in [
        ("half.xml", "ends before its elements do"),
        ("bomb.xml", "entities"),
        ("page.xml", "no test report"),
        ("none.xml", "no test"),
        ("absent.xml", "No such file"),
        ("../../etc/passwd", ""),
        ("link.xml", "outside"),
        (outside.as_str(), "outside"),
        ("src/", "no report in it"),
    ] {
        let verdict = repository.judge(json!({"inputs": {"junit": [input]}})).await;
        let tests = condition(&verdict, "tests_failed");
        assert_eq!(
            (&tests["status"], &tests["actual"]),
            (&json!("no_data"), &Value::Null),
            "{input}: {tests}"
        );
        assert!(tests["reason"].as_str().unwrap().contains(words), "{input}: {tests}");
        assert_eq!(verdict["exit_code"], 3);
    }
}

#[tokio::test]
async fn repositories_without_commits_main_line_or_git_say_so() {
    let reason = async |repository: &Repository, arguments: Value| {
        repository.judge(arguments).await["new_code"]["reason"].as_str().unwrap_or_default().to_owned()
    };
    let repository = clean();
    assert!(reason(&repository, json!({"base": "v9"})).await.contains("no commit `v9`"));
    assert!(reason(&repository, json!({"base": "--all"})).await.contains("no commit `--all`"));
    repository.git(&["branch", "-m", "main", "trunk"]);
    assert!(reason(&repository, json!({})).await.contains("give `base`"));
    assert_eq!(repository.judge(json!({"base": "trunk"})).await["status"], "passed");
    let empty = Repository::empty();
    assert!(reason(&empty, json!({})).await.contains("no commit yet"));
    empty.remove(".git");
    assert!(reason(&empty, json!({})).await.contains("no Git working tree"));
}

#[tokio::test]
async fn a_gate_that_cannot_be_meant_is_refused() {
    let repository = clean();
    let refusal = async |arguments: Value| repository.refusal(GATE, arguments).await;
    let with = |condition: Value| json!({"conditions": [condition]});
    let text = refusal(with(json!({"metric": "new_coverge", "op": ">=", "value": 80}))).await;
    assert!(text.ends_with("did you mean `new_coverage`?"), "{text}");
    for (arguments, words) in [
        (with(json!({"metric": "coverage", "op": "~", "value": 80})), "`~`"),
        (with(json!({"metric": "coverage", "op": ">=", "value": 180})), "from 0 to 100"),
        (with(json!({"metric": "flaky", "op": "<=", "value": 0, "severity": "error"})), "no severity"),
        (json!({"conditions": []}), "empty"),
        (json!({"gate": "none.toml"}), "none.toml"),
        (json!({"gate": "../gate.toml"}), "gate.toml"),
        (json!({"format": "html"}), "`html`"),
    ] {
        let text = refusal(arguments).await;
        assert!(text.contains(words), "{text}");
    }
    repository.write(".qe/gate.toml", "[gate]\nname = \"empty\"\n");
    assert!(refusal(json!({})).await.contains("let everything pass"));
    let none = Tools::new();
    assert!(none.refusal(GATE, "{}").await.contains("[qe]"));
}

#[tokio::test]
async fn a_report_that_is_cut_off_is_not_better_than_the_whole() {
    let repository = clean();
    let whole = lcov("src/new.py", 1..=30, |line| u32::from(line < 11));
    repository.write("coverage.info", &whole);
    assert_eq!(condition(&repository.judge(json!({})).await, "new_coverage")["status"], "failed");
    let cut = whole.split("DA:11,").next().unwrap();
    repository.write("coverage.info", cut);
    let coverage = condition(&repository.judge(json!({})).await, "new_coverage");
    assert_eq!(
        (&coverage["status"], &coverage["actual"]),
        (&json!("no_data"), &json!(100.0)),
        "{coverage:#}"
    );
}

#[tokio::test]
async fn a_thousand_reports_with_endless_names_make_a_short_verdict() {
    let repository = clean();
    let name = "x".repeat(5_000);
    for number in 0..300 {
        let case = format!("<testcase name='{name}{number}'><failure message='{name}'/></testcase>");
        repository
            .write(&format!("test-results/TEST-{number}.xml"), &format!("<testsuite>{case}</testsuite>"));
    }
    let verdict = repository.judge(json!({})).await;
    assert_eq!(condition(&verdict, "tests_failed")["actual"], 300.0);
    let bytes = verdict.to_string().len();
    assert!(bytes < 24_000, "{bytes} bytes");
    assert_eq!(verdict["provenance_total"], 304);
}

#[tokio::test]
async fn every_place_of_a_condition_comes_with_some_page() {
    let repository = clean();
    let findings: Vec<_> = (1..=30).map(|line| ("E1", "error", "src/new.py", line)).collect();
    repository.write("lint.sarif", &report_of(&findings));
    let first = repository.judge(json!({})).await;
    let mut page = condition(&first, "new_issues");
    let mut lines: Vec<u64> = Vec::new();
    loop {
        assert_eq!(page["evidence_total"], 30);
        lines.extend(
            page["evidence"].as_array().unwrap().iter().map(|place| place["range"][0].as_u64().unwrap()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        let next = repository.judge(json!({"cursor": cursor})).await;
        assert_eq!((&next["status"], &next["is_part"]), (&first["status"], &json!(true)));
        assert_eq!(next["conditions"].as_array().unwrap().len(), 1);
        page = condition(&next, "new_issues");
    }
    assert_eq!(lines, (1..=30).collect::<Vec<_>>());
    let cursor = condition(&first, "new_issues")["next_cursor"].clone();
    let refused = async |arguments: Value| repository.refusal(GATE, arguments).await;
    assert!(refused(json!({"cursor": cursor, "format": "sarif"})).await.contains("`format`"));
    for none in ["", "x", "99.0-0", "2.zz-1"] {
        assert!(refused(json!({"cursor": none})).await.contains("`cursor`"), "{none}");
    }
    repository.write("lint.sarif", &report_of(&findings[..29]));
    assert!(refused(json!({"cursor": cursor})).await.contains("has changed"));
    let sarif = repository.judge(json!({"format": "sarif"})).await;
    assert!(sarif["content"].as_str().unwrap().contains("new_issues: 10 of 29 places are named"));
}

#[tokio::test]
async fn a_test_that_failed_in_one_run_and_passed_in_another_is_flaky_and_failed() {
    let repository = clean();
    let shard = |name: &str, inside: &str| {
        let cases = format!(
            r#"<testcase name="a" classname="t">{inside}</testcase><testcase name="{name}" classname="t"/>"#
        );
        repository.write(
            &format!("test-results/{name}.xml"),
            &format!(r#"<testsuite name="s">{cases}</testsuite>"#),
        );
    };
    repository.remove("junit.xml");
    shard("one", r#"<failure message="boom">src/old.py:2: AssertionError</failure>"#);
    shard("two", "");
    let verdict = repository.judge(json!({})).await;
    let flaky = condition(&verdict, "flaky");
    assert_eq!((&flaky["actual"], &flaky["evidence_total"]), (&json!(1.0), &json!(1)), "{flaky:#}");
    let place = &flaky["evidence"][0];
    assert_eq!(place["detail"], "failed in test-results/one.xml, passed in test-results/two.xml");
    assert_eq!((&place["file"], &place["range"]), (&json!("src/old.py"), &json!([2, 2])));
    let failed = condition(&verdict, "tests_failed");
    assert_eq!(failed["actual"], 1.0, "which run was the last is not known");
    assert_eq!(failed["evidence"][0]["file"], "src/old.py");
    // A test of the same name in another suite is another test.
    repository.write(
        "test-results/two.xml",
        r#"<testsuite name="other"><testcase name="a" classname="t"/></testsuite>"#,
    );
    assert_eq!(condition(&repository.judge(json!({})).await, "flaky")["actual"], 0.0);
}

#[tokio::test]
async fn mutants_of_new_lines_are_judged_by_themselves() {
    let repository = clean();
    let mutant = |line: u32, status: &str| json!({"id": line.to_string(), "mutatorName": "M", "status": status, "location": {"start": {"line": line, "column": 1}, "end": {"line": line, "column": 2}}});
    let report = |new: Vec<Value>, old: Vec<Value>, file: &str| {
        let of = |mutants: Vec<Value>| json!({"language": "python", "source": "", "mutants": mutants});
        let all = json!({"schemaVersion": "2", "thresholds": {"high": 80, "low": 60}, "files": {file: of(new), "src/old.py": of(old)}});
        repository.write("reports/mutation/mutation.json", &all.to_string());
    };
    let asked = json!({"conditions": [
        {"metric": "new_mutation_score", "op": ">=", "value": 60},
        {"metric": "mutation_score", "op": ">=", "value": 60},
    ]});
    let new = || vec![mutant(2, "Killed"), mutant(3, "Survived")];
    report(new(), vec![mutant(1, "Killed"), mutant(2, "Timeout")], "src/new.py");
    let verdict = repository.judge(asked.clone()).await;
    let of = condition(&verdict, "new_mutation_score");
    assert_eq!((&of["actual"], &of["status"]), (&json!(50.0), &json!("failed")), "{of:#}");
    assert_eq!(of["evidence"], json!([{"file": "src/new.py", "range": [3, 3], "id": "M"}]));
    assert_eq!(condition(&verdict, "mutation_score")["actual"], 75.0);
    report(vec![mutant(2, "Pending")], vec![], "src/new.py");
    assert_eq!(condition(&repository.judge(asked.clone()).await, "new_mutation_score")["status"], "no_data");
    report(vec![], vec![mutant(1, "Survived")], "src/new.py");
    assert_eq!(condition(&repository.judge(asked.clone()).await, "new_mutation_score")["status"], "ignored");
    // Of mutants that cannot be placed nobody knows whether they are new.
    report(new(), vec![], "elsewhere/new.py");
    let of = condition(&repository.judge(asked).await, "new_mutation_score");
    assert_eq!((&of["actual"], &of["status"]), (&Value::Null, &json!("no_data")), "{of:#}");
}
