//! One replica of the upstream: its process, what stands before it, and what it has written down.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aqe_testkit::client::StdioClient;
use aqe_testkit::faults::{Fault, FaultProxy};
use aqe_testkit::process::{binary, processes, try_signal};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Over, upstream::Event};

/// A `rawmcp`: a child of the gateway, or a server behind a fault proxy.
#[derive(Debug)]
pub(crate) struct Replica {
    /// What the balancer calls it.
    pub(crate) name: String,
    journal: PathBuf,
    conduct: PathBuf,
    flags: Vec<String>,
    served: Option<Served>,
    /// Grows whenever it forgets its sessions.
    epoch: AtomicU64,
}

/// What serves a replica over HTTP.
#[derive(Debug)]
struct Served {
    server: StdioClient,
    proxy: FaultProxy,
}

impl Replica {
    /// Number `at` of the replicas, whose files are in `folder`. Over HTTP its server runs when this returns.
    pub(crate) async fn new(over: Over, at: usize, folder: &Path, flags: &[&str]) -> Self {
        let file = |name: &str| folder.join(format!("{name}-{at}.json"));
        let (journal, conduct) = (file("journal"), file("conduct"));
        let mut all: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        for (flag, path) in [("--journal", &journal), ("--conduct", &conduct)] {
            all.extend([flag.to_owned(), path.display().to_string()]);
        }
        let mut replica = Self {
            name: format!("r{at}"),
            journal,
            conduct,
            flags: all,
            served: None,
            epoch: AtomicU64::new(0),
        };
        if over == Over::Http {
            let (server, address) = replica.serve().await;
            let proxy = FaultProxy::start(address).expect("expected a port for the proxy");
            replica.served = Some(Served { server, proxy });
        }
        replica
    }

    async fn serve(&self) -> (StdioClient, SocketAddr) {
        let flags = std::iter::once("http").chain(self.flags.iter().map(String::as_str));
        let mut server = StdioClient::spawn(&binary("rawmcp"), flags);
        let url = server.listening_url().await;
        let address = url.strip_prefix("http://").and_then(|url| url.strip_suffix("/mcp"));
        (server, address.and_then(|address| address.parse().ok()).expect("expected an address in the URL"))
    }

    /// Its entry in the configuration.
    pub(crate) fn entry(&self) -> String {
        let name = &self.name;
        if let Some(served) = &self.served {
            return format!("{{ name = \"{name}\", url = \"http://{}/mcp\" }}", served.proxy.address());
        }
        let args: Vec<&str> = std::iter::once("stdio").chain(self.flags.iter().map(String::as_str)).collect();
        // A TOML basic string takes the escapes of JSON.
        let (command, args) = (Value::from(binary("rawmcp").display().to_string()), Value::from(args));
        format!("{{ name = \"{name}\", command = {command}, args = {args} }}")
    }

    /// Tells it how to behave from now on: see `rawmcp --conduct`.
    pub(crate) fn behave(&self, conduct: &Value) {
        let mut conduct = conduct.clone();
        conduct["epoch"] = self.epoch.load(Ordering::Relaxed).into();
        let new = self.conduct.with_extension("new");
        fs::write(&new, conduct.to_string()).expect("expected to write a file");
        fs::rename(&new, &self.conduct).expect("expected to replace a file");
    }

    /// Lets it behave well, and forget its sessions.
    pub(crate) fn forget_sessions(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        self.behave(&json!({}));
    }

    /// What it is reached over.
    pub(crate) fn over(&self) -> Over {
        if self.served.is_some() { Over::Http } else { Over::Stdio }
    }

    /// Lets the network before it fail from now on.
    pub(crate) async fn network(&self, fault: Fault) {
        let served = self.served.as_ref().expect("expected a replica over HTTP");
        served.proxy.set(fault).await;
    }

    /// Its processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let conduct = self.conduct.display().to_string();
        let is_ours = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == conduct.as_bytes())
        };
        let named = processes(|process| process.is_live() && process.name == "rawmcp");
        named.into_iter().map(|process| process.pid).filter(|pid| is_ours(*pid)).collect()
    }

    /// Sends a signal to its processes.
    pub(crate) fn signal(&self, what: Signal) {
        for pid in self.pids() {
            // One that has just ended is gone either way.
            try_signal(pid, what);
        }
    }

    /// Kills its processes. Over HTTP nobody listens after that.
    pub(crate) async fn kill(&self) {
        self.signal(Signal::KILL);
        if self.served.is_some() {
            self.network(Fault::Refuse).await;
        }
    }

    /// Starts a server again, at the same URL. Over stdio the gateway does that.
    pub(crate) async fn start_again(&mut self) {
        if self.served.is_none() {
            return;
        }
        let (server, address) = self.serve().await;
        if let Some(served) = &mut self.served {
            served.server = server;
            served.proxy.retarget(address);
            served.proxy.heal().await;
        }
    }

    /// Ends every connection that is open now.
    pub(crate) async fn disconnect(&self) {
        if let Some(served) = &self.served {
            served.proxy.set(Fault::Reset).await;
            served.proxy.heal().await;
        }
    }

    /// What it has written down over all its lives.
    pub(crate) fn events(&self) -> Vec<Event> {
        Event::all(&self.journal)
    }
}
