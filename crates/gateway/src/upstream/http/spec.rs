//! What a streamable HTTP upstream is: its address, its headers, its limits.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use aqe_core::envelope::Limits;
use http::{HeaderName, HeaderValue, Uri, header};

/// Where an upstream is reached. Its `Debug` shows the origin and header names only: path, query and header
/// values may hold credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpSpec {
    /// The MCP endpoint, `http` or `https`.
    pub url: Uri,
    /// Headers of every request, such as `Authorization`. Never sent to another origin.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A PEM file with further root certificates, trusted in addition to the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether to speak HTTP/2 with an `https` server that offers it.
    pub http2: bool,
}

impl fmt::Debug for HttpSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpSpec")
            .field("origin", &Origin::of(&self.url).map(|origin| origin.to_string()))
            .field("headers", &names)
            .field("ca_file", &self.ca_file)
            .field("http2", &self.http2)
            .finish()
    }
}

/// Bounds on one connection.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Bytes of one JSON body or one server-sent event.
    pub max_body_bytes: usize,
    /// Bounds on one JSON-RPC message.
    pub message: Limits,
    /// Time for name lookup, TCP and TLS together.
    pub connect_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 16 * 1024 * 1024,
            message: Limits::default(),
            connect_timeout: Duration::from_secs(3),
        }
    }
}

/// A specification that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The URL is not an absolute `http` or `https` URL.
    #[error("the URL of an upstream must be http://host… or https://host…")]
    Url,
    /// A header that belongs to the transport and must not be configured.
    #[error("header {0} cannot be configured: the transport sets it")]
    Header(HeaderName),
    /// The file with root certificates cannot be used.
    #[error("certificates in {path}: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Scheme, host and port: who gets our credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute http or https URL.
    pub(super) fn of(url: &Uri) -> Option<Self> {
        let https = match url.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = url.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        Some(Self { https, host, port })
    }

    /// Whether it is on this machine, as far as its name says.
    pub(super) fn is_loopback(&self) -> bool {
        let name = self.host.trim_start_matches('[').trim_end_matches(']');
        name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Whether connections to it are encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    /// The value of the `Host` header (RFC 9110 section 7.2).
    pub(super) fn host_header(&self) -> String {
        if self.port == if self.https { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.host_header())
    }
}

/// Headers that frame the message or name the session; a configured value could only break them.
const RESERVED: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
];

impl HttpSpec {
    /// Checks the specification and names its origin.
    pub(super) fn origin(&self) -> Result<Origin, SpecError> {
        if let Some((name, _)) = self.headers.iter().find(|(name, _)| {
            RESERVED.contains(name) || name.as_str().starts_with("mcp-") || name == "last-event-id"
        }) {
            return Err(SpecError::Header(name.clone()));
        }
        Origin::of(&self.url).ok_or(SpecError::Url)
    }

    /// The texts of this specification that no error may repeat, even where a server echoes them.
    pub(super) fn secrets(&self) -> Secrets {
        let mut texts = Vec::new();
        for value in self.headers.iter().filter_map(|(_, value)| value.to_str().ok()) {
            texts.push(value.to_owned());
            // `Bearer x`: a server may echo `x` alone.
            texts.extend(value.split_once(' ').map(|(_, credentials)| credentials.to_owned()));
        }
        if let Some(path) = self.url.path_and_query().filter(|path| path.as_str() != "/") {
            texts.extend(path.query().map(str::to_owned));
            texts.push(path.path().to_owned());
        }
        texts.retain(|text| !text.trim().is_empty());
        // Longest first, so that no rest of a longer secret stays.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Secrets(texts)
    }
}

/// Texts to keep out of errors.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// The text without them.
    pub(super) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[…]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(url: &str, headers: &[(&'static str, &'static str)]) -> HttpSpec {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        HttpSpec { url: url.parse().unwrap(), headers, ca_file: None, http2: true }
    }

    #[test]
    fn origins_compare_by_scheme_host_and_effective_port() {
        let of = |url: &str| Origin::of(&url.parse().unwrap()).unwrap();
        assert_eq!(of("http://A.example/x"), of("http://a.example:80/y?z"));
        assert_ne!(of("http://a.example"), of("https://a.example"));
        assert_ne!(of("http://a.example"), of("http://a.example:8080"));
        assert_eq!(of("https://user:pw@a.example:444/secret?k=v").to_string(), "https://a.example:444");
        assert_eq!(of("http://[::1]:9/").host_header(), "[::1]:9");
    }

    #[test]
    fn only_http_urls_and_headers_that_are_not_the_transports_are_taken() {
        assert!(matches!(spec("ftp://a/", &[]).origin(), Err(SpecError::Url)));
        assert!(matches!(spec("/path", &[]).origin(), Err(SpecError::Url)));
        for name in ["content-length", "transfer-encoding", "mcp-session-id"] {
            assert!(
                matches!(spec("http://a/", &[(name, "1")]).origin(), Err(SpecError::Header(_))),
                "{name}"
            );
        }
        assert!(spec("http://a/", &[("authorization", "Bearer x")]).origin().is_ok());
    }

    #[test]
    fn neither_debug_nor_redacted_text_holds_a_secret() {
        let spec = spec(
            "https://a.example/s/PATHSECRET?key=QUERYSECRET",
            &[("authorization", "Bearer HEADERSECRET")],
        );
        let echoed = "no: Bearer HEADERSECRET, HEADERSECRET, /s/PATHSECRET?key=QUERYSECRET, key=QUERYSECRET";
        for text in [format!("{spec:?}"), spec.secrets().redact(echoed)] {
            assert!(!text.contains("SECRET"), "{text}");
        }
    }
}
