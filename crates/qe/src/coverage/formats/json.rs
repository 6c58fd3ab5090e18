//! JSON, as reports have it: large objects whose members are kept in order and borrow their names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::count::Count;
use super::{Draft, ReadError};
use crate::arguments::Text;

/// Reads a whole report.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8], draft: &Draft<'_>) -> Result<T, ReadError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| {
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        draft.broken(format!("line {}, column {}", error.line(), error.column()), message)
    })
}

/// An object's members in their order.
#[derive(Debug)]
pub(super) struct Members<'a, T>(pub(super) Vec<(Cow<'a, str>, T)>);

impl<T> Default for Members<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, T> Members<'a, T> {
    /// Each member with the one of the same name in `others`, which mostly is at the same place.
    pub(super) fn with<'b, U>(&'b self, others: &'b Members<'a, U>) -> Vec<(&'b T, Option<&'b U>)> {
        let names_are_equal = self.0.len() == others.0.len()
            && self.0.iter().zip(&others.0).all(|((name, _), (other, _))| name == other);
        if names_are_equal {
            return self.0.iter().zip(&others.0).map(|((_, one), (_, other))| (one, Some(other))).collect();
        }
        let by_name: HashMap<&str, &U> = others.0.iter().map(|(name, other)| (&**name, other)).collect();
        self.0.iter().map(|(name, one)| (one, by_name.get(&**name).copied())).collect()
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Members<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

struct MembersVisitor<'a, T>(PhantomData<(&'a (), T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for MembersVisitor<'a, T> {
    type Value = Members<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = Vec::new();
        while let Some((Text(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// The first numbers of an array of numbers and truth values (as 1 and 0); 0 where it is shorter.
#[derive(Debug)]
pub(super) struct Leading<const N: usize>(pub(super) [u32; N]);

impl<'de, const N: usize> Deserialize<'de> for Leading<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LeadingVisitor)
    }
}

struct LeadingVisitor<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for LeadingVisitor<N> {
    type Value = Leading<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Leading<N>, S::Error> {
        let mut leading = [0; N];
        for number in &mut leading {
            match seq.next_element::<Count>()? {
                Some(Count(next)) => *number = next,
                None => return Ok(Leading(leading)),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Leading(leading))
    }
}
