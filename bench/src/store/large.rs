//! All tools that keep things, over a store of many entries where every write waits for the disk.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use super::{Plan, at_most, done, ms, one, tool, words};
use crate::Result;
use crate::calls::progress;
use crate::line::{Line, Transport};
use crate::load::Done;
use crate::message::Call;
use crate::place::Place;
use crate::report::{Cell, Section};
use crate::subject::{Home, Subject};

const NAMESPACES: usize = 8;
/// Entries with the same text under other keys; as many are stored at once.
const ALIKE: u64 = 50;
/// Words of an entry, of a question, of a pattern's title.
const ENTRY_WORDS: usize = 40;
const QUESTION_WORDS: usize = 5;
const TITLE_WORDS: usize = 6;
/// Different questions, and how often each is asked; different entries that are retrieved, and how often.
const QUESTIONS: usize = 40;
const ASKED: u64 = 5;
const RETRIEVED: usize = 20;
const STORED: u64 = 200;
/// Patterns that have been learnt before.
const PATTERNS: usize = 300;
const LEARNT: u64 = 100;
const SPAWNED: u64 = 16;
const RUNS: usize = 20;
const TASKS: usize = 100;

/// Agents whose tasks end at once, and a folder for them.
const PROFILE: &str = "[qe]\nroots = [\".\"]\n\n[[fleet.profile]]\nname = \"true\"\ncommand = \"true\"\n";
const FULL: &str = "durability = \"full\"\n";

/// Most that p95 may be, in ms.
mod limit {
    pub(super) const STORE: f64 = 20.0;
    pub(super) const RETRIEVE: f64 = 10.0;
    pub(super) const SEARCH: f64 = 50.0;
    pub(super) const LEARN: f64 = 100.0;
    pub(super) const LEARN_STATUS: f64 = 50.0;
    pub(super) const FLEET_STATUS: f64 = 50.0;
    pub(super) const SPAWN: f64 = 100.0;
    pub(super) const ORCHESTRATE: f64 = 150.0;
}

/// A store that was filled, and what is asked of it.
struct Filled {
    home: Rc<Home>,
    entries: u64,
    questions: Vec<String>,
    titles: Vec<String>,
}

pub(super) fn measure(subject: &Subject, plan: Plan) -> Result<Section> {
    progress(&format!("store: {} entries", plan.entries));
    let filled = Filled::new(subject, plan)?;
    let mut rows = Vec::new();
    for transport in Transport::ALL {
        progress(&format!("store: {}, with {} entries", transport.name(), plan.entries));
        let mut line = Line::start(subject, &filled.home, transport, Place::Measured, |_| ())?;
        filled.rows(&mut line, |name, all, limit| rows.push(row(transport, name, all, limit)))?;
    }
    Ok(Section {
        title: format!(
            "Tools over the store, {} entries in {NAMESPACES} namespaces, {PATTERNS} patterns, seed {}, memory writes with full \
             durability, one call at a time: ms; goals are of p95",
            filled.entries, plan.seed
        ),
        columns: vec!["over", "call", "calls", "p50_ms", "p95_ms", "max_ms", "goal"],
        rows,
    })
}

fn row(transport: Transport, name: &str, all: &Done, limit: Option<f64>) -> Vec<Cell> {
    vec![
        Cell::text(transport.name()),
        Cell::text(name),
        Cell::text(all.requests.to_string()),
        one(ms(all, 0.50), 2),
        one(ms(all, 0.95), 2),
        one(ms(all, 1.0), 2),
        at_most(ms(all, 0.95), limit),
    ]
}

fn namespace(text: usize) -> String {
    format!("n{}", text % NAMESPACES)
}

impl Filled {
    fn new(subject: &Subject, plan: Plan) -> Result<Self> {
        let mut rng = Rng::with_seed(plan.seed);
        let home = Rc::new(Home::with(PROFILE)?);
        let mut line = Line::start(subject, &home, Transport::Stdio, Place::Anywhere, |_| ())?;
        let texts = plan.entries.div_ceil(ALIKE) as usize;
        for text in 0..texts {
            let value = words::text(&mut rng, ENTRY_WORDS);
            let arguments =
                json!({ "namespace": namespace(text), "key": format!("t{text}-{{number}}"), "value": value });
            line.run_from(0, &tool("qe_memory_store", arguments.to_string()), ALIKE as usize, ALIKE)?;
        }
        let titles: Vec<String> = (0..PATTERNS).map(|_| words::text(&mut rng, TITLE_WORDS)).collect();
        for title in &titles {
            done(&mut line, &record(title, "before"))?;
        }
        let questions = (0..QUESTIONS).map(|_| words::text(&mut rng, QUESTION_WORDS)).collect();
        home.configure(FULL, PROFILE)?;
        Ok(Self { home, entries: texts as u64 * ALIKE, questions, titles })
    }

