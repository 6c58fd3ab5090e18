//! What happens, in figures, and when that is worth telling somebody.
//!
//! # Layout
//! - [`alerts`]: which figures are watched, and when a person is told.

pub mod alerts;
