//! The framing of the chunked transfer coding (RFC 9112 section 7.1).

use bytes::{Buf, BytesMut};

/// Bytes of a chunk's size with its extensions, and of all trailer lines together: what says nothing to us is not
/// collected without end.
const MAX_LINE: usize = 4 * 1024;
const MAX_TRAILERS: usize = 16 * 1024;

/// Reads what stands around the data of the chunks.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    place: Place,
    trailers: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    Size,
    /// The line break behind a chunk's data.
    DataEnd,
    Trailers,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes of data, at least one; ask again behind them.
    Data(u64),
    /// More must be received first.
    Incomplete,
    End,
}

impl Chunked {
    /// Takes framing from the front of what was received.
    ///
    /// # Errors
    /// If it is not this coding.
    pub(super) fn step(&mut self, received: &mut BytesMut) -> Result<Step, &'static str> {
        loop {
            let max = match self.place {
                Place::DataEnd => 0,
                Place::Size => MAX_LINE,
                Place::Trailers => MAX_TRAILERS - self.trailers,
            };
            let Some(line) = line(received, max)? else { return Ok(Step::Incomplete) };
            let length = line.len() + 2;
            let (next, step) = match self.place {
                Place::DataEnd => (Place::Size, None),
                Place::Size => match size(line)? {
                    0 => (Place::Trailers, None),
                    size => (Place::DataEnd, Some(Step::Data(size))),
                },
                Place::Trailers => {
                    self.trailers += line.len();
                    (Place::Trailers, line.is_empty().then_some(Step::End))
                }
            };
            self.place = next;
            received.advance(length);
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }
}

/// The first line without its break; `None` if it has not all come.
fn line(received: &[u8], max: usize) -> Result<Option<&[u8]>, &'static str> {
    let line = match memchr::memchr(b'\n', received) {
        Some(end) => received[..end].strip_suffix(b"\r").ok_or("a chunk line that does not end in CR LF")?,
        None if received.len() > max + 1 => return Err("a chunk line that is too long"),
        None => return Ok(None),
    };
    if line.len() > max { Err("a chunk line that is too long") } else { Ok(Some(line)) }
}

/// The size in front of the chunk's extensions, which mean nothing to us.
fn size(line: &[u8]) -> Result<u64, &'static str> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let digits =
        std::str::from_utf8(digits).ok().filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or("an invalid chunk size")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes a whole body that arrives in pieces of `size` bytes; the rest behind it is given back.
    fn decode(text: &str, size: usize) -> Result<(String, String), &'static str> {
        let (mut chunked, mut received, mut data) = (Chunked::default(), BytesMut::new(), String::new());
        let mut left = 0;
        for piece in text.as_bytes().chunks(size) {
            received.extend_from_slice(piece);
            loop {
                let take = received.len().min(left);
                data.push_str(std::str::from_utf8(&received.split_to(take)).unwrap());
                left -= take;
                if left > 0 {
                    break;
                }
                match chunked.step(&mut received)? {
                    Step::Data(length) => left = usize::try_from(length).unwrap(),
                    Step::Incomplete => break,
                    Step::End => {
                        return Ok((data, String::from_utf8(received.to_vec()).unwrap()));
                    }
                }
            }
        }
        Err("incomplete")
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let text = "5\r\nhello\r\nA;x=\"y\"\r\n, world!!!\r\n0\r\nExpires: x\r\n\r\n";
        for size in 1..=text.len() {
            assert_eq!(decode(text, size), Ok(("hello, world!!!".into(), String::new())), "{size}");
        }
    }

    #[test]
    fn a_body_ends_where_it_says() {
        assert_eq!(decode("1\r\nx\r\n0\r\n\r\nHTTP", 99), Ok(("x".into(), "HTTP".into())));
    }

    #[test]
    fn broken_framing_is_an_error() {
        let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(MAX_LINE));
        let trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(MAX_TRAILERS / 3));
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\nx",
            "1\nx\r\n",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "11111111111111111\r\n",
            &long,
            &trailers,
        ] {
            for size in [1, 7, text.len()] {
                let result = decode(text, size);
                assert!(result.is_err_and(|why| why != "incomplete"), "{text:.20} in pieces of {size}");
            }
        }
    }
}
