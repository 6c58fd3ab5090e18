//! What becomes of calls while things fail: the real binary before real upstream processes, under a steady load.
//!
//! Each test opens a [`scene::Scene`]: one gateway, one upstream with several replicas, and an open-loop load of calls
//! from clients of both eras, half a thousand a second. It breaks something, mends it, and closes the scene, which
//! demands what must always hold (reliability.md section 3): every call has exactly one answer in time, and its own;
//! no call that only asks fails while a replica is left; no other is made twice; no process, socket or descriptor is
//! left behind. Tests that load the machine take turns.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "these are tests")]

mod children;
mod down;
mod drained;
mod failing;
mod forgotten;
mod gateway;
mod hung;
mod killed;
mod network;
mod overload;
mod random;
mod reconfigured;
mod recovery;
mod rolling;
mod scene;
mod slow;
#[path = "../e2e/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with tests/e2e, which uses all of it")]
mod support;
