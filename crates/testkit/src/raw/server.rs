//! What the server answers, whatever the transport.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    catalog::Catalog,
    channel::Channel,
    conduct::Conduct,
    journal::Journal,
    options::{Era, Options},
    request::{PROTOCOL_VERSION_KEY, Request, quote},
    tools,
};

/// The stateless revision.
pub(super) const MODERN: &str = "2026-07-28";
/// Messages waiting for a session's GET stream or a listener; more are dropped.
const OUTBOX: usize = 4096;

/// The server's state, shared by all its connections.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) options: Options,
    pub(super) journal: Journal,
    pub(super) catalog: Catalog,
    /// Calls under way, by session and id text; notified when cancelled.
    calls: Mutex<HashMap<(String, String), Arc<Notify>>>,
    /// Our own requests that wait for a response, by id text.
    asks: Mutex<HashMap<String, oneshot::Sender<Bytes>>>,
    asked: AtomicU64,
    /// Answers to `resources/read`, where they are counted.
    pub(super) reads: AtomicU64,
    /// Open `subscriptions/listen` streams: the id's text, and where its messages go.
    listeners: Mutex<Vec<(String, mpsc::Sender<String>)>>,
}

/// One conversation: the stdio pipe, or an HTTP session (all modern HTTP requests share one).
#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: String,
    /// 0 before the first request that decides, else one of the constants below.
    era: AtomicU8,
    /// [`Conduct::epoch`] when it was opened.
    epoch: u64,
    /// Tool calls so far.
    calls: AtomicUsize,
    /// Set when the session must be unknown from its next request on.
    forgotten: AtomicBool,
    /// The HTTP GET stream, while one is open.
    pub(super) outbox: Mutex<Option<mpsc::Sender<String>>>,
}

const ERA_LEGACY: u8 = 1;
const ERA_MODERN: u8 = 2;

impl Session {
    pub(super) fn new(name: String, epoch: u64) -> Self {
        Self {
            name,
            epoch,
            era: AtomicU8::new(0),
            calls: AtomicUsize::new(0),
            forgotten: AtomicBool::new(false),
            outbox: Mutex::default(),
        }
    }

    /// Makes the session unknown from its next request on (HTTP only).
    pub(super) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
    }

    /// Whether the session is to be unknown, `limit` being `--forget-session-after`, now that it is this epoch.
    pub(super) fn spent(&self, limit: Option<usize>, epoch: u64) -> bool {
        self.epoch != epoch
            || self.forgotten.load(Ordering::Relaxed)
            || limit.is_some_and(|limit| self.calls.load(Ordering::Relaxed) >= limit)
    }

    /// Opens the GET stream, closing the one before.
    pub(super) fn open_outbox(&self) -> mpsc::Receiver<String> {
        let (sender, receiver) = mpsc::channel(OUTBOX);
        *lock(&self.outbox) = Some(sender);
        receiver
    }
}

/// A call under way; ends in the table when dropped.
#[derive(Debug)]
pub(super) struct Call {
    server: Arc<Server>,
    key: (String, String),
    /// Notified when the client cancels the call.
    pub(super) cancelled: Arc<Notify>,
}

impl Drop for Call {
    fn drop(&mut self) {
        lock(&self.server.calls).remove(&self.key);
    }
}

/// An error response, and the HTTP status that goes with it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: i64,
    pub(super) message: String,
    /// JSON text.
    pub(super) data: Option<String>,
}

impl Refusal {
    /// The whole response to the request with this id (JSON text).
    pub(super) fn response(&self, id: &str) -> String {
        let data = self.data.as_ref().map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{},"message":{}{data}}}}}"#,
            self.code,
            quote(&self.message)
        )
    }
}

/// Whether the process must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Handle the message.
    Go,
    /// `--exit-on-discover` met its request.
    Exit,
}