    fn rows(&self, line: &mut Line, mut row: impl FnMut(&str, &Done, Option<f64>)) -> Result<()> {
        let store = tool(
            "qe_memory_store",
            r#"{"namespace":"n0","key":"new-{number}","value":"another note for later"}"#,
        );
        let searches: Vec<Call> = self
            .questions
            .iter()
            .map(|query| tool("qe_memory_search", json!({ "query": query }).to_string()))
            .collect();
        let first = line.run(&searches[0], 1, 1)?;
        row("search, the first of a process", &first, None);
        let all = merged(searches.iter().map(|call| line.run(call, 1, ASKED)))?;
        row("search", &all, Some(limit::SEARCH));
        let all = merged(searches.iter().map(|call| {
            line.run(&store, 1, 1)?;
            line.run(call, 1, 1)
        }))?;
        row("search after a write", &all, Some(limit::SEARCH));
        row("store", &line.run(&store, 1, STORED)?, Some(limit::STORE));
        let texts = (self.entries / ALIKE) as usize;
        let all = merged((0..RETRIEVED).map(|n| {
            let text = n * texts / RETRIEVED;
            let arguments = json!({ "namespace": namespace(text), "key": format!("t{text}-{{number}}") });
            line.run_from(0, &tool("qe_memory_retrieve", arguments.to_string()), 1, ALIKE)
        }))?;
        row("retrieve", &all, Some(limit::RETRIEVE));
        let learn = Some(limit::LEARN);
        row("learn, record", &line.run(&record(&self.titles[0], "{number}"), 1, LEARNT)?, learn);
        let suggest = |title: &String| {
            tool("qe_learn_pattern", json!({ "action": "suggest", "query": title }).to_string())
        };
        let all = merged(self.titles.iter().take(QUESTIONS).map(|title| line.run(&suggest(title), 1, 1)))?;
        row("learn, suggest", &all, learn);
        row("learn status", &line.run(&tool("qe_learn_status", "{}"), 1, LEARNT)?, Some(limit::LEARN_STATUS));
        fleet(line, row)
    }
}

/// What is asked of a fleet. Its tasks run meanwhile; those of earlier submissions are cancelled.
fn fleet(line: &mut Line, mut row: impl FnMut(&str, &Done, Option<f64>)) -> Result<()> {
    let workers = json!([{ "profile": "true", "min": 0, "max": 2 * SPAWNED }]);
    let (took, _) =
        done(line, &tool("qe_fleet_init", json!({ "workers": workers, "max_concurrency": 1 }).to_string()))?;
    row("fleet init", &timed([took])?, None);
    let spawn = tool("qe_agent_spawn", r#"{"profile":"true","ttl_s":1}"#);
    row("agent spawn", &line.run(&spawn, 1, SPAWNED)?, Some(limit::SPAWN));
    let tasks: Vec<_> = (0..TASKS)
        .map(|n| {
            // The one ten before, and each from the twentieth on also one of the first ten.
            let mut needs: Vec<String> =
                n.checked_sub(10).iter().map(|before| format!("t{before}")).collect();
            needs.extend((n >= 20).then(|| format!("t{}", n % 7)));
            json!({ "key": format!("t{n}"), "profile": "true", "depends_on": needs })
        })
        .collect();
    let submit = tool("qe_task_orchestrate", json!({ "tasks": tasks }).to_string());
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let (took, said) = done(line, &submit)?;
        times.push(took);
        let cancel = json!({ "action": "cancel", "run_id": said["structuredContent"]["run_id"] });
        done(line, &tool("qe_task_orchestrate", cancel.to_string()))?;
    }
    row(&format!("orchestrate {TASKS} tasks"), &timed(times)?, Some(limit::ORCHESTRATE));
    row("fleet status", &line.run(&tool("qe_fleet_status", "{}"), 1, LEARNT)?, Some(limit::FLEET_STATUS));
    Ok(())
}

fn record(title: &str, evidence: &str) -> Call {
    let outcome = json!({ "result": "success", "evidence": evidence, "asserted_by": "bench" });
    let told = json!({ "action": "record", "pattern": { "title": title }, "outcome": outcome });
    tool("qe_learn_pattern", told.to_string())
}

/// Several loads as one.
fn merged(parts: impl IntoIterator<Item = Result<Done>>) -> Result<Done> {
    let mut all = Done::nothing()?;
    for part in parts {
        let part = part?;
        all.requests += part.requests;
        all.elapsed += part.elapsed;
        all.latency.add(&part.latency)?;
    }
    Ok(all)
}

/// Calls that were timed one by one.
fn timed(times: impl IntoIterator<Item = Duration>) -> Result<Done> {
    let mut all = Done::nothing()?;
    for took in times {
        all.add(took, Ok(()))?;
        all.elapsed += took;
    }
    Ok(all)
}
