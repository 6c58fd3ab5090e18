//! The promises of [`contract`](crate::contract) as tests that any implementation must pass.
//!
//! A promise is a function that panics if it is broken. [`work_promises!`](crate::work_promises) makes a test of each of
//! those of [`work`].

// Tests, though not compiled as such: a broken promise is a panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod learning;
pub mod work;
