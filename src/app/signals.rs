//! The signals that end us, or have us read the configuration again.

use std::io::{self, IsTerminal as _};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// `SIGTERM`, `SIGINT` and `SIGHUP`.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// We were started at a terminal: a hang-up means that it is gone. For others it is a request.
    at_terminal: bool,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stop; the signal's name.
    Stop(&'static str),
    /// To read the configuration again.
    Reload,
}

impl Signals {
    /// Takes the signals over; from now on none of them ends the process by itself.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            at_terminal: io::stdin().is_terminal(),
        })
    }

    /// Resolves with the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => if self.at_terminal { Asked::Stop("SIGHUP") } else { Asked::Reload },
        }
    }

    /// Resolves with the name of the next one that asks to stop.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            if let Asked::Stop(signal) = self.next().await {
                return signal;
            }
        }
    }
}
