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
