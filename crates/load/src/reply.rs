//! A reply over HTTP/1.1 as it comes in: its body by length, in chunks or to the end of the connection; its message as
//! JSON or in a stream of events.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::Result;
use crate::message;

/// Longest reply in bytes that is read.
const LIMIT: usize = 1 << 30;

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many bytes.
    Known(usize),
    /// As its chunks say (RFC 9112 section 7.1).
    Chunked,
    /// To the end of the connection.
    Rest,
}

/// The head of a reply.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status; 0 if there is none to be read.
    pub status: u16,
    /// Where the body starts.
    pub body_at: usize,
    /// Its length.
    pub length: Length,
    /// Whether it is a stream of events.
    pub is_events: bool,
}

impl Head {
    /// Reads a head; `None` if it is not complete yet.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = memmem::find(bytes, b"\r\n\r\n")?;
        let status = std::str::from_utf8(bytes.get(9..12).unwrap_or_default()).unwrap_or_default();
        let status = status.parse().unwrap_or(0);
        let head = &bytes[..end];
        let length = header(head, "content-length").and_then(|value| value.parse().ok()).map(Length::Known);
        let length = length.or_else(|| match status {
            // Those need not say that they have no body.
            202 | 204 | 304 if header(head, "transfer-encoding").is_none() => Some(Length::Known(0)),
            _ => header(head, "transfer-encoding").map(|_| Length::Chunked),
        });
        let is_events =
            header(head, "content-type").is_some_and(|value| value.starts_with("text/event-stream"));
        Some(Self { status, body_at: end + 4, length: length.unwrap_or(Length::Rest), is_events })
    }
}

/// The value of a header in a head.
pub fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (key, value) = line.split_at(colon);
        key.eq_ignore_ascii_case(name.as_bytes())
            .then(|| std::str::from_utf8(&value[1..]).ok().map(str::trim))?
    })
}

/// How much of a reply is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Not the message yet.
    Waiting,
    /// The message, of a stream that has not ended yet.
    Answered,
    /// Everything.
    Complete,
}

/// A reply that is being read.
#[derive(Debug, Default)]
pub struct Incoming {
    /// All that has come.
    bytes: Vec<u8>,
    head: Option<Head>,
    /// The body out of its chunks.
    unchunked: Vec<u8>,
    /// The first byte that is not unchunked yet.
    chunk_at: usize,
    has_last_chunk: bool,
    /// The first byte of the body that is in no event that was looked at.
    event_at: usize,
    /// The message among the events.
    answer: Option<Vec<u8>>,
}

impl Incoming {
    /// Forgets everything, for the next reply.
    pub fn clear(&mut self) {
        let (mut bytes, mut unchunked) =
            (std::mem::take(&mut self.bytes), std::mem::take(&mut self.unchunked));
        bytes.clear();
        unchunked.clear();
        *self = Self { bytes, unchunked, ..Self::default() };
    }

    /// Where what comes next is to be appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Looks at what was appended; `is_over` if nothing more will be.
    ///
    /// # Errors
    /// If it is no HTTP, ends too early, or is too long.
    pub fn advance(&mut self, is_over: bool) -> Result<Progress> {
        if self.head.is_none() {
            self.head = Head::parse(&self.bytes);
            self.chunk_at = self.head.as_ref().map_or(0, |head| head.body_at);
        }
        if self.bytes.len() > LIMIT {
            return Err("a reply is longer than 1 GiB".into());
        }
        let Some(head) = &self.head else {
            return if is_over {
                Err("a connection ended before a reply".into())
            } else {
                Ok(Progress::Waiting)
            };
        };
        let is_events = head.is_events;
        let is_complete = match head.length {
            Length::Known(length) => self.bytes.len() >= head.body_at + length,
            Length::Chunked => {
                self.unchunk()?;
                self.has_last_chunk
            }
            Length::Rest => is_over,
        };
        if is_events && self.answer.is_none() {
            self.find_answer();
        }
        match (is_complete, self.answer.is_some()) {
            (true, _) => Ok(Progress::Complete),
            (false, true) => Ok(if is_over { Progress::Complete } else { Progress::Answered }),
            (false, false) if is_over => Err("a connection ended before a body".into()),
            (false, false) => Ok(Progress::Waiting),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |head| head.status)
    }

