//! Which call a line of the child belongs to.
//!
//! A malformed answer must fail its call at once: to wait for the deadline instead would make every small fault of a
//! server look like a hang. So a line that is broken is still searched for the id that it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aqe_core::envelope::{Beginning, Field, Kind, Limits, Line, Message, recover_id, split_batch};
use bytes::Bytes;
use memchr::memmem;
use tokio::time::Instant;

use super::super::{CallError, Events, Inbox, Item, LONG_BYTES};
use super::desk::{Claim, Desk, LongClaim};
use super::stderr::printable;
use super::throttle::Throttle;

/// Lines about bad output that are logged per second.
const LOG_LINES_PER_SECOND: u32 = 10;
/// Bytes of a line that are shown in the log.
const SHOWN_BYTES: usize = 200;

/// What a child has sent that no call could take.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) late: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) noise: AtomicU64,
}

/// Takes the lines of one child's standard output.
pub(super) struct Router {
    pub(super) label: String,
    pub(super) desk: Arc<Desk>,
    pub(super) events: Arc<dyn Events>,
    pub(super) counts: Arc<Counts>,
    pub(super) limits: Limits,
    pub(super) max_line_bytes: usize,
    throttle: Throttle,
}

/// A line or element that is no message: where its id may be found, and what is wrong.
struct Broken<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    id: Option<String>,
    reason: String,
}

impl Router {
    pub(super) fn new(
        label: String,
        desk: Arc<Desk>,
        events: Arc<dyn Events>,
        counts: Arc<Counts>,
        limits: Limits,
        max_line_bytes: usize,
    ) -> Self {
        Self {
            label,
            desk,
            events,
            counts,
            limits,
            max_line_bytes,
            throttle: Throttle::new(LOG_LINES_PER_SECOND),
        }
    }

    /// Takes one line.
    pub(super) fn line(&mut self, line: Line) {
        match line {
            Line::Whole(bytes) => self.whole(&bytes),
            Line::TooLong { head, tail, length } => {
                let reason =
                    format!("a line of {length} bytes, more than the limit of {}", self.max_line_bytes);
                self.broken(Broken { head: &head, tail: &tail, id: None, reason });
            }
        }
    }

    /// From which length on [`Router::long_line`] wants to be asked.
    pub(super) fn pass_from(&self) -> usize {
        LONG_BYTES.min(self.max_line_bytes / 2)
    }

    /// The call that takes a line while it comes, of which so much has come; the error is the length up to which there is
    /// none.
    pub(super) fn long_line(&self, begun: &[u8]) -> Result<(u64, Arc<Inbox>), usize> {
        let Beginning::Result(id) = Beginning::of(begun, self.limits.max_depth) else {
            return Err(usize::MAX);
        };
        let id = match id.as_deref().map(call_id) {
            Some(None) => return Err(usize::MAX),
            Some(Some(id)) => Some(id),
            None => None,
        };
        match self.desk.claim_long(id, begun.len()) {
            LongClaim::Open(id, inbox) => Ok((id, inbox)),
            LongClaim::None { until } => Err(until),
        }
    }

    fn whole(&mut self, bytes: &Bytes) {
        let mut rest = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
        match (rest.next(), rest.next()) {
            (Some(b'{'), _) => self.message(bytes),
            // Older servers may batch. `[info] …` is a log line.
            (Some(b'['), Some(b'{')) => match split_batch(bytes, self.limits) {
                Ok(messages) => messages.iter().for_each(|message| self.message(message)),
                Err(fault) => {
                    self.broken(Broken { head: bytes, tail: bytes, id: fault.id, reason: fault.reason });
                }
            },
            _ => self.noise(bytes),
        }
    }

    fn message(&mut self, bytes: &Bytes) {
        match Message::parse(bytes.clone(), self.limits) {
            Ok(message) => match message.kind() {
                Kind::Response | Kind::Error => self.answer(message),
                Kind::Notification => self.notification(message),
                Kind::Request => self.events.unsolicited(message),
            },
            Err(fault) => {
                self.broken(Broken { head: bytes, tail: bytes, id: fault.id, reason: fault.reason });
            }
        }
    }

    fn answer(&mut self, message: Message) {
        let claim = message.id().and_then(call_id).map(|id| self.desk.claim(id, true));
        match claim {
            Some(Claim::Open(inbox)) => self.push(&inbox, Item::Answer(message)),
            Some(Claim::Finished) => count(&self.counts.late),
            Some(Claim::Foreign) | None => self.foreign_answer(&message),
        }
    }

