//! Replicas that cannot be connected to, or whose connections die.

use super::*;

fn fail(rig: &mut Rig, conn: ConnId) {
    rig.pool.open_failed(rig.now, conn, "exit code 1: no such module".into());
}

fn health(rig: &Rig) -> ReplicaHealth {
    rig.pool.status(rig.now).replicas[0].health
}

#[test]
fn calls_to_a_replica_that_fails_are_refused_at_once_with_what_it_said() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(1, 1));
    let waiter = rig.waiting(shared(id));
    let opening = rig.asked_to_open();
    fail(&mut rig, opening[0]);
    let asked = rig.asked();
    let [Effect::Refuse { waiter: refused, error }] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(*refused, waiter);
    let AcquireError::Unavailable { retry_in, crash_looping: false, .. } = error else { panic!("{error}") };
    assert!((ms(50)..=ms(100)).contains(retry_in));
    let text = rig.refused(shared(id)).to_string();
    assert!(text.starts_with("files#1 cannot be reached; next attempt in "), "{text}");
    assert!(text.ends_with(" ms; last error: exit code 1: no such module"), "{text}");
}

#[test]
fn a_replica_that_failed_is_tried_again_by_itself_to_keep_its_minimum() {
    let mut rig = Rig::new(PoolConfig::default());
    rig.pool.add_replica(rig.now, replica(5, 1)).unwrap();
    let opening = rig.asked_to_open();
    assert_eq!(opening.len(), 4, "side by side, half of those that may");
    for conn in opening {
        fail(&mut rig, conn);
    }
    assert_eq!(rig.asked_to_open(), [], "not before the wait is over");
    rig.pass(ms(100));
    let opening = rig.asked_to_open();
    assert_eq!(opening.len(), 1, "a replica that failed is tried with one");
    assert!(matches!(health(&rig), ReplicaHealth::BackingOff { failures: 1, .. }));
    rig.pool.opened(rig.now, opening[0]);
    rig.carry_out();
    assert_eq!(rig.total(), 5);
    rig.pass_carrying_out(secs(5));
    assert_eq!(health(&rig), ReplicaHealth::Ready);
}

#[test]
fn only_a_connection_in_the_place_of_one_that_ended_unasked_is_a_restart() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(2, 1));
    let leases = [(); 2].map(|()| {
        rig.waiting(shared(id));
        rig.carry_out();
        rig.grants().pop().unwrap().1
    });
    let [kept, lost] = leases.map(|lease| {
        let conn = lease.conn();
        rig.release(lease);
        conn
    });
    assert_eq!((rig.figures().opened, rig.figures().restarts), (2, 0), "growth is none");
    rig.pass(secs(10));
    rig.pool.closed(rig.now, lost, "exit code 1".into());
    assert_eq!(rig.figures().restarts, 0, "nothing has taken its place");
    let leases = [rig.granted(shared(id)), {
        rig.waiting(shared(id));
        rig.carry_out();
        rig.grants().pop().unwrap().1
    }];
    assert_eq!((rig.figures().opened, rig.figures().restarts), (3, 1));
    assert_eq!(leases[0].conn(), kept);
    rig.release_all(leases.into());
    // Closed because nobody needs it, and opened again.
    rig.pass_carrying_out(PoolConfig::default().idle_timeout + secs(60));
    assert_eq!(rig.total(), 0);
    rig.waiting(shared(id));
    rig.carry_out();
    assert_eq!((rig.figures().opened, rig.figures().restarts), (4, 1));
}

#[test]
fn a_replica_that_hangs_does_not_hold_up_the_others() {
    let mut rig = Rig::new(PoolConfig { min_connections: 0, ..PoolConfig::default() });
    let [hangs, well] = [(); 2].map(|()| rig.pool.add_replica(rig.now, replica(20, 1)).unwrap());
    for session in 0..20 {
        rig.waiting(lane(hangs, Scope::Session(session)));
    }
    assert_eq!(rig.asked_to_open().len(), 4);
    rig.waiting(shared(well));
    rig.carry_out();
    assert_eq!(rig.grants().len(), 1);
}

#[test]
fn a_replica_without_a_minimum_is_tried_again_when_somebody_asks() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(1, 1));
    rig.waiting(shared(id));
    let opening = rig.asked_to_open();
    fail(&mut rig, opening[0]);
    rig.pass(secs(100));
    assert_eq!(rig.asked_to_open(), []);
    rig.waiting(shared(id));
    rig.carry_out();
    assert_eq!(rig.grants().len(), 1);
}