    /// The head.
    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.head.as_ref().map_or(0, |head| head.body_at)]
    }

    /// The message: the body, or the event's data; of a stream that ended without one, nothing.
    pub fn message(&self) -> &[u8] {
        match (&self.answer, &self.head) {
            (Some(answer), _) => answer,
            (None, Some(head)) if !head.is_events => self.body(),
            _ => b"",
        }
    }

    /// Whether the connection can carry another request after this reply.
    pub fn keeps_connection(&self) -> bool {
        let closes =
            header(self.head(), "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        !closes && self.head.as_ref().is_some_and(|head| head.length != Length::Rest)
    }

    fn body(&self) -> &[u8] {
        match &self.head {
            Some(Head { length: Length::Chunked, .. }) => &self.unchunked,
            Some(Head { length: Length::Known(length), body_at, .. }) => {
                &self.bytes[*body_at..self.bytes.len().min(body_at + length)]
            }
            Some(head) => &self.bytes[head.body_at..],
            None => b"",
        }
    }

    fn unchunk(&mut self) -> Result<()> {
        while !self.has_last_chunk {
            let rest = &self.bytes[self.chunk_at..];
            let Some(line_end) = memchr(b'\n', rest) else { break };
            let size = rest[..line_end].split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
            let size = size.filter(|size| *size <= LIMIT).ok_or("a chunk has no size")?;
            let data = line_end + 1;
            if size == 0 {
                // Trailers may follow, up to an empty line.
                let end =
                    rest[data..].starts_with(b"\r\n") || memmem::find(&rest[data..], b"\r\n\r\n").is_some();
                self.has_last_chunk = end;
                break;
            }
            if rest.len() < data + size + 2 {
                break;
            }
            self.unchunked.extend_from_slice(&rest[data..data + size]);
            self.chunk_at += data + size + 2;
        }
        Ok(())
    }

    fn find_answer(&mut self) {
        while let Some((length, data)) = next_event(&self.body()[self.event_at..]) {
            let event = &self.body()[self.event_at..self.event_at + length];
            let lines: Vec<&[u8]> = data.into_iter().map(|line| &event[line]).collect();
            let text = lines.join(&b'\n');
            self.event_at += length;
            if message::is_response(&text) {
                self.answer = Some(text);
                return;
            }
        }
    }
}

/// The length of the first event with the blank line that ends it, and where the lines of its data are; `None` if it is
/// not complete yet.
fn next_event(bytes: &[u8]) -> Option<(usize, Vec<Range<usize>>)> {
    let (mut at, mut data) = (0, Vec::new());
    loop {
        let end = at + memchr(b'\n', &bytes[at..])?;
        let text_end = if bytes[at..end].ends_with(b"\r") { end - 1 } else { end };
        let line = &bytes[at..text_end];
        if line.is_empty() {
            return Some((end + 1, data));
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            let space = usize::from(value.starts_with(b" "));
            data.push(at + 5 + space..text_end);
        }
        at = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads byte by byte; where the message was there, and where all was.
    fn read(reply: &[u8], closes: bool) -> (Incoming, usize, usize) {
        let mut incoming = Incoming::default();
        let (mut answered, mut complete) = (0, 0);
        for (at, byte) in reply.iter().enumerate() {
            incoming.buffer().push(*byte);
            let progress = incoming.advance(false).unwrap();
            if progress > Progress::Waiting && answered == 0 {
                answered = at + 1;
            }
            if progress == Progress::Complete && complete == 0 {
                complete = at + 1;
            }
        }
        if closes {
            assert_eq!(incoming.advance(true).unwrap(), Progress::Complete);
        }
        (incoming, answered, complete)
    }

    #[test]
    fn a_body_is_read_by_length_in_chunks_and_to_the_end() {
        let by_length = b"HTTP/1.1 200 OK\r\nX: 1\r\nCONTENT-length:  5 \r\n\r\nhello";
        let (incoming, _, complete) = read(by_length, false);
        assert_eq!((incoming.message(), complete), (&b"hello"[..], by_length.len()));
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: 1\r\n\r\n";
        let (incoming, _, complete) = read(chunks, false);
        assert_eq!((incoming.message(), complete), (&b"hello"[..], chunks.len()));
        assert!(incoming.keeps_connection());
        let (incoming, ..) = read(b"HTTP/1.0 200 OK\r\n\r\nhello", true);
        assert_eq!((incoming.message(), incoming.status()), (&b"hello"[..], 200));
        assert!(!incoming.keeps_connection());
        let (incoming, _, complete) = read(b"HTTP/1.1 202 Accepted\r\n\r\n", false);
        assert_eq!((incoming.status(), complete), (202, 25));
    }

    #[test]
    fn an_answer_among_events_is_there_before_the_stream_ends() {
        let events = "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\r\n\r\n\
                      : comment\n\ndata: {\"jsonrpc\":\"2.0\",\ndata:\"id\":1,\"result\":{}}\n\n";
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let reply = format!("{head}{:x}\r\n{events}\r\n0\r\n\r\n", events.len());
        let (incoming, answered, complete) = read(reply.as_bytes(), false);
        assert_eq!(incoming.message(), b"{\"jsonrpc\":\"2.0\",\n\"id\":1,\"result\":{}}");
        assert!(answered < complete && complete == reply.len());
    }

    #[test]
    fn what_ends_too_early_is_an_error() {
        for reply in ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"]
        {
            let mut incoming = Incoming::default();
            incoming.buffer().extend_from_slice(reply.as_bytes());
            assert!(incoming.advance(true).is_err(), "{reply:?}");
        }
        let mut incoming = Incoming::default();
        incoming.buffer().extend_from_slice(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
        assert!(incoming.advance(false).is_err());
    }
}
