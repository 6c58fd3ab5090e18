//! The fixture upstream as a program: `fixture stdio`, `fixture http`.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use aqe_testkit::fixture::{Options, http, stdio};
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A well-behaved MCP server to test against.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    transport: Transport,
}

#[derive(Debug, Subcommand)]
enum Transport {
    /// Serve one client on standard input and output, until the input ends.
    Stdio {
        #[command(flatten)]
        options: Options,
    },
    /// Serve streamable HTTP; prints one line, `listening URL`, when ready.
    Http {
        /// Address to listen on; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Stop when standard input ends, so that no server outlives the test that started it.
        #[arg(long)]
        until_stdin_ends: bool,
        #[command(flatten)]
        options: Options,
    },
}

fn main() -> ExitCode {
    // The SDK reports every answer that a departed client missed as an error.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error,rmcp=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "stopped");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        match cli.transport {
            Transport::Stdio { options } => stdio::serve(options).await.map_err(Into::into),
            Transport::Http { listen, until_stdin_ends, options } => {
                serve_http(listen, until_stdin_ends, options).await.map_err(Into::into)
            }
        }
    });
    // Standard input may still be in a blocking read, which must not hold up the exit.
    runtime.shutdown_background();
    served
}

async fn serve_http(listen: SocketAddr, until_stdin_ends: bool, options: Options) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    if until_stdin_ends {
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            // Whatever comes in is ignored; an error ends the input, too.
            let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
            shutdown.cancel();
        });
    }
    writeln!(io::stdout().lock(), "listening http://{address}{}", http::PATH)?;
    http::serve(listener, options, shutdown).await;
    Ok(())
}
