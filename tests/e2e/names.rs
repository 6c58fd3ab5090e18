//! What tools are called, and what becomes of a name that no tool has.

use std::collections::HashSet;

use aqe_testkit::client::Message;
use serde_json::Value;

use crate::support::{Client, Era, Gateway, Over, Plan, Upstream};

async fn listed(client: &mut Client) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut message = Message::request("\"l\"", "tools/list");
        if let Some(cursor) = &cursor {
            message = message.param("cursor", &Value::from(cursor.as_str()).to_string());
        }
        let page = client.request(&message).await.result();
        let tools = page["tools"].as_array().expect("expected tools");
        names.extend(tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return names,
        }
    }
}

async fn open(plan: Plan) -> (Gateway, Client) {
    let mut gateway = Gateway::start(plan).await;
    let client = gateway.connect(Era::Modern.revision(), "{}").await;
    (gateway, client)
}

async fn raw(name: &str) -> Upstream {
    Upstream::raw(name, Era::Legacy, Over::Stdio, &[]).await
}

#[tokio::test]
async fn one_upstream_shows_bare_names_and_several_show_prefixed_ones() {
    let (_gateway, mut client) = open(Plan::new(Over::Http).upstream(raw("a").await)).await;
    assert!(listed(&mut client).await.contains(&"reply".to_owned()));
    let plan = Plan::new(Over::Http).upstream(raw("a").await).upstream(raw("b").await);
    let (_gateway, mut client) = open(plan.registry("separator = \".\"")).await;
    let names = listed(&mut client).await;
    assert!(names.iter().all(|name| name.starts_with("a.") || name.starts_with("b.")), "{names:?}");
    assert_eq!(client.call(1, "b.bare", "{}").await.content_text(), "bare");
    let plan = Plan::new(Over::Http).upstream(raw("a").await).registry("prefix = \"always\"");
    let (_gateway, mut client) = open(plan).await;
    assert_eq!(client.call(1, "a__bare", "{}").await.content_text(), "bare");
}

#[tokio::test]
async fn a_collision_is_settled_by_prefixes_and_every_tool_stays_callable() {
    let fixture = Upstream::fixture("sdk", Era::Modern, Over::Stdio, &[]).await;
    let plan = Plan::new(Over::Http).registry("prefix = \"never\"").upstream(raw("raw").await);
    let (_gateway, mut client) = open(plan.upstream(fixture)).await;
    let names = listed(&mut client).await;
    let unique: HashSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    // Both have `sleep`; only one has `bare`, and only one `echo`.
    for (tool, arguments, text) in [
        ("bare", "{}", "bare"),
        ("echo", r#"{"a":1}"#, r#"{"a":1}"#),
        ("raw__sleep", r#"{"ms":1}"#, "slept 1 ms"),
        ("sdk__sleep", r#"{"ms":2}"#, "slept 2 ms"),
    ] {
        assert!(names.contains(&tool.to_owned()), "expected {tool} in {names:?}");
        assert_eq!(client.call(1, tool, arguments).await.content_text(), text);
    }
}

#[tokio::test]
async fn an_unknown_name_is_refused_with_the_nearest_one() {
    let (gateway, mut client) = open(Plan::new(Over::Http).upstream(raw("a").await)).await;
    for (wrong, near) in [("recieved", "received"), ("slep", "sleep"), ("Reply", "reply")] {
        let refused = client.call(1, wrong, r#"{"ms":1}"#).await;
        let error = refused.error();
        assert_eq!(error["code"], -32602, "{error}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(&format!("did you mean {near}?")), "{message}");
    }
    let message = client.call(1, "entirely_else", "{}").await.error();
    assert!(!message.to_string().contains("did you mean"), "{message}");
    assert_eq!(gateway.upstreams[0].count("request", "tools/call"), 0);
}

#[tokio::test]
async fn a_misspelt_name_runs_only_a_read_only_tool_of_a_trusted_upstream_and_says_which() {
    let trusted = raw("a").await.with("trusted = true");
    let (gateway, mut client) = open(Plan::new(Over::Http).upstream(trusted)).await;
    let ran = client.call(1, "recieved", "{}").await.result();
    let note = &ran["_meta"]["aqe-v3/resolvedTool"];
    assert_eq!((&note["called"], &note["ran"]), (&Value::from("recieved"), &Value::from("received")));
    // Not read-only.
    for wrong in ["slep", "forgt"] {
        let refused = client.call(2, wrong, r#"{"ms":1}"#).await;
        assert_eq!(refused.error_code(), -32602, "{}", refused.text);
    }
    // An exact name says nothing.
    let ran = client.call(3, "received", "{}").await.result();
    assert!(ran["_meta"].get("aqe-v3/resolvedTool").is_none());
    assert_eq!(gateway.upstreams[0].count("request", "tools/call"), 2);
    for setting in ["suggest", "off"] {
        let trusted = raw("a").await.with("trusted = true");
        let plan = Plan::new(Over::Http).registry(&format!("fuzzy = \"{setting}\"")).upstream(trusted);
        let (_gateway, mut client) = open(plan).await;
        let message = client.call(1, "recieved", "{}").await.error()["message"].to_string();
        assert_eq!(message.contains("did you mean"), setting == "suggest", "{message}");
    }
}

#[tokio::test]
async fn hundreds_of_tools_are_listed_over_pages_and_called() {
    let a = Upstream::raw("a", Era::Legacy, Over::Stdio, &["--tools", "200", "--page-size", "30"]).await;
    let b = Upstream::raw("b", Era::Modern, Over::Http, &["--tools", "200", "--page-size", "7"]).await;
    let plan = Plan::new(Over::Http).server("page_size = 64").upstream(a).upstream(b).builtin();
    let (_gateway, mut client) = open(plan).await;
    let names = listed(&mut client).await;
    let generated: HashSet<&String> = names.iter().filter(|name| name.contains("tool_0")).collect();
    assert_eq!(generated.len(), 400);
    assert!(names.iter().any(|name| name == "qe_memory_store"), "{names:?}");
    assert_eq!(names, listed(&mut client).await, "the order is the same each time");
    for number in (0..200).step_by(9) {
        for upstream in ["a", "b"] {
            let name = format!("tool_{number:05}");
            let answer = client.call(1, &format!("{upstream}__{name}"), "{}").await;
            assert_eq!(answer.content_text(), name);
        }
    }
}

#[tokio::test]
async fn only_allowed_tools_are_listed_and_run() {
    let upstream = raw("a").await.with("[upstream.tools]").with("allow = [\"b*\", \"reply\"]");
    let upstream = upstream.with("deny = [\"bad\"]");
    let (gateway, mut client) = open(Plan::new(Over::Http).upstream(upstream)).await;
    let mut names = listed(&mut client).await;
    names.sort();
    assert_eq!(names, ["bare", "reply"]);
    for denied in ["bad", "sleep", "received"] {
        assert_eq!(client.call(1, denied, r#"{"ms":1}"#).await.error_code(), -32602);
    }
    assert_eq!(gateway.upstreams[0].count("request", "tools/call"), 0);
}
