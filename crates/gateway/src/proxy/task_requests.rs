//! Requests about tasks: of our own answered here, of upstreams sent to where the task runs.
//!
//! Our own ids begin with a mark that is other in each process, so that each id has one place to go. An upstream's tasks
//! stay within its era; our own are there in both.

use std::sync::Arc;
use std::time::Instant;

use aqe_core::envelope::{Field, Kind, Message, Span, encode_string, open_object};
use aqe_core::revision::Era;
use aqe_core::tasks::{NotCancelled, Outcome, Seen, State};
use serde_json::value::RawValue;

use super::call::Route;
use super::task_forms;
use super::task_owners::TaskOwner;
use super::tools::task_id;
use super::{Answer, Gateway, Request};
use crate::catalog::Catalog;
use crate::monitor::Fate;
use crate::refusal::{Refusal, UpstreamReason};
use crate::wire;

/// Tasks of one page of `tasks/list`.
const PAGE: usize = 100;
/// A cursor of ours that is followed by a place in our list, by one among the runs of fleets, or by an upstream and its own
/// cursor.
const OWN: &str = "own:";
const RUNS: &str = "run:";
const UPSTREAM: &str = "up:";

pub(super) fn unknown() -> Refusal {
    Refusal::invalid_params("no such task, or its time is over")
}

pub(super) fn over() -> Refusal {
    Refusal::invalid_params("the task is over: it cannot be cancelled any more")
}

