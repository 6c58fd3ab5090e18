//! The legacy HTTP sessions: created by `initialize`, bound to whoever created them, capped, reaped when idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aqe_core::batching::Batching;

use super::{Session, stream::Streams};
use crate::settings::SessionSettings;

/// Why a session was not created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The cap is reached and no session is idle.
    #[error("too many sessions")]
    Full,
    /// The operating system gave no random bytes.
    #[error("no random numbers")]
    NoRandom,
}

type Open = HashMap<String, Arc<Session>, foldhash::fast::RandomState>;

/// All open sessions by their key.
#[derive(Debug)]
pub struct Sessions {
    settings: SessionSettings,
    batching: Option<Batching>,
    open: Mutex<Open>,
}

impl Sessions {
    /// No sessions yet. `batching` is how long notifications may wait on their streams.
    pub fn new(settings: SessionSettings, batching: Option<Batching>) -> Self {
        Self { settings, batching, open: Mutex::default() }
    }

    /// Opens a session for `principal` under a fresh, unguessable key.
    ///
    /// # Errors
    /// [`CreateError::Full`] at the cap.
    pub fn create(&self, principal: &Arc<str>) -> Result<Arc<Session>, CreateError> {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).map_err(|_| CreateError::NoRandom)?;
        let key = format!("{:032x}", u128::from_ne_bytes(random));
        let mut open = self.lock();
        if open.len() >= self.settings.max_sessions {
            return Err(CreateError::Full);
        }
        let streams = Streams::new(self.batching);
        let outlet = Arc::clone(streams.standalone());
        let session = Arc::new(Session::new(Some(key.clone()), Arc::clone(principal), outlet, streams));
        open.insert(key, Arc::clone(&session));
        Ok(session)
    }

    /// The session with this key, if `principal` opened it. A stranger's session looks like no session.
    pub fn get(&self, key: &str, principal: &str) -> Option<Arc<Session>> {
        self.lock().get(key).filter(|session| &*session.principal == principal).cloned()
    }

    /// Takes a session out.
    pub fn remove(&self, key: &str, principal: &str) -> Option<Arc<Session>> {
        let mut open = self.lock();
        open.get(key).filter(|session| &*session.principal == principal)?;
        open.remove(key)
    }

    /// Takes out the sessions in which nothing happens. One with a call in flight is never idle.
    pub fn reap(&self, now: Instant) -> Vec<Arc<Session>> {
        let mut open = self.lock();
        let idle = |session: &Arc<Session>| session.is_idle(now, self.settings.idle_timeout);
        let keys: Vec<String> =
            open.iter().filter(|(_, session)| idle(session)).map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| open.remove(key)).collect()
    }

    /// Every open session.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sessions(max: usize) -> Sessions {
        let settings = SessionSettings { max_sessions: max, idle_timeout: Duration::from_secs(10) };
        Sessions::new(settings, None)
    }

    #[test]
    fn a_session_is_only_its_creators() {
        let sessions = sessions(10);
        let session = sessions.create(&"alice".into()).unwrap();
        let key = session.key.clone().unwrap();
        assert!(sessions.get(&key, "alice").is_some());
        assert!(sessions.get(&key, "bob").is_none());
        assert!(sessions.remove(&key, "bob").is_none());
        assert!(sessions.remove(&key, "alice").is_some());
        assert!(sessions.get(&key, "alice").is_none());
    }

    #[test]
    fn the_cap_holds_and_idle_sessions_make_room_but_not_busy_ones() {
        let sessions = sessions(2);
        let busy = sessions.create(&"a".into()).unwrap();
        sessions.create(&"a".into()).unwrap();
        assert_eq!(sessions.create(&"a".into()).unwrap_err(), CreateError::Full);
        let call = busy.begin("1", false).unwrap();
        let later = Instant::now() + Duration::from_secs(11);
        assert_eq!(sessions.reap(later).len(), 1);
        drop(call);
        assert_eq!(sessions.reap(Instant::now() + Duration::from_secs(11)).len(), 1);
    }

    #[test]
    fn an_id_in_flight_cannot_be_used_again() {
        let session = sessions(1).create(&"a".into()).unwrap();
        let call = session.begin("1", false).unwrap();
        assert!(session.begin("1", false).is_none());
        assert!(session.begin("\"1\"", false).is_some());
        drop(call);
        assert!(session.begin("1", false).is_some());
    }
}
