//! What was answered stays: servers that are killed under load, and servers that share one store.

mod client;
mod killed;
mod shared;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Stdio};

use serde_json::Value;

use self::client::Client;
use crate::support::Home;

/// A server on its pipes and over HTTP at once; killed when the test is over.
struct Both {
    child: Child,
    address: String,
    /// Open to the end: whoever logs into a closed pipe is told so.
    _log: BufReader<ChildStderr>,
}

impl Both {
    fn start(home: &Home) -> Self {
        let mut command =
            home.command(&["mcp", "start", "--transport", "both", "--listen", "127.0.0.1:0", "--json"]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let start = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "the server did not start: {said}");
            let line: Value = serde_json::from_str(&said[start..]).unwrap_or_default();
            if let Some(url) = line["url"].as_str() {
                break url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
            }
        };
        Self { child, address, _log: log }
    }

    fn stdio(&mut self) -> Client {
        Client::stdio(self.child.stdin.take().unwrap(), self.child.stdout.take().unwrap())
    }

    fn http(&self) -> Client {
        Client::http(&self.address).unwrap()
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
