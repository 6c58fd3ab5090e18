//! MCP protocol revisions (specification, "Versioning") and the two eras they fall into.

use std::fmt;

/// A published MCP revision, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05.
    V20241105,
    /// 2025-03-26, the only revision with JSON-RPC batches.
    V20250326,
    /// 2025-06-18.
    V20250618,
    /// 2025-11-25, the last one with a handshake and sessions.
    V20251125,
    /// 2026-07-28, stateless.
    V20260728,
}

/// Whether a peer keeps a handshake and sessions (legacy) or is stateless (modern).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// Revisions up to 2025-11-25: `initialize`, sessions, server requests.
    Legacy,
    /// Revisions from 2026-07-28: every request carries its own context in `_meta`.
    Modern,
}

impl Revision {
    /// Every revision that this build speaks, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V20241105, Self::V20250326, Self::V20250618, Self::V20251125, Self::V20260728];
    /// The newest revision of the legacy era, offered when a client asks for one we do not know.
    pub const NEWEST_LEGACY: Self = Self::V20251125;
    /// The newest revision of the modern era.
    pub const NEWEST_MODERN: Self = Self::V20260728;

    /// The revision's text on the wire, such as `2025-06-18`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V20241105 => "2024-11-05",
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
            Self::V20260728 => "2026-07-28",
        }
    }

    /// Reads the wire text; `None` for a revision that this build does not know.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    /// The era of this revision.
    pub const fn era(self) -> Era {
        match self {
            Self::V20260728 => Era::Modern,
            _ => Era::Legacy,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
