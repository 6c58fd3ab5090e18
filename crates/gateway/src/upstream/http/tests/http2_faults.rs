//! HTTP/2 with servers that go away, refuse, break off, or speak wrongly: no call is lost that the server has not
//! processed, none is made twice that it may have.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{Barrier, Notify};

use super::frames::*;
use super::support::{PATIENCE, Seen, answer, connect_with, outgoing, request, request_with, result};
use super::tls::Tls;
use crate::upstream::{CallError, Connection, HttpConnection, HttpLimits, next_item};

fn connected(tls: &Tls, url: &str) -> Arc<HttpConnection> {
    connect_with(&tls.spec(url), HttpLimits::default()).0
}

fn impatient(tls: &Tls, url: &str) -> Arc<HttpConnection> {
    let limits = HttpLimits { connect_timeout: Duration::from_millis(300), ..HttpLimits::default() };
    connect_with(&tls.spec(url), limits).0
}

/// The JSON-RPC id of a request's body.
fn id(body: &str) -> String {
    let seen = Seen { body: body.to_owned(), ..Seen::default() };
    seen.id()
}

/// Answers every request, as long as there is a client.
async fn serve(mut peer: Peer) {
    while let Some((stream, body)) = peer.request().await {
        peer.answer(stream, &result(&id(&body))).await;
    }
}

/// A server of which `first` does the first connection, and the others answer everything.
async fn after<F>(tls: &Tls, first: impl Fn(Peer) -> F + Send + Sync + 'static) -> (String, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let first = Arc::new(first);
    talking(tls, move |number, mut peer| {
        let first = Arc::clone(&first);
        async move {
            peer.settings(None).await;
            if number == 0 { first(peer).await } else { serve(peer).await }
        }
    })
    .await
}

