//! A connection to an MCP server that is our child process: one JSON-RPC message per line on its standard input and
//! output (MCP specification, "stdio").
//!
//! ```text
//! call ─▶ Desk (open calls, queue) ─▶ writer task ─▶ stdin ─┐
//!           ▲                                               child ─▶ stderr task ─▶ log, last words
//! Inbox ◀── Router ◀── reader task ◀── stdout ──────────────┘
//!                          Life: notices the end, fails the calls, stops the child
//! ```
//! No lock is held while anything waits, and no task waits for a client: what a slow client does not take piles up
//! in its own [`Inbox`], within bounds. Only a line too long for that ([`long`]) is read as fast as its client takes it,
//! and given up if that takes too long.

mod desk;
mod life;
mod long;
mod pipes;
mod route;
#[cfg(test)]
mod route_tests;
mod stderr;
mod throttle;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use aqe_core::batching::{Batching, Priority};
use aqe_core::envelope::Limits;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::child::{self, ChildSpec, Started};
use super::{
    BoxFuture, CallError, CallTag, Connection, Events, Inbox, Item, Negotiated, Outgoing, PendingCall,
};
use desk::{Claim, Desk, Length};
use life::Life;
use route::{Counts, Router};
use stderr::LastWords;

/// Bounds on a child.
#[derive(Debug, Clone, Copy)]
pub struct StdioLimits {
    /// Bytes of one line on the child's standard output.
    pub max_line_bytes: usize,
    /// Bounds on one message.
    pub message: Limits,
    /// How long the child's standard input may take nothing while something waits; then the child is killed.
    pub send_timeout: Duration,
    /// How a child is stopped.
    pub grace: Grace,
    /// How long notifications to it may wait for others.
    pub batching: Option<Batching>,
}

impl Default for StdioLimits {
    fn default() -> Self {
        Self {
            max_line_bytes: 16 * 1024 * 1024,
            message: Limits::default(),
            send_timeout: Duration::from_secs(2),
            grace: Grace::default(),
            batching: None,
        }
    }
}

/// The steps of stopping a child, as the specification wants them ("stdio", shutdown).
#[derive(Debug, Clone, Copy)]
pub struct Grace {
    /// From closing its standard input to SIGTERM.
    pub stdin_closed: Duration,
    /// From SIGTERM to SIGKILL.
    pub terminated: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self { stdin_closed: Duration::from_millis(500), terminated: Duration::from_secs(1) }
    }
}

/// What is known of a child.
#[derive(Debug, Clone)]
pub struct StdioStatus {
    /// Its process id, which is the number of its process group too.
    pub pid: u32,
    /// The last lines on its standard error, the oldest first; at most 20.
    pub last_words: Vec<String>,
    /// Messages for calls that had ended: second answers, answers to cancelled calls, progress after the answer.
    pub late: u64,
    /// Malformed messages and answers to ids that were never sent.
    pub malformed: u64,
    /// Lines on its standard output that are no messages.
    pub noise: u64,
}

/// A child process that speaks MCP on its standard streams.
///
/// When the last handle and the last open call are dropped, the child is stopped in the background.
pub struct StdioConnection {
    label: String,
    pid: u32,
    desk: Arc<Desk>,
    words: Arc<LastWords>,
    counts: Arc<Counts>,
    close: watch::Sender<Option<String>>,
    /// Closed when the child is gone.
    finished: watch::Receiver<()>,
}

impl StdioConnection {
    /// Starts a child. `label` names the upstream in the log.
    ///
    /// # Errors
    /// [`CallError::NotSent`] saying why the child could not be started.
    ///
    /// # Panics
    /// Outside a Tokio runtime with I/O and time.
    pub async fn spawn(
        label: &str,
        spec: &ChildSpec,
        limits: StdioLimits,
        events: Arc<dyn Events>,
    ) -> Result<Arc<Self>, CallError> {
        let Started { process, stdin, stdout, stderr } = child::start(spec)
            .await
            .map_err(|error| CallError::NotSent(format!("cannot start the server: {error}")))?;
        let desk = Arc::new(Desk::new(limits.batching));
        let words = Arc::new(LastWords::default());
        let counts = Arc::new(Counts::default());
        let (close, close_asked) = watch::channel(None);
        let (finishing, finished) = watch::channel(());
        let pid = process.id();
        tracing::debug!(upstream = label, pid, "started");

        let router = Router::new(
            label.to_owned(),
            Arc::clone(&desk),
            Arc::clone(&events),
            Arc::clone(&counts),
            limits.message,
            limits.max_line_bytes,
        );
        let life = Life {
            label: label.to_owned(),
            limits,
            desk: Arc::clone(&desk),
            words: Arc::clone(&words),
            events,
            process,
            reader: one_task(pipes::read(stdout, Arc::clone(&desk), router)),
            writer: one_task(pipes::write(stdin, Arc::clone(&desk), limits.send_timeout)),
            stderr: one_task(stderr::drain(stderr, label.to_owned(), Arc::clone(&words))),
            close: close_asked,
        };
        crate::tasks::spawn("child", life.run(finishing));
        Ok(Arc::new(Self { label: label.to_owned(), pid, desk, words, counts, close, finished }))
    }

