//! What counts as an answer, and in what order things arrive.

use std::time::Duration;

use super::support::*;
use crate::upstream::{CallError, Connection, Item};

#[tokio::test]
async fn a_json_body_is_the_answer_and_the_request_carries_what_the_specification_asks_for() {
    let server = Server::start(|seen| async move { json(&result(&seen.id())) }).await;
    let (connection, _) = connect(&server.url());
    assert_eq!(answer(request(&connection, "tools/list")).await.unwrap(), result("1"));
    let seen = &server.seen()[0];
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(seen.header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(seen.header("mcp-protocol-version"), None);
    assert!(connection.in_flight().is_empty());
}

#[tokio::test]
async fn progress_and_server_requests_come_in_order_before_the_answer() {
    let server = Server::start(|seen| async move {
        let mut body: String = (0..1_000).map(|n| data(&progress("1", n))).collect();
        body += &data(r#"{"jsonrpc":"2.0","id":9,"method":"roots/list"}"#);
        body += &data(&result(&seen.id()));
        // Nothing may come after the answer, whatever the server sends.
        body += &data(&progress("1", 5_000));
        events(&body)
    })
    .await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2024-11-05");
    let (before, answer) = all(request(&connection, "tools/call")).await;
    let mut expected: Vec<String> = (0..1_000).map(|n| progress("1", n)).collect();
    expected.push(r#"{"jsonrpc":"2.0","id":9,"method":"roots/list"}"#.into());
    assert_eq!(before, expected);
    assert_eq!(answer.unwrap(), result("1"));
}

#[tokio::test]
async fn a_stream_reads_the_same_however_it_is_cut_and_whatever_its_line_ends() {
    for line_end in ["\n", "\r\n", "\r"] {
        let server = Server::start(move |seen| async move {
            let text = format!(": hi\n\nid: 1\n{}{}", data(&progress("1", 1)), data(&result(&seen.id())));
            let (sender, reply) = open(200, "text/event-stream");
            tokio::spawn(async move {
                for byte in text.replace('\n', line_end).chars() {
                    write(&sender, &byte.to_string()).await;
                    tokio::task::yield_now().await;
                }
            });
            reply
        })
        .await;
        let (connection, _) = connect(&server.url());
        let (before, answer) = all(request(&connection, "tools/call")).await;
        assert_eq!((before, answer.unwrap()), (vec![progress("1", 1)], result("1")), "{line_end:?}");
    }
}

#[tokio::test]
async fn a_batch_in_the_body_is_taken_apart() {
    let server =
        Server::start(|seen| async move { json(&format!("[{},{}]", progress("1", 1), result(&seen.id()))) })
            .await;
    let (connection, _) = connect(&server.url());
    let (before, answer) = all(request(&connection, "tools/call")).await;
    assert_eq!((before, answer.unwrap()), (vec![progress("1", 1)], result("1")));
}

#[tokio::test]
async fn an_error_without_our_id_is_the_answer() {
    for body in [
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request"},"id":null}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}"#,
    ] {
        let server = Server::start(move |_| async move { reply(400, "application/json", body) }).await;
        let (connection, _) = connect(&server.url());
        assert_eq!(answer(request(&connection, "server/discover")).await.unwrap(), body);
    }
}

#[tokio::test]
async fn a_404_with_the_answer_in_it_is_an_answer_even_in_a_session() {
    let body = r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"Method not found"}}"#;
    let server = Server::start(move |seen| async move {
        if seen.is("initialize") {
            let mut reply = json(&result(&seen.id()));
            reply.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
            return reply;
        }
        reply(404, "application/json", body)
    })
    .await;
    let (connection, recorder) = connect(&server.url());
    open_session(&connection, "2024-11-05").await;
    assert_eq!(answer(request(&connection, "nope")).await.unwrap(), body);
    assert!(connection.is_open() && recorder.closed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_caller_takes_each_item_before_more_is_read() {
    let server = Server::start(|seen| async move {
        let (sender, reply) = open(200, "text/event-stream");
        tokio::spawn(async move {
            write(&sender, &data(&progress("1", 1))).await;
            write(&sender, &data(&progress("1", 2))).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            write(&sender, &data(&result(&seen.id()))).await;
        });
        reply
    })
    .await;
    let (connection, _) = connect(&server.url());
    let mut call = request(&connection, "tools/call");
    assert!(matches!(next(call.as_mut()).await, Item::Notification(_)));
    assert_eq!(connection.in_flight().len(), 1);
    assert!(matches!(next(call.as_mut()).await, Item::Notification(_)));
    assert!(matches!(next(call.as_mut()).await, Item::Answer(_)));
    assert!(connection.in_flight().is_empty());
}

#[tokio::test]
async fn what_was_delivered_from_elsewhere_comes_before_a_later_answer() {
    let server = Server::start(|seen| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        json(&result(&seen.id()))
    })
    .await;
    let (connection, _) = connect(&server.url());
    let call = request(&connection, "tools/call");
    let limits = aqe_core::envelope::Limits::default();
    let message = aqe_core::envelope::Message::parse(progress("1", 1).into(), limits).unwrap();
    assert!(connection.deliver(1, Item::Notification(message.clone())).is_none());
    assert!(connection.deliver(2, Item::Notification(message)).is_some());
    let (before, answer) = all(call).await;
    assert_eq!((before, answer.unwrap()), (vec![progress("1", 1)], result("1")));
}

#[tokio::test]
async fn notifications_are_accepted_with_202_and_refused_with_the_reason() {
    let server = Server::start(|seen| async move {
        if seen.is("initialized") {
            reply(202, "text/plain", "")
        } else {
            reply(500, "text/plain", "no such\nthing")
        }
    })
    .await;
    let (connection, _) = connect(&server.url());
    connection.send(notification("notifications/initialized")).await.unwrap();
    let refused = connection.send(notification("notifications/other")).await.unwrap_err();
    let detail = Some("no such thing".into());
    assert_eq!(refused, CallError::Http { status: 500, retry_after_s: None, detail });
}
