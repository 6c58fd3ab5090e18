//! Clients that are slow, leave early, or are too many.

use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpClient, Message, RawSocket, Revision};

use super::{
    request::Request,
    support::{Gateway, raw, run},
};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// Time-outs of these gateways.
const QUICK: &str = "header_timeout_ms = 400\nbody_timeout_ms = 400\n";
/// Within this a time-out of 400 ms must have been noticed on a busy machine.
const NOTICED: Duration = Duration::from_secs(4);

/// How long the gateway keeps the connection open.
async fn open_for(socket: &mut RawSocket, since: Instant) -> Duration {
    assert!(socket.closes_within(NOTICED).await, "still open after {:?}", since.elapsed());
    since.elapsed()
}

async fn answers(client: &HttpClient) -> bool {
    let mut socket = client.socket().await;
    socket.send(Request::new("GET /healthz").bytes()).await;
    matches!(socket.response().await, Some((200, _, _)))
}

#[test]
fn a_slow_head_is_cut_off_at_its_time_out_and_others_go_on() {
    run(async {
        let gateway = Gateway::http(QUICK, &raw()).await;
        let head = Request::post("").with("x-slow", "y".repeat(2_000)).bytes();
        let mut slow = Vec::new();
        for sent in [0, 1, 10, head.len() - 1] {
            let mut socket = gateway.client.socket().await;
            socket.send(&head[..sent]).await;
            slow.push((socket, Instant::now()));
        }
        let mut dripping = gateway.client.socket().await;
        let since = Instant::now();
        let drip = async {
            // An error is the gateway's end of it.
            let _ = dripping.drip(&head, 1, Duration::from_millis(20)).await;
            assert!(dripping.closes_within(NOTICED).await);
            since.elapsed()
        };
        let (dripped, healthy) = tokio::join!(drip, answers(&gateway.client));
        assert!(healthy && dripped < NOTICED, "{dripped:?}");
        for (mut socket, since) in slow {
            let lasted = open_for(&mut socket, since).await;
            assert!(lasted >= Duration::from_millis(300), "cut off after {lasted:?}");
        }
        assert!(answers(&gateway.client).await);
    });
}

#[test]
fn a_slow_body_is_cut_off_at_its_time_out() {
    run(async {
        let gateway = Gateway::http(QUICK, &raw()).await;
        let id = gateway.session(Revision::V2025_11_25).await.id.unwrap();
        let head =
            Request::post("").with("mcp-session-id", &id).with("content-length", PING.len().to_string());
        for sent in [0, 1, PING.len() - 1] {
            let mut socket = gateway.client.socket().await;
            socket.send(head.bytes()).await;
            socket.send(&PING[..sent]).await;
            let since = Instant::now();
            let (status, _, body) = socket.response().await.unwrap();
            assert_eq!(status, 408, "{sent}: {body:?}");
            assert!(since.elapsed() < NOTICED);
            assert!(
                socket.closes_within(NOTICED).await,
                "what is left of the body must not be taken for a request"
            );
        }
        assert!(answers(&gateway.client).await);
    });
}

#[test]
fn half_a_body_and_gone_leaves_nothing_behind() {
    run(async {
        let gateway = Gateway::http("", &raw()).await;
        let session = gateway.session(Revision::V2025_11_25).await;
        let request = Request::post(PING).with("mcp-session-id", session.id.clone().unwrap()).bytes();
        for end in (0..request.len()).step_by(7) {
            let mut socket = gateway.client.socket().await;
            socket.send(&request[..end]).await;
        }
        // One that only says that it has nothing more to send still gets its refusal.
        let mut socket = gateway.client.socket().await;
        socket.send(&request[..request.len() - 3]).await;
        socket.shut_write().await;
        let refused = socket.response().await;
        assert!(refused.as_ref().is_none_or(|(status, _, _)| *status == 400), "{refused:?}");
        let answer = session.request(&Message::call(2, "bare", "{}")).await;
        assert_eq!(answer.content_text(), "bare");
    });
}

#[test]
fn connections_over_the_cap_wait_for_a_place() {
    run(async {
        let gateway = Gateway::http("max_connections = 4\nheader_timeout_ms = 600\n", &raw()).await;
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut socket = gateway.client.socket().await;
            socket.send("GET /healthz HTTP/1.1\r\n").await;
            held.push(socket);
        }
        let started = Instant::now();
        assert!(answers(&gateway.client).await, "the heads that never end give their places back");
        assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
        for mut socket in held {
            assert!(socket.closes_within(NOTICED).await);
        }
    });
}
