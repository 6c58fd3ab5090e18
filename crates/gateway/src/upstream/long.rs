//! An answer that is too long to be collected: it is read while it is passed on.

use std::fmt;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::CallError;

/// Results that are longer than this, in bytes, are passed on while they come. Shorter ones are proven whole before
/// their first byte leaves: what is wrong with them is an error in their place, they can be had from another replica,
/// kept and compressed (docs/adr/0008).
pub(crate) const LONG_BYTES: usize = 1024 * 1024;

/// A result of which the beginning has come.
pub struct LongReply {
    /// That: the text of the message up to somewhere within its result.
    pub head: BytesMut,
    /// Length of the whole text, where it is known.
    pub length: Option<u64>,
    /// The text behind it.
    pub rest: Box<dyn Rest>,
}

/// The rest of a text that comes in pieces. Dropped before its end, it cancels the call at the upstream.
pub trait Rest: Send {
    /// The next piece, which is not empty; `None` at the end. Nothing more is read until it is asked for.
    ///
    /// # Errors
    /// If it breaks off. It must not be polled again after that, nor after the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, CallError>>;

    /// Whether answers of other calls wait behind this one.
    fn holds_others(&self) -> bool;
}

impl fmt::Debug for LongReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongReply")
            .field("head", &self.head.len())
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
