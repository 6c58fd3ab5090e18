//! Just enough HTTP/1.1 framing (RFC 9112) for a raw server and a raw client: heads, `Content-Length`
//! and chunked bodies. Nothing is normalised except the case of header names.

use std::io;

use bytes::Bytes;
use tokio::io::AsyncRead;

use crate::buffered::Buffered;

/// Largest head that is read, in bytes.
const MAX_HEAD_BYTES: usize = 1024 * 1024;

/// Header fields in the order of the wire; names lower-cased, values as sent (invalid UTF-8 replaced).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of `name` (any case).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every field, in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether `name` is there and its value begins with `prefix`, case ignored.
    pub fn begins(&self, name: &str, prefix: &str) -> bool {
        self.get(name)
            .and_then(|value| value.get(..prefix.len()))
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    }
}

/// The head of a request or a response.
#[derive(Debug, Clone)]
pub struct Head {
    /// The request line or the status line, without its line end.
    pub start: String,
    /// The header fields.
    pub headers: Headers,
}

impl Head {
    /// Splits a head at its line ends; obsolete folding and fields without a colon are dropped.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
            .collect();
        Self { start, headers: Headers(headers) }
    }

    /// The n-th word of the start line (method, path or status), empty when absent.
    pub fn word(&self, index: usize) -> &str {
        self.start.split(' ').nth(index).unwrap_or_default()
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes more.
    Length(usize),
    /// With a chunk of length zero; here a chunk begins.
    Chunked,
    /// As before, within a chunk that has this many bytes left.
    Chunk(usize),
    /// As before, in the trailer section after the last chunk.
    Trailer,
    /// With the connection.
    Close,
}

impl Framing {
    /// The framing that `headers` announce; `otherwise` when they announce none (a request without
    /// length has no body, a response without length ends with the connection).
    pub fn of(headers: &Headers, otherwise: Self) -> Self {
        if headers.begins("transfer-encoding", "chunked") {
            return Self::Chunked;
        }
        headers.get("content-length").and_then(|length| length.parse().ok()).map_or(otherwise, Self::Length)
    }
}

/// Reads a head; `None` when the stream ends before its first byte.
pub(crate) async fn read_head<R: AsyncRead + Unpin>(reader: &mut Buffered<R>) -> io::Result<Option<Head>> {
    let Some(bytes) = reader.until(b"\r\n\r\n").await? else { return Ok(None) };
    if bytes.len() > MAX_HEAD_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "head longer than 1 MiB"));
    }
    if !bytes.ends_with(b"\r\n\r\n") {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the stream ended within a head: {text:?}"),
        ));
    }
    Ok(Some(Head::parse(&bytes)))
}

/// Reads the next piece of a body and moves `framing` on; `None` at the end of the body. The wait may be
/// cancelled: `framing` and the buffer then say where to go on.
pub(crate) async fn read_piece<R: AsyncRead + Unpin>(
    reader: &mut Buffered<R>,
    framing: &mut Framing,
) -> io::Result<Option<Bytes>> {
    loop {
        match *framing {
            Framing::Length(0) => return Ok(None),
            Framing::Length(left) => {
                let piece = up_to(reader, left).await?;
                *framing = Framing::Length(left - piece.len());
                return Ok(Some(piece));
            }
            Framing::Close => return reader.some().await,
            Framing::Chunked => {
                let line = line(reader).await?;
                let digits = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(digits, 16).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, format!("not a chunk size: {line:?}"))
                })?;
                *framing = if size == 0 { Framing::Trailer } else { Framing::Chunk(size) };
            }
            Framing::Chunk(0) => {
                reader.exactly(2).await?;
                *framing = Framing::Chunked;
            }
            Framing::Chunk(left) => {
                let piece = up_to(reader, left).await?;
                *framing = Framing::Chunk(left - piece.len());
                return Ok(Some(piece));
            }
            Framing::Trailer => {
                if line(reader).await?.is_empty() {
                    *framing = Framing::Length(0);
                }
            }
        }
    }
}

/// Between one and `most` bytes.
async fn up_to<R: AsyncRead + Unpin>(reader: &mut Buffered<R>, most: usize) -> io::Result<Bytes> {
    if reader.peek().is_empty() && !reader.fill().await? {
        let message = format!("the body ended {most} bytes early");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    let count = most.min(reader.peek().len());
    reader.exactly(count).await
}

/// A line of the chunked framing, without its line end.
async fn line<R: AsyncRead + Unpin>(reader: &mut Buffered<R>) -> io::Result<String> {
    match reader.until(b"\r\n").await? {
        Some(line) if line.ends_with(b"\r\n") => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body ended before its last chunk")),
    }
}

/// Reads a whole body.
pub(crate) async fn read_body<R: AsyncRead + Unpin>(
    reader: &mut Buffered<R>,
    mut framing: Framing,
) -> io::Result<Bytes> {
    let mut body = Vec::new();
    while let Some(piece) = read_piece(reader, &mut framing).await? {
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}
