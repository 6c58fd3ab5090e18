//! The command line of `rawmcp`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

/// An MCP server that answers with exactly the bytes asked for, and misbehaves on request.
#[derive(Debug, Parser)]
#[command(name = "rawmcp", version)]
pub struct Cli {
    /// Where to serve.
    #[command(subcommand)]
    pub transport: Transport,
    /// How to behave.
    #[command(flatten)]
    pub options: Options,
}

/// Where the server listens.
#[derive(Debug, Clone, Subcommand)]
pub enum Transport {
    /// One message per line on standard input and output.
    Stdio,
    /// Streamable HTTP; the first line on standard output is `listening http://HOST:PORT/mcp`.
    Http {
        /// Address to bind; port 0 lets the system choose.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Do nothing for a while: what `--grandchild` starts.
    #[command(hide = true)]
    Idle {
        /// How long, in seconds.
        seconds: u64,
    },
}

/// The eras that the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Era {
    /// Handshake revisions and 2026-07-28, told apart message by message.
    Dual,
    /// Only the handshake revisions, up to 2025-11-25.
    Legacy,
    /// Only 2026-07-28.
    Modern,
}

/// Behaviour that holds for the whole life of the process.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Eras served.
    #[arg(long, value_enum, default_value_t = Era::Dual, global = true)]
    pub era: Era,
    /// Always negotiate this handshake revision instead of the one that the client asks for.
    #[arg(long, value_name = "REVISION", global = true)]
    pub legacy_version: Option<String>,
    /// Exit with this code before reading anything.
    #[arg(long, value_name = "CODE", global = true)]
    pub exit_at_start: Option<u8>,
    /// Wait this many milliseconds before reading (or listening).
    #[arg(long, value_name = "MS", default_value_t = 0, global = true)]
    pub slow_start: u64,
    /// Write lines that are no messages to standard output first.
    #[arg(long, global = true)]
    pub garbage_at_start: bool,
    /// Exit with code 1 at any request but `ping` before `initialize`, as old Rust SDKs do.
    #[arg(long, global = true)]
    pub exit_on_discover: bool,
    /// The first request decides the era of the connection; the other one is refused after, as the
    /// Python SDK does.
    #[arg(long, global = true)]
    pub lock_era: bool,
    /// Stay alive at the end of standard input and ignore SIGTERM.
    #[arg(long, global = true)]
    pub ignore_eof: bool,
    /// Start a grandchild in the same process group that sleeps and keeps our standard output open;
    /// its pid goes to standard error as `grandchild PID`.
    #[arg(long, global = true)]
    pub grandchild: bool,
    /// Never answer this method (may be repeated).
    #[arg(long, value_name = "METHOD", global = true)]
    pub mute: Vec<String>,
    /// Further tools (`tool_00000` …) to list.
    #[arg(long, value_name = "N", default_value_t = 0, global = true)]
    pub tools: usize,
    /// List the tool `large` as well.
    #[arg(long, global = true)]
    pub large: bool,
    /// Entries per page of every list; the cursor of the second page is the empty string.
    #[arg(long, value_name = "N", global = true)]
    pub page_size: Option<usize>,
    /// Resources (`raw://resource/0` …) to list.
    #[arg(long, value_name = "N", default_value_t = 0, global = true)]
    pub resources: usize,
    /// Lists may be kept for so long, by everybody (stateless revision only).
    #[arg(long, value_name = "MS", global = true)]
    pub list_ttl_ms: Option<u64>,
    /// Do not declare that changes of lists are announced.
    #[arg(long, global = true)]
    pub unannounced: bool,
    /// Answers to `resources/read` may be kept for so long (stateless revision only), and tell how many there were.
    #[arg(long, value_name = "MS", global = true)]
    pub read_ttl_ms: Option<u64>,
    /// Answers to `resources/read` are everybody's.
    #[arg(long, global = true)]
    pub read_public: bool,
    /// Prompts (`prompt_0` …) to list.
    #[arg(long, value_name = "N", default_value_t = 0, global = true)]
    pub prompts: usize,
    /// Append every journal entry to this file as a line of JSON.
    #[arg(long, value_name = "FILE", global = true)]
    pub journal: Option<PathBuf>,
    /// Look into this file whenever a tool is called: JSON that says how to behave now. Replace it as a whole.
    #[arg(long, value_name = "FILE", global = true)]
    pub conduct: Option<PathBuf>,
    /// HTTP: answer every request with an SSE stream, also where one JSON object would do.
    #[arg(long, global = true)]
    pub always_sse: bool,
    /// HTTP: mint no session id in the handshake revisions.
    #[arg(long, global = true)]
    pub no_session: bool,
    /// HTTP: forget a session after this many tool calls.
    #[arg(long, value_name = "N", global = true)]
    pub forget_session_after: Option<usize>,
}
