//! The configuration: one TOML file of ours, the files in which agents keep their MCP servers, and flags.
//!
//! [`load`] reads them all and gives either a [`Config`], complete and checked, or every fault that it
//! found with file, line and column. What may stand in the file is declared key by key in the modules of
//! the sections; `docs/reference/config.md` is printed from those declarations by
//! [`mod@reference`].
//!
//! # Layout
//! - [`mod@file`] finds and reads files; `tree` gives both formats one shape with positions.
//! - `keys` and `section` declare keys and read them; `env` replaces `${VAR}`.
//! - [`server`], [`registry`], [`mod@pool`], [`balancer`], `transport`, [`cache`], [`monitoring`], [`alerts`], [`alert_sinks`], [`mod@otlp`], [`qe`], [`fleet`], [`store`], [`upstream`], [`replica`], [`endpoint`] are the sections; `mcp_json` the
//!   agents' files.
//! - `merge` puts everything together, `validate` checks what no single key can.

pub mod address;
pub mod alert_sinks;
pub mod alerts;
pub mod balancer;
pub mod cache;
pub mod endpoint;
pub mod env;
pub mod file;
pub mod fleet;
pub mod glob;
mod keys;
mod mcp_json;
mod merge;
pub mod monitoring;
pub mod otlp;
mod paths;
pub mod place;
pub mod pool;
pub mod qe;
pub mod reference;
pub mod registry;
pub mod replica;
pub mod report;
pub mod secret;
mod section;
pub mod server;
pub mod store;
mod suggest;
#[cfg(test)]
mod tests;
mod transport;
mod tree;
pub mod upstream;
mod validate;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use aqe_core::balancer::Strategy;

pub use self::alerts::Alerts;
pub use self::balancer::Balancer;
pub use self::cache::Cache;
pub use self::env::Environment;
pub use self::file::{Source, SourceKind};
pub use self::fleet::Fleet;
pub use self::monitoring::Monitoring;
pub use self::place::{Fault, Note, Place, Severity};
pub use self::pool::Pool;
pub use self::qe::Qe;
pub use self::registry::Registry;
pub use self::replica::Replica;
pub use self::report::Report;
pub use self::server::{Server, Transport};
pub use self::store::Store;
pub use self::transport::Writing;
pub use self::upstream::Upstream;

use self::file::File;
use self::place::Sink;

/// Everything that can be set, checked, with every default filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// What clients meet.
    pub server: Server,
    /// How tools are named and found.
    pub registry: Registry,
    /// The connections to all upstreams.
    pub pool: Pool,
    /// How calls are spread over the replicas of an upstream.
    pub balancer: Balancer,
    /// How messages are written.
    pub writing: Writing,
    /// Answers that are given again.
    pub cache: Cache,
    /// Who sees what the gateway does.
    pub monitoring: Monitoring,
    /// When somebody is told that it goes wrong, and who.
    pub alerts: Alerts,
    /// The built-in quality tools.
    pub qe: Qe,
    /// Agents that run tasks.
    pub fleet: Fleet,
    /// Durable state.
    pub store: Store,
    /// The servers behind the gateway, in the order of the files; also those that are switched off.
    pub upstreams: Vec<Upstream>,
    /// Whether connections are kept, names are indexed and messages batched; off only to compare with.
    pub optimized: bool,
}

/// What to load.
#[derive(Clone, Debug)]
pub struct Request {
    /// The project's folder, absolute: where files are looked for and relative names start.
    pub folder: PathBuf,
    /// `--config`: our file. Naming any file switches the search for others off.
    pub config: Option<PathBuf>,
    /// `--mcp-config`: agents' files.
    pub mcp_config: Vec<PathBuf>,
    /// What the command line says of single keys.
    pub flags: Flags,
    /// The environment that `${VAR}` and the search for files see.
    pub env: Environment,
}

/// Keys that the command line overrides.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--transport`.
    pub transport: Option<Transport>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--no-builtin`: the built-in tools are not served.
    pub no_builtin: bool,
    /// `--worker-threads`.
    pub worker_threads: Option<usize>,
    /// `--pool-size`: the most connections of the pool.
    pub pool_size: Option<u32>,
    /// `--strategy`: how replicas are chosen, but for upstreams that say it themselves.
    pub strategy: Option<Strategy>,
    /// `--optimized`.
    pub optimized: Option<bool>,
}

impl Flags {
    fn apply(&self, server: &mut Server) {
        server.builtin &= !self.no_builtin;
        server.worker_threads = self.worker_threads.or(server.worker_threads);
        server.transport = self.transport.unwrap_or(server.transport);
        server.listen = self.listen.unwrap_or(server.listen);
    }
}

/// A sound configuration and how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The files, in the order in which they were read.
    pub sources: Vec<Source>,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// Why there is no configuration: everything that is wrong, one line each, as
/// `aqe.toml:12:3: unknown key "lisen"; did you mean "listen"?`.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The faults, file by file and line by line; never empty.
    pub faults: Vec<Fault>,
    /// How many more there are than are kept.
    pub unreported: usize,
    /// The files that could be read.
    pub sources: Vec<Source>,
    /// What else the user should know.
    pub notes: Vec<Note>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        if self.unreported > 0 {
            write!(f, "\nand {} more", self.unreported)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Reads the configuration that a request asks for.
pub fn load(request: &Request) -> Result<Loaded, Faults> {
    let sink = Sink::default();
    let files = file::gather(request, &sink);
    merge::merge(&files, request, sink)
}

/// Reads the configuration and says how that went: `mcp config check`.
pub fn check(request: &Request) -> Report {
    match load(request) {
        Ok(loaded) => Report::from(&loaded),
        Err(faults) => Report::from(&faults),
    }
}

/// Reads TOML that is already in memory, as if it were `aqe.toml` in the request's folder.
pub fn load_toml(text: &str, request: &Request) -> Result<Loaded, Faults> {
    let name = "aqe.toml";
    let path = request.folder.join(name);
    let file = File::new(name.into(), path, SourceKind::Toml, "in memory", text.to_owned());
    merge::merge(&[file], request, Sink::default())
}