impl Server {
    pub(super) fn new(options: Options) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            journal: Journal::open(options.journal.as_deref())?,
            catalog: Catalog::new(&options),
            options,
            calls: Mutex::default(),
            asks: Mutex::default(),
            asked: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            listeners: Mutex::default(),
        }))
    }

    /// How to behave now.
    pub(super) fn conduct(&self) -> Conduct {
        Conduct::read(self.options.conduct.as_deref())
    }

    /// Takes note of a message at the moment of its arrival: journal, cancellation, responses to our own
    /// requests. Everything that needs an answer is left to [`Server::answer`].
    pub(super) fn arrive(&self, session: &Session, request: &Request) -> Verdict {
        let id = request.id.as_deref();
        let Some(method) = request.method.as_deref() else {
            self.journal.record("response", "", id, &session.name);
            if let Some(asked) = lock(&self.asks).remove(request.id_text()) {
                // The asking call may have given up: then nobody wants the response.
                let _ = asked.send(request.bytes.clone());
            }
            return Verdict::Go;
        };
        let event = if id.is_some() { "request" } else { "notification" };
        self.journal.record(event, method, id, &session.name);
        if method == "notifications/cancelled"
            && let Some(target) = &request.params.request_id
        {
            let key = (session.name.clone(), target.get().to_owned());
            let call = lock(&self.calls).get(&key).cloned();
            let event = if call.is_some() { "cancelled" } else { "cancelled_unknown" };
            self.journal.record(event, "", Some(target.get()), &session.name);
            if let Some(call) = call {
                call.notify_one();
            }
        }
        let undecided = session.era.load(Ordering::Relaxed) == 0;
        if self.options.exit_on_discover && undecided && method != "initialize" && method != "ping" {
            return Verdict::Exit;
        }
        if undecided && (request.modern || method == "initialize") {
            // Here and not where the request is served, so that a second one right behind it finds it.
            let era = if request.modern { ERA_MODERN } else { ERA_LEGACY };
            session.era.store(era, Ordering::Relaxed);
        }
        Verdict::Go
    }

    /// Enters a call in the table, so that it can be cancelled.
    pub(super) fn begin(self: &Arc<Self>, session: &Session, request: &Request) -> Call {
        let key = (session.name.clone(), request.id_text().to_owned());
        let cancelled = Arc::new(Notify::new());
        lock(&self.calls).insert(key.clone(), Arc::clone(&cancelled));
        Call { server: Arc::clone(self), key, cancelled }
    }

    /// Whether calls are under way.
    pub(super) fn is_busy(&self) -> bool {
        !lock(&self.calls).is_empty()
    }

    /// Answers a request; a notification or a response gets nothing here.
    pub(super) async fn answer(
        &self,
        session: &Session,
        request: &Request,
        call: &Call,
        channel: &mut Channel,
    ) -> io::Result<()> {
        if request.id.is_none() || request.method.is_none() {
            return Ok(());
        }
        if self.options.mute.iter().any(|method| method == request.method()) {
            call.cancelled.notified().await;
            return Ok(());
        }
        if let Err(refusal) = self.admit(session, request) {
            return channel.refuse(request, &refusal).await;
        }
        match request.method() {
            "tools/call" => {
                session.calls.fetch_add(1, Ordering::Relaxed);
                tools::call(self, session, request, call, channel).await
            }
            "subscriptions/listen" if request.modern => self.listen(request, call, channel).await,
            method => match self.local(method, request) {
                Ok(result) => channel.result(request, &result).await,
                Err((code, message)) => {
                    let status = if request.modern && code == -32601 { 404 } else { 200 };
                    channel.refuse(request, &Refusal { status, code, message, data: None }).await
                }
            },
        }
    }

    /// Whether the era of the request is served here, now.
    fn admit(&self, session: &Session, request: &Request) -> Result<(), Refusal> {
        let initialize = request.method() == "initialize";
        let locked = if self.options.lock_era { session.era.load(Ordering::Relaxed) } else { 0 };
        let unsupported = |requested: &str| Refusal {
            status: 400,
            code: -32022,
            message: "Unsupported protocol version".to_owned(),
            data: Some(format!(r#"{{"supported":["{MODERN}"],"requested":{}}}"#, quote(requested))),
        };
        if initialize && (self.options.era == Era::Modern || locked == ERA_MODERN) {
            return Err(unsupported(request.params.protocol_version.as_deref().unwrap_or_default()));
        }
        if request.modern {
            if locked == ERA_LEGACY {
                let message = "this connection was opened by a handshake".to_owned();
                return Err(Refusal { status: 400, code: -32600, message, data: None });
            }
            if let Some(version) = request.modern_version().filter(|version| *version != MODERN) {
                return Err(unsupported(version));
            }
        } else if self.options.era == Era::Modern {
            let message = format!("_meta lacks {PROTOCOL_VERSION_KEY}");
            return Err(Refusal { status: 400, code: -32602, message, data: None });
        }
        Ok(())
    }

    /// Serves one `subscriptions/listen` until the client ends it.
    async fn listen(&self, request: &Request, call: &Call, channel: &mut Channel) -> io::Result<()> {
        let id = request.id_text();
        let (sender, mut receiver) = mpsc::channel(OUTBOX);
        lock(&self.listeners).push((id.to_owned(), sender));
        channel
            .message(&format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{"toolsListChanged":true}},"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
            ))
            .await?;
        loop {
            tokio::select! {
                message = receiver.recv() => match message {
                    Some(message) => channel.message(&message).await?,
                    None => return Ok(()),
                },
                () = call.cancelled.notified() => return Ok(()),
            }
        }
    }

    /// Sends a notification to every listener, tagged with its subscription; returns how many took it.
    pub(super) fn publish(&self, method: &str, params: Option<&str>) -> usize {
        let mut listeners = lock(&self.listeners);
        listeners.retain(|(_, sender)| !sender.is_closed());
        let members = params.map_or("", |params| {
            let inner = params.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            inner.unwrap_or_default()
        });
        let comma = if members.is_empty() { "" } else { "," };
        listeners
            .iter()
            .filter(|(id, sender)| {
                let message = format!(
                    r#"{{"jsonrpc":"2.0","method":{},"params":{{{members}{comma}"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#,
                    quote(method)
                );
                sender.try_send(message).is_ok()
            })
            .count()
    }

    /// Reserves an id for a request of our own and the place where its response will arrive.
    pub(super) fn ask(&self) -> (String, oneshot::Receiver<Bytes>) {
        let id = format!("\"raw-{}\"", self.asked.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        lock(&self.asks).insert(id.clone(), sender);
        (id, receiver)
    }
}

/// Locks a mutex; a panic elsewhere leaves maps and options usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
