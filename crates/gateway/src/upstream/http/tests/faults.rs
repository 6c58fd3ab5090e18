//! Servers that misbehave: each fault fails its own call, at once, with its reason.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::support::*;
use crate::upstream::{CallError, Connection, HttpLimits, next_item};

/// Calls once; the failure must not wait for anything.
async fn failure(url: &str) -> CallError {
    let limits = HttpLimits { max_body_bytes: 1_000, ..HttpLimits::default() };
    let (connection, _) = connect_with(&spec(url), limits);
    let begun = Instant::now();
    let error = answer(request(&connection, "tools/call")).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{error} after {:?}", begun.elapsed());
    assert!(connection.is_open(), "one bad answer ends no connection");
    error
}

async fn failure_of(status: u16, content_type: &'static str, body: &str) -> CallError {
    let body = body.to_owned();
    let server = Server::start(move |_| {
        let body = body.clone();
        async move { reply(status, content_type, &body) }
    })
    .await;
    failure(&server.url()).await
}

fn malformed(error: &CallError) -> bool {
    matches!(error, CallError::Malformed(_))
}

fn closed(error: &CallError) -> bool {
    matches!(error, CallError::Closed(_))
}

#[tokio::test]
async fn wrong_answers_are_malformed() {
    let other = r#"{"jsonrpc":"2.0","id":99,"result":{}}"#;
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"x":"{}"}}}}"#, "x".repeat(1_000));
    for body in [other, "", "{", "not json", "[]", r#"{"jsonrpc":"2.0","id":1}"#, &long] {
        let error = failure_of(200, "application/json", body).await;
        assert!(malformed(&error), "{body}: {error:?}");
    }
    for message in [other, "{", &long] {
        let error = failure_of(200, "text/event-stream", &data(message)).await;
        assert!(malformed(&error), "{message}: {error:?}");
    }
    for (status, content_type) in [(200, "text/html"), (202, "text/plain")] {
        let error = failure_of(status, content_type, "<p>").await;
        assert!(malformed(&error) && error.to_string().contains(content_type), "{error}");
    }
}

#[tokio::test]
async fn a_body_with_a_notification_and_no_answer_is_malformed() {
    let server = Server::start(|_| async { json(&progress("1", 1)) }).await;
    let (connection, _) = connect(&server.url());
    let (before, answer) = all(request(&connection, "tools/call")).await;
    assert_eq!(before, [progress("1", 1)]);
    assert!(malformed(&answer.unwrap_err()));
}

#[tokio::test]
async fn a_body_announced_as_too_large_is_not_read() {
    let error = failure(
        &raw(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n{",
            Then::Hang,
        )
        .await,
    )
    .await;
    assert_eq!(error, CallError::Malformed("answer of more than 1000 bytes".into()));
}

#[tokio::test]
async fn cut_answers_are_closed() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"jsonrpc\"";
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\nid:\r\n";
    for bytes in ["", head, stream] {
        for then in [Then::Close, Then::Reset] {
            let error = failure(&raw(bytes, then).await).await;
            assert!(closed(&error), "{bytes}: {error:?}");
        }
    }
    assert!(closed(&failure_of(200, "text/event-stream", "").await));
    // An unfinished event at the end of the stream is none.
    let unfinished = format!("data: {}\n", result("1"));
    assert!(closed(&failure_of(200, "text/event-stream", &unfinished).await));
    assert!(malformed(&failure(&raw("SSH-2.0-x\r\n\r\n", Then::Hang).await).await));
}

#[tokio::test]
async fn what_never_left_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = failure(&url).await;
    assert!(matches!(&error, CallError::NotSent(reason) if reason.contains("refused")), "{error:?}");
}

#[tokio::test]
async fn a_connect_that_hangs_ends_at_its_time_limit() {
    // TCP connects, TLS gets no answer.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let limits = HttpLimits { connect_timeout: Duration::from_millis(100), ..HttpLimits::default() };
    let (connection, _) = connect_with(&spec(&url), limits);
    let error = answer(request(&connection, "ping")).await.unwrap_err();
    assert_eq!(error, CallError::NotSent("no connection within 100 ms".into()));
}

#[tokio::test]
async fn http_refusals_carry_status_retry_after_and_text() {
    let server = Server::start(|_| async move {
        let mut reply = reply(503, "text/plain", "overloaded\r\nplease wait");
        reply.headers_mut().insert("retry-after", "7".parse().unwrap());
        reply
    })
    .await;
    let detail = Some("overloaded  please wait".into());
    assert_eq!(failure(&server.url()).await, CallError::Http { status: 503, retry_after_s: Some(7), detail });

    let server = Server::start(|_| async move {
        let body = r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":"Unauthorized"},"id":null}"#;
        let mut reply = reply(401, "application/json", body);
        let challenge = r#"Bearer error="invalid_token", realm="mcp", resource_metadata="http://x/""#;
        reply.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
        reply
    })
    .await;
    let detail = Some(r#"WWW-Authenticate: Bearer realm="mcp"; Unauthorized"#.into());
    assert_eq!(failure(&server.url()).await, CallError::Http { status: 401, retry_after_s: None, detail });

    let long = failure_of(500, "text/plain", &"é".repeat(400)).await;
    assert_eq!(long, CallError::Http { status: 500, retry_after_s: None, detail: Some("é".repeat(300)) });
    let bare = failure_of(502, "text/html", "").await;
    assert_eq!(bare, CallError::Http { status: 502, retry_after_s: None, detail: None });
}

#[tokio::test]
async fn a_refusal_whose_text_never_comes_does_not_wait_for_it() {
    let url = raw("HTTP/1.1 500 X\r\ncontent-length: 10\r\n\r\n", Then::Hang).await;
    let (connection, _) = connect(&url);
    let error = answer(request(&connection, "ping")).await.unwrap_err();
    assert_eq!(error, CallError::Http { status: 500, retry_after_s: None, detail: None });
}

#[tokio::test]
async fn a_silent_server_is_left_to_the_callers_deadline_and_harms_no_other_call() {
    let server = Server::start(|seen| async move {
        if seen.is("slow") {
            std::future::pending::<()>().await;
        }
        json(&result(&seen.id()))
    })
    .await;
    let (connection, _) = connect(&server.url());
    let mut silent = request(&connection, "slow");
    assert!(tokio::time::timeout(Duration::from_millis(50), next_item(silent.as_mut())).await.is_err());
    assert!(answer(request(&connection, "ping")).await.is_ok());
    assert_eq!(connection.in_flight().len(), 1);
    drop(silent);
    assert!(connection.in_flight().is_empty());
}

#[tokio::test]
async fn an_unread_stream_delays_no_other_call() {
    let server = Server::start(|seen| async move {
        if !seen.is("flood") {
            return json(&result(&seen.id()));
        }
        let (sender, reply) = open(200, "text/event-stream");
        tokio::spawn(async move {
            for n in 0..100_000 {
                write(&sender, &data(&progress("1", n))).await;
            }
        });
        reply
    })
    .await;
    let (connection, _) = connect(&server.url());
    let mut unread = request(&connection, "flood");
    next(unread.as_mut()).await;
    for _ in 0..10 {
        let begun = Instant::now();
        answer(request(&connection, "ping")).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