#[test]
fn a_crash_loop_is_recognised_and_tried_rarely() {
    let config = PoolConfig { min_connections: 1, ..PoolConfig::default() };
    let mut rig = Rig::new(config);
    let id = rig.pool.add_replica(rig.now, replica(1, 1)).unwrap();
    let start = rig.now;
    let mut tried = Vec::new();
    while rig.now < start + secs(120) {
        for conn in rig.asked_to_open() {
            tried.push((rig.now - start).as_secs_f64());
            // It starts, and dies before it is of any use.
            rig.pool.opened(rig.now, conn);
            rig.pass(ms(300));
            rig.pool.closed(rig.now, conn, "Error: Cannot find module 'x'".into());
        }
        match rig.pool.next_deadline() {
            Some(due) => rig.pass(due - rig.now),
            None => panic!("nobody would try again"),
        }
    }
    assert_eq!(tried.len(), 5 + 3, "{tried:?}");
    let ReplicaHealth::CrashLooping { failures: 8, .. } = health(&rig) else { panic!("{:?}", health(&rig)) };
    let status = rig.pool.status(rig.now);
    assert_eq!(status.replicas[0].last_error.as_deref(), Some("Error: Cannot find module 'x'"));
    for conn in rig.asked_to_open() {
        fail(&mut rig, conn);
    }
    let text = rig.refused(shared(id)).to_string();
    assert!(text.starts_with("files#1 is crash-looping; next attempt in "), "{text}");
}

#[test]
fn a_server_that_runs_by_itself_is_never_crash_looping_and_is_tried_when_somebody_hopes() {
    let mut rig = Rig::new(PoolConfig { min_connections: 1, ..PoolConfig::default() });
    let server = ReplicaConfig { process: false, ..replica(5, 1) };
    let id = rig.pool.add_replica(rig.now, server).unwrap();
    for failures in 1..10 {
        for conn in rig.asked_to_open() {
            fail(&mut rig, conn);
        }
        assert!(matches!(health(&rig), ReplicaHealth::BackingOff { failures: now, .. } if now == failures));
        rig.pass(ms(1));
        rig.pool.try_again(rig.now, id);
    }
    let opening = rig.asked_to_open();
    rig.pool.opened(rig.now, opening[0]);
    let lease = rig.granted(shared(id));
    rig.release(lease);
}

#[test]
fn a_crash_loop_is_left_alone_whoever_hopes() {
    let mut rig = Rig::new(PoolConfig { min_connections: 1, ..PoolConfig::default() });
    let id = rig.pool.add_replica(rig.now, replica(1, 1)).unwrap();
    for _ in 0..CRASH_LOOP_FAILURES {
        let opening = rig.asked_to_open();
        fail(&mut rig, opening[0]);
        rig.pass(ms(1));
        rig.pool.try_again(rig.now, id);
    }
    assert!(matches!(health(&rig), ReplicaHealth::CrashLooping { .. }));
    assert_eq!(rig.asked_to_open(), []);
}

#[test]
fn the_end_of_a_connection_that_lived_is_no_failure() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(5, 1));
    let lease = rig.granted(shared(id));
    rig.pass(secs(6));
    rig.pool.closed(rig.now, lease.conn(), "killed".into());
    assert_eq!(rig.asked_to_open().len(), 1);
    assert_eq!(health(&rig), ReplicaHealth::Ready);
    rig.release(lease);
    let figures = rig.figures();
    assert_eq!((figures.retired(CloseReason::Lost), figures.calls_in_flight), (1, 0));
}

#[test]
fn calls_wait_for_the_connections_that_a_failing_replica_still_has() {
    let (mut rig, id) = Rig::with(PoolConfig { min_connections: 1, ..on_demand(50) }, replica(2, 1));
    let lease = rig.granted(shared(id));
    let waiter = rig.waiting(shared(id));
    let opening = rig.asked_to_open();
    fail(&mut rig, opening[0]);
    assert_eq!(rig.asked(), [], "the one that is open will be free");
    assert!(matches!(rig.refused(lane(id, Scope::Principal(1))), AcquireError::Unavailable { .. }));
    rig.release(lease);
    assert_eq!(rig.grants()[0].0, waiter);
}

#[test]
fn the_last_connection_to_a_failing_replica_takes_the_hope_of_those_that_wait_along() {
    let (mut rig, id) = Rig::with(PoolConfig { min_connections: 1, ..on_demand(50) }, replica(2, 1));
    let lease = rig.granted(shared(id));
    let waiter = rig.waiting(shared(id));
    let opening = rig.asked_to_open();
    fail(&mut rig, opening[0]);
    rig.pool.closed(rig.now, lease.conn(), "killed".into());
    let asked = rig.asked();
    let refused = |e: &Effect| matches!(e, Effect::Refuse { waiter: w, error: AcquireError::Unavailable { .. } } if *w == waiter);
    assert!(asked.iter().any(refused), "{asked:?}");
    rig.release(lease);
}

#[test]
fn a_connection_is_kept_beyond_its_age_while_no_other_can_be_opened() {
    let config = PoolConfig { min_connections: 1, max_uses: 1, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(2, 1));
    for n in 0..20 {
        let lease = rig.granted(shared(id));
        assert!(n == 0 || rig.pool.next_deadline() > Some(rig.now), "it needs no further looking after");
        rig.pass(secs(1));
        rig.release(lease);
        for conn in rig.asked_to_open() {
            fail(&mut rig, conn);
        }
    }
    assert_eq!(rig.figures().hits, 20);
}
