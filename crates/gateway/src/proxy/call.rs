//! One request on its way through an upstream: sent, its notifications relayed in order, its answer brought back.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use aqe_core::balancer::ReplicaId;
use aqe_core::batching::Priority;
use aqe_core::envelope::{Edits, Field, Kind, Message, Span};
use aqe_core::health::{FailureKind, Outcome};
use aqe_core::monitor::ErrorKind;
use aqe_core::pool::AcquireError;
use aqe_core::revision::Era;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tokio::time::{Instant, Sleep};

use super::hedge::Sent;
use super::trail::{self, Trail};
use super::{Answer, Caller, Gateway, Passage, Passing, Request};
use crate::bridge::{self, Origin};
use crate::cache::flight::Personal;
use crate::monitor::Fate;
use crate::refusal::{Refusal, UpstreamReason};
use crate::session::push_when_ready;
use crate::settings::UpstreamSettings;
use crate::telemetry::{Active, Propagated};
use crate::upstream::{
    Asking, CallError, CallTag, Item, LONG_BYTES, Live, NoTurn, Outgoing, PendingCall, Upstream, next_item,
};

/// A call that keeps reporting progress may not go on for longer.
pub(super) const MAX_CALL: Duration = Duration::from_secs(60 * 60);
/// A call that waits for a person to answer gets this long from each question on.
const INTERACTIVE: Duration = Duration::from_secs(600);
/// How often a request is sent again at most, within the retry budget.
const MAX_RESENDS: usize = 3;

/// What to change about a request, and where it goes.
pub(super) struct Route<'a> {
    /// The upstream.
    pub(super) upstream: &'a Arc<Upstream>,
    /// Its settings.
    pub(super) settings: Arc<UpstreamSettings>,
    /// A string member to replace: its place, and the upstream's own name for it.
    pub(super) rename: Option<(Span, &'a str)>,
    /// The upstream's name of what the request is about: `Mcp-Name`.
    pub(super) name: Option<&'a str>,
    /// `Mcp-Param-*` headers.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// From request to answer.
    pub(super) timeout: Duration,
    /// The tool's category.
    pub(super) category: Option<&'a str>,
    /// The replica that holds what the request is about.
    pub(super) replica: Option<usize>,
    /// Sending it twice does no harm.
    pub(super) repeatable: bool,
    /// After how long it may be sent to a second replica, if it may at all.
    pub(super) hedge_after: Option<Duration>,
    /// Told when the upstream asks the client something during the call.
    pub(super) personal: Option<&'a Personal>,
    /// A longer result is passed on while it comes; `None`: it is needed whole.
    pub(super) pass_from: Option<usize>,
}

impl<'a> Route<'a> {
    /// A route that changes nothing, for a request that only asks.
    pub(super) fn to(upstream: &'a Arc<Upstream>) -> Self {
        let settings = upstream.settings();
        Self {
            upstream,
            timeout: settings.request_timeout,
            settings,
            rename: None,
            name: None,
            headers: Vec::new(),
            category: None,
            replica: None,
            repeatable: true,
            hedge_after: None,
            personal: None,
            pass_from: Some(LONG_BYTES),
        }
    }
}

/// An upstream's answer that has not been turned into the client's form yet.
pub(super) enum Answered {
    /// All of it is here, after `took`.
    Whole { message: Message, live: Arc<Live>, took: Duration },
    /// It is a result that is passed on while it comes.
    Passing(Passing),
}

impl Answered {
    /// The answer, where it is here.
    pub(super) fn message(&self) -> Option<&Message> {
        match self {
            Self::Whole { message, .. } => Some(message),
            Self::Passing(_) => None,
        }
    }

    /// The answer for the client.
    pub(super) fn finish(&self, request: &Request<'_>, method: &str) -> Answer {
        self.finish_with(request, method, |_| false)
    }

