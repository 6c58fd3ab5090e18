//! One pass over a value that writes it as JSON, and once more as that JSON looks within a string: there quotes and
//! backslashes stand behind a backslash. Escaping the finished text would read each byte of it again.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// Appends `value` as JSON to `json`, and the same as the content of a JSON string (without its quotes) to `quoted`.
pub(super) fn write(
    value: &impl Serialize,
    json: &mut Vec<u8>,
    quoted: &mut Vec<u8>,
) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(json, Twice { quoted }))
}

/// The writer that Serde hands to each method takes the JSON.
struct Twice<'a> {
    quoted: &'a mut Vec<u8>,
}

impl Twice<'_> {
    /// Appends a piece of JSON, escaped. Of the control characters it can have only the white space between tokens.
    fn quote(&mut self, json: &[u8]) {
        let mut written = 0;
        for (at, byte) in json.iter().enumerate() {
            let escape = match byte {
                b'"' => br#"\""#,
                b'\\' => br"\\",
                b'\n' => br"\n",
                b'\r' => br"\r",
                b'\t' => br"\t",
                _ => continue,
            };
            self.quoted.extend_from_slice(&json[written..at]);
            self.quoted.extend_from_slice(escape);
            written = at + 1;
        }
        self.quoted.extend_from_slice(&json[written..]);
    }
}

/// Methods whose output has nothing to escape.
macro_rules! same_in_both {
    ($($method:ident($($argument:ident: $type:ty)?);)*) => {
        $(fn $method<W: ?Sized + Write>(&mut self, writer: &mut W, $($argument: $type)?) -> io::Result<()> {
            CompactFormatter.$method(self.quoted, $($argument)?)?;
            CompactFormatter.$method(writer, $($argument)?)
        })*
    };
}

impl Formatter for Twice<'_> {
    same_in_both! {
        write_null();
        write_bool(value: bool);
        write_i8(value: i8);
        write_i16(value: i16);
        write_i32(value: i32);
        write_i64(value: i64);
        write_i128(value: i128);
        write_u8(value: u8);
        write_u16(value: u16);
        write_u32(value: u32);
        write_u64(value: u64);
        write_u128(value: u128);
        write_f32(value: f32);
        write_f64(value: f64);
        write_number_str(value: &str);
        write_string_fragment(fragment: &str);
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.quoted.extend(br#"\""#);
        writer.write_all(b"\"")
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.quoted.extend(br#"\""#);
        writer.write_all(b"\"")
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, char: CharEscape) -> io::Result<()> {
        let mut escape = Vec::new();
        CompactFormatter.write_char_escape(&mut escape, char)?;
        self.quote(&escape);
        writer.write_all(&escape)
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        self.quote(fragment.as_bytes());
        writer.write_all(fragment.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Serialize)]
    struct Everything<'a> {
        null: Option<bool>,
        bools: [bool; 2],
        numbers: (i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64),
        texts: Vec<&'a str>,
        raw: &'a RawValue,
        bytes: &'a std::ffi::CStr,
        empty: (Vec<u8>, Inner),
        inner: Inner,
    }

    #[derive(Serialize, Default)]
    struct Inner {
        #[serde(rename = "a \"name\"")]
        named: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
    }

    #[test]
    fn both_are_what_serde_json_writes_in_two_passes() {
        let raw = "{\n\t\"a\":\r [1, \"\\\"\\\\\\u0001é\", 1e400]}";
        let value = Everything {
            null: None,
            bools: [true, false],
            numbers: (-1, -2, -3, i64::MIN, i128::MIN, 1, 2, 3, u64::MAX, u128::MAX, 0.1, 1e300),
            texts: vec!["", "plain", "\"\\/\n\r\t\u{8}\u{c}\u{1}\u{7f}", "é😀"],
            raw: serde_json::from_str(raw).unwrap(),
            bytes: c"\"\\",
            empty: (Vec::new(), Inner::default()),
            inner: Inner { named: 1, left_out: Some(2) },
        };
        let (mut json, mut quoted) = (Vec::new(), Vec::new());
        write(&value, &mut json, &mut quoted).unwrap();
        let expected = serde_json::to_string(&value).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), expected);
        let expected = serde_json::to_string(&expected).unwrap();
        assert_eq!(format!("\"{}\"", String::from_utf8(quoted).unwrap()), expected);
    }
}
