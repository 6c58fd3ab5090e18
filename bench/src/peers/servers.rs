//! Servers with a memory for agents beside ours: what they cost to start and to keep, and what a value costs to store and to
//! read when there are none and when there are many.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aqe_load::check::{Checker, Expect};
use aqe_load::pipe::{Pace, Talk};
use aqe_load::tree::Tree;
use serde_json::Value;
use tempfile::TempDir;

use crate::Result;
use crate::calls::progress;
use crate::load::{Done, Until};
use crate::message::{Call, Era};
use crate::peers::measure::CALLS;
use crate::peers::start::Line;
use crate::peers::table::{Peer, Places, ServerWay, ToolCall};
use crate::peers::tables::{OURS, missing, spread};
use crate::peers::{Installed, Named, Plan};
use crate::place::{Place, on};
use crate::report::{Cell, Section};
use crate::stats::{Ratio, Spread};
use crate::subject::{Home, Subject, Upstream};

/// Calls of one kind in one round.
const ROUND: u64 = 40;
/// Entries that there are to be in the end, and how long storing them may take.
const ENTRIES: u64 = 10_000;
const FILL: Duration = Duration::from_secs(15);
/// Entries between two looks at the clock.
const BATCH: u64 = 50;
/// How long to wait until nothing is going on.
const SETTLE: Duration = Duration::from_secs(1);
/// How long a server may take to answer its first requests: some set up a model first.
const FIRST: Duration = Duration::from_secs(60);

/// A server with what it needs.
struct Side {
    name: String,
    words: Box<dyn Fn() -> Result<Command>>,
    store: ToolCall,
    retrieve: ToolCall,
    /// Milliseconds from spawning to the answers to `initialize` and to `tools/list`.
    initialize: Vec<f64>,
    list: Vec<f64>,
    _keep: (Option<Home>, Option<TempDir>),
}

/// A server that runs.
struct Running {
    talk: Talk,
    tools: usize,
    bytes: usize,
    idle_mib: f64,
    used_mib: f64,
    /// Calls so far, and when memory was weighed.
    calls: u64,
    used_calls: u64,
    /// Entries that there are.
    stored: u64,
    empty: Times,
    full: Times,
}

/// The p50 and p95 of rounds, in microseconds.
#[derive(Default)]
struct Times {
    store: [Vec<f64>; 2],
    retrieve: [Vec<f64>; 2],
}

