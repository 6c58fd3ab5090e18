//! The data of one event while it comes.

use bytes::{Buf as _, BytesMut};

/// What a line of data begins with.
const DATA: &[u8] = b"data:";

/// Reads one event on whose beginning has been taken: its data in pieces, in constant memory.
#[derive(Debug)]
pub struct EventPieces {
    buffer: BytesMut,
    line: Line,
    /// There was a line of data, from which the next one is told by a line feed.
    has_data: bool,
    after_cr: bool,
}

/// The line at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Not enough has come to tell.
    Begins,
    /// It is data; its text may still have a space in front.
    Data {
        begins: bool,
    },
    Other,
}

/// What comes next of an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Data. Lines are joined with line feeds; a line of nothing but the field's name adds none, which is nothing to JSON.
    Data(BytesMut),
    /// The event has ended.
    End,
    /// More bytes must come into the buffer first.
    Incomplete,
}

impl EventPieces {
    pub(super) fn new(buffer: BytesMut, has_data: bool, after_cr: bool) -> Self {
        Self { buffer, line: Line::Begins, has_data, after_cr }
    }

    /// Where the reader appends what it has read.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// What comes next.
    pub fn next_piece(&mut self) -> Piece {
        loop {
            if self.after_cr && !self.buffer.is_empty() {
                // The line feed of a CRLF whose CR already ended the line.
                self.after_cr = false;
                if self.buffer[0] == b'\n' {
                    self.buffer.advance(1);
                }
            }
            let Some(first) = self.buffer.first() else { return Piece::Incomplete };
            match self.line {
                Line::Begins if matches!(first, b'\n' | b'\r') => return Piece::End,
                Line::Begins => {
                    let length = self.buffer.len().min(DATA.len());
                    if self.buffer[..length] != DATA[..length] {
                        self.line = Line::Other;
                    } else if length < DATA.len() {
                        return Piece::Incomplete;
                    } else {
                        self.buffer.advance(DATA.len());
                        self.line = Line::Data { begins: true };
                        if std::mem::replace(&mut self.has_data, true) {
                            return Piece::Data(BytesMut::from(&b"\n"[..]));
                        }
                    }
                }
                Line::Data { begins: true } => {
                    if *first == b' ' {
                        self.buffer.advance(1);
                    }
                    self.line = Line::Data { begins: false };
                }
                Line::Data { begins: false } => {
                    let piece = self.rest_of_line();
                    if !piece.is_empty() {
                        return Piece::Data(piece);
                    }
                }
                Line::Other => drop(self.rest_of_line()),
            }
        }
    }

    /// What has come of the line, without its end.
    fn rest_of_line(&mut self) -> BytesMut {
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.buffer) else { return self.buffer.split() };
        let line = self.buffer.split_to(end);
        self.after_cr = self.buffer[0] == b'\r';
        self.buffer.advance(1);
        self.line = Line::Begins;
        line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::SseDecoder;
    use super::*;

    /// Reads the first event whole, and in pieces from `cut` on.
    fn both(text: &[u8], cut: usize) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let mut decoder = SseDecoder::new(1_000);
        decoder.buffer().extend_from_slice(text);
        let whole = decoder.next_event().unwrap().map(|event| event.data.to_vec());
        let mut decoder = SseDecoder::new(1_000);
        decoder.buffer().extend_from_slice(&text[..cut]);
        if decoder.next_event().unwrap().is_some() {
            return (whole.clone(), whole);
        }
        let (begun, mut pieces) = decoder.into_pieces();
        let mut data = begun.to_vec();
        for byte in text[cut..].chunks(1).chain([&[][..]]) {
            loop {
                match pieces.next_piece() {
                    Piece::Data(piece) => data.extend_from_slice(&piece),
                    Piece::End => return (whole, Some(data)),
                    Piece::Incomplete => break,
                }
            }
            pieces.buffer().extend_from_slice(byte);
        }
        (whole, None)
    }

    #[test]
    fn an_event_reads_the_same_in_pieces_wherever_its_beginning_ended() {
        let text = "\u{feff}: hi\r\ndata: {\"a\":\r\ndata:  1}\rid: 7\ndatax\rdata:\n\r\ndata: next\n\n";
        for cut in 0..text.len() {
            let (whole, pieces) = both(text.as_bytes(), cut);
            assert_eq!(whole.as_deref(), Some(&b"{\"a\":\n 1}\n"[..]));
            assert_eq!(whole, pieces, "cut at {cut}");
        }
    }

    #[test]
    fn what_has_come_of_a_long_event_can_be_looked_at() {
        let look = |text: &str| {
            let mut decoder = SseDecoder::new(1_000);
            decoder.buffer().extend_from_slice(text.as_bytes());
            assert_eq!(decoder.next_event(), Ok(None));
            decoder.is_longer_than(12).then(|| decoder.begun())
        };
        assert_eq!(look("data: 1234567890").as_deref(), Some(&b"1234567890"[..]));
        assert_eq!(look("\u{feff}data:1234567890").as_deref(), Some(&b"1234567890"[..]));
        assert_eq!(look("id: 1\ndata: 1234567890\ndata: 2").as_deref(), Some(&b"1234567890\n2"[..]));
        assert_eq!(look("data: 12345"), None);
        assert_eq!(look("event: other\ndata: 1234567890"), None);
        assert_eq!(look(": 1234567890123").as_deref(), Some(&b""[..]));
    }

    proptest! {
        #[test]
        fn any_event_reads_the_same_in_pieces(
            text in "(data: ?[ab]{0,3}|dat|id: 1|:c|\r\n|\n|\r){0,20}\n\ndata: x\n\n",
            cut in 0usize..100,
        ) {
            let (whole, pieces) = both(text.as_bytes(), cut.min(text.len()));
            // Events without data are told by the whole reading only where they have another field.
            if whole.as_ref().is_some_and(|data| !data.is_empty()) && !text.starts_with(['\r', '\n', ':']) {
                prop_assert!(pieces.is_some());
            }
            if let (Some(whole), Some(pieces)) = (whole, pieces)
                && !pieces.is_empty()
            {
                prop_assert_eq!(whole, pieces);
            }
        }
    }
}
