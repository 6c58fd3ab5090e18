//! One request on its way through an upstream: sent, its notifications relayed in order, its answer brought back.

use std::collections::{HashMap, VecDeque};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aqe_core::envelope::{Edits, Field, Kind, Message, Span};
use aqe_core::revision::Era;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tokio::time::{Instant, Sleep};

use super::{Answer, Caller, Gateway};
use crate::bridge::{self, Origin};
use crate::refusal::{Refusal, UpstreamReason};
use crate::session::{Outlet, push_when_ready};
use crate::upstream::{
    CallError, CallTag, Item, Live, Outgoing, PendingCall, Unavailable, Upstream, next_item,
};

/// A call that keeps reporting progress may not go on for longer.
const MAX_CALL: Duration = Duration::from_secs(60 * 60);
/// A call that waits for a person to answer gets this long from each question on.
const INTERACTIVE: Duration = Duration::from_secs(600);
/// How often a request is sent again because it provably was not looked at.
const MAX_RESENDS: u32 = 2;

/// What to change about a request, and where it goes.
pub(super) struct Route<'a> {
    /// The upstream.
    pub(super) upstream: &'a Arc<Upstream>,
    /// A string member to replace: its place, and the upstream's own name for it.
    pub(super) rename: Option<(Span, &'a str)>,
    /// The upstream's name of what the request is about: `Mcp-Name`.
    pub(super) name: Option<&'a str>,
    /// `Mcp-Param-*` headers.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// From request to answer.
    pub(super) timeout: Duration,
}

impl<'a> Route<'a> {
    /// A route that changes nothing.
    pub(super) fn to(upstream: &'a Arc<Upstream>) -> Self {
        let timeout = upstream.settings.request_timeout;
        Self { upstream, rename: None, name: None, headers: Vec::new(), timeout }
    }
}

/// An upstream's answer that has not been turned into the client's form yet.
pub(super) struct Answered {
    pub(super) message: Message,
    pub(super) live: Arc<Live>,
}

impl Answered {
    /// The answer for the client.
    pub(super) fn finish(&self, caller: &Caller, method: &str, id: &str) -> Answer {
        self.finish_with(caller, method, id, |_| false)
    }

    /// The same with further edits; `more` says whether it made any.
    pub(super) fn finish_with<'a>(
        &'a self,
        caller: &Caller,
        method: &str,
        id: &'a str,
        more: impl FnOnce(&mut Edits<'a>) -> bool,
    ) -> Answer {
        let bytes = bridge::answer(&self.message, id, self.live.peer.era, caller.era(), method, more);
        let status = if caller.era() == Era::Modern { bridge::status_of(&self.message) } else { 200 };
        Answer { status, ..Answer::ok(bytes) }
    }
}

impl Gateway {
    /// Sends a client's request to an upstream and relays what comes until the answer.
    pub(super) async fn forward(
        self: &Arc<Self>,
        caller: &Caller,
        message: &Message,
        outlet: &Arc<dyn Outlet>,
        route: Route<'_>,
    ) -> Result<Answered, Refusal> {
        let name = route.upstream.name();
        let started = Instant::now();
        let mut deadline = pin!(tokio::time::sleep_until(started + route.timeout));
        let mut resends = 0;
        loop {
            let unavailable = |error: Unavailable| {
                Refusal::upstream(name, UpstreamReason::Unavailable, &format!("not available: {error}"))
            };
            let live = if let Some(live) = route.upstream.current_for(caller.era()) {
                live
            } else {
                tokio::select! {
                    live = route.upstream.live_for(caller.era()) => live.map_err(unavailable)?,
                    () = &mut deadline => return Err(timed_out(name, started, "while it was being connected")),
                }
            };
            let ours = live.connection.next_id();
            let mut call = send(caller, message, &live, &route, ours);
            let failed = loop {
                let item = tokio::select! {
                    biased;
                    item = next_item(&mut *call) => item,
                    () = &mut deadline => return Err(timed_out(name, started, "no answer")),
                };
                match item {
                    Item::Answer(answer) => {
                        if refers_to_input(&answer, live.peer.era, caller.era()) {
                            return Err(Refusal::upstream(
                                name,
                                UpstreamReason::Unavailable,
                                "it asks for input, which this client's protocol revision cannot give through it",
                            ));
                        }
                        return Ok(Answered { message: answer, live });
                    }
                    Item::Notification(notification) => {
                        let until = Instant::now() + route.upstream.settings.idle_timeout;
                        extend(&mut deadline, until, started);
                        let token = message.raw(Field::MetaProgressToken);
                        if is_foreign_progress(&notification, token.map(|_| ours)) {
                            continue;
                        }
                        let bytes = bridge::notification(&notification, token);
                        let relay = push_when_ready(&**outlet, bytes.into());
                        tokio::select! {
                            biased;
                            () = relay => {}
                            () = &mut deadline => return Err(timed_out(name, started, "the client does not read")),
                        }
                    }
                    Item::Request(request) => {
                        extend(&mut deadline, Instant::now() + INTERACTIVE, started);
                        Self::ask_client(
                            caller.session.as_ref(),
                            caller.era(),
                            &live.connection,
                            &request,
                            &**outlet,
                        );
                    }
                    Item::Failed(error) => break error,
                }
            };
            drop(call);
            let again = match &failed {
                CallError::SessionLost => {
                    route.upstream.forget(&live);
                    true
                }
                CallError::NotSent(_) => !live.connection.is_open(),
                _ => false,
            };
            if !again || resends >= MAX_RESENDS {
                return Err(refusal_of(name, &failed));
            }
            resends += 1;
        }
    }
}

