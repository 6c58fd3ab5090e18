//! Tools in this process: called, and how far they are told to the client.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use aqe_core::batching::Priority;
use aqe_core::envelope::Field;
use aqe_core::inprocess::{self, Progress};
use aqe_core::monitor::ErrorKind;
use aqe_core::registry::ToolEntry;
use aqe_core::revision::Era;
use serde_json::json;

use super::{Answer, Gateway, Request};
use crate::bridge;
use crate::monitor::Fate;
use crate::refusal::{Refusal, UpstreamReason};
use crate::session::Outlet;
use crate::upstream::Upstream;
use crate::wire;

impl Gateway {
    pub(super) async fn run_builtin(
        &self,
        request: &Request<'_>,
        upstream: &Upstream,
        tools: &dyn inprocess::InProcess,
        entry: &ToolEntry,
    ) -> Result<Answer, Refusal> {
        let timeout = upstream.settings().timeout_for(&entry.original);
        let arguments =
            request.message.raw(Field::Arguments).filter(|raw| *raw != "null").unwrap_or_default();
        let deadline = std::time::Instant::now() + timeout;
        let token = request.message.raw(Field::MetaProgressToken);
        let told = token.map(|token| Arc::new(Told::new(token, request.outlet)));
        let progress = told.clone().map(|told| told as Arc<dyn Progress>);
        // Once the answer is on its way, or nobody waits for it, nothing more may be said of the call.
        let _end = told.as_deref().map(End);
        let on_behalf =
            inprocess::Caller { principal: &request.caller.principal, deadline, progress: progress.as_ref() };
        let call = tools.call(&entry.original, arguments, on_behalf);
        let Ok(result) = tokio::time::timeout_at(deadline.into(), call).await else {
            let detail = format!("timed out after {} ms", timeout.as_millis());
            return Err(Refusal::upstream(upstream.name(), UpstreamReason::Timeout, &detail));
        };
        let result = result.map_err(|error| Refusal::invalid_params(error.to_string()))?;
        let bytes = match request.caller.era() {
            Era::Legacy => wire::result(request.id, &result.json),
            Era::Modern => wire::result_with(request.id, bridge::modern_members("tools/call"), &result.json),
        };
        let error = result.is_error.then_some(ErrorKind::Tool);
        Ok(Answer::ok(bytes).with_fate(Fate { error, ..Fate::default() }))
    }
}

/// How far one call is, as `notifications/progress` on the way of its answer.
struct Told {
    /// Raw JSON.
    token: String,
    /// `None` when the call has ended.
    outlet: Mutex<Option<Arc<dyn Outlet>>>,
}

impl Told {
    fn new(token: &str, outlet: &Arc<dyn Outlet>) -> Self {
        Self { token: token.to_owned(), outlet: Mutex::new(Some(Arc::clone(outlet))) }
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
        let params = format!(r#"{{"progressToken":{token},"progress":{done}{total},"message":{message}}}"#);
        outlet.push_with(wire::notification("notifications/progress", Some(&params)), Priority::Low);
    }
}

/// The end of a call.
struct End<'a>(&'a Told);

impl Drop for End<'_> {
    fn drop(&mut self) {
        *self.0.outlet.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
        let told = Told::new("\"t\"", &(Arc::clone(&client) as Arc<dyn Outlet>));
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
