//! Who may talk to us: Host and Origin on every path (2025-11-25 and 2026-07-28, "Security Warning"), and the bearer
//! token.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};

use super::headers::{one, single};
use super::reply::{self, ReplyBody};
use crate::settings::LOCAL_PRINCIPAL;

/// What the configuration says about who may talk to us.
#[derive(Clone, Default)]
pub struct EdgePolicy {
    /// Host names, without port, that are ours beside the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// Origins (`https://example.org`) that may use us beside the loopback ones.
    pub allowed_origins: Vec<String>,
    /// The bearer token that every MCP request must carry.
    pub bearer: Option<String>,
}

impl std::fmt::Debug for EdgePolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgePolicy")
            .field("allowed_hosts", &self.allowed_hosts)
            .field("allowed_origins", &self.allowed_origins)
            .field("bearer", &self.bearer.as_ref().map(|_| "set"))
            .finish()
    }
}

/// The same, ready for checking.
#[derive(Debug)]
pub(super) struct Policy {
    configured: EdgePolicy,
    local: Arc<str>,
    bearer: Arc<str>,
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

type Refused = Response<ReplyBody>;

impl Policy {
    pub(super) fn new(policy: EdgePolicy) -> Self {
        Self { configured: policy, local: Arc::from(LOCAL_PRINCIPAL), bearer: Arc::from("bearer") }
    }

    /// Checks `Host` and `Origin`, so that a page in the user's browser cannot reach us through a name that
    /// somebody else controls (DNS rebinding).
    pub(super) fn check_origin(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Refused> {
        // An absolute request target would take the place of Host (RFC 9112 section 3.2.2).
        if let Some(authority) = uri.authority()
            && !self.is_our_host(authority.as_str())
        {
            return Err(reply::text(StatusCode::FORBIDDEN, "this host is not served here\n"));
        }
        match one(headers, &header::HOST).map(|host| host.map(HeaderValue::to_str)) {
            Ok(Some(Ok(host))) if self.is_our_host(host) => {}
            Ok(Some(Ok(_))) => {
                return Err(reply::text(
                    StatusCode::FORBIDDEN,
                    "this host is not served here; see server.allowed_hosts\n",
                ));
            }
            _ => return Err(reply::text(StatusCode::BAD_REQUEST, "exactly one Host header is needed\n")),
        }
        match one(headers, &header::ORIGIN).map(|origin| origin.map(HeaderValue::to_str)) {
            Ok(None) => Ok(()),
            Ok(Some(Ok(origin))) if self.is_our_origin(origin) => Ok(()),
            _ => Err(reply::text(
                StatusCode::FORBIDDEN,
                "this origin may not use the server; see server.allowed_origins\n",
            )),
        }
    }

    fn is_our_host(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else { return false };
        LOOPBACK.iter().any(|loopback| loopback.eq_ignore_ascii_case(name))
            || self
                .configured
                .allowed_hosts
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name) || allowed.eq_ignore_ascii_case(host))
    }

    fn is_our_origin(&self, origin: &str) -> bool {
        if self.configured.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let name = rest.and_then(without_port);
        name.is_some_and(|name| LOOPBACK.iter().any(|loopback| loopback.eq_ignore_ascii_case(name)))
    }

    /// Checks that a request that names its `Origin` comes from the page of this very address, or of one that the
    /// configuration allows: another program's page on this machine is none of ours.
    pub(super) fn check_same_origin(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(origin) = single(headers, &header::ORIGIN) else { return Ok(()) };
        let host = single(headers, &header::HOST).unwrap_or_default();
        let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let configured = || self.configured.allowed_origins.iter().any(|it| it.eq_ignore_ascii_case(origin));
        if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) || configured() {
            return Ok(());
        }
        Err(reply::text(StatusCode::FORBIDDEN, "a page of another origin may not ask for this\n"))
    }

    /// The principal of a request.
    pub(super) fn principal(&self, headers: &HeaderMap, local: bool) -> Result<Arc<str>, Refused> {
        let Some(expected) = self.configured.bearer.as_deref().filter(|_| !local) else {
            return Ok(Arc::clone(&self.local));
        };
        let given = single(headers, &header::AUTHORIZATION).and_then(|value| value.split_once(' '));
        let token = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if token.is_some_and(|(_, token)| same(token.trim().as_bytes(), expected.as_bytes())) {
            return Ok(Arc::clone(&self.bearer));
        }
        let mut response = reply::text(StatusCode::UNAUTHORIZED, "a bearer token is needed\n");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Err(response)
    }
}

