use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;

fn key(name: u8) -> Key {
    Key::from_bytes(&[name])
}

/// An upstream that counts what reaches it.
#[derive(Debug, Default)]
struct Upstream {
    begun: AtomicU64,
    cancelled: AtomicU64,
}

struct CancelNoted(Arc<Upstream>, bool);

impl Drop for CancelNoted {
    fn drop(&mut self) {
        self.0.cancelled.fetch_add(u64::from(!self.1), Ordering::Relaxed);
    }
}

impl Upstream {
    /// Answers after so many milliseconds with the number of the call.
    fn call(self: &Arc<Self>, takes_ms: u64) -> impl Future<Output = u64> + Send + use<> {
        let this = Arc::clone(self);
        async move {
            let number = this.begun.fetch_add(1, Ordering::Relaxed);
            let mut noted = CancelNoted(this, false);
            sleep(Duration::from_millis(takes_ms)).await;
            noted.1 = true;
            number
        }
    }

    fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::Relaxed), self.cancelled.load(Ordering::Relaxed))
    }
}

fn stamp(changes: u64) -> Stamp {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&changes.to_le_bytes());
    Stamp::from_bytes(&bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn of_three_equal_calls_one_reaches_the_upstream_and_a_cancel_of_one_is_nobody_elses() {
    for cancelled in 0..3 {
        let (flights, upstream) = (Flights::new(), Arc::<Upstream>::default());
        let mut waiting: Vec<JoinHandle<Option<u64>>> = (0..3)
            .map(|_| tokio::spawn(flights.join(&key(1), Stamp::ORIGIN, |_| upstream.call(100)).wait()))
            .collect();
        sleep(Duration::from_millis(50)).await;
        waiting.remove(cancelled).abort();
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Some(0));
        }
        assert_eq!((upstream.counts(), flights.len(), flights.joined()), ((1, 0), 0, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn the_cancel_of_the_last_one_reaches_the_upstream() {
    let (flights, upstream) = (Flights::new(), Arc::<Upstream>::default());
    let waiting: Vec<JoinHandle<Option<u64>>> = (0..3)
        .map(|_| tokio::spawn(flights.join(&key(1), Stamp::ORIGIN, |_| upstream.call(1_000)).wait()))
        .collect();
    sleep(Duration::from_millis(10)).await;
    for (at, waiting) in waiting.into_iter().enumerate() {
        assert_eq!(upstream.counts(), (1, 0), "{at}");
        waiting.abort();
        assert!(waiting.await.is_err());
    }
    assert_eq!((upstream.counts(), flights.len()), ((1, 1), 0));
    let again = flights.join(&key(1), Stamp::ORIGIN, |_| upstream.call(5));
    assert!(again.leads() && again.wait().await == Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_question_to_the_client_makes_the_call_its_own_and_the_others_leave() {
    let flights = Flights::new();
    let asking = |personal: Arc<Personal>| async move {
        sleep(Duration::from_millis(10)).await;
        personal.set();
        sleep(Duration::from_millis(10)).await;
        7
    };
    let leader = flights.join(&key(1), Stamp::ORIGIN, asking);
    let follower = flights.join(&key(1), Stamp::ORIGIN, asking);
    assert!(leader.leads() && !follower.leads());
    let (leader, follower) = (tokio::spawn(leader.wait()), tokio::spawn(follower.wait()));
    sleep(Duration::from_millis(15)).await;
    assert_eq!(follower.await.unwrap(), None);
    assert!(flights.join(&key(1), Stamp::ORIGIN, asking).leads(), "nobody joins it any more");
    assert_eq!(leader.await.unwrap(), Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_begun_before_a_change_is_not_joined_after_it() {
    let (flights, upstream) = (Flights::new(), Arc::<Upstream>::default());
    let before = flights.join(&key(1), stamp(0), |_| upstream.call(100));
    let after = flights.join(&key(1), stamp(1), |_| upstream.call(100));
    let joins = flights.join(&key(1), stamp(1), |_| upstream.call(100));
    assert!(before.leads() && after.leads() && !joins.leads());
    let (before, after, joins) = tokio::join!(before.wait(), after.wait(), joins.wait());
    assert_eq!((before, after, joins), (Some(0), Some(1), Some(1)));
    assert_eq!(flights.len(), 0, "the end of the first has not taken the second out");
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Bytes>>, AtomicBool);

impl Outlet for Heard {
    fn push_with(&self, message: Bytes, _: Priority) {
        self.0.lock().unwrap().push(message);
    }

    fn poll_ready(&self, _cx: &mut Context<'_>) -> Poll<()> {
        if self.1.load(Ordering::Relaxed) { Poll::Pending } else { Poll::Ready(()) }
    }
}

#[test]
fn messages_go_to_a_client_that_waits_and_reads_and_hold_up_nobody() {
    let heard = Arc::<Heard>::default();
    let outlet: Arc<dyn Outlet> = Arc::clone(&heard) as Arc<dyn Outlet>;
    let voice = Voice::new(&outlet);
    let waiting = voice.while_waiting();
    voice.push("1".into());
    heard.1.store(true, Ordering::Relaxed);
    voice.push("it does not read".into());
    assert!(voice.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    heard.1.store(false, Ordering::Relaxed);
    drop(waiting);
    voice.push("it has gone".into());
    assert_eq!(*heard.0.lock().unwrap(), ["1"]);
}

/// One client of a random history.
#[derive(Debug, Clone)]
struct Client {
    at_ms: u64,
    key: u8,
    /// Gives up so long after it has begun to wait.
    patience_ms: Option<u64>,
    /// Before it asks, something changes.
    after_change: bool,
}

fn clients() -> impl Strategy<Value = Vec<Client>> {
    let client = (0..200_u64, 0..2_u8, prop::option::of(0..120_u64), prop::bool::weighted(0.15))
        // Even and odd moments, so that no two things happen at the same one.
        .prop_map(|(at, key, patience, after_change)| Client {
            at_ms: at * 4,
            key,
            patience_ms: patience.map(|ms| ms * 4 + 2),
            after_change,
        });
    prop::collection::vec(client, 1..25).prop_map(|mut clients| {
        clients.sort_by_key(|client| client.at_ms);
        clients
    })
}

/// How long every call takes; ends at a moment at which nothing else happens.
const TAKES_MS: u64 = 161;

/// What each client gets: the number of the call that it shares, or nothing; and how many calls were cancelled.
fn expected(clients: &[Client]) -> (Vec<Option<u64>>, u64, u64) {
    struct Call {
        key: u8,
        changes: u64,
        began: u64,
        /// Until when each of those who wait does.
        until: Vec<u64>,
    }
    let mut calls: Vec<Call> = Vec::new();
    let mut changes = [0; 2];
    let mut member = Vec::new();
    for client in clients {
        changes[usize::from(client.key)] += u64::from(client.after_change);
        let now = client.at_ms;
        let until = client.patience_ms.map_or(u64::MAX, |ms| now + ms);
        let joins = calls.iter().rposition(|call| call.key == client.key).filter(|at| {
            let call = &calls[*at];
            let is_waited_for = call.until.iter().any(|until| *until > now);
            call.changes == changes[usize::from(client.key)] && now < call.began + TAKES_MS && is_waited_for
        });
        let at = joins.unwrap_or_else(|| {
            let changes = changes[usize::from(client.key)];
            calls.push(Call { key: client.key, changes, began: now, until: Vec::new() });
            calls.len() - 1
        });
        calls[at].until.push(until);
        member.push((at, until));
    }
    let ends = |call: &Call| call.began + TAKES_MS;
    let gets = member.iter().map(|(at, until)| (*until > ends(&calls[*at])).then_some(*at as u64));
    let cancelled = calls.iter().filter(|call| call.until.iter().all(|until| *until <= ends(call)));
    (gets.collect(), calls.len() as u64, cancelled.count() as u64)
}

async fn run(clients: Vec<Client>) -> (Vec<Option<u64>>, u64, u64) {
    let (flights, upstream) = (Flights::new(), Arc::<Upstream>::default());
    let start = Instant::now();
    let mut changes = [0; 2];
    let mut waiting = Vec::new();
    for client in clients {
        tokio::time::sleep_until(start + Duration::from_millis(client.at_ms)).await;
        let changes = &mut changes[usize::from(client.key)];
        *changes += u64::from(client.after_change);
        let seat = flights.join(&key(client.key), stamp(*changes), |_| upstream.call(TAKES_MS));
        let patience = client.patience_ms.map_or(Duration::MAX, Duration::from_millis);
        waiting.push(tokio::spawn(async move {
            tokio::time::timeout(patience, seat.wait()).await.ok().flatten()
        }));
        // The call is under way before the next client comes.
        tokio::task::yield_now().await;
    }
    let mut got = Vec::new();
    for waiting in waiting {
        got.push(waiting.await.unwrap());
    }
    assert_eq!(flights.len(), 0, "nothing is left behind");
    let (begun, cancelled) = upstream.counts();
    (got, begun, cancelled)
}

proptest! {
    #[test]
    fn whoever_comes_and_goes_each_call_is_made_once_and_cancelled_only_by_the_last(clients in clients()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let expected = expected(&clients);
        prop_assert_eq!(runtime.block_on(run(clients)), expected);
    }
}
