//! Sessions of legacy HTTP clients: unguessable, bounded, ended by their client or by idleness, never during a call.

use aqe_testkit::client::{HttpSession, Message, Revision};

use crate::support::{Client, Era, Gateway, Over, Plan, Upstream};

async fn open(lines: &[&str]) -> (Gateway, Client) {
    let mut plan = Plan::new(Over::Http).upstream(Upstream::raw("up", Era::Legacy, Over::Stdio, &[]).await);
    for line in lines {
        plan = plan.server(line);
    }
    let mut gateway = Gateway::start(plan).await;
    let client = gateway.connect(Era::Legacy.revision(), "{}").await;
    (gateway, client)
}

/// The status of a call in a session.
async fn status(session: &HttpSession) -> u16 {
    let mut response = session.start(&Message::call(1, "bare", "{}")).await;
    response.bytes().await;
    response.status
}

#[tokio::test]
async fn an_unknown_session_is_not_found_whatever_is_asked_of_it() {
    let (_gateway, client) = open(&[]).await;
    let session = client.session();
    assert_eq!(status(session).await, 200);
    let id = session.id.clone().expect("expected a session id");
    assert!(id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
    for strange in ["00000000000000000000000000000000", "x", &id[..31], &id.to_uppercase()] {
        let stranger = HttpSession { id: Some(strange.to_owned()), ..session.clone() };
        if strange == id {
            continue;
        }
        assert_eq!(status(&stranger).await, 404, "{strange}");
        assert_eq!(stranger.listen().await.status, 404);
        assert_eq!(stranger.delete().await, 404);
        assert_eq!(stranger.notify(&Message::initialized()).await, 404);
    }
    assert_eq!(status(session).await, 200);
    let nobody = HttpSession { id: None, ..session.clone() };
    assert_eq!(status(&nobody).await, 400);
}

#[tokio::test]
async fn a_deleted_session_is_gone_with_its_calls_and_streams_and_no_other_is() {
    let (mut gateway, client) = open(&[]).await;
    let mut other = gateway.connect(Revision::V2025_06_18, "{}").await;
    let session = client.session();
    assert_ne!(session.id, other.session().id);
    let mut stream = session.listen().await;
    let call = Message::call("\"c\"", "sleep", r#"{"ms":30000}"#);
    let sleeping = tokio::spawn({
        let session = session.clone();
        async move { session.start(&call).await }
    });
    gateway.upstreams[0].event(&["request"], "tools/call").await;
    assert!((200..300).contains(&session.delete().await));
    gateway.upstreams[0].event(&["cancelled"], "").await;
    while stream.piece().await.is_some() {}
    assert_eq!(status(session).await, 404);
    assert_eq!(session.delete().await, 404);
    assert_eq!(other.call(1, "bare", "{}").await.content_text(), "bare");
    sleeping.abort();
}

#[tokio::test]
async fn beyond_the_cap_a_handshake_is_told_to_come_later() {
    let (gateway, client) = open(&["max_sessions = 2"]).await;
    let second = HttpSession::open(gateway.http(), Era::Legacy.revision()).await;
    let third = HttpSession { id: None, ..second.clone() };
    let refused = third.start(&Message::initialize(1, Era::Legacy.revision())).await;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.get("retry-after").is_some());
    assert_eq!(status(client.session()).await, 200);
    second.delete().await;
    let mut third = HttpSession::open(gateway.http(), Era::Legacy.revision()).await;
    assert_eq!(status(&third).await, 200);
    // A stateless client needs no session.
    third = HttpSession::open(gateway.http(), Era::Modern.revision()).await;
    assert_eq!(status(&third).await, 200);
}

#[tokio::test]
async fn an_idle_session_is_forgotten_but_never_during_a_call_or_a_stream() {
    let (gateway, client) = open(&["session_idle_timeout_s = 1"]).await;
    let idle = client.session().clone();
    let listening = HttpSession::open(gateway.http(), Era::Legacy.revision()).await;
    let _stream = listening.listen().await;
    let busy = HttpSession::open(gateway.http(), Era::Legacy.revision()).await;
    let answer = busy.request(&Message::call(1, "sleep", r#"{"ms":7500}"#)).await;
    assert_eq!(answer.content_text(), "slept 7500 ms");
    assert_eq!(status(&idle).await, 404);
    assert_eq!(status(&busy).await, 200);
    assert_eq!(status(&listening).await, 200);
}

#[tokio::test]
async fn an_id_in_flight_cannot_be_used_again_in_its_session_but_in_others() {
    let (mut gateway, mut client) = open(&[]).await;
    let mut other = gateway.connect(Era::Legacy.revision(), "{}").await;
    client.begin(&Message::call(7, "sleep", r#"{"ms":600}"#)).await;
    gateway.upstreams[0].event(&["request"], "tools/call").await;
    let twice = client.session().request(&Message::call(7, "bare", "{}")).await;
    assert_eq!(twice.error_code(), -32600);
    assert_eq!(other.call(7, "bare", "{}").await.content_text(), "bare");
    assert_eq!(client.finish("7").await.content_text(), "slept 600 ms");
    assert_eq!(client.call(7, "bare", "{}").await.content_text(), "bare");
}
