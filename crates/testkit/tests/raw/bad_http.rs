use std::time::Duration;

use aqe_testkit::{
    client::{EventParser, HttpClient, HttpSession, Message, RawSocket, Revision},
    raw::{BAD_MODES, Effect, Over},
};

use super::{bad, http, is_valid};

/// Sends a message on a connection of its own.
async fn post(session: &HttpSession, message: &Message) -> RawSocket {
    let mut headers = session.headers(message);
    headers.push(("accept".to_owned(), "application/json, text/event-stream".to_owned()));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = message.text(session.revision);
    let mut socket = session.client.socket().await;
    socket.send(session.client.head("POST", &headers, body.len()) + &body).await;
    socket
}

/// How long silence has to last to be believed, where it is expected.
const SILENCE: Duration = Duration::from_millis(300);

/// What a strict receiver makes of the bytes that come until the response is complete or the connection
/// is closed; where silence is expected, of those that come for a while.
async fn outcome(socket: &mut RawSocket, expected: Effect) -> (Effect, Vec<u8>) {
    let (mut bytes, mut closed) = (Vec::new(), false);
    let patience = if expected == Effect::Silence { SILENCE } else { Duration::from_secs(10) };
    let end = tokio::time::Instant::now() + patience;
    while !closed && !is_complete(&bytes) {
        match tokio::time::timeout_at(end, socket.receive()).await {
            Ok(Some(more)) => bytes.extend_from_slice(&more),
            Ok(None) => closed = true,
            Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let streamed = head.contains("text/event-stream");
    let mut events = EventParser::default();
    events.push(body.as_bytes());
    let valid = std::str::from_utf8(&bytes).is_ok()
        && (is_valid(body) || std::iter::from_fn(|| events.next_event()).any(|event| is_valid(&event.data)));
    let effect = match (valid, closed, streamed) {
        (true, _, _) => Effect::Answer,
        (false, false, false) if bytes.is_empty() => Effect::Silence,
        (false, false, true) if !text.ends_with("\r\n0\r\n\r\n") => Effect::Silence,
        (false, true, _) | (false, false, true) => Effect::Closed,
        (false, false, false) => Effect::Invalid,
    };
    (effect, bytes)
}

/// Whether these bytes are a whole response, by their length or their last chunk.
fn is_complete(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.map_or(text.ends_with("\r\n0\r\n\r\n"), |length| bytes.len() >= head.len() + 4 + length)
}

#[tokio::test]
async fn every_mode_has_its_effect_in_a_session() {
    check_all(Revision::V2025_06_18).await;
}

#[tokio::test]
async fn every_mode_has_its_effect_without_a_session() {
    check_all(Revision::V2026_07_28).await;
}

/// Checks the effect of every mode, and that the next call works.
async fn check_all(revision: Revision) {
    let (mut server, client) = http(&[]).await;
    let mut session = HttpSession::open(client, revision).await;
    for mode in BAD_MODES.iter().filter(|mode| mode.over != Over::Stdio) {
        let comes = matches!(mode.effect, Effect::Answer | Effect::Questionable);
        let found = if comes && mode.name != "bom" {
            // Unchunks and reads events in every form.
            let answer = session.request(&bad(mode.name)).await;
            if is_valid(&answer.text) { Effect::Answer } else { Effect::Invalid }
        } else {
            outcome(&mut post(&session, &bad(mode.name)).await, mode.effect).await.0
        };
        let expected = match (mode.effect, mode.name) {
            (_, "bom") => Effect::Invalid,
            // What comes is not even a head; the connection ends after it.
            (_, "no-http") => Effect::Closed,
            (Effect::Questionable, _) => Effect::Answer,
            (effect, _) => effect,
        };
        assert_eq!(found, expected, "{} in {revision:?}", mode.name);
        if ["exit-0", "exit-1", "kill-9"].contains(&mode.name) {
            server.wait().await;
            let (fresh, client) = http(&[]).await;
            server = fresh;
            session = HttpSession::open(client, revision).await;
        }
        let next = session.request(&Message::call(2, "bare", "{}")).await;
        assert_eq!(next.content_text(), "bare", "the call after {}", mode.name);
    }
}

/// The head of the response to a call of `bad`.
async fn head(client: &HttpClient, arguments: &str) -> String {
    let session = HttpSession::open(client.clone(), Revision::V2026_07_28).await;
    let (_, bytes) =
        outcome(&mut post(&session, &Message::call(1, "bad", arguments)).await, Effect::Invalid).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_refusal_carries_the_fields_of_its_status() {
    let (_server, client) = http(&[]).await;
    let limited =
        head(&client, r#"{"mode":"status-429","retry_after":"Wed, 21 Oct 2015 07:28:00 GMT"}"#).await;
    assert!(limited.starts_with("HTTP/1.1 429 "), "{limited}");
    assert!(limited.contains("\r\nretry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n"), "{limited}");
    assert!(head(&client, r#"{"mode":"status-503"}"#).await.contains("\r\nretry-after: 1\r\n"));
    assert!(head(&client, r#"{"mode":"status-401"}"#).await.contains("\r\nwww-authenticate: Bearer"));
    let moved = head(&client, r#"{"mode":"redirect","location":"http://localhost:1/x"}"#).await;
    assert!(moved.starts_with("HTTP/1.1 307 ") && moved.contains("\r\nlocation: http://localhost:1/x\r\n"));
}

#[tokio::test]
async fn an_event_without_data_and_comments_come_as_written() {
    let (_server, client) = http(&[]).await;
    let session = HttpSession::open(client, Revision::V2025_11_25).await;
    let mut response = session.start(&bad("sse-fields")).await;
    let priming = response.event().await.unwrap();
    assert_eq!((priming.id.as_deref(), priming.retry_ms), (Some("0/0"), Some(3000)));
    let mut response = session.start(&bad("sse-comments")).await;
    assert!(response.event().await.unwrap().comments.contains(&"keep-alive".to_owned()));
}

#[tokio::test]
async fn with_always_sse_a_bad_payload_comes_as_an_event() {
    let (_server, client) = http(&["--always-sse"]).await;
    let session = HttpSession::open(client, Revision::V2025_11_25).await;
    let mut response = session.start(&bad("truncated")).await;
    let message = response.message().await.unwrap();
    assert!(message.starts_with('{') && !is_valid(&message), "{message}");
}
