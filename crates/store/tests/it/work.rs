//! Durable work in SQLite: the promises of any store, and those of a file.

mod crash;
mod model;

use crate::support::fresh;

mod promises {
    use super::fresh;

    aqe_store::work_promises!(fresh());
}
