//! One HTTP exchange with an upstream, redirects included.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, StatusCode, Uri, header, uri};

use super::super::CallError;
use super::client::HttpClient;
use super::fields::{Fields, Http2Fields};
use super::head::Head;
use super::pool::{Pool, Response};
use super::spec::{Origin, Secrets};

/// Redirects of one exchange.
const MAX_REDIRECTS: usize = 5;

/// Where requests go.
pub(super) struct Endpoint {
    pub(super) url: Uri,
    pub(super) origin: Origin,
    pub(super) pool: Arc<Pool>,
    pub(super) client: Arc<HttpClient>,
    pub(super) secrets: Secrets,
}

impl Endpoint {
    /// Sends a request and awaits the head of its response. Follows what keeps method, body and origin (307 and 308);
    /// `fields` writes the header fields, for each hop again.
    pub(super) async fn exchange(
        &self,
        method: &Method,
        fields: impl Fn(&mut dyn Fields) + Sync,
        body: &Bytes,
    ) -> Result<Response, CallError> {
        let mut redirected: Option<Uri> = None;
        for _ in 0..=MAX_REDIRECTS {
            let url = redirected.as_ref().unwrap_or(&self.url);
            let response = self.pool.request(&Request { method, url, fields: &fields, body }).await?;
            if !response.head.status.is_redirection() {
                return Ok(response);
            }
            redirected = Some(self.redirected(url, &response.head)?);
            // The text of a redirect is of no use; reading it keeps the connection for the next hop.
            response.body.finish().await;
        }
        Err(refused(StatusCode::LOOP_DETECTED, format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Where a redirect leads, if it may be followed.
    fn redirected(&self, from: &Uri, head: &Head) -> Result<Uri, CallError> {
        let status = head.status;
        let target = head.get("location").and_then(|location| resolve(from, location));
        let Some(target) = target else {
            return Err(refused(status, "redirect without a usable Location".into()));
        };
        let Some(origin) = Origin::of(&target) else {
            return Err(refused(status, "redirect to something that is not http".into()));
        };
        if origin != self.origin {
            return Err(refused(status, format!("redirect to another origin refused: {origin}")));
        }
        if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            // 301, 302 and 303 turn a POST into a GET; 304 and 305 are no redirects.
            return Err(refused(status, format!("redirect that drops the request refused: {origin}")));
        }
        Ok(target)
    }
}

/// Room for the head of most requests.
const HEAD_BYTES: usize = 512;

/// A request before it is known which protocol it travels in.
pub(super) struct Request<'a> {
    method: &'a Method,
    url: &'a Uri,
    /// Writes the header fields, of which `Host` is one.
    fields: &'a (dyn Fn(&mut dyn Fields) + Sync),
    pub(super) body: &'a Bytes,
}

impl Request<'_> {
    fn path(&self) -> &str {
        self.url.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// Request line, fields and the empty line (RFC 9112 section 3, origin form).
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend_from_slice(self.method.as_str().as_bytes());
        head.push(b' ');
        head.extend_from_slice(self.path().as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        (self.fields)(&mut head);
        if self.method == Method::POST {
            // Writing to a vector cannot fail.
            let _ = write!(head, "content-length: {}\r\n", self.body.len());
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The head as HTTP/2 has it (RFC 9113 section 8.3.1).
    ///
    /// # Errors
    /// If a configured `Host` is not one.
    pub(super) fn head_http2(&self) -> Result<http::Request<()>, CallError> {
        let mut into = Http2Fields::default();
        (self.fields)(&mut into);
        let host = into.authority.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        let malformed =
            |error: http::Error| CallError::NotSent(format!("the request has no address: {error}"));
        let authority = Authority::try_from(host).map_err(|error| malformed(error.into()))?;
        let mut parts = uri::Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(authority);
        parts.path_and_query =
            Some(self.url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
        let url = Uri::from_parts(parts).map_err(|error| malformed(error.into()))?;
        let mut request = http::Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url;
        *request.version_mut() = http::Version::HTTP_2;
        if self.method == Method::POST {
            into.fields.insert(header::CONTENT_LENGTH, self.body.len().into());
        }
        *request.headers_mut() = into.fields;
        Ok(request)
    }
}

fn refused(status: StatusCode, detail: String) -> CallError {
    CallError::Http { status: status.as_u16(), retry_after_s: None, detail: Some(detail) }
}

/// Resolves a `Location` against the URL that sent it (RFC 3986 section 5.2, without dot segments: the server
/// resolves those).
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?;
    let mut parts = base.clone().into_parts();
    if let Some(rest) = location.strip_prefix("//") {
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        parts.authority = Some(authority.parse().ok()?);
        parts.path_and_query = Some(if path.is_empty() { "/" } else { path }.parse().ok()?);
    } else if location.contains("://") {
        return location.parse().ok();
    } else if location.starts_with('/') {
        parts.path_and_query = Some(location.parse().ok()?);
    } else if location.is_empty() {
        return None;
    } else {
        let path = base.path();
        let directory = if location.starts_with('?') { path } else { &path[..=path.rfind('/')?] };
        parts.path_and_query = Some(format!("{directory}{location}").parse().ok()?);
    }
    uri::Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_resolve_against_the_url_that_sent_them() {
        let base: Uri = "http://a.example:8080/x/mcp?k=v".parse().unwrap();
        for (location, target) in [
            ("http://b.example/y", Some("http://b.example/y")),
            ("//b.example/y", Some("http://b.example/y")),
            ("//b.example", Some("http://b.example/")),
            ("/mcp/", Some("http://a.example:8080/mcp/")),
            ("mcp/", Some("http://a.example:8080/x/mcp/")),
            ("?q", Some("http://a.example:8080/x/mcp?q")),
            ("/y#fragment", Some("http://a.example:8080/y")),
            ("", None),
            ("http://", None),
        ] {
            let resolved = resolve(&base, location);
            assert_eq!(resolved.map(|uri| uri.to_string()).as_deref(), target, "{location}");
        }
    }
}
