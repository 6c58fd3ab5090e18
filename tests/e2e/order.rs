//! What comes during a call comes in order, before its answer, and nothing comes after it.

use aqe_testkit::client::{Answer, Message};
use serde_json::{Value, json};

use crate::support::{Pair, each};

const COUNT: usize = 1000;

#[tokio::test]
async fn a_thousand_progress_notifications_come_in_order_then_the_result_then_nothing() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        for token in [json!("a token"), json!(42)] {
            let message = Message::call("\"p\"", "progress", &json!({ "count": COUNT }).to_string());
            let all = client.everything(&message.progress_token(&token)).await;
            assert_eq!(all.len(), COUNT + 1, "{:?}", all.last());
            for (index, text) in all.iter().take(COUNT).enumerate() {
                let message: Value = serde_json::from_str(text).expect("expected JSON");
                assert_eq!(message["method"], "notifications/progress");
                assert_eq!(message["params"]["progressToken"], token);
                assert_eq!(message["params"]["progress"], index + 1);
            }
            let last = all.last().expect("expected messages");
            assert!(Answer::is_for(last, "\"p\""), "{last}");
        }
    })
    .await;
}

#[tokio::test]
async fn progress_that_comes_too_late_or_for_nobody_is_not_passed_on() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        for mode in ["progress-after-result", "progress-unknown-token"] {
            let message =
                Message::call(1, "bad", &json!({ "mode": mode }).to_string()).progress_token("\"t\"");
            let all = client.everything(&message).await;
            assert_eq!(all.len(), 1, "{mode}: {all:?}");
            assert!(Answer::is_for(&all[0], "1") && all[0].contains("good"), "{mode}: {all:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_without_a_token_gets_no_progress() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        let all = client.everything(&Message::call(1, "progress", r#"{"count":3}"#)).await;
        assert_eq!(all.len(), 1, "{all:?}");
    })
    .await;
}
