//! What is known of the requests and of the process: gathered each second, read by the admin API, the exposition, alerts.

mod flight;
mod history;
mod methods;
mod process;
mod since_start;
mod tracks;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aqe_core::monitor::alerts::Scope;
use aqe_core::monitor::slot::Tally;
use aqe_core::monitor::verdict::{Reason, Thresholds};
use aqe_core::monitor::{Series, Span, Totals};
use aqe_core::pool::PoolStatus;
use aqe_core::registry::ToolEntry;

pub use flight::InFlight;
pub(crate) use flight::{Fate, Flight};
pub use history::Point;
pub use process::{Child, Process};
pub(crate) use since_start::SinceStart;

use crate::proxy::Gateway;
use crate::upstream::ReplicaName;
use flight::Flights;
use history::History;
use methods::Method;
use process::Processes;
use tracks::{Subject, Tracks};

/// Calls in flight that are shown.
const MOST_SHOWN: usize = 200;

/// What came of looking up the name of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum LookedUp {
    /// It is a tool's.
    Exact,
    /// It is near to a tool's, which was called.
    Resolved,
    /// There is none.
    Unknown,
}

/// Look-ups of tools by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Names of tools.
    pub exact: u64,
    /// Names so near to one that it was called.
    pub resolved: u64,
    /// Others.
    pub unknown: u64,
}

impl Lookups {
    /// All.
    pub fn total(&self) -> u64 {
        self.exact + self.resolved + self.unknown
    }

    fn since(self, before: Self) -> Self {
        Self {
            exact: self.exact - before.exact,
            resolved: self.resolved - before.resolved,
            unknown: self.unknown - before.unknown,
        }
    }
}

/// Why something that came in never became a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Turned {
    /// It is no JSON-RPC message.
    Parse,
    /// No token, or a wrong one.
    Unauthorized,
    /// A foreign `Origin` or `Host`.
    Origin,
    /// A header is missing, wrong or does not agree with the body.
    Headers,
    /// There is no such session.
    Session,
    /// It is too long.
    TooLarge,
}

impl Turned {
    /// All, in the order of their positions.
    pub const ALL: [Self; 6] =
        [Self::Parse, Self::Unauthorized, Self::Origin, Self::Headers, Self::Session, Self::TooLarge];

    /// How it is called in figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Unauthorized => "unauthorized",
            Self::Origin => "origin",
            Self::Headers => "headers",
            Self::Session => "session",
            Self::TooLarge => "too_large",
        }
    }
}

/// What is known of the requests and of the process.
#[derive(Debug)]
pub struct Monitor {
    flights: Flights,
    methods: [Arc<Series>; Method::COUNT],
    lookups: Tally<3>,
    turned: Tally<{ Turned::ALL.len() }>,
    tracks: Mutex<Tracks>,
    history: Mutex<History>,
    processes: Mutex<Processes>,
    startup: OnceLock<Duration>,
    /// When health is a warning, and critical.
    pub thresholds: Thresholds,
}

