//! `qe_memory_store` and `qe_memory_retrieve`.

use aqe_core::inprocess::InProcessError;
use serde_json::json;

use crate::support::Tools;

#[tokio::test]
async fn a_value_comes_back_byte_for_byte() {
    let tools = Tools::new();
    let value = r#"{"b" : 1e400,  "a":12345678901234567890.10,"\u00e9":"\ud800\n\"", "b":null}"#;
    tools
        .raw("qe_memory_store", &format!(r#"{{"namespace":"n","key":"k","value": {value} }}"#))
        .await
        .unwrap();
    let reply = tools.raw("qe_memory_retrieve", r#"{"namespace":"n","key":"k"}"#).await.unwrap();
    assert!(reply.contains(&format!(r#""value":{value},"#)), "{reply}");
}

#[tokio::test]
async fn all_that_was_said_beside_the_value_comes_back() {
    let tools = Tools::new();
    let stored = tools
        .store(
            r#"{"namespace":"n","key":"k","value":"v","tags":["a","b"],"kind":"decision","importance":0.5,"ttl_s":60,
                "source":{"file":"src/a.rs","range":[3,9],"commit":"abc","tool":"qe_x"},
                "valid_from":"2026-11-21T10:00:00+01:00"}"#,
        )
        .await;
    assert_eq!(
        stored,
        json!({"id":"mem_1","namespace":"n","key":"k","version":1,"created":"2026-11-21T09:30:00Z","expires":"2026-11-21T09:31:00Z"})
    );
    tools.advance(1);
    let found = tools.retrieve(r#"{"namespace":"n","id":"mem_1","include_history":true}"#).await;
    assert_eq!(
        found,
        json!({"found":true,"id":"mem_1","namespace":"n","key":"k","value":"v","version":1,
            "created":"2026-11-21T09:30:00Z","updated":"2026-11-21T09:30:00Z","valid_from":"2026-11-21T09:00:00Z",
            "expires":"2026-11-21T09:31:00Z","hits":1,"tags":["a","b"],"kind":"decision","importance":0.5,
            "source":{"file":"src/a.rs","range":[3,9],"commit":"abc","tool":"qe_x"},
            "history":[{"version":1,"created":"2026-11-21T09:30:00Z","valid_from":"2026-11-21T09:00:00Z",
                "expires":"2026-11-21T09:31:00Z","value_bytes":3}]})
    );
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_the_reason() {
    let tools = Tools::new();
    let reason = async |arguments: &str| {
        let reply = tools.retrieve(arguments).await;
        assert_eq!(reply["found"], false);
        reply["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason(r#"{"namespace":"n","key":"k"}"#).await.starts_with("absent"));
    tools.store(r#"{"namespace":"n","key":"k","value":1,"ttl_s":60}"#).await;
    assert!(reason(r#"{"namespace":"N","key":"k"}"#).await.starts_with("absent"));
    assert!(reason(r#"{"namespace":"n","id":"mem_77"}"#).await.starts_with("absent"));
    assert_eq!(
        reason(r#"{"namespace":"n","key":"k","version":2}"#).await,
        "no such version: 1 to 1 are kept"
    );
    assert_eq!(
        reason(r#"{"namespace":"n","key":"k","as_of":"2026-11-21T09:29:59.999Z"}"#).await,
        "not yet valid: the earliest version kept holds from 2026-11-21T09:30:00Z"
    );
    tools.advance(60);
    assert_eq!(reason(r#"{"namespace":"n","key":"k"}"#).await, "expired: at 2026-11-21T09:31:00Z");
}

#[tokio::test]
async fn versions_and_times_can_be_read_back() {
    let tools = Tools::new();
    for n in 1..=3 {
        tools.store(&format!(r#"{{"namespace":"n","key":"k","value":{n}}}"#)).await;
        tools.advance(10);
    }
    let value = async |which: &str| {
        tools.retrieve(&format!(r#"{{"namespace":"n","key":"k"{which}}}"#)).await["value"].clone()
    };
    assert_eq!(value("").await, 3);
    assert_eq!(value(r#","version":2"#).await, 2);
    assert_eq!(value(r#","as_of":"2026-11-21T09:30:05Z""#).await, 1);
    tools.store(r#"{"namespace":"n","key":"k","value":4,"valid_from":"2026-11-22T00:00:00Z"}"#).await;
    assert_eq!(value("").await, 3);
    assert_eq!(value(r#","as_of":"2026-11-22T00:00:00Z""#).await, 4);
}

#[tokio::test]
async fn conflicts_are_refused_with_what_to_do() {
    let tools = Tools::new();
    let refusal = async |more: &str| {
        tools.refusal("qe_memory_store", &format!(r#"{{"namespace":"n","key":"k"{more}}}"#)).await
    };
    let text = refusal(r#","value":1,"if_version":3"#).await;
    assert!(text.contains("does not exist") && text.contains("if_version 0"), "{text}");
    tools.store(r#"{"namespace":"n","key":"k","value":1,"if_version":0}"#).await;
    let text = refusal(r#","value":1,"if_version":0"#).await;
    assert!(text.contains("at version 1, not 0") && text.contains("if_version 1"), "{text}");
    let text = refusal(r#","value":1,"on_conflict":"fail""#).await;
    assert!(text.contains("exists, at version 1"), "{text}");
    let text = refusal(r#","value":{},"on_conflict":"merge""#).await;
    assert!(text.contains("stored value is none"), "{text}");
    assert_eq!(tools.retrieve(r#"{"namespace":"n","key":"k"}"#).await["version"], 1);
}

#[tokio::test]
async fn without_a_key_the_same_value_is_the_same_entry() {
    let tools = Tools::new();
    let first = tools.store(r#"{"namespace":"n","value":"a text"}"#).await;
    let again = tools.store(r#"{"namespace":"n","value":"a text"}"#).await;
    let other = tools.store(r#"{"namespace":"n","value":"another"}"#).await;
    assert_eq!((&first["id"], &first["key"]), (&again["id"], &again["key"]));
    assert_ne!(first["key"], other["key"]);
    let found = tools.retrieve(&json!({"namespace":"n","key":first["key"]}).to_string()).await;
    assert_eq!(found["value"], "a text");
}

#[tokio::test]
async fn one_principal_never_sees_anothers_entries() {
    let tools = Tools::new();
    tools.store(r#"{"namespace":"n","key":"k","value":"canary"}"#).await;
    for arguments in [
        r#"{"namespace":"n","key":"k"}"#,
        r#"{"namespace":"n","id":"mem_1"}"#,
        r#"{"namespace":"n","key":"k","version":1,"include_history":true}"#,
    ] {
        let reply = tools.raw_as("bob", "qe_memory_retrieve", arguments).await.unwrap();
        assert!(reply.contains("absent") && !reply.contains("canary"), "{reply}");
    }
}

#[tokio::test]
async fn credentials_are_not_stored() {
    let tools = Tools::new();
    let token = format!("ghp_{}", "aB3d".repeat(9));
    let arguments = json!({"namespace":"n","key":"k","value":{"ci":{"token":token}}}).to_string();
    let text = tools.refusal("qe_memory_store", &arguments).await;
    assert!(text.contains("a GitHub token") && !text.contains(&token), "{text}");
    assert_eq!(tools.retrieve(r#"{"namespace":"n","key":"k"}"#).await["found"], false);
}

#[tokio::test]
async fn bad_arguments_are_refused_with_the_name_of_the_culprit() {
    let tools = Tools::new();
    let long = "x".repeat(2_000_000);
    for (arguments, words) in [
        ("", "missing field `namespace`"),
        ("{}", "missing field `namespace`"),
        (r#"{"namespace":"n"}"#, "missing field `value`"),
        (r#"{"namespace":"n","value":1,"ttl":5}"#, "did you mean `ttl_s`?"),
        (r#"{"namespace":"n","value":1,"onConflict":"merge"}"#, "did you mean `on_conflict`?"),
        (r#"{"namespace":"n","value":1,"on_conflict":"merg"}"#, "did you mean `merge`?"),
        (r#"{"namespace":"n","value":1,"kind":"note"}"#, "expected one of `fact`"),
        (r#"{"namespace":"n","value":1,"source":{"path":"a"}}"#, "unknown field `path`"),
        (r#"{"namespace":"n","value":1,"source":{"range":[9,3]}}"#, "`source.range`"),
        (r#"{"namespace":"n","value":1,"source":{"range":[1]}}"#, "in `source.range`"),
        (r#"{"namespace":1,"value":1}"#, "in `namespace`: invalid type"),
        (r#"{"namespace":"n","value":1,"value":2}"#, "duplicate field `value`"),
        (r#"{"namespace":"","value":1}"#, "namespace must not be empty"),
        (r#"{"namespace":"n","key":"","value":1}"#, "key must not be empty"),
        (r#"{"namespace":"n","key":"a\u0000b","value":1}"#, "control characters"),
        (r#"{"namespace":"n","value":1,"ttl_s":0}"#, "`ttl_s`"),
        (r#"{"namespace":"n","value":1,"ttl_s":-1}"#, "in `ttl_s`"),
        (r#"{"namespace":"n","value":1,"ttl_s":18446744073709551615}"#, "`ttl_s`"),
        (r#"{"namespace":"n","value":1,"ttl_s":"60"}"#, "in `ttl_s`"),
        (r#"{"namespace":"n","value":1,"importance":1.01}"#, "`importance`"),
        (r#"{"namespace":"n","value":1,"if_version":-1}"#, "in `if_version`"),
        (r#"{"namespace":"n","value":1,"valid_from":"tomorrow"}"#, "RFC 3339"),
        (r#"{"namespace":"n","value":1,"valid_from":1700000000}"#, "in `valid_from`"),
        (
            r#"{"namespace":"n","value":1,"on_conflict":"replace","valid_from":"2100-01-01T00:00:00Z"}"#,
            "future",
        ),
        (r#"{"namespace":"n","value":1,"tags":"a"}"#, "in `tags`"),
        (r#"{"namespace":"n","value":1,"tags":["a",1]}"#, "in `tags[1]`"),
        (&format!(r#"{{"namespace":"n","value":"{long}"}}"#), "value in bytes is 2000002"),
        (&format!(r#"{{"namespace":"{long}","value":1}}"#), "namespace in bytes is 2000000"),
        (&format!(r#"{{"namespace":"n","value":1,"{long}":1}}"#), "unknown field"),
        (&json!({"namespace":"n","value":1,"tags":vec!["t"; 17]}).to_string(), "number of tags is 17"),
        (r#"{"namespace":"n","value":1} {"#, "bad arguments"),
        (r#"{"namespace":"n","value":1"#, "bad arguments"),
    ] {
        let text = tools.refusal("qe_memory_store", arguments).await;
        assert!(text.contains(words) && text.len() < 2_000, "{text}");
    }
    for (arguments, words) in [
        (r#"{"namespace":"n"}"#, "`key` or `id`"),
        (r#"{"namespace":"n","key":"k","id":"mem_1"}"#, "`key` or `id`"),
        (r#"{"namespace":"n","id":"1"}"#, "such as mem_12"),
        (r#"{"namespace":"n","key":"k","version":1,"as_of":"2026-01-01T00:00:00Z"}"#, "not both"),
        (r#"{"namespace":"n","key":"k","version":0}"#, "counted from 1"),
        (r#"{"namespace":"n","key":"k","history":true}"#, "did you mean `include_history`?"),
        (r#"{"namespace":"n","key":"k","as_of":"2026-01-01"}"#, "in `as_of`"),
    ] {
        let text = tools.refusal("qe_memory_retrieve", arguments).await;
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_call_at_all_is_the_protocols_error() {
    let tools = Tools::new();
    let unknown = tools.raw("qe_memory_stor", "{}").await;
    assert_eq!(unknown, Err(InProcessError::UnknownTool { name: "qe_memory_stor".into() }));
    for arguments in ["[]", "null", "\"x\"", "17"] {
        let answer = tools.raw("qe_memory_store", arguments).await;
        assert_eq!(answer, Err(InProcessError::ArgumentsNotAnObject));
    }
}
