//! Pure decisions: no sockets, processes, disk, environment or wall clock.

pub mod inprocess;
