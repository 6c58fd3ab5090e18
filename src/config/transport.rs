//! `[transport]`: how replies are written.

use super::keys::{Choice, Int, SectionKeys};
use super::section::Section;

/// `[transport]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// For whom HTTP replies are compressed.
    pub compression: Compress,
    /// Length in bytes from which they are.
    pub compression_min: usize,
}

/// For whom HTTP replies are compressed, if they take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compress {
    /// Clients on other machines.
    Remote,
    /// Everybody.
    Always,
    /// Nobody.
    Never,
}

static COMPRESSION: Choice<Compress> = Choice {
    name: "compression",
    options: &[("remote", Compress::Remote), ("always", Compress::Always), ("never", Compress::Never)],
    meaning: "For whom HTTP replies are compressed, if they take zstd, gzip or br: clients on other machines, \
              everybody, nobody. On loopback it costs more time than it saves. Events are never compressed.",
};
static COMPRESSION_MIN_BYTES: Int = Int {
    name: "compression_min_bytes",
    default: 2048,
    min: 0,
    max: 1 << 30,
    meaning: "Length from which a reply is compressed. Below one packet nothing is saved.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "transport",
    repeated: false,
    meaning: "How replies are written.",
    keys: &[&COMPRESSION, &COMPRESSION_MIN_BYTES],
};

impl Transport {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        Self {
            compression: section.choice(&COMPRESSION),
            compression_min: section.int(&COMPRESSION_MIN_BYTES) as usize,
        }
    }
}