/// Measures our own tools and all servers that are installed.
pub(crate) fn measure(subject: &Subject, servers: &[Installed<'_>], plan: &Plan) -> Result<Vec<Named>> {
    let mut sides = vec![Ok(ours(subject)?)];
    sides.extend(servers.iter().map(|(peer, folder)| {
        let found = folder.as_ref().map_err(Clone::clone);
        found
            .and_then(|folder| theirs(peer, folder).map_err(|error| error.to_string()))
            .map_err(|reason| (peer.name.clone(), reason))
    }));
    // The first start of all lets each keep what it keeps.
    for at in 0..=plan.starts.max(1) {
        for side in &mut sides {
            let Ok(server) = side else { continue };
            progress(&format!("servers: {} starts", server.name));
            match start(server) {
                Ok(_) if at == 0 => {}
                Ok((_, initialize, list)) => {
                    server.initialize.push(initialize);
                    server.list.push(list);
                }
                Err(error) => *side = Err((server.name.clone(), error.to_string())),
            }
        }
    }
    let mut running = Vec::new();
    for side in sides {
        running.push(side.and_then(|side| match open(&side) {
            Ok(server) => Ok((side, server)),
            Err(error) => Err((side.name.clone(), error.to_string())),
        }));
    }
    rounds(&mut running, "empty", |server| &mut server.empty, plan);
    each(&mut running, "calls", Running::use_up);
    each(&mut running, "entries", Running::fill);
    rounds(&mut running, "many entries", |server| &mut server.full, plan);
    Ok(vec![
        ("servers".into(), processes(&running, plan)),
        ("servers-memory".into(), memories(&running, plan)),
    ])
}

type Slot = std::result::Result<(Side, Running), (String, String)>;

/// Does something with each server; one that fails plays no further part.
fn each(slots: &mut [Slot], what: &str, mut work: impl FnMut(&mut Running, &Side) -> Result<()>) {
    for slot in slots {
        let Ok((side, server)) = slot else { continue };
        progress(&format!("servers: {}: {what}", side.name));
        if let Err(error) = work(server, side) {
            *slot = Err((side.name.clone(), format!("{what}: {error}")));
        }
    }
}

fn rounds(slots: &mut [Slot], what: &str, of: impl Fn(&mut Running) -> &mut Times, plan: &Plan) {
    for _ in 0..plan.rounds {
        each(slots, what, |server, side| {
            let first = server.stored;
            let store = server.run(&side.store, first, ROUND)?;
            server.stored += ROUND;
            // The same numbers: what was just stored.
            let retrieve = server.run(&side.retrieve, first, ROUND)?;
            for (at, quantile) in [0.50, 0.95].into_iter().enumerate() {
                let times = of(server);
                times.store[at].push(store.latency_us(quantile));
                times.retrieve[at].push(retrieve.latency_us(quantile));
            }
            Ok(())
        });
    }
}

fn ours(subject: &Subject) -> Result<Side> {
    let home = Home::new(&Upstream::None)?;
    let command = Line::of(&subject.stdio(&home));
    let call = |tool: &str, arguments: &str| ToolCall { tool: tool.into(), arguments: arguments.into() };
    Ok(Side {
        name: OURS.into(),
        words: Box::new(move || Ok(command.command())),
        store: call(
            "qe_memory_store",
            r#"{"namespace":"bench","key":"key-{number}","value":"note-{number}, sixty characters that an agent keeps for later"}"#,
        ),
        retrieve: call("qe_memory_retrieve", r#"{"namespace":"bench","key":"key-{number}"}"#),
        initialize: Vec::new(),
        list: Vec::new(),
        _keep: (Some(home), None),
    })
}

fn theirs(peer: &Peer, installed: &Path) -> Result<Side> {
    let ServerWay { command, env, store, retrieve } = peer.server.clone().ok_or("no server")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_owned();
    let places = Places(vec![
        ("installed", installed.to_string_lossy().into_owned()),
        ("folder", path.to_string_lossy().into_owned()),
    ]);
    let words: Vec<String> = command.iter().map(|word| places.fill(word)).collect();
    let (program, arguments) = words.split_first().ok_or("no command")?;
    let (program, arguments) = (program.clone(), arguments.to_vec());
    let env: Vec<_> = env.into_iter().map(|(name, value)| (name, places.fill(&value))).collect();
    let make = move || {
        let mut command = Command::new(&program);
        command.args(&arguments).current_dir(&path).env("HOME", &path).envs(env.iter().cloned());
        Ok(command)
    };
    Ok(Side {
        name: peer.name.clone(),
        words: Box::new(make),
        store,
        retrieve,
        initialize: Vec::new(),
        list: Vec::new(),
        _keep: (None, Some(folder)),
    })
}

/// Starts a server: the conversation, and the milliseconds to its first two answers.
fn start(side: &Side) -> Result<(Talk, f64, f64)> {
    let mut command = (side.words)()?;
    command.stderr(Stdio::piped());
    let begun = Instant::now();
    let mut talk = on(Place::Measured, || Talk::start(command))?;
    let ms = || begun.elapsed().as_secs_f64() * 1e3;
    let first = (|| {
        talk.initialize()?;
        let initialize = ms();
        talk.ask_within(&list(), FIRST)?;
        Result::Ok((initialize, ms()))
    })();
    match first {
        Ok((initialize, list)) => Ok((talk, initialize, list)),
        Err(error) => Err(format!("{error}; it has written: {}", talk.said().trim()).into()),
    }
}

fn list() -> Vec<u8> {
    Call::method(Era::Legacy, "tools/list").line().fresh().to_vec()
}

fn open(side: &Side) -> Result<Running> {
    let (mut talk, _, _) = start(side)?;
    let reply = talk.ask(&list())?;
    let parsed: Value = serde_json::from_slice(&reply)?;
    let tools = parsed["result"]["tools"].as_array().ok_or("no list of tools")?.len();
    let idle_mib = weigh(&talk)?;
    let mut server = Running {
        talk,
        tools,
        bytes: reply.trim_ascii().len(),
        idle_mib,
        used_mib: idle_mib,
        calls: 0,
        used_calls: 0,
        stored: 0,
        empty: Times::default(),
        full: Times::default(),
    };
    // What was stored comes back.
    server.run(&side.store, 0, 1)?;
    let back = server.talk.ask(call(&side.retrieve).numbered(1))?;
    if !String::from_utf8_lossy(&back).contains("note-100000001") {
        let back: String = String::from_utf8_lossy(&back).chars().take(300).collect();
        return Err(format!("{} does not give back what was stored: {back}", side.retrieve.tool).into());
    }
    server.stored = 1;
    Ok(server)
}

fn call(call: &ToolCall) -> crate::message::Request {
    Call::tool(Era::Legacy, &call.tool, call.arguments.clone()).line()
}

fn weigh(talk: &Talk) -> Result<f64> {
    std::thread::sleep(SETTLE);
    Ok(Tree::of(talk.id()).pss_kib()? as f64 / 1024.0)
}

impl Running {
    /// So many calls, one after the other, with numbers from the one after `first` on.
    fn run(&mut self, tool: &ToolCall, first: u64, count: u64) -> Result<Done> {
        let mut checker = Checker::new(Expect::Result);
        let pace = Pace::InFlight(1, Until::Requests(count));
        self.calls += count;
        on(Place::Other, || self.talk.run(&call(tool), &mut checker, first, pace))?.flawless()
    }

    /// Stores and retrieves in turns until there were some thousand calls, and weighs the server then.
    fn use_up(&mut self, side: &Side) -> Result<()> {
        let begun = Instant::now();
        while self.calls < CALLS && begun.elapsed() < FILL {
            let first = self.stored;
            self.run(&side.store, first, BATCH)?;
            self.stored += BATCH;
            self.run(&side.retrieve, first, BATCH)?;
        }
        self.used_mib = weigh(&self.talk)?;
        self.used_calls = self.calls;
        Ok(())
    }

    /// Stores until there are many entries, or the time is up.
    fn fill(&mut self, side: &Side) -> Result<()> {
        let begun = Instant::now();
        while self.stored < ENTRIES && begun.elapsed() < FILL {
            let first = self.stored;
            self.run(&side.store, first, BATCH)?;
            self.stored += BATCH;
        }
        Ok(())
    }
}

fn processes(slots: &[Slot], plan: &Plan) -> Section {
    let one = |value: f64, digits| Cell::Figure(Spread::exactly(value), digits);
    let row = |slot: &Slot| match slot {
        Ok((side, server)) => vec![
            Cell::text(&side.name),
            spread(Spread::of(side.initialize.iter().copied()), 1),
            spread(Spread::of(side.list.iter().copied()), 1),
            one(server.tools as f64, 0),
            one(server.bytes as f64, 0),
            one(server.bytes as f64 / 4.0, 0),
            one(server.idle_mib, 1),
            one(server.used_mib, 1),
            one(server.used_calls as f64, 0),
            Cell::text(""),
        ],
        Err((name, reason)) => missing(name, 9, reason),
    };
    Section {
        title: format!(
            "Servers over stdio: from spawning to the answers to initialize and to tools/list ({} starts after a first \
             one); the reply to tools/list, at 4 bytes a token; memory (PSS) of the process tree when idle and after \
             {CALLS} calls that store and retrieve",
            plan.starts.max(1)
        ),
        columns: vec![
            "server",
            "initialize_ms",
            "list_ms",
            "tools",
            "list_bytes",
            "list_tokens",
            "idle_mib",
            "used_mib",
            "calls",
            "note",
        ],
        rows: slots.iter().map(row).collect(),
    }
}

fn memories(slots: &[Slot], plan: &Plan) -> Section {
    let ours = slots.iter().find_map(|slot| slot.as_ref().ok()).map(|(_, server)| server);
    let row = |slot: &Slot| match slot {
        Ok((side, server)) => {
            let mut cells = vec![Cell::text(&side.name)];
            for (times, base) in
                [(&server.empty, ours.map(|ours| &ours.empty)), (&server.full, ours.map(|ours| &ours.full))]
            {
                let kinds = [
                    (&times.store, base.map(|base| &base.store)),
                    (&times.retrieve, base.map(|base| &base.retrieve)),
                ];
                if std::ptr::eq(times, &raw const server.full) {
                    cells.push(Cell::Figure(Spread::exactly(server.stored as f64), 0));
                }
                for (own, base) in kinds {
                    cells.push(spread(Spread::of(own[0].iter().copied()), 0));
                    cells.push(spread(Spread::of(own[1].iter().copied()), 0));
                    let ratio =
                        (side.name != OURS).then(|| base.and_then(|base| Ratio::of(&own[0], &base[0])));
                    cells.push(Cell::ratio(ratio.flatten(), 1));
                }
            }
            cells.push(Cell::text(""));
            cells
        }
        Err((name, reason)) => missing(name, 14, reason),
    };
    Section {
        title: format!(
            "A memory for agents over stdio, one call at a time, {} rounds of {ROUND} calls: µs to store a short text and \
             to read one back with next to no entries, and with {ENTRIES} or as many as could be stored in {} s; ratios \
             are p50 to ours",
            plan.rounds,
            FILL.as_secs()
        ),
        columns: vec![
            "server",
            "store_p50_us",
            "store_p95_us",
            "store_ratio",
            "retrieve_p50_us",
            "retrieve_p95_us",
            "retrieve_ratio",
            "entries",
            "full_store_p50_us",
            "full_store_p95_us",
            "full_store_ratio",
            "full_retrieve_p50_us",
            "full_retrieve_p95_us",
            "full_retrieve_ratio",
            "note",
        ],
        rows: slots.iter().map(row).collect(),
    }
}
