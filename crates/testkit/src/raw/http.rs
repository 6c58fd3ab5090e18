//! The streamable HTTP transport: sessions in the handshake revisions, stateless in 2026-07-28.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::net::{TcpListener, TcpStream, tcp::OwnedReadHalf};

use super::{
    channel::Channel,
    exchange::{Exchange, Progress},
    request::Request,
    server::{Refusal, Server, Session, Verdict, lock},
};
use crate::{
    buffered::Buffered,
    http1::{self, Framing, Head},
};

/// Bytes kept of what a client pipelines while its request is served.
const PIPELINED_BYTES: usize = 1024 * 1024;

/// The HTTP side of the server.
#[derive(Debug)]
struct Site {
    server: Arc<Server>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    minted: AtomicU64,
    /// Where requests without a session belong.
    stateless: Arc<Session>,
}

/// Accepts connections until `--exit-on-discover` meets its request.
pub(super) async fn serve(server: Arc<Server>, listener: TcpListener) -> io::Result<()> {
    let site = Arc::new(Site {
        server,
        sessions: Mutex::default(),
        minted: AtomicU64::new(0),
        stateless: Arc::new(Session::new(String::new(), 0)),
    });
    let exit = Arc::new(tokio::sync::Notify::new());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            () = exit.notified() => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let (site, exit) = (Arc::clone(&site), Arc::clone(&exit));
        tokio::spawn(async move {
            // An error here is a client that has gone or sent no HTTP.
            if matches!(site.connection(stream).await, Ok(Verdict::Exit)) {
                exit.notify_one();
            }
        });
    }
}

impl Site {
    /// Serves the requests of one connection.
    async fn connection(&self, stream: TcpStream) -> io::Result<Verdict> {
        let peer = stream.peer_addr()?;
        let (reader, mut writer) = stream.into_split();
        let mut reader = Buffered::new(reader);
        while let Some(head) = http1::read_head(&mut reader).await? {
            let mut exchange = Exchange::new(writer, self.server.options.always_sse);
            match head.word(0) {
                "POST" => {
                    let framing = Framing::of(&head.headers, Framing::Length(0));
                    let body = http1::read_body(&mut reader, framing).await?;
                    match Request::parse(body, Some(head.headers), self.server.options.era) {
                        Ok(mut request) => {
                            request.peer = Some(peer);
                            match self.post(request, exchange, &mut reader).await? {
                                Outcome::Next(back) => exchange = back,
                                Outcome::End(verdict) => return Ok(verdict),
                            }
                        }
                        Err(error) => {
                            let code = if error.is_data() { -32600 } else { -32700 };
                            let refusal =
                                Refusal { status: 400, code, message: error.to_string(), data: None };
                            exchange.last(400, refusal.response("null").as_bytes()).await?;
                        }
                    }
                }
                "GET" => self.get(&head, &mut exchange, &mut reader).await?,
                "DELETE" => self.delete(&head, &mut exchange).await?,
                _ => exchange.respond(405, &["allow: GET, POST, DELETE"], b"").await?,
            }
            if exchange.close || exchange.progress != Progress::Done {
                return Ok(Verdict::Go);
            }
            writer = exchange.writer;
        }
        Ok(Verdict::Go)
    }

    /// Serves one POST.
    async fn post(
        &self,
        request: Request,
        mut exchange: Exchange,
        reader: &mut Buffered<OwnedReadHalf>,
    ) -> io::Result<Outcome> {
        let session = match self.session(&request, &mut exchange) {
            Ok(session) => session,
            Err(refusal) => {
                exchange.last(refusal.status, refusal.response("null").as_bytes()).await?;
                return Ok(Outcome::Next(exchange));
            }
        };
        if self.server.arrive(&session, &request) == Verdict::Exit {
            return Ok(Outcome::End(Verdict::Exit));
        }
        if request.id.is_none() || request.method.is_none() {
            exchange.respond(202, &[], b"").await?;
            return Ok(Outcome::Next(exchange));
        }
        let call = self.server.begin(&session, &request);
        let mut channel = Channel::Http(exchange);
        {
            let work = self.server.answer(&session, &request, &call, &mut channel);
            tokio::pin!(work);
            tokio::select! {
                biased;
                done = &mut work => if let Err(error) = done {
                    // The client has left while something was being written.
                    self.server.journal.record("disconnected", request.method(), request.id.as_deref(), &session.name);
                    return Err(error);
                },
                () = reader.closed(PIPELINED_BYTES) => {
                    let id = request.id.as_deref();
                    self.server.journal.record("disconnected", request.method(), id, &session.name);
                    // Only in the stateless revision is leaving the same as cancelling.
                    if request.modern {
                        return Ok(Outcome::End(Verdict::Go));
                    }
                    work.await?;
                }
            }
        }
        match channel {
            Channel::Http(exchange) => Ok(Outcome::Next(exchange)),
            Channel::Stdio(_) => Ok(Outcome::End(Verdict::Go)),
        }
    }

