//! `qe_coverage_gaps` on projects in temporary folders.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::project::Project;

const TOOL: &str = "qe_coverage_gaps";

const SOURCE: &str = "import os\n\n\ndef simple(a):\n    return a\n\n\ndef risky(a, b):\n    if a > b:\n        x = 1\n    elif a and b:\n        x = 2\n    else:\n        x = 3\n\n    def inner():\n        return 9\n\n    return x + inner()\n";

fn project() -> Project {
    let project = Project::new();
    project.write("src/m.py", SOURCE);
    project.write("src/other.py", "from m import risky\nrisky(1, 2)\n");
    project.write("tests/test_m.py", "from m import simple\nsimple(1)\n");
    // `simple` never ran; of `risky` the first way alone.
    let report = "SF:src/m.py\nDA:1,1\nDA:4,1\nDA:5,0\nDA:8,1\nDA:9,1\nDA:10,1\nDA:11,0\nDA:12,0\nDA:14,0\nDA:16,1\nDA:17,0\nDA:19,1\nBRDA:9,0,jump to line 10,1\nBRDA:9,0,jump to line 11,0\nBRDA:11,0,jump to line 12,-\nBRDA:11,0,jump to line 14,-\nend_of_record\n";
    project.write("lcov.info", report);
    project
}

fn named<'a>(result: &'a Value, name: &str) -> &'a Value {
    let gaps = result["gaps"].as_array().unwrap();
    gaps.iter().find(|gap| gap["function"]["name"] == name).unwrap_or_else(|| panic!("{name} in {result}"))
}

#[tokio::test]
async fn a_gap_has_what_is_needed_to_write_its_test() {
    let project = project();
    let result = project.call(TOOL, json!({})).await;
    assert_eq!((&result["total"], &result["uncovered_lines"]), (&json!(3), &json!(5)));
    let first = &result["gaps"][0];
    assert_eq!(first["function"]["name"], "risky", "the riskiest comes first: {result}");
    assert_eq!(first["function"]["lines"], json!([8, 19]));
    assert_eq!((&first["range"], &first["ranges"]), (&json!([11, 14]), &json!([[11, 14]])));
    // Complexity 1 + if + elif + and, 4 of 7 lines without `inner`: 4² · (3/7)³ + 4.
    assert_eq!((&first["cyclomatic"], &first["crap"]), (&json!(4), &json!(5.26)));
    assert_eq!(first["line_pct"], 57.14);
    let missing = json!([{"line": 9, "condition": "a > b", "outcome": "false"}]);
    assert_eq!((&first["missing_branches"], &first["missing_branches_total"]), (&missing, &json!(1)));
    assert_eq!(first["used_in_files"], 1);
    assert!(first["snippet"].as_str().unwrap().contains("11:     elif a and b:"), "{first}");
    let suggest = &first["suggest"];
    assert_eq!(suggest["tool"], "qe_test_generate");
    assert_eq!(suggest["arguments"], json!({"targets": [{"gap_id": first["id"]}]}));
    assert_eq!(named(&result, "simple")["nearest_tests"], json!(["tests/test_m.py"]));
    assert_eq!(named(&result, "risky.inner")["ranges"], json!([[17, 17]]), "a function inside has its own");
    assert_eq!(first["commits_90d"], Value::Null);
    assert!(!result["history"].as_str().unwrap().is_empty(), "null has a reason: {result}");
    assert_eq!(result["provenance"][0]["path"], "lcov.info");
}

#[tokio::test]
async fn a_change_comes_first_or_alone() {
    let project = project();
    project.git(&["init", "-q"]);
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "one"]);
    project.write("src/m.py", &SOURCE.replace("    return a\n", "    return a + 0\n"));
    let result = project.call(TOOL, json!({"base": "HEAD"})).await;
    assert_eq!(named(&result, "simple")["in_change"], true);
    assert_eq!(named(&result, "risky")["in_change"], false);
    let result = project.call(TOOL, json!({"base": "HEAD", "scope": "patch"})).await;
    assert_eq!((&result["total"], &result["gaps"][0]["ranges"]), (&json!(1), &json!([[5, 5]])));
    assert!(project.refusal(TOOL, json!({"scope": "patch"})).await.contains("base"));
}

