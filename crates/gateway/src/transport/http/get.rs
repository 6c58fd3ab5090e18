//! GET and DELETE: the stand-alone stream, resuming a stream, and ending a session. Legacy only; a modern client
//! gets 405 (2026-07-28, "Streamable HTTP").

use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};

use super::reply::{self, Events, ReplyBody};
use super::{Edge, headers, json};
use crate::refusal::Refusal;
use crate::session::Session;

/// The reply to a legacy request whose session is not known, or is somebody else's.
pub(super) fn unknown_session(id: Option<&str>) -> Response<ReplyBody> {
    let refusal = Refusal::invalid_request("unknown session: initialize again");
    json(StatusCode::NOT_FOUND, refusal.to_bytes(id))
}

fn session(edge: &Edge, headers: &HeaderMap, principal: &str) -> Result<Arc<Session>, Response<ReplyBody>> {
    if headers::claim_modern(headers) || !headers.contains_key(&headers::SESSION) {
        return Err(reply::method_not_allowed("POST"));
    }
    let key = headers::single(headers, &headers::SESSION);
    let session = key.and_then(|key| edge.gateway.sessions.get(key, principal));
    session.ok_or_else(|| unknown_session(None))
}

pub(super) fn answer(edge: &Edge, headers: &HeaderMap, principal: &str) -> Response<ReplyBody> {
    let session = match session(edge, headers, principal) {
        Ok(session) => session,
        Err(refusal) => return refusal,
    };
    if !headers::accepts(headers, "text", "event-stream") {
        return reply::text(StatusCode::NOT_ACCEPTABLE, "Accept must include text/event-stream\n");
    }
    session.touch();
    let last = headers::single(headers, &headers::LAST_EVENT);
    let (stream, after) = match last.and_then(|id| session.streams.find(id)) {
        Some((stream, after)) => (stream, Some(after)),
        None => (Arc::clone(session.streams.standalone()), None),
    };
    let primed = session.primes_streams() && after.is_none();
    reply::events(Events::new(stream, None, after, primed))
}

pub(super) fn delete(edge: &Edge, headers: &HeaderMap, principal: &str) -> Response<ReplyBody> {
    let session = match session(edge, headers, principal) {
        Ok(session) => session,
        Err(refusal) => return refusal,
    };
    if let Some(key) = &session.key {
        edge.gateway.sessions.remove(key, principal);
    }
    edge.gateway.end_session(&session);
    reply::empty(StatusCode::NO_CONTENT)
}
