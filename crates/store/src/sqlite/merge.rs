//! Shallow merge of two JSON objects, every member's text as it was.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::StoreError;

/// `stored` with the members of `new` in place of its own of the same name, further ones behind.
pub(super) fn merge(stored: &str, new: &str) -> Result<String, StoreError> {
    let stored = members(stored).ok_or(StoreError::NotMergeable { which: "stored" })?;
    let new = members(new).ok_or(StoreError::NotMergeable { which: "new" })?;
    let mut place: HashMap<String, usize> = HashMap::new();
    let mut merged: Vec<(&str, &str)> = Vec::with_capacity(stored.len() + new.len());
    for (name, value) in stored.into_iter().chain(new) {
        let at = *place.entry(decoded(name)).or_insert(merged.len());
        match merged.get_mut(at) {
            Some(member) => member.1 = value,
            None => merged.push((name, value)),
        }
    }
    let mut text =
        String::with_capacity(2 + merged.iter().map(|(n, v)| n.len() + v.len() + 2).sum::<usize>());
    for (name, value) in merged {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(name);
        text.push(':');
        text.push_str(value);
    }
    if text.is_empty() {
        text.push('{');
    }
    text.push('}');
    Ok(text)
}

/// What a member's name means: `"\u0061"` and `"a"` are one. A name that is no Unicode text (a lone
/// surrogate) means itself.
fn decoded(name: &str) -> String {
    serde_json::from_str(name).unwrap_or_else(|_| name.to_owned())
}

fn members(object: &str) -> Option<Vec<(&str, &str)>> {
    serde_json::from_str::<Members<'_>>(object).ok().map(|members| members.0)
}

/// An object's members in order, each as the raw text of its name and value.
struct Members<'a>(Vec<(&'a str, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(&'de str, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.push((name.get(), value.get()));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_text_and_their_place() {
        let merged = merge(r#"{"a": 1.50, "b":{"x":1},"c":null}"#, r#"{"b":{"y":1e400},"\u0061":2,"d":""}"#);
        assert_eq!(merged.unwrap(), r#"{"a":2,"b":{"y":1e400},"c":null,"d":""}"#);
    }

    #[test]
    fn empty_objects_merge() {
        assert_eq!(merge("{}", " { } ").unwrap(), "{}");
        assert_eq!(merge("{}", r#"{"a":1}"#).unwrap(), r#"{"a":1}"#);
    }

    #[test]
    fn names_that_are_no_unicode_text_are_kept() {
        assert_eq!(
            merge(r#"{"\ud800":1}"#, r#"{"\ud800":2,"\ud801":3}"#).unwrap(),
            r#"{"\ud800":2,"\ud801":3}"#
        );
    }

    #[test]
    fn only_objects_merge() {
        for other in ["[]", "1", "null", r#""{}""#] {
            assert_eq!(merge("{}", other), Err(StoreError::NotMergeable { which: "new" }));
            assert_eq!(merge(other, "{}"), Err(StoreError::NotMergeable { which: "stored" }));
        }
    }
}
