//! Bodies that a server has compressed (RFC 9110 section 8.4): gzip, zstd and br, piece by piece.

use std::fmt;
use std::io::{self, Write};

use bytes::BytesMut;

use crate::coding::Coding;

/// What is asked for where it pays: a loopback has no slow line.
pub(super) const ACCEPTED: &str = "zstd, gzip, br";

/// What one piece of a body may expand to.
const MAX_EXPANDED: usize = 16 * 1024 * 1024;
/// Largest window of zstd that a decoder must have, as a power of two: 8 MiB (RFC 9659 section 3).
const ZSTD_WINDOW_LOG: u32 = 23;
/// Memory that the brotli decoder reads through.
const BROTLI_BUFFER: usize = 8 * 1024;

/// The coding that a server names so; `x-gzip` is an old name of gzip (RFC 9110 section 8.4.1.3).
pub(super) fn named(name: &str) -> Option<Coding> {
    let name = name.trim();
    if name.eq_ignore_ascii_case("x-gzip") {
        return Some(Coding::Gzip);
    }
    Coding::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name()))
}

/// Expands one body.
pub(super) enum Decoder {
    Gzip(Box<flate2::write::MultiGzDecoder<Expanded>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Expanded>>),
    Brotli(Box<brotli::DecompressorWriter<Expanded>>),
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
            Self::Brotli(_) => "Brotli",
        })
    }
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        let expanded = Expanded::default();
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Box::new(flate2::write::MultiGzDecoder::new(expanded))),
            Coding::Zstd => {
                let mut decoder = zstd::stream::write::Decoder::new(expanded)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Self::Zstd(Box::new(decoder))
            }
            Coding::Brotli => {
                Self::Brotli(Box::new(brotli::DecompressorWriter::new(expanded, BROTLI_BUFFER)))
            }
        })
    }

    /// Adds to `into` what a piece of the body expands to, as far as that can be told yet.
    ///
    /// # Errors
    /// If it is not of this coding, or expands to too much.
    pub(super) fn expand(&mut self, piece: &[u8], into: &mut BytesMut) -> io::Result<()> {
        fn through(decoder: &mut impl Write, piece: &[u8]) -> io::Result<()> {
            decoder.write_all(piece)?;
            decoder.flush()
        }
        let expanded = match self {
            Self::Gzip(decoder) => {
                through(decoder, piece)?;
                decoder.get_mut()
            }
            Self::Zstd(decoder) => {
                through(decoder, piece)?;
                decoder.get_mut()
            }
            Self::Brotli(decoder) => {
                through(decoder, piece)?;
                decoder.get_mut()
            }
        };
        into.extend_from_slice(&expanded.0);
        expanded.0.clear();
        Ok(())
    }
}

/// Where decoders write to; refuses what a small body may have been made to expand to.
#[derive(Debug, Default)]
pub(super) struct Expanded(Vec<u8>);

impl Write for Expanded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_EXPANDED {
            let why = format!("a piece of the body expands to more than {MAX_EXPANDED} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(coding: Coding, text: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Zstd => zstd::bulk::compress(text, 1).unwrap(),
            Coding::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20);
                encoder.write_all(text).unwrap();
                encoder.into_inner()
            }
        }
    }

    #[test]
    fn a_body_reads_the_same_however_it_is_cut() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for coding in Coding::ALL {
            let packed = packed(coding, &text);
            for size in [1, 7, 1000, packed.len()] {
                let mut decoder = Decoder::new(coding).unwrap();
                let mut read = BytesMut::new();
                for piece in packed.chunks(size) {
                    decoder.expand(piece, &mut read).unwrap();
                }
                assert!(read == text[..], "{coding:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_was_flushed_is_told_at_once_and_once() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut decoder = Decoder::new(Coding::Gzip).unwrap();
        for text in ["data: one\n\n", "data: two\n\n"] {
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let mut read = BytesMut::new();
            decoder.expand(&std::mem::take(encoder.get_mut()), &mut read).unwrap();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn what_expands_to_too_much_and_what_is_no_such_coding_is_refused() {
        let bomb = vec![0; MAX_EXPANDED + 1];
        for coding in Coding::ALL {
            let expand = |body: &[u8]| Decoder::new(coding).unwrap().expand(body, &mut BytesMut::new());
            assert!(expand(&packed(coding, &bomb)).is_err(), "{coding:?}");
            assert!(expand(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#).is_err(), "{coding:?}");
        }
    }
}
