//! The raw upstream: an MCP server that never parses more than it must.

mod bad;
mod catalog;
mod channel;
mod exchange;
mod http;
mod journal;
mod options;
mod request;
mod server;
mod stdio;
mod tools;

use std::{
    io::{self, Write},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

pub use options::{Cli, Era, Options, Transport};
use server::Server;

/// How long a grandchild lives when nobody ends it, in seconds.
const GRANDCHILD_SECONDS: u64 = 600;

/// Runs `rawmcp`; returns the exit code.
pub async fn run(cli: Cli) -> io::Result<u8> {
    if let Transport::Idle { seconds } = cli.transport {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        return Ok(0);
    }
    let options = cli.options;
    let mut ignored = None;
    if options.ignore_eof {
        ignored = Some(signal(SignalKind::terminate())?);
    }
    if options.grandchild {
        grandchild()?;
    }
    if let Some(code) = options.exit_at_start {
        return Ok(code);
    }
    tokio::time::sleep(Duration::from_millis(options.slow_start)).await;
    let server = Server::new(options)?;
    let code = match cli.transport {
        Transport::Stdio => stdio::serve(server).await,
        Transport::Http { listen } => {
            let listener = TcpListener::bind(listen).await?;
            let mut out = io::stdout();
            writeln!(out, "listening http://{}/mcp", listener.local_addr()?)?;
            out.flush()?;
            http::serve(server, listener).await?;
            1
        }
        Transport::Idle { .. } => 0,
    };
    // Registered until here: dropping it would not give SIGTERM its effect back, but keeps it plain.
    drop(ignored);
    Ok(code)
}

/// Starts a process that sleeps in our process group and holds our standard output open.
fn grandchild() -> io::Result<()> {
    let child = std::process::Command::new(std::env::current_exe()?)
        .args(["idle", &GRANDCHILD_SECONDS.to_string()])
        .stdin(Stdio::null())
        .spawn()?;
    writeln!(io::stderr(), "grandchild {}", child.id())
}
