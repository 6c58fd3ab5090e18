//! The content codings that we write and read (RFC 9110 section 8.4.1), and how texts are coded.

mod listed;
mod stem;
#[cfg(test)]
mod tests;

use std::io::{self, Write as _};

pub(crate) use listed::{List, Listed};

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Gzip,
    Brotli,
}

impl Coding {
    /// All of them, the cheapest to write first.
    pub(crate) const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Brotli];

    /// Its name in HTTP.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// Codes a text.
    ///
    /// # Errors
    /// If the compressor fails.
    pub(crate) fn encode(self, text: &[u8], effort: Effort) -> io::Result<Vec<u8>> {
        // A guess that spares most of the growing.
        let packed = Vec::with_capacity(text.len() / 3);
        match self {
            Self::Zstd => zstd::bulk::compress(text, effort.zstd),
            Self::Gzip => {
                let level = flate2::Compression::new(effort.gzip);
                let mut encoder = flate2::write::GzEncoder::new(packed, level);
                encoder.write_all(text)?;
                encoder.finish()
            }
            Self::Brotli => {
                let mut encoder = effort.brotli(packed);
                encoder.write_all(text)?;
                Ok(encoder.into_inner())
            }
        }
    }
}

/// How hard is tried, by coding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    zstd: i32,
    gzip: u32,
    brotli: u32,
}

impl Effort {
    /// For one reply: with more, it takes longer to compress than it saves on any but the slowest lines.
    pub(crate) const ONCE: Self = Self { zstd: 1, gzip: 4, brotli: 4 };
    /// For what many replies begin with: as short as it gets.
    pub(crate) const OFTEN: Self = Self { zstd: 19, gzip: 9, brotli: 11 };

    fn brotli(self, out: Vec<u8>) -> brotli::CompressorWriter<Vec<u8>> {
        const BUFFER_BYTES: usize = 4096;
        const WINDOW: u32 = 20;
        brotli::CompressorWriter::new(out, BUFFER_BYTES, self.brotli, WINDOW)
    }
}