    /// A well-formed answer to something that we have not asked.
    fn foreign_answer(&mut self, message: &Message) {
        count(&self.counts.malformed);
        let (id, code) = (message.id().filter(|id| *id != "null"), message.raw(Field::Code));
        let reason = if let Some(id) = id {
            format!("an answer to the id {}, which was never sent", shown(id.as_bytes()))
        } else {
            let text = message.string(Field::ErrorMessage).unwrap_or_default();
            format!("an error without an id: {} {}", code.unwrap_or("?"), shown(text.as_bytes()))
        };
        // A server that knows the method or the parameters has read the message, and its id if it had one: this is
        // a mistaken answer to one of our notifications.
        let to_notification = id.is_none() && matches!(code, Some("-32601" | "-32602"));
        let inbox = if to_notification { None } else { self.desk.claim_only() };
        self.fail(inbox, reason);
    }

    fn notification(&mut self, message: Message) {
        let progress =
            message.raw(Field::ProgressToken).filter(|_| message.method() == "notifications/progress");
        let id = progress.or_else(|| message.raw(Field::MetaSubscriptionId)).and_then(call_id);
        match id.map(|id| self.desk.claim(id, false)) {
            Some(Claim::Open(inbox)) => self.push(&inbox, Item::Notification(message)),
            Some(Claim::Finished) => count(&self.counts.late),
            Some(Claim::Foreign) | None => self.events.unsolicited(message),
        }
    }

    fn push(&self, inbox: &Inbox, item: Item) {
        if !inbox.push(item) {
            count(&self.counts.late);
        }
    }

    /// Fails the call that a broken line was meant for, if that can be told.
    fn broken(&mut self, broken: Broken<'_>) {
        let Broken { head, tail, id, reason } = broken;
        let has = |key: &[u8]| memmem::find(head, key).or_else(|| memmem::find(tail, key)).is_some();
        let has_body = has(b"\"result\"") || has(b"\"error\"");
        let is_json_rpc = has(b"\"jsonrpc\"") || has_body && has(b"\"id\"");
        if !is_json_rpc {
            // `{not a message}`, or a log line in JSON.
            return self.noise(head);
        }
        count(&self.counts.malformed);
        if has(b"\"method\"") && !has_body {
            // A notification or a request of the server: its id, if any, is none of ours.
            return self.fail(None, reason);
        }
        // Before the body an id can only be the message's own; near the end it may be one within the result.
        let own = id.or_else(|| recover_id(head, b""));
        let certain = own.is_some();
        let id = own.or_else(|| recover_id(head, tail));
        let inbox = match id.as_deref().and_then(call_id).map(|id| self.desk.claim(id, true)) {
            Some(Claim::Open(inbox)) => Some(inbox),
            Some(Claim::Finished) if certain => return count(&self.counts.late),
            _ => self.desk.claim_only(),
        };
        self.fail(inbox, reason);
    }

    fn fail(&mut self, inbox: Option<Arc<Inbox>>, reason: String) {
        if self.may_log() {
            let attributed = inbox.is_some();
            tracing::warn!(upstream = self.label, attributed, reason, "the child sent a malformed message");
        }
        if let Some(inbox) = inbox {
            self.push(&inbox, Item::Failed(CallError::Malformed(reason)));
        }
    }

    fn noise(&mut self, line: &[u8]) {
        count(&self.counts.noise);
        if self.may_log() {
            tracing::debug!(upstream = self.label, "not a message on stdout: {}", shown(line));
        }
    }

    fn may_log(&mut self) -> bool {
        let now = Instant::now();
        if let Some(dropped) = self.throttle.dropped(now) {
            tracing::warn!(
                upstream = self.label,
                dropped,
                "complaints about stdout were not logged: too many"
            );
        }
        self.throttle.admit(now)
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("label", &self.label).finish_non_exhaustive()
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn shown(bytes: &[u8]) -> String {
    printable(&bytes[..bytes.len().min(SHOWN_BYTES)])
}

/// Our id in a peer's text: the number as we have sent it, or a string of it as some servers make of numbers.
fn call_id(raw: &str) -> Option<u64> {
    let digits = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
    let canonical = digits.as_bytes().first().is_some_and(|first| (b'1'..=b'9').contains(first));
    if canonical { digits.parse().ok() } else { None }
}
