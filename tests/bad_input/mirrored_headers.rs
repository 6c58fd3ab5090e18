//! The headers of 2026-07-28 that repeat the body.

use aqe_testkit::client::Revision;

use super::{
    request::{Request, case, check_all, error, result, status},
    support::{Gateway, SMALL, child, run},
};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn modern(method: &str, params: &str) -> Request {
    let comma = if params.is_empty() { "" } else { "," };
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{comma}{META}}}}}"#);
    Request::post(body).with("mcp-protocol-version", "2026-07-28").with("mcp-method", method)
}

fn call(name: &str, arguments: &str) -> Request {
    modern("tools/call", &format!(r#""name":"{name}","arguments":{arguments}"#)).with("mcp-name", name)
}

async fn gateway() -> Gateway {
    let gateway = Gateway::http(SMALL, &child("fixture", "fixture", &["stdio"], "")).await;
    // The table needs the upstream's tools: their first list waits for them.
    gateway.session(Revision::V2025_11_25).await;
    gateway
}

#[test]
fn the_standard_headers_must_say_what_the_body_says() {
    run(async {
        let gateway = gateway().await;
        let good = call("test_simple_text", "{}");
        let version = error(400, -32020, "1", "mcp-protocol-version");
        let method = error(400, -32020, "1", "mcp-method");
        let name = error(400, -32020, "1", "mcp-name");
        let mut cases = vec![
            case("all as it must be", good.clone(), result("1")),
            case("no version", good.clone().without("mcp-protocol-version"), version),
            case("an older version", good.clone().with("mcp-protocol-version", "2025-11-25"), version),
            case("an unknown version", good.clone().with("mcp-protocol-version", "2099-01-01"), version),
            case("two versions", good.clone().also("mcp-protocol-version", "2026-07-28"), version),
            case("no method", good.clone().without("mcp-method"), method),
            case("another method", good.clone().with("mcp-method", "tools/list"), method),
            case("a method in capitals", good.clone().with("mcp-method", "Tools/Call"), method),
            case("an empty method", good.clone().with("mcp-method", ""), method),
            case("two methods", good.clone().also("mcp-method", "tools/call"), method),
            case("a method of bytes", good.clone().with("mcp-method", b"tools/call\xff"), method),
            case("no name", good.clone().without("mcp-name"), name),
            case("two names", good.clone().also("mcp-name", "test_simple_text"), name),
            case("a session, which is ignored", good.clone().with("mcp-session-id", "unknown"), result("1")),
            case("an event id, which is ignored", good.clone().with("last-event-id", "x"), result("1")),
            case("a foreign parameter, which is ignored", good.clone().with("mcp-param-x", "1"), result("1")),
            case("a name where none is due", modern("tools/list", "").with("mcp-name", "x"), result("1")),
        ];
        for (value, expect) in [
            ("Test_Simple_Text", name),
            ("test_image_content", name),
            ("", name),
            ("test_simple_text,test_simple_text", name),
            ("=?base64?dGVzdF9zaW1wbGVfdGV4dA==?=", result("1")),
            ("=?base64?dGVzdF9zaW1wbGVfdGV4dA?=", name),
            ("=?base64?dGVzdF9pbWFnZV9jb250ZW50?=", name),
            ("=?base64?%%%%?=", name),
            ("=?base64??=", name),
            ("=?base64?//8=?=", name),
            ("=?base64?dGVzdF9zaW1wbGVfdGV4dA==", name),
        ] {
            cases.push(case(format!("the name {value:?}"), good.clone().with("mcp-name", value), expect));
        }
        let long = good.clone().with("mcp-name", "n".repeat(20_000));
        cases.push(case("a name of 20 KB", long, name));
        let other = modern("tools/call", r#""name":7"#).with("mcp-name", "7");
        cases.push(case("a name that is a number", other, error(200, -32602, "1", "name")));
        cases.push(case("GET", modern("tools/list", "").at("GET /mcp"), status(405, "")));
        check_all(&gateway.client, cases).await;
    });
}

#[test]
fn mirrored_arguments_must_say_what_the_body_says() {
    run(async {
        let gateway = gateway().await;
        let call = |arguments: &str| call("test_custom_header", arguments);
        let with = |value: &str| call(r#"{"value":"Zürich"}"#).with("mcp-param-value", value);
        let wrong = error(400, -32020, "1", "mcp-param-value");
        let plain = call(r#"{"value":"Bern"}"#).with("mcp-param-value", "Bern");
        let cases = vec![
            case("as it must be", plain.clone(), result("1")),
            case("no header", plain.clone().without("mcp-param-value"), wrong),
            case("another value", plain.clone().with("mcp-param-value", "bern"), wrong),
            case("an empty value", plain.clone().with("mcp-param-value", ""), wrong),
            case("twice, differing", plain.clone().also("mcp-param-value", "Chur"), wrong),
            case("twice the same", plain.clone().also("mcp-param-value", "Bern"), wrong),
            case("base64 of it", with("=?base64?WsO8cmljaA==?="), result("1")),
            case("base64 of something else", with("=?base64?WnVyaWNo?="), wrong),
            case("broken base64", with("=?base64?WsO8cmljaA?="), wrong),
            case("base64 of no text", with("=?base64?//8=?="), wrong),
            case("its bytes, not encoded", with("Zürich"), wrong),
            case("a header without an argument", call("{}").with("mcp-param-value", "Bern"), wrong),
        ];
        check_all(&gateway.client, cases).await;
    });
}
