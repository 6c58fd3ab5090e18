//! The server: its parts put together, run, and stopped in order.
//!
//! # Stopping
//! Whoever called before the stop gets an answer, if it comes within the limit: first nothing new is accepted and
//! the calls in flight end, then the upstreams are stopped, then the store writes what is waiting. A second signal
//! skips the rest; the children die with us all the same (`upstream::child`, `upstream::guardian`).

mod alerts;
pub mod logging;
mod reload;
pub mod runtime_dir;
mod settings;
mod signals;
mod state;
mod telemetry;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aqe_core::cache::Disk;
use aqe_core::inprocess::InProcess;
use aqe_gateway::admin::{self, About};
use aqe_gateway::proxy::{Gateway, ManifestStore};
use aqe_gateway::settings::Control;
use aqe_gateway::tasks;
use aqe_gateway::telemetry::Via;
use aqe_gateway::transport::http::{Edge, Paths};
use aqe_gateway::transport::unix::Socket;
use aqe_gateway::transport::{lines, stdio};
use aqe_gateway::upstream::guardian;
use aqe_store::{Derived, SqliteOptions, SqliteStore, Store, StoreError, StoreFile};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::{Config, Environment, Loaded, Request, Transport};
use reload::Reloads;
use signals::{Asked, Signals};
use state::Manifests;

pub use settings::{BUILTIN, SettingsError};
pub(crate) use state::now;
pub use telemetry::TelemetryError;

/// Most worker threads by default: a call is a few microseconds of work, and each further thread costs more in
/// wake-ups than it gives.
const MAX_DEFAULT_WORKERS: usize = 4;
/// How long other clients' calls may go on once the agent that started us has gone.
const ORPHAN_DRAIN: Duration = Duration::from_secs(2);
/// How often, while draining, sessions are looked at that have become idle.
const DRAIN_STEP: Duration = Duration::from_millis(20);
/// Requests of the admin API that wait to be looked at.
const MAX_ASKED: usize = 8;
/// How long the last spans and log lines may take to get out.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long background work may take to notice that the runtime ends.
const RUNTIME_STOP: Duration = Duration::from_millis(200);

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// The configuration, and the files that it came from.
    pub loaded: Loaded,
    /// How it was loaded, so that it can be loaded again.
    pub request: Request,
    /// When the process began, to within what comes before its command line is read.
    pub began: Instant,
}

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// In order.
    InOrder,
    /// By a second signal, before it was done.
    AtOnce,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nobody can listen there now.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody can listen for the dashboard there now.
    #[error("[monitoring] cannot listen on {address}: {source}")]
    Monitoring {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The Unix socket of the configuration.
    #[error("cannot listen on {}: {source}", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The store that the user chose.
    #[error("[store] path: {0}")]
    Store(#[from] StoreError),
    /// The collector or the access log of the configuration.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A setting that no check has found.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Gateway(#[from] aqe_gateway::proxy::StartError),
    /// Threads, signals.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] io::Error),
}

/// Whether standard input and output, and HTTP, are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves {
    /// Standard input and output.
    pub stdio: bool,
    /// Streamable HTTP.
    pub http: bool,
}

impl Serves {
    /// What the configured transport means for this process.
    pub fn of(transport: Transport) -> Self {
        let piped = || stdio::is_piped();
        match transport {
            Transport::Auto => Self { stdio: piped(), http: !piped() },
            Transport::Stdio => Self { stdio: true, http: false },
            Transport::Http => Self { stdio: false, http: true },
            Transport::Both => Self { stdio: true, http: true },
        }
    }
}

/// Runs the server until a signal, or a request to drain, or until standard input ends where that is served.
/// `announce` is told what the process serves and how its upstreams are ([`admin::status`]) as soon as clients can
/// connect.
pub fn run(plan: &Plan, announce: impl FnOnce(&About, &Value)) -> Result<Ended, StartError> {
    let config = &plan.loaded.config;
    let store = state::open(&config.store)?;
    let disk = state::disk(config);
    let serves = Serves::of(config.server.transport);
    let runtime = runtime(config, serves)?;
    let ended = runtime.block_on(Box::pin(serve(plan, serves, store.clone(), disk.clone(), announce)));
    runtime.shutdown_timeout(RUNTIME_STOP);
    // The last to hold them, so that what they still write holds up no task.
    drop((store, disk));
    if ended.as_ref().is_ok_and(|ended| *ended == Ended::InOrder) {
        guardian::dismiss();
    }
    ended
}

