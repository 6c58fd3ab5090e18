//! Load from the processor that is not measured, all of whose replies must be good.

use std::net::SocketAddr;
use std::time::Duration;

use aqe_load::check::{Checker, Expect};
use aqe_load::load::{self, Client, Load};
pub(crate) use aqe_load::load::{Done, Until};
use aqe_load::open_loop;
use aqe_load::pipe::{Pace, Talk};

use crate::Result;
use crate::message::Request;
use crate::place::{Place, on};

/// Most connections at a fixed rate: more than the slowest server here has in flight.
const MOST: usize = 128;

fn expect(request: &Request) -> Expect {
    if request.is_echoed() { Expect::Result } else { Expect::Anything }
}

/// Sends a request over and over.
///
/// # Errors
/// If any reply is not like the first one: status 200, the request's id, a result of the same shape.
pub(crate) fn run(address: SocketAddr, request: &Request, connections: usize, until: Until) -> Result<Done> {
    run_from(0, address, request, connections, until)
}

/// The same with the numbers that follow `number`.
///
/// # Errors
/// As for [`run`].
pub(crate) fn run_from(
    number: u64,
    address: SocketAddr,
    request: &Request,
    connections: usize,
    until: Until,
) -> Result<Done> {
    let clients = Client::alike(address, request, connections);
    let load = Load::new(clients, Checker::new(expect(request)), number)?;
    on(Place::Other, || load::run(&load, until))?.flawless()
}

/// Sends `rate` requests a second for `time`, whatever the answers take.
///
/// # Errors
/// As for [`run`].
pub(crate) fn at_rate(address: SocketAddr, request: &Request, rate: f64, time: Duration) -> Result<Done> {
    let load = Load::new(Client::alike(address, request, MOST), Checker::new(expect(request)), 0)?;
    on(Place::Other, || open_loop::run(&load, rate, time))?.flawless()
}

/// Keeps `in_flight` requests on their way to a child.
///
/// # Errors
/// As for [`run`].
pub(crate) fn pipe(talk: &mut Talk, request: &Request, in_flight: usize, until: Until) -> Result<Done> {
    pipe_from(0, talk, request, in_flight, until)
}

/// The same with the numbers that follow `number`.
///
/// # Errors
/// As for [`run`].
pub(crate) fn pipe_from(
    number: u64,
    talk: &mut Talk,
    request: &Request,
    in_flight: usize,
    until: Until,
) -> Result<Done> {
    let mut checker = Checker::new(expect(request));
    on(Place::Other, || talk.run(request, &mut checker, number, Pace::InFlight(in_flight, until)))?.flawless()
}
