//! All tools of this crate as one set.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use aqe_core::durable::Durable;
use aqe_core::inprocess::{
    CallFuture, Caller, Calls, InProcess, InProcessError, Progress, StopFuture, ToolResult,
};
use aqe_store::{Derived, Store, UnixMillis};
use bytes::Bytes;

use crate::arguments;
use crate::coverage;
use crate::fleet::{self, Fleets};
use crate::gate;
use crate::learn;
use crate::memory::{Memory, Secrets, retrieve, search, store};
use crate::metrics::{self, Measurements};
use crate::project::Roots;
use crate::project::child::{self, Keeper};
use crate::reply::{Refusal, refused};
use crate::stop::Stop;
use crate::testgen;

/// What the operator decides.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Folders that the tools may read, and everything below them. A relative `root` of a call is relative to the first.
    pub roots: Vec<PathBuf>,
    /// Who keeps the programs that the tools start; `None`: they end with their call, and if this process is killed, late.
    pub keeper: Option<Keeper>,
    /// Where what was computed of sources is kept for other processes; `None`: nowhere.
    pub derived: Option<Arc<Derived>>,
    /// Fleets of agents; `None`: there are none, as on the command line.
    pub fleet: Option<fleet::Settings>,
    /// What happens to credentials in memory entries.
    pub secrets: Secrets,
}

/// The tools, over a store and a clock that tells the milliseconds since the Unix epoch.
pub fn builtin(
    durable: Arc<dyn Store>,
    settings: &Settings,
    clock: impl Fn() -> UnixMillis + Send + Sync + 'static,
) -> Arc<dyn InProcess> {
    if let Some(keeper) = settings.keeper {
        child::keep_with(keeper);
    }
    let clock: Arc<dyn Fn() -> UnixMillis + Send + Sync> = Arc::new(clock);
    let roots = Roots::new(&settings.roots);
    let mark = settings.keeper.map(|keeper| keeper.mark);
    let fleets = settings.fleet.as_ref();
    let fleets =
        fleets.map(|fleet| Fleets::over(Arc::clone(&durable), fleet, &roots, mark, Arc::clone(&clock)));
    let builtin = Arc::new(Builtin {
        definitions: definitions().into_iter().map(|text| Bytes::from_static(text.as_bytes())).collect(),
        memory: Memory { store: Arc::clone(&durable), secrets: settings.secrets },
        context: Arc::new(Context {
            roots,
            durable,
            coverage: coverage::load::Cache::default(),
            measurements: Measurements::new(settings.derived.clone()),
            reports: gate::Reports::default(),
            testgen: testgen::Memo::default(),
            learning: learn::Feed::default(),
            sketches: learn::Sketches::default(),
        }),
        fleets,
        clock,
    });
    if let Some(fleets) = &builtin.fleets {
        let tools: Arc<dyn InProcess> = Arc::<Builtin>::clone(&builtin);
        fleets.resume(Arc::downgrade(&tools));
    }
    builtin
}

/// The tools' definitions, each one the raw JSON of an MCP `Tool`, as [`InProcess::definitions`] has them.
pub fn definitions() -> Vec<&'static str> {
    let memory = [store::DEFINITION, retrieve::DEFINITION, search::DEFINITION];
    memory
        .into_iter()
        .chain(WORKS.iter().map(|work| work.definition))
        .chain(fleet::tools::DEFINITIONS)
        .collect()
}

struct Builtin {
    definitions: Vec<Bytes>,
    memory: Memory,
    context: Arc<Context>,
    fleets: Option<Fleets>,
    clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
}

/// What the tools share that read projects.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) roots: Roots,
    pub(crate) durable: Arc<dyn Store>,
    pub(crate) coverage: coverage::load::Cache,
    pub(crate) measurements: Measurements,
    pub(crate) reports: gate::Reports,
    pub(crate) testgen: testgen::Memo,
    pub(crate) learning: learn::Feed,
    pub(crate) sketches: learn::Sketches,
}

/// One call of such a tool.
#[derive(Debug)]
pub(crate) struct Request {
    /// On whose behalf.
    pub(crate) principal: String,
    pub(crate) now: UnixMillis,
    pub(crate) stop: Stop,
    progress: Option<Arc<dyn Progress>>,
}

impl Request {
    /// Tells the client, if it wants to know, that `done` of `total` steps are done. To be called some times a second at most.
    pub(crate) fn report(&self, done: usize, total: usize, message: &str) {
        if let Some(progress) = &self.progress {
            progress.report(done as f64, Some(total as f64), message);
        }
    }
}

