//! Calls of built-in tools that take long, as tasks of our own: begun, followed, cancelled, kept until they are fetched.
//!
//! The bookkeeping is `core::tasks`; how they are written is in [`super::task_forms`], which requests lead here in
//! [`super::task_requests`]. What a task is told of, and whether a call is one, is decided for each call: a modern client
//! that declares the extension gets a task when the call is not over after [`PATIENCE`]; one of 2025-11-25 gets one when
//! it asks for it; for all others a call is a call. To the monitor it is one call from its request to the end of its work.

mod report;
mod work;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use aqe_core::envelope::Field;
use aqe_core::inprocess::{InProcess, InProcessError, ToolResult};
use aqe_core::registry::ToolEntry;
use aqe_core::revision::{Era, Revision};
use aqe_core::tasks::{
    Canceller, Full, Moment, NotCancelled, Outcome, Seen, State, TaskCounts, TaskLimits, Tasks,
};
use futures_util::future::{AbortHandle, abortable};
use tokio::sync::Notify;

use super::builtin::{answer, timed_out};
use super::task_forms::{self, are_declared, wanted_ttl};
use super::{Answer, Gateway, Request};
use crate::monitor::Flight;
use crate::refusal::{Refusal, UpstreamReason};
use crate::session::Session;
use crate::tasks;
use crate::upstream::Upstream;
use crate::wire;
use report::{EndOnDrop, Report};
use work::{EndOfWork, Ended, Work, begin};

/// How long a call may take before its client is given a task.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How long the work of a task may take, unless the tool's time-out is longer.
const WORK_LIMIT: Duration = Duration::from_secs(10 * 60);
/// From the creation of a task until it is forgotten, unless its client asks for another time.
const TTL: Duration = Duration::from_secs(20 * 60);
/// What a client may ask for.
const LEAST_TTL: Duration = Duration::from_secs(1);
const MOST_TTL: Duration = Duration::from_secs(60 * 60);
/// A child or two are behind each task that works; a result has some 24 KB.
const LIMITS: TaskLimits = TaskLimits {
    max_working: 8,
    max_working_in_all: 32,
    max_known: 100,
    max_bytes: 16 * 1024 * 1024,
    max_bytes_in_all: 64 * 1024 * 1024,
    min_rest: Duration::from_secs(5 * 60),
};
/// How long a stop waits until cancelled work has been let go.
const LETTING_GO: Duration = Duration::from_secs(1);

/// How a call of a built-in tool is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With its result.
    Result,
    /// With a task if it takes long.
    Either,
    /// With a task that is kept for so long from now on.
    Task(Duration),
}

/// The tasks of built-in tools.
pub(super) struct OwnTasks {
    table: Mutex<Tasks<Running>>,
    /// What ids begin with, other in each process, so that no upstream is asked about one of ours.
    mark: String,
    /// One is over.
    over: Notify,
    /// Work that is not let go yet, that of cancelled ones with it.
    under_way: AtomicUsize,
}

/// The work of a task.
pub(super) struct Running {
    abort: AbortHandle,
    report: Arc<Report>,
}

impl Running {
    /// Ends it. The tool notices when its future is dropped.
    fn stop(&self) {
        self.report.end();
        self.abort.abort();
    }
}

