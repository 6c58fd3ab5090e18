//! The result that is kept, and the reply that is made of it.
//!
//! A result is scanned once, when it comes. A reply is then the kept bytes with three things written between them: the
//! client's id, how long the result may still be kept (`ttlMs`), and a mark in `_meta`. Everything else is as the
//! server wrote it.

use bytes::Bytes;

use super::question::Scope;
use crate::envelope::{MAX_FRAGMENT_DEPTH, Scanner, Span, decode_quoted};

/// The member of `_meta` that says where a reply comes from.
pub const MARK: &str = "aqe-v3/cache";

/// A run of bytes up to this length is copied into a reply: that costs less than writing it as a part of its own.
const COPIED_BYTES: usize = 16 * 1024;

/// A result as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The result, a JSON object.
    bytes: Bytes,
    /// Where the mark goes; not empty where there is one already.
    mark: Span,
    /// What goes before and after it.
    around: (&'static str, &'static str),
    /// Where the value of `ttlMs` stands; empty if there is none.
    ttl: Span,
    /// `ttlMs`, milliseconds.
    pub ttl_ms: Option<u64>,
    /// `cacheScope`.
    pub scope: Option<Scope>,
    /// `isError` is true.
    pub is_error: bool,
    /// It answers the question: it asks for no input and is no task that will.
    pub is_final: bool,
}

/// What a reply says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// Where it was found, as in [`Level::as_str`](super::Level::as_str).
    pub level: &'static str,
    /// How long ago the server gave the answer, milliseconds.
    pub age_ms: u64,
    /// It is no longer fresh.
    pub stale: bool,
}

#[derive(Default)]
struct Scan {
    meta: Span,
    meta_is_empty: bool,
    mark: Span,
    ttl: Span,
    scope: Span,
    twice: bool,
    is_error: bool,
    unfinished: bool,
}

impl Scan {
    fn once(slot: &mut Span, span: Span, twice: &mut bool) {
        *twice |= !slot.is_empty();
        *slot = span;
    }

    fn member(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &[u8],
        text: &[u8],
    ) -> Result<(), crate::envelope::ScanError> {
        if key == b"_meta" && scanner.peek() == Some(b'{') {
            self.meta_is_empty = true;
            let (mark, twice, empty) = (&mut self.mark, &mut self.twice, &mut self.meta_is_empty);
            let span = scanner.object(|scanner, key| {
                *empty = false;
                let value = scanner.value()?;
                if key == MARK.as_bytes() {
                    Self::once(mark, value, twice);
                }
                Ok(())
            })?;
            Self::once(&mut self.meta, span, &mut self.twice);
            return Ok(());
        }
        let value = scanner.value()?;
        match key {
            // No object: nothing can be added to it.
            b"_meta" => self.twice = true,
            b"ttlMs" => Self::once(&mut self.ttl, value, &mut self.twice),
            b"cacheScope" => Self::once(&mut self.scope, value, &mut self.twice),
            b"isError" => self.is_error |= value.of(text) == b"true",
            b"resultType" => self.unfinished |= value.of(text) != b"\"complete\"",
            b"task" | b"taskId" | b"inputRequests" | b"requestState" => self.unfinished = true,
            _ => {}
        }
        Ok(())
    }
}

/// The result of a JSON-RPC response, sharing its memory; `None` for an error, or what is no response.
pub fn result_of(response: &Bytes) -> Option<Bytes> {
    let mut scanner = Scanner::new(response, MAX_FRAGMENT_DEPTH).ok()?;
    let mut result = None;
    scanner
        .object(|scanner, key| {
            let span = scanner.value()?;
            if key == b"result" {
                result = Some(span);
            }
            Ok(())
        })
        .ok()?;
    let span = result?;
    Some(response.slice(span.start as usize..span.end as usize))
}

