//! Numbers read from JSON to the last bit: `serde_json` by itself may miss it.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    option(deserializer)?.ok_or_else(|| D::Error::custom("a number is missing"))
}

pub(crate) fn option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let raw: &RawValue = Deserialize::deserialize(deserializer)?;
    if raw.get() == "null" {
        return Ok(None);
    }
    let number: f64 = raw.get().parse().map_err(|_| D::Error::custom("this is no number"))?;
    if number.is_finite() { Ok(Some(number)) } else { Err(D::Error::custom("this number is too large")) }
}
