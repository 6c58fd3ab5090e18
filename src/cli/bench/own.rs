//! `mcp bench --self`: the targets of the project's two seeds, and what this very program reaches without its
//! optimisations and with them, in one run.

mod lookup;
mod row;
mod sides;

use std::time::Duration;

use aqe_load::contest::{self, Figures, Outcome, Plan};
use aqe_load::load::Until;
use aqe_load::message::{Call, PLACEHOLDER};
use aqe_load::target::{Options, Target};
use serde_json::{Value, json};

use self::row::{Figure, Limit, Row};
use self::sides::{Sides, TOOLS, UPSTREAMS};
use super::progress::Bar;
use super::{Failure, echo, failed, html, ladder, output};
use crate::cli::table::Table;

/// What is said of all figures.
const METHOD: &str = "\
Both sides are this program, started twice as `mcp start --transport http`: naive with --optimized=false (a connection for each
call, a search through all names, no cache), and as it is by default. They take turns; ratios are optimised to naive, with
intervals of 95 % from rounds beside each other. Behind each are the same two upstreams, which are this program too: its own tools
over HTTP, and a child over stdio that answers with what it is sent. No two requests are alike, and every reply is checked.";

/// The calls of a route: its name, the tool, the arguments.
fn routes() -> [(&'static str, String, String); 2] {
    [
        (
            "HTTP upstream",
            format!("{}__qe_memory_retrieve", UPSTREAMS[0]),
            format!(r#"{{"namespace":"bench","key":"{PLACEHOLDER}"}}"#),
        ),
        (
            "stdio upstream",
            // The last one: a search goes through all others.
            format!("{}__{}", UPSTREAMS[1], echo::tool(TOOLS - 1)),
            format!(r#"{{"text":"{PLACEHOLDER}"}}"#),
        ),
    ]
}

/// Everything that was measured.
pub(super) struct Measured {
    plan: Plan,
    rows: Vec<Row>,
    /// By route.
    contests: Vec<(&'static str, Outcome)>,
}

/// Measures; says before how long that takes.
pub(super) fn measure(plan: Plan, options: &Options) -> Result<Measured, Failure> {
    let starts = plan.rounds * 4;
    let round = match plan.round {
        Until::Elapsed(time) => Some(time),
        Until::Requests(_) => None,
    };
    // Two sides on two routes; starting takes a few seconds more.
    let time = round.map(|round| (round + plan.warm_up) * (plan.rounds * 4) as u32 + Duration::from_secs(5));
    if let Some(time) = time {
        output::complain(&format!("about {}", ladder::spoken(time)));
    }
    let bar = Bar::start(time);
    bar.say("starting");
    let sides = Sides::start().map_err(|error| failed(&error))?;
    let mut rows = vec![start(&sides, starts, &bar).map_err(|error| failed(&error))?];
    let mut targets = sides.targets(options).map_err(|error| failed(&error))?;
    let idle = sides.memory();
    let (mut contests, mut pools) = (Vec::new(), Vec::new());
    for (name, tool, arguments) in routes() {
        let calls: Vec<Call> =
            targets.iter().map(|target| Call::tool(target.era, &tool, arguments.as_str())).collect();
        let before = sides.pools()?;
        let outcome = contest::run(&mut targets, &calls, &plan, |round, side| {
            bar.say(&format!("{name}, round {} of {}: {}", round + 1, plan.rounds, SIDES[side]));
        });
        contests.push((name, outcome.map_err(|error| failed(&error))?));
        pools.push((before, sides.pools()?));
    }
    let after = sides.memory();
    bar.say("looking tools up");
    for (name, outcome) in &contests {
        rows.push(latency(name, outcome, &plan));
    }
    rows.push(lookup::row(&targets, plan.rounds)?);
    for ((name, _), (at, (before, after))) in contests.iter().zip(pools.iter().enumerate()) {
        rows.push(hits(name, UPSTREAMS[at], before, after));
    }
    rows.push(memory("memory, idle", idle, "after the handshake with both upstreams"));
    rows.push(memory("memory, after the load", after, "after the last round"));
    for (name, outcome) in &contests {
        rows.push(rate(name, outcome, &plan));
    }
    rows.push(errors(&contests));
    Ok(Measured { plan, rows, contests })
}

/// How the two sides are called.
const SIDES: [&str; 2] = ["naive", "optimised"];

fn start(sides: &Sides, starts: usize, bar: &Bar) -> aqe_load::Result<Row> {
    let (mut naive, mut optimized) = (Vec::new(), Vec::new());
    for at in 0..starts {
        bar.say(&format!("start {} of {starts}", at + 1));
        naive.push(sides.start_once(false)?.as_secs_f64() * 1e3);
        optimized.push(sides.start_once(true)?.as_secs_f64() * 1e3);
    }
    Ok(Row {
        what: "start".into(),
        unit: "ms",
        before: Some("~1.8 s"),
        target: "< 400 ms",
        limit: Limit::Below(400.0),
        naive: row::p95(&naive),
        optimized: row::p95(&optimized),
        ratio: row::ratio(&optimized, &naive),
        from: format!(
            "from spawning `mcp start --transport stdio` to its answer to the first tools/list with all tools, p95 of {starts} \
             starts; the tools are known from an earlier run"
        ),
    })
}

fn figures(outcome: &Outcome) -> [&Figures; 2] {
    // The contest has as many results as targets.
    [&outcome.results[0], &outcome.results[1]]
}

fn latency(name: &str, outcome: &Outcome, plan: &Plan) -> Row {
    let value = |figures: &Figures| -> Figure {
        let p95 = figures.latency_us.get("p95").copied().flatten();
        p95.map(|us| us / 1e3).ok_or_else(|| "no call was answered".into())
    };
    let [naive, optimized] = figures(outcome);
    Row {
        what: format!("response p95, {name}"),
        unit: "ms",
        before: Some("~250 ms"),
        target: "< 100 ms",
        limit: Limit::Below(100.0),
        naive: value(naive),
        optimized: value(optimized),
        ratio: optimized.ratios.and_then(|ratios| ratios.p95),
        from: format!("tools/call over HTTP, {} at once, all rounds together", plan.drive.connections),
    }
}

fn rate(name: &str, outcome: &Outcome, plan: &Plan) -> Row {
    let value = |figures: &Figures| -> Figure {
        figures.calls_per_s.map(|spread| spread.median).ok_or_else(|| "no round ended".into())
    };
    let [naive, optimized] = figures(outcome);
    Row {
        what: format!("throughput, {name}"),
        unit: "calls/s",
        before: None,
        target: "> 1000 requests/s",
        limit: Limit::Above(1_000.0),
        naive: value(naive),
        optimized: value(optimized),
        ratio: optimized.ratios.and_then(|ratios| ratios.calls_per_s),
        from: format!("good replies to {} clients, median of the rounds", plan.drive.connections),
    }
}

/// Hits and misses of an upstream's connections, before and after.
fn hits(name: &str, upstream: &str, before: &[Value; 2], after: &[Value; 2]) -> Row {
    let value = |side: usize| -> Figure {
        let count = |pool: &Value, what: &str| {
            let replicas = pool["replicas"].as_array().into_iter().flatten();
            let own = replicas.filter(|replica| replica["upstream"] == upstream);
            own.filter_map(|replica| replica[what].as_f64()).sum::<f64>()
        };
        let grown = |what| count(&after[side], what) - count(&before[side], what);
        let (hits, misses) = (grown("hits"), grown("misses"));
        if hits + misses > 0.0 {
            Ok(100.0 * hits / (hits + misses))
        } else {
            Err("the pool was not asked for a connection".into())
        }
    };
    Row {
        what: format!("pool hits, {name}"),
        unit: "%",
        before: Some("0 % (no pool)"),
        target: "> 90 %",
        limit: Limit::Above(90.0),
        naive: value(0),
        optimized: value(1),
        ratio: None,
        from: "GET /admin/pool: calls that found a connection open, of all calls of the rounds and their warm-up; \
               the naive side keeps one open for lists, which a call may take".into(),
    }
}

fn memory(what: &str, [naive, optimized]: [Figure; 2], when: &str) -> Row {
    Row {
        what: what.into(),
        unit: "MB",
        before: Some("~150 MB"),
        target: "~75 MB",
        limit: Limit::Below(75.0),
        naive,
        optimized,
        ratio: None,
        from: format!(
            "Pss of /proc/PID/smaps_rollup {when}, of the gateway and its guardian, without the upstreams"
        ),
    }
}

fn errors(contests: &[(&'static str, Outcome)]) -> Row {
    let value = |side: usize| -> Figure {
        let all = || contests.iter().map(|(_, outcome)| figures(outcome)[side]);
        let wrong: u64 = all().map(|figures| figures.errors + figures.warm_up_errors).sum();
        let good: u64 = all().map(|figures| figures.calls).sum();
        if wrong + good == 0 {
            return Err("nothing was sent".into());
        }
        Ok(100.0 * wrong as f64 / (wrong + good) as f64)
    };
    Row {
        what: "errors".into(),
        unit: "%",
        before: None,
        target: "< 1 %",
        limit: Limit::Below(1.0),
        naive: value(0),
        optimized: value(1),
        ratio: None,
        from: "all replies of both routes that had another id, an error, or another shape than the first"
            .into(),
    }
}

impl Measured {
    /// Whether every reply was good.
    pub(super) fn is_good(&self) -> bool {
        let mut results = self.contests.iter().flat_map(|(_, outcome)| &outcome.results);
        results.all(|figures| figures.errors + figures.warm_up_errors == 0 && figures.calls > 0)
    }

    pub(super) fn text(&self) -> String {
        let mut table = Table::new(&row::HEADING);
        let mut from = Table::new(&["", "measured"]);
        for row in &self.rows {
            table.row(row.cells());
            from.row([row.what.clone(), row.from.clone()]);
        }
        let mut parts =
            vec![METHOD.to_owned(), String::new(), table.to_string(), String::new(), from.to_string()];
        parts.extend(self.notes().into_iter().map(|note| format!("\n{note}")));
        parts.join("\n")
    }

    pub(super) fn json(&self) -> Value {
        let contests = self.contests.iter().map(|(name, outcome)| {
            let [naive, optimized] = figures(outcome);
            json!({ "route": name, "naive": naive, "optimized": optimized, "load_cpu_percent": outcome.load_cpu_percent })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "method": METHOD.replace('\n', " "),
            "connections": self.plan.drive.connections,
            "rounds": self.plan.rounds,
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "contests": contests.collect::<Vec<_>>(),
            "notes": self.notes(),
        })
    }

    pub(super) fn page(&self) -> String {
        let mut body = format!("<p>{}</p>\n", html::escape(METHOD));
        html::plain_table(&mut body, &row::HEADING, self.rows.iter().map(Row::cells));
        body.push_str("<h2>How it was measured</h2>\n");
        html::plain_table(
            &mut body,
            &["", "measured"],
            self.rows.iter().map(|row| vec![row.what.clone(), row.from.clone()]),
        );
        for (name, outcome) in &self.contests {
            body += "<h2>";
            body += name;
            body += ": first naive, then optimised</h2>\n";
            html::charts(&mut body, &outcome.results);
        }
        html::list(&mut body, self.notes().into_iter());
        html::frame("aqe-v3 beside itself", &body)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.rows.iter().flat_map(Row::unknown).collect();
        for (name, outcome) in &self.contests {
            for (side, figures) in SIDES.iter().zip(&outcome.results) {
                for kind in figures.errors_by_kind.kinds().values() {
                    notes.push(format!(
                        "{name}, {side}: {} × {}",
                        kind.count,
                        output::printable(&kind.first)
                    ));
                }
            }
        }
        notes
    }
}

/// The targets' tools, by name.
fn names(targets: &[Target]) -> Vec<&str> {
    targets.iter().flat_map(|target| &target.tools).map(|tool| tool.name.as_str()).collect()
}
