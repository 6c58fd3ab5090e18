//! `mcp start`.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::process::ExitCode;
use std::time::Instant;

use aqe_core::balancer::{BalancerConfigError, Strategy};
use aqe_gateway::admin::{About, MOST_CONNECTIONS};
use clap::Args;
use serde_json::{Value, json};

use super::places::Files;
use super::{Failure, ask, find, output, status};
use crate::app::{self, Ended, Plan, Serves, StartError};
use crate::config::address::{DEFAULT_PORT, parse_listen};
use crate::config::{self, Environment, Flags, Loaded, Severity, Transport};

/// `mcp start`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without flags it serves what it finds: aqe.toml and .mcp.json in this folder, and the built-in tools. Started by an
agent (standard input is a pipe) it speaks stdio, otherwise HTTP.

Examples:
  aqe-v3 mcp start
  aqe-v3 mcp start --transport http --listen 127.0.0.1:0 --json
  aqe-v3 mcp start --optimized --pool-size 50 --strategy least-connections
  claude mcp add aqe -- aqe-v3 mcp start")]
pub(super) struct Start {
    #[command(flatten)]
    files: Files,
    /// What clients connect over: auto, stdio, http or both.
    #[arg(long, value_name = "WHICH", value_parser = transport)]
    transport: Option<Transport>,
    /// Where HTTP listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_listen)]
    listen: Option<SocketAddr>,
    /// Leave the built-in qe_ tools out.
    #[arg(long)]
    no_builtin: bool,
    /// Threads that serve, 1 to 512.
    #[arg(long, value_name = "N", value_parser = workers)]
    worker_threads: Option<NonZero<usize>>,
    /// Keep connections and index names. "false" is a plain server to compare with: a connection for each call.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    optimized: bool,
    /// Most connections to all upstreams together: max_connections of [pool].
    #[arg(long, value_name = "N", value_parser = pool_size)]
    pool_size: Option<u32>,
    /// How a replica is chosen: round-robin, least-connections, response-time, weighted or p2c. An upstream with a
    /// strategy of its own keeps it.
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Option<Strategy>,
    /// What to log, such as "info" or "aqe_gateway=debug"; stands before RUST_LOG.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Say in one line of JSON where it listens: first thing on standard output, or, where that is the protocol, on
    /// standard error.
    #[arg(long)]
    json: bool,
}

fn transport(word: &str) -> Result<Transport, String> {
    word.parse()
}

fn workers(text: &str) -> Result<NonZero<usize>, String> {
    let number = text.parse().ok().filter(|number: &NonZero<usize>| number.get() <= 512);
    number.ok_or_else(|| "must be a whole number from 1 to 512".into())
}

fn pool_size(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_CONNECTIONS).contains(number));
    number.ok_or_else(|| format!("must be a whole number from 1 to {MOST_CONNECTIONS}"))
}

/// Reads the name of a strategy.
pub(super) fn strategy(name: &str) -> Result<Strategy, String> {
    name.parse().map_err(|error: BalancerConfigError| error.to_string())
}

impl Start {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let began = Instant::now();
        let flags = Flags {
            transport: self.transport,
            listen: self.listen,
            no_builtin: self.no_builtin,
            worker_threads: self.worker_threads.map(NonZero::get),
            pool_size: self.pool_size,
            strategy: self.strategy,
            optimized: Some(self.optimized),
        };
        let request = self.files.request(flags)?;
        let loaded = config::load(&request).map_err(|faults| Failure::Failed(faults.to_string()))?;
        let serves = Serves::of(loaded.config.server.transport);
        start_log(self.log, serves)?;
        report(&loaded);
        let plan = Plan { loaded, request, began };
        let json = self.json;
        let token = plan.loaded.config.server.bearer_token.is_some();
        let ended = app::run(&plan, |about, status| announce(about, status, json, token));
        match ended {
            Ok(Ended::InOrder) => Ok(ExitCode::SUCCESS),
            // As a shell has it for a process that a signal has ended.
            Ok(Ended::AtOnce) => Ok(ExitCode::from(130)),
            Err(error) => Err(Failure::Failed(explain(&error, &plan.request.env))),
        }
    }
}

fn start_log(flag: Option<String>, serves: Serves) -> Result<(), Failure> {
    let variable = || std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let default = if serves.stdio { "warn" } else { "info" };
    app::logging::start(flag.or_else(variable).as_deref(), default)
        .map_err(|error| Failure::Usage(format!("the log filter: {error}")))
}

fn report(loaded: &Loaded) {
    for note in &loaded.notes {
        match note.severity {
            Severity::Warning => tracing::warn!("{note}"),
            Severity::Info => tracing::info!("{note}"),
        }
    }
}

/// Says where the server listens and what it serves.
fn announce(about: &About, status: &Value, json: bool, token: bool) {
    if json {
        let line = json!({
            "url": about.url,
            "dashboard": about.dashboard,
            "socket": about.sockets.last(),
            "sockets": about.sockets,
            "pid": std::process::id(),
            "upstreams": status["upstreams"],
        });
        // Who does not read this line does not need it.
        let _ = if about.stdio {
            output::complain(&line.to_string());
            Ok(())
        } else {
            output::line(&line.to_string())
        };
    }
    if let Some(url) = &about.url {
        output::complain(&welcome(about, status, url, token));
    }
}

fn welcome(about: &About, status: &Value, url: &str, token: bool) -> String {
    let mut entry = json!({ "type": "http", "url": url });
    let mut header = "";
    if token {
        entry["headers"] = json!({ "Authorization": "Bearer YOUR_TOKEN" });
        header = " --header \"Authorization: Bearer YOUR_TOKEN\"";
    }
    let snippet = json!({ "mcpServers": { "aqe": entry } });
    let tools = ask::text(&status["total_tools"]);
    let mut lines = vec![format!("aqe-v3 {} serves MCP at {url}", env!("CARGO_PKG_VERSION"))];
    lines.extend(about.sockets.iter().map(|socket| format!("  and at {}", socket.display())));
    lines.extend(about.dashboard.iter().map(|dashboard| format!("  dashboard at {dashboard}")));
    lines.push(format!("\n{}\n{tools} tools so far", status::upstreams(status)));
    lines.push(format!(
        "\nTo add it to an agent:\n  claude mcp add --transport http aqe {url}{header}\nor\n  {snippet}\n"
    ));
    lines.join("\n")
}

/// The reason, and where somebody else listens, who that is and what to do.
fn explain(error: &StartError, env: &Environment) -> String {
    let StartError::Listen { address, source } = error else { return error.to_string() };
    if source.kind() != io::ErrorKind::AddrInUse {
        return error.to_string();
    }
    let url = format!("http://{address}/mcp");
    let servers = ask::block_on(find::servers(env)).unwrap_or_default();
    let ours = servers.iter().find(|server| server.info["url"] == url.as_str());
    let who = match ours {
        Some(server) => {
            format!(
                "the aqe-v3 of {} (pid {})",
                ask::text(&server.info["folder"]),
                ask::text(&server.info["pid"])
            )
        }
        None => format!("another program (ss -ltnp 'sport = :{}' names it)", address.port()),
    };
    let next = if address.port() == DEFAULT_PORT { DEFAULT_PORT + 1 } else { DEFAULT_PORT };
    format!(
        "{address} is in use by {who}; use that one, stop it, or choose another port: \
         --listen {}",
        SocketAddr::new(address.ip(), next)
    )
}
