//! The work of a task, and what comes of it, however it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use aqe_core::inprocess::{Caller, InProcess, InProcessError, Progress, ToolResult};
use aqe_core::monitor::ErrorKind;
use aqe_core::registry::ToolEntry;
use aqe_core::tasks::Outcome;
use futures_util::future::{Abortable, Aborted};
use tokio::sync::oneshot;

use super::LIMITS;
use super::report::Report;
use crate::monitor::Flight;
use crate::proxy::builtin::{arguments, timed_out};
use crate::proxy::{Gateway, Request};
use crate::refusal::Refusal;
use crate::session::Session;

/// A call under way that nobody need wait for.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<ToolResult, InProcessError>> + Send>>;

/// The end of a task's work, however it comes.
pub(super) struct EndOfWork {
    gateway: Weak<Gateway>,
    id: Arc<str>,
    /// Who asked for it, if it wants to hear of the end.
    session: Option<Weak<Session>>,
    report: Arc<Report>,
    /// How the monitor sees it.
    flight: Option<Flight>,
}

impl EndOfWork {
    pub(super) fn new(
        gateway: &Gateway,
        id: &Arc<str>,
        session: Option<Weak<Session>>,
        report: Arc<Report>,
    ) -> Self {
        gateway.own_tasks.under_way.fetch_add(1, Ordering::AcqRel);
        Self { gateway: gateway.this.clone(), id: Arc::clone(id), session, report, flight: None }
    }

    /// Runs the work to its end. The flight comes when the answer that names the task is on its way.
    pub(super) async fn after(
        mut self,
        work: Abortable<Work>,
        flight: oneshot::Receiver<Flight>,
        deadline: Instant,
        upstream: String,
    ) {
        let began = Instant::now();
        self.flight = flight.await.ok();
        let cancelled = async {
            match &self.flight {
                Some(flight) => flight.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            biased;
            ended = tokio::time::timeout_at(deadline.into(), work) => Some(ended),
            () = cancelled => None,
        };
        match ended {
            Some(Ok(Ok(Ok(result)))) => self.with(outcome(result)),
            Some(Ok(Ok(Err(error)))) => self.with(failed(&Refusal::invalid_params(error.to_string()))),
            // What is said of a cancelled one is said.
            Some(Ok(Err(Aborted))) => {}
            Some(Err(_)) => self.with(failed(&timed_out(&upstream, began.elapsed()))),
            None => {
                if let (Some(gateway), Some(flight)) = (self.gateway.upgrade(), self.flight.take()) {
                    gateway.task_cancelled_from_outside(&self.id, flight, self.session.as_ref());
                }
            }
        }
    }

    fn with(&mut self, ended: Ended) {
        self.report.end();
        if let Some(gateway) = self.gateway.upgrade() {
            gateway.task_ended(&self.id, ended, self.flight.take(), self.session.as_ref());
        }
    }
}

impl Drop for EndOfWork {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.with(failed(&Refusal::internal("the work of the task has failed: this is a fault of ours")));
        }
        if let Some(gateway) = self.gateway.upgrade() {
            gateway.own_tasks.under_way.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Begins a call that may outlive its request.
pub(super) fn begin(
    request: &Request<'_>,
    tools: &Arc<dyn InProcess>,
    entry: &ToolEntry,
    deadline: Instant,
    report: &Arc<Report>,
) -> Work {
    let (tools, name, arguments) = (Arc::clone(tools), entry.original.clone(), arguments(request).to_owned());
    let principal = Arc::clone(&request.caller.principal);
    let progress = Arc::clone(report) as Arc<dyn Progress>;
    Box::pin(async move {
        let caller = Caller { principal: &principal, deadline, progress: Some(&progress) };
        tools.call(&name, &arguments, caller).await
    })
}

/// What has come of the work, and how that is counted.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) error: Option<ErrorKind>,
}

/// What is kept of a result. One that is too large for everybody's share is not.
fn outcome(result: ToolResult) -> Ended {
    let ToolResult { json, is_error } = result;
    if json.len() > LIMITS.max_bytes {
        let text = format!(
            "the result of {} bytes is too large to be kept; the limit is {}",
            json.len(),
            LIMITS.max_bytes
        );
        return failed(&Refusal::internal(text));
    }
    let error = is_error.then_some(ErrorKind::Tool);
    Ended { outcome: Outcome::Result { json: json.into(), is_error }, error }
}

fn failed(refusal: &Refusal) -> Ended {
    let outcome = Outcome::Error { json: refusal.object().into(), message: refusal.message.clone() };
    Ended { outcome, error: Some(refusal.kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_too_large_to_be_kept_is_a_failure_that_says_so() {
        let kept = outcome(ToolResult { json: vec![b' '; LIMITS.max_bytes], is_error: true });
        assert_eq!((kept.outcome.bytes(), kept.error), (LIMITS.max_bytes, Some(ErrorKind::Tool)));
        let lost = outcome(ToolResult { json: vec![b' '; LIMITS.max_bytes + 1], is_error: false });
        let Outcome::Error { message, .. } = &lost.outcome else { panic!("{:?}", lost.outcome) };
        assert!(message.contains("16777217 bytes") && message.contains("16777216"), "{message}");
        assert_eq!(lost.error, Some(ErrorKind::Internal));
    }
}
