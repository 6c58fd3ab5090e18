//! Bodies and lines that are no JSON, or JSON at its limits.

use aqe_testkit::client::{Message, Revision};

use super::{
    request::{Request, case, check_all, error, result, status},
    support::{Gateway, LIMIT, SMALL, raw, run},
    talk::{Reply, Row, Talk, row},
};

const NO_JSON: Reply = Reply::Error(-32700, "null", "");

/// A call of `received`, whose answer holds the request as the upstream got it.
fn received(arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"received","arguments":{arguments}}}}}"#
    )
}

fn nested(depth: usize) -> String {
    received(&format!(r#"{{"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)))
}

/// A ping of exactly this many bytes.
fn ping_of(bytes: usize) -> String {
    let ping = |pad: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":"{pad}"}}}}"#);
    ping(&"x".repeat(bytes - ping("").len()))
}

#[test]
fn a_message_cut_at_any_byte_is_no_json() {
    run(async {
        let mut talk = Talk::start(SMALL, &raw(), Revision::V2025_11_25).await;
        let arguments =
            r#"{"text":"é \" \\ \u00e9","n":[1,-2.5e+3,null,true,false,{}],"deep":{"a":{"b":[[]]}}}"#;
        let whole = Message::call("\"an id\"", "received", arguments)
            .progress_token(7)
            .meta("com.example/k", r#"{"a":[1,2,3]}"#)
            .meta("traceparent", "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"")
            .text(Revision::V2025_11_25);
        assert!(whole.len() >= 290, "{}", whole.len());
        let mut rows: Vec<Row> = (0..whole.len())
            .map(|end| row(format!("cut at {end}"), &whole.as_bytes()[..end], NO_JSON))
            .collect();
        rows.push(row("whole", whole.clone(), Reply::Result("\"an id\"")));
        talk.check_all(rows).await;
    });
}

#[test]
fn what_is_no_json_is_refused_and_odd_json_reaches_the_upstream_as_it_is() {
    run(async {
        let mut talk = Talk::start(SMALL, &raw(), Revision::V2025_11_25).await;
        let mut rows = vec![
            row("nothing", "", NO_JSON),
            row("white space", " \t ", NO_JSON),
            row("bytes of UTF-16", b"{\0\"\0j\0\"\0:\x001\0}\0".to_vec(), NO_JSON),
            row("a NUL after it", received("{}") + "\0", NO_JSON),
            row("something after it", received("{}") + "x", NO_JSON),
            row("two messages", received("{}").repeat(2), NO_JSON),
            row("one bracket too many", received("{}") + "}", NO_JSON),
            row("a comment", format!("/* x */{}", received("{}")), NO_JSON),
            row("HTML", "<html>It works!</html>", NO_JSON),
            row("a form", "jsonrpc=2.0&method=ping&id=1", NO_JSON),
            row("white space around it", format!(" \t{} \t", received("{}")), Reply::Result("1")),
        ];
        for bytes in [
            &b"\xff"[..],
            b"\xc0\x80",
            b"\xc3",
            b"\xc3\x28",
            b"\xe2\x82",
            b"\xed\xa0\x80",
            b"\xf0\x9f\x98",
            b"\xf4\x90\x80\x80",
            b"\xf5\x80\x80\x80",
            b"\x80",
        ] {
            for whole in
                [received(r#"{"x":"@"}"#), received(r#"{"@":1}"#), received("{}").replace("received", "@")]
            {
                let at = whole.find('@').unwrap();
                let body = [&whole.as_bytes()[..at], bytes, &whole.as_bytes()[at + 1..]].concat();
                rows.push(row(format!("{bytes:x?} at {at}"), body, NO_JSON));
            }
        }
        for value in [
            "NaN",
            "Infinity",
            "-Infinity",
            "01",
            "-01",
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "-",
            "0x1",
            "1_000",
            "tru",
            "True",
            "undefined",
            "'x'",
            "x",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":}",
            "{1:2}",
            "\"\t\"",
            "\"\0\"",
            "\"\u{1f}\"",
            "\"\\x41\"",
            "\"\\u12g4\"",
            "\"\\u12\"",
            "\"\\\"",
            "\"a",
            "[",
            "{",
            "]",
            "}",
            "1 1",
            "\\u0031",
            "\u{a0}1",
        ] {
            rows.push(row(format!("{value:?}"), received(&format!(r#"{{"x":{value}}}"#)), NO_JSON));
        }
        for value in [
            "-0",
            "1e400",
            "-1e-400",
            "0.1000000000000000055511151231257827",
            "123456789012345678901234567890",
            "1E+2",
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\u0000""#,
            r#""\/""#,
            "[ 1 , 2 ]",
            r#"{"a":1,"a":2}"#,
            "\"\u{7f}\"",
            "\"\u{2028}\"",
            r#"{"":{"":""}}"#,
            r#"{"id":7,"method":"x"}"#,
        ] {
            rows.push(row(format!("{value} is passed on"), received(&format!(r#"{{"x":{value}}}"#)), {
                Reply::Holds("1", Box::leak(format!(r#"{{"x":{value}}}"#).into_boxed_str()))
            }));
        }
        talk.check_all(rows).await;
    });
}

#[test]
fn depth_is_limited_and_never_a_matter_of_the_stack() {
    run(async {
        // 100,000 brackets must be refused for their depth, not for their size.
        let server = "max_body_bytes = 300000\nmax_line_bytes = 300000\n";
        let mut talk = Talk::start(server, &raw(), Revision::V2025_11_25).await;
        let deep = Reply::Error(-32700, "null", "deep");
        // The envelope, params and arguments are three levels of the 128.
        let rows = vec![
            row("64", nested(61), Reply::Result("1")),
            row("127", nested(124), Reply::Result("1")),
            row("128", nested(125), Reply::Result("1")),
            row("129", nested(126), deep),
            row("100,000", nested(100_000), deep),
            row("100,000 objects", received(&r#"{"x":"#.repeat(50_000)), deep),
            row("100,000 closing brackets", "]".repeat(100_000), NO_JSON),
        ];
        talk.check_all(rows).await;
    });
}

#[test]
fn members_that_are_there_twice_are_refused_where_they_decide() {
    run(async {
        let mut talk = Talk::start(SMALL, &raw(), Revision::V2025_11_25).await;
        let twice = Reply::Error(-32600, "1", "duplicate");
        let call =
            |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let rows = vec![
            row("id", r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, twice),
            row("method", r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#, twice),
            row(
                "method, escaped",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/list"}"#,
                twice,
            ),
            row("jsonrpc", r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}"#, twice),
            row("params", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#, twice),
            row("name", call(r#"{"name":"bare","name":"received"}"#), twice),
            row("name, escaped", call(r#"{"name":"bare","n\u0061me":"received"}"#), twice),
            row("arguments", call(r#"{"name":"bare","arguments":{},"arguments":{}}"#), twice),
            row("_meta", call(r#"{"name":"bare","_meta":{},"_meta":{}}"#), twice),
            row(
                "progressToken",
                call(r#"{"name":"bare","_meta":{"progressToken":1,"progressToken":2}}"#),
                twice,
            ),
            row("a foreign one", call(r#"{"name":"bare","x":1,"x":2}"#), Reply::Result("1")),
        ];
        talk.check_all(rows).await;
    });
}

#[test]
fn bodies_are_taken_up_to_the_limit_and_not_a_byte_more() {
    run(async {
        let gateway = Gateway::http(SMALL, &raw()).await;
        let id = gateway.session(Revision::V2025_11_25).await.id.unwrap();
        let post = |body: String| Request::post(body).with("mcp-session-id", &id);
        let chunked = |body: String| {
            let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            post(chunk).with("transfer-encoding", "chunked")
        };
        let over = status(413, "65536");
        let cases = vec![
            case("one less", post(ping_of(LIMIT - 1)), result("1")),
            case("the limit", post(ping_of(LIMIT)), result("1")),
            case("one more", post(ping_of(LIMIT + 1)), over),
            // On a pipe it is passed over: editors leave it behind.
            case(
                "a byte order mark",
                post(format!("\u{feff}{}", ping_of(100))),
                error(400, -32700, "null", ""),
            ),
            case("the limit in chunks", chunked(ping_of(LIMIT)), result("1")),
            case("one more in chunks", chunked(ping_of(LIMIT + 1)), over),
            case("ten times as much", post(ping_of(LIMIT * 10)), over),
            case("ten times as much in chunks", chunked(ping_of(LIMIT * 10)), over),
        ];
        check_all(&gateway.client, cases).await;
    });
}

#[test]
fn without_a_setting_the_limit_is_16_mib() {
    run(async {
        const DEFAULT: usize = 16 * 1024 * 1024;
        let gateway = Gateway::http("", &raw()).await;
        let id = gateway.session(Revision::V2025_11_25).await.id.unwrap();
        let post = |body: String| Request::post(body).with("mcp-session-id", &id);
        let keys: Vec<String> = (0..100_000).map(|n| format!("\"{n}\":{n}")).collect();
        let keys = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{{}}}}}"#, keys.join(","));
        let key = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{}":1}}"#, "k".repeat(1_000_000));
        let cases = vec![
            case("100,000 keys", post(keys), result("1")),
            case("a key of 1 MB", post(key), result("1")),
            case("the limit", post(ping_of(DEFAULT)), result("1")),
            case("one more", post(ping_of(DEFAULT + 1)), status(413, "16777216")),
        ];
        check_all(&gateway.client, cases).await;
    });
}

#[test]
fn a_message_over_many_lines_reaches_a_child_as_one_line() {
    run(async {
        let gateway = Gateway::http(SMALL, &raw()).await;
        let session = gateway.session(Revision::V2025_11_25).await;
        let id = session.id.clone().unwrap();
        for line_end in ["\n", "\r\n", "\r"] {
            let body = received(r#"{"x":"a\nb"}"#).replace(',', &format!(",{line_end}  "));
            let mut response = gateway.client.post(&[("mcp-session-id", &id)], body.as_bytes()).await;
            let text = response.answer("1").await.content_text();
            assert!(text.contains(r#"{"x":"a\nb"}"#) && !text.contains(['\r', '\n']), "{text:?}");
        }
    });
}
