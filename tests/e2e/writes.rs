//! Progress may wait for company on its way to the client; what somebody waits for may not, and nothing is overtaken.

use std::time::{Duration, Instant};

use aqe_testkit::client::{Answer, Message};
use serde_json::Value;

use crate::support::{Client, Gateway, Over, Pair, Plan, Upstream, each};

/// The gateway between the ends of `pair`, which holds progress back for so many milliseconds.
async fn open(pair: Pair, timeout_ms: u32) -> (Gateway, Client) {
    let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, &[]).await;
    let transport = format!("[transport]\nbatching_timeout_ms = {timeout_ms}\n");
    let plan = Plan::new(pair.client_over).sections(&transport).upstream(upstream);
    let mut gateway = Gateway::start(plan).await;
    let client = gateway.connect(pair.client.revision(), "{}").await;
    (gateway, client)
}

fn progress(id: &str, count: u32, interval_ms: u32) -> Message {
    let arguments = format!(r#"{{"count":{count},"interval_ms":{interval_ms}}}"#);
    Message::call(id, "progress", &arguments).progress_token("1")
}

/// The number that a progress notification reports.
fn number(text: &str) -> Option<u64> {
    let message: Value = serde_json::from_str(text).expect("expected JSON");
    message["params"]["progress"].as_u64()
}

#[tokio::test]
async fn a_thousand_notifications_keep_their_order_among_the_answers_to_other_calls() {
    const COUNT: u32 = 1_000;
    const CALLS: u32 = 100;
    let pairs = Pair::all().into_iter().filter(|pair| pair.client_over == Over::Stdio).collect();
    each(pairs, |pair| async move {
        let (_gateway, mut client) = open(pair, 10).await;
        client.begin(&progress("\"p\"", COUNT, 0)).await;
        for id in 0..CALLS {
            client.begin(&Message::call(id, "bare", "{}")).await;
        }
        let (mut numbers, mut answers) = (Vec::new(), Vec::new());
        let mut is_answered = false;
        while !is_answered || answers.len() < CALLS as usize {
            let text = client.process().line().await;
            if text.contains("notifications/progress") {
                assert!(!is_answered, "nothing comes after the answer");
                numbers.extend(number(&text));
            } else if Answer::is_for(&text, "\"p\"") {
                is_answered = true;
            } else {
                answers.push(text);
            }
        }
        assert!(numbers.into_iter().eq(1..=u64::from(COUNT)));
        let all = |id: u32| answers.iter().any(|text| Answer::is_for(text, &id.to_string()));
        assert!((0..CALLS).all(all), "{answers:?}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_leaves_at_once_and_takes_along_what_waits() {
    each(Pair::all(), |pair| async move {
        const PATIENCE_MS: u32 = 10_000;
        let (_gateway, mut client) = open(pair, PATIENCE_MS).await;
        // So that the upstream runs.
        client.call(1, "bare", "{}").await;
        let started = Instant::now();
        let answer = client.request(&progress("2", 3, 20)).await;
        let took = started.elapsed();
        assert!(took < Duration::from_millis(u64::from(PATIENCE_MS) / 2), "{took:?}");
        let numbers: Vec<_> = answer.before.iter().filter_map(|text| number(text)).collect();
        assert_eq!(numbers, [1, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_lone_notification_does_not_wait_for_the_answer() {
    const INTERVAL_MS: u32 = 3_000;
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = open(pair, 10).await;
        let message = progress("1", 2, INTERVAL_MS);
        let mut reached = Vec::new();
        if pair.client_over == Over::Stdio {
            client.begin(&message).await;
            while reached.len() < 3 {
                client.process().line().await;
                reached.push(Instant::now());
            }
        } else {
            let mut response = client.session().start(&message).await;
            while response.message().await.is_some() {
                reached.push(Instant::now());
            }
        }
        let [first, _, answer] = reached[..] else { panic!("expected two notifications and an answer") };
        let between = answer - first;
        assert!(between > Duration::from_millis(u64::from(INTERVAL_MS) / 2), "{between:?}");
    })
    .await;
}
