//! A posted object of settings to change: every member is known and taken at most once, or the whole is refused.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::Refused;

/// Longest time that a setting may have: a day, in milliseconds.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1_000;

/// The members that are not taken yet.
#[derive(Debug)]
pub(super) struct Changes(Map<String, Value>);

impl Changes {
    /// Reads a body that may hold the members in `known` and no others, and must hold one.
    pub(super) fn read(body: &Bytes, known: &[&str]) -> Result<Self, Refused> {
        let shape = |what: &str| {
            Refused::bad(format!("the body must be a JSON object with some of {}{what}", known.join(", ")))
        };
        let members: Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| shape(&format!(": {error}")))?;
        if let Some(other) = members.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(shape(&format!("; found {other:?}")));
        }
        if members.is_empty() {
            return Err(shape("; it is empty"));
        }
        Ok(Self(members))
    }

    /// Takes a whole number.
    pub(super) fn number(&mut self, key: &str, least: u32, most: u32) -> Result<Option<u32>, Refused> {
        self.whole(key, u64::from(least), u64::from(most), "")
            .map(|found| found.and_then(|number| u32::try_from(number).ok()))
    }

    /// Takes a time in milliseconds.
    pub(super) fn millis(&mut self, key: &str) -> Result<Option<Duration>, Refused> {
        Ok(self.whole(key, 1, LONGEST_MS, " of milliseconds")?.map(Duration::from_millis))
    }

    fn whole(&mut self, key: &str, least: u64, most: u64, unit: &str) -> Result<Option<u64>, Refused> {
        let Some(value) = self.0.remove(key) else { return Ok(None) };
        // `300000.0`, as durations are shown, is a whole number too.
        let whole = |real: f64| (real.fract() == 0.0 && real >= 0.0).then_some(real as u64);
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        let number = number.filter(|number| (least..=most).contains(number));
        let wrong = || {
            Refused::bad(format!("{key:?} must be a whole number{unit} from {least} to {most}, not {value}"))
        };
        number.ok_or_else(wrong).map(Some)
    }

    /// Takes a number with a fraction.
    pub(super) fn real(&mut self, key: &str) -> Result<Option<f64>, Refused> {
        let Some(value) = self.0.remove(key) else { return Ok(None) };
        let wrong = || Refused::bad(format!("{key:?} must be a number, not {value}"));
        value.as_f64().ok_or_else(wrong).map(Some)
    }

    /// Takes a text.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Refused> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(Refused::bad(format!("{key:?} must be a string, not {value}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static str) -> Result<Changes, Refused> {
        Changes::read(&Bytes::from_static(body.as_bytes()), &["max", "wait_ms", "name", "share"])
    }

    #[test]
    fn what_is_given_is_taken_and_the_rest_is_absent() {
        let mut changes = read(r#"{"max": 7, "wait_ms": 250, "name": "a", "share": 1}"#).unwrap();
        assert_eq!(changes.number("max", 1, 9).unwrap(), Some(7));
        assert_eq!(changes.millis("wait_ms").unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(changes.text("name").unwrap().as_deref(), Some("a"));
        assert_eq!(changes.real("share").unwrap(), Some(1.0));
        assert_eq!(changes.number("max", 1, 9).unwrap(), None);
    }

    #[test]
    fn settings_may_be_given_as_they_are_shown() {
        let mut changes = read(r#"{"wait_ms": 300000.0, "max": 7.5}"#).unwrap();
        assert_eq!(changes.millis("wait_ms").unwrap(), Some(Duration::from_secs(300)));
        assert!(changes.number("max", 1, 9).unwrap_err().message.contains("not 7.5"));
    }

    #[test]
    fn a_body_that_says_nothing_or_something_unknown_is_refused() {
        for (body, why) in [
            ("", "EOF"),
            ("{}", "it is empty"),
            ("[1]", "invalid type"),
            (r#"{"maxx": 1}"#, r#"some of max, wait_ms, name, share; found "maxx""#),
        ] {
            let error = read(body).unwrap_err().message;
            assert!(error.contains(why), "{body}: {error}");
        }
    }

    #[test]
    fn a_value_beyond_its_bounds_or_of_another_type_is_named() {
        for value in ["0", "10", "1.5", "-1", "null", "\"1\"", "1e30"] {
            let body = Bytes::from(format!(r#"{{"max": {value}, "wait_ms": {value}}}"#));
            let mut changes = Changes::read(&body, &["max", "wait_ms"]).unwrap();
            let error = changes.number("max", 1, 9).unwrap_err().message;
            assert!(error.starts_with("\"max\" must be a whole number from 1 to 9, not"), "{error}");
        }
        let mut changes = read(r#"{"wait_ms": 86400001, "name": 1, "share": "x"}"#).unwrap();
        let error = changes.millis("wait_ms").unwrap_err().message;
        assert!(error.contains("milliseconds from 1 to 86400000, not 86400001"), "{error}");
        assert!(changes.text("name").is_err() && changes.real("share").is_err());
    }
}