    /// The session that a POST belongs to; `initialize` opens one.
    fn session(&self, request: &Request, exchange: &mut Exchange) -> Result<Arc<Session>, Refusal> {
        let options = &self.server.options;
        if request.modern || options.no_session || options.era == super::options::Era::Modern {
            return Ok(Arc::clone(&self.stateless));
        }
        if request.method() == "initialize" {
            let number = self.minted.fetch_add(1, Ordering::Relaxed);
            let name = format!("raw-{}-{number}", std::process::id());
            let session = Arc::new(Session::new(name.clone(), self.server.conduct().epoch));
            lock(&self.sessions).insert(name.clone(), Arc::clone(&session));
            self.server.journal.record("session_opened", "", None, &name);
            exchange.headers.push(("mcp-session-id", name));
            return Ok(session);
        }
        let Some(name) = request.headers.as_ref().and_then(|headers| headers.get("mcp-session-id")) else {
            return Err(no_session());
        };
        let session = lock(&self.sessions).get(name).cloned().ok_or_else(unknown_session)?;
        if session.spent(options.forget_session_after, self.server.conduct().epoch) {
            self.close(name, "session_forgotten");
            return Err(unknown_session());
        }
        Ok(session)
    }

    /// Serves a GET: the session's stream of messages that belong to no request.
    async fn get(
        &self,
        head: &Head,
        exchange: &mut Exchange,
        reader: &mut Buffered<OwnedReadHalf>,
    ) -> io::Result<()> {
        let Some(session) = self.named(head) else {
            return self.refuse(head, exchange).await;
        };
        let mut outbox = session.open_outbox();
        self.server.journal.record("get_opened", "", None, &session.name);
        exchange.open_stream().await?;
        loop {
            tokio::select! {
                message = outbox.recv() => match message {
                    Some(message) => exchange.message(message.as_bytes()).await?,
                    None => return exchange.close_stream().await,
                },
                () = reader.closed(PIPELINED_BYTES) => {
                    self.server.journal.record("get_closed", "", None, &session.name);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
    }

    /// Serves a DELETE: ends the session and its GET stream.
    async fn delete(&self, head: &Head, exchange: &mut Exchange) -> io::Result<()> {
        match self.named(head) {
            Some(session) => {
                self.close(&session.name, "session_deleted");
                exchange.respond(200, &[], b"").await
            }
            None => self.refuse(head, exchange).await,
        }
    }

    fn named(&self, head: &Head) -> Option<Arc<Session>> {
        lock(&self.sessions).get(head.headers.get("mcp-session-id")?).cloned()
    }

    async fn refuse(&self, head: &Head, exchange: &mut Exchange) -> io::Result<()> {
        let sessionless =
            self.server.options.no_session || self.server.options.era == super::options::Era::Modern;
        let refusal = match head.headers.get("mcp-session-id") {
            _ if sessionless => return exchange.respond(405, &["allow: POST"], b"").await,
            Some(_) => unknown_session(),
            None => no_session(),
        };
        exchange.last(refusal.status, refusal.response("null").as_bytes()).await
    }

    fn close(&self, name: &str, event: &str) {
        if let Some(session) = lock(&self.sessions).remove(name) {
            *lock(&session.outbox) = None;
            self.server.journal.record(event, "", None, name);
        }
    }
}

/// What becomes of the connection after a POST.
enum Outcome {
    /// The next request may come.
    Next(Exchange),
    /// The connection ends.
    End(Verdict),
}

fn no_session() -> Refusal {
    let message = "Bad Request: no session id".to_owned();
    Refusal { status: 400, code: -32000, message, data: None }
}

fn unknown_session() -> Refusal {
    Refusal { status: 404, code: -32001, message: "Session not found".to_owned(), data: None }
}
