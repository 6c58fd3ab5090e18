//! Request lines, `Host`, `Origin`, media types, version and session headers.

use aqe_testkit::client::Revision;

use super::{
    request::{Case, Request, STREAM, case, check_all, error, result, status},
    support::{Gateway, SMALL, raw, run},
};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// The gateway, and a ping within a session of it.
async fn gateway() -> (Gateway, Request) {
    let gateway = Gateway::http(SMALL, &raw()).await;
    let session = gateway.session(Revision::V2025_11_25).await;
    let ping = Request::post(PING).with("mcp-session-id", session.id.unwrap());
    (gateway, ping)
}

#[test]
fn each_path_takes_its_methods_only() {
    run(async {
        let (gateway, ping) = gateway().await;
        let mut cases = vec![case("the ping itself", ping.clone(), result("1"))];
        for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "FOO", "post", "M-SEARCH"] {
            cases.push(case(
                format!("{method} /mcp"),
                ping.clone().at(&format!("{method} /mcp")),
                status(405, ""),
            ));
        }
        for path in ["/healthz", "/readyz"] {
            for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FOO"] {
                let request = Request::new(&format!("{method} {path}"));
                cases.push(case(format!("{method} {path}"), request, status(405, "")));
            }
            cases.push(case(format!("GET {path}"), Request::new(&format!("GET {path}")), status(200, "")));
        }
        // What the dashboard reads is there (tests/it/dashboard.rs), and only to be read.
        cases.push(case("POST /admin/status", ping.clone().at("POST /admin/status"), status(405, "")));
        for target in [
            "/nothing",
            "/admin/call",
            "/admin/drain",
            "/admin/reload",
            "/admin/tools/call",
            "/mcp/",
            "/MCP",
            "//mcp",
            "/mcp/../admin/status",
        ] {
            for method in ["GET", "POST"] {
                let request = ping.clone().at(&format!("{method} {target}"));
                cases.push(case(format!("{method} {target}"), request, status(404, "not found")));
            }
        }
        for (line, expect) in [
            ("POST /mcp?x=1", result("1")),
            ("POST http://127.0.0.1/mcp", result("1")),
            ("POST http://evil.com/mcp", status(403, "host")),
            ("POST http://localhost@evil.com/mcp", status(403, "host")),
            ("OPTIONS *", status(404, "")),
            ("CONNECT 127.0.0.1:80", status(404, "")),
        ] {
            cases.push(case(line, ping.clone().at(line), expect));
        }
        check_all(&gateway.client, cases).await;
    });
}

/// The same change to a request of every path.
fn everywhere(
    ping: &Request,
    name: &str,
    change: impl Fn(Request) -> Request,
    refusal: Option<Case>,
) -> Vec<Case> {
    let (ok, refused) = (refusal.is_none(), refusal.map(|(_, _, expect)| expect));
    let expect = |good| if ok { good } else { refused.unwrap_or(good) };
    vec![
        case(format!("{name} on /mcp"), change(ping.clone()), expect(result("1"))),
        case(format!("{name} on /healthz"), change(Request::new("GET /healthz")), expect(status(200, "ok"))),
        case(format!("{name} on /readyz"), change(Request::new("GET /readyz")), expect(status(200, "ready"))),
        case(format!("{name} on another path"), change(Request::new("GET /x")), expect(status(404, ""))),
    ]
}

#[test]
fn only_our_own_host_is_answered_on_every_path() {
    run(async {
        let (gateway, ping) = gateway().await;
        let mut cases = Vec::new();
        let refused = |code| Some(case("", Request::new("GET /"), status(code, "")));
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:65535", "[::1]:8765"] {
            cases.extend(everywhere(&ping, host, |request| request.with("host", host), None));
        }
        for host in [
            "evil.com",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "evil.com:127.0.0.1",
            "localhost:99999",
            "localhost:",
            "localhost:1:1",
            "user@localhost",
            "0.0.0.0",
            "[::1",
            "[::1]x",
            "localhost, evil.com",
            "localhost/",
            "",
        ] {
            cases.extend(everywhere(&ping, host, |request| request.with("host", host), refused(403)));
        }
        cases.extend(everywhere(&ping, "no host", |request| request.without("host"), refused(400)));
        let two = |request: Request| request.also("host", "127.0.0.1");
        cases.extend(everywhere(&ping, "two hosts", two, refused(400)));
        let bytes = |request: Request| request.with("host", b"localhost\xff");
        cases.extend(everywhere(&ping, "a host of bytes", bytes, refused(400)));
        check_all(&gateway.client, cases).await;
    });
}

#[test]
fn only_our_own_origins_are_answered_on_every_path() {
    run(async {
        let (gateway, ping) = gateway().await;
        let mut cases = Vec::new();
        let refused = || Some(case("", Request::new("GET /"), status(403, "origin")));
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:1", "http://LOCALHOST"] {
            cases.extend(everywhere(&ping, origin, |request| request.with("origin", origin), None));
        }
        for origin in [
            "null",
            "http://evil.com",
            "http://localhost.evil.com",
            "http://localhost@evil.com",
            "http://evil.com#localhost",
            "http://localhost/path",
            "http://localhost:99999",
            "file://localhost",
            "localhost",
            "http://",
            "*",
            "",
            "http://localhost http://evil.com",
        ] {
            cases.extend(everywhere(&ping, origin, |request| request.with("origin", origin), refused()));
        }
        let two =
            |request: Request| request.also("origin", "http://localhost").also("origin", "http://localhost");
        cases.extend(everywhere(&ping, "two origins", two, refused()));
        let bytes = |request: Request| request.with("origin", b"http://\xff");
        cases.extend(everywhere(&ping, "an origin of bytes", bytes, refused()));
        check_all(&gateway.client, cases).await;
    });
}

