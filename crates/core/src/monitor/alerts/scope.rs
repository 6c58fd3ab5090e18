//! Of what a signal is watched.

use std::fmt;
use std::sync::Arc;

/// The kinds of [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// Everything.
    All,
    /// One tool.
    Tool,
    /// One upstream.
    Upstream,
    /// One category of tools.
    Category,
    /// One replica.
    Replica,
}

impl ScopeKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Tool => "tool",
            Self::Upstream => "upstream",
            Self::Category => "category",
            Self::Replica => "replica",
        }
    }
}

/// Of what a signal is watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything.
    All,
    /// The tool that clients know by this name.
    Tool(Arc<str>),
    /// The upstream of this name.
    Upstream(Arc<str>),
    /// The category of this name.
    Category(Arc<str>),
    /// The replica of an upstream.
    Replica {
        /// The upstream's name.
        upstream: Arc<str>,
        /// Its own.
        replica: Arc<str>,
    },
}

impl Scope {
    /// What kind of thing it is.
    pub fn kind(&self) -> ScopeKind {
        match self {
            Self::All => ScopeKind::All,
            Self::Tool(_) => ScopeKind::Tool,
            Self::Upstream(_) => ScopeKind::Upstream,
            Self::Category(_) => ScopeKind::Category,
            Self::Replica { .. } => ScopeKind::Replica,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().as_str();
        match self {
            Self::All => f.write_str(kind),
            Self::Tool(name) | Self::Upstream(name) | Self::Category(name) => write!(f, "{kind} {name}"),
            Self::Replica { upstream, replica } => write!(f, "{kind} {upstream}/{replica}"),
        }
    }
}
