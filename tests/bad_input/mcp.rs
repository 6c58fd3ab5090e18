//! MCP's own rules in the handshake revisions: the order of things, names, arguments, `_meta`, cursors, URIs, tokens.

use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message, Revision};

use super::{
    request::{Request, case, check_all, error, result},
    support::{Gateway, SMALL, child, raw, run},
    talk::{Reply, Row, Talk, row},
};

const PARAMS: i64 = -32602;

async fn talk() -> Talk {
    Talk::start(SMALL, &raw(), Revision::V2025_11_25).await
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

#[test]
fn nothing_but_a_ping_is_answered_before_the_handshake() {
    run(async {
        let mut gateway = Gateway::stdio(SMALL, &raw());
        let process = &mut gateway.process;
        for method in
            ["tools/list", "tools/call", "resources/read", "logging/setLevel", "no/such", "tasks/list"]
        {
            let answer = process.request(&Message::request(1, method)).await;
            assert_eq!(answer.error_code(), -32600, "{method}: {}", answer.text);
            assert!(answer.text.contains("initialize"), "{}", answer.text);
        }
        assert!(!process.request(&Message::request(2, "ping")).await.is_error());
        for params in ["{}", r#"{"protocolVersion":7}"#, r#"{"protocolVersion":null}"#, "null"] {
            process.send(&request("initialize", params)).await;
            assert_eq!(process.answer("1").await.error_code(), PARAMS, "{params}");
        }
        // A refused handshake is none: the good one still works, and only once.
        let first = process.open(Revision::V2025_06_18).await.unwrap();
        assert_eq!(first.result()["protocolVersion"], "2025-06-18", "{}", first.text);
        let again = process.request(&Message::initialize(3, Revision::V2025_11_25)).await;
        assert_eq!(again.error_code(), -32600, "{}", again.text);
        assert!(!process.request(&Message::request(4, "tools/list")).await.is_error());
    });
}

#[test]
fn a_handshake_over_http_is_checked_and_opens_a_session_each_time() {
    run(async {
        let gateway = Gateway::http(SMALL, &raw()).await;
        let initialize = |params: &str| Request::post(request("initialize", params));
        let wrong = error(200, PARAMS, "1", "protocolVersion");
        let good =
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}"#;
        let session = gateway.session(Revision::V2025_11_25).await.id.unwrap();
        let mut cases = vec![
            case("good", initialize(good), result("1")),
            case("again in a session", initialize(good).with("mcp-session-id", session), result("1")),
            case("in an unknown session", initialize(good).with("mcp-session-id", "x"), result("1")),
            case("no params", Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#), wrong),
            case(
                "as a notification",
                Request::post(good_notification()),
                error(400, -32600, "null", "Session"),
            ),
        ];
        for params in
            ["{}", r#"{"protocolVersion":1}"#, r#"{"protocolVersion":[]}"#, r#"{"protocolVersion":null}"#]
        {
            cases.push(case(params, initialize(params), wrong));
        }
        for version in ["1.0", "", "2099-01-01", "2024-11-04", "2026-07-28", "DRAFT-2025"] {
            let params = format!(r#"{{"protocolVersion":"{version}","capabilities":{{}}}}"#);
            cases.push(case(format!("version {version:?} is negotiated"), initialize(&params), result("1")));
        }
        for odd in
            [r#""capabilities":[]"#, r#""capabilities":"x""#, r#""clientInfo":7"#, r#""clientInfo":[]"#]
        {
            let params = format!(r#"{{"protocolVersion":"2025-11-25",{odd}}}"#);
            cases.push(case(odd, initialize(&params), result("1")));
        }
        check_all(&gateway.client, cases).await;
        let mut response = gateway.client.post(&[], initialize_version("1999-01-01").as_bytes()).await;
        assert!(response.answer("1").await.text.contains(r#""protocolVersion":"2025-11-25""#));
    });
}

fn good_notification() -> &'static str {
    r#"{"jsonrpc":"2.0","method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#
}

fn initialize_version(version: &str) -> String {
    request("initialize", &format!(r#"{{"protocolVersion":"{version}","capabilities":{{}}}}"#))
}

#[test]
fn a_tool_is_called_by_its_name_and_by_no_other() {
    run(async {
        let mut rows: Vec<Row> = Vec::new();
        for params in
            ["{}", r#"{"name":null}"#, r#"{"name":7}"#, r#"{"name":["bare"]}"#, r#"{"name":{}}"#, "null"]
        {
            rows.push(row(
                format!("params {params}"),
                request("tools/call", params),
                Reply::Error(PARAMS, "1", "name"),
            ));
        }
        let (kilobyte, long) = ("n".repeat(1_024), "n".repeat(60_000));
        for name in [
            "",
            " ",
            "bare ",
            " bare",
            "Bare",
            "bar",
            "baree",
            "bare\\u0000",
            "b\\u0430re",
            "bare\\u200b",
            "\\u202ebare",
            "ｂａｒｅ",
            "../bare",
            "raw/bare",
            "raw__",
            "__bare",
            "other__bare",
            "*",
            "%62are",
            "bare;sleep",
            "bare\\n",
            "\\ud800",
            "<b>bare</b>",
            "constructor",
            "__proto__",
            &kilobyte,
            &long,
        ] {
            let body = request("tools/call", &format!(r#"{{"name":"{name}","arguments":{{}}}}"#));
            let shown: String = format!("name {name:?}").chars().take(40).collect();
            rows.push(row(shown, body, Reply::Error(PARAMS, "1", "unknown tool")));
        }
        rows.push(row(
            "an escaped name",
            request("tools/call", r#"{"name":"b\u0061re"}"#),
            Reply::Result("1"),
        ));
        for arguments in ["[]", "\"x\"", "7", "true", "null"] {
            let body = request("tools/call", &format!(r#"{{"name":"sleep","arguments":{arguments}}}"#));
            rows.push(row(format!("arguments {arguments}"), body, Reply::Either("1")));
        }
        for name in ["", "no such", "../prompt_0"] {
            let body = request("prompts/get", &format!(r#"{{"name":"{name}"}}"#));
            rows.push(row(format!("prompt {name:?}"), body, Reply::Error(PARAMS, "1", "unknown prompt")));
        }
        rows.push(row("no prompt", request("prompts/get", "{}"), Reply::Error(PARAMS, "1", "name")));
        for level in ["\"loud\"", "\"INFO\"", "7", "null", "\"\""] {
            let body = request("logging/setLevel", &format!(r#"{{"level":{level}}}"#));
            rows.push(row(format!("level {level}"), body, Reply::Error(PARAMS, "1", "level")));
        }
        talk().await.check_all(rows).await;
    });
}

#[test]
fn a_forged_cursor_is_refused_in_every_list() {
    run(async {
        let mut rows = Vec::new();
        for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
            for cursor in [
                "\"x\"",
                "\"\"",
                "\"0\"",
                "\"3\"",
                "\".1\"",
                "\"x.1\"",
                "\"-1\"",
                "7",
                "[]",
                "{}",
                "true",
                "\"99999999999999999999999.99999999999999999999999\"",
                "\"../../etc/passwd\"",
                "\"' OR 1=1 --\"",
            ] {
                let body = request(method, &format!(r#"{{"cursor":{cursor}}}"#));
                rows.push(row(format!("{method} {cursor}"), body, Reply::Error(PARAMS, "1", "cursor")));
            }
            rows.push(row(
                format!("{method} null"),
                request(method, r#"{"cursor":null}"#),
                Reply::Result("1"),
            ));
        }
        talk().await.check_all(rows).await;
    });
}

#[test]
fn a_uri_that_no_upstream_offers_leads_nowhere() {
    run(async {
        let mut rows = Vec::new();
        for uri in ["null", "7", "[]", "{}"] {
            for method in ["resources/read", "resources/subscribe"] {
                let body = request(method, &format!(r#"{{"uri":{uri}}}"#));
                rows.push(row(format!("{method} {uri}"), body, Reply::Error(PARAMS, "1", "uri")));
            }
        }
        let long = format!("raw://{}", "x".repeat(10_000));
        for uri in [
            "",
            " ",
            "x",
            "file:///etc/passwd",
            "../../etc/passwd",
            "raw://resource/../../etc/passwd",
            "http://169.254.169.254/latest/meta-data/",
            "http://127.0.0.1:9/",
            "raw://resource/0\\u0000",
            "data:,x",
            "javascript:alert(1)",
            "raw+raw://resource/0",
            &long,
        ] {
            let body = request("resources/read", &format!(r#"{{"uri":"{uri}"}}"#));
            let shown: String = format!("uri {uri:?}").chars().take(60).collect();
            // The upstream may be asked, since it has templates; then the code is its own.
            rows.push(row(shown, body, Reply::Refused("1", &[-32602, -32002])));
        }
        let fixture = child("fixture", "fixture", &["stdio"], "");
        Talk::start(SMALL, &fixture, Revision::V2025_11_25).await.check_all(rows).await;
    });
}

#[test]
fn a_strange_meta_harms_nobody() {
    run(async {
        let mut rows = Vec::new();
        for meta in [
            "null",
            "[]",
            "\"x\"",
            "7",
            "{}",
            r#"{"progressToken":null}"#,
            r#"{"progressToken":{}}"#,
            r#"{"progressToken":[1]}"#,
            r#"{"progressToken":1.5}"#,
            r#"{"progressToken":true}"#,
            r#"{"progressToken":""}"#,
            r#"{"progressToken":1e400}"#,
            r#"{"io.modelcontextprotocol/clientInfo":7}"#,
            r#"{"io.modelcontextprotocol/subscriptionId":"1"}"#,
            r#"{"io.modelcontextprotocol/serverInfo":[]}"#,
            r#"{"traceparent":7,"tracestate":{},"baggage":[]}"#,
            r#"{"":1,"/":2,"__proto__":{}}"#,
        ] {
            let body =
                request("tools/call", &format!(r#"{{"name":"bare","arguments":{{}},"_meta":{meta}}}"#));
            rows.push(row(format!("_meta {meta}"), body, Reply::Either("1")));
        }
        for params in [
            "{}",
            "null",
            r#"{"requestId":null}"#,
            r#"{"requestId":{}}"#,
            r#"{"requestId":[1]}"#,
            r#"{"requestId":"unknown"}"#,
            r#"{"requestId":1e400}"#,
            r#"{"requestId":-1,"reason":7}"#,
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#);
            rows.push(row(format!("cancelled {params}"), body, Reply::Nothing));
        }
        talk().await.check_all(rows).await;
    });
}

#[test]
fn nobody_cancels_the_call_of_another_client() {
    run(async {
        let gateway = Gateway::http(SMALL, &raw()).await;
        let (owner, other) =
            (gateway.session(Revision::V2025_11_25).await, gateway.session(Revision::V2025_11_25).await);
        let sleep = Message::call(7, "sleep", r#"{"ms":400}"#);
        let cancels = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            for id in ["7", "1", "2", "3", "\"7\"", "7.0"] {
                assert_eq!(other.notify(&Message::cancelled(id)).await, 202);
            }
            // The same number as another text is another id.
            assert_eq!(owner.notify(&Message::cancelled("\"7\"")).await, 202);
        };
        let (answer, ()) = tokio::join!(owner.request(&sleep), cancels);
        assert_eq!(answer.content_text(), "slept 400 ms");
        let stolen = HttpSession { id: Some("7".into()), ..other };
        assert_eq!(stolen.notify(&Message::cancelled(7)).await, 404);
    });
}

#[test]
fn a_progress_token_that_is_used_twice_mixes_no_calls_up() {
    run(async {
        let mut talk = talk().await;
        let call = |id: usize, count: usize| {
            let arguments = format!(r#"{{"count":{count},"interval_ms":2}}"#);
            Message::call(id, "progress", &arguments).progress_token("\"same\"")
        };
        let (five, nine) = (call(1, 5), call(2, 9));
        let (five, nine) = tokio::join!(talk.session.request(&five), talk.session.request(&nine));
        for (answer, count) in [(five, 5), (nine, 9)] {
            assert!(!answer.is_error(), "{}", answer.text);
            let progress = answer.notifications("notifications/progress");
            assert_eq!(progress.len(), count);
            assert!(progress.iter().all(|note| note["params"]["progressToken"] == "same"), "{progress:?}");
        }
        let stdio = &mut talk.stdio.process;
        stdio.notify(&call(1, 5)).await;
        stdio.notify(&call(2, 9)).await;
        let (mut notes, mut answers) = (0, 0);
        while answers < 2 {
            let line = stdio.line().await;
            if line.contains("notifications/progress") { notes += 1 } else { answers += 1 }
        }
        assert_eq!(notes, 14);
    });
}
