//! A gateway that runs, spoken to in the same words over its pipes and over HTTP.

use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqe_load::pipe::Talk;

use crate::Result;
use crate::load::{self, Done, Until};
use crate::message::Call;
use crate::place::{Place, on};
use crate::process::cpu_time;
use crate::subject::{Home, Running, Subject};

/// What a gateway is spoken to over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Stdio,
    Http,
}

impl Transport {
    pub(crate) const ALL: [Self; 2] = [Self::Stdio, Self::Http];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "HTTP",
        }
    }
}

/// A gateway with its own threads, which ends with this value.
pub(crate) struct Line {
    way: Way,
    /// Requests sent so far, so that no number comes again.
    sent: u64,
    _home: Rc<Home>,
}

enum Way {
    Stdio(Box<Talk>),
    Http(Box<Running>),
}

impl Line {
    /// A new process that has answered nothing but the handshake. Its command is changed first.
    pub(crate) fn start(
        subject: &Subject,
        home: &Rc<Home>,
        transport: Transport,
        place: Place,
        change: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let way = match transport {
            Transport::Stdio => {
                let mut command = subject.stdio(home);
                change(&mut command);
                let mut talk = on(place, || Talk::start(command))?;
                talk.initialize()?;
                Way::Stdio(Box::new(talk))
            }
            Transport::Http => {
                let mut command = subject.http_with_its_threads(home);
                change(&mut command);
                let mut running = Running::start_at(place, command, None)?;
                running.server.initialize()?;
                Way::Http(Box::new(running))
            }
        };
        Ok(Self { way, sent: 0, _home: Rc::clone(home) })
    }

    /// Sends one call; how long its whole answer took, and the answer.
    pub(crate) fn ask(&mut self, call: &Call) -> Result<(Duration, Vec<u8>)> {
        match &mut self.way {
            Way::Stdio(talk) => {
                let mut request = call.line();
                let request = request.fresh();
                let begun = Instant::now();
                let answer = talk.ask(request)?;
                Ok((begun.elapsed(), answer))
            }
            Way::Http(running) => {
                let begun = Instant::now();
                let answer = running.server.ask_raw(call)?;
                Ok((begun.elapsed(), answer))
            }
        }
    }

    /// Keeps `in_flight` of so many calls on their way, whose numbers were not used before.
    ///
    /// # Errors
    /// If any answer is not as the first one.
    pub(crate) fn run(&mut self, call: &Call, in_flight: usize, calls: u64) -> Result<Done> {
        let number = self.sent;
        self.sent += calls;
        self.run_from(number, call, in_flight, calls)
    }

    /// The same with the numbers that follow `number`.
    pub(crate) fn run_from(
        &mut self,
        number: u64,
        call: &Call,
        in_flight: usize,
        calls: u64,
    ) -> Result<Done> {
        let until = Until::Requests(calls);
        match &mut self.way {
            Way::Stdio(talk) => load::pipe_from(number, talk, &call.line(), in_flight, until),
            Way::Http(running) => {
                let server = &running.server;
                load::run_from(number, server.address, &server.request(call), in_flight, until)
            }
        }
    }

    /// CPU time that the process has used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu_time(match &self.way {
            Way::Stdio(talk) => talk.id(),
            Way::Http(running) => running.process.id(),
        })
    }
}
