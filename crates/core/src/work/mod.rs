//! Durable work: how a task goes from state to state, what follows from a failure, in which order tasks are taken, and
//! which graphs of tasks can be worked off. Times and randomness come in as values; the store keeps what is decided here.
//!
//! # Layout
//! - [`state`]: the states of a task, and what leads from one to another.
//! - [`graph`]: dependencies among tasks: what is wrong with them, an order, the critical path.
//! - [`retry`]: whether and when a task that failed is tried again.
//! - [`rank`]: the order in which ready tasks are taken, so that none starves.
//! - [`assign`]: which worker takes a task.

pub mod assign;
pub mod graph;
pub mod rank;
pub mod retry;
pub mod state;

pub use graph::{Dependency, Graph, GraphError, On};
pub use rank::Priority;
pub use retry::{Failure, Tried, Verdict};
pub use state::{TaskEvent, TaskState};
