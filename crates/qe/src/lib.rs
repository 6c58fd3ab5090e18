//! The built-in quality-engineering tools.
//!
//! # Layout
//! - [`builtin`]: all tools of this crate as one set, for the gateway.
//! - `memory`: `qe_memory_store` and `qe_memory_retrieve`, entries that outlive the conversation.
//! - `arguments`, `reply`: from raw arguments to typed ones, from typed results to raw ones.
//!
//! Nothing here reads the clock; [`builtin`] is given one.

mod arguments;
mod builtin;
mod memory;
mod reply;

pub use builtin::builtin;
