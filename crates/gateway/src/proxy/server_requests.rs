//! What upstreams say and ask outside of, or during, a call: log messages, changes, requests to the client.
//!
//! An upstream's connection is shared by clients, so what comes without a reference to a call must be attributed.
//! The rule: it belongs to the one client that has calls in flight there, or else to the only legacy client that the
//! connection serves. Where that is not one client, a request is refused and a message is dropped, because either
//! could reach the wrong one. What a server tells all its sessions is taken from one connection.

use std::sync::Arc;

use aqe_core::batching::Priority;
use aqe_core::cache::Kind as Answers;
use aqe_core::envelope::{Field, Kind, Message};
use aqe_core::revision::Era;
use bytes::Bytes;

use super::Gateway;
use crate::bridge;
use crate::session::{Asked, Outlet, Session};
use crate::tasks;
use crate::upstream::{Audience, Connection, Item, ListKind, Live, Outgoing, Upstream};
use crate::wire;

impl Gateway {
    /// Takes a message of an upstream that belongs to no call by itself.
    pub(super) fn upstream_says(&self, upstream: &Arc<Upstream>, live: &Arc<Live>, message: Message) {
        match message.kind() {
            Kind::Request => self.upstream_asks(live, message),
            Kind::Notification => self.upstream_notifies(upstream, live, message),
            Kind::Response | Kind::Error => {}
        }
    }

    fn upstream_asks(&self, live: &Arc<Live>, message: Message) {
        if message.method() == "ping" {
            respond(&live.connection, wire::result(message.id().unwrap_or("null"), b"{}"));
            return;
        }
        // During a call of one client the request travels on that call's stream.
        let message = match sole_owner(live) {
            Some(call) => match live.connection.deliver(call, Item::Request(message)) {
                Some(Item::Request(message)) => message,
                _ => return,
            },
            None => message,
        };
        let idle = live.calls().is_empty();
        let session = if idle { self.sole_session(live, &message) } else { None };
        let outlet = session.as_ref().map(|session| Arc::clone(&session.outlet));
        match (&session, outlet) {
            (Some(session), Some(outlet)) => {
                Self::ask_client(Some(session), Era::Legacy, &live.connection, &message, &*outlet);
            }
            _ => refuse(&live.connection, &message, "no single client that this request could be for"),
        }
    }

    /// The legacy clients that a connection serves.
    fn sessions_of(&self, live: &Live) -> Vec<Arc<Session>> {
        let mut sessions = self.legacy_sessions();
        match live.audience() {
            None => {}
            Some(Audience::Principal(name)) => sessions.retain(|session| session.principal == *name),
            Some(Audience::Session(owner)) => sessions.retain(|session| session.owner == *owner),
        }
        sessions
    }

    /// The only one of them that could answer, if there is exactly one.
    fn sole_session(&self, live: &Live, message: &Message) -> Option<Arc<Session>> {
        let mut sessions = self.sessions_of(live);
        sessions.retain(|session| {
            session.handshake().is_some_and(|handshake| handshake.can_answer(&message.method()))
        });
        if sessions.len() == 1 { sessions.pop() } else { None }
    }

    /// Sends an upstream's request on to the client, or refuses it.
    pub(super) fn ask_client(
        session: Option<&Arc<Session>>,
        era: Era,
        connection: &Arc<dyn Connection>,
        request: &Message,
        outlet: &dyn Outlet,
    ) {
        let method = request.method();
        if method == "ping" {
            respond(connection, wire::result(request.id().unwrap_or("null"), b"{}"));
            return;
        }
        let Some((session, handshake)) =
            session.filter(|_| era == Era::Legacy).and_then(|session| Some((session, session.handshake()?)))
        else {
            refuse(connection, request, "the client's protocol revision has no requests from the server");
            return;
        };
        if !handshake.can_answer(&method) {
            refuse(connection, request, "the client has not declared this capability");
            return;
        }
        let asked = Asked {
            connection: Arc::downgrade(connection),
            id: request.id().unwrap_or("null").to_owned(),
            progress_token: request.raw(Field::MetaProgressToken).map(str::to_owned),
        };
        match session.ask(asked) {
            Some(id) => outlet.push(bridge::server_request(request, id).into()),
            None => refuse(connection, request, "too many requests are open at this client"),
        }
    }

    /// Takes a client's answer to a request of an upstream back to it.
    pub(super) fn client_answer(session: &Arc<Session>, message: &Message) {
        let Some(asked) = message.id().and_then(|id| session.answered(id)) else { return };
        let Some(connection) = asked.connection.upgrade() else { return };
        respond(&connection, aqe_core::envelope::line_safe(message.with_id(&asked.id)));
    }

    /// Progress that a client reports on a request of an upstream.
    pub(super) fn client_progress(session: &Arc<Session>, message: &Message) {
        let Some((connection, token)) =
            message.integer(Field::ProgressToken).and_then(|id| session.asked_by(id))
        else {
            return;
        };
        let bytes = bridge::notification(message, Some(&token));
        send(&connection, "notifications/progress", bytes.into());
    }