#[tokio::test]
async fn calls_that_a_leaving_server_has_not_processed_are_made_again_and_the_others_are_not() {
    let tls = Tls::new();
    let processed = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&processed);
    let (url, connections) = talking(&tls, move |number, mut peer| {
        let log = Arc::clone(&log);
        async move {
            peer.settings(None).await;
            let mut waiting = Vec::new();
            while let Some((stream, body)) = peer.request().await {
                waiting.push((stream, body));
                if number == 0 && waiting.len() < 10 {
                    continue;
                }
                if number == 0 {
                    // Graceful: first nothing new, then which were the last ones.
                    peer.go_away(u32::MAX >> 1, NO_ERROR).await;
                    let last = waiting[3].0;
                    peer.go_away(last, NO_ERROR).await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    waiting.truncate(4);
                }
                for (stream, body) in waiting.drain(..) {
                    log.lock().unwrap().push(id(&body));
                    peer.answer(stream, &result(&id(&body))).await;
                }
            }
        }
    })
    .await;
    let connection = connected(&tls, &url);
    for (n, answer) in
        join_all((0..10).map(|_| answer(request(&connection, "tools/call")))).await.iter().enumerate()
    {
        assert_eq!(answer.as_ref().unwrap(), &result(&(n + 1).to_string()));
    }
    let mut processed = processed.lock().unwrap().clone();
    processed.sort_by_key(|id| id.parse::<u64>().unwrap());
    assert_eq!(processed, (1..=10).map(|n| n.to_string()).collect::<Vec<_>>(), "each of them once");
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn after_a_goaway_new_calls_go_elsewhere_while_old_ones_end_in_peace() {
    let tls = Tls::new();
    let (leaving, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (left, may_end) = (Arc::clone(&leaving), Arc::clone(&end));
    let (url, connections) = after(&tls, move |mut peer| {
        let (left, may_end) = (Arc::clone(&left), Arc::clone(&may_end));
        async move {
            let (stream, body) = peer.request().await.unwrap();
            peer.go_away(stream, NO_ERROR).await;
            left.notify_one();
            may_end.notified().await;
            peer.answer(stream, &result(&id(&body))).await;
            assert!(peer.request().await.is_none(), "nothing new comes here");
        }
    })
    .await;
    let connection = connected(&tls, &url);
    let old = tokio::spawn(answer(request(&connection, "tools/call")));
    leaving.notified().await;
    for n in 2..10 {
        assert_eq!(answer(request(&connection, "tools/call")).await.unwrap(), result(&n.to_string()));
    }
    assert!(!old.is_finished());
    end.notify_one();
    assert_eq!(old.await.unwrap().unwrap(), result("1"));
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_refused_stream_is_tried_again_and_other_resets_are_not() {
    for (code, refusals, ends_well) in [
        (REFUSED_STREAM, 1, true),
        (REFUSED_STREAM, 99, false),
        (INTERNAL_ERROR, 1, false),
        (CANCEL, 1, false),
    ] {
        let tls = Tls::new();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let (url, connections) = talking(&tls, move |_, mut peer| {
            let count = Arc::clone(&count);
            async move {
                peer.settings(None).await;
                while let Some((stream, body)) = peer.request().await {
                    if count.fetch_add(1, Ordering::Relaxed) < refusals {
                        peer.reset(stream, code).await;
                    } else {
                        peer.answer(stream, &result(&id(&body))).await;
                    }
                }
            }
        })
        .await;
        let connection = connected(&tls, &url);
        let outcome = answer(request(&connection, "tools/call")).await;
        let made = requests.load(Ordering::Relaxed);
        match outcome {
            Ok(_) => assert!(ends_well && made == 2, "{code} {made}"),
            Err(CallError::NotSent(_)) => {
                assert!(code == REFUSED_STREAM && (2..5).contains(&made), "{code} {made}");
            }
            Err(CallError::Closed(_)) => assert!(code != REFUSED_STREAM && made == 1, "{code} {made}"),
            Err(error) => panic!("{code}: {error:?}"),
        }
        assert_eq!(connections.load(Ordering::Relaxed), 1, "a reset is one stream's matter");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_ends_its_calls_at_once_and_the_next_gets_another() {
    let tls = Tls::new();
    let (url, connections) = after(&tls, |mut peer| async move {
        for _ in 0..5 {
            peer.request().await.unwrap();
        }
    })
    .await;
    let connection = connected(&tls, &url);
    let begun = Instant::now();
    for answer in join_all((0..5).map(|_| answer(request(&connection, "tools/call")))).await {
        assert!(matches!(answer, Err(CallError::Closed(_))), "{answer:?}: it may have been processed");
    }
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(answer(request(&connection, "tools/call")).await.unwrap(), result("6"));
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_costs_no_call() {
    for says_so in [true, false] {
        let tls = Tls::new();
        let (url, connections) = talking(&tls, move |_, mut peer| async move {
            peer.settings(None).await;
            let (stream, body) = peer.request().await.unwrap();
            peer.answer(stream, &result(&id(&body))).await;
            if says_so {
                peer.go_away(stream, NO_ERROR).await;
            }
        })
        .await;
        let connection = connected(&tls, &url);
        for n in 1..10 {
            assert_eq!(answer(request(&connection, "tools/call")).await.unwrap(), result(&n.to_string()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(connections.load(Ordering::Relaxed), 9);
    }
}

#[tokio::test]
async fn a_server_gets_as_many_streams_as_it_allows_and_further_connections_carry_the_rest() {
    let tls = Tls::new();
    let all_there = Arc::new(Barrier::new(5));
    let (url, connections) = talking(&tls, move |_, mut peer| {
        let all_there = Arc::clone(&all_there);
        async move {
            peer.settings(Some(2)).await;
            let (one, first) = peer.request().await.unwrap();
            let (two, second) = peer.request().await.unwrap();
            all_there.wait().await;
            let third = tokio::time::timeout(Duration::from_millis(50), peer.request()).await;
            assert!(third.is_err(), "{third:?}");
            peer.answer(one, &result(&id(&first))).await;
            peer.answer(two, &result(&id(&second))).await;
            serve(peer).await;
        }
    })
    .await;
    let connection = connected(&tls, &url);
    for answer in join_all((0..10).map(|_| answer(request(&connection, "tools/call")))).await {
        answer.unwrap();
    }
    assert_eq!(connections.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn what_never_became_a_connection_is_not_sent() {
    let begun = Instant::now();
    for (kind, first) in
        [("silent", ""), ("closes", ""), ("speaks HTTP/1.1", "HTTP/1.1 400 Bad Request\r\n\r\n")]
    {
        let tls = Tls::new();
        let (url, _) = talking(&tls, move |_, mut peer| async move {
            if kind == "silent" {
                peer.ignore().await;
            }
            peer.raw(first.as_bytes()).await;
        })
        .await;
        let error = answer(request(&impatient(&tls, &url), "tools/call")).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)), "{kind}: {error:?}");
    }
    let tls = Tls::new();
    let (url, _) = talking(&tls, |_, mut peer| async move {
        peer.settings(Some(0)).await;
        peer.ignore().await;
    })
    .await;
    let error = answer(request(&impatient(&tls, &url), "tools/call")).await.unwrap_err();
    assert_eq!(error, CallError::NotSent("the server takes no requests".into()));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// How a call ends whose server does this with its stream.
async fn ending<F>(respond: impl Fn(Peer, u32) -> F + Send + Sync + 'static) -> Result<String, CallError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let tls = Tls::new();
    let respond = Arc::new(respond);
    let (url, _) = talking(&tls, move |_, mut peer| {
        let respond = Arc::clone(&respond);
        async move {
            peer.settings(None).await;
            let (stream, _) = peer.request().await.unwrap();
            respond(peer, stream).await;
        }
    })
    .await;
    let connection = connected(&tls, &url);
    tokio::time::timeout(PATIENCE, answer(request(&connection, "tools/call"))).await.unwrap()
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_closed() {
    for code in [NO_ERROR, CANCEL, INTERNAL_ERROR, REFUSED_STREAM] {
        let ended = ending(move |mut peer, stream| async move {
            peer.send(HEADERS, END_HEADERS, stream, &ok()).await;
            peer.send(DATA, 0, stream, b"{\"jsonrpc\"").await;
            peer.reset(stream, code).await;
            peer.ignore().await;
        })
        .await;
        assert!(
            matches!(&ended, Err(CallError::Closed(why)) if why.contains("within the answer")),
            "{ended:?}"
        );
    }
    let ended = ending(|mut peer, stream| async move {
        peer.send(HEADERS, END_HEADERS, stream, &ok()).await;
        peer.go_away(stream, NO_ERROR).await;
    })
    .await;
    assert!(matches!(&ended, Err(CallError::Closed(_))), "{ended:?}");
}

#[tokio::test]
async fn what_a_server_adds_to_its_goaway_is_not_repeated() {
    let ended = ending(|mut peer, stream| async move {
        // The last stream, INTERNAL_ERROR, and words of its own.
        let payload = [&stream.to_be_bytes()[..], &INTERNAL_ERROR.to_be_bytes(), b"SECRET"].concat();
        peer.send(GOAWAY, 0, 0, &payload).await;
    })
    .await;
    let text = format!("{ended:?}");
    assert!(matches!(ended, Err(CallError::Closed(_))) && !text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn trailers_and_early_hints_are_passed_over() {
    let ended = ending(|mut peer, stream| async move {
        // `:status: 103` as a literal (RFC 7541 section 6.2.2, name 8 of the static table).
        peer.send(HEADERS, END_HEADERS, stream, b"\x08\x03103").await;
        peer.send(HEADERS, END_HEADERS, stream, &ok()).await;
        peer.send(DATA, 0, stream, result("1").as_bytes()).await;
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, b"\x00\x01x\x01y").await;
        peer.ignore().await;
    })
    .await;
    assert_eq!(ended.unwrap(), result("1"));
}

#[tokio::test]
async fn heads_without_measure_are_refused() {
    let many = ending(|mut peer, stream| async move {
        let fields = b"\x00\x01x\x01y".repeat(101);
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &[ok(), fields].concat()).await;
        peer.ignore().await;
    })
    .await;
    assert!(matches!(many, Err(CallError::Malformed(_))), "{many:?}");
    let long = ending(|mut peer, stream| async move {
        // 5 fields of 16 KiB: `x` and a length of 16,384 (RFC 7541 section 5.1).
        let field = [&b"\x00\x01x\x7f\x81\x7f"[..], &[b'y'; 16_384]].concat();
        let block = [ok(), field.repeat(5)].concat();
        let mut parts = block.chunks(16_384).peekable();
        peer.send(HEADERS, END_STREAM, stream, parts.next().unwrap()).await;
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
            peer.send(CONTINUATION, flags, stream, part).await;
        }
        peer.ignore().await;
    })
    .await;
    assert!(matches!(long, Err(CallError::Malformed(_) | CallError::Closed(_))), "{long:?}");
    let endless = ending(|mut peer, stream| async move {
        peer.send(HEADERS, 0, stream, &ok()).await;
        for _ in 0..100_000 {
            peer.send(CONTINUATION, 0, stream, &[]).await;
        }
        peer.ignore().await;
    })
    .await;
    assert!(matches!(endless, Err(CallError::Malformed(_) | CallError::Closed(_))), "{endless:?}");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_whole_request_counts() {
    let tls = Tls::new();
    let (url, _) = talking(&tls, |_, mut peer| async move {
        peer.settings(None).await;
        // The windows stay shut after the first 64 KiB.
        tokio::time::sleep(Duration::from_millis(50)).await;
        peer.answer(1, &result("1")).await;
        peer.reset(1, NO_ERROR).await;
        // For the connection: what was sent of the first request has used its window up.
        peer.send(WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes()).await;
        serve(peer).await;
    })
    .await;
    let connection = connected(&tls, &url);
    let number = connection.next_id();
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":{number},"method":"x","params":{{"x":"{}"}}}}"#,
        "x".repeat(1_000_000)
    );
    let call = request_with(&connection, number, outgoing("x", text));
    assert_eq!(answer(call).await.unwrap(), result("1"));
    assert_eq!(answer(request(&connection, "tools/call")).await.unwrap(), result("2"));
}

#[tokio::test]
async fn a_call_that_is_given_up_resets_its_stream_while_a_silent_server_keeps_the_others() {
    let tls = Tls::new();
    let resets = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&resets);
    let (url, _) = talking(&tls, move |_, mut peer| {
        let log = Arc::clone(&log);
        async move {
            peer.settings(None).await;
            while let Some((stream, body)) = peer.request().await {
                if body.contains("ping") {
                    peer.answer(stream, &result(&id(&body))).await;
                }
                log.lock().unwrap().clone_from(&peer.resets);
            }
        }
    })
    .await;
    let connection = connected(&tls, &url);
    let mut calls: Vec<_> = (0..3).map(|_| request(&connection, "tools/call")).collect();
    for call in &mut calls {
        assert!(tokio::time::timeout(Duration::from_millis(200), next_item(call.as_mut())).await.is_err());
    }
    calls.remove(1);
    assert!(answer(request(&connection, "ping")).await.is_ok());
    assert!(answer(request(&connection, "ping")).await.is_ok());
    assert_eq!(*resets.lock().unwrap(), [3]);
}