    /// The same with further edits; `more` says whether it made any.
    pub(super) fn finish_with<'a>(
        &'a self,
        request: &Request<'a>,
        method: &str,
        more: impl FnOnce(&mut Edits<'a>) -> bool,
    ) -> Answer {
        let (message, live) = match self {
            Self::Whole { message, live, .. } => (message, live),
            Self::Passing(passing) => return Answer::passing(passing.clone()),
        };
        let era = request.caller.era();
        let bytes = bridge::answer(message, request.id, live.peer.era, era, method, more);
        let status = if era == Era::Modern { bridge::status_of(message) } else { 200 };
        Answer { status, fate: self.fate(), ..Answer::ok(bytes) }
    }

    fn fate(&self) -> Fate {
        let Self::Whole { message, took, .. } = self else { return Fate::default() };
        let error = match message.kind() {
            Kind::Error => Some(ErrorKind::Upstream),
            _ => (message.raw(Field::IsError) == Some("true")).then_some(ErrorKind::Tool),
        };
        Fate { upstream: Some(*took), error, ..Fate::default() }
    }
}

impl Gateway {
    /// Sends a client's request to an upstream and relays what comes until the answer.
    pub(super) async fn forward(
        self: &Arc<Self>,
        request: &Request<'_>,
        route: Route<'_>,
    ) -> Result<Answered, Refusal> {
        if route.hedge_after.is_some() && route.upstream.hedges(&asking(request.caller, &route)) {
            return Box::pin(self.forward_hedged(request, &route)).await;
        }
        self.attempt(request, &route, Instant::now(), Placing::default()).await
    }

