//! What any implementation of the store must pass: promises as functions, each given an empty store. They panic if a promise
//! is broken, so they are for tests alone.

#![allow(clippy::unwrap_used)] // A panic is how a promise is found broken.

pub mod learning;
