//! The baselines and the upstream, each a process of its own: this program, started with `serve`.

mod bridge;
mod echo_http;
mod echo_stdio;
mod floor;
mod front;
mod pipe;
mod proxy;
mod reader;
mod talker;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Subcommand;
use tokio::net::unix::pipe as pipes;
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::echo::Echo;
use crate::place::{Place, go_to};

/// What to serve.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Serve {
    /// A bare hyper server that answers every request with the same bytes.
    Floor {
        /// Holds the bytes.
        reply: PathBuf,
    },
    /// An HTTP proxy on hyper that copies requests and replies without a look at them.
    Proxy {
        /// Where requests go.
        upstream: String,
    },
    /// The same, which parses each body with serde_json before it passes it on.
    Reader {
        /// Where requests go.
        upstream: String,
    },
    /// A copier between standard input and output and the upstream as a child.
    Pipe {
        /// Parse each line with serde_json before it is passed on.
        #[arg(long)]
        parse: bool,
    },
    /// The same to a server over HTTP.
    Bridge {
        /// Parse each line with serde_json before it is passed on.
        #[arg(long)]
        parse: bool,
        /// Where each line is posted.
        upstream: String,
    },
    /// The upstream over HTTP.
    EchoHttp {
        /// Tools to list.
        #[arg(long)]
        tools: usize,
        /// Where to listen on loopback; 0 takes a free port.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// How long each answer is held back.
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
    },
    /// The upstream over standard input and output.
    EchoStdio {
        /// Tools to list.
        #[arg(long)]
        tools: usize,
        /// Move away from the processor that is measured, where whoever starts us runs.
        #[arg(long)]
        aside: bool,
    },
    /// An upstream over standard input and output that reports progress, and answers with text that compresses as real
    /// text does.
    Talker {
        /// Tools to list.
        #[arg(long)]
        tools: usize,
        /// Move away from the processor that is measured, where whoever starts us runs.
        #[arg(long)]
        aside: bool,
    },
}

impl Serve {
    /// The upstream over HTTP on a free port, as fast as it can.
    pub(crate) fn echo_http(tools: usize) -> Self {
        Self::EchoHttp { tools, port: 0, delay_ms: 0 }
    }

    /// The command that does it.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(self.args());
        Ok(command)
    }

    /// The same as lines of a replica in the gateway's configuration.
    pub(crate) fn toml(&self) -> Result<String> {
        let program = std::env::current_exe()?;
        let program = program.to_str().ok_or("this program's path is not text")?;
        Ok(format!("command = {program:?}\nargs = {:?}", self.args()))
    }

    /// The arguments for this program.
    fn args(&self) -> Vec<String> {
        let mut args = vec!["serve".to_owned()];
        match self {
            Self::Floor { reply } => args.extend(["floor".into(), reply.to_string_lossy().into_owned()]),
            Self::Proxy { upstream } => args.extend(["proxy".into(), upstream.clone()]),
            Self::Reader { upstream } => args.extend(["reader".into(), upstream.clone()]),
            Self::Pipe { parse } => {
                args.push("pipe".into());
                args.extend(parse.then(|| "--parse".to_owned()));
            }
            Self::Bridge { upstream, parse } => {
                args.extend(["bridge".into(), upstream.clone()]);
                args.extend(parse.then(|| "--parse".to_owned()));
            }
            Self::EchoHttp { tools, port, delay_ms } => {
                args.extend(["echo-http".into(), format!("--tools={tools}"), format!("--port={port}")]);
                args.push(format!("--delay-ms={delay_ms}"));
            }
            Self::EchoStdio { tools, aside } => {
                args.extend(["echo-stdio".into(), format!("--tools={tools}")]);
                args.extend(aside.then(|| "--aside".to_owned()));
            }
            Self::Talker { tools, aside } => {
                args.extend(["talker".into(), format!("--tools={tools}")]);
                args.extend(aside.then(|| "--aside".to_owned()));
            }
        }
        args
    }

    /// Serves until the process is ended.
    pub(crate) fn run(self) -> Result<()> {
        // One thread: what is compared has one too.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Floor { reply } => floor::serve(std::fs::read(reply)?).await,
                Self::Proxy { upstream } => proxy::serve(&upstream).await,
                Self::Reader { upstream } => reader::serve(&upstream).await,
                Self::Pipe { parse } => pipe::serve(parse).await,
                Self::Bridge { upstream, parse } => bridge::serve(&upstream, parse).await,
                Self::EchoHttp { tools, port, delay_ms } => {
                    echo_http::serve(Echo::new(tools), port, Duration::from_millis(delay_ms)).await
                }
                Self::EchoStdio { tools, aside } => {
                    if aside {
                        go_to(Place::Other)?;
                    }
                    echo_stdio::serve(&Echo::new(tools)).await
                }
                Self::Talker { tools, aside } => {
                    if aside {
                        go_to(Place::Other)?;
                    }
                    talker::serve(tools)
                }
            }
        })
    }
}

/// Our standard input as a pipe, opened anew, so that the non-blocking flag is ours alone.
fn input() -> Result<pipes::Receiver> {
    let file: OwnedFd = std::fs::File::open("/proc/self/fd/0")?.into();
    Ok(pipes::Receiver::from_owned_fd(file)?)
}

/// The same for our standard output.
fn output() -> Result<pipes::Sender> {
    let file: OwnedFd = std::fs::OpenOptions::new().write(true).open("/proc/self/fd/1")?.into();
    Ok(pipes::Sender::from_owned_fd(file)?)
}

/// Listens on a port of loopback, 0 for a free one, and says so on standard output as the gateway does.
async fn listen(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({ "url": url }))?;
    out.flush()?;
    Ok(listener)
}

async fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
