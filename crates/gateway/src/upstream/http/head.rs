//! The head of a response and what it says of the body behind it (RFC 9112 sections 4 to 6 and 9).

use std::mem::MaybeUninit;
use std::ops::Range;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use httparse::{Header, ParserConfig, Status};

use super::coding;
use crate::coding::Coding;

/// Header fields of one response.
pub(super) const MAX_FIELDS: usize = 100;

/// Status line and fields.
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// Where the value of `Content-Type` stands, and whether there is a `Content-Encoding`: what every response is
    /// asked for.
    content_type: Option<Range<usize>>,
    pub(super) is_encoded: bool,
    /// Lines as they were received, the first of them without a field; known to be well formed.
    raw: Box<[u8]>,
}

/// How long the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes, which may be none.
    Length(u64),
    Chunked,
    /// All that comes until the server closes the connection.
    UntilClose,
}

/// Whether the connection can carry another request after this response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeepAlive {
    pub(super) open: bool,
    /// How long the server says that it keeps an idle connection (`Keep-Alive: timeout`, RFC 2068 section 19.7.1.1).
    pub(super) timeout: Option<Duration>,
}

/// A head that was found at the front of what has been received.
pub(super) struct Parsed {
    pub(super) head: Head,
    pub(super) framing: Framing,
    pub(super) keep_alive: KeepAlive,
    /// Its length in bytes.
    pub(super) length: usize,
}

impl Head {
    /// The value of a field, the first if there are several; `None` if it is no text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.raw
            .split(|byte| *byte == b'\n')
            .skip(1)
            .filter_map(|line| line.split_at_checked(name.len()))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .find_map(|(_, rest)| std::str::from_utf8(rest.strip_prefix(b":")?.trim_ascii()).ok())
    }

    /// How the body is compressed, if we know that coding.
    pub(super) fn coding(&self) -> Option<Coding> {
        self.is_encoded.then(|| self.get("content-encoding").and_then(coding::named)).flatten()
    }

    /// Whether the body is JSON, said in the usual way, and not compressed.
    pub(super) fn is_plain_json(&self) -> bool {
        let value = self.content_type.clone().and_then(|at| self.raw.get(at));
        !self.is_encoded && value == Some(b"application/json")
    }

    /// The value of `Content-Type`.
    pub(super) fn content_type(&self) -> Option<&str> {
        std::str::from_utf8(self.raw.get(self.content_type.clone()?)?).ok()
    }

    /// A head that came as fields and not as text (HTTP/2).
    pub(super) fn of_fields(status: StatusCode, fields: &HeaderMap) -> Self {
        // In the form of HTTP/1.1, so that there is one way to look into a head.
        let mut raw = b"\n".to_vec();
        let mut content_type = None;
        for (name, value) in fields {
            raw.extend_from_slice(name.as_str().as_bytes());
            raw.extend_from_slice(b": ");
            if content_type.is_none() && name == header::CONTENT_TYPE {
                content_type = Some(raw.len()..raw.len() + value.len());
            }
            raw.extend_from_slice(value.as_bytes());
            raw.push(b'\n');
        }
        let is_encoded = fields.contains_key(header::CONTENT_ENCODING);
        Self { status, content_type, is_encoded, raw: raw.into() }
    }

    #[cfg(test)]
    pub(super) fn of(status: u16, fields: &[(&str, &str)]) -> Self {
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let text = format!("HTTP/1.1 {status} \r\n{}\r\n", lines.concat());
        parse(text.as_bytes()).unwrap().unwrap().head
    }
}