    /// Sends a request that was begun at `started`, and again where that is safe.
    pub(super) async fn attempt(
        self: &Arc<Self>,
        request: &Request<'_>,
        route: &Route<'_>,
        started: Instant,
        placing: Placing<'_>,
    ) -> Result<Answered, Refusal> {
        let name = route.upstream.name();
        let mut deadline = pin!(tokio::time::sleep_until(started + route.timeout));
        let mut tried: Vec<ReplicaId> = placing.avoid.into_iter().collect();
        let (mut resends, mut lost_sessions) = (0, 0);
        let mut trail = Trail::of(request, placing);
        loop {
            let until = deadline.deadline().into_std();
            let turn = tokio::select! {
                biased;
                turn = route.upstream.turn(asking(request.caller, route), &tried, until) => turn,
                () = &mut deadline => return Err(timed_out(name, started, "while it was being connected")),
            };
            let turn = match turn {
                Ok(turn) => turn,
                Err(error) => {
                    if let NoTurn::Pool { error: AcquireError::Unavailable { .. }, replica } = &error
                        && may_resend(route, &mut tried, Some(*replica), &mut resends)
                    {
                        trail.again("unavailable");
                        continue;
                    }
                    return Err(no_turn(route.upstream, &error));
                }
            };
            let live = Arc::clone(turn.live());
            let replica = Some(turn.replica());
            if let Some(told) = placing.told {
                told.set(turn.replica());
            }
            let ours = live.connection.next_id();
            let mut span = trail.begin(request, route, &live, ours);
            let mut call = send(request, &live, route, ours, span.as_ref());
            let mut relayed = false;
            let failed = loop {
                let item = tokio::select! {
                    biased;
                    item = next_item(&mut *call) => item,
                    () = &mut deadline => {
                        drop(call);
                        turn.end(Outcome::Failure(FailureKind::Timeout));
                        trail::timed_out(span.take());
                        return Err(timed_out(name, started, "no answer"));
                    }
                };
                match item {
                    Item::Answer(answer) => {
                        trail::answered(span.take(), &answer);
                        let failed =
                            answer.kind() == Kind::Error && answer.raw(Field::Code) == Some("-32603");
                        let took = turn.end(if failed {
                            Outcome::Failure(FailureKind::ServerError)
                        } else {
                            Outcome::Success
                        });
                        if failed
                            && route.repeatable
                            && !relayed
                            && is_another_left(route, &tried, replica)
                            && may_resend(route, &mut tried, replica, &mut resends)
                        {
                            trail.again("upstream_error");
                            break None;
                        }
                        if refers_to_input(&answer, live.peer.era, request.caller.era()) {
                            return Err(asks_for_input(name));
                        }
                        return Ok(Answered::Whole { message: answer, live, took });
                    }
                    Item::Long(reply) => {
                        match Passage::new(request, route.upstream, turn, reply, ours, started) {
                            Ok(passage) => {
                                return Ok(Answered::Passing(Passing::new(passage.within(span.take()))));
                            }
                            Err(failed) => break Some(failed),
                        }
                    }
                    Item::Notification(notification) => {
                        let until = Instant::now() + route.settings.idle_timeout;
                        extend(&mut deadline, until, started);
                        let token = request.message.raw(Field::MetaProgressToken);
                        if is_foreign_progress(&notification, token.map(|_| ours)) {
                            continue;
                        }
                        relayed = true;
                        let priority = Priority::of(&notification.method());
                        let bytes = bridge::notification(&notification, token);
                        let relay = push_when_ready(&**request.outlet, bytes.into(), priority);
                        tokio::select! {
                            biased;
                            () = relay => {}
                            () = &mut deadline => {
                                trail::timed_out(span.take());
                                return Err(timed_out(name, started, "the client does not read"));
                            }
                        }
                    }
                    Item::Request(question) => {
                        relayed = true;
                        if let Some(personal) = route.personal {
                            personal.set();
                        }
                        extend(&mut deadline, Instant::now() + INTERACTIVE, started);
                        Self::ask_client(
                            request.caller.session.as_ref(),
                            request.caller.era(),
                            &live.connection,
                            &question,
                            &**request.outlet,
                        );
                    }
                    Item::Failed(error) => break Some((error, turn)),
                }
            };
            drop(call);
            let Some((error, turn)) = failed else { continue };
            turn.end(error.outcome(route.upstream.replica_count()));
            trail::failed(span.take(), &error);
            let again = match &error {
                CallError::SessionLost => {
                    route.upstream.retire(&live);
                    // The same replica will do, in another session. A server that was restarted knows none of those
                    // that were open, and each is found out by a call.
                    lost_sessions += 1;
                    lost_sessions <= MAX_RESENDS + route.upstream.connections().len()
                        && route.upstream.may_retry()
                }
                CallError::NotSent(_) => may_resend(route, &mut tried, replica, &mut resends),
                // The replica has refused it, or nobody minds if it was done.
                CallError::Http { status: 429 | 503, .. } => {
                    is_another_left(route, &tried, replica)
                        && may_resend(route, &mut tried, replica, &mut resends)
                }
                CallError::Closed(_) => {
                    route.repeatable && !relayed && may_resend(route, &mut tried, replica, &mut resends)
                }
                CallError::Http { status: 500.., .. } | CallError::Malformed(_) => {
                    route.repeatable
                        && !relayed
                        && is_another_left(route, &tried, replica)
                        && may_resend(route, &mut tried, replica, &mut resends)
                }
                CallError::Http { .. } | CallError::Overflow(_) => false,
            };
            if !again {
                return Err(refusal_of(name, &error));
            }
            trail.again(trail::kind_of(&error));
        }
    }
}

/// Where an attempt may go, and whom it tells where it went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Placing<'a> {
    /// Not there.
    pub(super) avoid: Option<ReplicaId>,
    /// Told each time that the request is sent.
    pub(super) told: Option<&'a Sent>,
}

fn asking<'a>(caller: &'a Caller, route: &Route<'a>) -> Asking<'a> {
    Asking {
        era: caller.era(),
        principal: &caller.principal,
        session: caller.session.as_ref().map(|session| session.owner),
        category: route.category,
        replica: route.replica,
        repeatable: route.repeatable,
    }
}

/// Whether there is a replica that the request was not sent to yet.
fn is_another_left(route: &Route<'_>, tried: &[ReplicaId], replica: Option<ReplicaId>) -> bool {
    let now = usize::from(replica.is_some_and(|replica| !tried.contains(&replica)));
    route.replica.is_none() && tried.len() + now < route.upstream.replica_count()
}

