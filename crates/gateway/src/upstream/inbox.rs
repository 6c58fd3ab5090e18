//! The ordered inbox of one call.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Item;

/// Bytes that one call may have waiting for a slow client, before it is failed. The reader of a shared connection
/// must not wait for one client, so what comes is kept up to here.
const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// More is waiting than a call may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{waiting} bytes are waiting")]
pub struct Overflow {
    /// Bytes that were waiting.
    pub waiting: usize,
}

/// What a shared connection's reader has received for one call and the client has not taken yet.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    waiting_bytes: usize,
    ended: bool,
    waker: Option<Waker>,
}

fn size(item: &Item) -> usize {
    match item {
        Item::Notification(message) | Item::Request(message) | Item::Answer(message) => message.bytes().len(),
        // What is to come is bounded where it is read.
        Item::Long(_) | Item::Failed(_) => 0,
    }
}

impl Inbox {
    /// Adds an item. An answer or failure is the last one: what comes later is dropped (`false`). When too much is
    /// waiting, the call is failed in place of the item.
    pub fn push(&self, item: Item) -> bool {
        let waker = {
            let mut state = self.lock();
            if state.ended {
                return false;
            }
            let last = item.is_last();
            if !last && state.waiting_bytes + size(&item) > MAX_WAITING_BYTES {
                let overflow = Overflow { waiting: state.waiting_bytes };
                state.items.push_back(Item::Failed(overflow.into()));
                state.ended = true;
            } else {
                state.waiting_bytes += size(&item);
                state.ended = last;
                state.items.push_back(item);
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Takes the oldest item, or registers the caller to be woken.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Item> {
        let mut state = self.lock();
        if let Some(item) = state.items.pop_front() {
            state.waiting_bytes -= size(&item);
            return Poll::Ready(item);
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether the last item has been pushed.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every update below the lock is complete in itself, so a panic elsewhere cannot leave it torn.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