#[test]
fn a_post_must_say_that_it_is_json_and_takes_both_kinds_of_answer() {
    run(async {
        let (gateway, ping) = gateway().await;
        let mut cases = Vec::new();
        let media = status(415, "application/json");
        for (value, expect) in [
            ("application/json; charset=utf-8", result("1")),
            ("APPLICATION/JSON", result("1")),
            ("application/json;", result("1")),
            ("text/plain", media),
            ("application/jsonx", media),
            ("application/json-rpc", media),
            ("application/x-www-form-urlencoded", media),
            ("application/json, text/plain", media),
            ("", media),
            ("\u{ff}", media),
        ] {
            cases.push(case(
                format!("content-type {value:?}"),
                ping.clone().with("content-type", value),
                expect,
            ));
        }
        cases.push(case("no content type", ping.clone().without("content-type"), media));
        cases.push(case("two content types", ping.clone().also("content-type", "text/plain"), media));
        let accept = status(406, "Accept");
        for (value, expect) in [
            ("*/*", result("1")),
            ("application/*, text/*", result("1")),
            ("text/event-stream;q=0.5,application/json;q=0.9", result("1")),
            ("APPLICATION/JSON, TEXT/EVENT-STREAM", result("1")),
            ("application/json", accept),
            ("text/event-stream", accept),
            ("application/json, text/event-stream;q=0", accept),
            ("application/json;q=0.000, text/event-stream", accept),
            ("text/html", accept),
            ("application/json text/event-stream", accept),
            ("json, event-stream", accept),
            ("", accept),
        ] {
            cases.push(case(format!("accept {value:?}"), ping.clone().with("accept", value), expect));
        }
        let both = ping.clone().with("accept", "application/json").also("accept", "text/event-stream");
        cases.push(case("accept in two lines", both, result("1")));
        // Who does not say takes everything (RFC 9110, section 12.5.1).
        cases.push(case("no accept", ping.clone().without("accept"), result("1")));
        check_all(&gateway.client, cases).await;
    });
}

#[test]
fn the_version_and_the_session_must_be_known() {
    run(async {
        let (gateway, ping) = gateway().await;
        let mut cases = Vec::new();
        let version = |value: &str| ping.clone().with("mcp-protocol-version", value);
        let unknown = error(400, -32600, "1", "mcp-protocol-version");
        for known in ["2025-06-18", "2025-11-25"] {
            cases.push(case(format!("version {known}"), version(known), result("1")));
        }
        for value in ["1999-01-01", "2025-11-25 ,x", "latest", "", "\u{ff}", "2025-11-2", "../2025-11-25"] {
            cases.push(case(format!("version {value:?}"), version(value), unknown));
        }
        let two = version("2025-11-25").also("mcp-protocol-version", "2025-11-25");
        cases.push(case("two versions", two, unknown));
        for later in ["2026-07-28", "2099-01-01"] {
            let claim = version(later).with("mcp-method", "ping");
            cases.push(case(format!("{later} without _meta"), claim, error(400, -32602, "1", "_meta")));
        }
        let session = |value: &str| ping.clone().with("mcp-session-id", value);
        let gone = error(404, -32600, "1", "session");
        for value in ["unknown", "", "0", "\u{ff}", "00000000000000000000000000000000", "a b", "%00", "../x"]
        {
            cases.push(case(format!("session {value:?}"), session(value), gone));
        }
        let long = "s".repeat(20_000);
        cases.push(case("a long session id", session(&long), gone));
        cases.push(case("two session ids", ping.clone().also("mcp-session-id", "x"), gone));
        let none = error(400, -32600, "1", "Mcp-Session-Id");
        cases.push(case("no session id", ping.clone().without("mcp-session-id"), none));
        check_all(&gateway.client, cases).await;
    });
}

#[test]
fn streams_and_deletions_need_a_session_of_the_old_revisions() {
    run(async {
        let (gateway, ping) = gateway().await;
        let mut cases = Vec::new();
        let get = ping.clone().at("GET /mcp").with("accept", "text/event-stream");
        let gone = error(404, -32600, "null", "session");
        for method in ["GET", "DELETE"] {
            let request = get.clone().at(&format!("{method} /mcp"));
            let none = request.clone().without("mcp-session-id");
            cases.push(case(format!("{method} without a session"), none, status(405, "")));
            let unknown = request.clone().with("mcp-session-id", "unknown");
            cases.push(case(format!("{method} of an unknown session"), unknown, gone));
            let two = request.clone().also("mcp-session-id", "x");
            cases.push(case(format!("{method} of two sessions"), two, gone));
            let modern = request.with("mcp-protocol-version", "2026-07-28");
            cases.push(case(format!("{method} of the stateless revision"), modern, status(405, "")));
        }
        let no_events = get.clone().with("accept", "application/json");
        cases.push(case("GET without events", no_events, status(406, "event-stream")));
        let evil = get.clone().with("origin", "http://evil.com");
        cases.push(case("GET of a foreign page", evil, status(403, "origin")));
        for last in
            ["", "garbage", "-1", "0/0", "99999999999999999999999/1", "1/99999999999999999999999", "\u{ff}"]
        {
            let resumed = get.clone().with("last-event-id", last);
            cases.push(case(format!("Last-Event-ID {last:?}"), resumed, STREAM));
        }
        check_all(&gateway.client, cases).await;
    });
}
