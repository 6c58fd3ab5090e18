//! Other settings while calls run.
//!
//! An upstream whose settings are the same is left alone. Where only such settings differ as its connections do not
//! depend on, it takes the new ones. Otherwise another one is started beside it and takes over when it is connected
//! and has told what it offers; one that does not come to that leaves the old one in its place. The list of upstreams
//! is exchanged at once with the names that lead to them. One that is no longer in it goes when nobody holds a list
//! with it any more: a call holds the one that it was led by.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::{Gateway, KeptManifests, StartError};
use crate::settings::Reloadable;
use crate::tasks;
use crate::upstream::{Upstream, check_settings};

/// How often it is looked whether the last call has left an upstream that is to go.
const DRAIN_STEP: Duration = Duration::from_millis(20);

/// Earlier lists of upstreams, as far as calls still hold them.
pub(super) type Former = Vec<Weak<[Arc<Upstream>]>>;

/// What a reload has done, by the names of the upstreams; those that are not named are as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are no longer configured; their calls end in peace.
    pub removed: Vec<String>,
    /// Those with new connections, because what they are opened to has changed.
    pub replaced: Vec<String>,
    /// Those with other settings and the same connections.
    pub changed: Vec<String>,
    /// Those that should have been replaced and run on as before, because what they should be now does not start.
    pub kept: Vec<Kept>,
}

/// An upstream that could not be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What becomes of a configured upstream.
enum Step {
    /// It is there.
    Stay(Arc<Upstream>),
    /// It was not there.
    Add(Arc<Upstream>),
    /// The second takes over from the first.
    Replace(Arc<Upstream>, Arc<Upstream>),
}

impl Gateway {
    /// Puts other settings in force; no call fails by it. Returns when they are in force, which is at most the longest
    /// `connect_timeout` later.
    ///
    /// # Errors
    /// If the settings cannot be used; everything is as it was then.
    pub async fn reload(
        self: &Arc<Self>,
        new: Reloadable,
        mut known: KeptManifests,
    ) -> Result<Reloaded, StartError> {
        let mut former = self.reloading.lock().await;
        let before = self.upstreams();
        let mut done = Reloaded::default();
        let Reloadable { registry, pool, balancing, upstreams, alerts } = new;
        pool.check()?;
        let mut steps = Vec::new();
        let mut retuned = Vec::new();
        for settings in upstreams {
            let old = before.iter().find(|old| old.name() == settings.name);
            steps.push(match old {
                Some(old) if old.settings().keeps_connections(&settings) => {
                    check_settings(&settings, &balancing)?;
                    if *old.settings() != settings {
                        done.changed.push(settings.name.clone());
                    }
                    retuned.push((Arc::clone(old), settings));
                    Step::Stay(Arc::clone(old))
                }
                Some(old) => Step::Replace(Arc::clone(old), self.create(settings, &balancing, &mut known)?),
                None => Step::Add(self.create(settings, &balancing, &mut known)?),
            });
        }
        let alerts = self.alerts.check(alerts)?;
        // Everything has been checked; from here on nothing is refused.
        self.pool.reconfigure(pool)?;
        self.alert_clients(&self.alerts.put(alerts));
        for (upstream, settings) in retuned {
            upstream.reconfigure(settings, &balancing)?;
        }
        let taken = steps.into_iter().map(|step| self.take(step));
        let mut after = Vec::new();
        for (upstream, note) in futures_util::future::try_join_all(taken).await? {
            let name = upstream.name().to_owned();
            match note {
                Note::Stays => {}
                Note::Added => done.added.push(name),
                Note::Replaced => done.replaced.push(name),
                Note::Kept(reason) => done.kept.push(Kept { name, reason }),
            }
            after.push(upstream);
        }
        let removed = before.iter().filter(|old| after.iter().all(|new| new.name() != old.name()));
        done.removed = removed.map(|old| old.name().to_owned()).collect();
        let gone = before.iter().filter(|old| after.iter().all(|new| new.id != old.id));
        let gone: Vec<Arc<Upstream>> = gone.map(Arc::clone).collect();
        let (old, new) = self.rebuild(Some(&Arc::new(registry)), Some(&Arc::from(after)));
        self.settle.notify_waiters();
        self.announce_changes(&old, &new, &[]);
        // After it, so that nothing is kept any more by what was in force before.
        for name in done.changed.iter().chain(&done.replaced).chain(&done.removed) {
            if let Some(cache) = &self.cache {
                cache.invalidate(&cache.namespace(name));
            }
        }
        former.retain(|list| list.strong_count() > 0);
        former.push(Arc::downgrade(&before));
        if !gone.is_empty() {
            self.remove_later(gone, former.clone());
        }
        Ok(done)
    }

    /// Starts what a step needs.
    async fn take(&self, step: Step) -> Result<(Arc<Upstream>, Note), StartError> {
        match step {
            Step::Stay(upstream) => Ok((upstream, Note::Stays)),
            Step::Add(upstream) => {
                upstream.start(self.settings.start)?;
                Ok((upstream, Note::Added))
            }
            Step::Replace(old, new) => {
                new.start(self.settings.start)?;
                match self.is_ready(&new).await {
                    Ok(()) => Ok((new, Note::Replaced)),
                    Err(reason) => {
                        tracing::warn!(
                            upstream = new.name(),
                            reason,
                            "cannot be replaced and stays as it was"
                        );
                        new.remove();
                        Ok((old, Note::Kept(reason)))
                    }
                }
            }
        }
    }

    /// Waits until an upstream is connected and its offer is known.
    async fn is_ready(&self, upstream: &Arc<Upstream>) -> Result<(), String> {
        upstream.live().await.map_err(|error| error.to_string())?;
        let listed = async {
            loop {
                let settle = self.settle.notified();
                if upstream.manifest().is_some() {
                    return;
                }
                settle.await;
            }
        };
        let limit = upstream.settings().connect_timeout;
        tokio::time::timeout(limit, listed).await.map_err(|_| "it does not tell its tools".to_owned())
    }

    /// Removes upstreams when their last call has ended, or when it has had its time.
    fn remove_later(&self, gone: Vec<Arc<Upstream>>, lists: Former) {
        let limit = Instant::now() + self.settings.drain_timeout;
        let this = self.this.clone();
        tasks::spawn("remove upstreams", async move {
            while lists.iter().any(|list| list.strong_count() > 0)
                && Instant::now() < limit
                && this.upgrade().is_some_and(|gateway| !gateway.stopping.load(Ordering::Acquire))
            {
                tokio::time::sleep(DRAIN_STEP).await;
            }
            for upstream in gone {
                tracing::info!(upstream = upstream.name(), "removed");
                upstream.remove();
            }
        });
    }
}

/// What became of an upstream.
enum Note {
    Stays,
    Added,
    Replaced,
    Kept(String),
}
