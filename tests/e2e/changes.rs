//! Changes of what upstreams offer reach every client that wants to know.

use std::time::Duration;

use aqe_testkit::client::Message;
use serde_json::Value;

use crate::support::{Client, Era, Gateway, Pair, Plan, Upstream, each};

const WATCHED: &str = "test://watched-resource";

async fn open(pair: Pair) -> (Gateway, Client) {
    let upstream = Upstream::fixture("up", pair.upstream, pair.upstream_over, &[]).await;
    let mut gateway = Gateway::start(Plan::new(pair.client_over).upstream(upstream)).await;
    let client = gateway.connect(pair.client.revision(), "{}").await;
    (gateway, client)
}

async fn lists_extra(client: &mut Client) -> bool {
    let listed = client.request(&Message::request("\"tools\"", "tools/list")).await.result();
    let tools = listed["tools"].as_array().expect("expected tools").clone();
    tools.iter().any(|tool| tool["name"] == "extra")
}

#[tokio::test]
async fn a_tool_that_comes_or_goes_is_announced_and_listed_so() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = open(pair).await;
        client.listen(r#"{"toolsListChanged":true}"#).await;
        assert!(!lists_extra(&mut client).await);
        // What the first connection changed has been told by then.
        client.count("notifications/tools/list_changed", Duration::from_millis(300)).await;
        for listed in [true, false, true] {
            client.call(1, "show_extra_tool", &format!(r#"{{"listed":{listed}}}"#)).await;
            let told = client.heard("notifications/tools/list_changed").await;
            assert_eq!(lists_extra(&mut client).await, listed, "told before the list was right");
            let id = &told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
            let expected = if pair.client == Era::Modern { Value::from("listen") } else { Value::Null };
            assert_eq!(*id, expected, "{told}");
            let answer = client.call(2, "extra", "{}").await;
            assert_eq!(answer.is_error(), !listed, "{}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn prompt_and_resource_lists_are_announced_to_those_who_asked() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = open(pair).await;
        client.listen(r#"{"promptsListChanged":true,"resourcesListChanged":true}"#).await;
        lists_extra(&mut client).await;
        client.count("notifications/prompts/list_changed", Duration::from_millis(300)).await;
        client.call(1, "test_trigger_prompt_change", "{}").await;
        client.heard("notifications/prompts/list_changed").await;
        client.call(2, "test_trigger_resource_change", "{}").await;
        client.heard("notifications/resources/list_changed").await;
        if pair.client == Era::Modern {
            client.call(3, "test_trigger_tool_change", "{}").await;
            let told = client.count("notifications/tools/list_changed", Duration::from_millis(300)).await;
            assert_eq!(told, 0, "told what was not asked for");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_of_a_resource_is_told_to_who_subscribed() {
    const UPDATED: &str = "notifications/resources/updated";
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = open(pair).await;
        lists_extra(&mut client).await;
        client.listen(&format!(r#"{{"resourceSubscriptions":["{WATCHED}"]}}"#)).await;
        if pair.client == Era::Legacy {
            client.call(1, "touch_watched_resource", "{}").await;
            assert_eq!(
                client.count(UPDATED, Duration::from_millis(300)).await,
                0,
                "told before it was asked"
            );
            let uri = format!("\"{WATCHED}\"");
            client.request(&Message::request(2, "resources/subscribe").param("uri", &uri)).await.result();
        }
        for _ in 0..3 {
            client.call(3, "touch_watched_resource", "{}").await;
            let told = client.heard(UPDATED).await;
            assert_eq!(told["params"]["uri"], WATCHED);
        }
        if pair.client == Era::Legacy {
            let uri = format!("\"{WATCHED}\"");
            client.request(&Message::request(4, "resources/unsubscribe").param("uri", &uri)).await.result();
            client.call(5, "touch_watched_resource", "{}").await;
            assert_eq!(
                client.count(UPDATED, Duration::from_millis(300)).await,
                0,
                "told after it was given up"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_storm_of_changes_leaves_the_list_right_and_the_upstream_in_peace() {
    each(Pair::all(), |pair| async move {
        let (gateway, mut client) = pair.open(&[]).await;
        client.call(1, "bare", "{}").await;
        client.call(2, "bad", r#"{"mode":"storm","count":1000}"#).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let asked = gateway.upstreams[0].count("request", "tools/list");
        assert!(asked <= 12, "asked {asked} times for the list");
        assert_eq!(client.call(3, "bare", "{}").await.content_text(), "bare");
    })
    .await;
}
