//! Server-sent events (WHATWG HTML, section 9.2), as MCP's streamable HTTP uses them.

mod pieces;

use bytes::{Buf as _, Bytes, BytesMut};

use super::cut::cut;

pub use pieces::{EventPieces, Piece};

/// What may stand before an event's data on its line, beyond the bound: a byte order mark and `data: `.
const MARKS: usize = 9;

const BOM: &[u8] = b"\xef\xbb\xbf";

fn strip_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(BOM).unwrap_or(text)
}

/// One dispatched event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The data lines, joined with line feeds; may be empty (a priming event).
    pub data: Bytes,
    /// The `id` field of this event, if it had one.
    pub id: Option<String>,
    /// The `event` field, if it had one; MCP uses the default, `message`.
    pub event: Option<String>,
    /// The `retry` field in milliseconds, if it had one.
    pub retry_ms: Option<u64>,
}

/// A stream that breaks its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("server-sent event of more than {max} bytes")]
pub struct SseError {
    /// The bound in bytes.
    pub max: usize,
}

/// Decodes a stream that arrives in any chunks, to the same events whatever the chunks. Feed with
/// [`SseDecoder::buffer`]. It never holds more than the bound and one chunk.
#[derive(Debug)]
pub struct SseDecoder {
    buffer: BytesMut,
    scanned: usize,
    started: bool,
    after_cr: bool,
    max: usize,
    pending: Event,
    data: BytesMut,
    has_data: bool,
    has_field: bool,
}

impl SseDecoder {
    /// A decoder for events of up to `max` bytes: the data, together with the id and the event name where another
    /// line follows them.
    pub fn new(max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            started: false,
            after_cr: false,
            max,
            pending: Event::default(),
            data: BytesMut::new(),
            has_data: false,
            has_field: false,
        }
    }

    /// Where the reader appends what it has read.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next complete event, or `None` until more bytes are in the buffer.
    ///
    /// # Errors
    /// If an event grows beyond the bound; the stream cannot be read on.
    pub fn next_event(&mut self) -> Result<Option<Event>, SseError> {
        loop {
            if self.after_cr && !self.buffer.is_empty() {
                // The line feed of a CRLF whose CR already ended the line.
                self.after_cr = false;
                if self.buffer[0] == b'\n' {
                    let _ = self.buffer.split_to(1);
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                self.bound(self.scanned)?;
                return Ok(None);
            };
            let length = self.scanned + end;
            self.bound(length)?;
            self.after_cr = self.buffer[length] == b'\r';
            let mut line = cut(&mut self.buffer, length);
            self.scanned = 0;
            if !self.started {
                self.started = true;
                if line.starts_with(BOM) {
                    line = line.slice(BOM.len()..);
                }
            }
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
            } else {
                self.field(&line);
                self.bound(0)?;
            }
        }
    }

    /// Whether more than `length` bytes have come of an event that has not ended yet, and of none of another type than
    /// MCP's. Ask when [`SseDecoder::next_event`] has none.
    pub fn is_longer_than(&self, length: usize) -> bool {
        let is_message = self.pending.event.as_deref().is_none_or(|name| name == "message");
        is_message && self.pending.data.len() + self.data.len() + self.buffer.len() > length
    }

    /// The data so far of the event that has not ended yet.
    pub fn begun(&self) -> Vec<u8> {
        let mut data = [&self.data[..], &self.pending.data[..]].concat();
        let line = if self.started { &self.buffer[..] } else { strip_bom(&self.buffer) };
        if let Some(line) = line.strip_prefix(b"data:") {
            if self.has_data {
                data.push(b'\n');
            }
            data.extend_from_slice(line.strip_prefix(b" ").unwrap_or(line));
        }
        data
    }

    /// Takes what has come of the event that has not ended yet: the data of its complete lines, and what reads on from
    /// there. What follows the event is not read.
    pub fn into_pieces(mut self) -> (BytesMut, EventPieces) {
        if !self.started && self.buffer.starts_with(BOM) {
            self.buffer.advance(BOM.len());
        }
        let lines = if self.pending.data.is_empty() { self.data } else { self.pending.data.into() };
        (lines, EventPieces::new(self.buffer, self.has_data, self.after_cr))
    }

    /// Checks a line, complete or not, with what the event has so far.
    fn bound(&self, line: usize) -> Result<(), SseError> {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let data = self.data.len() + self.pending.data.len();
        let held = data + text(&self.pending.id) + text(&self.pending.event);
        if data > self.max || held + line > self.max.saturating_add(MARKS) {
            return Err(SseError { max: self.max });
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        let mut event = std::mem::take(&mut self.pending);
        let has_field = std::mem::take(&mut self.has_field);
        self.has_data = false;
        if event.data.is_empty() {
            event.data = std::mem::take(&mut self.data).freeze();
        }
        // The standard drops an event without data; MCP's priming event has an id and an empty data line, and
        // `retry` alone must reach the reader too.
        has_field.then_some(event)
    }

    fn field(&mut self, line: &Bytes) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let mut value = line.slice((colon + 1).min(line.len())..);
        if value.first() == Some(&b' ') {
            value = value.slice(1..);
        }
        match &line[..colon] {
            b"data" => {
                if self.has_data {
                    // More than one data line: only now is a copy needed.
                    if !self.pending.data.is_empty() {
                        let first = std::mem::take(&mut self.pending.data);
                        self.data.extend_from_slice(&first);
                    }
                    self.data.extend_from_slice(b"\n");
                    self.data.extend_from_slice(&value);
                } else {
                    self.pending.data = value;
                }
                self.has_data = true;
            }
            b"id" if !value.contains(&0) => {
                self.pending.id = Some(String::from_utf8_lossy(&value).into_owned());
            }
            b"event" => self.pending.event = Some(String::from_utf8_lossy(&value).into_owned()),
            // Digits alone: Rust would take a sign, too.
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                let Some(number) = number else { return };
                self.pending.retry_ms = Some(number);
            }
            _ => return,
        }
        self.has_field = true;
    }
}

