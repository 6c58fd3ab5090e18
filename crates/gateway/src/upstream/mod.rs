//! Connections to MCP servers, and the vocabulary that they share.
//!
//! A [`Connection`] is one live conversation with a replica. It carries many calls at once. It moves messages and
//! knows nothing of what they mean: handshake, era and names are the business of the layers above.

mod checks;
mod child;
pub mod guardian;
pub mod handshake;
mod http;
mod inbox;
mod live;
mod long;
pub mod manifest;
mod membership;
mod once;
mod opening;
mod queue;
mod refresh;
mod replica;
mod status;
mod stdio;
mod supervisor;
mod tuning;
mod turn;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use aqe_core::envelope::Message;
use aqe_core::health::{FailureKind, Outcome};
use bytes::Bytes;

pub(crate) use self::http::causes;
pub use self::http::{HttpClient, HttpConnection, HttpLimits, HttpSpec, SpecError, encode_header_value};
pub use child::{ChildSpec, RUN_TAG, run_id};
pub use inbox::{Inbox, Overflow};
pub use live::{Audience, Hooks, Live};
pub(crate) use long::LONG_BYTES;
pub use long::{LongReply, Rest};
pub use manifest::{ListHint, ListKind, Listed, Manifest};
pub(crate) use membership::check_settings;
pub(crate) use once::run_once;
pub use replica::ReplicaName;
pub use status::Status;
pub(crate) use status::with_connections;
pub use stdio::{Grace, StdioConnection, StdioLimits, StdioStatus};
pub use supervisor::{Common, Unavailable, Upstream, UpstreamError};
pub use turn::{Asking, NoTurn, Turn};

/// A boxed future, for the few asynchronous methods behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A message on its way to an upstream.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The complete JSON-RPC message, without a raw line break. A request carries an id from
    /// [`Connection::next_id`].
    pub bytes: Bytes,
    /// Its method; empty for a response. Modern HTTP sends it as `Mcp-Method`.
    pub method: Cow<'static, str>,
    /// What modern HTTP sends as `Mcp-Name`: `params.name`, `params.uri` or `params.taskId`, unencoded.
    pub name: Option<String>,
    /// Further HTTP headers of this message, such as `Mcp-Param-*`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A result of more bytes than this is handed out while it comes, as [`Item::Long`]; `None`: it is collected.
    pub pass_from: Option<usize>,
}

/// Whose call it is, so that messages without a reference to a call can be attributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTag {
    /// The client conversation that the call came from; calls of equal owners share one client.
    pub owner: u64,
    /// Whether the caller asked for log messages of this call.
    pub wants_log: bool,
    /// Sending the call twice does no harm, so it can be moved when the connection stalls.
    pub repeatable: bool,
}

/// What an upstream sends for one call, in order. The last item is [`Item::Answer`], [`Item::Long`] or
/// [`Item::Failed`].
#[derive(Debug)]
pub enum Item {
    /// Progress, a log message or any other notification of this call.
    Notification(Message),
    /// A request of the server to the client during this call (legacy era only).
    Request(Message),
    /// The response or error response.
    Answer(Message),
    /// A response that is read while it is passed on.
    Long(LongReply),
    /// There will be no answer.
    Failed(CallError),
}

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request never left; sending it again is safe.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The server no longer knows the session (HTTP 404); it has not looked at the request.
    #[error("the server has lost the session")]
    SessionLost,
    /// The connection ended while the call was open.
    #[error("connection closed: {0}")]
    Closed(String),
    /// An answer came that is not a JSON-RPC response, breaks a limit, or cannot be the one asked for.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// An HTTP status that carries no JSON-RPC message.
    #[error("HTTP status {status}{}", .detail.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Http {
        /// The status code.
        status: u16,
        /// `Retry-After` in seconds, where the server sent one.
        retry_after_s: Option<u64>,
        /// The first bytes of the body as text, if it was text.
        detail: Option<String>,
    },
    /// The client reads too slowly and the call's buffer is full.
    #[error("the client does not read what the upstream sends: {0}")]
    Overflow(#[from] Overflow),
}

