use aqe_testkit::client::{Message, Revision};
use serde_json::{Value, json};

use super::stdio;

#[tokio::test]
async fn every_revision_opens_and_gets_what_it_asked_for() {
    for revision in Revision::ALL {
        let mut client = stdio(&[]);
        if let Some(answer) = client.open(revision).await {
            assert_eq!(answer.result()["protocolVersion"], revision.as_str());
        }
        let answer = client.request(&Message::call(7, "bare", "{}")).await;
        assert_eq!(answer.content_text(), "bare");
        assert_eq!(answer.result().get("resultType").is_some(), revision.is_modern());
    }
}

#[tokio::test]
async fn a_reply_is_exactly_the_text_asked_for() {
    let raw = r#"{"b":1e400,"a":null, "n":12345678901234567890123, "a":-0.0}"#;
    let mut client = stdio(&[]);
    client.open(Revision::V2025_11_25).await;
    let arguments = json!({ "result": raw }).to_string();
    let answer = client.request(&Message::call("\"odd id\"", "reply", &arguments)).await;
    assert_eq!(answer.raw_result(), raw);
    let arguments = json!({ "error": r#"{"code":-1.0e1,"message":"m","x":[]}"# }).to_string();
    let answer = client.request(&Message::call(1.5, "reply", &arguments)).await;
    assert_eq!(answer.raw_error(), r#"{"code":-1.0e1,"message":"m","x":[]}"#);
}

#[tokio::test]
async fn received_shows_the_bytes_of_the_request() {
    let mut client = stdio(&[]);
    client.open(Revision::V2025_06_18).await;
    let line = r#"{ "id":1.0 ,"params":{"arguments":{"é":"\u00e9"},"name":"received"},"x":1e999,"method":"tools/call","jsonrpc":"2.0"}"#;
    client.send(line).await;
    assert_eq!(client.answer("1.0").await.content_text(), line);
}

#[tokio::test]
async fn progress_comes_in_order_before_the_result_and_keeps_its_token() {
    let mut client = stdio(&[]);
    client.open(Revision::V2026_07_28).await;
    let arguments = r#"{"count":100,"raw":"\"message\":null,\"x\":1.0"}"#;
    let message = Message::call(1, "progress", arguments).progress_token("\"t\"");
    let answer = client.request(&message).await;
    assert_eq!(answer.before.len(), 100);
    assert!(answer.before[0].ends_with(r#""progress":1,"total":100,"message":null,"x":1.0}}"#));
    let order: Vec<_> = answer
        .notifications("notifications/progress")
        .iter()
        .map(|note| (note["params"]["progressToken"].clone(), note["params"]["progress"].as_u64()))
        .collect();
    assert_eq!(order, (1..=100).map(|n| (json!("t"), Some(n))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cancelled_sleep_is_never_answered_and_is_in_the_journal() {
    let mut client = stdio(&[]);
    client.open(Revision::V2025_11_25).await;
    client.notify(&Message::call("\"s\"", "sleep", r#"{"ms":5000}"#)).await;
    client.notify(&Message::cancelled("\"s\"")).await;
    client.notify(&Message::cancelled(99)).await;
    let answer = client.request(&Message::call(2, "sleep", r#"{"ms":20}"#)).await;
    assert_eq!(answer.before, Vec::<String>::new());
    let journal = client.request(&Message::call(3, "journal", "{}")).await.result();
    let events: Vec<(String, Value)> = journal["structuredContent"]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["event"].as_str().unwrap().to_owned(), entry["id"].clone()))
        .collect();
    for expected in
        [("cancelled", json!("s")), ("sleep_cancelled", json!("s")), ("cancelled_unknown", json!(99))]
    {
        assert!(events.contains(&(expected.0.to_owned(), expected.1.clone())), "{expected:?} in {events:?}");
    }
}

#[tokio::test]
async fn a_request_of_the_server_gets_the_clients_raw_response() {
    let mut client = stdio(&[]);
    client.open(Revision::V2025_11_25).await;
    let arguments = r#"{"method":"sampling/createMessage","params":"{\"temperature\":0.70}"}"#;
    client.notify(&Message::call(1, "ask", arguments)).await;
    let question = client.line().await;
    assert!(question.contains(r#""params":{"temperature":0.70}"#), "{question}");
    let id = serde_json::from_str::<Value>(&question).unwrap()["id"].to_string();
    let response = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"x":1.0,"y":null}}}}"#);
    client.send(&response).await;
    assert_eq!(client.answer("1").await.content_text(), response);
}

#[tokio::test]
async fn a_stateless_ask_takes_a_second_call_with_the_responses() {
    let mut client = stdio(&[]);
    client.open(Revision::V2026_07_28).await;
    let call = Message::call(1, "ask", r#"{"method":"roots/list"}"#);
    let first = client.request(&call).await.result();
    assert_eq!(first["inputRequests"]["ask"]["method"], "roots/list");
    let call = Message::call(2, "ask", r#"{"method":"roots/list"}"#)
        .param("inputResponses", r#"{"ask":{"roots":[], "x":1.0}}"#)
        .param("requestState", &first["requestState"].to_string());
    assert_eq!(client.request(&call).await.content_text(), r#"{"ask":{"roots":[], "x":1.0}}"#);
}

#[tokio::test]
async fn each_era_flag_refuses_the_other_era() {
    let mut modern = stdio(&["--era", "modern"]);
    let refused = modern.request(&Message::initialize(1, Revision::V2025_11_25)).await;
    assert_eq!(refused.error_code(), -32022);
    let mut legacy = stdio(&["--era", "legacy"]);
    legacy.open(Revision::V2026_07_28).await;
    assert_eq!(legacy.request(&Message::discover(1)).await.error_code(), -32601);
    let mut dual = stdio(&[]);
    dual.open(Revision::V2026_07_28).await;
    let discovered = dual.request(&Message::discover(1)).await.result();
    assert_eq!(discovered["supportedVersions"], json!(["2026-07-28"]));
    assert!(!dual.request(&Message::initialize(2, Revision::V2025_11_25)).await.is_error());
}

#[tokio::test]
async fn listeners_get_tagged_notifications_until_they_cancel() {
    let mut client = stdio(&[]);
    client.open(Revision::V2026_07_28).await;
    client.notify(&Message::request("\"sub\"", "subscriptions/listen").param("notifications", "{}")).await;
    assert!(client.line().await.contains("notifications/subscriptions/acknowledged"));
    let notify = r#"{"method":"notifications/tools/list_changed"}"#;
    let answer = client.request(&Message::call(1, "notify", notify)).await;
    let note = answer.notifications("notifications/tools/list_changed");
    let note = match note.first() {
        Some(note) => note.clone(),
        None => serde_json::from_str(&client.line().await).unwrap(),
    };
    assert_eq!(note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "sub");
}
