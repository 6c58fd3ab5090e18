//! The scenes that peers play in: who speaks how on either side.

use serde::Deserialize;

use crate::message::Era;

/// How clients come, and where the upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scene {
    HttpHttp,
    HttpStdio,
    StdioHttp,
    StdioStdio,
}

impl Scene {
    /// All of them, with the era that clients speak.
    pub(crate) fn all() -> Vec<(Self, Era)> {
        vec![
            (Self::HttpHttp, Era::Legacy),
            (Self::HttpHttp, Era::Modern),
            (Self::HttpStdio, Era::Legacy),
            (Self::HttpStdio, Era::Modern),
            (Self::StdioHttp, Era::Legacy),
            (Self::StdioStdio, Era::Legacy),
        ]
    }

    /// Its name in files.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::HttpHttp => "http-http",
            Self::HttpStdio => "http-stdio",
            Self::StdioHttp => "stdio-http",
            Self::StdioStdio => "stdio-stdio",
        }
    }

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HttpHttp => "HTTP→HTTP",
            Self::HttpStdio => "HTTP→stdio",
            Self::StdioHttp => "stdio→HTTP",
            Self::StdioStdio => "stdio→stdio",
        }
    }

    /// Whether clients come over HTTP.
    pub(crate) fn has_http_clients(self) -> bool {
        matches!(self, Self::HttpHttp | Self::HttpStdio)
    }

    /// Whether the upstream is a child.
    pub(crate) fn has_child(self) -> bool {
        matches!(self, Self::HttpStdio | Self::StdioStdio)
    }
}
