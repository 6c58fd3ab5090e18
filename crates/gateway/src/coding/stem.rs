//! A coded text whose end is still open: what many replies begin with is compressed once, and the end of each, which is
//! short, is put behind it as it is.
//!
//! The compressor is flushed, not finished, so that its output ends at a byte: the end then goes into one block that is
//! not compressed. The whole is one ordinary member, frame or stream, such as a compressor makes that is given text
//! which does not get shorter. (Two members or frames in a row would be allowed by RFC 1952 and RFC 8878, but browsers
//! read the first one only.)

use std::io::{self, Write as _};

use flate2::Crc;
use zstd::zstd_safe::CParameter;

use super::{Coding, Effort};

/// RFC 1952 section 2.3: deflate, no name, no time, the slowest compression, of unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff];
/// The window of zstd, in powers of two: a block must fit into it, and clients need not have more than 8 MiB for it
/// (RFC 9659).
const ZSTD_WINDOW: std::ops::RangeInclusive<u32> = 17..=23;

/// The coded beginning of replies.
#[derive(Debug)]
pub(crate) struct Stem {
    coding: Coding,
    bytes: bytes::Bytes,
    /// Of the text, for gzip.
    crc: Crc,
}

impl Stem {
    /// Codes the beginning.
    ///
    /// # Errors
    /// If the compressor fails.
    pub(crate) fn new(coding: Coding, text: &[u8], effort: Effort) -> io::Result<Self> {
        let mut crc = Crc::new();
        let bytes = match coding {
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), effort.zstd)?;
                let window = text.len().next_power_of_two().ilog2();
                let window = window.clamp(*ZSTD_WINDOW.start(), *ZSTD_WINDOW.end());
                encoder.set_parameter(CParameter::WindowLog(window))?;
                encoder.write_all(text)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
            Coding::Gzip => {
                crc.update(text);
                let level = flate2::Compression::new(effort.gzip);
                let mut encoder = flate2::write::DeflateEncoder::new(GZIP_HEADER.to_vec(), level);
                encoder.write_all(text)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
            Coding::Brotli => {
                let mut encoder = effort.brotli(Vec::new());
                encoder.write_all(text)?;
                encoder.flush()?;
                let flushed = encoder.get_ref().len();
                let mut bytes = encoder.into_inner();
                bytes.truncate(flushed);
                bytes
            }
        };
        Ok(Self { coding, bytes: bytes.into(), crc })
    }

    /// The coded beginning.
    pub(crate) fn bytes(&self) -> &bytes::Bytes {
        &self.bytes
    }

    /// What follows it in a reply that ends with `end`; `None` if that is
    /// empty or longer than 65,535 bytes, which all three formats take in one block.
    pub(crate) fn end(&self, end: &[u8]) -> Option<Vec<u8>> {
        let length = u16::try_from(end.len()).ok().filter(|length| *length > 0)?;
        Some(match self.coding {
            // RFC 8878 section 3.1.1.2: the last block, raw.
            Coding::Zstd => [&(u32::from(length) << 3 | 1).to_le_bytes()[..3], end].concat(),
            // RFC 1951 section 3.2.4: the last block, stored; RFC 1952 section 2.3.1: checksum and length of the text.
            Coding::Gzip => {
                let mut crc = Crc::new();
                crc.combine(&self.crc);
                crc.update(end);
                [
                    &[1],
                    &length.to_le_bytes()[..],
                    &(!length).to_le_bytes(),
                    end,
                    &crc.sum().to_le_bytes(),
                    &crc.amount().to_le_bytes(),
                ]
                .concat()
            }
            // RFC 7932 section 9.2: a meta-block that is not the last one, with a length of four nibbles, not compressed;
            // then an empty last one.
            Coding::Brotli => {
                let header = (u32::from(length) - 1) << 3 | 1 << 19;
                [&header.to_le_bytes()[..3], end, &[3]].concat()
            }
        })
    }
}
