//! Answers that are too long to be collected.

use bytes::Bytes;
use http::HeaderValue;

use super::support::*;
use crate::upstream::{CallError, Connection as _, Item, LongReply, PendingCall};

/// From which length on the tests want an answer in pieces.
const FROM: usize = 1_000;

fn long_result(id: &str, length: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"text":"{}"}}}}"#, "é".repeat(length / 2))
}

fn call(connection: &std::sync::Arc<super::super::HttpConnection>, method: &str) -> Box<dyn PendingCall> {
    let id = connection.next_id();
    let bytes = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#);
    let out = crate::upstream::Outgoing { pass_from: Some(FROM), ..outgoing(method, bytes) };
    request_with(connection, id, out)
}

async fn long(call: &mut dyn PendingCall) -> LongReply {
    match next(call).await {
        Item::Long(reply) => reply,
        other => panic!("not handed out while it comes: {:.300}", format!("{other:?}")),
    }
}

#[tokio::test]
async fn it_is_handed_out_while_it_comes_however_it_is_framed() {
    let server = Server::start(|seen| async move {
        let text = long_result(&seen.id(), 200_000);
        if seen.is("length") {
            let mut reply = json(&text);
            reply.headers_mut().insert("content-length", HeaderValue::from(text.len()));
            return reply;
        }
        let (kind, text) = match () {
            () if seen.is("chunks") => ("application/json", text),
            () if seen.is("lines") => {
                ("text/event-stream", format!("data:{}\n\n", text.replacen(':', ":\r\ndata: ", 2)))
            }
            () => ("text/event-stream", format!(": hi\r\nid: 7\r\n{}", data(&text))),
        };
        let (sender, reply) = open(200, kind);
        tokio::spawn(async move {
            for piece in text.as_bytes().chunks(10_007) {
                let _ = sender.send(Ok(Bytes::copy_from_slice(piece))).await;
            }
        });
        reply
    })
    .await;
    let (connection, _) = connect(&server.url());
    for (id, method) in ["length", "chunks", "lines", "event"].into_iter().enumerate() {
        let mut call = call(&connection, method);
        let reply = long(&mut *call).await;
        drop(call);
        let text = whole(reply).await.unwrap();
        assert_eq!(text.replace('\n', ""), long_result(&(id + 1).to_string(), 200_000), "{method}");
    }
    assert_eq!(
        server.connections.load(std::sync::atomic::Ordering::Relaxed),
        1,
        "its connection is used again"
    );
}

#[tokio::test]
async fn what_is_short_or_no_result_is_collected() {
    let server = Server::start(|seen| async move {
        let id = seen.id();
        let text = match () {
            () if seen.is("short") => long_result(&id, FROM / 2),
            () if seen.is("error") => {
                format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":1,"message":"{}"}}}}"#,
                    "x".repeat(5_000)
                )
            }
            () => long_result("99", 5_000),
        };
        if seen.is("event") { events(&data(&text)) } else { json(&text) }
    })
    .await;
    let (connection, _) = connect(&server.url());
    for method in ["short", "short event", "error", "error event"] {
        assert!(matches!(next(&mut *call(&connection, method)).await, Item::Answer(_)), "{method}");
    }
    // Its id stands in front: it is known to be another call's before anything of it leaves.
    for method in ["other", "other event"] {
        let failed = next(&mut *call(&connection, method)).await;
        assert!(matches!(failed, Item::Failed(CallError::Malformed(_))), "{method}: {failed:?}");
    }
}

#[tokio::test]
async fn one_that_breaks_off_fails() {
    let server = Server::start(|seen| async move {
        let text = long_result(&seen.id(), 50_000);
        let is_event = seen.is("event");
        let (sender, mut reply) = open(200, if is_event { "text/event-stream" } else { "application/json" });
        if !is_event {
            reply.headers_mut().insert("content-length", HeaderValue::from(text.len()));
        }
        let begun = if is_event { format!("data: {text}\n") } else { text[..20_000].to_owned() };
        let _ = sender.try_send(Ok(begun.into()));
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            if !is_event {
                let _ = sender.send(Err(std::io::ErrorKind::BrokenPipe.into())).await;
            }
        });
        reply
    })
    .await;
    let (connection, _) = connect(&server.url());
    for method in ["body", "event"] {
        let reply = long(&mut *call(&connection, method)).await;
        let broken = whole(reply).await;
        assert!(matches!(broken, Err(CallError::Closed(_))), "{method}: {broken:?}");
    }
}

#[tokio::test]
async fn dropped_in_the_middle_it_is_cancelled_at_a_legacy_server_and_closed_at_any() {
    let server = Server::start(|seen| async move {
        if seen.is("notifications/cancelled") {
            return reply(202, "text/plain", "");
        }
        let (sender, reply) = open(200, "application/json");
        write(&sender, &long_result(&seen.id(), 50_000)[..20_000]).await;
        tokio::spawn(async move { sender.closed().await });
        reply
    })
    .await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2024-11-05");
    let mut call = call(&connection, "tools/call");
    let reply = long(&mut *call).await;
    drop(call);
    assert!(!server.seen().iter().any(|seen| seen.is("cancelled")), "it goes on without its call");
    drop(reply);
    let told = server.saw(|seen| seen.is("notifications/cancelled")).await;
    assert!(told.is(r#""requestId":1"#), "{told:?}");
}

#[tokio::test]
async fn a_compressed_one_is_expanded_little_by_little() {
    const LENGTH: usize = 40_000_000;
    let server = Server::start(|seen| async move {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"text":"{}"}}}}"#, seen.id(), "x".repeat(LENGTH));
        let (sender, mut reply) = open(200, "application/json");
        let _ = sender.try_send(Ok(zstd::bulk::compress(text.as_bytes(), 1).unwrap().into()));
        reply.headers_mut().insert("content-encoding", HeaderValue::from_static("zstd"));
        reply
    })
    .await;
    let (connection, _) = connect(&server.url());
    let mut reply = long(&mut *call(&connection, "tools/call")).await;
    let (mut all, mut largest) = (reply.head.len(), reply.head.len());
    while let Some(piece) = std::future::poll_fn(|cx| reply.rest.poll_piece(cx)).await.unwrap() {
        all += piece.len();
        largest = largest.max(piece.len());
    }
    assert!(all > LENGTH && largest < 12_000_000, "{all} bytes in pieces of up to {largest}");
}
