//! Memory when idle, and after calls.

use std::time::Duration;

use crate::Result;
use crate::cases::{forwarded, retrieve};
use crate::echo;
use crate::load::{self, Until};
use crate::message::{Call, Era};
use crate::process::{own_children, pss_kib};
use crate::report::{Cell, Goal, Section};
use crate::start::{TOOLS, primed};
use crate::stats::Spread;
use crate::subject::{Running, Subject};

/// Most MiB when idle after the start, and after calls (design.md 8).
const IDLE: f64 = 15.0;
const AFTER_CALLS: f64 = 30.0;
/// How long to wait until nothing is going on.
const SETTLE: Duration = Duration::from_secs(2);
/// Connections that calls come over.
const CONNECTIONS: usize = 8;

/// Weighs a gateway with 300 tools of a child and its own: at rest, and after more and more calls.
pub(crate) fn measure(subject: &Subject) -> Result<Section> {
    let home = primed(subject)?;
    let mut running = Running::start(subject.http(&home), Some(home))?;
    running.server.initialize()?;
    running.server.ask(&Call::method(Era::Legacy, "tools/list"))?;
    let mut rows = vec![row("after the start and one tools/list", &running, IDLE)?];
    let (tool, size) = echo::TOOLS[1];
    let calls = [forwarded(Era::Legacy, tool, size), retrieve(Era::Legacy)];
    let mut done = 0;
    for more in [2_000, 18_000] {
        for call in &calls {
            let request = running.server.request(call);
            let half = more / calls.len() as u64;
            load::run(running.server.address, &request, CONNECTIONS, Until::Requests(half))?;
        }
        done += more;
        rows.push(row(&format!("after {done} calls"), &running, AFTER_CALLS)?);
    }
    Ok(Section {
        title: format!(
            "Memory: proportional set size in MiB, {TOOLS} tools behind, store open, HTTP; calls are half 7 KB to the \
             child, half in process"
        ),
        columns: vec!["state", "gateway_mib", "guardian_mib", "goal"],
        rows,
    })
}

fn row(state: &str, running: &Running, limit: f64) -> Result<Vec<Cell>> {
    std::thread::sleep(SETTLE);
    let mib = |kib: u64| kib as f64 / 1024.0;
    let gateway = mib(pss_kib(running.process.id())?);
    let children = own_children(running.process.id()).into_iter().map(pss_kib).collect::<Result<Vec<_>>>()?;
    let guardian = mib(children.into_iter().sum());
    Ok(vec![
        Cell::text(state),
        Cell::Figure(Spread::exactly(gateway), 1),
        Cell::Figure(Spread::exactly(guardian), 1),
        Cell::Goal(Some(Goal::AtMost(gateway + guardian, limit))),
    ])
}