/// A modern answer that asks for input reaches a legacy client only through requests, which do not cross eras.
fn refers_to_input(answer: &Message, from: Era, to: Era) -> bool {
    from == Era::Modern
        && to == Era::Legacy
        && answer.kind() == Kind::Response
        && answer.raw(Field::ResultType) == Some("\"input_required\"")
}

/// Progress on a call's own stream that names another call, or a call whose client wants none.
fn is_foreign_progress(notification: &Message, ours: Option<u64>) -> bool {
    let Some(token) = notification.raw(Field::ProgressToken) else { return false };
    // Some servers make a string of a number.
    let token = token.strip_prefix('"').and_then(|token| token.strip_suffix('"')).unwrap_or(token);
    notification.method() == "notifications/progress" && ours.is_none_or(|ours| token.parse() != Ok(ours))
}

fn send(
    caller: &Caller,
    message: &Message,
    live: &Arc<Live>,
    route: &Route<'_>,
    id: u64,
) -> Box<dyn PendingCall> {
    let handshake = caller.session.as_ref().and_then(|session| session.handshake());
    let log_level = caller.session.as_ref().and_then(|session| session.log_level());
    let client_info = handshake.and_then(|handshake| handshake.client_info.as_deref());
    let origin = Origin { era: caller.era(), client_info, log_level };
    let bytes: Bytes = bridge::request(message, origin, live.peer.era, id, route.rename).into();
    let out = Outgoing {
        bytes,
        method: message.owned_method(),
        name: route.name.filter(|_| live.peer.era == Era::Modern).map(str::to_owned),
        headers: route.headers.clone(),
    };
    let wants_log = match caller.era() {
        Era::Modern => !message.span(Field::MetaLogLevel).is_empty(),
        Era::Legacy => true,
    };
    let tag = CallTag { owner: caller.owner, wants_log };
    Arc::clone(&live.connection).call(id, out, tag)
}

/// Moves a deadline out to `until`, never in, and never beyond the longest call.
fn extend(deadline: &mut Pin<&mut Sleep>, until: Instant, started: Instant) {
    let until = until.min(started + MAX_CALL);
    if until > deadline.deadline() {
        deadline.as_mut().reset(until);
    }
}

fn timed_out(upstream: &str, started: Instant, what: &str) -> Refusal {
    let detail = format!("timed out after {} ms: {what}", started.elapsed().as_millis());
    Refusal::upstream(upstream, UpstreamReason::Timeout, &detail)
}

/// The error response for a call that an upstream did not answer.
pub(super) fn refusal_of(upstream: &str, error: &CallError) -> Refusal {
    let reason = match error {
        CallError::NotSent(_) | CallError::SessionLost => UpstreamReason::Unavailable,
        CallError::Closed(_) => UpstreamReason::Closed,
        CallError::Malformed(_) => UpstreamReason::Malformed,
        CallError::Http { .. } => UpstreamReason::HttpStatus,
        CallError::Overflow(_) => UpstreamReason::ClientTooSlow,
    };
    Refusal::upstream(upstream, reason, &error.to_string())
}

/// Tasks that are remembered, so that later requests about one reach the upstream that runs it.
const MAX_TASKS: usize = 10_000;

/// Which upstream runs a task, and for whom.
#[derive(Debug, Default)]
pub(super) struct TaskOwners {
    state: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    by_id: HashMap<String, (usize, Arc<str>)>,
    order: VecDeque<String>,
}

impl TaskOwners {
    /// Remembers a task; the oldest is forgotten when there are too many.
    pub(super) fn remember(&self, task: &str, upstream: usize, principal: &Arc<str>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.by_id.insert(task.to_owned(), (upstream, Arc::clone(principal))).is_none() {
            state.order.push_back(task.to_owned());
        }
        while state.order.len() > MAX_TASKS {
            if let Some(oldest) = state.order.pop_front() {
                state.by_id.remove(&oldest);
            }
        }
    }

    /// The upstream of a task, unless it is somebody else's.
    pub(super) fn find(&self, task: &str, principal: &str) -> TaskOwner {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.by_id.get(task) {
            Some((upstream, owner)) if **owner == *principal => TaskOwner::Upstream(*upstream),
            Some(_) => TaskOwner::Foreign,
            None => TaskOwner::Unknown,
        }
    }
}

/// What is known of a task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskOwner {
    /// It runs at this upstream.
    Upstream(usize),
    /// It belongs to another principal.
    Foreign,
    /// It was not started through this process.
    Unknown,
}
