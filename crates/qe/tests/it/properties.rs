//! Any value comes back as it was; any bytes get an answer that is JSON.

use proptest::prelude::*;
use serde_json::Value;

use crate::support::Tools;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_value_comes_back_as_it_was(values in proptest::collection::vec(json(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tools = Tools::new();
        runtime.block_on(async {
            for value in values {
                let text = serde_json::to_string_pretty(&value).unwrap();
                tools.store(&format!(r#"{{"namespace":"n","key":"k","value":{text}}}"#)).await;
                let reply = tools.raw("qe_memory_retrieve", r#"{"namespace":"n","key":"k"}"#).await.unwrap();
                assert!(reply.contains(&format!(r#""value":{text},"version""#)), "{reply}");
            }
        });
    }

    #[test]
    fn any_arguments_get_an_answer(texts in proptest::collection::vec("\\PC*|[{}\\[\\]\",:a-z0-9 ]*", 1..8), json in json()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tools = Tools::new();
        runtime.block_on(async {
            for text in texts.into_iter().flat_map(|text| [format!("{{{text}"), text]).chain([json.to_string()]) {
                for tool in ["qe_memory_store", "qe_memory_retrieve", "qe_quality_gate"] {
                    if let Ok(reply) = tools.raw(tool, &text).await {
                        let reply: Value = serde_json::from_str(&reply).unwrap();
                        assert_eq!(reply["isError"], true, "{reply}");
                    }
                }
            }
        });
    }
}
