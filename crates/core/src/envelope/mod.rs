//! JSON-RPC messages as spans of the received bytes.
//!
//! A message is scanned once, from front to back: the scan proves that it is JSON, bounds its depth and notes
//! where the few members lie that a gateway must look at. Everything else stays as it was received;
//! forwarding splices new bytes around it ([`Edits`]). Nothing here decodes a number or a string that is only
//! passed on, so `1e400`, `1.0`, odd ids, key order and unknown members survive.

mod cut;
mod edit;
mod error;
mod fields;
mod lines;
mod message;
mod methods;
mod push;
mod recover;
mod scan;
mod skip;
mod sse;
mod string;
mod transit;

pub use edit::{Edits, line_safe, open_object};
pub use error::{Fault, FaultKind};
pub use fields::Field;
pub use lines::{Line, Lines};
pub use message::{Kind, Message, is_batch, split_batch};
pub use push::{Mark, Place, PushScanner};
pub use recover::recover_id;
pub use scan::{ScanError, Scanner, Span};
pub use sse::{Event, EventPieces, Piece, SseDecoder, SseError, encode_event};
pub use string::{decode_quoted, decode_string, encode_string};
pub use transit::{Beginning, Change, ResultType, Transit, TransitError, answers_to};

/// Nesting that is read in a part of a message that has been scanned before. Above any limit that a message is
/// scanned with, and small enough for the stack.
pub const MAX_FRAGMENT_DEPTH: u16 = 1_024;

/// Bounds on one message, so that no peer can make us hold or walk without end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nesting of arrays and objects, counted from the envelope.
    pub max_depth: u16,
    /// Messages in one JSON-RPC batch.
    pub max_batch: usize,
}

impl Default for Limits {
    /// 128 levels is what serde_json and with it most peers read; 1,000 messages bound the work of one POST.
    fn default() -> Self {
        Self { max_depth: 128, max_batch: 1_000 }
    }
}
