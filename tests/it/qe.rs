//! The built-in quality tools on the command line.

use serde_json::Value;

use crate::support::{Home, Ran};

const SOURCE: &str = "def half(n):\n    if n % 2:\n        raise ValueError(n)\n    return n // 2\n";
const REPORT: &str = "SF:half.py\nDA:1,1\nDA:2,3\nDA:3,0\nDA:4,3\nend_of_record\n";

fn project() -> Home {
    let home = Home::new();
    home.write("half.py", SOURCE);
    home.write("lcov.info", REPORT);
    home
}

fn gate(home: &Home, condition: &str) -> Ran {
    home.run(&[
        "qe",
        "quality-gate",
        "--inputs",
        r#"{"coverage":["lcov.info"]}"#,
        "--conditions",
        condition,
        "--json",
    ])
}

#[test]
fn a_gate_exits_with_its_verdict() {
    let home = project();
    for (condition, code, status) in [
        (r#"{"metric":"coverage","op":">=","value":70}"#, 0, "passed"),
        (r#"{"metric":"coverage","op":">=","value":80}"#, 2, "failed"),
        (r#"{"metric":"mutation_score","op":">=","value":60}"#, 3, "no_data"),
    ] {
        let ran = gate(&home, condition);
        let said: Value =
            serde_json::from_str(&ran.out()).unwrap_or_else(|_| panic!("{}{}", ran.out(), ran.err()));
        assert_eq!((ran.code(), said["status"].as_str()), (Some(code), Some(status)), "{said}");
    }
    let ran = gate(&home, r#"{"metric":"covrage","op":">=","value":80}"#);
    assert_eq!((ran.code(), ran.out().as_str()), (Some(1), ""));
    assert!(ran.err().contains("coverage"), "{}", ran.err());
}

#[test]
fn what_a_client_of_mcp_gets_is_what_the_command_line_prints() {
    let home = project();
    let mut alone = home.run(&["qe", "coverage-analyze", "--reports", "lcov.info", "--json"]).json();
    assert_eq!(
        alone["totals"]["line"],
        serde_json::json!({ "covered": 3, "total": 4, "pct": 75.0 }),
        "{alone}"
    );
    let _server = home.start(&[]);
    let asked = r#"{"reports":["lcov.info"]}"#;
    let mut served = home.run(&["mcp", "tools", "call", "qe_coverage_analyze", asked, "--json"]).json();
    let served = served["structuredContent"].take();
    assert_eq!(alone.take(), served);
}

#[test]
fn results_are_for_people_unless_json_is_asked_for() {
    let home = project();
    let ran = home.run(&["qe", "quality-metrics", "--group-by", "function"]);
    assert_eq!(ran.code(), Some(0), "{}", ran.err());
    assert!(ran.out().contains("half") && !ran.out().starts_with('{'), "{}", ran.out());
    let wrong = home.run(&["qe", "quality-metrics", "--group-by", "moon"]);
    assert!(wrong.code() == Some(2) && wrong.err().contains("function"), "{}", wrong.err());
}

#[test]
fn each_tool_tells_people_what_matters() {
    let home = project();
    home.write("junit.xml", "<testsuite><testcase name='a'/></testsuite>");
    let plan = ["test-generate", "--targets", r#"{"file":"half.py"}"#, "--mode", "plan"];
    for (line, wanted) in [
        (&["coverage-analyze"][..], &["lines      75 % (3 of 4)", "half.py", "from lcov.info"][..]),
        (
            &["coverage-gaps"],
            &["half.py:3  half", "CRAP", r#"qe test-generate --targets '{"gap_id":"half.py:3@"#],
        ),
        (
            &["quality-metrics", "--group-by", "function"],
            &[
                "coverage         lines 75 %",
                "tests            1: 0 failed",
                "mutation         –: ",
                "half.py:1-4  half",
            ],
        ),
        (&plan, &["half.py", "not run", "half"]),
    ] {
        let ran = home.run(&[&["qe"], line].concat());
        assert_eq!(ran.code(), Some(0), "{line:?}: {}", ran.err());
        for part in wanted {
            assert!(ran.out().contains(part), "{part} is not in\n{}", ran.out());
        }
        let widest = ran.out().lines().map(|line| line.chars().count()).max();
        assert!(widest < Some(200), "{}", ran.out());
    }
}

#[test]
fn a_verdict_is_told_with_its_places_and_documents_as_they_are() {
    let home = project();
    home.write("junit.xml", "<testsuite><testcase name='a'><failure message='no'>half.py:3: ValueError</failure></testcase></testsuite>");
    let condition = r#"{"metric":"tests_failed","op":"<=","value":0}"#;
    let line = ["qe", "quality-gate", "--conditions", condition];
    let ran = home.run(&line);
    assert_eq!(ran.code(), Some(2), "{}", ran.err());
    for part in ["Quality gate failed", "FAILED", "tests_failed <= 0", "half.py:3  a: no", "from junit.xml"] {
        assert!(ran.out().contains(part), "{part} is not in\n{}", ran.out());
    }
    let sarif = home.run(&[&line[..], &["--format", "sarif"]].concat());
    let document: Value = serde_json::from_str(&sarif.out()).unwrap();
    assert_eq!((sarif.code(), &document["version"]), (Some(2), &Value::from("2.1.0")));
    let markdown = home.run(&[&line[..], &["--format", "markdown"]].concat());
    assert!(
        markdown.code() == Some(2) && markdown.out().starts_with("## Quality gate failed"),
        "{}",
        markdown.out()
    );
}

#[test]
fn the_help_has_examples_and_exit_codes() {
    let home = Home::new();
    let ran = home.run(&["qe", "quality-gate", "--help"]);
    assert_eq!(ran.code(), Some(0));
    for part in ["--base main", "Exit codes: 0", "2 failed", "3 no data", "TOML file", "--cursor"] {
        assert!(ran.out().replace("origin/", "").contains(part), "{part} is not in\n{}", ran.out());
    }
}
