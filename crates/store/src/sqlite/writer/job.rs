//! One write on its way to the writer's thread and back.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::{Fault, Shared};
use crate::StoreError;

/// A write with its type forgotten.
pub(super) trait Job: Send {
    /// Whether nobody waits for the answer.
    fn is_cancelled(&self) -> bool;
    /// Whether it is to be on disk when it is answered.
    fn is_through(&self) -> bool;
    /// Does the work, inside a transaction.
    fn apply(&mut self, connection: &Connection, shared: &Shared) -> Result<(), StoreError>;
    /// Answers, with the transaction's fate.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

pub(super) struct Write<T, F> {
    operation: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    is_through: bool,
}

impl<T, F> Write<T, F> {
    /// With where its answer will come. `is_through`: it is to be on disk by then.
    pub(super) fn new(operation: F, is_through: bool) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { operation: Some(operation), result: None, reply, is_through }, answer)
    }
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T, Fault> + Send> Job for Write<T, F> {
    fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_through(&self) -> bool {
        self.is_through
    }

    fn apply(&mut self, connection: &Connection, shared: &Shared) -> Result<(), StoreError> {
        let Some(operation) = self.operation.take() else { return Ok(()) };
        let result = operation(connection).map_err(|fault| shared.fault(fault));
        let outcome = result.as_ref().map(|_| ()).map_err(StoreError::clone);
        self.result = Some(result);
        outcome
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let result = match (self.result, commit) {
            // Its own failure explains more than the transaction's.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        // Nobody waits any more: the answer is nobody's.
        let _ = self.reply.send(result);
    }
}
