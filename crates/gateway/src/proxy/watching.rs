//! What upstreams are asked to tell.
//!
//! Legacy upstreams tell list changes by themselves and are asked for resources one by one; modern ones are listened
//! to with the union of what clients want. Whoever asks for a resource is answered when its upstream has confirmed:
//! from then on no change is missed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aqe_core::envelope::{Field, encode_string};
use aqe_core::revision::Era;
use futures_util::FutureExt as _;
use tokio::sync::Notify;

use super::Gateway;
use crate::catalog::Target;
use crate::refusal::{Refusal, UpstreamReason};
use crate::tasks;
use crate::upstream::handshake::{OWN, own_meta};
use crate::upstream::{
    Item, ListKind, Live, Outgoing, PendingCall, Unavailable, Upstream, handshake, next_item,
};
use crate::wire;

/// Pause before a listen stream that ended is opened again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);
/// How long a client that asks for a resource waits until the upstream has confirmed that it will tell.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);

/// The resources that clients want to hear of.
#[derive(Default)]
pub(super) struct Watched {
    /// How many clients want each resource of each upstream, by its name: whoever takes over from it tells them too.
    held: Mutex<HashMap<(String, String), usize>>,
    /// What is held has changed.
    changed: Notify,
    /// What each modern upstream has acknowledged to listen for.
    acknowledged: Mutex<HashMap<usize, HashSet<String>>>,
    /// What is acknowledged has changed.
    told: Notify,
}

impl Watched {
    fn acknowledge(&self, upstream: usize, uris: &[String]) {
        lock(&self.acknowledged).insert(upstream, uris.iter().cloned().collect());
        self.told.notify_waiters();
    }

    /// An upstream is not listened to any more.
    fn forget(&self, upstream: usize) {
        lock(&self.acknowledged).remove(&upstream);
    }

