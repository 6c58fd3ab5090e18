//! A legacy HTTP client that lost a response takes it up again with `Last-Event-ID`.

use aqe_testkit::client::{HttpSession, Message, Response};

use crate::support::{Era, Gateway, Over, Pair, each};

fn pairs() -> Vec<Pair> {
    Pair::all()
        .into_iter()
        .filter(|pair| pair.client == Era::Legacy && pair.client_over == Over::Http)
        .collect()
}

async fn resume(session: &HttpSession, event: &str) -> Response {
    let mut headers = session.headers(&Message::notification(""));
    headers.push(("last-event-id".to_owned(), event.to_owned()));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    session.client.get_stream(&headers).await
}

async fn open(pair: Pair) -> (Gateway, HttpSession) {
    let (gateway, client) = pair.open(&[]).await;
    let session = client.session().clone();
    (gateway, session)
}

#[tokio::test]
async fn what_came_while_nobody_read_comes_later_once_and_in_order() {
    each(pairs(), |pair| async move {
        let (gateway, session) = open(pair).await;
        let call = Message::call("\"r\"", "progress", r#"{"count":6,"interval_ms":100}"#);
        let mut response = session.start(&call.progress_token("\"t\"")).await;
        let (mut last, mut seen) = (String::new(), 0);
        while seen < 2 {
            let event = response.event().await.expect("expected an event");
            seen += usize::from(!event.data.is_empty());
            last = event.id.expect("expected an event id");
        }
        drop(response);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let mut response = resume(&session, &last).await;
        assert_eq!(response.status, 200);
        let answer = response.answer("\"r\"").await;
        let steps: Vec<_> = answer
            .notifications("notifications/progress")
            .iter()
            .map(|note| note["params"]["progress"].as_u64())
            .collect();
        assert_eq!(steps, [Some(3), Some(4), Some(5), Some(6)]);
        assert_eq!(answer.content_text(), "sent 6");
        let events = gateway.upstreams[0].events();
        assert!(!events.iter().any(|event| event.what == "cancelled" || event.what == "disconnected"));
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_nobody_read_comes_again() {
    each(pairs(), |pair| async move {
        let (_gateway, session) = open(pair).await;
        let call = Message::call("\"r\"", "progress", r#"{"count":1}"#);
        let mut response = session.start(&call.progress_token(5)).await;
        let first = response.event().await.expect("expected an event");
        drop(response);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        for _ in 0..2 {
            let mut again = resume(&session, first.id.as_deref().expect("expected an event id")).await;
            assert_eq!(again.answer("\"r\"").await.content_text(), "sent 1");
        }
    })
    .await;
}
