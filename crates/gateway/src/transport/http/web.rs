//! Monitoring over TCP: the dashboard's files, the part of the admin API that it reads, and `/metrics`.
//!
//! Whoever can open the port can ask for this, so it shows what goes on and changes three things only: a call is cancelled, a
//! run or task of a fleet too, an alert acknowledged. What changes the server is on the Unix socket alone.
//!
//! # Who may ask
//! A page of another origin may neither read nor post: no answer allows an origin (no CORS), and a request that says it
//! comes from one is refused. A page whose name was rebound to our address has another Host. A request without such
//! headers comes from a program, which needs the bearer token, where there is one. The dashboard's own files hold no
//! secret and need no token: they are what asks for it.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::headers::{is_json, single};
use super::reply::{self, ReplyBody};
use super::{Edge, body};
use crate::admin::{self, Asset, Place};

/// On every answer. The page may load and ask what is served here and nothing else; nobody may frame it.
static SAFETY: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// What a path is.
enum Route {
    /// A file of the dashboard.
    File(&'static Asset),
    /// A part of the admin API that only shows.
    Shown,
    /// The same as a stream of events.
    Events,
    /// A part that changes something.
    Changed,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        if let Some(place) = Place::of(path) {
            return Some(if place.method() == Method::POST { Self::Changed } else { Self::Shown });
        }
        Some(match path {
            "/metrics"
            | "/admin/info"
            | "/admin/status"
            | "/admin/metrics"
            | "/admin/metrics/history"
            | "/admin/calls"
            | "/admin/alerts" => Self::Shown,
            "/admin/events" => Self::Events,
            "/admin/calls/cancel" | "/admin/alerts/ack" => Self::Changed,
            _ => Self::File(Asset::find(path)?),
        })
    }

    /// The methods that it takes, as `Allow` has them.
    fn allowed(&self) -> &'static str {
        match self {
            Self::File(_) => "GET, HEAD",
            Self::Shown | Self::Events => "GET",
            Self::Changed => "POST",
        }
    }

    fn takes(&self, method: &Method) -> bool {
        self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// Answers a request whose Host and Origin have been checked.
pub(super) async fn answer(edge: &Arc<Edge>, request: Request<Incoming>) -> Response<ReplyBody> {
    let mut response = routed(edge, request).await.unwrap_or_else(|refusal| refusal);
    let headers = response.headers_mut();
    for (name, value) in &SAFETY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Figures are of this moment; the files say so themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

type Answered = Result<Response<ReplyBody>, Response<ReplyBody>>;

async fn routed(edge: &Arc<Edge>, request: Request<Incoming>) -> Answered {
    let (parts, body) = request.into_parts();
    let route = Route::of(parts.uri.path());
    let route = route.ok_or_else(|| reply::text(StatusCode::NOT_FOUND, "not found\n"))?;
    if !route.takes(&parts.method) {
        return Err(reply::method_not_allowed(route.allowed()));
    }
    if let Route::File(asset) = route {
        check_site(&parts.headers, true)?;
        return Ok(file(asset, &parts.headers));
    }
    check_site(&parts.headers, false)?;
    edge.policy.check_same_origin(&parts.headers)?;
    edge.policy.principal(&parts.headers, false)?;
    if matches!(route, Route::Events) {
        let feed = edge.feeds.open(&edge.gateway, parts.uri.query().unwrap_or_default(), edge.stopped());
        return feed.map(reply::feed).map_err(|refusal| refusal.map(ReplyBody::whole));
    }
    // A form can send no JSON, and what a script of another origin sends as JSON, its browser asks about first.
    if matches!(route, Route::Changed) && !is_json(&parts.headers) {
        let refusal = "Content-Type must be application/json\n";
        return Err(reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal));
    }
    let body = body::collect(body, &parts.headers, &edge.limits).await?;
    Ok(admin::answer(&edge.gateway, &parts, body).await.map(ReplyBody::whole))
}

/// Refuses what a browser says comes from a page of another site or port (Fetch Metadata). A link from there to the page
/// itself is no harm.
fn check_site(headers: &HeaderMap, is_file: bool) -> Result<(), Response<ReplyBody>> {
    if !headers.contains_key(&SEC_FETCH_SITE) {
        return Ok(());
    }
    let ours = matches!(single(headers, &SEC_FETCH_SITE), Some("same-origin" | "none"));
    let followed_a_link = || is_file && single(headers, &SEC_FETCH_MODE) == Some("navigate");
    if ours || followed_a_link() {
        return Ok(());
    }
    Err(reply::text(StatusCode::FORBIDDEN, "a page of another origin may not ask for this\n"))
}

fn file(asset: &'static Asset, headers: &HeaderMap) -> Response<ReplyBody> {
    let tag = asset.tag();
    let known = single(headers, &header::IF_NONE_MATCH).unwrap_or_default();
    let mut response = if known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(ReplyBody::whole(asset.body()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind()));
        response
    };
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(tag).ok().map(|tag| (header::ETAG, tag)));
    // Asked for again each time, so that a page of the last version never meets a server of this one.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
