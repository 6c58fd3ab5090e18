//! The application: the only place that knows every part.
//!
//! It is a library beside its binary so that tests can drive it in one process.
//!
//! # Layout
//! - [`config`]: the configuration, from files and flags to checked values.
//! - [`app`]: the server put together: started, run, and stopped in order.
//! - [`cli`]: the command line, and the client of a running server.

pub mod app;
pub mod cli;
pub mod config;
