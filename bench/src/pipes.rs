//! What a call costs a gateway that a client speaks to over standard input and output, beside a baseline.

use std::path::Path;

use aqe_load::pipe::Talk;

use crate::Result;
use crate::callgrind::{self, Wrap};
use crate::calls::{Plan, Rounds, WARM_UP, cell, middle, progress};
use crate::cases::{Route, forwarded, kilobytes, retrieve};
use crate::echo::TOOLS;
use crate::load::{self, Until};
use crate::message::{Call, Era, Request};
use crate::place::{Place, on};
use crate::process::cpu_time;
use crate::report::{Cell, Goal, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject, Upstream};

/// Requests in flight, where nothing is said.
pub(crate) const IN_FLIGHT: usize = 64;
/// Requests per second (design.md 8).
const RATE: f64 = 300_000.0;

/// One comparison over stdio.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Its name in tables.
    pub(crate) name: String,
    route: Route,
    call: Call,
    /// Whether the baseline parses what it passes on: what is larger than a little is dominated by reading it.
    parse: bool,
    has_goal: bool,
}

/// All comparisons over stdio.
pub(crate) fn all() -> Vec<Case> {
    let inside = |name: &str, call: Call, has_goal| Case {
        name: format!("stdio: {name}, {}", call.era.name()),
        route: Route::Inside,
        call,
        parse: false,
        has_goal,
    };
    let mut cases = vec![
        inside("ping", Call::method(Era::Legacy, "ping"), true),
        inside("retrieve, absent", retrieve(Era::Legacy), false),
        inside("retrieve, absent", retrieve(Era::Modern), false),
    ];
    for (route, name) in [(Route::Child, "stdio→stdio"), (Route::Http, "stdio→HTTP")] {
        for era in [Era::Legacy, Era::Modern] {
            cases.extend(TOOLS.map(|(tool, size)| Case {
                name: format!("{name} {}, {}", kilobytes(size), era.name()),
                route,
                call: forwarded(era, tool, size),
                parse: size > TOOLS[0].1,
                has_goal: false,
            }));
        }
    }
    cases
}

/// A process, and what to send to it.
pub(crate) struct Talker {
    pub(crate) talk: Talk,
    pub(crate) request: Request,
}

/// Both sides of a comparison.
pub(crate) struct Contest {
    baseline: Talker,
    subject: Talker,
    /// The server that both send to, if it speaks HTTP; and the gateway's folder.
    _behind: (Option<Running>, Home),
}

impl Case {
    /// The name of what the gateway is compared with.
    pub(crate) fn baseline(&self) -> &'static str {
        match (self.route, self.parse) {
            (Route::Inside, _) => "echo alone",
            (Route::Child, false) => "copying pipe",
            (Route::Child, true) => "parsing pipe",
            (Route::Http, false) => "copying bridge",
            (Route::Http, true) => "parsing bridge",
        }
    }

    /// Starts everything. What is measured is started through `wrap`.
    fn start(&self, subject: &Subject, wrap: Wrap<'_>) -> Result<Contest> {
        let upstream = match self.route {
            Route::Http => Some(Running::start(Serve::echo_http(TOOLS.len()).command()?, None)?),
            _ => None,
        };
        let home = Home::new(&match (self.route, &upstream) {
            (Route::Child, _) => Upstream::Child { tools: TOOLS.len() },
            (_, Some(upstream)) => Upstream::Http(upstream.url()),
            _ => Upstream::None,
        })?;
        let talk = on(Place::Measured, || Talk::start(wrap("subject", subject.stdio(&home))))?;
        let subject = Talker::ready(talk, &self.call)?;
        let (tool, size) = TOOLS[0];
        let (serve, call) = match (self.route, &upstream) {
            // As much of an answer as a small one of the gateway's own.
            (Route::Inside, _) => {
                (Serve::EchoStdio { tools: TOOLS.len(), aside: false }, forwarded(self.call.era, tool, size))
            }
            (_, Some(upstream)) => {
                (Serve::Bridge { upstream: upstream.url(), parse: self.parse }, self.call.clone())
            }
            _ => (Serve::Pipe { parse: self.parse }, self.call.clone()),
        };
        let own = call.tool.as_deref().map(|tool| tool.trim_start_matches("up__").to_owned());
        let command = wrap("baseline", serve.command()?);
        let talk = on(Place::Measured, || Talk::start(command))?;
        let baseline = Talker::ready(talk, &Call { tool: own, ..call })?;
        Ok(Contest { baseline, subject, _behind: (upstream, home) })
    }
}

