use serde_json::json;

use super::*;

#[test]
fn results_read_as_lines_and_tables() {
    let result = json!({
        "totals": { "line": 1.5, "branch": null },
        "deep": { "inner": { "a": [1] } },
        "rows": [{ "file": "a.py", "lines": 3, "all": 1 }, { "file": "long.py", "lines": 40, "all": 2 }],
        "warnings": []
    });
    let wanted = "deep:\n  inner:\n    a: 1\n\nrows:\n  file     all  lines\n  a.py       1      3\n  long.py    2     40\n\ntotals: branch –, line 1.5\nwarnings: none";
    assert_eq!(of("qe_memory_retrieve", &result), wanted);
    let document = json!({ "format": "markdown", "content": "# Passed", "status": "passed" });
    assert_eq!(of("qe_quality_gate", &document), "# Passed");
}

#[test]
fn a_verdict_names_what_failed_and_where() {
    let result = json!({
        "status": "failed", "summary": "Quality gate failed: 1 of 2 conditions hold, 1 do not.",
        "gate": { "name": "clean", "source": "built-in" },
        "new_code": { "base": "main", "lines": 30, "files": 1 },
        "conditions": [
            { "metric": "tests_failed", "op": "<=", "threshold": 0.0, "level": "error", "actual": 12.0, "status": "failed",
              "evidence": [{ "file": "a.py", "range": [3, 3], "id": "t::a", "detail": "boom" }, { "id": "t::b" }],
              "evidence_total": 12, "next_cursor": "0.ab-2" },
            { "metric": "new_issues", "op": "<=", "threshold": 0.0, "level": "error", "actual": null, "status": "no_data",
              "reason": "there is none" },
        ],
        "provenance": [{ "path": "junit.xml" }],
    });
    let wanted = "\
Quality gate failed: 1 of 2 conditions hold, 1 do not.
new code: 30 lines in 1 files since main
gate: clean (built-in)

FAILED   tests_failed <= 0  12
no data  new_issues <= 0    –   there is none

tests_failed:
  a.py:3  t::a: boom
  t::b
  2 of 12; the next: --cursor 0.ab-2

from junit.xml";
    assert_eq!(of("qe_quality_gate", &result), wanted);
}

#[test]
fn metrics_say_what_they_do_not_know_and_why() {
    let spread = json!({ "p50": 1, "p95": 4, "max": 4, "sum": 9 });
    let result = json!({
        "project": { "files": 1, "ncloc": 10, "comment": 1, "functions": 2, "cyclomatic": spread, "cognitive": spread,
                     "maintainability": null, "duplicated_pct": 0.0, "duplicated_lines": 0 },
        "coverage": { "line": { "covered": 1, "total": 2, "pct": 50.0 }, "branch": null, "unmeasured_files": 3,
                      "stale": "a.py is newer" },
        "tests": null, "mutation": null,
        "unknown": { "tests": "there is no report", "mutation": "no mutants", "churn": "no Git" },
        "items": [{ "file": "a.py", "lines": [1, 5], "name": "f", "cognitive": 3, "cyclomatic": 4, "ncloc": 5, "parameters": 1,
                    "line_pct": 50.0, "crap": 6.0 }],
        "total": 2, "next_cursor": "ab-1",
    });
    let said = of("qe_quality_metrics", &result);
    for wanted in [
        "coverage         lines 50 % (1 of 2); 3 files are in no report; STALE: a.py is newer",
        "tests            –: there is no report",
        "a.py:1-5  f          3           4     5           1     50 %     6",
        "1 of 2 are shown; the next: --cursor ab-1",
        "churn: not known: no Git",
    ] {
        assert!(said.contains(wanted), "{wanted}\nis not in\n{said}");
    }
}