/// A tool that reads files or computes for long: it runs on a thread that may block, and looks at `Request::stop`.
struct Work {
    name: &'static str,
    definition: &'static str,
    run: fn(&Context, &str, &Request) -> Result<Vec<u8>, Refusal>,
}

static WORKS: [Work; 7] = [
    Work {
        name: "qe_coverage_analyze",
        definition: coverage::analyze::DEFINITION,
        run: coverage::analyze::run,
    },
    Work { name: "qe_coverage_gaps", definition: coverage::gaps::DEFINITION, run: coverage::gaps::run },
    Work { name: "qe_learn_pattern", definition: learn::pattern::DEFINITION, run: learn::pattern::run },
    Work { name: "qe_learn_status", definition: learn::status::DEFINITION, run: learn::status::run },
    Work { name: "qe_quality_gate", definition: gate::DEFINITION, run: gate::run },
    Work { name: "qe_quality_metrics", definition: metrics::DEFINITION, run: metrics::run },
    Work { name: "qe_test_generate", definition: testgen::DEFINITION, run: testgen::run },
];

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builtin").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Builtin {
    async fn run(&self, tool: Tool, arguments: &str, caller: Caller<'_>) -> Result<Vec<u8>, Refusal> {
        let now = (self.clock)();
        match tool {
            Tool::MemoryStore => self.memory.store(arguments::parse(arguments)?, caller, now).await,
            Tool::MemoryRetrieve => self.memory.retrieve(arguments::parse(arguments)?, caller, now).await,
            Tool::MemorySearch => self.memory.search(arguments::parse(arguments)?, caller, now).await,
            Tool::Fleet(name) => fleet::tools::call(self.fleets.as_ref(), name, arguments, caller, now).await,
            Tool::Work(work) => {
                let (stop, _stop_on_drop) = Stop::at(caller.deadline);
                let progress = caller.progress.cloned();
                let principal = caller.principal.to_owned();
                let request = Request { principal, now, stop, progress };
                let (context, arguments) = (Arc::clone(&self.context), arguments.to_owned());
                let done = tokio::task::spawn_blocking(move || (work.run)(&context, &arguments, &request));
                done.await.unwrap_or_else(|error| Err(Refusal(format!("this is a fault of ours: {error}"))))
            }
        }
    }
}

impl InProcess for Builtin {
    fn definitions(&self) -> &[Bytes] {
        &self.definitions
    }

    fn attach(&self, calls: Arc<dyn Calls>) {
        if let Some(fleets) = &self.fleets {
            fleets.attach(calls);
        }
    }

    fn stop(&self) -> StopFuture<'_> {
        Box::pin(async {
            if let Some(fleets) = &self.fleets {
                fleets.stop().await;
            }
        })
    }

    fn durable(&self) -> Option<&dyn Durable> {
        self.fleets.as_ref().map(|fleets| fleets as &dyn Durable)
    }

    fn takes_long(&self, name: &str) -> bool {
        matches!(name, "qe_test_generate" | "qe_quality_metrics" | "qe_task_orchestrate")
    }

    fn call<'a>(&'a self, name: &'a str, arguments: &'a str, caller: Caller<'a>) -> CallFuture<'a> {
        Box::pin(async move {
            let tool =
                Tool::named(name).ok_or_else(|| InProcessError::UnknownTool { name: name.to_owned() })?;
            let arguments = arguments::object(arguments)?;
            Ok(match self.run(tool, arguments, caller).await {
                Ok(json) => ToolResult { json, is_error: false },
                Err(refusal) => ToolResult { json: refused(&refusal), is_error: true },
            })
        })
    }
}

#[derive(Clone, Copy)]
enum Tool {
    MemoryStore,
    MemoryRetrieve,
    MemorySearch,
    Work(&'static Work),
    Fleet(&'static str),
}

impl Tool {
    fn named(name: &str) -> Option<Self> {
        match name {
            "qe_memory_store" => Some(Self::MemoryStore),
            "qe_memory_retrieve" => Some(Self::MemoryRetrieve),
            "qe_memory_search" => Some(Self::MemorySearch),
            _ => {
                let work = WORKS.iter().find(|work| work.name == name).map(Self::Work);
                work.or_else(|| fleet::tools::named(name).map(Self::Fleet))
            }
        }
    }
}
