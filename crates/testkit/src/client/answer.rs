//! An answer and what came before it.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};

/// A response as it came, and the messages received while waiting for it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Notifications, server requests and other responses, in order, as they came.
    pub before: Vec<String>,
    /// The response, as it came.
    pub text: String,
}

#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Reads a member that is there, so that null is not the same as absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl Answer {
    /// Whether `text` is a response to the request with this id (JSON text).
    pub fn is_for(text: &str, id: &str) -> bool {
        serde_json::from_str::<Parts<'_>>(text)
            .is_ok_and(|parts| parts.method.is_none() && parts.id.is_some_and(|found| found.get() == id))
    }

    fn parts(&self) -> Parts<'_> {
        super::must(serde_json::from_str(&self.text), &format!("expected a response, got {}", self.text))
    }

    /// Whether a strict receiver accepts the response: `jsonrpc` is "2.0", no member is there twice, and
    /// exactly one of `result` and `error` is there.
    pub fn is_valid(&self) -> bool {
        serde_json::from_str::<Parts<'_>>(&self.text).is_ok_and(|parts| {
            parts.jsonrpc.is_some_and(|version| version.get() == "\"2.0\"")
                && parts.result.is_some() != parts.error.is_some()
        })
    }

    /// The exact text of `result`.
    pub fn raw_result(&self) -> &str {
        match self.parts().result {
            Some(result) => result.get(),
            None => panic!("expected a result, got {}", self.text),
        }
    }

    /// The exact text of `error`.
    pub fn raw_error(&self) -> &str {
        match self.parts().error {
            Some(error) => error.get(),
            None => panic!("expected an error, got {}", self.text),
        }
    }

    /// Whether the response is an error.
    pub fn is_error(&self) -> bool {
        self.parts().error.is_some()
    }

    /// The result, parsed.
    pub fn result(&self) -> Value {
        super::must(serde_json::from_str(self.raw_result()), "expected a result that serde_json reads")
    }

    /// The error, parsed.
    pub fn error(&self) -> Value {
        super::must(serde_json::from_str(self.raw_error()), "expected an error that serde_json reads")
    }

    /// The error's code.
    pub fn error_code(&self) -> i64 {
        let error = self.error();
        error["code"].as_i64().unwrap_or_else(|| panic!("expected a numeric error code, got {error}"))
    }

    /// The text of the first content block of a tool result.
    pub fn content_text(&self) -> String {
        let result = self.result();
        match result["content"][0]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("expected a text content, got {result}"),
        }
    }

    /// The messages before the answer that have this method, parsed.
    pub fn notifications(&self, method: &str) -> Vec<Value> {
        self.before
            .iter()
            .filter_map(|text| serde_json::from_str::<Value>(text).ok())
            .filter(|message| message["method"] == method)
            .collect()
    }
}
