//! The command line. `mcp start` is the server; everything else is a client of a running one, or needs none.
//!
//! Exit codes: 0 it worked; 1 it did not (a tool is unknown or answers with an error, a file has faults); 2 the
//! command line is wrong; 3 no server is running; 4 and 5 what `mcp alerts list --check` says.

mod alerts;
mod ask;
mod balance;
mod bench;
mod cache;
mod call;
mod client;
mod config;
mod drain;
mod find;
mod fleet;
mod memory;
mod metrics;
mod output;
mod places;
mod pool;
mod qe;
mod start;
mod status;
mod store;
mod table;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use self::client::ClientError;

/// One MCP endpoint over all your MCP servers, and the home of the qe_ tools.
#[derive(Debug, Parser)]
#[command(name = "aqe-v3", version, propagate_version = false, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Top,
}

#[derive(Debug, Subcommand)]
enum Top {
    /// The gateway: start it, ask it, check its configuration.
    #[command(subcommand)]
    Mcp(Box<Mcp>),
    /// The built-in quality tools, without a server.
    #[command(
        subcommand,
        after_help = "Examples:\n  aqe-v3 qe coverage-analyze\n  aqe-v3 qe quality-gate --json"
    )]
    Qe(qe::Qe),
    /// Agents and durable tasks of a running server.
    #[command(subcommand)]
    Fleet(Box<fleet::Fleet>),
    /// What agents remember: show, store, find and delete it.
    #[command(subcommand)]
    Memory(Box<memory::Memory>),
    /// The file in which it is kept: check, back up, export, import, compact.
    #[command(subcommand)]
    Store(Box<store::Store>),
    /// Print completions for a shell.
    #[command(
        after_help = "Example:\n  aqe-v3 completions bash > ~/.local/share/bash-completion/completions/aqe-v3"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum Mcp {
    /// Start the server, in the foreground.
    Start(start::Start),
    /// The tools of a running server.
    #[command(subcommand)]
    Tools(tools::Tools),
    /// The connections of a running server to its upstreams.
    Pool(pool::Pool),
    /// How a running server spreads calls over replicas.
    Balance(balance::Balance),
    /// The answers that a running server keeps.
    #[command(subcommand)]
    Cache(cache::Cache),
    /// The alerts of a running server.
    #[command(subcommand)]
    Alerts(alerts::Alerts),
    /// The upstreams of a running server.
    Status(status::Status),
    /// What a running server does and how it fares: health, rates, latency, errors, live if need be.
    Metrics(metrics::Metrics),
    /// Measure any MCP servers, beside each other.
    Bench(bench::Bench),
    /// Answer calls with their arguments, for `bench --self`.
    #[command(name = "bench-echo", hide = true)]
    BenchEcho(bench::echo::Echo),
    /// The configuration.
    #[command(subcommand)]
    Config(config::Config),
}

/// Which running server to ask.
#[derive(Debug, Clone, Args)]
struct Server {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The server's socket; without it the server of this folder is asked.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Why a command did not work, and what the process exits with.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The thing failed: 1.
    #[error("{0}")]
    Failed(String),
    /// What failed has been said: 1.
    #[error("")]
    Told,
    /// The command line is wrong: 2.
    #[error("{0}")]
    Usage(String),
    /// 3.
    #[error("no server is running{0}; start one with: aqe-v3 mcp start")]
    NoServer(String),
    /// A running server could not be asked: 1.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Our own output: 1.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Told | Self::Client(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::NoServer(_) => 3,
        }
    }
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Without a terminal there is nobody to tell.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { 0 } else { 2 });
        }
    };
    match cli.run() {
        Ok(code) => code,
        // Whoever read our output has seen enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Told) {
                output::complain(&format!("aqe-v3: {failure}"));
            }
            ExitCode::from(failure.code())
        }
    }
}

impl Cli {
    fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Top::Mcp(command) => return command.run(),
            Top::Qe(tool) => return tool.run(),
            Top::Fleet(fleet) => return fleet.run(),
            Top::Memory(memory) => return memory.run(),
            Top::Store(store) => return store.run(),
            Top::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "aqe-v3", &mut script);
                output::write(&script)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Mcp {
    fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Start(start) => return start.run(),
            Self::Metrics(metrics) => return metrics.run(),
            Self::Alerts(alerts) => return alerts.run(),
            Self::Tools(tools) => tools.run(),
            Self::Pool(pool) => pool.run(),
            Self::Balance(balance) => balance.run(),
            Self::Cache(cache) => cache.run(),
            Self::Status(status) => status.run(),
            Self::Bench(bench) => bench.run(),
            Self::BenchEcho(echo) => echo.run(),
            Self::Config(config) => config.run(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_shows_what_is_written_in_it() {
        let mut cli = Cli::command();
        let mcp = cli.find_subcommand_mut("mcp").unwrap();
        let help = mcp.find_subcommand_mut("bench").unwrap().render_long_help().to_string();
        for words in
            ["Each {number} becomes", "each {payload} what", r#"--arguments '{"query":"q {number}"}' --rate"#]
        {
            assert!(help.contains(words), "{words}: {help}");
        }
    }

    #[test]
    fn every_command_has_an_example_in_its_help() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands() {
                let has_example =
                    sub.get_after_help().is_some_and(|help| help.to_string().contains("aqe-v3 "));
                assert!(has_example || sub.has_subcommands(), "{}", sub.get_name());
                check(sub);
            }
        }
        check(&Cli::command());
    }
}
