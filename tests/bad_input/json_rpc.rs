//! JSON that is no JSON-RPC, or JSON-RPC at its edges: ids, versions, methods, params, batches, responses.

use std::time::Duration;

use aqe_testkit::client::{Message, Revision};

use super::{
    request::{Request, case, check_all, error, status},
    support::{SMALL, raw, run},
    talk::{Reply, Row, Talk, row},
};

const fn invalid(id: &'static str, word: &'static str) -> Reply {
    Reply::Error(-32600, id, word)
}

async fn talk(revision: Revision) -> Talk {
    Talk::start(SMALL, &raw(), revision).await
}

#[test]
fn an_id_is_a_string_or_a_number_and_comes_back_as_it_was() {
    run(async {
        let mut rows = Vec::new();
        for id in [
            "0",
            "-0",
            "-1",
            "1.5",
            "1e2",
            "1E+2",
            "0.10",
            "100000000000000000000000",
            "9007199254740993",
            r#""""#,
            r#""1""#,
            r#""a\u0062\"""#,
            "\"é\"",
            "\"\u{2028}\"",
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            rows.push(row(format!("id {id}"), body, Reply::Result(Box::leak(id.into()))));
        }
        for id in ["null", "true", "false", "{}", "[]", "[1]", r#"{"id":1}"#] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            rows.push(row(format!("id {id}"), body, invalid("null", "id")));
        }
        let member_order = r#"{"method":"ping","params":{"id":3},"id":4,"jsonrpc":"2.0"}"#;
        rows.push(row("id after params", member_order, Reply::Result("4")));
        talk(Revision::V2025_11_25).await.check_all(rows).await;
    });
}