/// The answer with these members of a task, or with none.
pub(super) fn complete(request: &Request<'_>, members: &str) -> Answer {
    let result = match (request.caller.era(), members) {
        (Era::Legacy, members) => format!("{{{members}}}"),
        (Era::Modern, "") => r#"{"resultType":"complete"}"#.to_owned(),
        (Era::Modern, members) => format!(r#"{{"resultType":"complete",{members}}}"#),
    };
    Answer::ok(wire::result(request.id, result.as_bytes()))
}

impl Gateway {
    /// Requests about a task.
    pub(super) async fn task(self: &Arc<Self>, request: &Request<'_>) -> Result<Answer, Refusal> {
        let method = request.message.method();
        let catalog = self.catalog();
        let caller = request.caller;
        let has_own = catalog.has_tasks() && task_forms::exist_in(caller.revision);
        if has_own && caller.era() == Era::Modern && !task_forms::are_declared(request.message) {
            return Err(task_forms::undeclared());
        }
        if method == "tasks/list" {
            self.first_lists().await;
            let catalog = self.catalog();
            return self.list_tasks(request, &catalog, has_own).await;
        }
        let Some(task) = request.message.string(Field::TaskId) else {
            return Err(Refusal::invalid_params(format!("{method} needs params.taskId, a string")));
        };
        if self.own_tasks.is_own(&task) {
            return self.own_task(request, &method, &task).await;
        }
        if has_own && let Some(answer) = self.run_as_task(request, &method, &task).await? {
            return Ok(answer);
        }
        // Who asks right after a restart is not to be told that nobody knows tasks.
        self.first_lists().await;
        let catalog = self.catalog();
        let (upstream, replica) = match self.tasks.find(&task, &caller.principal, Instant::now()) {
            TaskOwner::Here(place) => (place.upstream, Some(place.replica)),
            TaskOwner::Foreign => return Err(unknown()),
            // It may have been begun before we were started.
            TaskOwner::Unknown => match capable(&catalog, caller.era())[..] {
                [] if !has_own => return Err(Refusal::method_not_found(&method)),
                [only] if !self.must_know_owner(&catalog, only) => (only, None),
                _ => return Err(unknown()),
            },
        };
        // A task that ran on a server that is no longer configured has gone with it.
        let gone = || Refusal::invalid_params("no such task: its server is no longer configured");
        let upstream = catalog.upstream(upstream).ok_or_else(gone)?;
        if upstream.manifest().is_none_or(|manifest| manifest.peer.era != caller.era()) {
            return Err(Refusal::method_not_found(&method));
        }
        let mut route = Route::to(upstream);
        route.name = Some(&task);
        route.replica = replica;
        Ok(self.forward(request, route).await?.finish(request, &method))
    }

    /// Whether a principal may be told of a task: its own, or an upstream's that is nobody else's.
    pub(super) fn may_watch(&self, principal: &str, task: &str) -> bool {
        if self.own_tasks.is_own(task) {
            return self.own_tasks.table().get(principal, task, Instant::now()).is_some();
        }
        match self.tasks.find(task, principal, Instant::now()) {
            TaskOwner::Here(_) => true,
            TaskOwner::Foreign => false,
            TaskOwner::Unknown => {
                let catalog = self.catalog();
                let capable = capable(&catalog, Era::Modern);
                !capable.into_iter().any(|upstream| self.must_know_owner(&catalog, upstream))
            }
        }
    }

    /// Whether a task that an upstream knows may be of anybody, so that we must know whose it is: several principals call,
    /// and the upstream cannot tell them apart.
    pub(super) fn must_know_owner(&self, catalog: &Catalog, upstream: usize) -> bool {
        !self.settings.sole_principal
            && catalog.upstream(upstream).is_none_or(|upstream| {
                let era = upstream.manifest().map_or(Era::Modern, |manifest| manifest.peer.era);
                upstream.mixes_principals(era)
            })
    }

    async fn own_task(&self, request: &Request<'_>, method: &str, task: &str) -> Result<Answer, Refusal> {
        let principal = &*request.caller.principal;
        let era = request.caller.era();
        let get = || self.own_tasks.table().get(principal, task, Instant::now()).ok_or_else(unknown);
        let complete = |members: &str| Ok(complete(request, members));
        match method {
            "tasks/get" if era == Era::Modern => {
                let seen = get()?;
                Ok(complete(&task_forms::detailed(&seen))?.with_fate(told_again(&seen)))
            }
            "tasks/get" => complete(&task_forms::members(&get()?, era)),
            // Ours ask for nothing, so that whatever is answered is not asked any more.
            "tasks/update" => get().and_then(|_| complete("")),
            "tasks/cancel" => match (self.cancel_task(principal, task), era) {
                (Err(NotCancelled::Unknown), _) => Err(unknown()),
                (_, Era::Modern) => complete(""),
                (Ok(seen), Era::Legacy) => complete(&task_forms::members(&seen, era)),
                (Err(NotCancelled::Over(_)), Era::Legacy) => Err(over()),
            },
            "tasks/result" => {
                let seen = self.task_over(principal, task).await.ok_or_else(unknown)?;
                result_of(request, &seen)
            }
            other => Err(Refusal::method_not_found(other)),
        }
    }

    /// `tasks/list` (2025-11-25): our own, then those of each upstream that lists its own.
    async fn list_tasks(
        self: &Arc<Self>,
        request: &Request<'_>,
        catalog: &Catalog,
        has_own: bool,
    ) -> Result<Answer, Refusal> {
        let listing = listing(catalog);
        let cursor = match request.message.raw(Field::Cursor) {
            None | Some("null") => None,
            Some(_) => Some(request.message.string(Field::Cursor).ok_or_else(bad_cursor)?),
        };
        let cursor = cursor.as_deref();
        // Nothing to be put together, and nothing to be left out.
        if !has_own
            && let [only] = listing[..]
            && !self.must_know_owner(catalog, only)
        {
            let route = Route::to(catalog.upstream(only).ok_or_else(bad_cursor)?);
            return Ok(self.forward(request, route).await?.finish(request, "tasks/list"));
        }
        let next_of = |at: usize| listing.get(at).map(|upstream| format!("{UPSTREAM}{upstream}:"));
        if let Some(first) = listing.first().filter(|_| !has_own && cursor.is_none()) {
            return self.forward_list(request, catalog, *first, None, next_of(1)).await;
        }
        if let Some(place) = cursor.and_then(|cursor| cursor.strip_prefix(UPSTREAM)) {
            let (upstream, own) = place.split_once(':').ok_or_else(bad_cursor)?;
            let upstream: usize = upstream.parse().map_err(|_| bad_cursor())?;
            let at = listing.iter().position(|other| *other == upstream).ok_or_else(bad_cursor)?;
            let own = own.strip_prefix('=');
            return self.forward_list(request, catalog, upstream, own, next_of(at + 1)).await;
        }
        let (mut tasks, mut next) = (Vec::new(), next_of(0));
        let mut runs_before = None;
        let after = match cursor {
            None => Some(0),
            Some(cursor) if cursor.starts_with(RUNS) && has_own => {
                let place = cursor.strip_prefix(RUNS).and_then(|place| place.parse().ok());
                runs_before = Some(place.ok_or_else(bad_cursor)?);
                None
            }
            Some(cursor) => {
                let place = cursor.strip_prefix(OWN).and_then(|place| place.parse().ok());
                Some(place.ok_or_else(bad_cursor)?)
            }
        };
        if has_own {
            let principal = &request.caller.principal;
            let mut seen = Vec::new();
            let mut is_more = false;
            if let Some(after) = after {
                (seen, is_more) = self.own_tasks.table().list(principal, after, PAGE, Instant::now());
            }
            if let (true, Some(last)) = (is_more, seen.last()) {
                next = Some(format!("{OWN}{}", last.order));
            } else {
                let (runs, more) = self.runs_as_tasks(principal, runs_before, PAGE as u32).await?;
                seen.extend(runs);
                next = more.map(|place| format!("{RUNS}{place}")).or(next);
            }
            tasks =
                seen.iter().map(|seen| format!("{{{}}}", task_forms::members(seen, Era::Legacy))).collect();
        } else if listing.is_empty() {
            return Err(Refusal::method_not_found("tasks/list"));
        }
        let next = next.map(|next| format!(r#","nextCursor":"{next}""#)).unwrap_or_default();
        let result = format!(r#"{{"tasks":[{}]{next}}}"#, tasks.join(","));
        Ok(Answer::ok(wire::result(request.id, result.as_bytes())))
    }

    /// Asks an upstream for a page of its tasks, of which those of the principal are passed on. `then` is the cursor of what
    /// follows its last page.
    async fn forward_list(
        self: &Arc<Self>,
        request: &Request<'_>,
        catalog: &Catalog,
        upstream: usize,
        cursor: Option<&str>,
        then: Option<String>,
    ) -> Result<Answer, Refusal> {
        let mut route = Route::to(catalog.upstream(upstream).ok_or_else(bad_cursor)?);
        let name = route.upstream.name().to_owned();
        let is_mixed = self.must_know_owner(catalog, upstream);
        if is_mixed {
            route.pass_from = None;
        }
        let mut edits = request.message.edit();
        let there = request.message.span(Field::Cursor);
        match cursor {
            Some(own) => edits.replace(there, encode_string(own).into_bytes()),
            None => edits.remove_member(there),
        };
        let asked = Message::parse(edits.apply().into(), self.settings.message).map_err(|_| bad_cursor())?;
        let asked = Request { message: &asked, ..*request };
        let answered = self.forward(&asked, route).await?;
        let next = answered.message().and_then(|message| message.string(Field::NextCursor));
        let next = next.map(|own| format!("{UPSTREAM}{upstream}:={own}")).or(then);
        let own = match answered.message().filter(|message| is_mixed && message.kind() == Kind::Response) {
            None => None,
            Some(message) => {
                let owner = |id: &str| self.tasks.find(id, &request.caller.principal, Instant::now());
                let is_own =
                    |id: &str| matches!(owner(id), TaskOwner::Here(place) if place.upstream == upstream);
                let only = only_own(message, is_own);
                Some(only.ok_or_else(|| {
                    let detail = "its answer to tasks/list has no list of tasks";
                    Refusal::upstream(&name, UpstreamReason::Malformed, detail)
                })?)
            }
        };
        Ok(answered.finish_with(&asked, "tasks/list", |edits| {
            let Some(message) = answered.message() else { return false };
            let is_filtered = own.is_some();
            if let Some((list, own)) = own {
                edits.replace(list, own);
            }
            let there = message.span(Field::NextCursor);
            match next.map(|next| encode_string(&next)) {
                Some(next) if there.is_empty() => {
                    edits.insert_members(message.body_span(), &format!(r#""nextCursor":{next}"#))
                }
                Some(next) => edits.replace(there, next.into_bytes()),
                None => return is_filtered,
            };
            true
        }))
    }
}

/// Where the list of tasks is in an answer, and what is left of it of the tasks that are meant.
fn only_own(answer: &Message, is_own: impl Fn(&str) -> bool) -> Option<(Span, Vec<u8>)> {
    let body = answer.body_span();
    let members = open_object(body.of(answer.bytes())).ok()?;
    let (_, list) = members.iter().find(|(name, _)| name == "tasks")?;
    let start = u32::try_from(list.as_ptr() as usize - answer.bytes().as_ptr() as usize).ok()?;
    let span = Span { start, end: start + u32::try_from(list.len()).ok()? };
    let tasks: Vec<&RawValue> = serde_json::from_slice(list).ok()?;
    let own = tasks.iter().map(|task| task.get());
    let own: Vec<&str> = own.filter(|task| task_id(task.as_bytes()).is_some_and(|id| is_own(&id))).collect();
    Some((span, format!("[{}]", own.join(",")).into_bytes()))
}

fn bad_cursor() -> Refusal {
    Refusal::invalid_params("unknown cursor: list again")
}

/// The upstreams of an era that know tasks, by [`crate::upstream::Upstream::id`].
fn capable(catalog: &Catalog, era: Era) -> Vec<usize> {
    let knows_tasks = catalog.upstreams.iter().filter(|upstream| {
        upstream.manifest().is_some_and(|manifest| {
            manifest.peer.era == era && memchr::memmem::find(&manifest.peer.capabilities, b"tasks").is_some()
        })
    });
    knows_tasks.map(|upstream| upstream.id).collect()
}

/// The legacy upstreams that list their tasks.
fn listing(catalog: &Catalog) -> Vec<usize> {
    let lists = catalog.upstreams.iter().filter(|upstream| {
        upstream.manifest().is_some_and(|manifest| {
            let tasks = manifest.capability("tasks").filter(|_| manifest.peer.era == Era::Legacy);
            let members = tasks.and_then(|tasks| open_object(tasks).ok()).unwrap_or_default();
            members.iter().any(|(name, _)| name == "list")
        })
    });
    lists.map(|upstream| upstream.id).collect()
}

/// The outcome in an answer is counted as its tool's: neither its bytes nor its failure are the answer's own.
pub(super) fn told_again(seen: &Seen) -> Fate {
    let bytes = match &seen.state {
        State::Ended(outcome) => outcome.bytes(),
        State::Working | State::Cancelled(_) => 0,
    };
    Fate { of_another: u32::try_from(bytes).unwrap_or(u32::MAX), ..Fate::default() }
}

/// `tasks/result`: what the call would have been answered with, and which task that is of.
pub(super) fn result_of(request: &Request<'_>, seen: &Seen) -> Result<Answer, Refusal> {
    match &seen.state {
        State::Ended(Outcome::Result { json, .. }) => {
            let answer = wire::result(request.id, json);
            let answer = super::tools::with_meta(answer.into(), &task_forms::related(&seen.id));
            Ok(Answer::ok(answer).with_fate(told_again(seen)))
        }
        State::Ended(Outcome::Error { json, .. }) => {
            Ok(Answer::ok(wire::error_of(request.id, json)).with_fate(told_again(seen)))
        }
        State::Cancelled(by) => {
            Err(Refusal::invalid_params(format!("{}; there is no result", task_forms::cancelled(*by))))
        }
        State::Working => Err(Refusal::internal("the task still works")),
    }
}
