//! A gateway process with folders of its own.

use std::process::Command;

use aqe_testkit::{
    client::{HttpClient, HttpSession, Revision, StdioClient},
    process::binary,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Bytes that the gateways of most tables take; the default is tested by itself.
pub(crate) const LIMIT: usize = 64 * 1024;

/// `[server]` of most tables.
pub(crate) const SMALL: &str = "max_body_bytes = 65536\nmax_line_bytes = 65536\n";

/// A running gateway; it ends with this value.
pub(crate) struct Gateway {
    /// The process.
    pub(crate) process: StdioClient,
    /// Its endpoint, where it serves HTTP.
    pub(crate) client: HttpClient,
    _home: TempDir,
}

impl Gateway {
    /// Starts a gateway that serves HTTP on a free port, with the members of `[server]` and the upstreams.
    pub(crate) async fn http(server: &str, upstreams: &str) -> Self {
        let flags = ["--transport", "http", "--listen", "127.0.0.1:0", "--json"];
        let (mut process, home) = start(server, upstreams, &flags);
        let line: Value = serde_json::from_str(&process.line().await).expect("a line of JSON");
        let client = HttpClient::new(line["url"].as_str().expect("a URL"));
        Self { process, client, _home: home }
    }

    /// Starts a gateway that serves standard input and output.
    pub(crate) fn stdio(server: &str, upstreams: &str) -> Self {
        let (process, home) = start(server, upstreams, &["--transport", "stdio"]);
        Self { process, client: HttpClient::new("http://127.0.0.1:9/"), _home: home }
    }

    /// Opens a session.
    pub(crate) async fn session(&self, revision: Revision) -> HttpSession {
        HttpSession::open(self.client.clone(), revision).await
    }
}

fn start(server: &str, upstreams: &str, flags: &[&str]) -> (StdioClient, TempDir) {
    let home = tempfile::tempdir().expect("a folder");
    let config = home.path().join("test.toml");
    let text = format!("[server]\nbuiltin = false\n{server}\n[registry]\nstart = \"eager\"\n{upstreams}");
    std::fs::write(&config, text).expect("a configuration file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_aqe-v3"));
    command.args(["mcp", "start", "--config"]).arg(config).args(flags).current_dir(home.path());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home.path());
    for name in ["DATA", "CONFIG", "STATE", "CACHE", "RUNTIME"] {
        let variable = if name == "RUNTIME" { "XDG_RUNTIME_DIR".into() } else { format!("XDG_{name}_HOME") };
        let folder = home.path().join(name.to_ascii_lowercase());
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .expect("a folder of our own");
        command.env(variable, folder);
    }
    (StdioClient::start(command.into()), home)
}

/// The configuration of a child process as upstream.
pub(crate) fn child(name: &str, program: &str, args: &[&str], more: &str) -> String {
    let program = binary(program);
    let program = program.display();
    format!("[[upstream]]\nname = \"{name}\"\ncommand = \"{program}\"\nargs = {args:?}\n{more}\n")
}

/// The upstream of most tables: `rawmcp`, with resources and prompts.
pub(crate) fn raw() -> String {
    child("raw", "rawmcp", &["stdio", "--resources", "3", "--prompts", "3"], "")
}

/// Runs a test on two threads, with a deadline for the whole of it.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = Runtime::new().expect("a runtime");
    let limit = std::time::Duration::from_secs(80);
    runtime.block_on(async { tokio::time::timeout(limit, test).await.expect("the table in time") });
}

/// Collects what is wrong, and says it all at once.
#[derive(Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    /// Notes a fault of the case.
    pub(crate) fn add(&mut self, case: &str, fault: impl std::fmt::Display) {
        self.0.push(format!("{case}: {fault}"));
    }

    /// Notes the fault, if there is one.
    pub(crate) fn check(&mut self, case: &str, checked: Result<(), String>) {
        if let Err(fault) = checked {
            self.add(case, fault);
        }
    }

    /// Panics if there was a fault.
    #[track_caller]
    pub(crate) fn report(self, cases: usize) {
        assert!(cases > 0, "no case ran");
        let Self(faults) = self;
        assert!(faults.is_empty(), "{} of {cases} cases failed:\n{}", faults.len(), faults.join("\n"));
    }
}
