//! A home folder for one test, and the binary run in it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A home with nothing in it: no configuration, no state, no running server.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for folder in ["run", "data", "config", "project"] {
            fs::create_dir(home.0.path().join(folder)).unwrap();
        }
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file into the project's folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("project").join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary, in the project's folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqe-v3"));
        command
            .args(args)
            .current_dir(self.path("project"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran(self.command(args).output().unwrap())
    }

    /// Starts a server on a free port and waits until it serves.
    pub(crate) fn start(&self, args: &[&str]) -> Server {
        let mut all = vec!["mcp", "start", "--transport", "http", "--listen", "127.0.0.1:0", "--json"];
        all.extend(args);
        let mut child = self.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut text = String::new();
            child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            panic!("the server did not start: {text}");
        }
        Server { child, info: serde_json::from_str(&line).unwrap() }
    }
}

/// A command that has ended.
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// Standard output as JSON, of a command that worked.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code(), Some(0), "{}{}", self.out(), self.err());
        serde_json::from_str(&self.out()).unwrap()
    }
}

/// A running server; killed when the test is over.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// The line that it has printed.
    pub(crate) info: Value,
}

impl Server {
    pub(crate) fn socket(&self) -> &Path {
        Path::new(self.info["socket"].as_str().unwrap())
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> &str {
        let url = self.info["url"].as_str().unwrap();
        url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap()
    }

    pub(crate) fn signal(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// What it has written to standard error, to the end.
    pub(crate) fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a process, with patience.
pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "the process does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks again and again until the answer is there.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An upstream in a few lines of shell: the tool `slow` answers after a second, `never` never. It writes its process
/// id into the file `pid`.
pub(crate) const UPSTREAM: &str = r#"
echo $$ > pid
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case $line in
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}}' ;;
    *'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"slow","inputSchema":{"type":"object"}},{"name":"never","inputSchema":{"type":"object"}}]}}' ;;
    *'"name":"slow"'*) ( sleep 1; echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"at last"}]}}' ) & ;;
    *'"name":"never"'*) : > called ;;
    *'"id"'*) echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"no such method"}}' ;;
  esac
done
"#;

impl Home {
    /// Configures the upstream `sh`, and only that.
    pub(crate) fn with_upstream() -> Self {
        let home = Self::new();
        home.write("upstream.sh", UPSTREAM);
        home.write(
            "aqe.toml",
            "[[upstream]]\nname = \"sh\"\ncommand = \"sh\"\nargs = [\"upstream.sh\"]\nera = \"legacy\"\n",
        );
        home
    }

    /// The names of the tools that the running server lists.
    pub(crate) fn tools(&self) -> Vec<String> {
        let listed = self.run(&["mcp", "tools", "list", "--json"]).json();
        let tools = listed["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}
