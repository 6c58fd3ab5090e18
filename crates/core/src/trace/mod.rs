//! Which trace a request belongs to (W3C Trace Context, level 1: <https://www.w3.org/TR/trace-context-1/>).
//!
//! # Layout
//! - this file: ids, and `traceparent` as text; [`state`]: `tracestate`.

mod state;
#[cfg(test)]
mod tests;

use std::fmt;

pub use state::{MAX_STATE_BYTES, is_state, shortened_state};

/// The name of the HTTP header and of the member of `_meta` (MCP SEP-414) that say the trace and the parent.
pub const TRACEPARENT: &str = "traceparent";
/// The name of what vendors have to say of the trace.
pub const TRACESTATE: &str = "tracestate";

/// The bit of the flags that says that the caller may have recorded the trace.
const SAMPLED: u8 = 0x01;
/// `00-` trace id `-` parent id `-` flags.
const LENGTH: usize = 55;

/// A trace: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// One span of a trace: 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

macro_rules! id {
    ($type:ident, $length:literal) => {
        impl $type {
            /// Takes random bytes; all zero, which is no id, becomes another one.
            pub fn from_random(mut bytes: [u8; $length]) -> Self {
                if bytes == [0; $length] {
                    bytes[$length - 1] = 1;
                }
                Self(bytes)
            }

            /// The bytes, as OTLP sends them.
            pub fn bytes(&self) -> &[u8; $length] {
                &self.0
            }

            fn parse(hex: &[u8]) -> Option<Self> {
                let mut bytes = [0; $length];
                unhex(hex, &mut bytes)?;
                (bytes != [0; $length]).then_some(Self(bytes))
            }
        }

        /// Lower-case hexadecimal digits, as in `traceparent`.
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
id!(TraceId, 16);
id!(SpanId, 8);

/// A span as others refer to it: what `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span that is the parent of whatever is caused by it.
    pub span: SpanId,
    /// Whether it is recorded.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads a `traceparent`. One of a later version is read as far as this one goes (section 4.3); `None` for what
    /// does not fit the grammar, which is to be treated as if nothing had been sent.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let [version_high, version_low, ..] = *text else { return None };
        let version = [version_high, version_low];
        let mut number = [0];
        unhex(&version, &mut number)?;
        let fits = match number {
            [0x00] => text.len() == LENGTH,
            [0xff] => false,
            _ => text.len() == LENGTH || text.get(LENGTH) == Some(&b'-'),
        };
        let dashes = [2, 35, 52].iter().all(|at| text.get(*at) == Some(&b'-'));
        if !fits || !dashes {
            return None;
        }
        let mut flags = [0];
        unhex(text.get(53..LENGTH)?, &mut flags)?;
        Some(Self {
            trace: TraceId::parse(text.get(3..35)?)?,
            span: SpanId::parse(text.get(36..52)?)?,
            sampled: flags[0] & SAMPLED != 0,
        })
    }
}

/// The text of a `traceparent` of version 00. Flags that this version does not know are not set.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Reads lower-case hexadecimal digits, two for each byte of `into`.
fn unhex(digits: &[u8], into: &mut [u8]) -> Option<()> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if digits.len() != into.len() * 2 {
        return None;
    }
    for (pair, byte) in digits.chunks_exact(2).zip(into) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// Which traces that begin with us are recorded: a share of them. What has a parent is recorded if the parent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// A random number below it is a yes; `None`: always.
    bound: Option<u64>,
}

impl Sampler {
    /// Records this share of the traces, from 0 to 1.
    pub fn new(ratio: f64) -> Self {
        if ratio >= 1.0 {
            return Self { bound: None };
        }
        // Two to the power of 64. A float beyond either end becomes that end, and no number one becomes 0.
        Self { bound: Some((ratio * 18_446_744_073_709_551_616.0) as u64) }
    }

    /// Whether a request with this parent is recorded. `random` is drawn for one without, where it matters.
    pub fn decide(&self, parent: Option<&TraceParent>, random: impl FnOnce() -> u64) -> bool {
        match (parent, self.bound) {
            (Some(parent), _) => parent.sampled,
            (None, None) => true,
            (None, Some(0)) => false,
            (None, Some(bound)) => random() < bound,
        }
    }
}
