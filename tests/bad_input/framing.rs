//! HTTP/1.1 messages that are not what they seem: broken heads, lying lengths, two requests in one.

use std::time::Duration;

use aqe_testkit::client::{HttpClient, Revision};

use super::{
    request::{Request, SOON},
    support::{Faults, Gateway, SMALL, raw, run},
};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// A request that must never be served when it hides in the body of another.
const HIDDEN: &str = "GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

/// The statuses that may come back, in order; any one of the lists.
type Allowed<'a> = &'a [&'a [u16]];

/// Sends bytes on a connection of their own; gives everything that comes back until the gateway closes or is quiet.
async fn exchange(client: &HttpClient, bytes: &[u8]) -> String {
    let mut socket = client.socket().await;
    let _ = socket.try_send(bytes).await;
    let mut all = Vec::new();
    let mut patience = SOON;
    while let Ok(Some(bytes)) = tokio::time::timeout(patience, socket.receive()).await {
        all.extend_from_slice(&bytes);
        patience = Duration::from_millis(60);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn statuses(text: &str) -> Vec<u16> {
    text.split("HTTP/1.").skip(1).filter_map(|rest| rest.get(2..5)?.parse().ok()).collect()
}

async fn gateway() -> (Gateway, String) {
    let gateway = Gateway::http(SMALL, &raw()).await;
    let id = gateway.session(Revision::V2025_11_25).await.id.unwrap();
    (gateway, id)
}

/// A ping with these lines in its head instead of a length, and this body.
fn ping(session: &str, lines: &str, body: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nmcp-session-id: {session}\r\n{lines}\r\n{body}"
    )
}

#[test]
fn no_request_hides_in_the_body_of_another() {
    run(async {
        let (gateway, id) = gateway().await;
        let length = PING.len();
        let chunked = format!("{length:x}\r\n{PING}\r\n0\r\n\r\n");
        let whole = format!("content-length: {length}\r\n");
        // What may come back, in order; an answer to the hidden request is none of them.
        let cases: Vec<(&str, String, Allowed<'_>)> = vec![
            ("a length", ping(&id, &whole, PING), &[&[200]]),
            ("chunks", ping(&id, "transfer-encoding: chunked\r\n", &chunked), &[&[200]]),
            ("the same length twice", ping(&id, &whole.repeat(2), PING), &[&[200], &[400]]),
            (
                "two lengths",
                ping(&id, &format!("content-length: 0\r\n{whole}"), &format!("{PING}{HIDDEN}")),
                &[&[400]],
            ),
            (
                "a list of lengths",
                ping(&id, &format!("content-length: {length}, {length}\r\n"), PING),
                &[&[200], &[400]],
            ),
            ("a negative length", ping(&id, "content-length: -1\r\n", HIDDEN), &[&[400]]),
            ("a signed length", ping(&id, &format!("content-length: +{length}\r\n"), PING), &[&[400]]),
            ("a length in hex", ping(&id, "content-length: 0x28\r\n", PING), &[&[400]]),
            ("a length in words", ping(&id, "content-length: ten\r\n", HIDDEN), &[&[400]]),
            ("no length at all", ping(&id, "content-length: \r\n", HIDDEN), &[&[400]]),
            (
                "a length beyond 64 bits",
                ping(&id, "content-length: 99999999999999999999999\r\n", HIDDEN),
                &[&[400], &[413]],
            ),
            (
                "a length beyond the limit",
                ping(&id, "content-length: 65537\r\n", &"x".repeat(65_537)),
                &[&[413]],
            ),
            (
                "an unknown encoding",
                ping(&id, "transfer-encoding: xchunked\r\n", &chunked),
                &[&[400], &[501]],
            ),
            ("identity", ping(&id, "transfer-encoding: identity\r\n", &chunked), &[&[400], &[501]]),
            (
                "chunked, then something else",
                ping(&id, "transfer-encoding: chunked, identity\r\n", &chunked),
                &[&[400], &[501]],
            ),
            (
                "length before chunks",
                ping(
                    &id,
                    "content-length: 4\r\ntransfer-encoding: chunked\r\n",
                    &format!("0\r\n\r\n{HIDDEN}"),
                ),
                &[&[400]],
            ),
            (
                "chunks before length",
                ping(
                    &id,
                    "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
                    &format!("0\r\n\r\n{HIDDEN}"),
                ),
                &[&[400]],
            ),
            (
                "a chunk size that is no number",
                ping(&id, "transfer-encoding: chunked\r\n", &format!("zz\r\n{PING}\r\n0\r\n\r\n{HIDDEN}")),
                &[&[400]],
            ),
            (
                "a chunk size beyond 64 bits",
                ping(&id, "transfer-encoding: chunked\r\n", &format!("fffffffffffffffff\r\n{HIDDEN}")),
                &[&[400]],
            ),
            (
                "a negative chunk size",
                ping(&id, "transfer-encoding: chunked\r\n", &format!("-1\r\n{HIDDEN}")),
                &[&[400]],
            ),
            (
                "a chunk without its end",
                ping(&id, "transfer-encoding: chunked\r\n", &format!("2\r\n{{}}XX0\r\n\r\n{HIDDEN}")),
                &[&[400]],
            ),
            (
                "a chunk extension of 40 KB",
                ping(
                    &id,
                    "transfer-encoding: chunked\r\n",
                    &format!("{length:x};{}\r\n{PING}\r\n0\r\n\r\n", "x".repeat(40_000)),
                ),
                &[&[200], &[400]],
            ),
            (
                "a space before the colon",
                ping(&id, &format!("content-length : {length}\r\n"), PING),
                &[&[400]],
            ),
            ("a folded line", ping(&id, &format!("x-a: b\r\n c\r\n{whole}"), PING), &[&[400]]),
            ("a line without a colon", ping(&id, &format!("nonsense\r\n{whole}"), PING), &[&[400]]),
            ("an empty name", ping(&id, &format!(": x\r\n{whole}"), PING), &[&[400]]),
            ("a name with a space", ping(&id, &format!("x y: z\r\n{whole}"), PING), &[&[400]]),
            ("a NUL in a value", ping(&id, &format!("x-a: \0\r\n{whole}"), PING), &[&[400]]),
            ("a bare CR in a value", ping(&id, &format!("x-a: b\rc\r\n{whole}"), PING), &[&[400]]),
        ];
        let mut faults = Faults::default();
        let count = cases.len();
        for (name, bytes, allowed) in cases {
            let text = exchange(&gateway.client, bytes.as_bytes()).await;
            if !allowed.contains(&statuses(&text).as_slice()) || text.len() > 2_048 {
                faults.add(name, format!("expected one of {allowed:?}, got {text:.400}"));
            }
        }
        faults.report(count);
    });
}

#[test]
fn a_head_that_is_none_or_too_large_is_refused_and_the_connection_closed() {
    run(async {
        let (gateway, id) = gateway().await;
        let get = |lines: &str| format!("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n{lines}\r\n");
        let many = |count: usize| "x: y\r\n".repeat(count);
        let cases: Vec<(&str, Vec<u8>, Allowed<'_>)> = vec![
            ("50 headers", get(&many(50)).into(), &[&[200]]),
            ("1,000 headers", get(&many(1_000)).into(), &[&[431]]),
            ("30 KB in a header", get(&format!("x: {}\r\n", "y".repeat(30_000))).into(), &[&[200]]),
            ("130 KB in a header", get(&format!("x: {}\r\n", "y".repeat(130_000))).into(), &[&[431]]),
            (
                "a header without an end",
                format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(200_000)).into(),
                &[&[431]],
            ),
            (
                "a header name of 70 KB",
                get(&format!("{}: y\r\n", "x".repeat(70_000))).into(),
                &[&[400], &[431]],
            ),
            (
                "a target of 100 KB",
                format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(100_000)).into(),
                &[&[414], &[431]],
            ),
            ("no HTTP", b"EHLO example.org\r\n\r\n".to_vec(), &[&[400]]),
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[&[400], &[]]),
            ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[&[400], &[505], &[]]),
            ("HTTP/3.0", b"GET / HTTP/3.0\r\nhost: localhost\r\n\r\n".to_vec(), &[&[400], &[505]]),
            ("HTTP/0.9", b"GET /healthz\r\n\r\n".to_vec(), &[&[400]]),
            ("a target with a space", b"GET /a b HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(), &[&[400]]),
            (
                "a target of bytes",
                b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
                &[&[400], &[404]],
            ),
            ("no target", b"GET  HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(), &[&[400]]),
            ("a method of bytes", b"G\xffT / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(), &[&[400]]),
            ("NULs", vec![0; 1_000], &[&[400]]),
            ("HTTP/1.0 without a host", b"GET /healthz HTTP/1.0\r\n\r\n".to_vec(), &[&[400]]),
        ];
        let mut faults = Faults::default();
        let count = cases.len();
        for (name, bytes, allowed) in cases {
            let text = exchange(&gateway.client, &bytes).await;
            if !allowed.contains(&statuses(&text).as_slice()) || text.len() > 2_048 {
                faults.add(name, format!("expected one of {allowed:?}, got {text:.300}"));
            }
        }
        let ping = ping(&id, &format!("content-length: {}\r\n", PING.len()), PING);
        let after = exchange(&gateway.client, ping.as_bytes()).await;
        if statuses(&after) != [200] {
            faults.add("a ping after all that", after);
        }
        faults.report(count + 1);
    });
}

#[test]
fn requests_in_one_packet_are_answered_in_their_order() {
    run(async {
        let (gateway, id) = gateway().await;
        let ping = |n: usize| {
            Request::post(format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"ping"}}"#))
                .with("mcp-session-id", &id)
        };
        let mut bytes: Vec<u8> = (0..20).flat_map(|n| ping(n).bytes()).collect();
        bytes.extend(Request::post("{").with("mcp-session-id", &id).bytes());
        bytes.extend(ping(20).bytes());
        let mut socket = gateway.client.socket().await;
        socket.send(bytes).await;
        for n in 0..20 {
            let (status, _, body) = socket.response().await.unwrap();
            let expected = format!(r#"{{"jsonrpc":"2.0","id":{n},"result":{{}}}}"#);
            assert_eq!((status, &*body), (200, expected.as_bytes()));
        }
        assert_eq!(socket.response().await.unwrap().0, 400);
        assert_eq!(socket.response().await.unwrap().0, 200);
    });
}

#[test]
fn a_client_of_http_1_0_is_answered_and_the_connection_closed() {
    run(async {
        let (gateway, id) = gateway().await;
        let ping = Request::post(PING).with("mcp-session-id", &id).line("POST /mcp HTTP/1.0");
        let mut socket = gateway.client.socket().await;
        socket.send(ping.bytes()).await;
        let (status, _, body) = socket.response().await.unwrap();
        assert_eq!((status, &*body), (200, &br#"{"jsonrpc":"2.0","id":1,"result":{}}"#[..]));
        assert!(socket.closes_within(SOON).await);
    });
}

#[test]
fn a_head_request_gets_no_body() {
    run(async {
        let (gateway, _) = gateway().await;
        for path in ["/healthz", "/readyz"] {
            let head = Request::new(&format!("HEAD {path}")).bytes();
            let text = exchange(&gateway.client, &head).await;
            assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n"), "{text}");
        }
    });
}

#[test]
fn only_a_body_that_will_be_read_is_asked_to_continue() {
    run(async {
        let (gateway, id) = gateway().await;
        let ping = Request::post("").with("mcp-session-id", &id).with("expect", "100-continue");
        let good = ping.clone().with("content-length", PING.len().to_string());
        let mut socket = gateway.client.socket().await;
        socket.send(good.bytes()).await;
        let asked = socket.receive().await.unwrap();
        assert!(asked.starts_with(b"HTTP/1.1 100"), "{asked:?}");
        socket.send(PING).await;
        assert_eq!(socket.response().await.unwrap().0, 200);
        for (name, request, expected) in [
            ("no JSON", good.clone().with("content-type", "text/plain"), 415),
            ("no events", good.clone().with("accept", "text/html"), 406),
            ("evil", good.clone().with("host", "evil.com"), 403),
            ("too long", good.clone().with("content-length", "65537"), 413),
            ("nothing there", good.at("POST /nothing"), 404),
        ] {
            let text = exchange(&gateway.client, &request.bytes()).await;
            assert_eq!(statuses(&text), [expected], "{name}: {text}");
        }
    });
}
