//! `[transport]`: how replies are written.

use aqe_gateway::transport::http::{Compression, When};

use super::keys::{Choice, Int, SectionKeys};
use super::section::Section;

static COMPRESSION: Choice<When> = Choice {
    name: "compression",
    options: &[("remote", When::Remote), ("always", When::Always), ("never", When::Never)],
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

/// Reads the section.
pub(super) fn read(section: &Section<'_, '_>) -> Compression {
    Compression {
        when: section.choice(&COMPRESSION),
        min_bytes: section.int(&COMPRESSION_MIN_BYTES) as usize,
    }
}
