//! The process under test.

use std::{
    fmt::Write,
    path::Path,
    process::{Command, ExitStatus},
    sync::Arc,
};

use aqe_testkit::{
    client::{HttpClient, HttpSession, Revision, StdioClient},
    process::binary,
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Client, Over, Upstream};

/// What to start a gateway with.
#[derive(Debug)]
pub(crate) struct Plan {
    over: Over,
    server: String,
    registry: String,
    sections: String,
    builtin: bool,
    upstreams: Vec<Upstream>,
    home: Option<Arc<TempDir>>,
    args: Vec<&'static str>,
}

impl Plan {
    /// A gateway for clients over this transport, without built-in tools and upstreams.
    pub(crate) fn new(over: Over) -> Self {
        Self {
            over,
            server: String::new(),
            registry: String::new(),
            sections: String::new(),
            builtin: false,
            upstreams: Vec::new(),
            home: None,
            args: Vec::new(),
        }
    }

    /// Adds a line to `[server]`.
    #[must_use]
    pub(crate) fn server(mut self, line: &str) -> Self {
        // Writing to a string cannot fail.
        let _ = writeln!(self.server, "{line}");
        self
    }

    /// Adds a line to `[registry]`.
    #[must_use]
    pub(crate) fn registry(mut self, line: &str) -> Self {
        // Writing to a string cannot fail.
        let _ = writeln!(self.registry, "{line}");
        self
    }

    /// Adds an argument of `mcp start`.
    #[must_use]
    pub(crate) fn arg(mut self, arg: &'static str) -> Self {
        self.args.push(arg);
        self
    }

    /// Adds whole sections to the configuration.
    #[allow(dead_code, reason = "used by tests/faults")]
    #[must_use]
    pub(crate) fn sections(mut self, toml: &str) -> Self {
        self.sections.push_str(toml);
        self
    }

    /// Serves the built-in tools.
    #[must_use]
    pub(crate) fn builtin(mut self) -> Self {
        self.builtin = true;
        self
    }

    /// Adds an upstream.
    #[must_use]
    pub(crate) fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstreams.push(upstream);
        self
    }

    /// Uses the folders of an earlier gateway, and so its store.
    #[must_use]
    pub(crate) fn at_home(mut self, home: &Arc<TempDir>) -> Self {
        self.home = Some(Arc::clone(home));
        self
    }

    fn write_config(&self, home: &Path) -> std::path::PathBuf {
        let mut config = format!("[server]\n{}[registry]\n{}{}", self.server, self.registry, self.sections);
        for upstream in &self.upstreams {
            config.push_str(&upstream.table);
        }
        let path = home.join("aqe.toml");
        std::fs::write(&path, config).expect("expected to write the configuration");
        path
    }
}

/// A running `aqe-v3 mcp start`, killed with its whole process group when dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Option<StdioClient>,
    pid: u32,
    /// Where MCP is served over HTTP.
    pub(crate) url: String,
    /// In the order of the plan.
    pub(crate) upstreams: Vec<Upstream>,
    /// The folders that it keeps its things in.
    pub(crate) home: Arc<TempDir>,
}

impl Gateway {
    /// Starts one; over HTTP it listens when this returns.
    pub(crate) async fn start(plan: Plan) -> Self {
        let home = plan.home.clone();
        let home =
            home.unwrap_or_else(|| Arc::new(tempfile::tempdir().expect("expected a temporary folder")));
        let config = plan.write_config(home.path());
        let mut command = program(home.path());
        command.args(["mcp", "start", "--config"]).arg(config);
        match plan.over {
            Over::Stdio => command.args(["--transport", "stdio"]),
            Over::Http => command.args(["--transport", "http", "--listen", "127.0.0.1:0", "--json"]),
        };
        command.args(&plan.args);
        if !plan.builtin {
            command.arg("--no-builtin");
        }
        let mut process = StdioClient::start(command.into());
        let mut url = String::new();
        if plan.over == Over::Http {
            let line = process.line().await;
            let told: Value = serde_json::from_str(&line).expect("expected one line of JSON");
            told["url"].as_str().expect("expected a url").clone_into(&mut url);
        }
        Self { pid: process.pid(), process: Some(process), url, upstreams: plan.upstreams, home }
    }

