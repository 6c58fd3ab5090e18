//! The application: the only place that knows every part.
//!
//! It is a library beside its binary so that tests can drive it in one process.

pub mod config;
