//! `x-mcp-header` parameters (2026-07-28, "Custom Headers from Tool Parameters"): arguments that a modern HTTP
//! client repeats as `Mcp-Param-*` headers, and the encoding of header values.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::upstream::encode_header_value;

/// Integers in headers must be exact in every language: ±(2^53 − 1).
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;
/// Nesting of `properties` that is followed.
const MAX_DEPTH: usize = 32;

/// The annotated parameters of one tool: header and path of property names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeaders(Vec<(HeaderName, Vec<String>)>);

impl ParamHeaders {
    /// Reads the annotations of a tool definition; `None` if it has none.
    ///
    /// # Errors
    /// What is wrong with an annotation; an HTTP client must not show such a tool.
    pub fn read(definition: &[u8]) -> Result<Option<Self>, String> {
        // Parsing is only for the few tools that have annotations.
        if memchr::memmem::find(definition, b"x-mcp-header").is_none() {
            return Ok(None);
        }
        let definition: Value = serde_json::from_slice(definition).map_err(|error| error.to_string())?;
        let schema = &definition["inputSchema"];
        let mut found = Vec::new();
        walk(schema, &mut Vec::new(), &mut found)?;
        let annotated = count(schema, 0);
        if annotated != found.len() {
            return Err("x-mcp-header on a parameter that cannot be reached by properties alone".into());
        }
        Ok((!found.is_empty()).then_some(Self(found)))
    }

    /// The headers for these arguments.
    pub fn of(&self, arguments: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
        let arguments: Value = serde_json::from_slice(arguments).unwrap_or_default();
        let header = |(name, path): &(HeaderName, Vec<String>)| {
            let value = encode_header_value(&scalar(at(&arguments, path)?)?);
            Some((name.clone(), value))
        };
        self.0.iter().filter_map(header).collect()
    }

    /// Checks that a client's headers say what its arguments say.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, headers: &HeaderMap, arguments: &[u8]) -> Result<(), String> {
        let arguments: Value = serde_json::from_slice(arguments).unwrap_or_default();
        for (name, path) in &self.0 {
            let body = at(&arguments, path).filter(|value| !value.is_null());
            let mut values = headers.get_all(name).iter();
            let header = match (values.next(), values.next()) {
                (Some(_), Some(_)) => return Err(format!("{name} occurs twice")),
                (Some(value), None) => {
                    Some(decode_header(value).ok_or_else(|| format!("{name} is not a valid header value"))?)
                }
                (None, _) => None,
            };
            match (body, header) {
                (None, None) => {}
                (Some(_), None) => return Err(format!("{name} is missing")),
                (None, Some(_)) => return Err(format!("{name} has no counterpart in the arguments")),
                (Some(body), Some(header)) if same(body, &header) => {}
                (Some(_), Some(_)) => return Err(format!("{name} differs from the arguments")),
            }
        }
        Ok(())
    }
}

fn same(body: &Value, header: &str) -> bool {
    match body {
        Value::Number(number) => match (number.as_f64(), header.parse::<f64>()) {
            // Equal as numbers means equal bits here: both are the nearest double of a decimal.
            (Some(body), Ok(header)) => body.to_bits() == header.to_bits() || (body == 0.0 && header == 0.0),
            _ => false,
        },
        other => scalar(other).is_some_and(|text| text == header),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            // 42.0 and 42 are the same integer.
            Some(float) if float.fract() == 0.0 && float.abs() <= MAX_SAFE_INTEGER as f64 => {
                (float as i64).to_string()
            }
            _ => number.to_string(),
        }),
        _ => None,
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

