//! MCP's own rules in 2026-07-28: what every request carries, and what is gone.

use aqe_testkit::client::{Message, Revision};

use super::{
    request::{Expect, Request, case, check_all, error, result},
    support::{Gateway, SMALL, child, raw, run},
};

const VERSION: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
const CAPABILITIES: &str = r#""io.modelcontextprotocol/clientCapabilities":{}"#;

fn post(method: &str, params: &str) -> Request {
    Request::post(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#))
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", method)
}

fn with_meta(members: &str) -> Request {
    post("tools/list", &format!(r#"{{"_meta":{{{members}}}}}"#))
}

const META: Expect = error(400, -32602, "1", "");

#[test]
fn a_request_must_carry_the_meta_of_its_revision() {
    run(async {
        let gateway = Gateway::http(SMALL, &raw()).await;
        let good = format!("{VERSION},{CAPABILITIES}");
        let mut cases = vec![
            case("good", with_meta(&good), result("1")),
            case("none", post("tools/list", "{}"), META),
            case("no params", post("tools/list", "null"), META),
            case("no capabilities", with_meta(VERSION), META),
            case("no version", with_meta(CAPABILITIES), META),
        ];
        for meta in ["null", "[]", "\"x\"", "7", "{}"] {
            cases.push(case(
                format!("_meta {meta}"),
                post("tools/list", &format!(r#"{{"_meta":{meta}}}"#)),
                META,
            ));
        }
        let key = |name: &str, value: &str| format!(r#""io.modelcontextprotocol/{name}":{value}"#);
        for value in ["7", "null", "[]", "{}", "true"] {
            let members = format!("{},{CAPABILITIES}", key("protocolVersion", value));
            cases.push(case(format!("version {value}"), with_meta(&members), META));
        }
        for value in ["7", "null", "[]", "\"x\"", "true"] {
            let members = format!("{VERSION},{}", key("clientCapabilities", value));
            cases.push(case(format!("capabilities {value}"), with_meta(&members), META));
        }
        for value in ["7", "null", "[]", "\"x\""] {
            let members = format!("{good},{}", key("clientInfo", value));
            cases.push(case(format!("client info {value}"), with_meta(&members), META));
        }
        for value in ["7", "null", "\"loud\"", "\"\"", "{}"] {
            let members = format!("{good},{}", key("logLevel", value));
            cases.push(case(
                format!("log level {value}"),
                with_meta(&members),
                error(200, -32602, "1", "logLevel"),
            ));
        }
        for value in ["2025-11-25", "2099-01-01", "", "x", "2026-07-28 "] {
            let members = format!("{},{CAPABILITIES}", key("protocolVersion", &format!("\"{value}\"")));
            let request = with_meta(&members).with("mcp-protocol-version", value.trim());
            // White space around a header's value is none of it.
            let code = if value.ends_with(' ') { -32020 } else { -32022 };
            cases.push(case(format!("version {value:?}"), request, error(400, code, "1", "ersion")));
        }
        for odd in [r#""progressToken":{}"#, r#""progressToken":null"#, r#""traceparent":7"#, r#""x/y":[]"#] {
            cases.push(case(odd, with_meta(&format!("{good},{odd}")), result("1")));
        }
        check_all(&gateway.client, cases).await;
    });
}

#[test]
fn what_the_revision_has_dropped_is_not_found() {
    run(async {
        let gateway = Gateway::http(SMALL, &raw()).await;
        let mut stdio = Gateway::stdio(SMALL, &raw());
        stdio.process.open(Revision::V2026_07_28).await;
        let meta = format!(r#"{{"_meta":{{{VERSION},{CAPABILITIES}}}}}"#);
        let mut cases = Vec::new();
        for method in [
            "ping",
            "initialize",
            "logging/setLevel",
            "resources/subscribe",
            "resources/unsubscribe",
            "roots/list",
            "sampling/createMessage",
            "elicitation/create",
            "tasks/list",
            "tasks/result",
            "notifications/initialized",
            "notifications/cancelled",
            "no/such",
            "",
        ] {
            if method.is_empty() {
                cases.push(case("no method", post("", &meta), error(400, -32600, "1", "method")));
                continue;
            }
            cases.push(case(method, post(method, &meta), error(404, -32601, "1", "method")));
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{meta}}}"#);
            stdio.process.send(&text).await;
            let answer = stdio.process.answer("1").await;
            assert_eq!(answer.error_code(), -32601, "{method} over stdio: {}", answer.text);
        }
        check_all(&gateway.client, cases).await;
        assert!(!stdio.process.request(&Message::discover(2)).await.is_error());
    });
}

#[test]
fn names_cursors_and_uris_are_checked_as_in_the_older_revisions() {
    run(async {
        let gateway = Gateway::http(SMALL, &child("fixture", "fixture", &["stdio"], "")).await;
        let meta = format!(r#""_meta":{{{VERSION},{CAPABILITIES}}}"#);
        let long = "n".repeat(1_024);
        let mut cases = Vec::new();
        for name in ["", "test_simple_tex", "../test_simple_text", "fixture__x", &long] {
            let request =
                post("tools/call", &format!(r#"{{"name":"{name}",{meta}}}"#)).with("mcp-name", name);
            let shown: String = format!("name {name:?}").chars().take(40).collect();
            cases.push(case(shown, request, error(200, -32602, "1", "unknown tool")));
        }
        for cursor in ["\"x\"", "\"\"", "7"] {
            let request = post("tools/list", &format!(r#"{{"cursor":{cursor},{meta}}}"#));
            cases.push(case(format!("cursor {cursor}"), request, error(200, -32602, "1", "cursor")));
        }
        for uri in ["file:///etc/passwd", "", "http://169.254.169.254/"] {
            let request =
                post("resources/read", &format!(r#"{{"uri":"{uri}",{meta}}}"#)).with("mcp-name", uri);
            cases.push(case(format!("uri {uri:?}"), request, error(200, -32602, "1", "")));
        }
        for params in [r#""notifications":[]"#, r#""notifications":7"#] {
            let request = post("subscriptions/listen", &format!("{{{params},{meta}}}"));
            cases.push(case(format!("listen {params}"), request, error(200, -32602, "1", "notifications")));
        }
        check_all(&gateway.client, cases).await;
    });
}