    fn upstream_notifies(&self, upstream: &Arc<Upstream>, live: &Arc<Live>, message: Message) {
        match &*message.method() {
            "notifications/tools/list_changed" => {
                self.forget_kind(upstream, Answers::Tools);
                upstream.list_changed(&[ListKind::Tools]);
            }
            "notifications/prompts/list_changed" => {
                self.forget_kind(upstream, Answers::Prompts);
                upstream.list_changed(&[ListKind::Prompts]);
            }
            "notifications/resources/list_changed" => {
                self.forget_kind(upstream, Answers::Resources);
                upstream.list_changed(&[ListKind::Resources, ListKind::Templates]);
            }
            "notifications/resources/updated" => self.resource_updated(upstream, &message),
            "notifications/tasks" => self.task_notified(&message),
            "notifications/tasks/status" => self.task_status(upstream, live, message),
            "notifications/cancelled" => self.upstream_withdraws(live, &message),
            // Progress under a token that no open call has: late, or wrong.
            "notifications/progress" => {}
            "notifications/message" => self.upstream_logs(live, message),
            _ => self.attribute(live, message),
        }
    }

    /// A legacy upstream reports on a task, which is for the session that has asked for it.
    fn task_status(&self, upstream: &Arc<Upstream>, live: &Arc<Live>, message: Message) {
        let task = message.string(Field::TaskId).unwrap_or_default();
        let asked = self.tasks.sessions(&task, upstream.id);
        if asked.is_empty() && !self.must_know_owner(&self.catalog(), upstream.id) {
            self.attribute(live, message);
            return;
        }
        for session in self.legacy_sessions().iter().filter(|session| asked.contains(&session.owner)) {
            session.outlet.push(message.bytes().clone());
        }
    }

    fn forget_kind(&self, upstream: &Upstream, kind: Answers) {
        if let Some(cache) = &self.cache {
            cache.invalidate_kind(&cache.namespace(upstream.name()), kind);
        }
    }

    /// An upstream gives up a request that it has sent to a client.
    fn upstream_withdraws(&self, live: &Arc<Live>, message: &Message) {
        let Some(id) = message.raw(Field::RequestId) else { return };
        for session in self.legacy_sessions() {
            if let Some(ours) = session.withdraw(&live.connection, id) {
                let mut edits = message.edit();
                edits.replace(message.span(Field::RequestId), ours.to_string().into_bytes());
                session.outlet.push(edits.apply().into());
                return;
            }
        }
    }

    fn upstream_logs(&self, live: &Arc<Live>, message: Message) {
        let wanted =
            |session: &Arc<Session>| session.wants_log(&message.string(Field::Level).unwrap_or_default());
        if live.calls().is_empty() {
            if live.speaks_for_its_audience() {
                for session in self.sessions_of(live).iter().filter(|session| wanted(session)) {
                    session.outlet.push_with(message.bytes().clone(), Priority::of(&message.method()));
                }
            }
            return;
        }
        let calls: Vec<_> = live.calls().into_iter().filter(|(_, tag)| tag.wants_log).collect();
        let Some((call, tag)) = calls.last().copied() else { return };
        if calls.iter().any(|(_, other)| other.owner != tag.owner) {
            return;
        }
        let session = self.legacy_sessions().into_iter().find(|session| session.owner == tag.owner);
        if session.as_ref().is_none_or(wanted) {
            live.connection.deliver(call, Item::Notification(message));
        }
    }

    fn attribute(&self, live: &Arc<Live>, message: Message) {
        if let Some(call) = sole_owner(live) {
            // A call that has ended since needs nothing more.
            live.connection.deliver(call, Item::Notification(message));
            return;
        }
        if live.speaks_for_its_audience()
            && let [session] = &self.sessions_of(live)[..]
        {
            session.outlet.push(message.bytes().clone());
        }
    }
}

/// The newest call in flight, if all calls there are of one client.
fn sole_owner(live: &Live) -> Option<u64> {
    let calls = live.calls();
    let (id, tag) = calls.iter().max_by_key(|(id, _)| *id).copied()?;
    calls.iter().all(|(_, other)| other.owner == tag.owner).then_some(id)
}

fn refuse(connection: &Arc<dyn Connection>, request: &Message, why: &str) {
    let message = format!("{} is not possible here: {why}", request.method());
    respond(connection, wire::error(request.id(), -32601, &message, None));
}

fn respond(connection: &Arc<dyn Connection>, bytes: Vec<u8>) {
    send(connection, "", bytes.into());
}

fn send(connection: &Arc<dyn Connection>, method: &'static str, bytes: Bytes) {
    let out = Outgoing { bytes, method: method.into(), name: None, headers: Vec::new(), pass_from: None };
    let connection = Arc::clone(connection);
    tasks::spawn("send to upstream", async move {
        if let Err(error) = connection.send(out).await {
            tracing::debug!(%error, "an upstream did not take a message");
        }
    });
}
