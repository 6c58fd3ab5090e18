//! The replicas behind the gateway, and their ends.

use std::fmt::Write as _;

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::echo::TOOLS;
use crate::process::{children, program};
use crate::serve::Serve;
use crate::subject::Running;

/// Replicas of each upstream.
const REPLICAS: usize = 3;

/// The servers over HTTP, which are ours; those over stdio are the gateway's children.
#[derive(Debug)]
pub(super) struct Replicas {
    servers: Vec<Option<Running>>,
    ports: Vec<u16>,
    /// Ends so far.
    turns: usize,
}

impl Replicas {
    /// Starts the servers.
    pub(super) fn start() -> Result<Self> {
        let servers = (0..REPLICAS)
            .map(|_| Running::start(Serve::echo_http(TOOLS.len()).command()?, None))
            .collect::<Result<Vec<_>>>()?;
        let ports = servers.iter().map(|running| running.server.address.port()).collect();
        Ok(Self { servers: servers.into_iter().map(Some).collect(), ports, turns: 0 })
    }

    /// The upstreams `web` and `kid` of the gateway's configuration. Both speak both eras.
    pub(super) fn toml(&self) -> Result<String> {
        let mut text = String::from("[[upstream]]\nname = \"web\"\n");
        for port in &self.ports {
            write!(text, "\n[[upstream.replicas]]\nurl = \"http://127.0.0.1:{port}/mcp\"\n")?;
        }
        text.push_str("\n[[upstream]]\nname = \"kid\"\n");
        let child = Serve::EchoStdio { tools: TOOLS.len(), aside: true }.toml()?;
        for number in 1..=REPLICAS {
            write!(text, "\n[[upstream.replicas]]\nname = \"kid-{number}\"\n{child}\n")?;
        }
        Ok(text)
    }

    /// Ends the next replica, one over HTTP and one of the children of `gateway` in turns, each once with SIGTERM and
    /// once with SIGKILL, and says which. One over HTTP stays away until [`Self::restore`].
    pub(super) fn end_next(&mut self, gateway: u32) -> Result<&'static str> {
        let turn = self.turns;
        self.turns += 1;
        let (over_http, kill, which) = (turn.is_multiple_of(2), turn / 2 % 2 == 1, turn / 4 % REPLICAS);
        if over_http {
            if let Some(mut server) = self.servers[which].take() {
                if kill {
                    server.process.kill()?;
                } else {
                    server.process.stop()?;
                }
            }
        } else {
            let own = program(std::process::id());
            let mut kids: Vec<u32> =
                children(gateway).into_iter().filter(|kid| program(*kid) == own).collect();
            kids.sort_unstable();
            let kid = kids.get(which % kids.len().max(1)).ok_or("the gateway has no child to end")?;
            let kid = Pid::from_raw(i32::try_from(*kid)?).ok_or("no process has id 0")?;
            // It may just have been replaced for its age.
            let _ = kill_process(kid, if kill { Signal::KILL } else { Signal::TERM });
        }
        Ok(match (over_http, kill) {
            (true, false) => "HTTP replica, SIGTERM",
            (true, true) => "HTTP replica, SIGKILL",
            (false, false) => "stdio replica, SIGTERM",
            (false, true) => "stdio replica, SIGKILL",
        })
    }

    /// Starts again what is away, where it was.
    pub(super) fn restore(&mut self) -> Result<()> {
        for (server, port) in self.servers.iter_mut().zip(&self.ports) {
            if server.is_none() {
                let echo = Serve::EchoHttp { tools: TOOLS.len(), port: *port, delay_ms: 0 };
                *server = Some(Running::start(echo.command()?, None)?);
            }
        }
        Ok(())
    }
}
