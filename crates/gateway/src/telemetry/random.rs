//! Ids for new traces and spans, from the system's random numbers, many at a time.

use std::cell::RefCell;

use aqe_core::trace::{SpanId, TraceId};

/// What one system call fetches.
const BYTES: usize = 512;

struct Supply {
    bytes: [u8; BYTES],
    used: usize,
}

thread_local! {
    static SUPPLY: RefCell<Supply> = const { RefCell::new(Supply { bytes: [0; BYTES], used: BYTES }) };
}

fn take<const N: usize>() -> [u8; N] {
    SUPPLY.with_borrow_mut(|supply| {
        if supply.used + N > BYTES {
            if getrandom::fill(&mut supply.bytes).is_err() {
                // An id need not be secret, only unlike others.
                fastrand::fill(&mut supply.bytes);
            }
            supply.used = 0;
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&supply.bytes[supply.used..supply.used + N]);
        supply.used += N;
        taken
    })
}

/// A trace of our own.
pub(super) fn trace() -> TraceId {
    TraceId::from_random(take())
}

/// A span of our own.
pub(super) fn span() -> SpanId {
    SpanId::from_random(take())
}
