//! Load at a fixed rate, whatever the answers take: a request goes out when it is due, on another connection if all are
//! busy, and its latency counts from when it was due. So a server that stalls is charged for every request that it
//! would have had meanwhile, and not only for those that were in flight (no "coordinated omission").

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};

use crate::Result;
use crate::connection::Connection;
use crate::load::Done;
use crate::message::Request;
use crate::process::{Place, go_to};

/// Most connections. A request that finds all of them busy waits, and the wait counts.
const MOST: usize = 512;
/// Requests that may be due and not yet seen.
const QUEUE: usize = 1 << 16;

struct Load {
    address: SocketAddr,
    request: Request,
    idle: RefCell<Vec<Connection>>,
    free: Semaphore,
    done: RefCell<Done>,
}

/// Sends `rate` requests a second for `time`, and waits for all answers.
///
/// # Errors
/// If any reply is not a result with its request's id.
pub(crate) fn run(address: SocketAddr, request: &Request, rate: f64, time: Duration) -> Result<Done> {
    let _ = go_to(Place::Other);
    let (due, mut dues) = mpsc::channel(QUEUE);
    // tokio's timers tick in milliseconds; a thread of its own is punctual to some 60 µs.
    let pacer = std::thread::spawn(move || pace(rate, time, &due));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = Rc::new(Load {
        address,
        request: request.clone(),
        idle: RefCell::default(),
        free: Semaphore::new(MOST),
        done: RefCell::new(Done::nothing()?),
    });
    let done = LocalSet::new().block_on(&runtime, async {
        let started = Instant::now();
        let mut calls = JoinSet::new();
        let mut number = 0;
        loop {
            tokio::select! {
                due = dues.recv() => match due {
                    Some(due) => {
                        number += 1;
                        calls.spawn_local(call(Rc::clone(&load), number, due));
                    }
                    None if calls.is_empty() => break,
                    None => ended(calls.join_next().await)?,
                },
                ended_call = calls.join_next(), if !calls.is_empty() => ended(ended_call)?,
            }
        }
        let mut done = load.done.replace(Done::nothing()?);
        done.elapsed = started.elapsed();
        Ok(done)
    });
    let _ = go_to(Place::Anywhere);
    if pacer.join().is_err() {
        return Err("the thread that says when a request is due has panicked".into());
    }
    done
}

/// Says when each request is due, once it is.
fn pace(rate: f64, time: Duration, due: &mpsc::Sender<Instant>) {
    let started = Instant::now();
    let mut requests = 0_u32;
    loop {
        let after = Duration::from_secs_f64(f64::from(requests) / rate);
        if after >= time {
            return;
        }
        std::thread::sleep(after.saturating_sub(started.elapsed()));
        // Nobody listens any more after an error.
        if due.blocking_send(started + after).is_err() {
            return;
        }
        requests += 1;
    }
}

fn ended(call: Option<std::result::Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    call.map_or(Ok(()), |call| call?)
}

async fn call(load: Rc<Load>, number: u64, due: Instant) -> Result<()> {
    let _permit = load.free.acquire().await?;
    let idle = load.idle.borrow_mut().pop();
    let mut connection = match idle {
        Some(connection) => connection,
        None => Connection::open(load.address).await?,
    };
    let mut request = load.request.clone();
    let reply = connection.ask(request.numbered(number)).await?;
    reply.check(&request)?;
    load.done.borrow_mut().add(due.elapsed())?;
    load.idle.borrow_mut().push(connection);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_due_when_the_rate_says_even_if_nobody_was_in_time() {
        let (due, mut dues) = mpsc::channel(QUEUE);
        pace(1_000.0, Duration::from_millis(50), &due);
        drop(due);
        let first = dues.blocking_recv().unwrap();
        let mut count = 1;
        while let Some(next) = dues.blocking_recv() {
            assert_eq!((next - first).as_micros(), count * 1_000);
            count += 1;
        }
        assert_eq!(count, 50);
    }
}
