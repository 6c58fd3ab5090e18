//! Who wants to hear of which change, and what upstreams are asked to tell.
//!
//! Legacy clients hear of every list change and subscribe to single resources; modern ones open
//! `subscriptions/listen` with a filter. Legacy upstreams tell list changes by themselves and are asked for
//! resources one by one; modern ones are listened to with the union of what clients want.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aqe_core::envelope::{Field, Message, encode_string, open_object};
use aqe_core::revision::Era;
use tokio::sync::Notify;

use super::{Answer, Caller, Gateway};
use crate::catalog::Target;
use crate::refusal::Refusal;
use crate::session::{Outlet, next_owner};
use crate::tasks;
use crate::upstream::handshake::{OWN, own_meta};
use crate::upstream::{Item, ListKind, Live, Outgoing, PendingCall, Upstream, handshake, next_item};
use crate::wire;

/// Pause before a listen stream that ended is opened again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// All interests of clients.
#[derive(Default)]
pub(super) struct Subscriptions {
    listeners: Mutex<HashMap<u64, Listener>>,
    /// How many clients want each resource of each upstream.
    held: Mutex<HashMap<(usize, String), usize>>,
    /// The held resources have changed.
    changed: Notify,
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
}

impl Drop for Listening {
    fn drop(&mut self) {
        let listener = lock(&self.gateway.subscriptions.listeners).remove(&self.key);
        for uri in listener.into_iter().flat_map(|listener| listener.filter.uris) {
            self.gateway.release_uri(&uri);
        }
    }
}

