//! What the gateway uses at one moment.

use crate::Result;
use crate::process::{children, descriptors, pss_kib, rss_kib, threads};
use crate::report::Cell;
use crate::stats::Spread;

/// One look at a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Seconds since the load began.
    pub(super) at: f64,
    pub(super) rss_mib: f64,
    pub(super) pss_mib: f64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
    pub(super) sockets: u64,
    pub(super) children: u64,
    /// Calls that were answered so far, and failures.
    pub(super) calls: u64,
    pub(super) failures: u64,
}

impl Sample {
    pub(super) const COLUMNS: [&'static str; 9] =
        ["at_s", "rss_mib", "pss_mib", "threads", "descriptors", "sockets", "children", "calls", "failures"];

    /// Looks at a process.
    pub(super) fn take(pid: u32, at: f64, calls: u64, failures: u64) -> Result<Self> {
        let (descriptors, sockets) = descriptors(pid)?;
        Ok(Self {
            at,
            rss_mib: rss_kib(pid)? as f64 / 1024.0,
            pss_mib: pss_kib(pid)? as f64 / 1024.0,
            threads: threads(pid)?,
            descriptors,
            sockets,
            children: children(pid).len() as u64,
            calls,
            failures,
        })
    }

    /// As a row of a table.
    pub(super) fn row(&self) -> Vec<Cell> {
        let real = |value| Cell::Figure(Spread::exactly(value), 1);
        let whole = |value: u64| Cell::Figure(Spread::exactly(value as f64), 0);
        vec![
            real(self.at),
            real(self.rss_mib),
            real(self.pss_mib),
            whole(self.threads),
            whole(self.descriptors),
            whole(self.sockets),
            whole(self.children),
            whole(self.calls),
            whole(self.failures),
        ]
    }
}