impl OwnTasks {
    pub(super) fn new() -> Self {
        // It need not be secret, only unlike others.
        let mark = format!("aqe{:08x}-", fastrand::u32(..));
        Self {
            table: Mutex::new(Tasks::new(LIMITS)),
            mark,
            over: Notify::new(),
            under_way: AtomicUsize::new(0),
        }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Tasks<Running>> {
        // No change below the lock can be torn.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a task id is one of ours, if it is one at all.
    pub(super) fn is_own(&self, id: &str) -> bool {
        id.starts_with(&self.mark)
    }

    /// An id that nobody can guess: 128 random bits.
    fn new_id(&self) -> Option<Arc<str>> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        Some(format!("{}{:032x}", self.mark, u128::from_ne_bytes(random)).into())
    }

    /// How many there are, and what they hold.
    pub(super) fn counts(&self) -> TaskCounts {
        self.table().counts()
    }

    /// Forgets what has had its time.
    pub(super) fn sweep(&self) {
        self.table().sweep(Instant::now());
    }

    /// Cancels all of them, and returns when their work has been let go.
    pub(super) async fn stop(&self) {
        let running = self.table().cancel_all(now());
        running.iter().for_each(Running::stop);
        self.over.notify_waiters();
        let let_go = async {
            while self.under_way.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = tokio::time::timeout(LETTING_GO, let_go).await;
    }
}

/// The present, by both clocks.
pub(super) fn now() -> Moment {
    Moment { at: Instant::now(), wall: SystemTime::now() }
}

/// What a call that is answered with a task does.
pub(super) enum What<'a> {
    /// It calls a tool of these.
    Call(&'a Arc<dyn InProcess>),
    /// Nothing: it is over, and its client wants a task all the same.
    Over(Result<ToolResult, InProcessError>),
}

/// A call that may outlive its request.
struct Long {
    work: Work,
    report: Arc<Report>,
    principal: Arc<str>,
    upstream: String,
    /// When its work is to be over.
    deadline: Instant,
}

impl Gateway {
    /// How a call is answered: what the tool takes, and what its client can take.
    pub(super) fn form_of(
        request: &Request<'_>,
        tools: &dyn InProcess,
        entry: &ToolEntry,
    ) -> Result<Form, Refusal> {
        let takes_long = || tools.takes_long(&entry.original);
        match request.caller.revision {
            Revision::V20260728 if takes_long() && are_declared(request.message) => Ok(Form::Either),
            Revision::V20251125 => match request.message.raw(Field::Task) {
                None => Ok(Form::Result),
                Some(_) if !takes_long() => {
                    let tool = format!("tools/call of {} as a task", entry.shown);
                    Err(Refusal::method_not_found(&tool))
                }
                Some(task) => {
                    let ttl = wanted_ttl(task)?.map_or(TTL, |ttl| ttl.clamp(LEAST_TTL, MOST_TTL));
                    Ok(Form::Task(ttl))
                }
            },
            // Before there were tasks, a wish for one means nothing.
            _ => Ok(Form::Result),
        }
    }

    /// A call that is answered with a task, at once or when it takes long.
    pub(super) async fn run_long(
        &self,
        request: &Request<'_>,
        upstream: &Upstream,
        entry: &ToolEntry,
        form: Form,
        what: What<'_>,
        flight: &Flight,
    ) -> Result<Answer, Refusal> {
        let began = Instant::now();
        let timeout = upstream.settings().timeout_for(&entry.original);
        let id = self.own_tasks.new_id().ok_or_else(|| Refusal::internal("no random numbers for a task"))?;
        let report = Arc::new(Report::new(request, form, &id));
        let mut long = Long {
            work: match what {
                What::Call(tools) => begin(request, tools, entry, began + timeout.max(WORK_LIMIT), &report),
                What::Over(result) => Box::pin(std::future::ready(result)),
            },
            report,
            principal: Arc::clone(&request.caller.principal),
            upstream: upstream.name().to_owned(),
            deadline: began + timeout.max(WORK_LIMIT),
        };
        // A call that is given up, by its client or by us, says nothing more.
        let mut given_up = EndOnDrop(Some(Arc::clone(&long.report)));
        let ttl = match form {
            Form::Task(ttl) => ttl,
            Form::Either | Form::Result => {
                let patience = PATIENCE.min(timeout);
                if let Ok(result) = tokio::time::timeout(patience, &mut long.work).await {
                    return answer(request, result);
                }
                TTL
            }
        };
        let legacy = request.caller.session.as_ref().filter(|_| request.caller.era() == Era::Legacy);
        let session = legacy.map(Arc::downgrade);
        match self.adopt(&id, ttl, long, session, flight) {
            Ok(seen) => {
                given_up.0 = None;
                tracing::debug!(task = &*seen.id, tool = &*entry.shown, "a call goes on as a task");
                Ok(Answer::ok(created(request, &seen)))
            }
            Err((full, _)) if matches!(form, Form::Task(_)) => {
                Err(Refusal::upstream(upstream.name(), UpstreamReason::Overloaded, &full.to_string()))
            }
            // Nobody has promised a task; it stays a call.
            Err((_, long)) => {
                let Ok(result) = tokio::time::timeout_at((began + timeout).into(), long.work).await else {
                    return Err(timed_out(upstream.name(), timeout));
                };
                answer(request, result)
            }
        }
    }

    /// Lets a call go on by itself.
    fn adopt(
        &self,
        id: &Arc<str>,
        ttl: Duration,
        long: Long,
        session: Option<Weak<Session>>,
        flight: &Flight,
    ) -> Result<Seen, (Full, Long)> {
        let mut table = self.own_tasks.table();
        let room = match table.room(&long.principal, now()) {
            Ok(room) => room,
            Err(full) => return Err((full, long)),
        };
        let Long { work, report, upstream, deadline, .. } = long;
        report.go_on(self, id);
        let (work, abort) = abortable(work);
        let seen = room.create(
            Arc::clone(id),
            ttl,
            report.said(),
            Running { abort, report: Arc::clone(&report) },
            now(),
        );
        // Not below the lock: a runtime that ends drops at once what it is given.
        drop(table);
        let end = EndOfWork::new(self, id, session, report);
        let flight = flight.goes_on_as(id);
        tasks::spawn("task of a built-in tool", end.after(work, flight, deadline, upstream));
        Ok(seen)
    }

    /// The work of a task has come to its end.
    fn task_ended(&self, id: &str, ended: Ended, flight: Option<Flight>, session: Option<&Weak<Session>>) {
        let Ended { outcome, error } = ended;
        let answer = match &outcome {
            Outcome::Error { json, .. } => Some(Answer::ok(wire::error_of("null", json))),
            Outcome::Result { .. } => None,
        };
        let bytes = outcome.bytes();
        let seen = self.own_tasks.table().end(id, outcome, now());
        // One that was cancelled before is dropped, which is how it is recorded.
        let Some(seen) = seen else { return };
        if let Some(flight) = flight {
            flight.task_ended(error, bytes, answer.as_ref());
        }
        self.task_is_over(&seen, session);
    }

    /// Whoever waits for it, listens or has asked for it hears of it.
    fn task_is_over(&self, seen: &Seen, session: Option<&Weak<Session>>) {
        self.own_tasks.over.notify_waiters();
        self.tell_of_task(seen);
        if let Some(session) = session.and_then(Weak::upgrade) {
            let params = format!("{{{}}}", task_forms::members(seen, Era::Legacy));
            session.outlet.push(wire::notification("notifications/tasks/status", Some(&params)));
        }
    }

    /// An operator has cancelled the call that goes on as this task.
    fn task_cancelled_from_outside(&self, id: &str, flight: Flight, session: Option<&Weak<Session>>) {
        let cancelled = self.own_tasks.table().cancel_working(id, Canceller::Operator, now());
        let Some((seen, running)) = cancelled else { return };
        if let Some(running) = running {
            running.stop();
        }
        let refusal = Refusal::by_operator();
        flight.task_ended(Some(refusal.kind), 0, Some(&Answer::ok(refusal.to_bytes(None))));
        self.task_is_over(&seen, session);
    }

    /// A task of the principal, once it does not work any more; `None` if there is none.
    pub(super) async fn task_over(&self, principal: &str, id: &str) -> Option<Seen> {
        loop {
            let over = self.own_tasks.over.notified();
            let seen = self.own_tasks.table().get(principal, id, Instant::now())?;
            if seen.state != State::Working {
                return Some(seen);
            }
            over.await;
        }
    }

    /// The members of a task of the principal that does not work any more.
    pub(super) fn task_if_over(&self, principal: &str, id: &str) -> Option<String> {
        let seen = self.own_tasks.table().get(principal, id, Instant::now())?;
        (seen.state != State::Working).then(|| task_forms::detailed(&seen))
    }

    /// Cancels a task of the principal.
    pub(super) fn cancel_task(&self, principal: &str, id: &str) -> Result<Seen, NotCancelled> {
        let (seen, running) = self.own_tasks.table().cancel(principal, id, now())?;
        // Outside of the lock: what the work holds goes with it.
        if let Some(running) = running {
            running.stop();
        }
        self.own_tasks.over.notify_waiters();
        self.tell_of_task(&seen);
        Ok(seen)
    }

    /// How far the work of a task is, for people.
    pub(crate) fn task_note(&self, id: &str) -> Option<Arc<str>> {
        self.own_tasks.table().note_of(id)
    }

    /// How many tasks of built-in tools there are, and what they hold.
    pub fn task_counts(&self) -> TaskCounts {
        self.own_tasks.counts()
    }
}

/// `CreateTaskResult` in the form of the client's era.
pub(super) fn created(request: &Request<'_>, seen: &Seen) -> Vec<u8> {
    let era = request.caller.era();
    let members = task_forms::members(seen, era);
    let result = match era {
        Era::Modern => format!(r#"{{"resultType":"task",{members}}}"#),
        Era::Legacy => format!(r#"{{"task":{{{members}}},"_meta":{{{}}}}}"#, task_forms::related(&seen.id)),
    };
    wire::result(request.id, result.as_bytes())
}
