//! What holds for `PushScanner` and `Transit`, whatever the bytes and however they are cut: they take what the scan of the
//! whole takes, and make of it what edits of the whole make of it.

use aqe_core::envelope::{
    Change, Field, Kind, Limits, Message, PushScanner, ResultType, Scanner, Transit, answers_to, line_safe,
};
use bytes::{Bytes, BytesMut};

use super::chunks::Chunks;

const DEPTH: u16 = 128;
const MEMBERS: &str = r#""resultType":"complete""#;

/// Checks every promise on one input: a byte for the chunks and for what is changed, and the text.
pub(crate) fn check(input: &[u8]) {
    let [seed, text @ ..] = input else { return };
    let is_json = whole(text);
    assert_eq!(pieces(Chunks::new(text, *seed)), is_json);
    assert_eq!(pieces(text.chunks(1)), is_json);

    let message = Message::parse(Bytes::copy_from_slice(text), limits()).ok();
    let id = message.as_ref().and_then(Message::id).and_then(|id| id.trim_matches('"').parse().ok());
    let from = id.unwrap_or(7);
    for result_type in [ResultType::Keep, ResultType::Remove, ResultType::Require(MEMBERS)] {
        let change = Change { from, to: "\"c\"", result_type };
        let passed = passed(change, Chunks::new(text, *seed));
        assert_eq!(passed, self::passed(change, text.chunks(1)), "it depends on the chunks");
        let expected = message.as_ref().and_then(|message| edited(message, change));
        match (&passed, &expected) {
            (None, None) => {}
            (Some(passed), Some(expected)) => assert_eq!(bare(passed), bare(expected)),
            _ => panic!("{result_type:?}: {passed:?} in place of {expected:?}"),
        }
    }
}

fn limits() -> Limits {
    Limits { max_depth: DEPTH, ..Limits::default() }
}

fn whole(text: &[u8]) -> bool {
    let scan = || {
        let mut scanner = Scanner::new(text, DEPTH)?;
        scanner.value()?;
        scanner.end()
    };
    scan().is_ok()
}

fn pieces<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut scanner = PushScanner::new(DEPTH);
    pieces.all(|piece| scanner.push(piece).is_ok()) && scanner.finish().is_ok()
}

fn passed<'a>(change: Change<'_>, pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut transit = Transit::new(change, DEPTH);
    let mut out = Vec::new();
    for piece in pieces {
        transit.push(BytesMut::from(piece), |part| out.extend_from_slice(&part)).ok()?;
    }
    assert!(!whole(&out), "what has been passed on is whole before its end");
    out.extend_from_slice(&transit.finish().ok()?);
    assert!(whole(&out) && !out.contains(&b'\n') && !out.contains(&b'\r'));
    Some(out)
}

fn edited(message: &Message, change: Change<'_>) -> Option<Vec<u8>> {
    if message.kind() != Kind::Response || !answers_to(message.id()?, change.from) {
        return None;
    }
    let mut edits = message.edit();
    edits.replace(message.id_span(), change.to.as_bytes());
    let result_type = message.span(Field::ResultType);
    match change.result_type {
        ResultType::Remove if message.raw(Field::ResultType) == Some("\"input_required\"") => return None,
        ResultType::Remove if !result_type.is_empty() => {
            edits.remove_member(result_type);
        }
        _ => {}
    }
    let text = line_safe(edits.apply());
    let ResultType::Require(members) = change.result_type else { return Some(text) };
    if !result_type.is_empty() {
        return Some(text);
    }
    // What is added to a text in pieces is added behind all else.
    let message = Message::parse(text.into(), limits()).ok()?;
    let end = message.body_span().end as usize - 1;
    let (before, after) = message.bytes().split_at(end);
    let comma: &[u8] = if before.trim_ascii_end().ends_with(b"{") { b"" } else { b"," };
    Some([before, comma, members.as_bytes(), after].concat())
}

/// A JSON text without the white space between its tokens.
fn bare(text: &[u8]) -> String {
    let mut in_string = false;
    let mut escaped = false;
    let mut is_kept = |byte: &u8| {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            return true;
        }
        in_string = *byte == b'"';
        !byte.is_ascii_whitespace()
    };
    String::from_utf8(text.iter().copied().filter(|byte| is_kept(byte)).collect()).unwrap()
}
