//! Who waits, for how long, and who is next.

use super::*;

#[test]
fn calls_of_a_lane_are_served_in_the_order_in_which_they_came() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 1));
    let mut lease = rig.granted(shared(id));
    let waiters: Vec<_> = (0..5).map(|_| rig.waiting(shared(id))).collect();
    for waiter in waiters {
        rig.release(lease);
        let (next, granted) = rig.grants().pop().unwrap();
        assert_eq!(next, waiter);
        assert!(granted.hit(), "waiting for a connection in use is no miss");
        lease = granted;
    }
    assert_eq!(rig.figures().hit_rate(), Some(1.0));
}

#[test]
fn a_call_waits_no_longer_than_the_time_out_and_no_longer_than_its_deadline() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 1));
    let _lease = rig.granted(shared(id));
    let long = rig.waiting(shared(id));
    let Acquire::Waiting(short) = rig.pool.acquire(rig.now, shared(id), rig.now + ms(100)) else { panic!() };
    rig.pass(ms(99));
    assert_eq!(rig.asked(), []);
    rig.pass(ms(1));
    let asked = rig.asked();
    assert!(matches!(&asked[..], [Effect::Refuse { waiter, .. }] if *waiter == short), "{asked:?}");
    rig.pass(ms(4_900));
    let asked = rig.asked();
    let [Effect::Refuse { waiter, error }] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(*waiter, long);
    assert_eq!(
        error.to_string(),
        "connection pool timeout: files#1 had no free connection for 5000 ms \
         (in use 1, idle 0, opening 0, waiting 1, max 50)"
    );
    let figures = rig.figures();
    assert_eq!((figures.timeouts, figures.waiting), (2, 0));
    assert!(rig.waits().unwrap().max.abs_diff(secs(5)) < ms(50));
}

#[test]
fn a_call_without_time_left_is_served_at_once_or_not_at_all() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 1));
    let Acquire::Granted(_lease) = rig.pool.acquire(rig.now, shared(id), rig.now) else { panic!() };
    let answer = rig.pool.acquire(rig.now, shared(id), rig.now);
    assert!(matches!(answer, Acquire::Refused(AcquireError::Timeout { .. })), "{answer:?}");
}

#[test]
fn beyond_ten_waiting_calls_per_connection_the_next_is_refused_at_once() {
    let (mut rig, id) = Rig::with(on_demand(2), replica(1, 1));
    for _ in 0..20 {
        rig.waiting(shared(id));
    }
    assert_eq!(rig.refused(shared(id)), AcquireError::Overloaded { waiting: 20 });
}

#[test]
fn a_lane_that_floods_the_queue_crowds_out_itself_only() {
    let (mut rig, id) = Rig::with(on_demand(2), replica(1, 1));
    let flood = lane(id, Scope::Principal(1));
    let waiters: Vec<_> = (0..20).map(|_| rig.waiting(flood)).collect();
    rig.asked();
    rig.waiting(lane(id, Scope::Principal(2)));
    let asked = rig.asked();
    let refused = |effect: &Effect| matches!(effect, Effect::Refuse { waiter, error: AcquireError::Overloaded { .. } } if *waiter == waiters[19]);
    assert!(asked.iter().any(refused), "{asked:?}");
    assert_eq!(rig.figures().waiting, 20);
    assert!(matches!(rig.refused(flood), AcquireError::Overloaded { .. }));
}

#[test]
fn a_call_that_gives_up_leaves_the_queue() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 1));
    let lease = rig.granted(shared(id));
    let (first, second) = (rig.waiting(shared(id)), rig.waiting(shared(id)));
    assert!(rig.pool.cancel(rig.now, first));
    assert!(!rig.pool.cancel(rig.now, first));
    rig.release(lease);
    assert_eq!(rig.grants()[0].0, second);
    assert_eq!(rig.figures().cancelled, 1);
}

#[test]
fn a_lease_for_a_call_that_gave_up_goes_to_the_next() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 1));
    let lease = rig.granted(shared(id));
    let [first, second, third] = [(); 3].map(|()| rig.waiting(shared(id)));
    rig.release(lease);
    // Its grant is decided but not yet taken.
    assert!(rig.pool.cancel(rig.now, first));
    let (to, lease) = rig.grants().pop().unwrap();
    assert_eq!(to, second);
    // Its grant was taken: the driver finds nobody there and gives the lease back.
    assert!(!rig.pool.cancel(rig.now, second));
    rig.pool.release(rig.now, lease, Outcome::Unused);
    assert_eq!(rig.grants()[0].0, third);
}

#[test]
fn one_connection_is_opened_however_many_calls_wait_for_it() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(10, 1));
    for _ in 0..30 {
        rig.waiting(shared(id));
    }
    for opened in 1..=10 {
        let opening = rig.asked_to_open();
        assert_eq!(opening.len(), 1, "after {opened}");
        rig.pool.opened(rig.now, opening[0]);
    }
    assert_eq!(rig.asked_to_open(), []);
    let figures = rig.figures();
    assert_eq!((figures.misses, figures.hits, figures.waiting), (10, 0, 20));
}

#[test]
fn each_client_that_needs_a_connection_of_its_own_gets_one_opened() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(50, 8));
    for session in 0..3 {
        for _ in 0..5 {
            rig.waiting(lane(id, Scope::Session(session)));
        }
    }
    assert_eq!(rig.asked_to_open().len(), 3);
}

#[test]
fn a_busy_lane_gives_up_a_connection_for_one_that_has_none() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 2));
    let busy = lane(id, Scope::Principal(1));
    // There is never a moment without a call of the first principal.
    let mut last = rig.granted(busy);
    let starved = rig.waiting(lane(id, Scope::Principal(2)));
    let mut got = None;
    let mut queued = Vec::new();
    for _ in 0..10 {
        rig.pass(ms(100));
        match rig.acquire(busy) {
            Acquire::Granted(next) => rig.release(std::mem::replace(&mut last, next)),
            Acquire::Waiting(waiter) => queued.push(waiter),
            Acquire::Refused(error) => panic!("{error}"),
        }
        if !queued.is_empty() {
            break;
        }
    }
    assert!(!queued.is_empty(), "after half a second the connection takes no more calls");
    rig.release(last);
    rig.carry_out();
    for (waiter, lease) in rig.grants() {
        got = got.or(Some(waiter));
        rig.release(lease);
    }
    assert_eq!(got, Some(starved), "who has gone longest without comes first");
}

#[test]
fn waits_hits_and_misses_are_counted_apart() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(1, 1));
    assert_eq!(rig.figures().hit_rate(), None);
    assert_eq!(rig.waits(), None);
    rig.waiting(shared(id));
    let opening = rig.asked_to_open();
    rig.pass(ms(200));
    rig.pool.opened(rig.now, opening[0]);
    let (_, lease) = rig.grants().pop().unwrap();
    rig.release(lease);
    for _ in 0..3 {
        let lease = rig.granted(shared(id));
        rig.release(lease);
    }
    let status = rig.pool.status(rig.now);
    let figures = &status.replicas[0].figures;
    assert_eq!((figures.misses, figures.hits, figures.hit_rate()), (1, 3, Some(0.75)));
    let waits = rig.waits().unwrap();
    assert_eq!(waits.p50, Duration::ZERO);
    assert!(waits.p99.abs_diff(ms(200)) <= ms(2));
    assert_eq!(status.all, *figures);
    let waits = rig.pool.waits();
    assert_eq!(waits.of(id), Some(&waits.all));
}