fn runtime(config: &Config, serves: Serves) -> io::Result<Runtime> {
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = config.server.worker_threads.unwrap_or_else(|| match serves {
        Serves { http: false, .. } => 1,
        Serves { http: true, .. } => processors().min(MAX_DEFAULT_WORKERS),
    });
    let mut builder = match workers {
        // One thread less to wake.
        1 => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(workers).thread_name("aqe-v3-worker").enable_all().build()
}

/// What clients connect to, open but not served yet.
struct Listeners {
    tcp: Option<TcpListener>,
    /// Of the dashboard, where it has one of its own.
    monitoring: Option<TcpListener>,
    /// Whether the dashboard is where MCP is.
    is_shared: bool,
    sockets: Vec<Socket>,
}

impl Listeners {
    async fn open(plan: &Plan, serves: Serves) -> Result<Self, StartError> {
        let Config { server, monitoring, .. } = &plan.loaded.config;
        let tcp = if serves.http {
            let address = server.listen;
            let bound = TcpListener::bind(address).await;
            Some(bound.map_err(|source| StartError::Listen { address, source })?)
        } else {
            None
        };
        let own = match monitoring.listen.filter(|_| monitoring.dashboard) {
            Some(address) => match TcpListener::bind(address).await {
                Ok(listener) => Some(listener),
                // Each agent starts a server of its own from the same file; only one can have the port.
                Err(error) if serves.stdio => {
                    tracing::warn!(%address, %error, "cannot listen for the dashboard: going on without it");
                    None
                }
                Err(source) => return Err(StartError::Monitoring { address, source }),
            },
            None => None,
        };
        let is_shared =
            monitoring.dashboard && monitoring.listen.is_none() && server.listen.ip().is_loopback();
        let mut sockets = Vec::new();
        if let Some(path) = &server.unix_socket {
            let bound = Socket::bind(path);
            sockets.push(bound.map_err(|source| StartError::Socket { path: path.clone(), source })?);
        }
        sockets.extend(control_socket(&plan.request.env));
        Ok(Self { tcp, monitoring: own, is_shared, sockets })
    }

    fn about(&self, plan: &Plan, serves: Serves) -> About {
        About {
            folder: plan.request.folder.clone(),
            config: plan.loaded.sources.iter().map(|source| source.path.clone()).collect(),
            url: self.tcp.as_ref().and_then(|tcp| url(tcp, "mcp")),
            dashboard: match &self.monitoring {
                Some(own) => url(own, ""),
                None => self.tcp.as_ref().filter(|_| self.is_shared).and_then(|tcp| url(tcp, "")),
            },
            sockets: self.sockets.iter().map(|socket| socket.path().to_owned()).collect(),
            stdio: serves.stdio,
            started_at: Some(SystemTime::now()),
        }
    }

    fn serve(self, edge: &Arc<Edge>) {
        if let Some(tcp) = self.tcp {
            let paths = Paths { mcp: true, monitoring: self.is_shared };
            tasks::spawn("http listener", Arc::clone(edge).serve_tcp(tcp, paths));
        }
        if let Some(own) = self.monitoring {
            let paths = Paths { mcp: false, monitoring: true };
            tasks::spawn("dashboard listener", Arc::clone(edge).serve_tcp(own, paths));
        }
        for socket in self.sockets {
            tasks::spawn("unix listener", socket.serve(Arc::clone(edge)));
        }
    }
}

/// The socket by which the command line finds this process; the server works without it.
fn control_socket(env: &Environment) -> Option<Socket> {
    let warn = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, "no control socket: the command line cannot reach this server");
    };
    let path = runtime_dir::own_socket(env).map_err(|error| warn(&error)).ok()?;
    Socket::bind(&path).map_err(|error| warn(&error)).ok()
}

/// The URL of a path at a listener, as a client on this machine writes it.
fn url(listener: &TcpListener, path: &str) -> Option<String> {
    let mut address = listener.local_addr().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(format!("http://{address}/{path}"))
}

/// How the store is opened, for whatever part of us opens it.
fn store_options(store: &crate::config::Store) -> SqliteOptions {
    SqliteOptions {
        max_file_bytes: store.max_file_bytes,
        embedder: Some(aqe_qe::embedder()),
        quotas: store.quotas,
        memory: store.durability,
    }
}

/// The configured store, for whoever asks no server.
pub(crate) fn store(store: &crate::config::Store) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(&store.path, &store_options(store))
}

/// The file of the configured store, for upkeep.
pub(crate) fn store_file(store: &crate::config::Store) -> StoreFile {
    StoreFile::new(&store.path, store_options(store))
}

/// The built-in tools over the store, for whoever asks no server.
pub(crate) fn tools(store: Arc<dyn Store>, settings: &aqe_qe::Settings) -> Arc<dyn InProcess> {
    aqe_qe::builtin(store, settings, now)
}

/// What the built-in tools may read, and where they keep what they have computed; what they start is kept by the same guardian
/// as the upstreams' children.
pub(crate) fn tools_settings(roots: Vec<PathBuf>, config: &Config) -> aqe_qe::Settings {
    let mark = (aqe_gateway::upstream::RUN_TAG, aqe_gateway::upstream::run_id());
    let keeper = aqe_qe::Keeper { mark, began: guardian::watch, ended: guardian::unwatch };
    let derived = config.qe.derived.as_ref();
    let derived = derived.map(|(folder, max_bytes)| Arc::new(Derived::new(folder, *max_bytes)));
    aqe_qe::Settings { roots, keeper: Some(keeper), derived, fleet: None, secrets: config.store.secrets }
}