/// The figures of requests in a window.
#[derive(Debug, Clone)]
pub struct Figures {
    /// The window.
    pub span: Span,
    /// The time that it truly covers, until the last full second.
    pub covers: Duration,
    /// Names of tools that were looked up.
    pub lookups: Lookups,
    /// All requests.
    pub all: Totals,
    /// The calls of each tool that was ever called and is still there, by shown name.
    pub tools: Vec<(Arc<ToolEntry>, Totals)>,
    /// Requests of other methods, and calls of tools that do not exist, by method.
    pub methods: Vec<(&'static str, Totals)>,
    /// What was sent to each replica, with what was sent again.
    pub replicas: Vec<(Arc<ReplicaName>, Totals)>,
}

impl Figures {
    /// The tools' figures, those of each group together, by the group's name. `group` says which a tool is of.
    pub fn by(&self, group: impl Fn(&ToolEntry) -> &str) -> Vec<(String, Totals)> {
        let mut groups = std::collections::BTreeMap::<&str, Totals>::new();
        for (tool, totals) in &self.tools {
            groups.entry(group(tool)).or_default().merge(totals);
        }
        groups.into_iter().map(|(name, totals)| (name.to_owned(), totals)).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No change below these locks can be torn.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the requests of a subject are of a scope. What was sent to a replica is another view of the same requests.
fn is_of(scope: &Scope, subject: &Subject) -> bool {
    match (scope, subject) {
        (Scope::Replica { upstream, replica }, Subject::Replica(name)) => {
            name.upstream == *upstream && name.replica == *replica
        }
        (Scope::Replica { .. }, _) | (_, Subject::Replica(_)) => false,
        (Scope::All, _) => true,
        (Scope::Tool(name), Subject::Tool(tool)) => *tool.shown == **name,
        (Scope::Upstream(name), Subject::Tool(tool)) => *tool.upstream.name == **name,
        (Scope::Category(name), Subject::Tool(tool)) => *tool.category == **name,
        (_, Subject::Method(_)) => false,
    }
}

impl Monitor {
    /// Begins to watch. At most `max_named` tools are seen by their names by other programs.
    pub(crate) fn new(now: Instant, max_named: usize) -> Self {
        Self {
            flights: Flights::default(),
            methods: std::array::from_fn(|_| Arc::default()),
            lookups: Tally::default(),
            turned: Tally::default(),
            tracks: Mutex::new(Tracks::new(now, max_named)),
            history: Mutex::default(),
            processes: Mutex::default(),
            startup: OnceLock::new(),
            thresholds: Thresholds::default(),
        }
    }

    fn method(&self, method: Method) -> &Series {
        &self.methods[method.index()]
    }

    pub(crate) fn count_lookup(&self, looked_up: LookedUp) {
        self.lookups.count(looked_up as usize);
    }

    /// Something was turned away before it became a request.
    pub(crate) fn turned(&self, why: Turned) {
        self.turned.count(why as usize);
    }

    /// The server is ready, so long after the process began.
    pub fn started(&self, after: Duration) {
        // The first is the one that counts.
        let _ = self.startup.set(after);
    }

    /// How long the process took until clients could connect.
    pub fn startup(&self) -> Option<Duration> {
        self.startup.get().copied()
    }

    /// A second is over; the pool stands so.
    pub(crate) fn tick(&self, gateway: &Gateway, pool: &PoolStatus) {
        let now = Instant::now();
        let catalog = gateway.catalog();
        let tools = catalog.tools.tools().iter();
        let tools = tools
            .filter(|tool| tool.usage.calls() > 0)
            .map(|tool| (Arc::clone(&tool.usage.series), Subject::Tool(Arc::clone(tool))));
        let methods = Method::all()
            .map(|method| (Arc::clone(&self.methods[method.index()]), Subject::Method(method.as_str())));
        let replicas = catalog.upstreams.iter().flat_map(|upstream| upstream.recorded());
        let replicas = replicas.map(|(name, series)| (series, Subject::Replica(name)));
        let mut tracks = lock(&self.tracks);
        tracks.tick(now, self.lookups(), tools.chain(methods).chain(replicas));
        let requests = tracks.last_second();
        drop(tracks);
        let mut processes = lock(&self.processes);
        processes.sample(now, gateway);
        let memory = processes.own().map(|own| own.rss_bytes);
        drop(processes);
        lock(&self.history).push(gateway, self, pool, &requests, memory);
    }

    /// The figures of requests in a window, until the last full second; of those since the start, until now.
    pub fn figures(&self, span: Span) -> Figures {
        let tracks = lock(&self.tracks);
        let (covers, read) = (tracks.covered(span), tracks.read(span));
        let lookups = if span == Span::Start { self.lookups() } else { tracks.lookups(span) };
        let mut all = if span == Span::Start { tracks.gone().clone() } else { Totals::EMPTY };
        drop(tracks);
        let (mut tools, mut methods, mut replicas) = (Vec::new(), Vec::new(), Vec::new());
        for (subject, totals) in read {
            match subject {
                Subject::Tool(tool) => {
                    all.merge(&totals);
                    tools.push((tool, totals));
                }
                Subject::Method(name) => {
                    all.merge(&totals);
                    methods.push((name, totals));
                }
                Subject::Replica(name) => replicas.push((name, totals)),
            }
        }
        tools.sort_by(|(one, _), (other, _)| one.shown.cmp(&other.shown));
        methods.sort_by_key(|(name, _)| *name);
        replicas.sort_by(|(one, _), (other, _)| {
            (&one.upstream, &one.replica).cmp(&(&other.upstream, &other.replica))
        });
        Figures { span, covers, lookups, all, tools, methods, replicas }
    }

    /// Everything since the start, as other programs get it: what is counted here never shrinks.
    pub(crate) fn since_start(&self) -> SinceStart {
        // Held for a list of pointers only: there may be much to read.
        let counted = lock(&self.tracks).counted();
        SinceStart::read(counted)
    }

    /// The time that a window truly covers, until the last full second.
    pub(crate) fn covered(&self, span: Span) -> Duration {
        lock(&self.tracks).covered(span)
    }

    /// The requests of a scope in a window, until the last full second.
    pub(crate) fn requests_of(&self, scope: &Scope, span: Span) -> Totals {
        lock(&self.tracks).sum(span, |subject| is_of(scope, subject))
    }

    /// The requests of a scope since the start, and those that failed.
    pub(crate) fn counts_of(&self, scope: &Scope) -> (u64, u64) {
        let tracks = lock(&self.tracks);
        let (requests, errors) = tracks.counts(|subject| is_of(scope, subject));
        let gone = (*scope == Scope::All).then(|| (tracks.gone().requests(), tracks.gone().errors()));
        let (gone, failed) = gone.unwrap_or_default();
        (requests + gone, errors + failed)
    }

    /// The last five minutes, a point a second, the oldest first.
    pub fn history(&self) -> Vec<Point> {
        self.newest_points(usize::MAX)
    }

    /// At most `most` of the newest of them.
    pub fn newest_points(&self, most: usize) -> Vec<Point> {
        lock(&self.history).newest(most)
    }

    /// Whether all is well, by the last minute; no reasons: yes.
    pub fn reasons(&self) -> Vec<Reason> {
        lock(&self.history).vitals().reasons(&self.thresholds)
    }

    /// Look-ups since the start.
    pub fn lookups(&self) -> Lookups {
        let [exact, resolved, unknown] = self.lookups.read();
        Lookups { exact, resolved, unknown }
    }

    /// What never became a request, since the start.
    pub fn all_turned(&self) -> [(Turned, u64); Turned::ALL.len()] {
        let counts = self.turned.read();
        Turned::ALL.map(|why| (why, counts[why as usize]))
    }

    /// Requests that are being answered.
    pub fn in_flight(&self) -> usize {
        self.flights.count()
    }

    /// The oldest requests that are being answered.
    pub fn calls(&self) -> Vec<InFlight> {
        self.flights.list(MOST_SHOWN)
    }

    /// Cancels a request that is being answered, by its [name](InFlight::call); `false` if there is none.
    pub fn cancel(&self, call: &str) -> bool {
        self.flights.cancel(call)
    }

    /// This process; `None` where the system does not tell.
    pub fn process(&self) -> Option<Process> {
        lock(&self.processes).own()
    }

    /// The child processes, as they were at the last sample.
    pub fn children(&self) -> Vec<Child> {
        lock(&self.processes).children()
    }

    /// CPU time since the start of all children that each replica has had.
    pub fn child_cpu(&self) -> Vec<(Arc<ReplicaName>, Duration)> {
        lock(&self.processes).child_cpu()
    }
}
