//! The load: calls on a fixed schedule, whatever becomes of those before.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aqe_testkit::client::{Answer, HttpSession, Message};
use aqe_testkit::process::wait_until;
use serde_json::json;
use tokio::task::JoinHandle;

use super::witness::Witness;

/// Every so many calls one must not be made twice.
const TELLS: usize = 10;
/// How much later than its deadline an answer may come (reliability.md, S1).
const LATE: Duration = Duration::from_millis(100);
/// How much longer than that a client waits before it takes the answer for lost.
const LOST: Duration = Duration::from_secs(2);

/// Header fields of every call.
const FIELDS: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A tool that only reads.
    Asks,
    /// A tool that must not be called twice.
    Tells,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With its own answer.
    Answered,
    /// With an error: its text.
    Failed(String),
    /// With what is no answer to it, or with several.
    Wrong(String),
    /// Without an answer.
    Lost(String),
}

/// A call that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Its place in the schedule, from 0 on.
    number: usize,
    pub(crate) kind: Kind,
    pub(crate) mark: String,
    pub(crate) sent: Instant,
    pub(crate) took: Duration,
    pub(crate) ended: Ended,
}

/// A running load.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    schedule: JoinHandle<()>,
    started: Instant,
    per_second: u32,
}

#[derive(Debug)]
struct Shared {
    sessions: Vec<HttpSession>,
    sent: AtomicUsize,
    over: AtomicBool,
    ended: Mutex<Vec<Call>>,
}

impl Load {
    /// So many calls a second over these sessions in turn.
    pub(crate) fn start(sessions: Vec<HttpSession>, per_second: u32, deadline: Duration) -> Self {
        let patience = deadline + LATE + LOST;
        let sessions = sessions
            .into_iter()
            .map(|session| HttpSession { client: session.client.deadline(patience), ..session })
            .collect();
        let shared = Arc::new(Shared {
            sessions,
            sent: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            ended: Mutex::default(),
        });
        let started = Instant::now();
        let schedule = tokio::spawn(Arc::clone(&shared).follow(started, per_second));
        Self { shared, schedule, started, per_second }
    }

    /// Waits until every call has ended that was sent before.
    pub(crate) async fn until_ended_so_far(&self) {
        let sent = self.shared.sent.load(Ordering::Relaxed);
        wait_until(Duration::from_secs(30), "the end of the calls that were sent", || {
            let ended = self.shared.ended.lock().unwrap();
            (ended.iter().filter(|call| call.number < sent).count() == sent).then_some(())
        })
        .await;
    }

    /// Calls that have ended so far.
    pub(crate) fn ended(&self) -> Vec<Call> {
        self.shared.ended.lock().unwrap().clone()
    }

    /// Sends no more, and waits for the answers.
    pub(crate) async fn stop(self, witness: &Witness) -> Vec<Call> {
        self.shared.over.store(true, Ordering::Relaxed);
        let now = Instant::now();
        let lately = now.checked_sub(Duration::from_millis(200)).unwrap_or(now);
        // What has fallen due while the schedule waited for its turn is not sent yet.
        let ran = self.started.elapsed().saturating_sub(witness.worst(lately, now));
        self.schedule.await.expect("expected the schedule to end");
        let sent = self.shared.sent.load(Ordering::Relaxed);
        let planned = ran.as_secs_f64() * f64::from(self.per_second);
        assert!(sent as f64 >= planned * 0.98 - 10.0, "the load fell behind: {sent} of {planned:.0} calls");
        wait_until(Duration::from_secs(30), "every call's end", || {
            (self.shared.ended.lock().unwrap().len() == sent).then_some(())
        })
        .await;
        std::mem::take(&mut *self.shared.ended.lock().unwrap())
    }
}

impl Shared {
    /// Sends each call when it is due, those that are overdue at once.
    async fn follow(self: Arc<Self>, started: Instant, per_second: u32) {
        for n in 0_u32.. {
            let due = started + Duration::from_secs(1) * n / per_second;
            tokio::time::sleep_until(due.into()).await;
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            self.sent.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(Arc::clone(&self).call(n as usize));
        }
    }

    async fn call(self: Arc<Self>, n: usize) {
        let session = self.sessions[n % self.sessions.len()].clone();
        // In step with neither the sessions nor the replicas.
        let kind = if n % TELLS == (n / TELLS) % TELLS { Kind::Tells } else { Kind::Asks };
        let mark = format!("m{n}m");
        let sent = Instant::now();
        // A task of its own, for the clients of tests panic when nothing comes.
        let exchange = tokio::spawn(exchange(session, kind, n, mark.clone()));
        let ended = exchange.await.unwrap_or_else(|error| Ended::Lost(error.to_string()));
        let call = Call { number: n, kind, mark, sent, took: sent.elapsed(), ended };
        self.ended.lock().unwrap().push(call);
    }
}

async fn exchange(session: HttpSession, kind: Kind, n: usize, mark: String) -> Ended {
    let tool = if kind == Kind::Asks { "received" } else { "tell" };
    let message = Message::call(n, tool, &json!({ "mark": mark }).to_string());
    let id = n.to_string();
    let headers = session.headers(&message);
    let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let fields: Vec<_> = FIELDS.into_iter().chain(fields).collect();
    let text = message.text(session.revision);
    let mut response = match session.client.try_send("POST", &fields, text.as_bytes()).await {
        Ok(response) => response,
        Err(error) => return Ended::Lost(error.to_string()),
    };
    let mut answers = Vec::new();
    if response.is_event_stream() {
        while let Some(text) = response.message().await {
            answers.push(text);
        }
    } else {
        answers.extend(response.message().await);
    }
    let status = response.status;
    let (own, foreign): (Vec<String>, Vec<String>) =
        answers.into_iter().partition(|text| Answer::is_for(text, &id));
    if !foreign.is_empty() {
        return Ended::Wrong(format!("status {status} and {foreign:?}"));
    }
    let mut own = own.into_iter();
    match (own.next(), own.next()) {
        (None, _) => Ended::Lost(format!("status {status} and no message")),
        (Some(one), Some(two)) => Ended::Wrong(format!("two answers: {one} and {two}")),
        (Some(text), None) => judge(text, &mark),
    }
}

fn judge(text: String, mark: &str) -> Ended {
    let answer = Answer { before: Vec::new(), text };
    if answer.is_error() {
        Ended::Failed(answer.text)
    } else if answer.content_text().contains(mark) {
        Ended::Answered
    } else {
        Ended::Wrong(answer.text)
    }
}

/// Whether a call ended later than its deadline allows, and the machine between that and the end.
pub(crate) fn is_late(call: &Call, deadline: Duration, witness: &Witness) -> bool {
    call.took > deadline + LATE
        && call.took > deadline + LATE + witness.worst(call.sent + deadline, call.sent + call.took)
}
