//! Numbers as reports write them.

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// How often something ran. Reports have negative numbers (a counter that overflowed), fractions and nulls in its place:
/// a negative one and null count as never, and a large one stays at the largest that we have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count(pub(super) u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = Count;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
        self.visit_u64(u64::try_from(number).unwrap_or(0))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
        // Saturates, and what is no number is 0.
        Ok(Count(number as u32))
    }

    fn visit_bool<E: Error>(self, ran: bool) -> Result<Count, E> {
        Ok(Count(ran.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Count, E> {
        Ok(Count(0))
    }
}

/// Digits at the beginning of `text`, and what follows them. A number that is too large stays at the largest.
pub(super) fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    let mut at = 0;
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        number = match at {
            // So many nines fit.
            0..19 => number * 10 + u64::from(digit),
            _ => number.saturating_mul(10).saturating_add(digit.into()),
        };
        at += 1;
    }
    (at > 0).then(|| (number, text.get(at..).unwrap_or_default()))
}

/// A whole text as a number of times, by the same rules as [`Count`].
pub(super) fn times(text: &[u8]) -> Option<u32> {
    if let Some((number, [])) = digits(text) {
        return Some(u32::try_from(number).unwrap_or(u32::MAX));
    }
    let number: f64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    Some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_kinds_are_counts() {
        let all: Vec<Count> = serde_json::from_str("[3, -1, 1e3, null, true, 99999999999, 1.9]").unwrap();
        assert_eq!(all.iter().map(|count| count.0).collect::<Vec<_>>(), [3, 0, 1_000, 0, 1, u32::MAX, 1]);
        let text =
            ["7", "-7", "1e+06", "99999999999999999999999", "x", ""].map(|text| times(text.as_bytes()));
        assert_eq!(text, [Some(7), Some(0), Some(1_000_000), Some(u32::MAX), None, None]);
        assert_eq!(digits(b"12,3"), Some((12, &b",3"[..])));
    }
}
