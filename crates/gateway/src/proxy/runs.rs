//! Runs of fleets as MCP tasks: the same id, in the store and not in this process, so that they outlive it.
//!
//! How they are written is in [`super::task_forms`]; what they are, only the tools know ([`aqe_core::durable`]).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::durable::{Begun, Durable, DurableError, Later};
use aqe_core::inprocess::{self, InProcess, InProcessError};
use aqe_core::registry::ToolEntry;
use aqe_core::revision::Era;
use aqe_core::tasks::{Seen, State};

use super::builtin::{arguments, timed_out};
use super::own_tasks::{Form, PATIENCE};
use super::task_requests::{complete, over, result_of, told_again, unknown};
use super::{Answer, Gateway, Request, task_forms};
use crate::refusal::Refusal;
use crate::upstream::Upstream;

/// How often a run is looked at while somebody waits for its end.
const LOOK: Duration = Duration::from_millis(250);
/// How long a cancelled run may take to end before it is told as it is: its programs have two seconds to end in order.
const ENDING: Duration = Duration::from_secs(5);
/// Runs that one listener is told of.
const MAX_FOLLOWED: usize = 100;

impl From<DurableError> for Refusal {
    fn from(error: DurableError) -> Self {
        match error {
            DurableError::Bad(text) => Self::invalid_params(text),
            DurableError::Failed(text) => Self::internal(text),
        }
    }
}

impl Gateway {
    /// The tools that keep work beyond calls, if there are any: [`InProcess::durable`] is `Some` of them.
    pub(crate) fn durable_tools(&self) -> Option<Arc<dyn InProcess>> {
        let upstreams = self.upstreams();
        let mut built_in = upstreams.iter().filter_map(|upstream| upstream.in_process());
        built_in.find(|tools| tools.durable().is_some()).map(Arc::clone)
    }

    /// A call that may begin a run, for a client that takes a task.
    pub(super) async fn begin_run(
        request: &Request<'_>,
        upstream: &Upstream,
        durable: &dyn Durable,
        entry: &ToolEntry,
        form: Form,
    ) -> Result<Result<Begun, InProcessError>, Refusal> {
        let timeout = upstream.settings().timeout_for(&entry.original);
        let later = match form {
            Form::Task(_) => Later::Always,
            Form::Either | Form::Result => Later::IfNotOver(PATIENCE.min(timeout)),
        };
        let deadline = Instant::now() + timeout;
        let caller = inprocess::Caller { principal: &request.caller.principal, deadline, progress: None };
        let begun = durable.begin(arguments(request), caller, later);
        let begun = tokio::time::timeout_at(deadline.into(), begun).await;
        begun.map_err(|_| timed_out(upstream.name(), timeout))
    }

    /// A request about a task that is a run of the principal; `None`: it is none.
    pub(super) async fn run_as_task(
        &self,
        request: &Request<'_>,
        method: &str,
        id: &str,
    ) -> Result<Option<Answer>, Refusal> {
        let Some(tools) = self.durable_tools() else { return Ok(None) };
        let Some(durable) = tools.durable().filter(|durable| durable.is_run(id)) else { return Ok(None) };
        let (principal, era) = (&*request.caller.principal, request.caller.era());
        let Some(seen) = durable.run(principal, id).await? else { return Ok(None) };
        let answer = match (method, era) {
            ("tasks/get", Era::Modern) => {
                complete(request, &task_forms::detailed(&seen)).with_fate(told_again(&seen))
            }
            ("tasks/get", Era::Legacy) => complete(request, &task_forms::members(&seen, era)),
            // Runs ask for nothing.
            ("tasks/update", _) => complete(request, ""),
            ("tasks/cancel", Era::Legacy) if seen.state != State::Working => return Err(over()),
            ("tasks/cancel", _) => {
                durable.cancel(Some(principal), id).await?;
                match era {
                    Era::Modern => complete(request, ""),
                    Era::Legacy => {
                        let seen = ended(durable, principal, id, Some(ENDING)).await?;
                        complete(request, &task_forms::members(&seen, era))
                    }
                }
            }
            ("tasks/result", _) => result_of(request, &ended(durable, principal, id, None).await?)?,
            (other, _) => return Err(Refusal::method_not_found(other)),
        };
        Ok(Some(answer))
    }

    /// Runs of the principal for `tasks/list`, and where the next page begins.
    pub(super) async fn runs_as_tasks(
        &self,
        principal: &str,
        before: Option<u64>,
        most: u32,
    ) -> Result<(Vec<Seen>, Option<u64>), Refusal> {
        let Some(tools) = self.durable_tools() else { return Ok((Vec::new(), None)) };
        let Some(durable) = tools.durable() else { return Ok((Vec::new(), None)) };
        Ok(durable.runs(principal, before, most).await?)
    }

    /// Those of these ids that are runs of the principal.
    pub(super) async fn runs_among(
        &self,
        principal: &str,
        ids: &HashSet<String>,
    ) -> Result<HashSet<String>, Refusal> {
        let mut runs = HashSet::new();
        let Some(tools) = self.durable_tools().filter(|_| !ids.is_empty()) else { return Ok(runs) };
        let Some(durable) = tools.durable() else { return Ok(runs) };
        for id in ids.iter().filter(|id| durable.is_run(id)).take(MAX_FOLLOWED) {
            if durable.run(principal, id).await?.is_some() {
                runs.insert(id.clone());
            }
        }
        Ok(runs)
    }

    /// Tells the end of each of these runs, as raw members; goes on for ever.
    pub(super) async fn tell_of_runs(
        &self,
        principal: &str,
        runs: &mut HashSet<String>,
        tell: impl Fn(&str),
    ) {
        while let Some(tools) = self.durable_tools().filter(|_| !runs.is_empty()) {
            let Some(durable) = tools.durable() else { break };
            let mut over = Vec::new();
            for id in &*runs {
                match durable.run(principal, id).await {
                    Ok(Some(seen)) if seen.state == State::Working => {}
                    Ok(Some(seen)) => {
                        tell(&task_forms::detailed(&seen));
                        over.push(id.clone());
                    }
                    Ok(None) => over.push(id.clone()),
                    // The store is busy: it is asked again.
                    Err(error) => tracing::debug!(%error, "a run cannot be looked at"),
                }
            }
            for id in over {
                runs.remove(&id);
            }
            tokio::time::sleep(LOOK).await;
        }
        std::future::pending::<()>().await;
    }
}

/// A run once it is over, or after so long as it is.
async fn ended(
    durable: &dyn Durable,
    principal: &str,
    id: &str,
    most: Option<Duration>,
) -> Result<Seen, Refusal> {
    let began = Instant::now();
    loop {
        let seen = durable.run(principal, id).await?.ok_or_else(unknown)?;
        if seen.state != State::Working || most.is_some_and(|most| began.elapsed() >= most) {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK).await;
    }
}
