//! Why a text is not a JSON-RPC message, in the terms of JSON-RPC 2.0 section 5.1.

/// Which of JSON-RPC's two refusals applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Not JSON that we take: -32700.
    Parse,
    /// JSON, but not a request, notification or response: -32600.
    Invalid,
}

/// A refused message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// Which refusal.
    pub kind: FaultKind,
    /// What was wrong, in words for the peer; holds nothing of the input.
    pub reason: String,
    /// The raw JSON text of the message's id, where it could be read.
    pub id: Option<String>,
}

impl Fault {
    /// The JSON-RPC error code of this fault.
    pub fn code(&self) -> i32 {
        match self.kind {
            FaultKind::Parse => -32700,
            FaultKind::Invalid => -32600,
        }
    }

    pub(super) fn parse(reason: impl Into<String>) -> Self {
        Self { kind: FaultKind::Parse, reason: reason.into(), id: None }
    }
}

impl From<super::ScanError> for Fault {
    fn from(error: super::ScanError) -> Self {
        Self::parse(error.to_string())
    }
}
