//! Newline-delimited framing (MCP specification, "stdio"): bytes in any chunks, lines out.

use bytes::{Buf as _, Bytes, BytesMut};

use super::cut::cut;

/// Bytes kept of each end of a line that is too long: enough to find the id in either place.
const KEPT: usize = 4 * 1024;

/// What may surround a line and is no part of its length: a byte order mark and a carriage return.
const MARKS: usize = BOM.len() + 1;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One line without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line within the limit. Never empty.
    Whole(Bytes),
    /// A line beyond the limit. Its middle was dropped while it came in.
    TooLong {
        /// Its first 4 KiB.
        head: Bytes,
        /// Its last 4 KiB.
        tail: Bytes,
        /// Its length in bytes.
        length: u64,
    },
}

/// Splits a stream into lines with bounded memory, the same lines however the stream is cut into chunks. Feed it
/// with [`Lines::buffer`], take lines with [`Lines::next_line`] until there is none, and feed it again.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    scanned: usize,
    max: usize,
    dropping: Option<Dropped>,
}

/// The ends of a line whose middle is dropped.
#[derive(Debug, Default)]
struct Dropped {
    head: Vec<u8>,
    tail: Vec<u8>,
    length: u64,
}

impl Dropped {
    /// Starts with the line's first bytes, of which there are enough to tell a byte order mark.
    fn new(bytes: &[u8]) -> Self {
        let mut dropped = Self::default();
        dropped.push(bytes.strip_prefix(BOM).unwrap_or(bytes));
        dropped
    }

    fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let room = KEPT - self.head.len();
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        // One byte more than is kept, for a carriage return.
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(KEPT + 1)..]);
        // Trimmed now and then, so that single bytes do not cost a copy of the whole.
        if self.tail.len() > 4 * KEPT {
            self.tail.drain(..self.tail.len() - (KEPT + 1));
        }
    }

    fn finish(mut self) -> Line {
        if self.tail.last() == Some(&b'\r') {
            self.tail.pop();
            self.length -= 1;
            self.head.truncate(usize::try_from(self.length).unwrap_or(KEPT));
        }
        let tail = Bytes::copy_from_slice(&self.tail[self.tail.len().saturating_sub(KEPT)..]);
        Line::TooLong { head: self.head.into(), tail, length: self.length }
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

    /// The next complete line, or `None` until more bytes are in the buffer. Blank lines and a leading byte order
    /// mark are skipped.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                if self.dropping.is_some() || self.scanned > self.max.saturating_add(MARKS) {
                    self.drop_buffer();
                }
                return None;
            };
            let line = cut(&mut self.buffer, self.scanned + end);
            self.scanned = 0;
            if let Some(line) = self.finish(&line) {
                return Some(line);
            }
        }
    }

    /// The line that has not ended yet, if it is longer than `length` bytes and nothing of it was dropped. Ask before
    /// [`Lines::next_line`], which drops what is too long.
    pub fn longer_than(&mut self, length: usize) -> Option<&[u8]> {
        if self.buffer.len() <= length || self.dropping.is_some() {
            return None;
        }
        if let Some(end) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
            self.scanned += end;
            return None;
        }
        self.scanned = self.buffer.len();
        Some(self.buffer.strip_prefix(BOM).unwrap_or(&self.buffer))
    }

    /// Takes what has come of the line that has not ended yet. Its rest is taken with [`Lines::next_piece`].
    pub fn take_begun(&mut self) -> BytesMut {
        self.scanned = 0;
        let mut begun = self.buffer.split();
        if begun.starts_with(BOM) {
            begun.advance(BOM.len());
        }
        begun
    }

    /// More of a line whose beginning was taken, and whether it ends there; `None` until more bytes are in the buffer.
    pub fn next_piece(&mut self) -> Option<(BytesMut, bool)> {
        match memchr::memchr(b'\n', &self.buffer) {
            Some(end) => {
                let piece = self.buffer.split_to(end);
                self.buffer.advance(1);
                Some((piece, true))
            }
            None if self.buffer.is_empty() => None,
            None => Some((self.buffer.split(), false)),
        }
    }

    /// What is left when the stream has ended and [`Lines::next_line`] has no more: an unfinished line, if any.
    pub fn finish_stream(&mut self) -> Option<Line> {
        let line = std::mem::take(&mut self.buffer);
        self.scanned = 0;
        self.finish(&line.freeze())
    }

    fn finish(&mut self, line: &Bytes) -> Option<Line> {
        if let Some(mut dropped) = self.dropping.take() {
            dropped.push(line);
            return Some(dropped.finish());
        }
        let start = if line.starts_with(BOM) { BOM.len() } else { 0 };
        let end = line.len() - usize::from(line[start..].ends_with(b"\r"));
        if end - start > self.max {
            return Some(Dropped::new(line).finish());
        }
        let content = line.slice(start..end);
        (!content.iter().all(u8::is_ascii_whitespace)).then_some(Line::Whole(content))
    }

    fn drop_buffer(&mut self) {
        // The allocation of the long line goes with it.
        let buffer = std::mem::take(&mut self.buffer);
        self.scanned = 0;
        match &mut self.dropping {
            Some(dropped) => dropped.push(&buffer),
            None => self.dropping = Some(Dropped::new(&buffer)),
        }
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
    fn a_line_at_the_limit_passes_however_it_is_cut() {
        let text = b"\xef\xbb\xbf12345\r\n";
        for cut in 0..text.len() {
            assert_eq!(split(&[&text[..cut], &text[cut..]], 5), [whole("12345")], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_the_same_however_it_is_cut() {
        let text = b"\xef\xbb\xbf1234567890\r\n";
        let expected = Line::TooLong { head: "1234567890".into(), tail: "1234567890".into(), length: 10 };
        for cut in 0..text.len() {
            assert_eq!(
                split(&[&text[..cut], &text[cut..]], 5),
                std::slice::from_ref(&expected),
                "cut at {cut}"
            );
        }
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

    #[test]
    fn a_line_whose_beginning_was_taken_comes_in_pieces_up_to_its_end() {
        let text = b"first\n\xef\xbb\xbf0123456789abcdef\nlast\n";
        for cut in 18..text.len() {
            let mut lines = Lines::new(5);
            lines.buffer().extend_from_slice(&text[..cut]);
            assert_eq!(lines.next_line(), Some(whole("first")));
            let Some(begun) = lines.longer_than(5) else {
                assert!(cut > text.iter().rposition(|byte| *byte == b'f').unwrap(), "cut at {cut}");
                continue;
            };
            assert!(begun.starts_with(b"012345"));
            let mut line = lines.take_begun().to_vec();
            lines.buffer().extend_from_slice(&text[cut..]);
            loop {
                let (piece, ends) = lines.next_piece().unwrap();
                line.extend_from_slice(&piece);
                if ends {
                    break;
                }
            }
            assert_eq!(line, b"0123456789abcdef", "cut at {cut}");
            assert_eq!(lines.next_line(), Some(whole("last")));
        }
        let mut lines = Lines::new(5);
        lines.buffer().extend_from_slice(b"0123456789");
        assert_eq!(
            (lines.next_line(), lines.longer_than(5)),
            (None, None),
            "a line of which some was dropped"
        );
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