/// Writes one event to `out`. The data is a JSON text; a line feed or carriage return in it starts a new data line
/// and is read back as a line feed. The id must hold no line break and no NUL.
pub fn encode_event(out: &mut Vec<u8>, id: Option<&str>, data: &[u8]) {
    if let Some(id) = id {
        debug_assert!(
            memchr::memchr3(b'\n', b'\r', 0, id.as_bytes()).is_none(),
            "an id that breaks its line"
        );
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    if memchr::memchr2(b'\n', b'\r', data).is_none() {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data);
        out.push(b'\n');
    } else {
        for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(chunks: &[&[u8]]) -> Vec<Event> {
        let mut decoder = SseDecoder::new(10_000);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.buffer().extend_from_slice(chunk);
            while let Some(event) = decoder.next_event().unwrap() {
                events.push(event);
            }
        }
        events
    }

    fn data(text: &'static str) -> Event {
        Event { data: Bytes::from_static(text.as_bytes()), ..Event::default() }
    }

    #[test]
    fn reads_each_line_end_comments_and_multi_line_data() {
        assert_eq!(
            decode(&[b": hi\n\ndata: a\n\ndata:b\r\n\r\ndata: c\rdata: d\r\r"]),
            [data("a"), data("b"), data("c\nd")]
        );
    }

    #[test]
    fn a_priming_event_and_a_retry_are_seen() {
        let events = decode(&[b"id: 7\ndata:\n\nretry: 500\n\n"]);
        assert_eq!(events[0], Event { id: Some("7".into()), ..Event::default() });
        assert_eq!(events[1], Event { retry_ms: Some(500), ..Event::default() });
    }

    #[test]
    fn an_event_beyond_the_bound_is_an_error() {
        let mut decoder = SseDecoder::new(8);
        decoder.buffer().extend_from_slice(b"data: 123456789abc");
        assert_eq!(decoder.next_event(), Err(SseError { max: 8 }));
    }

    #[test]
    fn an_event_at_the_bound_passes_however_it_is_cut_and_one_more_byte_does_not() {
        let read = |text: &[u8], cut: usize| {
            let mut decoder = SseDecoder::new(8);
            decoder.buffer().extend_from_slice(&text[..cut]);
            let first = decoder.next_event()?;
            decoder.buffer().extend_from_slice(&text[cut..]);
            Ok(first.or(decoder.next_event()?))
        };
        for text in ["data: 12345678\n\n", "data: 123\ndata: 5678\n\n", "id: 1\ndata: 1234567\n\n"] {
            for cut in 0..text.len() {
                assert!(read(text.as_bytes(), cut).unwrap().is_some(), "{text:?} cut at {cut}");
            }
        }
        for text in ["data: 123456789\n\n", "data: 1234\ndata: 6789\n\n", ": 1234567890123456\n\n"] {
            for cut in 0..text.len() {
                assert_eq!(read(text.as_bytes(), cut), Err(SseError { max: 8 }), "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_retry_that_is_no_number_is_ignored() {
        assert_eq!(decode(&[b"retry: +5\n\nretry: 5s\n\nretry:\n\nretry: 99999999999999999999\n\n"]), []);
        assert_eq!(decode(&[b"retry: 7\nretry: x\n\n"])[0].retry_ms, Some(7));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut out = Vec::new();
        encode_event(&mut out, Some("1"), b"{\n\"a\":1}");
        let event = &decode(&[&out])[0];
        assert_eq!((event.id.as_deref(), &event.data[..]), (Some("1"), &b"{\n\"a\":1}"[..]));
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(text in "(data: ?[ab]{0,3}|id: 1|:c|retry: 5|event: e|\r\n|\n|\r){0,30}", cut in 0usize..100) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let all = decode(&[bytes]);
            prop_assert_eq!(&decode(&[&bytes[..cut], &bytes[cut..]]), &all);
            prop_assert_eq!(&decode(&single), &all);
        }
    }
}
