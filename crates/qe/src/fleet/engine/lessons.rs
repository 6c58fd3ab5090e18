//! What is learnt from attempts that are over, whoever had them and however they ended.

use super::{Engine, wait, warn};
use crate::learn;

/// Steps at a time: tasks come first, and what is left has its turn when the next thing happens.
const STEPS: u32 = 4;

impl Engine {
    /// The store knows what is to be learnt from, also after a server was killed.
    pub(super) fn learn(&self) {
        for _ in 0..STEPS {
            match wait(learn::from_tasks(self.shared.store.as_ref())) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return warn("cannot learn from tasks: later", &error.to_string()),
            }
        }
    }
}
