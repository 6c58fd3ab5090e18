//! Figures of the server's document as people read them. What is not known is a dash, never a nought.

use serde_json::Value;

use crate::cli::output::{self, printable};

/// What stands for a figure that is not known.
pub(super) const UNKNOWN: &str = "–";

fn known(value: &Value, show: impl FnOnce(f64) -> String) -> String {
    value.as_f64().filter(|number| number.is_finite()).map_or_else(|| UNKNOWN.into(), show)
}

/// A text of somebody else's, on one line and without what a terminal would obey.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => UNKNOWN.into(),
        Value::String(text) => line(text),
        other => line(&other.to_string()),
    }
}

/// A text of somebody else's, on one line and without what a terminal would obey.
pub(super) fn line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// A whole number, digit by digit.
pub(super) fn count(value: &Value) -> String {
    value.as_u64().map_or_else(|| known(value, |number| format!("{number:.0}")), |number| number.to_string())
}

/// A number in at most five characters: `950`, `12.3k`, `4.1M`.
pub(super) fn short(value: &Value) -> String {
    // Four digits are as short as they would be with a unit.
    const UNITS: [(&str, f64, f64); 3] = [("G", 1e9, 1e9), ("M", 1e6, 1e6), ("k", 1e3, 1e4)];
    known(value, |number| match UNITS.iter().find(|(_, _, from)| number >= *from) {
        None => format!("{number:.0}"),
        Some((unit, size, _)) if number / size < 99.95 => format!("{:.1}{unit}", number / size),
        Some((unit, size, _)) => format!("{:.0}{unit}", number / size),
    })
}

/// A measured number with about three figures.
fn figures(number: f64) -> String {
    match number {
        number if number > 0.0 && number < 0.005 => "<0.01".into(),
        number if number < 9.995 => format!("{number:.2}"),
        number if number < 99.95 => format!("{number:.1}"),
        number => format!("{number:.0}"),
    }
}

/// A number whose unit is not known here.
pub(super) fn number(value: &Value) -> String {
    known(value, |number| if number.fract() == 0.0 { format!("{number:.0}") } else { figures(number) })
}

/// Per second.
pub(super) fn rate(value: &Value) -> String {
    known(value, |number| format!("{}/s", if number == 0.0 { "0".into() } else { figures(number) }))
}

/// Milliseconds, as a time in the unit that reads best.
pub(super) fn millis(value: &Value) -> String {
    known(value, |ms| match ms {
        ms if ms < 999.5 => format!("{} ms", figures(ms)),
        ms if ms < 120_000.0 => format!("{} s", figures(ms / 1e3)),
        ms => span(ms),
    })
}

/// Milliseconds, as a span of time for which seconds are exact enough: `42 s`, `3 min 20 s`, `5 h 12 min`, `3 d 4 h`.
pub(super) fn lasting(value: &Value) -> String {
    known(value, span)
}

fn span(ms: f64) -> String {
    let seconds = (ms / 1e3).max(0.0) as u64;
    let two = |large: u64, unit: &str, small: u64, part: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {part}") }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A share from 0 to 1.
pub(super) fn percent(value: &Value) -> String {
    known(value, |share| match share * 100.0 {
        0.0 => "0 %".into(),
        percent if percent < 0.05 => "<0.1 %".into(),
        // What is not all must not read as all.
        percent if percent < 100.0 => format!("{:.1} %", percent.min(99.9)),
        percent => format!("{percent:.0} %"),
    })
}

/// A number that is a percentage already.
pub(super) fn of_hundred(value: &Value) -> String {
    known(value, |number| format!("{number:.1} %"))
}

/// A number of bytes.
pub(super) fn bytes(value: &Value) -> String {
    known(value, |number| output::bytes(number.max(0.0) as u64))
}

/// The counts of an object that are not nought, the greatest first: `timeout 3, tool_error 1`.
pub(super) fn counts(value: &Value) -> String {
    let mut counts: Vec<(&String, u64)> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, count)| Some((name, count.as_u64().filter(|count| *count > 0)?)))
        .collect();
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
    let counts: Vec<String> =
        counts.into_iter().map(|(name, count)| format!("{} {count}", line(name))).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash_and_never_nought() {
        for show in [text, count, short, rate, millis, lasting, percent, of_hundred, bytes] {
            assert_eq!(show(&Value::Null), "–");
            assert_eq!(show(&json!({ "p50": 1 })["p95"]), "–");
        }
        for show in [count, short, rate, millis, lasting, percent, of_hundred, bytes] {
            assert_eq!(show(&json!("12")), "–");
            assert_ne!(show(&json!(0)), "–");
        }
        assert_eq!(counts(&Value::Null), "");
    }

    #[test]
    fn figures_have_the_digits_that_a_reader_needs() {
        let of = |show: fn(&Value) -> String, numbers: &[f64]| -> Vec<String> {
            numbers.iter().map(|number| show(&json!(number))).collect()
        };
        assert_eq!(
            of(millis, &[0.0, 0.001, 0.05, 9.999, 12.34, 999.4, 1_234.0, 200_000.0]),
            ["0.00 ms", "<0.01 ms", "0.05 ms", "10.0 ms", "12.3 ms", "999 ms", "1.23 s", "3 min 20 s"]
        );
        assert_eq!(
            of(lasting, &[0.0, 59_999.0, 60_000.0, 200_000.0, 18_720_000.0, 273_600_000.0]),
            ["0 s", "59 s", "1 min", "3 min 20 s", "5 h 12 min", "3 d 4 h"]
        );
        assert_eq!(
            of(short, &[0.0, 950.0, 9_999.0, 12_345.0, 999_400.0, 4_120_000.0, 2.5e9]),
            ["0", "950", "9999", "12.3k", "999k", "4.1M", "2.5G"]
        );
        assert_eq!(of(rate, &[0.0, 0.004, 2.051, 31_234.4]), ["0/s", "<0.01/s", "2.05/s", "31234/s"]);
        assert_eq!(
            of(percent, &[0.0, 0.0001, 0.0244, 0.9999, 1.0]),
            ["0 %", "<0.1 %", "2.4 %", "99.9 %", "100 %"]
        );
        assert_eq!((count(&json!(1_234_567)), bytes(&json!(2048.0))), ("1234567".into(), "2.0 KiB".into()));
    }

    #[test]
    fn kinds_of_errors_come_with_the_most_frequent_first() {
        assert_eq!(counts(&json!({ "a": 1, "timeout": 3, "none": 0, "b": 1 })), "timeout 3, a 1, b 1");
    }

    #[test]
    fn texts_of_others_stay_on_their_line() {
        assert_eq!(text(&json!("a\nb\u{1b}[2J\tc")), "a b\u{fffd}[2J c");
        assert_eq!(text(&json!(12)), "12");
    }
}