impl Talker {
    /// Shakes hands, and sees that the call is answered as it should.
    fn ready(mut talk: Talk, call: &Call) -> Result<Self> {
        if call.era == Era::Legacy {
            talk.initialize()?;
        }
        let reply: serde_json::Value = serde_json::from_slice(&talk.ask(call.line().fresh())?)?;
        if !reply["result"].is_object() || reply["result"]["isError"] == true {
            return Err(format!("{} is answered with {reply}", call.method).into());
        }
        Ok(Self { talk, request: call.line() })
    }

    fn round(&mut self, plan: &Plan, rounds: &mut Rounds) -> Result<()> {
        load::pipe(&mut self.talk, &self.request, plan.connections, Until::Elapsed(WARM_UP))?;
        let before = cpu_time(self.talk.id())?;
        let done = load::pipe(&mut self.talk, &self.request, plan.connections, Until::Elapsed(plan.round))?;
        rounds.add(&done, cpu_time(self.talk.id())?.saturating_sub(before));
        Ok(())
    }
}

/// CPU time, rate and latency, with so many requests in flight as the plan has connections.
pub(crate) fn times(subject: &Subject, plan: &Plan) -> Result<Section> {
    let mut rows = Vec::new();
    for case in all().into_iter().filter(|case| case.name.contains(&plan.only)) {
        progress(&format!("{}, {} in flight", case.name, plan.connections));
        rows.push(time(&case, subject, plan).map_err(|error| format!("{}: {error}", case.name))?);
    }
    Ok(Section {
        title: format!(
            "Calls over stdio, {} in flight, {} rounds of {:?}: CPU µs of the process per call",
            plan.connections, plan.rounds, plan.round
        ),
        columns: vec![
            "case",
            "cpu_us",
            "baseline",
            "baseline_cpu_us",
            "ratio",
            "calls_per_s",
            "goal",
            "baseline_calls_per_s",
            "p50_us",
            "p99_us",
        ],
        rows,
    })
}

fn time(case: &Case, subject: &Subject, plan: &Plan) -> Result<Vec<Cell>> {
    let mut contest = case.start(subject, &|_, command| command)?;
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    for _ in 0..plan.rounds {
        contest.baseline.round(plan, &mut theirs)?;
        contest.subject.round(plan, &mut ours)?;
    }
    let rate = Spread::of(ours.rate.iter().copied()).ok_or("no rounds")?;
    // The goal is one for many in flight.
    let has_goal = case.has_goal && plan.connections == IN_FLIGHT;
    Ok(vec![
        Cell::text(&case.name),
        cell(&ours.cpu, 2)?,
        Cell::text(case.baseline()),
        cell(&theirs.cpu, 2)?,
        Cell::Figure(Spread::ratio(&ours.cpu, &theirs.cpu).ok_or("no rounds")?, 2),
        Cell::Figure(rate, 0),
        Cell::Goal(has_goal.then_some(Goal::AtLeast(rate.median, RATE))),
        middle(&theirs.rate, 0)?,
        middle(&ours.p50, 0)?,
        middle(&ours.p99, 0)?,
    ])
}

/// Instructions of calls over stdio. Profiles are kept in `folder`.
pub(crate) fn instructions(subject: &Subject, plan: &Plan, folder: &Path) -> Result<Section> {
    let mut rows = Vec::new();
    for case in all().into_iter().filter(|case| case.name.contains(&plan.only)) {
        progress(&case.name);
        let (ours, theirs) = count(&case, subject, folder)?;
        rows.push(vec![
            Cell::text(&case.name),
            Cell::Figure(Spread::exactly(ours), 0),
            Cell::text(case.baseline()),
            Cell::Figure(Spread::exactly(theirs), 0),
            Cell::Figure(Spread::exactly(ours / theirs), 2),
        ]);
    }
    Ok(Section {
        title: "Calls over stdio, one in flight: user instructions of the process per call (callgrind)"
            .into(),
        columns: vec!["case", "instructions", "baseline", "baseline_instructions", "ratio"],
        rows,
    })
}

/// Instructions per call of subject and baseline.
pub(crate) fn count(case: &Case, subject: &Subject, folder: &Path) -> Result<(f64, f64)> {
    let out = |side: &str| callgrind::profile(folder, &case.name, side);
    let counted = || {
        let contest = case.start(subject, &|side, command| callgrind::under(&command, &out(side)))?;
        let theirs = callgrind::count_pipe(contest.baseline, &out("baseline"))?;
        Ok((callgrind::count_pipe(contest.subject, &out("subject"))?, theirs))
    };
    counted().map_err(|error: crate::Error| format!("{}: {error}", case.name).into())
}