fn walk(
    schema: &Value,
    path: &mut Vec<String>,
    found: &mut Vec<(HeaderName, Vec<String>)>,
) -> Result<(), String> {
    if path.len() > MAX_DEPTH {
        return Ok(());
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(annotation) = property.get("x-mcp-header") {
            let header = annotation.as_str().filter(|text| !text.is_empty());
            let header = header.ok_or_else(|| format!("x-mcp-header of {name} is not a name"))?;
            if !matches!(property.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean"))
            {
                return Err(format!("x-mcp-header on {name}, which is no string, integer or boolean"));
            }
            let header = HeaderName::from_bytes(format!("mcp-param-{header}").as_bytes())
                .map_err(|_| format!("x-mcp-header of {name} is not a header name"))?;
            if found.iter().any(|(other, _)| *other == header) {
                return Err(format!("x-mcp-header {header} twice"));
            }
            found.push((header, path.clone()));
        }
        walk(property, path, found)?;
        path.pop();
    }
    Ok(())
}

/// All annotations anywhere in a schema.
fn count(schema: &Value, depth: usize) -> usize {
    if depth > MAX_DEPTH * 4 {
        return 0;
    }
    match schema {
        Value::Object(members) => {
            let here = usize::from(members.contains_key("x-mcp-header"));
            here + members.values().map(|value| count(value, depth + 1)).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(|value| count(value, depth + 1)).sum(),
        _ => 0,
    }
}

/// Reads a header value; `None` if it is no text or its encoding is broken.
pub fn decode_header(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let text = value.to_str().ok()?;
    if !looks_encoded(text) {
        return Some(text.into());
    }
    let encoded = text.get("=?base64?".len()..text.len().checked_sub(2)?)?;
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned)
}

fn looks_encoded(text: &str) -> bool {
    text.len() >= 11
        && text.ends_with("?=")
        && text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("=?base64?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(properties: &str) -> Vec<u8> {
        format!(r#"{{"name":"t","inputSchema":{{"type":"object","properties":{properties}}}}}"#).into_bytes()
    }

    #[test]
    fn headers_repeat_the_arguments_and_are_checked_against_them() {
        let params = ParamHeaders::read(&tool(
            r#"{"region":{"type":"string","x-mcp-header":"Region"},"deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}"#,
        ))
        .unwrap()
        .unwrap();
        let arguments = r#"{"region":"Zürich","deep":{"n":42.0}}"#.as_bytes();
        let headers: HeaderMap = params.of(arguments).into_iter().collect();
        assert_eq!(headers["mcp-param-n"], "42");
        assert!(headers["mcp-param-region"].to_str().unwrap().starts_with("=?base64?"));
        params.check(&headers, arguments).unwrap();
        assert!(params.check(&HeaderMap::new(), arguments).unwrap_err().contains("missing"));
        assert!(
            params.check(&headers, br#"{"region":"Bern","deep":{"n":42}}"#).unwrap_err().contains("differs")
        );
        assert!(params.check(&headers, br#"{"deep":{"n":42}}"#).unwrap_err().contains("counterpart"));
        params.check(&HeaderMap::new(), br#"{"region":null}"#).unwrap();
    }

    #[test]
    fn invalid_annotations_are_refused() {
        for bad in [
            r#"{"a":{"type":"string","x-mcp-header":""}}"#,
            r#"{"a":{"type":"string","x-mcp-header":"a b"}}"#,
            r#"{"a":{"type":"string","x-mcp-header":7}}"#,
            r#"{"a":{"type":"number","x-mcp-header":"A"}}"#,
            r#"{"a":{"type":"object","x-mcp-header":"A"}}"#,
            r#"{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}"#,
            r#"{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}"#,
            r#"{"a":{"oneOf":[{"type":"string","x-mcp-header":"A"}]}}"#,
        ] {
            assert!(ParamHeaders::read(&tool(bad)).is_err(), "{bad}");
        }
        assert_eq!(ParamHeaders::read(&tool(r#"{"a":{"type":"string"}}"#)), Ok(None));
    }

    #[test]
    fn header_values_survive_encoding() {
        for text in ["plain", "", " padded ", "=?base64?x?=", "ä", "line\nbreak", "a\tb"] {
            assert_eq!(decode_header(&encode_header_value(text)).as_deref(), Some(text), "{text:?}");
        }
        assert_eq!(decode_header(&HeaderValue::from_static("=?base64?%%%?=")), None);
    }
}
