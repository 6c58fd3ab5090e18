//! Opening a connection to a replica: start or connect, agree on an era, take it into use.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use aqe_core::pool::{ConnId, ReplicaId};
use aqe_core::revision::Era;

use super::handshake::{self, HandshakeError};
use super::live::{Live, LiveEvents, era_of};
use super::supervisor::Upstream;
use super::{CallError, Connection, HttpConnection, HttpLimits, StdioConnection, StdioLimits};
use crate::settings::Endpoint;

impl Upstream {
    /// Opens a connection to a replica, if possible in the era that `variant` stands for.
    ///
    /// # Errors
    /// What failed, for people.
    pub(crate) async fn open(
        self: &Arc<Self>,
        replica: usize,
        pool_replica: ReplicaId,
        conn: ConnId,
        variant: u8,
    ) -> Result<Arc<Live>, String> {
        let deadline = Instant::now() + self.settings().connect_timeout;
        let mut open: Option<(Arc<LiveEvents>, Arc<dyn Connection>)> = None;
        let mut last = String::new();
        for era in self.eras_to_try(replica, era_of(variant)) {
            let (events, connection) = match open.take().filter(|(_, connection)| connection.is_open()) {
                Some(pair) => pair,
                None => self.connect(replica).await.map_err(|error| error.to_string())?,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            match handshake::shake(&connection, era, left).await {
                Ok(peer) => {
                    let generation = events.generation;
                    let audience = OnceLock::new();
                    let live =
                        Live { connection, peer, generation, events, replica, pool_replica, conn, audience };
                    return Ok(Arc::new(live));
                }
                Err(HandshakeError::OtherEra(_, why)) => {
                    last = why;
                    // A server that kept silent may still be busy with the question: it gets a fresh start.
                    if last.contains("no answer to") {
                        connection.close("no answer to the handshake").await;
                    } else {
                        open = Some((events, connection));
                    }
                }
                Err(HandshakeError::Failed(why)) => {
                    connection.close("handshake failed").await;
                    return Err(why);
                }
            }
        }
        if let Some((_, connection)) = open {
            connection.close("handshake failed").await;
        }
        Err(last)
    }

    /// Notes what a replica's server has said of itself. Together with the pool, so that no call asks for a connection in an
    /// era while one that turns out to be of it is still counted for the other.
    pub(crate) fn learn(&self, live: &Live) {
        let known = &self.replicas[live.replica].peer;
        // What a server of both eras says in the legacy one does not tell that it speaks both.
        if !known.load().as_ref().is_some_and(|known| known.dual) {
            known.store(Some(Arc::new(live.peer.clone())));
        }
    }

    /// The configured era; else the wanted one, and then the other, unless the server is known to speak both.
    fn eras_to_try(&self, replica: usize, wanted: Era) -> impl Iterator<Item = Era> + use<> {
        let peer = self.replicas[replica].peer.load();
        let dual = peer.as_ref().is_some_and(|peer| peer.dual);
        let (first, second) = match self.era {
            Some(era) => (era, None),
            None if dual => (wanted, None),
            None => (wanted, Some(other(wanted))),
        };
        std::iter::once(first).chain(second)
    }

    async fn connect(
        self: &Arc<Self>,
        replica: usize,
    ) -> Result<(Arc<LiveEvents>, Arc<dyn Connection>), CallError> {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let events = LiveEvents::new(self, generation);
        let sink = Arc::clone(&events);
        let settings = self.settings();
        let replica = &settings.replicas[replica];
        let label = if settings.replicas.len() == 1 {
            self.name().to_owned()
        } else {
            format!("{}/{}", self.name(), replica.name)
        };
        let connection: Arc<dyn Connection> = match &replica.endpoint {
            Endpoint::Child(spec) => {
                let limits = StdioLimits {
                    max_line_bytes: settings.max_message_bytes,
                    message: self.message_limits,
                    batching: self.batching,
                    ..StdioLimits::default()
                };
                StdioConnection::spawn(&label, spec, limits, sink).await?
            }
            Endpoint::Http(spec) => {
                let limits = HttpLimits {
                    max_body_bytes: settings.max_message_bytes,
                    message: self.message_limits,
                    ..HttpLimits::default()
                };
                HttpConnection::new(label, &self.http, spec, limits, sink)
                    .map_err(|error| CallError::NotSent(error.to_string()))?
            }
            Endpoint::InProcess(_) => {
                return Err(CallError::NotSent("built-in tools have no connection".into()));
            }
        };
        Ok((events, connection))
    }
}

pub(super) fn other(era: Era) -> Era {
    match era {
        Era::Legacy => Era::Modern,
        Era::Modern => Era::Legacy,
    }
}
