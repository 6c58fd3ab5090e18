//! The attempts to have a request answered by an upstream, each a span of its own.

use aqe_core::envelope::{Field, Kind, Message};
use aqe_core::trace::TraceParent;

use super::Request;
use super::call::{Placing, Route};
use crate::settings::Endpoint;
use crate::telemetry::{Active, Observed, fail_by, without_query};
use crate::upstream::{CallError, Live};

/// The attempts so far.
pub(super) struct Trail<'a> {
    observed: Option<&'a Observed>,
    count: i64,
    /// The last one.
    last: Option<TraceParent>,
    /// They are made beside others.
    hedges: bool,
}

impl<'a> Trail<'a> {
    pub(super) fn of(request: &Request<'a>, placing: Placing<'_>) -> Self {
        let observed = request.caller.observed.as_deref();
        Self { observed, count: 0, last: None, hedges: placing.avoid.is_some() }
    }

    /// The request is about to be sent, under the id `ours`.
    pub(super) fn begin(
        &mut self,
        request: &Request<'_>,
        route: &Route<'_>,
        live: &Live,
        ours: u64,
    ) -> Option<Active> {
        let observed = self.observed?;
        self.count += 1;
        let replica = route.upstream.replica_name(live.replica);
        if let Some(replica) = replica {
            observed.sent_to(replica);
        }
        let method = request.message.owned_method();
        let target = route.name.filter(|_| matches!(&*method, "tools/call" | "prompts/get"));
        let mut span = observed
            .attempt(|| target.map_or_else(|| method.to_string(), |name| format!("{method} {name}")))?;
        match (&*method, route.name) {
            ("tools/call", Some(name)) => {
                span.set("gen_ai.operation.name", "execute_tool");
                span.set("gen_ai.tool.name", name.to_owned());
            }
            ("prompts/get", Some(name)) => span.set("gen_ai.prompt.name", name.to_owned()),
            ("resources/read", Some(uri)) => span.set("mcp.resource.uri", without_query(uri).to_owned()),
            _ => {}
        }
        span.set("mcp.method.name", method.into_owned());
        span.set("jsonrpc.request.id", ours.to_string());
        span.set("mcp.protocol.version", live.peer.revision.clone());
        span.set("aqe.attempt", self.count);
        if let Some(replica) = replica {
            span.set("aqe.upstream", replica.upstream.to_string());
            span.set("aqe.replica", replica.replica.to_string());
        }
        if self.hedges {
            span.set("aqe.hedge", true);
        }
        describe_server(&mut span, route, live);
        if let Some(last) = std::mem::replace(&mut self.last, span.reference()) {
            span.link(last);
        }
        Some(span)
    }

    /// It is sent once more, for this reason.
    pub(super) fn again(&self, reason: &'static str) {
        if let Some(observed) = self.observed {
            observed
                .event("retry", || vec![("aqe.attempt", self.count.into()), ("error.type", reason.into())]);
        }
    }
}

fn describe_server(span: &mut Active, route: &Route<'_>, live: &Live) {
    match route.settings.replicas.get(live.replica).map(|replica| &replica.endpoint) {
        Some(Endpoint::Http(http)) => {
            span.set("network.transport", "tcp");
            span.set("network.protocol.name", "http");
            if let Some(host) = http.url.host() {
                span.set("server.address", host.trim_matches(['[', ']']).to_owned());
                let default = if http.url.scheme_str() == Some("https") { 443 } else { 80 };
                span.set("server.port", i64::from(http.url.port_u16().unwrap_or(default)));
            }
        }
        Some(Endpoint::Child(_)) => span.set("network.transport", "pipe"),
        Some(Endpoint::InProcess(_)) | None => {}
    }
}

/// An attempt was answered.
pub(super) fn answered(span: Option<Active>, answer: &Message) {
    let Some(mut span) = span else { return };
    if answer.kind() == Kind::Error || answer.raw(Field::IsError) == Some("true") {
        fail_by(&mut span, Some(answer), "tool_error");
    }
    span.end();
}

/// An attempt has failed.
pub(super) fn failed(span: Option<Active>, error: &CallError) {
    if let Some(mut span) = span {
        if let CallError::Http { status, .. } = error {
            span.set("http.response.status_code", i64::from(*status));
        }
        span.fail(kind_of(error), &error.to_string());
        span.end();
    }
}

/// An attempt has taken too long.
pub(super) fn timed_out(span: Option<Active>) {
    if let Some(mut span) = span {
        span.fail("timeout", "no answer in time");
        span.end();
    }
}

/// What went wrong, for programs: as in the other figures.
pub(super) fn kind_of(error: &CallError) -> &'static str {
    match error {
        CallError::NotSent(_) | CallError::SessionLost => "unavailable",
        CallError::Closed(_) => "closed",
        CallError::Malformed(_) => "malformed",
        CallError::Http { .. } => "http_status",
        CallError::Overflow(_) => "client_too_slow",
    }
}