impl CallError {
    /// What it says of its replica, which is one of so many.
    pub fn outcome(&self, replicas: usize) -> Outcome {
        match self {
            Self::NotSent(_) => Outcome::Failure(FailureKind::Connect),
            Self::Closed(_) => Outcome::Failure(FailureKind::Closed),
            Self::Malformed(_) => Outcome::Failure(FailureKind::Malformed),
            // A lone server says so itself to every call; its limit may be one of this client or tool alone.
            Self::Http { status: 429, .. } | Self::Http { status: 503, retry_after_s: Some(_), .. }
                if replicas == 1 =>
            {
                Outcome::Success
            }
            Self::Http { status: 429, retry_after_s, .. } => {
                Outcome::Overloaded { retry_after: retry_after_s.map(Duration::from_secs) }
            }
            Self::Http { status: 503, retry_after_s: Some(pause), .. } => {
                Outcome::Overloaded { retry_after: Some(Duration::from_secs(*pause)) }
            }
            Self::Http { status: 500.., .. } => Outcome::Failure(FailureKind::ServerError),
            // It lives: it has forgotten a session, or refuses this request.
            Self::SessionLost | Self::Http { .. } => Outcome::Success,
            Self::Overflow(_) => Outcome::Cancelled,
        }
    }
}

impl Item {
    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Answer(_) | Self::Long(_) | Self::Failed(_))
    }
}

/// A call that was sent. Dropping it before its last item cancels it at the upstream.
pub trait PendingCall: Send {
    /// The next item; must not be polled after the last one.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Item>;
}

/// Awaits the next item of a call.
pub fn next_item(call: &mut dyn PendingCall) -> impl Future<Output = Item> + Send {
    std::future::poll_fn(move |cx| call.poll_next(cx))
}

/// Where a connection reports what belongs to no call. Called from the connection's reader: must not block.
pub trait Events: Send + Sync {
    /// A notification or request that the connection cannot attribute to a call by itself.
    fn unsolicited(&self, message: Message);
    /// The connection has ended; every open call has been failed. Reported once, unless we closed it.
    fn closed(&self, reason: &str);
    /// The server has forgotten the session of the connection, and no call is open on it any more. Reported once.
    fn session_lost(&self);
}

/// What the handshake has settled, told to the connection so that it can frame what it sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// The value of `MCP-Protocol-Version`.
    pub protocol_version: String,
    /// Whether the peer is of the modern era: stateless, no session, no GET stream, `Mcp-*` headers.
    pub modern: bool,
}

/// One live conversation with a replica, carrying many calls at once.
pub trait Connection: Send + Sync + fmt::Debug {
    /// An id that no other request on this connection has. It serves as progress token too.
    fn next_id(&self) -> u64;

    /// Sends a request (whose id is `id`) and returns its pending answer.
    fn call(self: Arc<Self>, id: u64, out: Outgoing, tag: CallTag) -> Box<dyn PendingCall>;

    /// Sends a notification or a response; resolves when it has been handed over to the peer's transport.
    fn send(&self, out: Outgoing) -> BoxFuture<'_, Result<(), CallError>>;

    /// Tells the connection what was negotiated.
    fn negotiated(self: Arc<Self>, negotiated: Negotiated);

    /// Opens what messages outside of calls come over, if that is not open anyway: the GET stream of a legacy HTTP
    /// session.
    fn listen(self: Arc<Self>);

    /// The calls in flight: id and tag.
    fn in_flight(&self) -> Vec<(u64, CallTag)>;

    /// Hands an item to the call `id`; gives it back if no such call is open.
    fn deliver(&self, id: u64, item: Item) -> Option<Item>;

    /// Whether it still takes calls.
    fn is_open(&self) -> bool;

    /// The child process that it talks to, if it does.
    fn pid(&self) -> Option<u32> {
        None
    }

    /// What is known of that child.
    fn child(&self) -> Option<StdioStatus> {
        None
    }

    /// Whether an answer is being read behind which all others wait, and somebody takes it.
    fn is_speaking(&self) -> bool {
        false
    }

    /// Ends the conversation: open calls fail with `reason`; a child is stopped and reaped, a session deleted.
    fn close(&self, reason: &str) -> BoxFuture<'_, ()>;
}
