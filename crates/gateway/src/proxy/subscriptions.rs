//! Who wants to hear of which change.
//!
//! Legacy clients hear of every list change and subscribe to single resources; modern ones open
//! `subscriptions/listen` with a filter. What upstreams are asked to tell is in [`super::watching`].

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aqe_core::envelope::{Field, Message, encode_string, open_object};
use aqe_core::tasks::Seen;
use tokio::sync::Notify;

use super::task_forms;
use super::watching::Watched;
use super::{Answer, Gateway, Request};
use crate::refusal::Refusal;
use crate::session::{Outlet, next_owner};
use crate::upstream::{ListKind, Upstream};
use crate::wire;

/// All interests of clients.
#[derive(Default)]
pub(super) struct Subscriptions {
    listeners: Mutex<HashMap<u64, Listener>>,
    /// What upstreams are asked for.
    pub(super) watched: Watched,
    closed: AtomicBool,
    closing: Notify,
}

struct Listener {
    outlet: Arc<dyn Outlet>,
    /// Raw JSON of the listen request's id.
    id: String,
    filter: Filter,
}

#[derive(Debug, Default, Clone)]
struct Filter {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: HashSet<String>,
    tasks: HashSet<String>,
}

impl Subscriptions {
    /// Ends every listen stream with its result.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a listener and what it holds away when its stream ends, however it ends.
struct Listening {
    gateway: Arc<Gateway>,
    key: u64,
    held: Vec<String>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        lock(&self.gateway.subscriptions.listeners).remove(&self.key);
        for uri in &self.held {
            self.gateway.release_uri(uri);
        }
    }
}