/// The name in `name[:port]`; `None` if that is not what it is.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')? + 2;
            (&host[..end], host.get(end..)?.strip_prefix(':'))
        }
        // Byte by byte, for it is short.
        None => match host.bytes().position(|byte| byte == b':') {
            Some(at) => (&host[..at], host.get(at + 1..)),
            None => (host, None),
        },
    };
    let rest = host.len() - name.len();
    let port_is_fine = match port {
        Some(port) => port.parse::<u16>().is_ok(),
        None => rest == 0,
    };
    (port_is_fine && !name.is_empty()).then_some(name)
}

/// Compares in a time that does not tell where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(policy: &EdgePolicy, headers: &[(&'static str, &'static str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        match Policy::new(policy.clone()).check_origin(&map, &Uri::from_static("/mcp")) {
            Ok(()) => 200,
            Err(refusal) => refusal.status().as_u16(),
        }
    }

    #[test]
    fn only_our_own_hosts_are_served() {
        let own = EdgePolicy { allowed_hosts: vec!["mcp.example.org".into()], ..EdgePolicy::default() };
        for (host, expected) in [
            ("localhost", 200),
            ("LOCALHOST:8765", 200),
            ("127.0.0.1:1", 200),
            ("[::1]:8765", 200),
            ("mcp.example.org:443", 200),
            ("evil.com", 403),
            ("localhost.evil.com", 403),
            ("evil.com:127.0.0.1", 403),
            ("127.0.0.1.evil.com", 403),
            ("localhost:8765:1", 403),
            ("localhost:", 403),
            ("localhost:99999", 403),
            ("[::1", 403),
            ("[::1]x", 403),
            ("user@localhost", 403),
            ("", 403),
            ("0.0.0.0", 403),
        ] {
            assert_eq!(status(&own, &[("host", host)]), expected, "{host}");
        }
        assert_eq!(status(&own, &[]), 400);
        assert_eq!(status(&own, &[("host", "localhost"), ("host", "localhost")]), 400);
    }

    #[test]
    fn only_our_own_origins_may_use_us() {
        let own =
            EdgePolicy { allowed_origins: vec!["https://app.example.org".into()], ..EdgePolicy::default() };
        for (origin, expected) in [
            ("http://localhost:3000", 200),
            ("https://127.0.0.1", 200),
            ("https://app.example.org", 200),
            ("null", 403),
            ("http://evil.com", 403),
            ("http://localhost.evil.com", 403),
            ("http://localhost@evil.com", 403),
            ("http://app.example.org", 403),
            ("file://localhost", 403),
            ("http://localhost/path", 403),
            ("", 403),
        ] {
            assert_eq!(status(&own, &[("host", "localhost"), ("origin", origin)]), expected, "{origin}");
        }
        let twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")];
        assert_eq!(status(&own, &twice), 403);
    }

    #[test]
    fn monitoring_is_for_the_page_of_its_own_address() {
        let own =
            EdgePolicy { allowed_origins: vec!["https://ops.example.org".into()], ..EdgePolicy::default() };
        let own = Policy::new(own);
        let is_taken = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8765"));
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
            own.check_same_origin(&headers).is_ok()
        };
        for origin in [None, Some("http://127.0.0.1:8765"), Some("https://ops.example.org")] {
            assert!(is_taken(origin), "{origin:?}");
        }
        for origin in [
            "http://127.0.0.1:3000",
            "http://localhost:8765",
            "http://127.0.0.1",
            "null",
            "",
            "ftp://127.0.0.1:8765",
        ] {
            assert!(!is_taken(Some(origin)), "{origin}");
        }
    }

    #[test]
    fn the_bearer_token_is_needed_once_configured() {
        let policy = Policy::new(EdgePolicy { bearer: Some("s3cret".into()), ..EdgePolicy::default() });
        let given = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            policy.principal(&headers, false).is_ok()
        };
        assert!(given("Bearer s3cret") && given("bearer s3cret"));
        for wrong in ["Bearer s3cre", "Bearer s3cretx", "Basic s3cret", "s3cret", "Bearer", ""] {
            assert!(!given(wrong), "{wrong}");
        }
        assert_eq!(policy.principal(&HeaderMap::new(), false).unwrap_err().status(), 401);
        assert!(policy.principal(&HeaderMap::new(), true).is_ok());
    }
}
