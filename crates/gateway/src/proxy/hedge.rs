//! A read-only call that takes longer than its tool usually does is sent to a second replica; the first answer counts.
//!
//! Whatever reaches the client comes from one of the two: the first that has anything to say has the word, and only it
//! can answer from then on. The other one is dropped, which cancels it at its server.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use aqe_core::balancer::ReplicaId;
use aqe_core::batching::Priority;
use bytes::Bytes;
use tokio::time::Instant;

use super::call::{Answered, Placing, Route};
use super::{Gateway, Request};
use crate::refusal::Refusal;
use crate::session::Outlet;

/// The replica that a request was sent to last.
#[derive(Debug, Default)]
pub(super) struct Sent(Mutex<Option<ReplicaId>>);

impl Sent {
    pub(super) fn set(&self, replica: ReplicaId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(replica);
    }

    fn get(&self) -> Option<ReplicaId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the two attempts has the word.
#[derive(Debug, Default)]
struct Word(AtomicU8);

const FREE: u8 = 0;
const FIRST: u8 = 1;
const SECOND: u8 = 2;

impl Word {
    fn is_free(&self) -> bool {
        self.0.load(Ordering::Acquire) == FREE
    }

    /// Gives the word to `who`, unless the other has it.
    fn take(&self, who: u8) -> bool {
        let before = self.0.compare_exchange(FREE, who, Ordering::AcqRel, Ordering::Acquire);
        before.is_ok() || before == Err(who)
    }
}

/// The client's outlet, as one of the attempts sees it.
struct Voice {
    outlet: Arc<dyn Outlet>,
    word: Arc<Word>,
    who: u8,
}

impl Outlet for Voice {
    fn push_with(&self, message: Bytes, priority: Priority) {
        if self.word.take(self.who) {
            self.outlet.push_with(message, priority);
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.outlet.poll_ready(cx)
    }
}

impl Gateway {
    /// As [`Gateway::forward`], to a second replica as well once the first has taken its time.
    pub(super) async fn forward_hedged(
        self: &Arc<Self>,
        request: &Request<'_>,
        route: &Route<'_>,
    ) -> Result<Answered, Refusal> {
        let word = Arc::<Word>::default();
        let voice = |who| -> Arc<dyn Outlet> {
            Arc::new(Voice { outlet: Arc::clone(request.outlet), word: Arc::clone(&word), who })
        };
        let (started, sent) = (Instant::now(), Sent::default());
        let (one, two) = (voice(FIRST), voice(SECOND));
        let (one, two) = (Request { outlet: &one, ..*request }, Request { outlet: &two, ..*request });
        let placing = Placing { avoid: None, told: Some(&sent) };
        let mut first = pin!(self.attempt(&one, route, started, placing));
        let patience = route.hedge_after.unwrap_or(route.timeout);
        tokio::select! {
            biased;
            answer = &mut first => return answer,
            () = tokio::time::sleep(patience) => {}
        }
        let avoid = sent.get();
        if avoid.is_none() || !word.is_free() || !route.upstream.may_hedge() {
            return first.await;
        }
        let placing = Placing { avoid, told: None };
        let mut second = pin!(self.attempt(&two, route, started, placing));
        let (answer, answered_second) = tokio::select! {
            biased;
            answer = &mut first => (answer, false),
            answer = &mut second => (answer, true),
        };
        let who = if answered_second { SECOND } else { FIRST };
        // A refusal says nothing as long as the other may still succeed.
        if answer.is_ok() && word.take(who) || word.0.load(Ordering::Acquire) == who {
            return answer;
        }
        if answered_second { first.await } else { second.await }
    }
}
