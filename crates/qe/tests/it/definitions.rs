//! What the list of tools says is what the tools do.

use serde_json::Value;

use crate::support::Tools;

/// Fourteen tools must fit in 12 KB; a single one may have a third more than its share.
const DEFINITION_MAX_BYTES: usize = 1_150;
const ALL_MAX_BYTES: usize = 12 * 1_024;

fn definitions(tools: &Tools) -> Vec<Value> {
    tools.set.definitions().iter().map(|definition| serde_json::from_slice(definition).unwrap()).collect()
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[tokio::test]
async fn definitions_are_whole_and_short() {
    let tools = Tools::new();
    let bytes: usize = tools.set.definitions().iter().map(bytes::Bytes::len).sum();
    assert!(bytes <= ALL_MAX_BYTES, "{bytes} bytes");
    for raw in tools.set.definitions() {
        let definition: Value = serde_json::from_slice(raw).unwrap();
        let name = definition["name"].as_str().unwrap();
        assert!(raw.len() <= DEFINITION_MAX_BYTES, "{name}: {} bytes", raw.len());
        for member in ["title", "description", "inputSchema", "outputSchema", "annotations"] {
            assert!(!definition[member].is_null(), "{name} has no {member}");
        }
        assert_eq!(definition["inputSchema"]["type"], "object");
        assert_eq!(definition["outputSchema"]["type"], "object");
    }
}

#[tokio::test]
async fn the_schema_names_exactly_the_arguments_that_are_taken() {
    let tools = Tools::new();
    for definition in definitions(&tools) {
        let text = tools.refusal(definition["name"].as_str().unwrap(), r#"{"?":1}"#).await;
        let mut taken: Vec<_> = text.split('`').skip(3).step_by(2).collect();
        taken.sort_unstable();
        assert_eq!(taken, names(&definition["inputSchema"]["properties"]), "{text}");
    }
}

#[tokio::test]
async fn the_schema_requires_exactly_what_is_required() {
    let tools = Tools::new();
    for definition in definitions(&tools) {
        let name = definition["name"].as_str().unwrap();
        let required = definition["inputSchema"]["required"].as_array().unwrap();
        for missing in required {
            let given: serde_json::Map<_, _> = required
                .iter()
                .filter(|other| *other != missing)
                .map(|other| (other.as_str().unwrap().to_owned(), "x".into()))
                .collect();
            let text = tools.refusal(name, &Value::Object(given).to_string()).await;
            assert!(text.contains(&format!("missing field `{}`", missing.as_str().unwrap())), "{text}");
        }
    }
}

#[tokio::test]
async fn every_word_of_an_enumeration_is_taken() {
    let tools = Tools::new();
    for definition in definitions(&tools) {
        let required = definition["inputSchema"]["required"].as_array().unwrap();
        for (argument, schema) in definition["inputSchema"]["properties"].as_object().unwrap() {
            for word in schema["enum"].as_array().into_iter().flatten() {
                let given = |name: &Value| {
                    let name = name.as_str().unwrap();
                    match definition["inputSchema"]["properties"][name]["type"].as_str() {
                        Some("array") => (name.to_owned(), serde_json::json!([{ "file": "x" }])),
                        _ => (name.to_owned(), "x".into()),
                    }
                };
                let mut arguments: serde_json::Map<_, _> = required.iter().map(given).collect();
                arguments.insert(argument.clone(), word.clone());
                let arguments = Value::Object(arguments).to_string();
                let reply = tools.raw(definition["name"].as_str().unwrap(), &arguments).await.unwrap();
                assert!(!reply.contains("bad arguments"), "{arguments}: {reply}");
            }
        }
    }
}

#[tokio::test]
async fn results_have_what_the_output_schema_promises() {
    let tools = Tools::new();
    let stored = tools.store(r#"{"namespace":"n","key":"k","value":1}"#).await;
    let found = tools.retrieve(r#"{"namespace":"n","key":"k","include_history":true}"#).await;
    let absent = tools.retrieve(r#"{"namespace":"n","key":"other"}"#).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.py"), "def f():\n    pass\n").unwrap();
    let measured = Tools::over(&[folder.path()]).call("qe_quality_metrics", "{}").await;
    let judged = Tools::over(&[folder.path()]);
    let verdict = judged.call("qe_quality_gate", "{}").await;
    let document = judged.call("qe_quality_gate", r#"{"format":"markdown"}"#).await;
    let definitions = definitions(&tools);
    for (name, result) in [
        ("qe_quality_gate", verdict),
        ("qe_quality_gate", document),
        ("qe_memory_store", stored),
        ("qe_memory_retrieve", found),
        ("qe_memory_retrieve", absent),
        ("qe_quality_metrics", measured),
    ] {
        let definition = definitions.iter().find(|definition| definition["name"] == name).unwrap();
        let schema = &definition["outputSchema"];
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(result.get(required.as_str().unwrap()).is_some(), "{required} of {result}");
        }
        for (property, of) in schema["properties"].as_object().into_iter().flatten() {
            let is_right = |value: &Value| match of["type"].as_str() {
                Some("boolean") => value.is_boolean(),
                Some("string") => value.is_string(),
                Some("integer") => value.is_u64(),
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                None => true,
                Some(other) => panic!("no rule for {other}"),
            };
            assert!(result.get(property).is_none_or(is_right), "{property} of {result}");
        }
    }
}
