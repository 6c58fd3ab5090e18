//! Tools in this process: called, and how far they are told to the client.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use aqe_core::batching::Priority;
use aqe_core::durable::Begun;
use aqe_core::envelope::Field;
use aqe_core::inprocess::{self, InProcess, InProcessError, Progress, ToolResult};
use aqe_core::monitor::ErrorKind;
use aqe_core::registry::ToolEntry;
use aqe_core::revision::Era;
use serde_json::json;

use super::own_tasks::{Form, What, created};
use super::{Answer, Gateway, Request};
use crate::bridge;
use crate::monitor::{Fate, Flight};
use crate::refusal::{Refusal, UpstreamReason};
use crate::session::Outlet;
use crate::upstream::Upstream;
use crate::wire;

impl Gateway {
    pub(super) async fn run_builtin(
        &self,
        request: &Request<'_>,
        upstream: &Upstream,
        tools: &Arc<dyn InProcess>,
        entry: &ToolEntry,
        flight: &Flight,
    ) -> Result<Answer, Refusal> {
        let form = Self::form_of(request, &**tools, entry)?;
        if form != Form::Result {
            return Box::pin(self.run_as_form(request, upstream, tools, entry, form, flight)).await;
        }
        let timeout = upstream.settings().timeout_for(&entry.original);
        let deadline = std::time::Instant::now() + timeout;
        let token = request.message.raw(Field::MetaProgressToken);
        let told = token.map(|token| Arc::new(Told::new(token, request.outlet, "")));
        let progress = told.clone().map(|told| told as Arc<dyn Progress>);
        // Once the answer is on its way, or nobody waits for it, nothing more may be said of the call.
        let _end = told.as_deref().map(End);
        let on_behalf =
            inprocess::Caller { principal: &request.caller.principal, deadline, progress: progress.as_ref() };
        let call = tools.call(&entry.original, arguments(request), on_behalf);
        match tokio::time::timeout_at(deadline.into(), call).await {
            Ok(result) => answer(request, result),
            Err(_) => Err(timed_out(upstream.name(), timeout)),
        }
    }
}

impl Gateway {
    /// A call that is answered with a task: of a durable run, if it begins one, or else of this process.
    async fn run_as_form(
        &self,
        request: &Request<'_>,
        upstream: &Upstream,
        tools: &Arc<dyn InProcess>,
        entry: &ToolEntry,
        form: Form,
        flight: &Flight,
    ) -> Result<Answer, Refusal> {
        let durable = tools.durable().filter(|durable| durable.begins_runs(&entry.original));
        let what = match durable {
            None => What::Call(tools),
            Some(durable) => match Self::begin_run(request, upstream, durable, entry, form).await? {
                Ok(Begun::Run(seen)) => return Ok(Answer::ok(created(request, &seen))),
                Ok(Begun::Result(result)) => What::Over(Ok(result)),
                Err(error) => What::Over(Err(error)),
            },
        };
        self.run_long(request, upstream, entry, form, what, flight).await
    }
}

/// The arguments of a call; empty if there are none.
pub(super) fn arguments<'a>(request: &Request<'a>) -> &'a str {
    request.message.raw(Field::Arguments).filter(|raw| *raw != "null").unwrap_or_default()
}

/// The answer to a call that has ended.
pub(super) fn answer(
    request: &Request<'_>,
    result: Result<ToolResult, InProcessError>,
) -> Result<Answer, Refusal> {
    let result = result.map_err(|error| Refusal::invalid_params(error.to_string()))?;
    let bytes = match request.caller.era() {
        Era::Legacy => wire::result(request.id, &result.json),
        Era::Modern => wire::result_with(request.id, bridge::modern_members("tools/call"), &result.json),
    };
    let error = result.is_error.then_some(ErrorKind::Tool);
    Ok(Answer::ok(bytes).with_fate(Fate { error, ..Fate::default() }))
}

/// A call took longer than it may.
pub(super) fn timed_out(upstream: &str, timeout: Duration) -> Refusal {
    let detail = format!("timed out after {} ms", timeout.as_millis());
    Refusal::upstream(upstream, UpstreamReason::Timeout, &detail)
}

/// How far one call is, as `notifications/progress` on the way of its answer.
pub(super) struct Told {
    /// Raw JSON.
    token: String,
    /// Raw members of `_meta`, if there are any.
    meta: String,
    /// `None` when the call has ended.
    outlet: Mutex<Option<Arc<dyn Outlet>>>,
}

impl Told {
    /// `token` is raw JSON; `meta` are raw members, or empty.
    pub(super) fn new(token: &str, outlet: &Arc<dyn Outlet>, meta: &str) -> Self {
        let outlet = Mutex::new(Some(Arc::clone(outlet)));
        Self { token: token.to_owned(), meta: meta.to_owned(), outlet }
    }

    /// What comes from now on goes nowhere.
    pub(super) fn end(&self) {
        *self.outlet.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Progress for Told {
    fn report(&self, done: f64, total: Option<f64>, message: &str) {
        let outlet = self.outlet.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(outlet) = &*outlet else { return };
        // A client that does not read misses some; the next one says more.
        if outlet.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending() {
            return;
        }
        let total = total.map(|total| format!(r#","total":{total}"#)).unwrap_or_default();
        let (token, message) = (&self.token, json!(message));
        let meta =
            if self.meta.is_empty() { String::new() } else { format!(r#","_meta":{{{}}}"#, self.meta) };
        let params =
            format!(r#"{{"progressToken":{token},"progress":{done}{total},"message":{message}{meta}}}"#);
        outlet.push_with(wire::notification("notifications/progress", Some(&params)), Priority::Low);
    }
}

/// The end of a call.
struct End<'a>(&'a Told);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Poll;

    use bytes::Bytes;

    use super::*;

    #[derive(Default)]
    struct Client {
        got: Mutex<Vec<Bytes>>,
        is_slow: AtomicBool,
    }

    impl Outlet for Client {
        fn push_with(&self, message: Bytes, _: Priority) {
            self.got.lock().unwrap().push(message);
        }

        fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
            if self.is_slow.load(Ordering::Relaxed) { Poll::Pending } else { Poll::Ready(()) }
        }
    }

    #[test]
    fn progress_is_told_until_the_call_ends_and_to_clients_that_read() {
        let client = Arc::new(Client::default());
        let told = Told::new("\"t\"", &(Arc::clone(&client) as Arc<dyn Outlet>), "");
        let end = End(&told);
        told.report(1.0, Some(4.0), "a \"file\"");
        client.is_slow.store(true, Ordering::Relaxed);
        told.report(2.0, Some(4.0), "nobody reads");
        client.is_slow.store(false, Ordering::Relaxed);
        told.report(2.5, None, "b");
        drop(end);
        told.report(4.0, Some(4.0), "too late");
        let said =
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":"#;
        let wanted = [r#"1,"total":4,"message":"a \"file\""}}"#, r#"2.5,"message":"b"}}"#]
            .map(|rest| format!("{said}{rest}"));
        assert_eq!(*client.got.lock().unwrap(), wanted);
    }
}
