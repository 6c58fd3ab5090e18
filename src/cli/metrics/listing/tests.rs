use serde_json::json;

use super::*;

fn names(rows: &[&Value]) -> Vec<String> {
    rows.iter().map(|row| text(&row["name"])).collect()
}

#[test]
fn each_order_puts_first_what_it_says_and_last_what_is_not_known() {
    let tool = |name: &str, requests: u64, p95: Value, errors: u64, tokens: u64| {
        json!({ "name": name, "requests": requests, "errors": errors, "estimated_tokens": tokens,
                "latency_ms": { "p95": p95 } })
    };
    let document = json!({ "tools": [
        tool("a", 1, json!(9.0), 0, 30), tool("b", 3, json!(1.0), 1, 20), tool("c", 2, Value::Null, 2, 10),
        { "name": "d", "latency_ms": null },
    ]});
    let order = |sort| names(&TOOLS.rows(&document, sort, "")).concat();
    assert_eq!(order(Sort::Used), "bcad");
    assert_eq!(order(Sort::Slow), "abcd");
    assert_eq!(order(Sort::Errors), "cbad");
    assert_eq!(order(Sort::Tokens), "abcd");
    let all = std::iter::successors(Some(Sort::Used), |sort| Some(sort.next())).take(5).collect::<Vec<_>>();
    assert_eq!(all, [Sort::Used, Sort::Slow, Sort::Errors, Sort::Tokens, Sort::Used]);
}

#[test]
fn equal_rows_keep_their_places() {
    let document =
        json!({ "tools": [{ "name": "b" }, { "name": "a" }, { "name": "c", "total_requests": 1 }] });
    assert_eq!(names(&TOOLS.rows(&document, Sort::Used, "")), ["c", "a", "b"]);
}

#[test]
fn a_filter_looks_at_the_texts_of_a_row() {
    let document = json!({ "tools": [
        { "name": "Files__read", "upstream": "files", "requests": 7 }, { "name": "search", "upstream": "web" },
    ]});
    assert_eq!(names(&TOOLS.rows(&document, Sort::Used, "FILES")), ["Files__read"]);
    assert_eq!(names(&TOOLS.rows(&document, Sort::Used, "web")), ["search"]);
    assert!(TOOLS.rows(&document, Sort::Used, "7").is_empty());
}

#[test]
fn any_document_has_rows_or_none_and_every_cell_says_something() {
    for document in [json!(null), json!({}), json!({ "tools": {}, "replicas": 3 }), json!([])] {
        for listing in ALL {
            assert!(listing.rows(&document, Sort::Used, "").is_empty());
        }
    }
    for row in [json!(null), json!({}), json!(7), json!({ "children": [{}], "latency_ms": 3, "errors": 1 })] {
        for listing in ALL {
            let document = json!({ listing.member: [row.clone()] });
            for row in listing.rows(&document, Sort::Slow, "") {
                assert!(listing.columns.iter().all(|column| !(column.cell)(row).is_empty()), "{listing:?}");
                let _ = ((listing.key)(row), (listing.tone)(row));
            }
        }
    }
}

#[test]
fn where_there_is_little_room_the_name_and_what_matters_most_stay() {
    let document = json!({ "tools": [{ "name": "a_tool_with_a_rather_long_name", "requests": 12345 }] });
    let rows = TOOLS.rows(&document, Sort::Used, "");
    let titles = |width: usize| -> Vec<&str> {
        let columns = TOOLS.fitting(&rows, width);
        let sum: usize = columns.iter().map(|(_, width)| width + GAP).sum::<usize>() - GAP;
        assert!(sum <= width, "{sum} > {width}");
        columns.iter().map(|(column, _)| column.title).collect()
    };
    assert_eq!(titles(1000).len(), TOOLS.columns.len());
    assert_eq!(titles(20), ["tool", "requests", "p95"]);
    assert!(titles(60).starts_with(&["tool", "requests"]) && titles(60).len() > 3);
    for width in 20..200 {
        titles(width);
    }
}

#[test]
fn an_alert_shows_its_figures_in_their_unit_and_what_it_is_about() {
    let alert = |unit: &str, scope: Value| json!({ "unit": unit, "value": 0.5, "scope": scope });
    let of = |kind: &str| scope(&alert("", json!({ "kind": kind, "name": "x", "upstream": "u" })));
    assert_eq!(
        [of("tool"), of("replica"), scope(&json!({ "scope": { "kind": "all", "name": null } }))],
        ["tool x", "replica u/x", "all"]
    );
    let shown = ["ms", "share", "bytes", "per_s", "number", "?"]
        .map(|unit| measured(&alert(unit, Value::Null), "value"));
    assert_eq!(shown, ["0.50 ms", "50.0 %", "0 B", "0.50/s", "0.50", "0.50"]);
    assert_eq!(moment(&json!("2026-11-22T12:30:00.123Z")), "2026-11-22 12:30:00");
    assert_eq!(moment(&json!("ü".repeat(12))), "–");
}

#[test]
fn what_the_processes_of_a_replica_take_is_added_up_where_all_of_it_is_known() {
    let of = |children: Value| of_children(&json!({ "children": children }), "rss_bytes");
    assert_eq!(of(json!([{ "rss_bytes": 2 }, { "rss_bytes": 3.0 }])), Some(5.0));
    assert_eq!(of(json!([{ "rss_bytes": 2 }, { "rss_bytes": null }])), None);
    assert_eq!(of(json!([])), None);
}