#[test]
fn a_message_that_is_no_request_is_refused_with_the_id_where_it_can_be_read() {
    run(async {
        let mut rows = Vec::new();
        for text in ["null", "true", "7", "-1.5e3", r#""ping""#, "{}"] {
            rows.push(row(text, text, invalid("null", "")));
        }
        for version in ["1.0", "2", "2.00", " 2.0", "", "3.0", "2.0\\u0000"] {
            let body = format!(r#"{{"jsonrpc":"{version}","id":1,"method":"ping"}}"#);
            rows.push(row(format!("jsonrpc {version:?}"), body, invalid("1", "jsonrpc")));
        }
        for version in ["2.0", "2", "null", "true", "{}", r#"["2.0"]"#] {
            let body = format!(r#"{{"jsonrpc":{version},"id":1,"method":"ping"}}"#);
            rows.push(row(format!("jsonrpc {version}"), body, invalid("1", "jsonrpc")));
        }
        rows.push(row("no jsonrpc", r#"{"id":1,"method":"ping"}"#, invalid("1", "jsonrpc")));
        rows.push(row("JSONRPC", r#"{"JSONRPC":"2.0","id":1,"method":"ping"}"#, invalid("1", "jsonrpc")));
        for method in ["\"\"", "7", "null", "true", "[]", r#"["ping"]"#, "{}"] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{method}}}"#);
            rows.push(row(format!("method {method}"), body, invalid("1", "method")));
        }
        rows.push(row("no method", r#"{"jsonrpc":"2.0","id":1}"#, invalid("1", "method")));
        rows.push(row("no method but params", r#"{"jsonrpc":"2.0","id":1,"params":{}}"#, invalid("1", "")));
        for params in ["[]", "[1,2]", "\"x\"", "7", "true", "false"] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{params}}}"#);
            rows.push(row(format!("params {params}"), body, invalid("1", "params")));
            let note = format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#);
            rows.push(row(format!("a notification with params {params}"), note, invalid("null", "params")));
        }
        let null = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#;
        rows.push(row("params null", null, Reply::Result("1")));
        talk(Revision::V2025_11_25).await.check_all(rows).await;
    });
}

#[test]
fn a_method_that_no_revision_has_is_not_found() {
    run(async {
        let mut rows = Vec::new();
        let long = "m".repeat(60_000);
        for method in [
            "x",
            "rpc.discover",
            "tools/call ",
            " tools/call",
            "Tools/Call",
            "tools",
            "tools/",
            "/",
            "tools/call/x",
            "tools\\/call\\u0000",
            "notifications/initialized",
            "notifications/cancelled",
            "roots/list",
            "sampling/createMessage",
            "elicitation/create",
            "tasks/update",
            "subscriptions/listen",
            "\u{1f527}",
            "\\n",
            "<script>",
            &long,
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
            let name: String = format!("method {method}").chars().take(40).collect();
            rows.push(row(name, body, Reply::Error(-32601, "1", "method")));
        }
        let escaped = r#"{"jsonrpc":"2.0","id":1,"method":"p\u0069ng"}"#;
        rows.push(row("an escaped method", escaped, Reply::Result("1")));
        talk(Revision::V2025_11_25).await.check_all(rows).await;
    });
}

#[test]
fn what_asks_for_no_answer_gets_none() {
    run(async {
        let silent = |name: &str, body: &str| row(name, body, Reply::Nothing);
        let rows = vec![
            silent("an unknown notification", r#"{"jsonrpc":"2.0","method":"x"}"#),
            silent("a request without an id", r#"{"jsonrpc":"2.0","method":"tools/list"}"#),
            silent(
                "a call without an id",
                r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"bare"}}"#,
            ),
            silent("initialized again", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            silent("a result nobody asked for", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            silent("a result with a large id", r#"{"jsonrpc":"2.0","id":99999999999999999999,"result":{}}"#),
            silent("a result with a string id", r#"{"jsonrpc":"2.0","id":"x","result":{"content":[]}}"#),
            silent(
                "an error nobody asked for",
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
            ),
            silent("an error without an id", r#"{"jsonrpc":"2.0","error":{"code":1,"message":"x"}}"#),
            silent(
                "an error with id null",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}"#,
            ),
            silent("progress of nothing", &progress("\"x\"")),
            silent("progress of a number", &progress("1")),
            silent("progress of an object", &progress("{}")),
            row("both", r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, invalid("1", "both")),
            row(
                "method and result",
                r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#,
                invalid("1", ""),
            ),
            row("a result without an id", r#"{"jsonrpc":"2.0","result":{}}"#, invalid("null", "id")),
            row("a result with id null", r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, invalid("null", "id")),
            row(
                "a result that is a text",
                r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#,
                invalid("1", "result"),
            ),
            row("an error that is a text", r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#, invalid("1", "error")),
        ];
        talk(Revision::V2025_11_25).await.check_all(rows).await;
    });
}

fn progress(token: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
    )
}

#[test]
fn only_the_revision_that_has_batches_takes_them() {
    run(async {
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        for revision in Revision::ALL.into_iter().filter(|revision| !revision.is_modern()) {
            if revision == Revision::V2025_03_26 {
                continue;
            }
            let rows = vec![
                row("none", "[]", invalid("null", "batch")),
                row("one", format!("[{ping}]"), invalid("null", "batch")),
                row("numbers", "[1,2]", invalid("null", "batch")),
                row("a notification", r#"[{"jsonrpc":"2.0","method":"x"}]"#, invalid("null", "batch")),
                row("nested", "[[[]]]", invalid("null", "batch")),
            ];
            talk(revision).await.check_all(rows).await;
        }
    });
}

/// A batch whose answer is an array of `parts`, each with as many occurrences as given.
fn batch_row(name: &str, body: String, parts: &[(&str, usize)]) -> (String, String, Vec<(String, usize)>) {
    (name.into(), body, parts.iter().map(|(part, count)| ((*part).to_owned(), *count)).collect())
}

#[test]
fn a_batch_is_answered_with_one_array_and_bounded() {
    run(async {
        let mut talk = talk(Revision::V2025_03_26).await;
        let ping = |id: usize| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let pings = |count: usize| (0..count).map(ping).collect::<Vec<_>>().join(",");
        let note = r#"{"jsonrpc":"2.0","method":"x"}"#;
        let initialize = Message::initialize(3, Revision::V2025_03_26).text(Revision::V2025_03_26);
        let rows: Vec<Row> = vec![
            row("empty", "[]", invalid("null", "empty")),
            row("1,001", format!("[{}]", pings(1_001)), invalid("null", "more than 1000")),
            row("cut", format!("[{},", ping(1)), Reply::Error(-32700, "null", "")),
            row("two", format!("[{}][{}]", ping(1), ping(2)), Reply::Error(-32700, "null", "")),
            row("notifications", format!("[{note},{note}]"), Reply::Nothing),
            row("answers", r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#, Reply::Nothing),
        ];
        talk.check_all(rows).await;
        let cases = [
            batch_row("one", format!("[{}]", ping(1)), &[("\"result\":{}", 1)]),
            batch_row("50", format!("[{}]", pings(50)), &[("\"result\":{}", 50)]),
            batch_row("1,000", format!("[{}]", pings(1_000)), &[("\"result\":{}", 1_000)]),
            batch_row("numbers", "[1,2,3]".into(), &[("-32600", 3), ("\"id\":null", 3)]),
            batch_row("nested", "[[],{}]".into(), &[("-32600", 2)]),
            batch_row(
                "mixed",
                format!("[{},{note},7,{}]", ping(1), ping(2)),
                &[("\"result\":{}", 2), ("-32600", 1)],
            ),
            batch_row(
                "with initialize",
                format!("[{initialize},{}]", ping(1)),
                &[("-32600", 1), ("result", 1)],
            ),
            batch_row("the same id", format!("[{},{}]", ping(1), ping(1)), &[("\"id\":1", 2)]),
        ];
        let id = talk.session.id.clone().unwrap();
        for (name, body, parts) in cases {
            let mut response = talk.http.client.post(&[("mcp-session-id", &id)], body.as_bytes()).await;
            assert_eq!(response.status, 200, "{name}");
            let over_http = response.message().await.unwrap();
            talk.stdio.process.send(&body).await;
            let over_stdio = talk.stdio.process.line().await;
            for text in [over_http, over_stdio] {
                assert!(text.starts_with('[') && text.ends_with(']'), "{name}: {text}");
                for (part, count) in &parts {
                    assert_eq!(text.matches(part).count(), *count, "{name}: {part} in {text:.400}");
                }
            }
        }
    });
}

#[test]
fn the_stateless_revision_takes_no_batches_and_no_answers() {
    run(async {
        let talk = talk(Revision::V2026_07_28).await;
        let modern = |body: &str| {
            Request::post(body).with("mcp-protocol-version", "2026-07-28").with("mcp-method", "tools/list")
        };
        let list = Message::request(1, "tools/list").text(Revision::V2026_07_28);
        let cases = vec![
            case("a batch", modern(&format!("[{list}]")), error(400, -32600, "null", "batch")),
            case("an empty batch", modern("[]"), error(400, -32600, "null", "batch")),
            case("a result", modern(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), status_of_answer()),
            case("a notification", modern(r#"{"jsonrpc":"2.0","method":"x"}"#), status(202, "")),
        ];
        check_all(&talk.http.client, cases).await;
    });
}

/// No client of that revision is asked anything, so an answer has no `_meta` and belongs to nothing.
const fn status_of_answer() -> super::request::Expect {
    error(400, -32600, "null", "")
}

#[test]
fn an_id_in_flight_is_not_given_twice() {
    run(async {
        let mut talk = talk(Revision::V2025_11_25).await;
        let sleep = Message::call(9, "sleep", r#"{"ms":500}"#);
        let ping = Message::request(9, "ping");
        let later = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            talk.session.request(&ping).await
        };
        let (first, second) = tokio::join!(talk.session.request(&sleep), later);
        assert_eq!(first.content_text(), "slept 500 ms");
        assert_eq!(second.error_code(), -32600, "{}", second.text);
        assert!(!talk.session.request(&ping).await.is_error(), "free again");
        let stdio = &mut talk.stdio.process;
        stdio.notify(&sleep).await;
        let second = stdio.request(&ping).await;
        assert_eq!(second.error_code(), -32600, "{}", second.text);
        assert_eq!(stdio.answer("9").await.content_text(), "slept 500 ms");
        assert!(!stdio.request(&ping).await.is_error(), "free again");
    });
}
