//! How others reach the engine: its thread begins when somebody has something for it and ends when it has nothing to do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Engine, Event, Figures, POLL, Shared};
use crate::reply::Refusal;

/// Events that wait for the engine.
const EVENTS: usize = 1_024;

/// How long somebody who only looks waits for an engine that is busy with the store.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// The engine, whether it runs or not.
pub(crate) struct Fleets {
    pub(crate) shared: Arc<Shared>,
    door: Door,
}

#[derive(Default)]
struct Slot {
    engine: Option<SyncSender<Event>>,
    is_stopped: bool,
}

/// Where events go in. Who holds the lock knows whether the thread still listens.
#[derive(Clone, Default)]
pub(super) struct Door(Arc<Mutex<Slot>>);

impl Door {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the door behind an engine that has nothing to do; not if somebody has come in meanwhile.
    pub(super) fn leave(&self, events: &Receiver<Event>) -> Option<Event> {
        let mut slot = self.lock();
        let event = events.try_recv().ok();
        if event.is_none() {
            slot.engine = None;
        }
        event
    }
}

impl fmt::Debug for Fleets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleets").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Fleets {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), door: Door::default() }
    }

    /// Tells the engine, and starts it if it does not run.
    pub(crate) fn tell(&self, event: Event) -> Result<(), Refusal> {
        let mut slot = self.door.lock();
        if slot.is_stopped {
            return Err(Refusal("the server is stopping".into()));
        }
        let engine = match &slot.engine {
            Some(engine) => engine,
            None => slot.engine.insert(self.start()?),
        };
        match engine.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Refusal("the fleets' engine is too busy: try again".into())),
            Err(TrySendError::Disconnected(_)) => {
                slot.engine = None;
                Err(Refusal("the fleets' engine has failed; try again".into()))
            }
        }
    }

    /// The engine's figures of a fleet, without starting it: one that does not run has no agents. `None`: it is too busy to say.
    pub(crate) async fn look(&self, fleet: &str) -> Option<Figures> {
        let (reply, figures) = oneshot::channel();
        {
            let slot = self.door.lock();
            let Some(engine) = &slot.engine else { return Some(Figures::default()) };
            engine.try_send(Event::Show { fleet: fleet.to_owned(), reply }).ok()?;
        }
        tokio::time::timeout(LOOK_LIMIT, figures).await.ok()?.ok()
    }

    fn start(&self) -> Result<SyncSender<Event>, Refusal> {
        let (tell, events) = sync_channel(EVENTS);
        let now = Instant::now();
        let engine = Engine {
            shared: Arc::clone(&self.shared),
            handle: self.door.clone(),
            events,
            tell: tell.clone(),
            fleets: Vec::new(),
            agents: BTreeMap::new(),
            next_agent: 1,
            is_dirty: true,
            poll_at: now,
            poll: POLL,
            again_at: None,
            store_at: None,
            prune_at: now,
            is_stopping: false,
        };
        let thread = thread::Builder::new().name("fleet".into());
        thread
            .spawn(move || engine.run())
            .map_err(|error| Refusal(format!("the fleets' engine cannot be started: {error}")))?;
        Ok(tell)
    }

    /// Ends what runs, gives its tasks back, and returns when no agent is left.
    pub(crate) async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        let engine = {
            let mut slot = self.door.lock();
            slot.is_stopped = true;
            slot.engine.take()
        };
        if engine.is_some_and(|engine| engine.try_send(Event::Stop { reply }).is_ok()) {
            let _ = done.await;
        }
    }
}