/// Fleets, whose agents are this program once more: the running file itself on Linux, even if an upgrade has replaced it.
fn fleet(config: &Config) -> io::Result<aqe_qe::fleet::Settings> {
    let executable =
        if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
    Ok(aqe_qe::fleet::Settings { profiles: config.fleet.profiles.clone(), executable })
}

async fn serve(
    plan: &Plan,
    serves: Serves,
    store: Option<Arc<dyn Store>>,
    disk: Option<Arc<dyn Disk>>,
    announce: impl FnOnce(&About, &Value),
) -> Result<Ended, StartError> {
    let config = &plan.loaded.config;
    let mut signals = Signals::listen()?;
    let listeners = Listeners::open(plan, serves).await?;
    let about = listeners.about(plan, serves);
    let manifests = Arc::new(Manifests::new(store.clone()));
    let (control, mut asked) = mpsc::channel(MAX_ASKED);
    let (alerts_kept, alerts) = alerts::Alerts::open(store.clone(), &plan.request.folder).await;
    let mut tools = tools_settings(config.qe.roots.clone(), config);
    tools.fleet = Some(fleet(config)?);
    let builtin =
        store.filter(|_| config.server.builtin).map(|store| aqe_qe::builtin(store, &tools, state::now));
    let fleets = builtin.clone();
    let telemetry = telemetry::start(&config.monitoring)?;
    let settings =
        settings::gateway(config, about.clone(), control, disk, alerts_kept, Arc::clone(&telemetry));
    let reloadable = settings::reloadable(config, builtin.clone(), &plan.request.env)?;
    let known = manifests.known(&reloadable.upstreams).await;
    let keep: Arc<dyn ManifestStore> = manifests.clone();
    let gateway = Gateway::start(settings, reloadable, keep, known)?;
    if let Some(tools) = &fleets {
        tools.attach(admin::calls(&gateway));
    }
    telemetry.export_metrics(&gateway);
    let reloads = Reloads::new(plan, builtin, &manifests, &gateway);
    let edge = Edge::new(
        Arc::clone(&gateway),
        settings::limits(&config.server),
        settings::policy(config),
        config.writing.compression,
    );
    listeners.serve(&edge);
    let mut talk = serves.stdio.then(|| {
        let (reader, writer) = stdio::open();
        let talk =
            lines::serve(Arc::clone(&gateway), reader, writer, "local".into(), Via::Pipe, edge.stopped());
        tasks::spawn("stdio", talk)
    });
    if let Some(monitor) = &gateway.monitor {
        monitor.started(plan.began.elapsed());
    }
    announce(&about, &admin::status(&gateway));
    let limit = loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Asked::Stop(signal) => {
                    tracing::info!(signal, "stopping");
                    break config.server.drain_timeout;
                }
                Asked::Reload => reloads.begin(None),
            },
            Some(control) = asked.recv() => match control {
                Control::Drain => {
                    tracing::info!("asked to drain; stopping");
                    break config.server.drain_timeout;
                }
                Control::Reload(done) => reloads.begin(Some(done)),
            },
            () = agent_left(&mut talk) => break config.server.drain_timeout.min(ORPHAN_DRAIN),
        }
    };
    let stopped = async {
        stop(&gateway, &edge, talk, limit).await;
        if let Some(tools) = &fleets {
            tools.stop().await;
        }
        manifests.saved().await;
        if let Some(alerts) = &alerts {
            alerts.saved().await;
        }
        telemetry.close(LAST_WORDS).await;
    };
    tokio::select! {
        () = Box::pin(stopped) => Ok(Ended::InOrder),
        signal = signals.stop() => {
            tracing::warn!(signal, "stopping at once");
            Ok(Ended::AtOnce)
        }
    }
}

/// Resolves when the conversation over standard input is over; never if there is none.
async fn agent_left(talk: &mut Option<JoinHandle<()>>) {
    match talk {
        Some(running) => {
            // A panic in it has been logged, and is an end too.
            let _ = running.await;
            *talk = None;
        }
        None => std::future::pending().await,
    }
}

async fn stop(gateway: &Arc<Gateway>, edge: &Edge, talk: Option<JoinHandle<()>>, limit: Duration) {
    edge.stop();
    let quiet = async {
        let conversations = async {
            if let Some(talk) = talk {
                let _ = talk.await;
            }
            edge.drained().await;
        };
        let mut conversations = std::pin::pin!(conversations);
        loop {
            gateway.close_idle();
            tokio::select! {
                () = &mut conversations => return,
                () = tokio::time::sleep(DRAIN_STEP) => {}
            }
        }
    };
    if tokio::time::timeout(limit, quiet).await.is_err() {
        tracing::warn!(
            limit_ms = limit.as_millis(),
            "calls were still running when the time to drain was over"
        );
    }
    gateway.stop().await;
}