    /// What is known of the child.
    pub fn status(&self) -> StdioStatus {
        StdioStatus {
            pid: self.pid,
            last_words: self.words.lines(),
            late: self.counts.late.load(Ordering::Relaxed),
            malformed: self.counts.malformed.load(Ordering::Relaxed),
            noise: self.counts.noise.load(Ordering::Relaxed),
        }
    }
}

fn one_task<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinSet<T> {
    let mut set = JoinSet::new();
    set.spawn(task);
    set
}

impl fmt::Debug for StdioConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioConnection")
            .field("label", &self.label)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Connection for StdioConnection {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn child(&self) -> Option<StdioStatus> {
        Some(self.status())
    }

    fn next_id(&self) -> u64 {
        self.desk.next_id()
    }

    fn call(self: Arc<Self>, id: u64, out: Outgoing, tag: CallTag) -> Box<dyn PendingCall> {
        let length = match &*out.method {
            "ping" | "server/discover" => Length::Short,
            _ => out.pass_from.map_or(Length::Any, Length::PassFrom),
        };
        let inbox = self.desk.open(id, tag, out.bytes, length).unwrap_or_else(|error| {
            let inbox = Inbox::default();
            inbox.push(Item::Failed(error));
            Arc::new(inbox)
        });
        if out.method == "subscriptions/listen" {
            self.desk.mark_endless(id);
        }
        // MCP specification, "Cancellation": "initialize" must not be cancelled.
        Box::new(StdioCall { connection: self, id, inbox, cancellable: out.method != "initialize" })
    }

    /// Queues the message at once; resolves when the child's pipe has taken it.
    fn send(&self, out: Outgoing) -> BoxFuture<'_, Result<(), CallError>> {
        let queued = self.desk.post(out.bytes, Priority::of(&out.method));
        Box::pin(async move { self.desk.written_to(queued?).await })
    }

    fn negotiated(self: Arc<Self>, _negotiated: Negotiated) {
        // Framing on stdio is the same in every revision.
    }

    fn listen(self: Arc<Self>) {
        // Everything comes over the one stream.
    }

    fn in_flight(&self) -> Vec<(u64, CallTag)> {
        self.desk.in_flight()
    }

    fn deliver(&self, id: u64, item: Item) -> Option<Item> {
        let last = item.is_last();
        match self.desk.claim(id, last) {
            Claim::Open(inbox) => {
                inbox.push(item);
                None
            }
            Claim::Finished | Claim::Foreign => Some(item),
        }
    }

    fn is_open(&self) -> bool {
        self.desk.is_open()
    }

    fn is_speaking(&self) -> bool {
        self.desk.is_speaking()
    }

    fn close(&self, reason: &str) -> BoxFuture<'_, ()> {
        self.close.send_if_modified(|asked| {
            let first = asked.is_none();
            asked.get_or_insert_with(|| reason.to_owned());
            first
        });
        let mut finished = self.finished.clone();
        Box::pin(async move {
            // Nothing is ever sent: this waits for the sender to be dropped.
            while finished.changed().await.is_ok() {}
        })
    }
}

/// A call to a child.
struct StdioCall {
    connection: Arc<StdioConnection>,
    id: u64,
    inbox: Arc<Inbox>,
    cancellable: bool,
}

impl PendingCall for StdioCall {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        self.inbox.poll_next(cx)
    }
}

impl Drop for StdioCall {
    fn drop(&mut self) {
        let desk = &self.connection.desk;
        if desk.forget(self.id) && self.cancellable {
            desk.cancel(self.id);
        }
    }
}