/// A number that is written with digits alone.
fn decimal(digits: &[u8]) -> Option<u64> {
    let add = |number: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// Looks for a whole head; `None` while it has not all come.
///
/// # Errors
/// What is wrong with it, for an error message.
pub(super) fn parse(received: &[u8]) -> Result<Option<Parsed>, String> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut response, received, &mut fields);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("not an HTTP response: {error}")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or("not an HTTP response: invalid status")?;
    let http_11 = response.version == Some(1);
    let mut keep_alive = KeepAlive { open: http_11, timeout: None };
    let mut content_length = None;
    let mut chunked = false;
    let mut content_type = None;
    let mut is_encoded = false;
    for field in response.headers.iter() {
        match field.name.len() {
            12 if content_type.is_none() && field.name.eq_ignore_ascii_case("content-type") => {
                let start = field.value.as_ptr() as usize - received.as_ptr() as usize;
                content_type = Some(start..start + field.value.len());
            }
            16 if field.name.eq_ignore_ascii_case("content-encoding") => is_encoded = true,
            14 if field.name.eq_ignore_ascii_case("content-length") => {
                for value in field.value.split(|byte| *byte == b',') {
                    let value = decimal(value.trim_ascii()).ok_or("invalid Content-Length")?;
                    if content_length.replace(value).is_some_and(|other| other != value) {
                        return Err("more than one Content-Length".into());
                    }
                }
            }
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                // No other coding was asked for (`TE`), so none may come.
                if chunked || !http_11 || !text(field.value)?.trim().eq_ignore_ascii_case("chunked") {
                    return Err("a Transfer-Encoding other than chunked".into());
                }
                chunked = true;
            }
            10 if field.name.eq_ignore_ascii_case("connection") => {
                for option in text(field.value)?.split(',').map(str::trim) {
                    if option.eq_ignore_ascii_case("close") {
                        keep_alive.open = false;
                    } else if option.eq_ignore_ascii_case("keep-alive") && !http_11 {
                        keep_alive.open = true;
                    }
                }
            }
            10 if field.name.eq_ignore_ascii_case("keep-alive") => {
                let timeout = text(field.value)?.split(',').find_map(|it| it.trim().strip_prefix("timeout="));
                keep_alive.timeout = timeout.and_then(|it| it.parse().ok()).map(Duration::from_secs);
            }
            _ => {}
        }
    }
    let without_body =
        status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = match content_length {
        _ if without_body => Framing::Length(0),
        Some(_) if chunked => {
            // Two statements about one length: the kind of disagreement that smuggles. Chunked counts (RFC 9112
            // section 6.3), and nothing more is read from this connection.
            keep_alive.open = false;
            Framing::Chunked
        }
        _ if chunked => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => {
            keep_alive.open = false;
            Framing::UntilClose
        }
    };
    let head = Head { status, content_type, is_encoded, raw: received[..length].into() };
    Ok(Some(Parsed { head, framing, keep_alive, length }))
}

fn text(value: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(value).map_err(|_| "a header field that is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(head: &str) -> Result<(Framing, KeepAlive), String> {
        let parsed = parse(head.as_bytes())?.expect("a whole head");
        assert_eq!(parsed.length, head.len());
        Ok((parsed.framing, parsed.keep_alive))
    }

    fn open(timeout: Option<u64>) -> KeepAlive {
        KeepAlive { open: true, timeout: timeout.map(Duration::from_secs) }
    }

    const CLOSED: KeepAlive = KeepAlive { open: false, timeout: None };

    #[test]
    fn the_length_of_a_body_is_read_as_rfc_9112_says() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (Framing::Length(5), open(None))),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\n", (Framing::Length(5), open(None))),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", (Framing::Chunked, open(None))),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
                (Framing::Chunked, CLOSED),
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", (Framing::UntilClose, CLOSED)),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", (Framing::Length(0), open(None))),
            (
                "HTTP/1.1 200\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
                (Framing::Length(0), CLOSED),
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", (Framing::Length(5), CLOSED)),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
                (Framing::Length(5), open(None)),
            ),
            (
                "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 5\r\n\r\n",
                (Framing::Length(5), open(Some(5))),
            ),
        ] {
            assert_eq!(framing(head), Ok(expected), "{head}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length : 5\r\n",
            "A: b\r\n c\r\n",
        ] {
            assert!(framing(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).is_err(), "{fields}");
        }
        assert!(framing("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(parse(b"{\"jsonrpc\":\"2.0\"}").is_err());
    }

    #[test]
    fn a_head_is_complete_with_its_empty_line() {
        let head = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for end in 0..head.len() {
            assert!(parse(&head.as_bytes()[..end]).is_ok_and(|parsed| parsed.is_none()), "{end}");
        }
    }

    #[test]
    fn fields_that_came_without_a_text_are_found_alike() {
        let mut fields = HeaderMap::new();
        fields.insert(header::CONTENT_TYPE, "a/b".parse().unwrap());
        fields.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        fields.insert(header::RETRY_AFTER, "7".parse().unwrap());
        let head = Head::of_fields(StatusCode::OK, &fields);
        assert_eq!((head.content_type(), head.get("Retry-After")), (Some("a/b"), Some("7")));
        assert_eq!(head.coding(), Some(Coding::Gzip));
        assert_eq!(head.get("retry"), None);
    }

    #[test]
    fn fields_are_found_without_case_and_not_by_a_part_of_their_name() {
        let head =
            Head::of(200, &[("X-Content-Type", "no"), ("Content-Type-X", "no"), ("CONTENT-type", " a/b ")]);
        assert_eq!(head.get("content-type"), Some("a/b"));
        assert_eq!(head.content_type(), Some("a/b"));
        assert_eq!(head.get("content"), None);
    }
}
