//! What makes tasks run: one thread that gives tasks of the store to agents, for as long as there is a fleet with something to
//! do or with agents to keep.
//!
//! It acts on what happens (a task was submitted, an agent said something), when a time comes that the store or an agent
//! waits for, and looks each few seconds whether another server has left something.
//!
//! # Layout
//! - `handle`: how others reach the thread. `agents`: starting and ending agents. `claims`: tasks to agents.
//! - `words`: what agents say, and ends of attempts. `upkeep`: heartbeats, lost attempts, idle agents. `shown`: figures.
//! - `lessons`: what is learnt from ends of attempts.

mod agents;
mod claims;
mod handle;
mod lessons;
mod shown;
mod upkeep;
mod words;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use aqe_core::inprocess::{Calls, InProcess};
use aqe_store::work::{Claimed, Fleet, TaskId};
use aqe_store::{Store, UnixMillis};
use tokio::sync::oneshot;

use super::agent::Process;
use super::outcome::Outcome;
use super::plan::{Plan, Restarts};
use super::profile::Profile;
use super::runner::GRACE;
use super::wire::{Job, Order, Word};
pub(crate) use handle::Fleets;
pub(crate) use shown::{AgentShown, Figures};
pub(crate) use upkeep::KEPT_MS;

/// The shortest and the longest time between two looks at what other servers may have left.
const POLL: Duration = Duration::from_secs(2);
const LONGEST_POLL: Duration = Duration::from_secs(30);

/// Events that are handled before what follows from them is done.
const BURST: usize = 256;

/// What all parts share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    pub(crate) profiles: BTreeMap<String, Profile>,
    /// What is started as an agent.
    pub(crate) executable: PathBuf,
    /// The first of the tools' folders: where tasks run, and whose fleets this server works for.
    pub(crate) folder: Option<PathBuf>,
    /// This process, for others to find out whether it lives.
    pub(crate) server: String,
    /// A variable that everything that is started carries, so that it ends with this process.
    pub(crate) mark: Option<(&'static str, &'static str)>,
    /// The built-in tools, for profiles that call one.
    pub(crate) tools: OnceLock<Weak<dyn InProcess>>,
    /// The tools of upstreams, once there is a way to them.
    pub(crate) calls: OnceLock<Arc<dyn Calls>>,
    pub(crate) runtime: Option<tokio::runtime::Handle>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What the engine is told.
pub(crate) enum Event {
    /// A fleet is made use of.
    Fleet(Box<Fleet>),
    /// A fleet, by id, was removed.
    Removed(String),
    /// There may be tasks.
    Wake,
    /// These running tasks are to end.
    Cancel(Vec<TaskId>),
    /// Agents are wanted.
    Spawn(Spawn),
    /// Somebody wants to see how a fleet fares.
    Show { fleet: String, reply: oneshot::Sender<Figures> },
    /// An agent said something.
    Said { agent: u64, word: Word },
    /// The process of an agent has closed its output: it is dead, or will be.
    Gone { agent: u64 },
    /// A task of an agent without a process is over.
    Over { agent: u64, outcome: Outcome },
    /// The server stops.
    Stop { reply: oneshot::Sender<()> },
}

/// A wish for agents.
pub(crate) struct Spawn {
    pub(crate) fleet: String,
    pub(crate) profile: String,
    pub(crate) count: u32,
    pub(crate) ttl: Option<Duration>,
    pub(crate) reply: oneshot::Sender<Vec<Result<AgentShown, String>>>,
}

/// A fleet that this server works for.
struct Known {
    fleet: Fleet,
    plan: Plan,
    restarts: HashMap<String, Restarts>,
    /// When the last tasks were over, the newest last.
    over: VecDeque<Instant>,
}

/// What an agent works on.
struct Current {
    claimed: Claimed,
    job: Option<Job>,
    /// The tool that is called, of an upstream.
    tool: Option<String>,
    began: Instant,
    beat_at: Instant,
    progress: Option<String>,
    is_cancelled: bool,
    /// It was given to another: nobody wants to know how it ends.
    is_lost: bool,
}

struct Agent {
    fleet: String,
    profile: String,
    /// `None`: it works in this process.
    process: Option<Process>,
    /// Of an agent in this process: to end its task.
    stop: Option<oneshot::Sender<()>>,
    is_ready: bool,
    current: Option<Current>,
    started: Instant,
    startup: Option<Duration>,
    idle_since: Instant,
    last_word: Instant,
    ttl: Option<Duration>,
    done: u64,
    failed: u64,
    /// How long its last tasks took.
    took: VecDeque<Duration>,
}