#[tokio::test]
async fn what_is_not_understood_is_a_gap_with_nulls_and_the_reason() {
    let project = Project::new();
    project.write("a.rb", "1\n2\n3\n");
    project.write("lcov.info", "SF:a.rb\nDA:1,1\nDA:3,0\nend_of_record\nSF:gone.py\nDA:7,0\nend_of_record\n");
    let result = project.call(TOOL, json!({})).await;
    assert_eq!(result["total"], 2);
    for gap in result["gaps"].as_array().unwrap() {
        assert_eq!(
            (&gap["crap"], &gap["cyclomatic"], &gap["suggest"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert!(gap["why"].to_string().contains("not known"), "{gap}");
    }
    assert_eq!(result["unmatched"], 1);
}

/// All gaps over all pages: how often each line of each file is in one.
async fn all_lines(project: &Project, arguments: &Value) -> BTreeMap<(String, u64), u32> {
    let mut lines = BTreeMap::new();
    let mut cursor = Value::Null;
    loop {
        let mut arguments = arguments.clone();
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let result = project.call(TOOL, arguments).await;
        for gap in result["gaps"].as_array().unwrap() {
            for range in gap["ranges"].as_array().unwrap() {
                for line in range[0].as_u64().unwrap()..=range[1].as_u64().unwrap() {
                    *lines.entry((gap["file"].as_str().unwrap().to_owned(), line)).or_insert(0) += 1;
                }
            }
        }
        cursor = result["next_cursor"].clone();
        if cursor.is_null() {
            return lines;
        }
    }
}

/// Files with 60 uncovered lines each, with covered ones between: in one function, or in functions, in functions inside and
/// outside of all.
fn many(files: usize, is_nested: bool) -> (Project, BTreeMap<(String, u64), u32>) {
    let project = Project::new();
    let (mut report, mut wanted) = (String::new(), BTreeMap::new());
    for number in 0..files {
        let path = format!("src/d{}/f{number}.py", number % 7);
        let mut source = String::new();
        writeln!(report, "SF:{path}").unwrap();
        for line in 1..=80_u64 {
            let text = match line {
                1 if !is_nested => "def f(a):".to_owned(),
                _ if !is_nested => format!("    a = {line}"),
                10 => "def f(a):".to_owned(),
                30 => "    def g(b):".to_owned(),
                31..=40 => format!("        b = {line}"),
                11..=60 => format!("    a = {line}"),
                61 => "def h():".to_owned(),
                62..=70 => format!("    c = {line}"),
                _ => format!("d = {line}"),
            };
            writeln!(source, "{text}").unwrap();
            // A fourth is covered.
            let hits = u8::from(line % 4 == 0);
            writeln!(report, "DA:{line},{hits}").unwrap();
            if hits == 0 {
                wanted.insert((path.clone(), line), 1);
            }
        }
        writeln!(report, "end_of_record").unwrap();
        project.write(&path, &source);
    }
    project.write("lcov.info", &report);
    assert_eq!(wanted.len(), files * 60);
    (project, wanted)
}

#[tokio::test]
async fn every_uncovered_line_of_300_files_is_in_one_gap() {
    let (project, wanted) = many(300, true);
    assert_eq!(all_lines(&project, &json!({"max_items": 200})).await, wanted);
    let result = project.call(TOOL, json!({})).await;
    // As it is sent: as structure, and as text for those who read only that.
    let sent = |result: &Value| result.to_string().len() + json!(result.to_string()).to_string().len();
    assert!((16_000..24_000).contains(&sent(&result)), "a page fits a model's context: {}", sent(&result));
    assert_eq!((&result["total"], &result["uncovered_lines"]), (&json!(300 * 4), &json!(300 * 60)));
    assert!(!result["gaps"].as_array().unwrap().is_empty(), "there are gaps at the default settings");
}

#[tokio::test]
async fn every_uncovered_line_of_3000_files_is_in_one_gap() {
    let (project, wanted) = many(3_000, false);
    assert_eq!(all_lines(&project, &json!({"max_items": 200})).await, wanted);
}
