//! HTTP/2 with a well-behaved server: what is negotiated, what shares a connection, what stays as it is over HTTP/1.1.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Version;
use tokio::sync::Notify;

use super::support::*;
use super::tls::Tls;
use crate::upstream::{CallError, Connection, HttpLimits, HttpSpec, Item};

const BOTH: &[&str] = &["h2", "http/1.1"];

async fn echoing(tls: &Tls, protocols: &[&str]) -> Server {
    Server::start_tls(tls, protocols, |seen| async move { json(&result(&seen.id())) }).await
}

#[tokio::test]
async fn http2_is_spoken_where_the_server_offers_it_and_nobody_objects() {
    let tls = Tls::new();
    for (offered, wanted, spoken) in [
        (BOTH, true, Version::HTTP_2),
        (&["h2"][..], true, Version::HTTP_2),
        (&["http/1.1"], true, Version::HTTP_11),
        (&[], true, Version::HTTP_11),
        (BOTH, false, Version::HTTP_11),
    ] {
        let server = echoing(&tls, offered).await;
        let spec = HttpSpec { http2: wanted, ..tls.spec(&server.url()) };
        let (connection, _) = connect_with(&spec, HttpLimits::default());
        for _ in 0..3 {
            answer(request(&connection, "tools/call")).await.unwrap();
        }
        assert!(server.seen().iter().all(|seen| seen.version == spoken), "{offered:?} {wanted}");
        assert_eq!(server.connections.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_one_time_share_one_connection_from_the_first_on() {
    let tls = Tls::new();
    let together = Arc::new(tokio::sync::Barrier::new(100));
    let server = Server::start_tls(&tls, BOTH, move |seen| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            json(&result(&seen.id()))
        }
    })
    .await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    let calls = (0..100).map(|_| {
        let call = request(&connection, "tools/call");
        tokio::spawn(answer(call))
    });
    for call in join_all(calls).await {
        call.unwrap().unwrap();
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_burst_at_a_server_of_http1_opens_its_connections_side_by_side() {
    let tls = Tls::new();
    let together = Arc::new(tokio::sync::Barrier::new(20));
    let server = Server::start_tls(&tls, &["http/1.1"], move |seen| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            json(&result(&seen.id()))
        }
    })
    .await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    for answer in join_all((0..20).map(|_| answer(request(&connection, "tools/call")))).await {
        answer.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn when_the_first_connection_fails_all_who_wait_for_it_are_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let limits = HttpLimits { connect_timeout: Duration::from_millis(200), ..HttpLimits::default() };
    let (connection, _) = connect_with(&spec(&url), limits);
    let begun = Instant::now();
    for answer in join_all((0..50).map(|_| answer(request(&connection, "ping")))).await {
        assert_eq!(answer.unwrap_err(), CallError::NotSent("no connection within 200 ms".into()));
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "not one after the other");
}

#[tokio::test]
async fn a_caller_who_leaves_while_connecting_leaves_nobody_waiting() {
    let tls = Tls::new();
    let server = echoing(&tls, BOTH).await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    let mut leaver = request(&connection, "ping");
    let waiter = request(&connection, "ping");
    // Both have begun, and the first to be polled leads.
    assert!(tokio::time::timeout(Duration::ZERO, next(leaver.as_mut())).await.is_err());
    let waiting = tokio::spawn(answer(waiter));
    tokio::task::yield_now().await;
    drop(leaver);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn header_fields_arrive_as_over_http1() {
    let tls = Tls::new();
    let mut seen = Vec::new();
    for protocols in [BOTH, &["http/1.1"]] {
        let server = echoing(&tls, protocols).await;
        let mut spec = tls.spec(&format!("{}/deep/path?x=1", server.url()));
        spec.headers =
            vec![header("authorization", "Bearer s"), header("x-key", "v"), header("keep-alive", "5")];
        let (connection, _) = connect_with(&spec, HttpLimits::default());
        negotiate(&connection, "2026-07-28");
        let id = connection.next_id();
        let mut out =
            outgoing("tools/call", format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call"}}"#));
        out.name = Some("größe".into());
        out.headers = vec![header("mcp-param-x", "1")];
        answer(request_with(&connection, id, out)).await.unwrap();
        let mut one = server.seen().remove(0);
        let authority = format!("localhost:{}", server.address.port());
        if one.version == Version::HTTP_2 {
            assert!(one.headers.remove("host").is_none());
        } else {
            assert_eq!(one.headers.remove("host").unwrap(), authority.as_str());
            one.headers.remove("keep-alive").unwrap();
        }
        seen.push((one.method, one.path, one.headers, one.body));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].2["authorization"], "Bearer s");
}

#[tokio::test]
async fn notifications_of_a_call_arrive_in_order_before_its_answer() {
    let tls = Tls::new();
    let server = Server::start_tls(&tls, BOTH, |seen| async move {
        let (sender, reply) = open(200, "text/event-stream");
        let id = seen.id();
        tokio::spawn(async move {
            for n in 0..500 {
                write(&sender, &data(&progress(&id, n))).await;
            }
            write(&sender, &data(&result(&id))).await;
        });
        reply
    })
    .await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    let calls = (0..20).map(|_| all(request(&connection, "tools/call")));
    for (n, (before, answer)) in join_all(calls).await.into_iter().enumerate() {
        let id = (n + 1).to_string();
        assert_eq!(before, (0..500).map(|n| progress(&id, n)).collect::<Vec<_>>());
        assert_eq!(answer.unwrap(), result(&id));
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_cancel_resets_its_stream_and_nothing_else() {
    let tls = Tls::new();
    let gone = Arc::new(Notify::new());
    let go = Arc::new(Notify::new());
    let (flag, wait) = (Arc::clone(&gone), Arc::clone(&go));
    let server = Server::start_tls(&tls, BOTH, move |seen| {
        let (flag, wait) = (Arc::clone(&flag), Arc::clone(&wait));
        async move {
            if seen.is("other") {
                wait.notified().await;
                return json(&result(&seen.id()));
            }
            let (sender, reply) = open(200, "text/event-stream");
            tokio::spawn(async move {
                write(&sender, &data(&progress("1", 1))).await;
                sender.closed().await;
                flag.notify_one();
            });
            reply
        }
    })
    .await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    negotiate(&connection, "2026-07-28");
    let mut cancelled = request(&connection, "tools/call");
    assert!(matches!(next(cancelled.as_mut()).await, Item::Notification(_)));
    let other = tokio::spawn(answer(request(&connection, "other")));
    server.saw(|seen| seen.is("other")).await;
    drop(cancelled);
    tokio::time::timeout(Duration::from_secs(2), gone.notified()).await.expect("the stream is reset at once");
    go.notify_one();
    assert_eq!(other.await.unwrap().unwrap(), result("2"));
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn thousands_of_cancelled_calls_whose_answers_come_late_end_no_connection() {
    let tls = Tls::new();
    let server = Server::start_tls(&tls, BOTH, |seen| async move {
        if seen.is("slow") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        json(&result(&seen.id()))
    })
    .await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    for _ in 0..100 {
        let mut calls: Vec<_> = (0..50).map(|_| request(&connection, "slow")).collect();
        for call in &mut calls {
            let _ = tokio::time::timeout(Duration::ZERO, next(call.as_mut())).await;
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
        drop(calls);
        answer(request(&connection, "ping")).await.unwrap();
    }
    // hyper's server closes a connection with very many resets; that is its right, and costs nobody an answer.
    assert!(server.connections.load(Ordering::Relaxed) <= 10);
}

#[tokio::test]
async fn a_session_is_opened_listened_to_and_ended() {
    const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let tls = Tls::new();
    let server = Server::start_tls(&tls, BOTH, |seen| async move {
        match seen.method.as_str() {
            "GET" => {
                let (sender, reply) = open(200, "text/event-stream");
                tokio::spawn(async move {
                    write(&sender, &data(CHANGED)).await;
                    sender.closed().await;
                });
                reply
            }
            "DELETE" => reply(204, "text/plain", ""),
            _ if seen.is("initialize") => {
                let mut reply = json(&result(&seen.id()));
                reply.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
                reply
            }
            _ if seen.is("notifications/") => reply(202, "text/plain", ""),
            _ => json(&result(&seen.id())),
        }
    })
    .await;
    let (connection, recorder) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    open_session(&connection, "2025-11-25").await;
    until(|| (*recorder.unsolicited.lock().unwrap() == [CHANGED]).then_some(())).await;
    connection.send(notification("notifications/initialized")).await.unwrap();
    answer(request(&connection, "tools/call")).await.unwrap();
    connection.close("done").await;
    let delete = server.saw(|seen| seen.method == "DELETE").await;
    assert_eq!(delete.header("mcp-session-id"), Some("s1"));
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn large_messages_pass_both_ways_through_the_windows() {
    let tls = Tls::new();
    let text = "x".repeat(12 * 1024 * 1024);
    let sent = text.clone();
    let server = Server::start_tls(&tls, BOTH, move |seen| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"x":"{sent}"}}}}"#, seen.id());
        async move { json(&body) }
    })
    .await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    let id = connection.next_id();
    let large = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"x":"{text}"}}}}"#);
    let answer = answer(request_with(&connection, id, outgoing("tools/call", large.clone()))).await.unwrap();
    assert_eq!(answer.len(), text.len() + r#"{"jsonrpc":"2.0","id":1,"result":{"x":""}}"#.len());
    assert_eq!(server.seen()[0].body, large);
}

