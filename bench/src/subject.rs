//! The gateway as a process: its command line, its configuration, where it listens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::Result;
use crate::admin::Admin;
use crate::http::Server;
use crate::place::{Place, on};
use crate::process::{Process, apart};
use crate::serve::Serve;

/// The gateway under test.
#[derive(Debug)]
pub(crate) struct Subject {
    program: PathBuf,
}

/// What is behind the gateway beside its own tools.
#[derive(Debug, Clone)]
pub(crate) enum Upstream {
    /// Nothing.
    None,
    /// A server at this URL.
    Http(String),
    /// A child that lists this many tools.
    Child {
        /// Tools to list.
        tools: usize,
    },
}

/// A folder with a configuration and whatever the gateway keeps, gone with this value.
#[derive(Debug)]
pub(crate) struct Home {
    folder: TempDir,
}

impl Subject {
    /// The program that was named, or else the release build of this workspace, made now.
    pub(crate) fn new(program: Option<PathBuf>) -> Result<Self> {
        if let Some(program) = program {
            return Ok(Self { program: program.canonicalize()? });
        }
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--release", "--quiet", "-p", "aqe-v3"]);
        // Beside this program: where cargo puts both.
        let own = std::env::current_exe()?;
        let folder = own.parent().and_then(Path::parent).ok_or("no target folder above this program")?;
        build.arg("--target-dir").arg(folder);
        if !build.stdout(Stdio::null()).status()?.success() {
            return Err(format!("{build:?} failed").into());
        }
        Ok(Self { program: folder.join("release").join("aqe-v3") })
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// `mcp start` over HTTP on a free port, with one thread.
    pub(crate) fn http(&self, home: &Home) -> Command {
        let mut command = self.http_with_its_threads(home);
        command.args(["--worker-threads", "1"]);
        command
    }

    /// `mcp start` over HTTP on a free port, with as many threads as it takes by itself.
    pub(crate) fn http_with_its_threads(&self, home: &Home) -> Command {
        let mut command = self.command(home);
        command.args(["--transport", "http", "--listen", "127.0.0.1:0", "--json"]);
        command
    }

    /// `mcp start` over standard input and output.
    pub(crate) fn stdio(&self, home: &Home) -> Command {
        let mut command = self.command(home);
        command.args(["--transport", "stdio"]);
        command
    }

    fn command(&self, home: &Home) -> Command {
        let mut command = apart(&self.program, home.folder.path());
        command.args(["mcp", "start", "--config"]).arg(home.config()).args(["--log", "error"]);
        // What it says is shown only if it fails to start; then the first line on standard output is missing.
        command.stderr(Stdio::null());
        command
    }
}

impl Upstream {
    /// Its table in the configuration.
    pub(crate) fn table(&self) -> Result<String> {
        Ok(match self {
            Self::None => String::new(),
            Self::Http(url) => format!("[[upstream]]\nname = \"up\"\nurl = {url:?}\n"),
            Self::Child { tools } => {
                let echo = Serve::EchoStdio { tools: *tools, aside: true };
                format!("[[upstream]]\nname = \"up\"\n{}\n", echo.toml()?)
            }
        })
    }
}

impl Home {
    /// A configuration with this upstream, whose tools are renamed: `up__NAME`.
    pub(crate) fn new(upstream: &Upstream) -> Result<Self> {
        Self::with(&upstream.table()?)
    }

    /// A configuration with these further tables; a tool's name begins with that of its upstream.
    pub(crate) fn with(tables: &str) -> Result<Self> {
        let home = Self { folder: tempfile::tempdir()? };
        home.configure("", tables)?;
        Ok(home)
    }

    /// Writes the configuration anew, for the next start: with further lines of `[store]`, and these tables.
    pub(crate) fn configure(&self, store: &str, tables: &str) -> Result<()> {
        let head = "[registry]\nprefix = \"always\"\n\n[store]\npath = \"aqe.db\"\n";
        Ok(std::fs::write(self.config(), format!("{head}{store}\n{tables}"))?)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("aqe.toml")
    }
}

/// A server that runs: the gateway, or a baseline.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) server: Server,
    /// Its admin API, if it is the gateway.
    admin: Option<Admin>,
    /// The process.
    pub(crate) process: Process,
    /// What it needs on disk.
    _home: Option<Home>,
}

impl Running {
    /// Starts a gateway or a baseline that says where it listens, on the processor that is measured.
    pub(crate) fn start(command: Command, home: Option<Home>) -> Result<Self> {
        Self::start_at(Place::Measured, command, home)
    }

    /// The same elsewhere. Children inherit the place.
    pub(crate) fn start_at(place: Place, command: Command, home: Option<Home>) -> Result<Self> {
        let (process, said) = on(place, || Process::server(command))?;
        let url = said["url"].as_str().ok_or_else(|| format!("no url in {said}"))?;
        let admin = said["socket"].as_str().map(Admin::at);
        Ok(Self { server: Server::at(url)?, admin, process, _home: home })
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.server.address)
    }

    /// Its admin API.
    pub(crate) fn admin(&self) -> Result<&Admin> {
        self.admin.as_ref().ok_or_else(|| "only the gateway has an admin API".into())
    }
}
