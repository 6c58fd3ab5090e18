//! `qe_memory_search`, and duplicates noticed by `qe_memory_store`.

use serde_json::{Value, json};

use crate::support::Tools;

async fn filled() -> Tools {
    let tools = Tools::new();
    for (key, value) in [
        ("timeouts", "retry idempotent calls when the connection times out"),
        ("login", "authentication needs a fresh token every hour"),
        ("colours", "the dashboard draws errors in red"),
        ("queue", "the worker takes jobs from a queue in order"),
    ] {
        let arguments =
            json!({ "namespace": "lessons", "key": key, "value": value, "kind": "fact", "tags": [key] });
        tools.store(&arguments.to_string()).await;
    }
    tools
}

async fn search(tools: &Tools, arguments: &Value) -> Value {
    tools.call("qe_memory_search", &arguments.to_string()).await
}

fn keys(reply: &Value) -> Vec<&str> {
    reply["results"].as_array().unwrap().iter().map(|hit| hit["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_is_meant_is_found_by_words_and_without_them() {
    let tools = filled().await;
    let reply = search(&tools, &json!({ "query": "retrying after a timeout", "limit": 1 })).await;
    assert_eq!(keys(&reply), ["timeouts"]);
    assert_eq!(reply["searched"], 4);
    let hit = &reply["results"][0];
    assert_eq!(hit["snippet"], "retry idempotent calls when the connection times out");
    assert_eq!(
        (&hit["namespace"], &hit["kind"], &hit["tags"]),
        (&json!("lessons"), &json!("fact"), &json!(["timeouts"]))
    );
    assert!(reply["note"].as_str().unwrap().contains("not instructions"));
    let by_meaning =
        search(&tools, &json!({ "query": "password credentials", "mode": "vector", "limit": 1 })).await;
    assert_eq!(keys(&by_meaning), ["login"]);
    let by_words = search(&tools, &json!({ "query": "password credentials", "mode": "lexical" })).await;
    assert_eq!((keys(&by_words), &by_words["total"]), (vec![], &json!(0)));
}

#[tokio::test]
async fn scores_are_explained_by_their_parts() {
    let tools = filled().await;
    tools.store(r#"{"namespace":"lessons","key":"weighty","value":"red errors","importance":1}"#).await;
    tools.advance(10 * 86_400);
    let arguments = json!({
        "query": "red errors", "explain": true, "recency_half_life_d": 10, "by_importance": true, "alpha": 0.25,
    });
    let reply = search(&tools, &arguments).await;
    assert_eq!(keys(&reply)[0], "weighty");
    for hit in reply["results"].as_array().unwrap() {
        let part = |name: &str| hit["parts"][name].as_f64().unwrap();
        let score = part("relevance") * part("recency") * part("importance");
        assert!((hit["score"].as_f64().unwrap() - score).abs() < 2e-4, "{hit}");
        assert!((part("recency") - 0.5).abs() < 1e-9);
    }
    let plain = search(&tools, &json!({ "query": "red errors", "explain": true })).await;
    assert_eq!(plain["results"][0]["parts"]["recency"], Value::Null, "age counts only when asked for");
}

#[tokio::test]
async fn pages_make_up_the_whole_and_a_write_between_them_is_noticed() {
    let tools = filled().await;
    let whole = search(&tools, &json!({ "query": "queue order" })).await;
    let mut paged = Vec::new();
    let mut arguments = json!({ "query": "queue order", "limit": 1 });
    loop {
        let page = search(&tools, &arguments).await;
        paged.extend(page["results"].as_array().unwrap().clone());
        match page.get("next_cursor") {
            Some(cursor) => arguments["cursor"] = cursor.clone(),
            None => break,
        }
    }
    assert_eq!(json!(paged), whole["results"]);
    let other = json!({ "query": "another", "cursor": arguments["cursor"] }).to_string();
    assert!(tools.refusal("qe_memory_search", &other).await.contains("another question"));
    tools.store(r#"{"namespace":"lessons","value":"one more"}"#).await;
    let text = tools.refusal("qe_memory_search", &arguments.to_string()).await;
    assert!(text.contains("written to since"), "{text}");
}

#[tokio::test]
async fn filters_and_moments_are_taken() {
    let tools = filled().await;
    let filters = |filters: Value| json!({ "query": "the worker queue", "filters": filters });
    assert_eq!(keys(&search(&tools, &filters(json!({ "tags": ["login"] }))).await), ["login"]);
    assert_eq!(search(&tools, &filters(json!({ "kind": "decision" }))).await["searched"], 0);
    assert_eq!(search(&tools, &filters(json!({ "since": "2030-01-01T00:00:00Z" }))).await["searched"], 0);
    tools.advance(60);
    tools.store(r#"{"namespace":"lessons","key":"queue","value":"nothing any more"}"#).await;
    tools.advance(60);
    let now = search(&tools, &json!({ "query": "worker jobs", "mode": "lexical" })).await;
    assert_eq!(keys(&now), Vec::<&str>::new());
    let then = json!({ "query": "worker jobs", "mode": "lexical", "as_of": "2026-11-21T09:30:30Z" });
    let then = search(&tools, &then).await;
    assert_eq!((keys(&then), &then["results"][0]["version"]), (vec!["queue"], &json!(1)));
    let apart = json!({ "query": "worker", "namespaces": ["elsewhere"] });
    assert_eq!(search(&tools, &apart).await["searched"], 0);
}

#[tokio::test]
async fn a_bad_question_is_answered_with_what_to_do() {
    let tools = Tools::new();
    for (arguments, says) in [
        (json!({ "query": " " }), "`query`"),
        (json!({ "query": "x", "limit": 0 }), "`limit`"),
        (json!({ "query": "x", "alpha": 1.5 }), "`alpha`"),
        (json!({ "query": "x", "alpha": 0.5, "mode": "vector" }), "hybrid"),
        (json!({ "query": "x", "recency_half_life_d": 0 }), "half_life"),
        (json!({ "query": "x", "filters": { "tag": "a" } }), "did you mean `tags`"),
        (json!({ "query": "x".repeat(5_000) }), "limit is 4096"),
        (json!({ "query": "x", "cursor": "1.2.3" }), "`cursor`"),
    ] {
        let text = tools.refusal("qe_memory_search", &arguments.to_string()).await;
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn a_duplicate_is_named_and_not_stored() {
    let tools = filled().await;
    let store = |key: &str, value: &str| {
        json!({ "namespace": "lessons", "key": key, "value": value, "dedupe": { "threshold": 0.9 } })
            .to_string()
    };
    let again = tools.store(&store("timeout", "When a connection times out, retry idempotent calls")).await;
    assert_eq!(
        (&again["duplicate_of"], &again["key"], &again["version"]),
        (&json!("mem_1"), &json!("timeouts"), &json!(1))
    );
    assert_eq!(again["similar"][0]["id"], "mem_1");
    assert_eq!(tools.retrieve(r#"{"namespace":"lessons","key":"timeout"}"#).await["found"], false);
    let other = tools.store(&store("pie", "apples make a good pie")).await;
    assert_eq!((other.get("duplicate_of"), &other["similar"]), (None, &json!([])));
    let same_key = tools.store(&store("pie", "apples make a very good pie")).await;
    assert_eq!(same_key["version"], 2, "a new version of an entry is no duplicate of it");
}
