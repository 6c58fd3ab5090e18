//! Requests that the gateway answers itself.

use std::sync::Arc;
use std::time::Duration;

use aqe_core::envelope::{Field, Message, encode_string};
use aqe_core::revision::Era;

use super::{Answer, Caller, Gateway, Request};
use crate::monitor::Flight;
use crate::refusal::Refusal;
use crate::session::{Handshake, Session, severity};
use crate::telemetry::Observed;
use crate::upstream::manifest::notification;
use crate::upstream::{Live, handshake};
use crate::wire;

impl Gateway {
    /// Answers `initialize` on a conversation that has not been initialised.
    ///
    /// # Errors
    /// If it was, or if the request is not complete.
    pub async fn initialize(
        self: &Arc<Self>,
        mut caller: Caller,
        session: &Session,
        message: &Message,
    ) -> Result<Answer, Refusal> {
        let handshake = Handshake::from_initialize(message);
        caller.revision = handshake.revision;
        caller.observed = Observed::begin(&self.settings.telemetry, &caller, message);
        let flight = Flight::begin(Arc::clone(self), &caller, message);
        let answered = tokio::select! {
            biased;
            answered = self.shake_hands(session, handshake, message) => answered,
            () = flight.cancelled() => Err(Refusal::by_operator()),
        };
        let id = message.id().unwrap_or("null");
        match &answered {
            Ok(answer) => flight.answered(answer, id),
            Err(refusal) => flight.answered(&Answer::refusal(refusal, id), id),
        }
        answered
    }

    async fn shake_hands(
        &self,
        session: &Session,
        handshake: Handshake,
        message: &Message,
    ) -> Result<Answer, Refusal> {
        if message.string(Field::ProtocolVersion).is_none() {
            return Err(Refusal::invalid_params("initialize needs protocolVersion"));
        }
        // The capabilities of upstreams that were never seen are part of the answer.
        self.first_lists().await;
        let revision = handshake.revision;
        // Last, so that a handshake that is cancelled while it waits is none.
        if !session.initialize(handshake) {
            return Err(Refusal::invalid_request("already initialized"));
        }
        let catalog = self.catalog();
        let instructions = catalog.instructions.as_deref();
        let instructions = instructions
            .map(|text| format!(r#","instructions":{}"#, encode_string(text)))
            .unwrap_or_default();
        let result = format!(
            r#"{{"protocolVersion":"{revision}","capabilities":{},"serverInfo":{}{instructions}}}"#,
            catalog.capabilities.of(revision),
            handshake::implementation()
        );
        Ok(Answer::ok(wire::result(message.id().unwrap_or("null"), result.as_bytes())))
    }

    pub(super) async fn discover(&self, id: &str) -> Answer {
        self.first_lists().await;
        Answer::ok(wire::result(id, self.catalog().discovery.as_bytes()))
    }

    pub(super) async fn set_level(&self, request: &Request<'_>) -> Result<Answer, Refusal> {
        let level = request.message.string(Field::Level).unwrap_or_default();
        let session =
            request.caller.session.as_ref().ok_or_else(|| Refusal::invalid_request("no session"))?;
        if !session.set_log_level(&level) {
            return Err(Refusal::invalid_params(
                "level must be one of debug, info, notice, warning, error, critical, alert, emergency",
            ));
        }
        // An upstream that is shared sends what the most curious client wants; each client gets its own share.
        let least = self.least_log_level().unwrap_or("info");
        let upstreams = self.upstreams();
        let asked = upstreams.iter().flat_map(|upstream| {
            let logs = upstream.manifest().is_some_and(|it| it.capability("logging").is_some());
            let open = if logs { upstream.connections() } else { Vec::new() };
            let legacy = open.into_iter().filter(|live| live.peer.era == Era::Legacy);
            legacy.map(|live| ask_log_level(live, least, upstream.settings().request_timeout))
        });
        futures_util::future::join_all(asked).await;
        Ok(Answer::ok(wire::result(request.id, b"{}")))
    }

    /// The level of the most curious legacy client that has set one.
    pub(super) fn least_log_level(&self) -> Option<&'static str> {
        let levels = self.legacy_sessions().into_iter().filter_map(|session| session.log_level());
        levels.min_by_key(|level| severity(level))
    }

    /// The client has finished its handshake: upstreams that want roots may ask for them now.
    pub(super) fn client_is_ready(&self, session: &Arc<Session>) {
        if session.handshake().is_some_and(|handshake| handshake.can_answer("roots/list")) {
            self.roots_changed(session);
        }
    }

    pub(super) fn roots_changed(&self, _session: &Arc<Session>) {
        for upstream in self.upstreams().iter() {
            for live in upstream.connections().into_iter().filter(|live| live.peer.era == Era::Legacy) {
                crate::tasks::spawn("roots changed", async move {
                    let _ = live.connection.send(notification("notifications/roots/list_changed")).await;
                });
            }
        }
    }
}

/// Sends a legacy upstream the least log level that is wanted of it.
pub(super) async fn ask_log_level(live: Arc<Live>, level: &'static str, timeout: Duration) {
    let params = format!(r#"{{"level":"{level}"}}"#);
    let asked = handshake::ask(&live.connection, "logging/setLevel", &params, Vec::new(), timeout).await;
    if let Err(error) = asked {
        tracing::debug!(%error, "an upstream did not take the log level");
    }
}