impl Gateway {
    /// `subscriptions/listen`: acknowledged when upstreams tell what it asks for, answered when the gateway stops.
    pub(super) async fn listen(self: &Arc<Self>, request: &Request<'_>) -> Result<Answer, Refusal> {
        let wanted = request.message.raw(Field::Notifications).unwrap_or("{}");
        let mut filter = read_filter(wanted.as_bytes())
            .ok_or_else(|| Refusal::invalid_params("params.notifications must be an object"))?;
        if !filter.tasks.is_empty() && !task_forms::are_declared(request.message) {
            return Err(task_forms::undeclared());
        }
        let principal = &request.caller.principal;
        let mut runs = self.runs_among(principal, &filter.tasks).await?;
        filter.tasks.retain(|task| runs.contains(task) || self.may_watch(principal, task));
        let tasks: Vec<String> = filter.tasks.iter().cloned().collect();
        let accepted = accepted(&filter);
        let key = next_owner();
        let held = filter.uris.iter().cloned().collect();
        let listening = Listening { gateway: Arc::clone(self), key, held };
        self.watch(&listening.held).await;
        let acknowledged = wire::notification(
            "notifications/subscriptions/acknowledged",
            Some(&format!(r#"{{"_meta":{},"notifications":{accepted}}}"#, subscription_meta(request.id))),
        );
        {
            // Nothing can be told before the acknowledgement, nor be lost after it.
            let mut listeners = lock(&self.subscriptions.listeners);
            request.outlet.push(acknowledged);
            listeners.insert(
                key,
                Listener { outlet: Arc::clone(request.outlet), id: request.id.to_owned(), filter },
            );
        }
        // Those that were over before anybody listened.
        for task in tasks {
            if let Some(task) = self.task_if_over(principal, &task) {
                request.outlet.push(task_notification(request.id, &task));
            }
        }
        let closed = async {
            loop {
                let closing = self.subscriptions.closing.notified();
                if self.subscriptions.closed.load(Ordering::Acquire) {
                    break;
                }
                closing.await;
            }
        };
        let ends = self.tell_of_runs(principal, &mut runs, |task| {
            request.outlet.push(task_notification(request.id, task));
        });
        tokio::select! {
            biased;
            () = closed => {}
            () = ends => {}
        }
        drop(listening);
        let result = format!(r#"{{"resultType":"complete","_meta":{}}}"#, subscription_meta(request.id));
        Ok(Answer::ok(wire::result(request.id, result.as_bytes())))
    }

    /// Tells every client that wants to know that a list has changed.
    pub(super) fn announce(&self, kind: ListKind) {
        let method = match kind {
            ListKind::Tools => "notifications/tools/list_changed",
            ListKind::Prompts => "notifications/prompts/list_changed",
            ListKind::Resources | ListKind::Templates => "notifications/resources/list_changed",
        };
        for session in self.legacy_sessions() {
            session.outlet.push(wire::notification(method, None));
        }
        self.tell_listeners(
            |filter| match kind {
                ListKind::Tools => filter.tools,
                ListKind::Prompts => filter.prompts,
                ListKind::Resources | ListKind::Templates => filter.resources,
            },
            |id| wire::notification(method, Some(&format!(r#"{{"_meta":{}}}"#, subscription_meta(id)))),
        );
    }

    fn tell_listeners(&self, wants: impl Fn(&Filter) -> bool, write: impl Fn(&str) -> bytes::Bytes) {
        for listener in lock(&self.subscriptions.listeners).values() {
            if wants(&listener.filter) {
                listener.outlet.push(write(&listener.id));
            }
        }
    }

    /// An upstream says that a resource has changed.
    pub(super) fn resource_updated(&self, upstream: &Arc<Upstream>, message: &Message) {
        let Some(own) = message.string(Field::Uri) else { return };
        if let Some(cache) = &self.cache {
            let namespace = cache.namespace(upstream.name());
            cache.invalidate_name(&namespace, aqe_core::cache::Kind::Resources, &own);
        }
        let catalog = self.catalog();
        let shown = catalog.resources.shown(upstream.id, &own).unwrap_or(&own);
        let write = |meta: Option<&str>| {
            let mut edits = message.edit();
            if shown != own {
                edits.replace(message.span(Field::Uri), encode_string(shown).into_bytes());
            }
            set_meta(message, &mut edits, meta);
            edits.apply().into()
        };
        for session in self.legacy_sessions().iter().filter(|session| session.is_subscribed(shown)) {
            session.outlet.push(write(None));
        }
        self.tell_listeners(|filter| filter.uris.contains(shown), |id| write(Some(id)));
    }

    /// A task of our own has changed.
    pub(super) fn tell_of_task(&self, seen: &Seen) {
        // Its result may be long, and mostly nobody listens.
        let detailed = LazyCell::new(|| task_forms::detailed(seen));
        self.tell_listeners(|filter| filter.tasks.contains(&*seen.id), |id| task_notification(id, &detailed));
    }

    /// A modern upstream reports on a task (tasks extension).
    pub(super) fn task_notified(&self, message: &Message) {
        let Some(task) = message.string(Field::TaskId) else { return };
        self.tell_listeners(
            |filter| filter.tasks.contains(&*task),
            |id| {
                let mut edits = message.edit();
                set_meta(message, &mut edits, Some(id));
                edits.apply().into()
            },
        );
    }
}

/// `notifications/tasks` for a listener with this id; `task` are the raw members of a `DetailedTask`.
fn task_notification(id: &str, task: &str) -> bytes::Bytes {
    let params = format!(r#"{{"_meta":{},{task}}}"#, subscription_meta(id));
    wire::notification("notifications/tasks", Some(&params))
}

fn subscription_meta(id: &str) -> String {
    format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#)
}

/// Puts the client's subscription id into a notification's `_meta`, or takes the upstream's out.
fn set_meta<'a>(message: &'a Message, edits: &mut aqe_core::envelope::Edits<'a>, id: Option<&str>) {
    let own = message.span(Field::MetaSubscriptionId);
    match (own.is_empty(), id) {
        (false, Some(id)) => {
            edits.replace(own, id.as_bytes().to_vec());
        }
        (false, None) => {
            edits.remove_member(own);
        }
        (true, Some(id)) if message.raw(Field::Meta).is_some_and(|meta| meta.starts_with('{')) => {
            let member = format!(r#""io.modelcontextprotocol/subscriptionId":{id}"#);
            edits.insert_members(message.span(Field::Meta), &member);
        }
        (true, Some(id)) => {
            edits.insert_members(message.body_span(), &format!(r#""_meta":{}"#, subscription_meta(id)));
        }
        (true, None) => {}
    }
}

fn read_filter(raw: &[u8]) -> Option<Filter> {
    let mut filter = Filter::default();
    for (name, value) in open_object(raw).ok()? {
        let flag = value == b"true";
        match name.as_str() {
            "toolsListChanged" => filter.tools = flag,
            "promptsListChanged" => filter.prompts = flag,
            "resourcesListChanged" => filter.resources = flag,
            "resourceSubscriptions" => filter.uris = strings(value)?,
            "taskIds" => filter.tasks = strings(value)?,
            _ => {}
        }
    }
    Some(filter)
}

fn strings(array: &[u8]) -> Option<HashSet<String>> {
    let list: Vec<String> = serde_json::from_slice(array).ok()?;
    Some(list.into_iter().collect())
}

fn accepted(filter: &Filter) -> String {
    let mut members = Vec::new();
    for (name, flag) in [
        ("toolsListChanged", filter.tools),
        ("promptsListChanged", filter.prompts),
        ("resourcesListChanged", filter.resources),
    ] {
        if flag {
            members.push(format!(r#""{name}":true"#));
        }
    }
    for (name, values) in [("resourceSubscriptions", &filter.uris), ("taskIds", &filter.tasks)] {
        if !values.is_empty() {
            let mut values: Vec<String> = values.iter().map(|value| encode_string(value)).collect();
            values.sort();
            members.push(format!(r#""{name}":[{}]"#, values.join(",")));
        }
    }
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_is_what_was_asked_for_and_can_be_given() {
        let filter =
            read_filter(br#"{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["b","a"],"vendor":true}"#)
                .unwrap();
        assert_eq!(accepted(&filter), r#"{"toolsListChanged":true,"resourceSubscriptions":["a","b"]}"#);
        assert!(read_filter(b"[]").is_none());
        assert!(read_filter(br#"{"resourceSubscriptions":"x"}"#).is_none());
    }
}