impl Gateway {
    /// `subscriptions/listen`: acknowledged at once, answered when the gateway stops.
    pub(super) async fn listen(
        self: &Arc<Self>,
        _caller: &Caller,
        message: &Message,
        outlet: &Arc<dyn Outlet>,
        id: &str,
    ) -> Result<Answer, Refusal> {
        let wanted = message.raw(Field::Notifications).unwrap_or("{}");
        let filter = read_filter(wanted.as_bytes())
            .ok_or_else(|| Refusal::invalid_params("params.notifications must be an object"))?;
        let accepted = accepted(&filter);
        let key = next_owner();
        let listener = Listener { outlet: Arc::clone(outlet), id: id.to_owned(), filter: filter.clone() };
        lock(&self.subscriptions.listeners).insert(key, listener);
        let listening = Listening { gateway: Arc::clone(self), key };
        outlet.push(wire::notification(
            "notifications/subscriptions/acknowledged",
            Some(&format!(r#"{{"_meta":{},"notifications":{accepted}}}"#, subscription_meta(id))),
        ));
        for uri in &filter.uris {
            if let Err(error) = self.hold_uri(uri).await {
                tracing::debug!(%error, "a resource cannot be subscribed to");
            }
        }
        loop {
            let closing = self.subscriptions.closing.notified();
            if self.subscriptions.closed.load(Ordering::Acquire) {
                break;
            }
            closing.await;
        }
        drop(listening);
        let result = format!(r#"{{"resultType":"complete","_meta":{}}}"#, subscription_meta(id));
        Ok(Answer::ok(wire::result(id, result.as_bytes())))
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
        let catalog = self.catalog();
        let shown = catalog.resources.shown(upstream.index, &own).unwrap_or(&own);
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

    /// Makes sure that the upstream of a resource reports its changes.
    pub(super) async fn hold_uri(&self, uri: &str) -> Result<(), Refusal> {
        let catalog = self.catalog();
        let Some(Target { upstream, uri: own }) = catalog.resources.candidates(uri).into_iter().next() else {
            return Err(Refusal::unknown("resource", uri, &[]));
        };
        let upstream = self.upstream(upstream)?;
        let first = {
            let mut held = lock(&self.subscriptions.held);
            let count = held.entry((upstream.index, own.clone())).or_default();
            *count += 1;
            *count == 1
        };
        if !first {
            return Ok(());
        }
        self.subscriptions.changed.notify_waiters();
        let unavailable = |error: crate::upstream::Unavailable| {
            Refusal::upstream(
                upstream.name(),
                crate::refusal::UpstreamReason::Unavailable,
                &error.to_string(),
            )
        };
        let live = upstream.live().await.map_err(unavailable)?;
        if live.peer.era == Era::Legacy {
            let params = format!(r#"{{"uri":{}}}"#, encode_string(&own));
            let timeout = upstream.settings.request_timeout;
            let asked =
                handshake::ask(&live.connection, "resources/subscribe", &params, Vec::new(), timeout).await;
            if let Err(error) = asked {
                tracing::debug!(upstream = upstream.name(), %error, "resources/subscribe");
            }
        }
        Ok(())
    }

    /// One client fewer wants a resource.
    pub(super) fn release_uri(&self, uri: &str) {
        let catalog = self.catalog();
        let Some(Target { upstream, uri: own }) = catalog.resources.candidates(uri).into_iter().next() else {
            return;
        };
        {
            let mut held = lock(&self.subscriptions.held);
            let key = (upstream, own.clone());
            let Some(count) = held.get_mut(&key) else { return };
            *count -= 1;
            if *count > 0 {
                return;
            }
            held.remove(&key);
        }
        self.subscriptions.changed.notify_waiters();
        let Some(upstream) = self.upstreams.get(upstream).cloned() else { return };
        let Some(live) = upstream.current().filter(|live| live.peer.era == Era::Legacy) else { return };
        tasks::spawn("unsubscribe", async move {
            let params = format!(r#"{{"uri":{}}}"#, encode_string(&own));
            let timeout = upstream.settings.request_timeout;
            let _ =
                handshake::ask(&live.connection, "resources/unsubscribe", &params, Vec::new(), timeout).await;
        });
    }

    fn held_of(&self, upstream: usize) -> Vec<String> {
        let held = lock(&self.subscriptions.held);
        let mut uris: Vec<String> =
            held.keys().filter(|(index, _)| *index == upstream).map(|(_, uri)| uri.clone()).collect();
        uris.sort();
        uris
    }

    /// A connection is new: what clients want to hear of is asked for on it.
    pub(super) fn resume_subscriptions(&self, upstream: &Arc<Upstream>, live: &Arc<Live>) {
        let Some(gateway) = self.this.upgrade() else { return };
        let (upstream, live) = (Arc::clone(upstream), Arc::clone(live));
        match live.peer.era {
            Era::Modern => {
                tasks::spawn("listen", async move { gateway.listen_to(&upstream, &live).await });
            }
            Era::Legacy => {
                let uris = self.held_of(upstream.index);
                tasks::spawn("resubscribe", async move {
                    for uri in uris {
                        let params = format!(r#"{{"uri":{}}}"#, encode_string(&uri));
                        let timeout = upstream.settings.request_timeout;
                        let _ = handshake::ask(
                            &live.connection,
                            "resources/subscribe",
                            &params,
                            Vec::new(),
                            timeout,
                        )
                        .await;
                    }
                });
            }
        }
    }

    /// Listens to a modern upstream for as long as the connection lasts. A filter cannot be changed, so a new one
    /// means a new stream, acknowledged before the old one is closed.
    async fn listen_to(self: Arc<Self>, upstream: &Arc<Upstream>, live: &Arc<Live>) {
        while live.connection.is_open() && !self.stopping.load(Ordering::Acquire) {
            let mut uris = self.held_of(upstream.index);
            let mut call = start_listening(live, &uris);
            let mut replaced: Option<Box<dyn PendingCall>> = None;
            loop {
                let changed = self.subscriptions.changed.notified();
                tokio::select! {
                    item = next_item(&mut *call) => match item {
                        Item::Notification(message) => {
                            if message.method() == "notifications/subscriptions/acknowledged" {
                                replaced = None;
                            } else {
                                self.upstream_says(upstream, live, message);
                            }
                        }
                        Item::Request(_) => {}
                        Item::Answer(answer) if answer.raw(Field::Code) == Some("-32601") => return,
                        Item::Answer(_) | Item::Failed(_) => break,
                    },
                    () = changed => {
                        let now = self.held_of(upstream.index);
                        if now != uris {
                            replaced = Some(std::mem::replace(&mut call, start_listening(live, &now)));
                            uris = now;
                        }
                    }
                }
            }
            drop(replaced);
            tokio::time::sleep(LISTEN_AGAIN).await;
            // What changed in between was not told.
            upstream.list_changed(&ListKind::ALL);
        }
    }
}

fn start_listening(live: &Arc<Live>, uris: &[String]) -> Box<dyn PendingCall> {
    let id = live.connection.next_id();
    let uris: Vec<String> = uris.iter().map(|uri| encode_string(uri)).collect();
    let uris = if uris.is_empty() {
        String::new()
    } else {
        format!(r#","resourceSubscriptions":[{}]"#, uris.join(","))
    };
    let params = format!(
        r#"{{"_meta":{{{}}},"notifications":{{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true{uris}}}}}"#,
        own_meta()
    );
    let method = "subscriptions/listen";
    let bytes = wire::request(id, method, &params);
    let out = Outgoing { bytes, method: method.into(), name: None, headers: Vec::new() };
    Arc::clone(&live.connection).call(id, out, OWN)
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
