use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn canonical(json: &str) -> String {
    let mut out = Vec::new();
    canonicalize(json.as_bytes(), &mut out).unwrap_or_else(|error| panic!("{json}: {error}"));
    String::from_utf8(out).unwrap()
}

/// RFC 8785, sections 3.2.2 to 3.2.4.
#[test]
fn the_examples_of_the_rfc_come_out_as_it_says() {
    let text = r#"{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"#;
    // The first number has one digit more than a double holds; the RFC's form of it would be that of another text.
    let expected = r#"{"literals":[null,true,false],"numbers":[333333333.33333329,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(canonical(text), expected);
    let sorted = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
        "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let names = ["\\r", "1", "\u{80}", "ö", "€", "😀", "\u{fb33}"];
    let canonical = canonical(sorted);
    let places: Vec<usize> =
        names.iter().map(|name| canonical.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{canonical}");
}

/// RFC 8785, appendix B, as far as the numbers are written with the digits that it names.
#[test]
fn numbers_are_written_as_ecmascript_does() {
    for (text, expected) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0e5", "0"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740992", "-9007199254740992"),
        ("295147905179352830000", "295147905179352830000"),
        ("1e+21", "1e+21"),
        ("999999999999999900000", "999999999999999900000"),
        ("1E-6", "0.000001"),
        ("0.0000001", "1e-7"),
        ("1.0", "1"),
        ("100e-2", "1"),
        ("12.50", "12.5"),
        ("1424953923781206.2", "1424953923781206.2"),
        ("1e400", "1e+400"),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn numbers_that_no_double_holds_stay_different() {
    for (one, other) in [
        ("9007199254740993", "9007199254740992"),
        ("123456789012345678901234567890", "123456789012345678901234567891"),
        ("0.1", "0.1000000000000000055511151231257827"),
        ("1e400", "1e401"),
        ("1e99999999999999999999", "1e99999999999999999998"),
        ("-1e-99999999999999999999", "1e-99999999999999999999"),
    ] {
        assert_ne!(canonical(one), canonical(other));
    }
}

#[test]
fn a_lone_surrogate_is_no_replacement_character() {
    let all =
        [r#""\ud800""#, r#""\udbff""#, r#""\udc00""#, r#""\ufffd""#, r#""\\ud800""#, r#""\ud800\ud800""#];
    let forms: Vec<String> = all.iter().map(|text| canonical(text)).collect();
    for (at, form) in forms.iter().enumerate() {
        assert!(!forms[..at].contains(form), "{form}");
    }
    assert_eq!(canonical(r#""\uD83D\uDE00\uD83D""#), "\"😀\\ud83d\"");
}

#[test]
fn members_of_one_name_keep_their_order() {
    assert_eq!(canonical(r#"{"b":0,"a":1,"\u0061":2}"#), r#"{"a":1,"a":2,"b":0}"#);
    assert_ne!(canonical(r#"{"a":1,"a":2}"#), canonical(r#"{"a":2,"a":1}"#));
}

#[test]
fn what_is_no_json_is_refused_and_nothing_overflows() {
    for text in [
        "",
        "{",
        "[1",
        "{\"a\"}",
        "\"",
        "\"\\",
        "\"\\u12\"",
        "1 2",
        "tru",
        "-",
        "1e",
        ".5",
        "{\"a\":1,}",
        "1-2",
        "\"\\x\"",
    ] {
        assert_eq!(canonicalize(text.as_bytes(), &mut Vec::new()), Err(NotCanonical), "{text}");
    }
    assert_eq!(canonicalize(&vec![b'['; 100_000], &mut Vec::new()), Err(NotCanonical));
}

/// JSON values that no writer can get wrong by rounding.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,3}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The same value as another text: members in reverse, white space, every character of a string escaped.
fn respelled(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let members: Vec<String> = map
                .iter()
                .rev()
                .map(|(name, value)| format!(" {} :\n{}", escaped(name), respelled(value)))
                .collect();
            format!("{{ {}\t}}", members.join(" ,"))
        }
        Value::Array(items) => {
            format!("[\r{} ]", items.iter().map(respelled).collect::<Vec<_>>().join(" , "))
        }
        Value::String(text) => escaped(text),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(double) => format!("{double:E}"),
            None => format!("{number}.000e+0"),
        },
        other => other.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    format!("\"{}\"", units.concat())
}

proptest! {
    #[test]
    fn spelling_does_not_count(value in json()) {
        prop_assert_eq!(canonical(&respelled(&value)), canonical(&value.to_string()));
    }

    #[test]
    fn the_form_is_its_own_form(value in json()) {
        let form = canonical(&value.to_string());
        prop_assert_eq!(canonical(&form), form);
    }

    #[test]
    fn a_double_is_read_back_as_itself(double in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
        // The shortest digits in another notation than the one that is written.
        for text in [format!("{double:e}"), format!("{double}"), Value::from(double).to_string()] {
            prop_assert_eq!(canonical(&text).parse::<f64>(), Ok(double));
        }
    }

    #[test]
    fn whatever_differs_stays_different(one in json(), other in json()) {
        prop_assume!(one != other);
        let numbers_apart = canonical(&one.to_string()) != canonical(&other.to_string());
        // 1.0 and 1 are one number to RFC 8785 and two to serde_json.
        prop_assert!(numbers_apart || one.to_string().replace(".0", "") == other.to_string().replace(".0", ""));
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"[\[\]{}",:0-9a-e\\u\-+.eE \n]{0,40}"#) {
        let _ = canonicalize(text.as_bytes(), &mut Vec::new());
    }
}
