//! How a connection to a child ends: what ended it, what its calls are told, how the child is stopped.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::Events;
use super::super::child::Process;
use super::desk::Desk;
use super::pipes::WriteEnd;
use super::stderr::LastWords;
use super::{Grace, StdioLimits};

/// How long the calls wait for their failure while the exit status, the last answers and the last words on stderr
/// come in. A child that has died needs about a millisecond.
const SETTLE: Duration = Duration::from_millis(40);
/// How long a killed child may take to be reaped before closing goes on without it. Its keeper stays.
const REAP: Duration = Duration::from_millis(500);
/// How long a stopped child's stderr may stay open (in the hands of a process that left the group).
const STDERR: Duration = Duration::from_millis(20);

/// Why a connection ends.
#[derive(Debug)]
enum Cause {
    /// We were asked to, with this reason.
    Asked(String),
    /// The child closed its standard output, or it cannot be read.
    Output(io::Result<()>),
    /// Nothing can be written to the child any more.
    Input(WriteEnd),
    /// The child has exited.
    Exited,
    /// One of our own tasks has panicked.
    Panicked,
}

/// Watches over one child from start to end. Dropping it fails the open calls and kills the child.
pub(super) struct Life {
    pub(super) label: String,
    pub(super) limits: StdioLimits,
    pub(super) desk: Arc<Desk>,
    pub(super) words: Arc<LastWords>,
    pub(super) events: Arc<dyn Events>,
    pub(super) process: Process,
    /// Each holds one task. As a set, because that aborts its task when dropped.
    pub(super) reader: JoinSet<io::Result<()>>,
    pub(super) writer: JoinSet<WriteEnd>,
    pub(super) stderr: JoinSet<()>,
    /// The reason to close; its sender is gone when the connection was dropped.
    pub(super) close: watch::Receiver<Option<String>>,
}

impl Life {
    /// Runs until the child is gone. Then it drops `finished`.
    pub(super) async fn run(mut self, finished: watch::Sender<()>) {
        let cause = self.first_cause().await;
        self.desk.stop_taking();
        let waiting = self.desk.waiting();
        // Its end closes the child's standard input, and lets `end` tell which requests have left.
        self.writer.shutdown().await;
        if !matches!(cause, Cause::Asked(_) | Cause::Input(WriteEnd::Stuck)) {
            self.settle().await;
        }
        let reason = self.describe(&cause, waiting);
        let failed = self.desk.end(&reason);
        if matches!(cause, Cause::Asked(_)) {
            tracing::debug!(upstream = self.label, failed, reason, "closing the connection");
        } else {
            tracing::warn!(upstream = self.label, failed, reason, "the connection has ended");
            self.events.closed(&reason);
        }
        self.stop(!matches!(cause, Cause::Input(WriteEnd::Stuck))).await;
        drop(finished);
    }

    async fn first_cause(&mut self) -> Cause {
        tokio::select! {
            biased;
            reason = asked(&mut self.close) => Cause::Asked(reason),
            Some(end) = self.writer.join_next() => end.map_or(Cause::Panicked, Cause::Input),
            Some(end) = self.reader.join_next() => end.map_or(Cause::Panicked, Cause::Output),
            _ = self.process.exited() => Cause::Exited,
        }
    }

    /// Lets what the child has left behind come in.
    async fn settle(&mut self) {
        let all = async {
            while self.reader.join_next().await.is_some() {}
            self.process.exited().await;
            while self.stderr.join_next().await.is_some() {}
        };
        // If time runs out, the reason says less.
        let _ = timeout(SETTLE, all).await;
    }

    fn describe(&self, cause: &Cause, waiting: u64) -> String {
        let what = match (cause, self.process.exit()) {
            (Cause::Asked(reason), _) => return reason.clone(),
            (Cause::Input(WriteEnd::Stuck), _) => {
                let patience = self.limits.send_timeout.as_secs_f32();
                format!("does not read its standard input: {waiting} bytes have waited {patience} s")
            }
            (Cause::Panicked, _) => "a task of the gateway has panicked".to_owned(),
            (_, Some(exit)) => exit.to_string(),
            (Cause::Output(Ok(())), None) => "closed its standard output".to_owned(),
            (Cause::Output(Err(error)), None) => format!("its standard output cannot be read: {error}"),
            (Cause::Input(WriteEnd::Failed(error)), None) if error.kind() == io::ErrorKind::BrokenPipe => {
                "closed its standard input".to_owned()
            }
            (Cause::Input(WriteEnd::Failed(error)), None) => {
                format!("its standard input cannot be written: {error}")
            }
            (Cause::Exited, None) => "exited".to_owned(),
        };
        match self.words.summary() {
            Some(words) => format!("{what}; last words on stderr: {words}"),
            None => what,
        }
    }

    /// Stops the child, whatever it does: its standard input is closed already, then come SIGTERM and SIGKILL to its
    /// group. When the leader exits, its keeper kills the rest of the group.
    async fn stop(&mut self, gently: bool) {
        let Grace { stdin_closed, terminated } = self.limits.grace;
        let steps: &[_] =
            if gently { &[(stdin_closed, Signal::TERM), (terminated, Signal::KILL)] } else { &[] };
        if steps.is_empty() {
            self.process.signal_group(Signal::KILL);
        }
        for (patience, signal) in steps {
            if within(*patience, self.process.exited()).await {
                break;
            }
            self.process.signal_group(*signal);
        }
        if !within(REAP, self.process.exited()).await {
            tracing::error!(
                upstream = self.label,
                pid = self.process.id(),
                "a killed child has not gone yet"
            );
        }
        within(STDERR, async { while self.stderr.join_next().await.is_some() {} }).await;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // Only where the runtime ends before us is anything left to fail.
        self.desk.end("the gateway is stopping");
    }
}

async fn within(patience: Duration, event: impl Future) -> bool {
    timeout(patience, event).await.is_ok()
}

async fn asked(close: &mut watch::Receiver<Option<String>>) -> String {
    match close.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_default(),
        Err(_) => "the connection is not used any more".to_owned(),
    }
}