impl Body {
    /// Reads a result. `None` if it is no object, or holds a member twice that counts here.
    pub fn read(result: Bytes) -> Option<Self> {
        let mut scan = Scan::default();
        let mut scanner = Scanner::new(&result, MAX_FRAGMENT_DEPTH).ok()?;
        let mut is_empty = true;
        let whole = scanner
            .object(|scanner, key| {
                is_empty = false;
                scan.member(scanner, key, &result)
            })
            .ok()?;
        scanner.end().ok()?;
        if scan.twice {
            return None;
        }
        let at = |start: u32| Span { start, end: start };
        let (mark, around) = match (scan.mark.is_empty(), scan.meta.is_empty()) {
            (false, _) => (scan.mark, ("", "")),
            (true, false) if scan.meta_is_empty => (at(scan.meta.start + 1), (r#""aqe-v3/cache":"#, "")),
            (true, false) => (at(scan.meta.start + 1), (r#""aqe-v3/cache":"#, ",")),
            (true, true) if is_empty => (at(whole.start + 1), (r#""_meta":{"aqe-v3/cache":"#, "}")),
            (true, true) => (at(whole.start + 1), (r#""_meta":{"aqe-v3/cache":"#, "},")),
        };
        let text = |span: Span| decode_quoted(span.of(&result));
        let scope = match text(scan.scope).as_deref() {
            Some("public") => Some(Scope::Public),
            Some("private") => Some(Scope::Private),
            _ => None,
        };
        let ttl_ms = std::str::from_utf8(scan.ttl.of(&result)).ok().and_then(whole_number);
        Some(Self {
            mark,
            around,
            // One that says nothing stays as it is.
            ttl: if ttl_ms.is_some() { scan.ttl } else { Span::default() },
            ttl_ms,
            scope,
            is_error: scan.is_error,
            is_final: !scan.unfinished,
            bytes: result,
        })
    }

    /// The result as it was read.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The response to the request `id` (raw JSON), in parts that are written one after the other.
    pub fn reply(&self, id: &str, note: Note) -> [Bytes; 3] {
        let Note { level, age_ms, stale } = note;
        let stale = if stale { r#","stale":true"# } else { "" };
        let (before, after) = self.around;
        let mark = format!(r#"{before}{{"level":"{level}","ageMs":{age_ms}{stale}}}{after}"#);
        let left = self.ttl_ms.map(|ttl| ttl.saturating_sub(age_ms).to_string()).unwrap_or_default();
        let holes = if self.ttl.is_empty() {
            [(self.mark, mark.as_str()), (Span { start: self.len(), end: self.len() }, "")]
        } else if self.ttl.start < self.mark.start {
            [(self.ttl, left.as_str()), (self.mark, mark.as_str())]
        } else {
            [(self.mark, mark.as_str()), (self.ttl, left.as_str())]
        };
        let kept = [(0, holes[0].0.start), (holes[0].0.end, holes[1].0.start), (holes[1].0.end, self.len())]
            .map(|(start, end)| start as usize..end as usize);
        let longest = kept.iter().max_by_key(|range| range.len()).filter(|range| range.len() > COPIED_BYTES);
        let mut parts: [Vec<u8>; 2] = Default::default();
        let copied = self.bytes.len() - longest.map_or(0, ExactSizeIterator::len);
        parts[0].reserve_exact(copied + id.len() + mark.len() + left.len() + 64);
        let mut whole = Bytes::new();
        let mut current = 0;
        for piece in [r#"{"jsonrpc":"2.0","id":"#, id, r#","result":"#] {
            parts[0].extend_from_slice(piece.as_bytes());
        }
        for (at, range) in kept.iter().enumerate() {
            if longest == Some(range) {
                whole = self.bytes.slice(range.clone());
                current = 1;
            } else {
                parts[current].extend_from_slice(&self.bytes[range.clone()]);
            }
            let written = holes.get(at).map_or("", |(_, text)| text);
            parts[current].extend_from_slice(written.as_bytes());
        }
        parts[current].push(b'}');
        let [first, last] = parts;
        [first.into(), whole, last.into()]
    }

    fn len(&self) -> u32 {
        // A scanned text is shorter than 4 GiB.
        self.bytes.len() as u32
    }
}

/// A whole number from 0 on, however it is spelt; one that is too large is as large as can be. `None` for anything
/// else: what is not understood is not relied on.
fn whole_number(text: &str) -> Option<u64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    // As `as` does: what is beyond is the bound.
    text.parse().ok().filter(|number: &f64| *number >= 0.0).map(|number| number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn body(text: &str) -> Body {
        Body::read(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_else(|| panic!("{text}"))
    }

    fn reply(body: &Body, note: Note) -> String {
        String::from_utf8(body.reply("\"id\"", note).concat()).unwrap()
    }

    const NOTE: Note = Note { level: "l2", age_ms: 250, stale: false };

    #[test]
    fn only_the_mark_and_the_remaining_time_are_written_anew() {
        for (text, expected) in [
            ("{}", r#"{"_meta":{"aqe-v3/cache":{"level":"l2","ageMs":250}}}"#),
            (r#"{"a":1e400}"#, r#"{"_meta":{"aqe-v3/cache":{"level":"l2","ageMs":250}},"a":1e400}"#),
            (r#"{"_meta":{},"a":1}"#, r#"{"_meta":{"aqe-v3/cache":{"level":"l2","ageMs":250}},"a":1}"#),
            (
                r#"{"a":1, "_meta": {"b":2}}"#,
                r#"{"a":1, "_meta": {"aqe-v3/cache":{"level":"l2","ageMs":250},"b":2}}"#,
            ),
            (
                r#"{"ttlMs": 1000 ,"z":1}"#,
                r#"{"_meta":{"aqe-v3/cache":{"level":"l2","ageMs":250}},"ttlMs": 750 ,"z":1}"#,
            ),
            (
                r#"{"ttlMs":100,"_meta":{"aqe-v3/cache":{"level":"l3"},"c":1}}"#,
                r#"{"ttlMs":0,"_meta":{"aqe-v3/cache":{"level":"l2","ageMs":250},"c":1}}"#,
            ),
        ] {
            let whole = format!(r#"{{"jsonrpc":"2.0","id":"id","result":{expected}}}"#);
            assert_eq!(reply(&body(text), NOTE), whole, "{text}");
        }
        let stale = reply(&body("{}"), Note { stale: true, ..NOTE });
        assert!(stale.contains(r#""ageMs":250,"stale":true}"#), "{stale}");
    }

    #[test]
    fn a_long_result_is_written_without_being_copied() {
        let long = "x".repeat(COPIED_BYTES + 1);
        for text in [
            format!(r#"{{"a":"{long}","ttlMs":1000,"b":1}}"#),
            format!(r#"{{"ttlMs":1000,"a":"{long}"}}"#),
            format!(r#"{{"_meta":{{"k":0}},"ttlMs":1000,"a":"{long}"}}"#),
            format!(r#"{{"a":"{long}","_meta":{{"k":0}}}}"#),
        ] {
            let body = body(&text);
            let parts = body.reply("1", NOTE);
            assert!(parts[1].len() > COPIED_BYTES && parts[0].len() + parts[2].len() < 200);
            let (from, to) = (body.bytes.as_ptr_range(), parts[1].as_ptr());
            assert!(from.contains(&to), "it was copied");
            let mut whole: Value = serde_json::from_slice(&parts.concat()).unwrap();
            let mark = whole["result"]["_meta"].as_object_mut().unwrap().remove(MARK).unwrap();
            assert_eq!(mark, json!({"level":"l2","ageMs":250}));
        }
    }

    #[test]
    fn a_result_tells_how_long_it_may_be_kept_for_whom_and_whether_it_is_one() {
        for (text, ttl, scope, is_error, is_final) in [
            (
                r#"{"resultType":"complete","ttlMs":5,"cacheScope":"public"}"#,
                Some(5),
                Some(Scope::Public),
                false,
                true,
            ),
            (
                r#"{"ttlMs":5.0,"cacheScope":"private","isError":false}"#,
                Some(5),
                Some(Scope::Private),
                false,
                true,
            ),
            (r#"{"ttlMs":1e99,"isError":true}"#, Some(u64::MAX), None, true, true),
            (r#"{"ttlMs":-1,"cacheScope":"all"}"#, None, None, false, true),
            (r#"{"ttlMs":"5"}"#, None, None, false, true),
            (r#"{"resultType":"input_required","inputRequests":{}}"#, None, None, false, false),
            (r#"{"resultType":"task","taskId":"x"}"#, None, None, false, false),
            (r#"{"task":{"taskId":"x"}}"#, None, None, false, false),
            (r#"{"structuredContent":{"isError":true,"ttlMs":1,"task":1}}"#, None, None, false, true),
        ] {
            let body = body(text);
            assert_eq!(
                (body.ttl_ms, body.scope, body.is_error, body.is_final),
                (ttl, scope, is_error, is_final),
                "{text}"
            );
        }
        for text in [
            "[]",
            "1",
            "",
            r#"{"ttlMs":1,"ttl\u004ds":2}"#,
            r#"{"_meta":1}"#,
            r#"{"_meta":{},"_meta":{}}"#,
            "{} {}",
        ] {
            assert_eq!(Body::read(Bytes::from_static(text.as_bytes())), None, "{text}");
        }
    }

    #[test]
    fn the_result_of_a_response_shares_its_memory_and_an_error_has_none() {
        let response = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"result":{"a":1},"x":2}"#);
        assert_eq!(result_of(&response).unwrap(), r#"{"a":1}"#);
        assert_eq!(result_of(&Bytes::from_static(br#"{"id":1,"error":{"code":1}}"#)), None);
    }

    proptest! {
        #[test]
        fn a_reply_holds_what_was_kept_and_nothing_else_but_the_mark(
            members in prop::collection::btree_map("[a-z]{0,6}|_meta|ttlMs|content", prop_oneof![
                Just(json!({})), Just(json!({"k": [1, null]})), Just(json!(700)), Just(json!("t")),
            ], 0..5),
        ) {
            let text = Value::Object(members.into_iter().collect()).to_string();
            let Some(body) = Body::read(Bytes::from(text.clone())) else { return Ok(()) };
            let mut reply: Value = serde_json::from_str(&reply(&body, NOTE)).unwrap();
            let meta = reply["result"]["_meta"].as_object_mut().unwrap();
            prop_assert_eq!(meta.remove(MARK), Some(json!({"level":"l2","ageMs":250})));
            let mut kept: Value = serde_json::from_str(&text).unwrap();
            let result = reply["result"].as_object_mut().unwrap();
            if kept.get("_meta").is_none() {
                result.remove("_meta");
            }
            if kept["ttlMs"].is_u64() {
                kept["ttlMs"] = json!(kept["ttlMs"].as_u64().unwrap().saturating_sub(250));
            }
            prop_assert_eq!(&reply["result"], &kept);
        }
    }
}