struct Engine {
    shared: Arc<Shared>,
    handle: handle::Door,
    events: Receiver<Event>,
    tell: SyncSender<Event>,
    fleets: Vec<Known>,
    agents: BTreeMap<u64, Agent>,
    next_agent: u64,
    /// Whether tasks may be ready that nobody has.
    is_dirty: bool,
    poll_at: Instant,
    poll: Duration,
    /// When to look again for tasks that had to wait for what their profiles call.
    again_at: Option<Instant>,
    /// When the store has something to do next.
    store_at: Option<Instant>,
    prune_at: Instant,
    is_stopping: bool,
}

impl Engine {
    fn run(mut self) {
        self.adopt();
        loop {
            let wait = self.next().saturating_duration_since(Instant::now());
            match self.events.recv_timeout(wait) {
                Ok(event) => {
                    let mut next = Some(event);
                    for _ in 0..BURST {
                        let Some(event) = next.take().or_else(|| self.events.try_recv().ok()) else { break };
                        if let Event::Stop { reply } = event {
                            self.stop();
                            // Who asked may not wait any more.
                            let _ = reply.send(());
                            return;
                        }
                        self.handle(event);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.upkeep();
            if self.agents.is_empty() && !self.keeps_agents() && !self.has_open_tasks() {
                match self.handle.leave(&self.events) {
                    None => return,
                    Some(event) => self.handle(event),
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Fleet(fleet) => {
                self.know(*fleet);
                // Before somebody asks who is there.
                self.prewarm();
                self.is_dirty = true;
            }
            Event::Removed(fleet) => self.forget(|known| *known == fleet),
            Event::Wake => self.is_dirty = true,
            Event::Cancel(tasks) => self.cancel(&tasks),
            Event::Spawn(spawn) => self.spawn(spawn),
            Event::Show { fleet, reply } => {
                let _ = reply.send(self.figures(&fleet));
            }
            Event::Said { agent, word } => self.said(agent, word),
            Event::Gone { agent } => self.gone(agent, "its agent died"),
            Event::Over { agent, outcome } => self.over(agent, outcome),
            // Only `run` can end.
            Event::Stop { .. } => {}
        }
    }

    /// When there is something to do, if nothing happens before.
    fn next(&self) -> Instant {
        let beats =
            self.agents.values().filter_map(|agent| agent.current.as_ref().map(|current| current.beat_at));
        let restarts =
            self.fleets.iter().flat_map(|known| known.restarts.values().filter_map(|it| it.not_before));
        let now = Instant::now();
        let restarts = restarts.filter(|at| *at > now);
        let ends = self.agents.values().filter_map(upkeep::end_at);
        beats
            .chain(restarts)
            .chain(ends)
            .chain(self.store_at)
            .chain(self.again_at)
            .chain([self.poll_at])
            .min()
            .unwrap_or(self.poll_at)
    }

    /// Ends what runs within the grace, gives the attempts back, ends the agents.
    fn stop(&mut self) {
        self.is_stopping = true;
        for agent in self.agents.values_mut().filter(|agent| agent.current.is_some()) {
            ask_to_end(agent);
        }
        let until = Instant::now() + GRACE + Duration::from_millis(500);
        while self.agents.values().any(|agent| agent.current.is_some()) {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event @ (Event::Said { .. } | Event::Gone { .. } | Event::Over { .. })) => {
                    self.handle(event);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let left: Vec<u64> = self.agents.keys().copied().collect();
        for agent in left {
            self.gone(agent, "its server stopped");
        }
    }

    fn now(&self) -> UnixMillis {
        (self.shared.clock)()
    }
}

/// Asks an agent to end its task.
fn ask_to_end(agent: &mut Agent) {
    if let Some(process) = &agent.process {
        // If it cannot be told, it is dead, and that will be heard.
        let _ = process.order(&Order::Cancel);
    }
    if let Some(stop) = agent.stop.take() {
        let _ = stop.send(());
    }
}

fn warn(what: &str, error: &str) {
    tracing::warn!(error, "fleet: {what}");
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the store on a thread that has nothing else to do.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