    async fn acknowledgement(&self, upstream: usize, uri: &str) {
        loop {
            let told = self.told.notified();
            if lock(&self.acknowledged).get(&upstream).is_some_and(|uris| uris.contains(uri)) {
                return;
            }
            told.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gateway {
    /// Makes sure that the upstreams of these resources report their changes. Waits a little for those that are
    /// asked for the first time; one that cannot be reached now is asked when it is back.
    pub(super) async fn watch(self: &Arc<Self>, uris: &[String]) {
        let asked: Vec<_> = uris
            .iter()
            .filter_map(|uri| {
                let (upstream, own) = self.hold_uri(uri).ok()??;
                let gateway = Arc::clone(self);
                Some(tasks::spawn("watch", async move {
                    if let Err(refusal) = gateway.ask_for_updates(&upstream, &own).await {
                        tracing::debug!(reason = refusal.message, "a resource cannot be watched yet");
                    }
                }))
            })
            .collect();
        let _ = tokio::time::timeout(CONFIRM_WAIT, futures_util::future::join_all(asked)).await;
    }

    /// One client more wants a resource. For the first one the upstream, and its own name for it, are returned: it
    /// must be asked.
    pub(super) fn hold_uri(&self, uri: &str) -> Result<Option<(Arc<Upstream>, String)>, Refusal> {
        let catalog = self.catalog();
        let Some(Target { upstream, uri: own }) = catalog.resources.candidates(uri).into_iter().next() else {
            return Err(Refusal::unknown("resource", uri, &[]));
        };
        let upstream = catalog.upstream(upstream).ok_or_else(|| Refusal::unknown("resource", uri, &[]))?;
        let first = {
            let mut held = lock(&self.subscriptions.watched.held);
            let count = held.entry((upstream.name().to_owned(), own.clone())).or_default();
            *count += 1;
            *count == 1
        };
        if !first {
            return Ok(None);
        }
        self.subscriptions.watched.changed.notify_waiters();
        Ok(Some((Arc::clone(upstream), own)))
    }

    /// Waits until an upstream has confirmed that it will tell of a resource that is held.
    pub(super) async fn ask_for_updates(&self, upstream: &Arc<Upstream>, own: &str) -> Result<(), Refusal> {
        let unavailable = |error: Unavailable| {
            Refusal::upstream(upstream.name(), UpstreamReason::Unavailable, &error.to_string())
        };
        let live = upstream.live().await.map_err(unavailable)?;
        match live.peer.era {
            Era::Legacy => {
                ask_legacy(upstream, &live, "resources/subscribe", own).await;
            }
            // `listen_to` asks.
            Era::Modern => {
                let acknowledgement = self.subscriptions.watched.acknowledgement(upstream.id, own);
                if tokio::time::timeout(CONFIRM_WAIT, acknowledgement).await.is_err() {
                    tracing::debug!(upstream = upstream.name(), "subscriptions/listen is not acknowledged");
                }
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
        let Some(upstream) = catalog.upstream(upstream).cloned() else { return };
        {
            let mut held = lock(&self.subscriptions.watched.held);
            let key = (upstream.name().to_owned(), own.clone());
            let Some(count) = held.get_mut(&key) else { return };
            *count -= 1;
            if *count > 0 {
                return;
            }
            held.remove(&key);
        }
        self.subscriptions.watched.changed.notify_waiters();
        let Some(live) = upstream.current().filter(|live| live.peer.era == Era::Legacy) else { return };
        tasks::spawn("unsubscribe", async move {
            ask_legacy(&upstream, &live, "resources/unsubscribe", &own).await;
        });
    }

    fn held_of(&self, upstream: &Upstream) -> Vec<String> {
        let held = lock(&self.subscriptions.watched.held);
        let mut uris: Vec<String> =
            held.keys().filter(|(name, _)| name == upstream.name()).map(|(_, uri)| uri.clone()).collect();
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
                let uris = self.held_of(&upstream);
                tasks::spawn("resubscribe", async move {
                    for uri in uris {
                        ask_legacy(&upstream, &live, "resources/subscribe", &uri).await;
                    }
                });
            }
        }
    }

    /// Listens to a modern upstream for as long as the connection lasts. A filter cannot be changed, so a new one
    /// means a new stream, acknowledged before the old one is closed.
    async fn listen_to(self: Arc<Self>, upstream: &Arc<Upstream>, live: &Arc<Live>) {
        while live.connection.is_open() && !self.stopping.load(Ordering::Acquire) {
            let mut uris = self.held_of(upstream);
            let mut call = start_listening(live, &uris);
            let mut replaced: Option<Box<dyn PendingCall>> = None;
            loop {
                let changed = self.subscriptions.watched.changed.notified();
                let now = self.held_of(upstream);
                if now != uris {
                    replaced = Some(std::mem::replace(&mut call, start_listening(live, &now)));
                    uris = now;
                }
                tokio::select! {
                    item = next_item(&mut *call) => match item {
                        Item::Notification(message) => {
                            if message.method() == "notifications/subscriptions/acknowledged" {
                                self.subscriptions.watched.acknowledge(upstream.id, &uris);
                                if let Some(mut old) = replaced.take() {
                                    // What came on the old stream only.
                                    while let Some(Item::Notification(message)) = next_item(&mut *old).now_or_never() {
                                        self.upstream_says(upstream, live, message);
                                    }
                                }
                            } else {
                                self.upstream_says(upstream, live, message);
                            }
                        }
                        Item::Request(_) => {}
                        Item::Answer(answer) if answer.raw(Field::Code) == Some("-32601") => return,
                        Item::Answer(_) | Item::Long(_) | Item::Failed(_) => break,
                    },
                    () = changed => {}
                }
            }
            self.subscriptions.watched.forget(upstream.id);
            drop(replaced);
            tokio::time::sleep(LISTEN_AGAIN).await;
            // What changed in between was not told.
            upstream.list_changed(&ListKind::ALL);
        }
    }
}

/// Sends a legacy upstream one of the two requests about changes of a resource. One that refuses tells nothing, and
/// that is all a client would notice.
async fn ask_legacy(upstream: &Upstream, live: &Live, method: &'static str, uri: &str) {
    let params = format!(r#"{{"uri":{}}}"#, encode_string(uri));
    let timeout = upstream.settings().request_timeout;
    let asked = handshake::ask(&live.connection, method, &params, Vec::new(), timeout).await;
    if let Err(error) = asked {
        tracing::debug!(upstream = upstream.name(), %error, method, "no answer about a resource");
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
    let out = Outgoing { bytes, method: method.into(), name: None, headers: Vec::new(), pass_from: None };
    Arc::clone(&live.connection).call(id, out, OWN)
}
