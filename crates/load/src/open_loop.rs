//! Load at a fixed rate, whatever the answers take: a request goes out when it is due, on another connection if one is
//! free, and its latency counts from when it was due. So a server that stalls is charged for every request that it
//! would have had meanwhile, and not only for those that were in flight (no "coordinated omission").

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};

use crate::Result;
use crate::load::{Caller, Done, Load};

/// Requests that may be due and not yet seen.
const QUEUE: usize = 1 << 16;

/// The requests that are due, each when it is.
#[derive(Debug)]
pub(crate) struct Schedule {
    dues: mpsc::Receiver<Instant>,
}

impl Schedule {
    /// `rate` requests a second for `time`, from now on.
    pub(crate) fn start(rate: f64, time: Duration) -> Self {
        let (due, dues) = mpsc::channel(QUEUE);
        // tokio's timers tick in milliseconds; a thread of its own is punctual to some 60 µs. It ends with the
        // receiver.
        std::thread::spawn(move || pace(rate, time, &due));
        Self { dues }
    }

    /// When the next request is due, once it is; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Instant> {
        self.dues.recv().await
    }
}

/// Sends `rate` requests a second for `time`, and waits for all answers. A request that finds all clients busy waits
/// for one, and the wait counts.
///
/// # Errors
/// If the load itself cannot run; what the server does wrong is counted.
pub fn run(load: &Rc<Load>, rate: f64, time: Duration) -> Result<Done> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut callers = load.connect().await;
        // The first ones are taken first, and those that were used last again.
        callers.reverse();
        let free = Rc::new(Semaphore::new(callers.len()));
        let idle = Rc::new(RefCell::new(callers));
        let started = Instant::now();
        let mut schedule = Schedule::start(rate, time);
        let mut calls = JoinSet::new();
        loop {
            tokio::select! {
                due = schedule.next() => match due {
                    Some(due) => {
                        calls.spawn_local(call(Rc::clone(load), Rc::clone(&free), Rc::clone(&idle), due));
                    }
                    None => break,
                },
                Some(ended) = calls.join_next(), if !calls.is_empty() => ended??,
            }
        }
        while let Some(ended) = calls.join_next().await {
            ended??;
        }
        load.take_done(started.elapsed())
    })
}

async fn call(
    load: Rc<Load>,
    free: Rc<Semaphore>,
    idle: Rc<RefCell<Vec<Caller>>>,
    due: Instant,
) -> Result<()> {
    let _permit = free.acquire().await?;
    let caller = idle.borrow_mut().pop();
    let mut caller = caller.ok_or("a permit without a client")?;
    let called = caller.call(&load, due).await;
    idle.borrow_mut().push(caller);
    called
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};

    use super::*;
    use crate::check::{Checker, Expect};
    use crate::load::{self, Client, Until};
    use crate::message::{Call, Era};

    /// A server for one connection that answers at once, but for one request at which it stalls.
    fn stalling(stall: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            for number in 1.. {
                if stream.read(&mut request).unwrap_or(0) == 0 {
                    return;
                }
                if number == 10 {
                    std::thread::sleep(stall);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
            }
        });
        address
    }

    fn load(address: SocketAddr) -> Rc<Load> {
        let server = crate::http::Server::at(&format!("http://{address}/mcp")).unwrap();
        let request = server.request(&Call::method(Era::Legacy, "ping"));
        Load::new(Client::alike(address, &request, 1), Checker::new(Expect::Anything), 0).unwrap()
    }

    #[test]
    fn a_stall_counts_for_every_request_that_was_due_meanwhile() {
        let (stall, time) = (Duration::from_millis(300), Duration::from_millis(500));
        let done = run(&load(stalling(stall)), 200.0, time).unwrap();
        assert_eq!((done.requests, done.faults.total()), (100, 0));
        // Some 60 of the 100 were due during the stall, and waited up to all of it.
        assert!(done.latency_us(0.75) > 100_000.0, "{}", done.latency_us(0.75));
        // The same stall is but one request of a closed loop.
        let done = load::run(&load(stalling(stall)), Until::Requests(100)).unwrap();
        let slow = done.latency.count_between(100_000_000, u64::MAX);
        assert!(done.requests == 100 && (1..5).contains(&slow), "{slow}");
    }

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
