//! What a call of a built-in tool costs when an upstream offers few tools, many, and as many as one may.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use memchr::memmem;

use crate::Result;
use crate::callgrind::{self, Wrap};
use crate::calls::{Plan, Rounds, cell, middle, round};
use crate::cases::{Contender, contender, retrieve};
use crate::message::{Call, Era};
use crate::report::{Cell, Goal, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject, Upstream};

/// Tools of the upstream; the gateway takes no more than the last from one. The first is what the others are compared with.
const TOOLS: [usize; 3] = [1, 1_000, 100_000];
/// Greatest ratio to the first (design.md 8).
const FLAT: f64 = 1.1;
/// How long the gateway may take to learn what the upstream offers. Under valgrind that is seconds.
const LEARN: Duration = Duration::from_secs(120);

/// A gateway that knows `tools` tools of an upstream.
struct Offer {
    tools: usize,
    gateway: Contender,
    _upstream: Running,
}

impl Offer {
    fn start(tools: usize, subject: &Subject, wrap: Wrap<'_>) -> Result<Self> {
        let upstream = Running::start(Serve::echo_http(tools).command()?, None)?;
        let home = Home::new(&Upstream::Http(upstream.url()))?;
        let mut running = Running::start(wrap(&tools.to_string(), subject.http(&home)), Some(home))?;
        running.server.initialize()?;
        let deadline = Instant::now() + LEARN;
        // Counted in the bytes: parsing the list of 100,000 takes longer and more memory than all else here.
        let list = Call::method(Era::Legacy, "tools/list");
        while memmem::find_iter(&running.server.ask_raw(&list)?, "\"name\":\"up__").count() != tools {
            if Instant::now() > deadline {
                return Err(format!("the gateway does not list the upstream's {tools} tools").into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Self { tools, gateway: contender(running, &retrieve(Era::Legacy))?, _upstream: upstream })
    }

    fn name(&self) -> Cell {
        Cell::text(self.tools.to_string())
    }
}

/// CPU time, with gateways of all sizes taking turns.
pub(crate) fn times(subject: &Subject, plan: &Plan) -> Result<Section> {
    let start = |tools| Offer::start(tools, subject, &|_, command| command);
    let offers = TOOLS.into_iter().map(start).collect::<Result<Vec<_>>>()?;
    let mut all: Vec<Rounds> = offers.iter().map(|_| Rounds::default()).collect();
    for _ in 0..plan.rounds {
        for (offer, rounds) in offers.iter().zip(&mut all) {
            round(&offer.gateway, plan, rounds)?;
        }
    }
    let mut rows = Vec::new();
    for (offer, rounds) in offers.iter().zip(&all) {
        let ratio = Spread::ratio(&rounds.cpu, &all[0].cpu).ok_or("no rounds")?;
        rows.push(vec![
            offer.name(),
            cell(&rounds.cpu, 1)?,
            Cell::Figure(ratio, 2),
            Cell::Goal(Some(Goal::AtMost(ratio.median, FLAT))),
            middle(&rounds.p50, 0)?,
            middle(&rounds.p99, 0)?,
        ]);
    }
    Ok(Section {
        title: format!(
            "{}, {} rounds of {:?}: CPU µs of the process per call",
            title(),
            plan.rounds,
            plan.round
        ),
        columns: vec!["tools", "cpu_us", "ratio", "goal", "p50_us", "p99_us"],
        rows,
    })
}

/// The same in instructions. Profiles are kept in `folder`.
pub(crate) fn instructions(subject: &Subject, folder: &Path) -> Result<Section> {
    let mut rows = Vec::new();
    let mut first = None;
    for tools in TOOLS {
        let out = |name: &str| -> PathBuf { folder.join(format!("flat_{name}.callgrind")) };
        let wrap = |name: &str, command: Command| callgrind::under(&command, &out(name));
        let offer = Offer::start(tools, subject, &wrap)?;
        let name = offer.name();
        let counted = callgrind::count(offer.gateway, &out(&tools.to_string()))?;
        let ratio = counted / *first.get_or_insert(counted);
        rows.push(vec![
            name,
            Cell::Figure(Spread::exactly(counted), 0),
            Cell::Figure(Spread::exactly(ratio), 2),
            Cell::Goal(Some(Goal::AtMost(ratio, FLAT))),
        ]);
    }
    Ok(Section {
        title: format!("{}: user instructions of the process per call (callgrind)", title()),
        columns: vec!["tools", "instructions", "ratio", "goal"],
        rows,
    })
}

fn title() -> &'static str {
    "Retrieve, absent, legacy, over HTTP, by the number of tools that an upstream offers beside it"
}