/// Whether the request may be sent once more, and where it need not go again: on another replica while there is one.
fn may_resend(
    route: &Route<'_>,
    tried: &mut Vec<ReplicaId>,
    replica: Option<ReplicaId>,
    resends: &mut usize,
) -> bool {
    *resends += 1;
    if *resends > MAX_RESENDS || !route.upstream.may_retry() {
        return false;
    }
    if is_another_left(route, tried, replica) {
        tried.extend(replica.filter(|replica| !tried.contains(replica)));
    } else {
        tried.clear();
    }
    true
}

fn no_turn(upstream: &Upstream, error: &NoTurn) -> Refusal {
    let name = upstream.name();
    if error.is_overload() {
        return Refusal::upstream(name, UpstreamReason::Overloaded, &error.to_string());
    }
    // Why a replica cannot be reached is known where its connections are opened.
    let last = match error {
        NoTurn::Balancer(_) => upstream.status().error.map(|last| format!("; last error: {last}")),
        NoTurn::Pool { .. } => None,
    };
    let detail = format!("not available: {error}{}", last.unwrap_or_default());
    Refusal::upstream(name, UpstreamReason::Unavailable, &detail)
}

/// A modern answer that asks for input reaches a legacy client only through requests, which do not cross eras.
fn refers_to_input(answer: &Message, from: Era, to: Era) -> bool {
    from == Era::Modern
        && to == Era::Legacy
        && answer.kind() == Kind::Response
        && answer.raw(Field::ResultType) == Some("\"input_required\"")
}

pub(super) fn asks_for_input(upstream: &str) -> Refusal {
    let detail = "it asks for input, which this client's protocol revision cannot give through it";
    Refusal::upstream(upstream, UpstreamReason::Unavailable, detail)
}

/// Progress on a call's own stream that names another call, or a call whose client wants none.
fn is_foreign_progress(notification: &Message, ours: Option<u64>) -> bool {
    let Some(token) = notification.raw(Field::ProgressToken) else { return false };
    // Some servers make a string of a number.
    let token = token.strip_prefix('"').and_then(|token| token.strip_suffix('"')).unwrap_or(token);
    notification.method() == "notifications/progress" && ours.is_none_or(|ours| token.parse() != Ok(ours))
}

fn send(
    request: &Request<'_>,
    live: &Arc<Live>,
    route: &Route<'_>,
    id: u64,
    span: Option<&Active>,
) -> Box<dyn PendingCall> {
    let Request { caller, message, .. } = *request;
    let handshake = caller.session.as_ref().and_then(|session| session.handshake());
    let log_level = caller.session.as_ref().and_then(|session| session.log_level());
    let client_info = handshake.and_then(|handshake| handshake.client_info.as_deref());
    let trace = span.and_then(Propagated::of);
    let origin = Origin { era: caller.era(), client_info, log_level, trace: trace.as_ref() };
    let bytes: Bytes = bridge::request(message, origin, live.peer.era, id, route.rename).into();
    let mut headers = route.headers.clone();
    match (&trace, &caller.trace) {
        (Some(trace), _) => headers.extend(trace.headers()),
        // Nothing of ours: what the client says passes.
        (None, Some(theirs)) => headers.extend(theirs.forwarded()),
        (None, None) => {}
    }
    let out = Outgoing {
        bytes,
        method: message.owned_method(),
        name: route.name.filter(|_| live.peer.era == Era::Modern).map(str::to_owned),
        headers,
        pass_from: route
            .pass_from
            .filter(|_| caller.takes_long && route.settings.max_result_bytes > 0)
            // So far below the bound of what is held that the one is noticed before the other.
            .map(|from| from.min(route.settings.max_message_bytes / 2)),
    };
    let wants_log = match caller.era() {
        Era::Modern => !message.span(Field::MetaLogLevel).is_empty(),
        Era::Legacy => true,
    };
    let tag = CallTag { owner: caller.owner, wants_log, repeatable: route.repeatable };
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