#[tokio::test]
async fn an_unread_stream_holds_the_server_back_and_delays_no_other_call() {
    let tls = Tls::new();
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let server = Server::start_tls(&tls, BOTH, move |seen| {
        let count = Arc::clone(&count);
        async move {
            if !seen.is("flood") {
                return json(&result(&seen.id()));
            }
            let (sender, reply) = open(200, "text/event-stream");
            let event =
                data(&progress("1", 7).replace("7}", &format!("7,\"message\":\"{}\"}}", "x".repeat(1000))));
            tokio::spawn(async move {
                while sender.send(Ok(event.clone().into())).await.is_ok() {
                    count.fetch_add(event.len(), Ordering::Relaxed);
                }
            });
            reply
        }
    })
    .await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    let mut unread = request(&connection, "flood");
    next(unread.as_mut()).await;
    for _ in 0..50 {
        let begun = Instant::now();
        answer(request(&connection, "ping")).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    let mut before = 0;
    until(|| {
        let now = written.load(Ordering::Relaxed);
        (std::mem::replace(&mut before, now) == now && now > 0).then_some(())
    })
    .await;
    assert!(before < 4 * 1024 * 1024, "{before} bytes are on the way");
    for _ in 0..5_000 {
        next(unread.as_mut()).await;
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn redirects_and_refusals_are_read_as_over_http1() {
    let tls = Tls::new();
    let server = Server::start_tls(&tls, BOTH, |seen| async move {
        if seen.path == "/mcp" {
            let mut reply = reply(307, "text/plain", "there");
            reply.headers_mut().insert("location", "/mcp/final".parse().unwrap());
            return reply;
        }
        let mut reply = reply(503, "text/plain", "busy");
        reply.headers_mut().insert("retry-after", "7".parse().unwrap());
        reply
    })
    .await;
    let (connection, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    let error = answer(request(&connection, "ping")).await.unwrap_err();
    let detail = Some("busy".into());
    assert_eq!(error, CallError::Http { status: 503, retry_after_s: Some(7), detail });
}