    /// A client that has done the handshake of the revision, if it has one. Over stdio there can be one only.
    pub(crate) async fn connect(&mut self, revision: Revision, capabilities: &str) -> Client {
        if self.url.is_empty() {
            let mut process = self.process.take().expect("expected standard input to be free");
            process.open_with(revision, capabilities).await;
            return Client::stdio(process, revision, capabilities);
        }
        let session = HttpSession::open_with(self.http(), revision, capabilities).await;
        Client::http(session, capabilities)
    }

    /// A bare HTTP client.
    pub(crate) fn http(&self) -> HttpClient {
        HttpClient::new(&self.url)
    }

    /// Changes the configuration file at once; the gateway is not told.
    pub(crate) fn edit_config(&self, edit: impl FnOnce(&str) -> String) {
        let path = self.home.path().join("aqe.toml");
        let text = std::fs::read_to_string(&path).expect("expected a configuration");
        let next = path.with_extension("next");
        std::fs::write(&next, edit(&text)).expect("expected to write the configuration");
        std::fs::rename(next, path).expect("expected to put the configuration in its place");
    }

    /// Runs a command of ours against this gateway, for JSON.
    pub(crate) async fn ask(&self, command: &str) -> Result<Value, String> {
        let mut program = tokio::process::Command::from(program(self.home.path()));
        let ran = program.args(command.split(' ')).arg("--json").output().await.expect("expected to run it");
        if !ran.status.success() {
            return Err(String::from_utf8_lossy(&ran.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&ran.stdout).expect("expected JSON"))
    }

    /// A command of ours, at home where this gateway is.
    pub(crate) fn program(&self, command: &str) -> Command {
        let mut program = program(self.home.path());
        program.args(command.split(' '));
        program
    }

    /// Runs a command of ours against this gateway, whatever comes of it.
    pub(crate) async fn run(&self, command: &str) -> Ran {
        let ran = tokio::process::Command::from(self.program(command)).output().await;
        let ran = ran.expect("expected to run it");
        let text = |bytes| String::from_utf8(bytes).expect("expected text");
        Ran { code: ran.status.code(), out: text(ran.stdout), err: text(ran.stderr) }
    }

    /// The admin API, at `/admin/…`, on the control socket.
    #[allow(dead_code, reason = "used by tests/faults")]
    pub(crate) fn admin(&self) -> HttpClient {
        let socket = self.home.path().join(format!("run/aqe-v3/{}.sock", self.pid));
        HttpClient::unix(&socket, "/")
    }

    /// MCP over the control socket: another principal than that of a bearer token.
    pub(crate) fn local(&self) -> HttpClient {
        let socket = self.home.path().join(format!("run/aqe-v3/{}.sock", self.pid));
        HttpClient::unix(&socket, "/mcp")
    }

    /// The process over HTTP, or before a client has taken its standard input.
    pub(crate) fn process(&mut self) -> &mut StdioClient {
        self.process.as_mut().expect("expected a gateway whose standard input nobody has taken")
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks it to stop and waits for that.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        let process = self.process();
        process.signal(Signal::TERM);
        process.wait().await
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Our program, with folders of its own.
fn program(home: &Path) -> Command {
    let mut command = Command::new(binary("aqe-v3"));
    command.current_dir(home).env("HOME", home).env_remove("RUST_LOG");
    for (variable, folder) in [
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_RUNTIME_DIR", "run"),
    ] {
        let folder = home.join(folder);
        std::fs::create_dir_all(&folder).expect("expected to make a folder");
        command.env(variable, folder);
    }
    command
}
