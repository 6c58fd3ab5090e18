//! `[transport]`: how messages are written.

use std::time::Duration;

use aqe_core::batching::Batching;
use aqe_gateway::transport::http::{Compression, When};

use super::keys::{Choice, Flag, Int, SectionKeys};
use super::section::Section;

static BATCHING: Flag = Flag {
    name: "batching",
    default: true,
    meaning: "Whether progress and log messages may wait a moment, so that several are written at once. Everything else \
              leaves at once, with what waits before it: order is kept.",
};
static BATCHING_TIMEOUT: Int = Int {
    name: "batching_timeout_ms",
    default: 10,
    min: 1,
    max: 10_000,
    meaning: "Longest wait of such a message.",
};
static BATCHING_MAX_BYTES: Int = Int {
    name: "batching_max_bytes",
    default: 16 * 1024,
    min: 1,
    // Below what a stream takes before its senders wait.
    max: 64 * 1024,
    meaning: "So much is written without further waiting.",
};
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
    meaning: "How messages are written.",
    keys: &[&BATCHING, &BATCHING_TIMEOUT, &BATCHING_MAX_BYTES, &COMPRESSION, &COMPRESSION_MIN_BYTES],
};

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    /// How long messages may wait for others; `None`: not at all.
    pub batching: Option<Batching>,
    /// Which replies are compressed.
    pub compression: Compression,
}

impl Writing {
    /// Reads the section. A server that is not `optimized` writes every message as it comes and as it is.
    pub(super) fn read(section: &Section<'_, '_>, optimized: bool) -> Self {
        let batching = Batching {
            timeout: Duration::from_millis(section.int(&BATCHING_TIMEOUT)),
            max_bytes: section.int(&BATCHING_MAX_BYTES) as usize,
        };
        let when = section.choice(&COMPRESSION);
        Self {
            batching: (section.flag(&BATCHING) && optimized).then_some(batching),
            compression: Compression {
                when: if optimized { when } else { When::Never },
                min_bytes: section.int(&COMPRESSION_MIN_BYTES) as usize,
            },
        }
    }
}
