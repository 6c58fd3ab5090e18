//! Upstream processes and their tables in the configuration.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use aqe_testkit::{
    client::StdioClient,
    process::{binary, wait_until},
};
use serde_json::Value;
use tempfile::TempDir;

use super::{Era, Over};

/// One `[[upstream]]`, and the server behind it if it is one that we start.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(super) table: String,
    /// Where the raw upstream writes its journal.
    journal: Option<PathBuf>,
    /// An HTTP server, which lives as long as this.
    server: Option<StdioClient>,
    /// Holds the journal.
    folder: Option<TempDir>,
}

/// What happened at a raw upstream.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Microseconds since the Unix epoch.
    pub(crate) at_us: u64,
    /// The kind, as listed in `aqe_testkit::raw`.
    pub(crate) what: String,
    /// The method, empty for none.
    pub(crate) method: String,
    /// What a call was marked with, empty for nothing.
    #[allow(dead_code, reason = "used by tests/faults")]
    pub(crate) mark: String,
    /// The process.
    pub(crate) pid: u32,
}

impl Event {
    /// What a journal holds so far.
    pub(crate) fn all(journal: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(journal).unwrap_or_default();
        // The last line may be half written.
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(|entry| Self {
                at_us: entry["at_us"].as_u64().unwrap_or_default(),
                what: entry["event"].as_str().unwrap_or_default().to_owned(),
                method: entry["method"].as_str().unwrap_or_default().to_owned(),
                mark: entry["mark"].as_str().unwrap_or_default().to_owned(),
                pid: entry["pid"].as_u64().and_then(|pid| pid.try_into().ok()).unwrap_or_default(),
            })
            .collect()
    }
}

impl Upstream {
    /// `rawmcp` with these flags. Over HTTP it runs when this returns, over stdio the gateway starts it.
    pub(crate) async fn raw(name: &str, era: Era, over: Over, flags: &[&str]) -> Self {
        let era = match era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        };
        let mut all = vec!["--era", era];
        all.extend_from_slice(flags);
        Self::raw_of_any_era(name, over, &all).await
    }

    /// `rawmcp` that speaks both eras unless a flag says otherwise.
    pub(crate) async fn raw_of_any_era(name: &str, over: Over, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("expected a temporary folder");
        let journal = folder.path().join("journal");
        let mut flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        flags.extend(["--journal".to_owned(), journal.display().to_string()]);
        let mut upstream = Self::program(name, "rawmcp", over, flags).await;
        upstream.journal = Some(journal);
        upstream.folder = Some(folder);
        upstream
    }

    /// The fixture on the official SDK.
    pub(crate) async fn fixture(name: &str, era: Era, over: Over, flags: &[&str]) -> Self {
        let era = match era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        };
        let mut all = vec!["--era".to_owned(), era.to_owned()];
        all.extend(flags.iter().map(|&flag| flag.to_owned()));
        Self::program(name, "fixture", over, all).await
    }

    /// The fixture, speaking both eras.
    pub(crate) async fn fixture_of_any_era(name: &str, over: Over, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        Self::program(name, "fixture", over, flags).await
    }

    async fn program(name: &str, program: &str, over: Over, flags: Vec<String>) -> Self {
        let path = binary(program);
        if over == Over::Http {
            let mut server = StdioClient::spawn(&path, std::iter::once("http".to_owned()).chain(flags));
            let url = server.listening_url().await;
            return Self { server: Some(server), ..Self::at(name, &url) };
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Self::command(name, &path.display().to_string(), &[&["stdio"], &flags[..]].concat())
    }

    /// So many replicas of `rawmcp`, children of the gateway, that share a journal.
    pub(crate) fn replicas(name: &str, count: usize) -> Self {
        let folder = tempfile::tempdir().expect("expected a temporary folder");
        let journal = folder.path().join("journal");
        let command = Value::from(binary("rawmcp").display().to_string());
        let args = Value::from(vec!["stdio".to_owned(), "--journal".into(), journal.display().to_string()]);
        let replica = format!("{{ command = {command}, args = {args} }}");
        let replicas = vec![replica; count].join(", ");
        let table = format!("[[upstream]]\nname = {}\nreplicas = [{replicas}]\n", Value::from(name));
        Self { table, journal: Some(journal), server: None, folder: Some(folder) }
    }

    /// A child process.
    pub(crate) fn command(name: &str, program: &str, args: &[&str]) -> Self {
        // A TOML basic string takes the escapes of JSON.
        let table = format!(
            "[[upstream]]\nname = {}\ncommand = {}\nargs = {}\n",
            Value::from(name),
            Value::from(program),
            Value::from(args.to_vec())
        );
        Self { table, journal: None, server: None, folder: None }
    }

    /// A server at a URL.
    pub(crate) fn at(name: &str, url: &str) -> Self {
        let table = format!("[[upstream]]\nname = {}\nurl = {}\n", Value::from(name), Value::from(url));
        Self { table, journal: None, server: None, folder: None }
    }

    /// Where it is reached over HTTP.
    #[allow(dead_code, reason = "not used by tests/faults")]
    pub(crate) fn url(&self) -> &str {
        let line = self.table.lines().find_map(|line| line.strip_prefix("url = "));
        line.expect("expected an upstream over HTTP").trim_matches('"')
    }

    /// The same server under another URL.
    #[allow(dead_code, reason = "not used by tests/faults")]
    #[must_use]
    pub(crate) fn under(mut self, url: &str) -> Self {
        self.table = self.table.replace(self.url(), url);
        self
    }

    /// Its table in the configuration.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// One with exactly this table.
    #[allow(dead_code, reason = "used by tests/faults")]
    pub(crate) fn with_table(table: String) -> Self {
        Self { table, journal: None, server: None, folder: None }
    }

    /// Adds a line to the table.
    #[must_use]
    pub(crate) fn with(mut self, line: &str) -> Self {
        // Writing to a string cannot fail.
        let _ = writeln!(self.table, "{line}");
        self
    }

    /// The process of an HTTP server.
    pub(crate) fn server(&mut self) -> &mut StdioClient {
        self.server.as_mut().expect("expected an upstream over HTTP that the test has started")
    }

    /// What the raw upstream wrote to its journal so far, over all its lives.
    pub(crate) fn events(&self) -> Vec<Event> {
        Event::all(self.journal.as_ref().expect("expected a raw upstream"))
    }

    /// How many events of this kind and method there were.
    pub(crate) fn count(&self, event: &str, method: &str) -> usize {
        self.events().iter().filter(|entry| entry.what == event && entry.method == method).count()
    }

    /// How many events of this kind there were.
    pub(crate) fn kind(&self, event: &str) -> usize {
        self.events().iter().filter(|entry| entry.what == event).count()
    }

    /// Waits for an event of one of these kinds, with this method if it is not empty.
    pub(crate) async fn event(&self, kinds: &[&str], method: &str) -> Event {
        let what = format!("{kinds:?} {method} in the journal");
        wait_until(aqe_testkit::client::DEADLINE, &what, || {
            let wanted = |entry: &Event| {
                kinds.contains(&entry.what.as_str()) && (method.is_empty() || entry.method == method)
            };
            self.events().into_iter().find(wanted)
        })
        .await
    }
}
