//! Newline-delimited framing (MCP specification, "stdio"): bytes in any chunks, lines out.

use bytes::{Bytes, BytesMut};

/// Bytes kept of each end of a line that is too long: enough to find the id in either place.
const KEPT: usize = 4 * 1024;

/// One line without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line within the limit. Never empty.
    Whole(Bytes),
    /// A line beyond the limit. Its middle was dropped while it came in.
    TooLong {
        /// Its first bytes.
        head: Bytes,
        /// Its last bytes.
        tail: Bytes,
        /// Its length in bytes.
        length: u64,
    },
}

/// Splits a stream into lines with bounded memory. Feed it with [`Lines::buffer`], take lines with
/// [`Lines::next_line`].
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    scanned: usize,
    max: usize,
    dropping: Option<Dropped>,
}

#[derive(Debug)]
struct Dropped {
    head: Bytes,
    tail: BytesMut,
    length: u64,
}

impl Dropped {
    fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if bytes.len() >= KEPT {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - KEPT..]);
            return;
        }
        let excess = (self.tail.len() + bytes.len()).saturating_sub(KEPT);
        if excess > 0 {
            self.tail = BytesMut::from(&self.tail[excess..]);
        }
        self.tail.extend_from_slice(bytes);
    }
}

impl Lines {
    /// A splitter for lines of up to `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, max, dropping: None }
    }

    /// Where the reader appends what it has read.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next complete line, or `None` until more bytes are in the buffer. Empty lines and a leading byte order
    /// mark are skipped.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                if self.scanned > self.max || self.dropping.is_some() {
                    self.drop_buffer();
                }
                return None;
            };
            let line = self.buffer.split_to(self.scanned + end + 1);
            self.scanned = 0;
            if let Some(line) = self.finish(line) {
                return Some(line);
            }
        }
    }

    /// What is left when the stream has ended: an unfinished line, if any.
    pub fn finish_stream(&mut self) -> Option<Line> {
        if self.buffer.is_empty() && self.dropping.is_none() {
            return None;
        }
        let mut line = std::mem::take(&mut self.buffer);
        self.scanned = 0;
        line.extend_from_slice(b"\n");
        self.finish(line)
    }

    fn finish(&mut self, line: BytesMut) -> Option<Line> {
        let mut content = line.freeze();
        content.truncate(content.len() - 1);
        if let Some(mut dropped) = self.dropping.take() {
            dropped.push(&content);
            return Some(Line::TooLong {
                head: dropped.head,
                tail: dropped.tail.freeze(),
                length: dropped.length,
            });
        }
        if content.last() == Some(&b'\r') {
            content.truncate(content.len() - 1);
        }
        if content.starts_with(b"\xef\xbb\xbf") {
            content = content.slice(3..);
        }
        if content.len() > self.max {
            let head = content.slice(..KEPT.min(content.len()));
            let tail = content.slice(content.len().saturating_sub(KEPT)..);
            return Some(Line::TooLong { head, tail, length: content.len() as u64 });
        }
        (!content.iter().all(u8::is_ascii_whitespace)).then_some(Line::Whole(content))
    }

    fn drop_buffer(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.scanned = 0;
        let dropped = self.dropping.get_or_insert_with(|| Dropped {
            head: Bytes::copy_from_slice(&buffer[..KEPT.min(buffer.len())]),
            tail: BytesMut::new(),
            length: 0,
        });
        dropped.push(&buffer);
        // The allocation of the long line goes with it.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]], max: usize) -> Vec<Line> {
        let mut lines = Lines::new(max);
        let mut out = Vec::new();
        for chunk in chunks {
            lines.buffer().extend_from_slice(chunk);
            out.extend(std::iter::from_fn(|| lines.next_line()));
        }
        out.extend(lines.finish_stream());
        out
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn takes_crlf_bom_and_empty_lines() {
        assert_eq!(split(&[b"\xef\xbb\xbfa\r\n\n  \r\nb\nc"], 10), [whole("a"), whole("b"), whole("c")]);
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_more_byte_does_not() {
        assert_eq!(split(&[b"12345\n"], 5), [whole("12345")]);
        let lines = split(&[b"123456\nok\n"], 5);
        assert!(matches!(&lines[0], Line::TooLong { length: 6, .. }));
        assert_eq!(lines[1], whole("ok"));
    }

    #[test]
    fn a_long_line_keeps_its_ends_and_bounded_memory() {
        let mut lines = Lines::new(1024);
        let chunk = vec![b'x'; 64 * 1024];
        lines.buffer().extend_from_slice(b"HEAD");
        for _ in 0..1_000 {
            lines.buffer().extend_from_slice(&chunk);
            assert_eq!(lines.next_line(), None);
            assert!(lines.buffer.capacity() < 256 * 1024);
        }
        lines.buffer().extend_from_slice(b"TAIL\nnext\n");
        let Some(Line::TooLong { head, tail, length }) = lines.next_line() else { panic!("not too long") };
        assert!(head.starts_with(b"HEAD") && tail.ends_with(b"TAIL") && tail.len() <= KEPT);
        assert_eq!(length, 64 * 1024 * 1_000 + 8);
        assert_eq!(lines.next_line(), Some(whole("next")));
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(text in "[ab\r\n ]{0,80}", cuts in prop::collection::vec(0usize..80, 0..10)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let length = |line: &Line| match line {
                Line::Whole(bytes) => (false, bytes.len() as u64),
                Line::TooLong { length, .. } => (true, *length),
            };
            let a: Vec<_> = split(&chunks, 1000).iter().map(length).collect();
            let b: Vec<_> = split(&[bytes], 1000).iter().map(length).collect();
            prop_assert_eq!(a, b);
        }
    }
}
