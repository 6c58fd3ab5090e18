//! Start, changes of settings, and drain.

use super::*;

#[test]
fn the_minimum_of_all_replicas_is_opened_with_a_bounded_number_at_a_time() {
    let mut rig = Rig::new(PoolConfig::default());
    for _ in 0..3 {
        rig.pool.add_replica(rig.now, replica(10, 1)).unwrap();
    }
    let mut most = 0;
    let mut opening = rig.asked_to_open();
    while let Some(conn) = opening.pop() {
        most = most.max(opening.len() + 1);
        rig.pool.opened(rig.now, conn);
        opening.extend(rig.asked_to_open());
    }
    assert_eq!((most, rig.total()), (8, 15));
}

#[test]
fn replicas_share_a_maximum_that_is_too_small_for_all_their_minimums() {
    let mut rig = Rig::new(PoolConfig { max_connections: 12, max_opening: 1, ..PoolConfig::default() });
    for _ in 0..4 {
        rig.pool.add_replica(rig.now, replica(10, 1)).unwrap();
    }
    rig.carry_out();
    let replicas = rig.pool.status(rig.now).replicas;
    assert!(replicas.iter().all(|r| r.figures.connections.total == 3), "{replicas:?}");
}

#[test]
fn settings_change_without_a_call_lost() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(10, 1));
    let mut leases: Vec<_> = (0..3).map(|_| rig.granted(shared(id))).collect();
    let smaller = PoolConfig { max_connections: 2, min_connections: 1, ..PoolConfig::default() };
    rig.pool.reconfigure(rig.now, smaller.clone()).unwrap();
    let closed = closes(&rig.asked());
    assert_eq!(closed.len(), 2, "those that are idle");
    for (conn, reason) in closed {
        assert_eq!(reason, CloseReason::Shrunk);
        rig.pool.closed(rig.now, conn, "".into());
    }
    assert_eq!((rig.figures().calls_in_flight, rig.figures().connections.draining), (3, 1));
    let waiter = rig.waiting(shared(id));
    assert_eq!(rig.asked_to_open(), [], "above the maximum nothing is opened");
    let last = leases.pop().unwrap();
    rig.release_all(leases);
    rig.release(last);
    rig.carry_out();
    assert_eq!((rig.grants()[0].0, rig.total()), (waiter, 2));
    let bad = PoolConfig { min_connections: 3, ..smaller.clone() };
    assert!(rig.pool.reconfigure(rig.now, bad).is_err());
    assert_eq!(*rig.pool.config(), smaller);
}

#[test]
fn a_larger_minimum_is_opened_one_by_one() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(10, 1));
    let more = ReplicaConfig { min_connections: Some(3), ..replica(10, 1) };
    rig.pool.configure_replica(rig.now, id, more).unwrap();
    let opening = rig.asked_to_open();
    rig.pool.opened(rig.now, opening[0]);
    rig.carry_out();
    assert_eq!(rig.total(), 3);
}

#[test]
fn a_replica_whose_address_changed_is_reopened_connection_by_connection() {
    let config = PoolConfig { min_connections: 2, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(3, 1));
    let lease = rig.granted(shared(id));
    let old = lease.conn();
    rig.pool.recycle(rig.now, id);
    let mut replaced = 0;
    loop {
        let asked = rig.asked();
        if asked.is_empty() {
            break;
        }
        assert!(rig.figures().connections.available + rig.figures().connections.in_use >= 2);
        for effect in asked {
            match effect {
                Effect::Open { conn, .. } => rig.pool.opened(rig.now, conn),
                Effect::Close { conn, reason } => {
                    assert_eq!(reason, CloseReason::Recycled);
                    replaced += 1;
                    rig.pool.closed(rig.now, conn, "".into());
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(replaced, 1, "the other has a call in flight");
    rig.release(lease);
    assert_eq!(closes(&rig.asked()), [(old, CloseReason::Recycled)]);
}

#[test]
fn a_drain_refuses_new_calls_waits_for_the_others_and_cuts_off_what_is_left() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(2, 1));
    let [quick, slow] = [(); 2].map(|()| rig.granted(shared(id)));
    let waiter = rig.waiting(shared(id));
    rig.pool.drain(rig.now, DrainTarget::All, rig.now + secs(30));
    let error = AcquireError::Draining { replica: "files#1".into() };
    assert_eq!(rig.asked(), [Effect::Refuse { waiter, error: error.clone() }]);
    assert_eq!(rig.refused(shared(id)), error);
    let (quick_conn, slow_conn) = (quick.conn(), slow.conn());
    rig.pass(secs(10));
    rig.release(quick);
    assert_eq!(closes(&rig.asked()), [(quick_conn, CloseReason::Drained)]);
    rig.pool.closed(rig.now, quick_conn, "".into());
    rig.pass(ms(19_999));
    assert_eq!(rig.asked(), []);
    rig.pass(ms(1));
    assert_eq!(closes(&rig.asked()), [(slow_conn, CloseReason::Drained)]);
    assert!(!rig.pool.is_drained(DrainTarget::All));
    rig.pool.closed(rig.now, slow_conn, "".into());
    assert!(rig.pool.is_drained(DrainTarget::All));
    assert_eq!(rig.pool.next_deadline(), None);
    rig.release(slow);
    let figures = rig.figures();
    assert_eq!((figures.connections, figures.calls_in_flight), (ConnectionFigures::default(), 0));
    let late = rig.pool.add_replica(rig.now, replica(1, 1)).unwrap();
    assert!(matches!(rig.refused(shared(late)), AcquireError::Draining { .. }));
}

#[test]
fn an_opening_that_a_drain_overtakes_is_given_up() {
    let mut rig = Rig::new(PoolConfig::default());
    let id = rig.pool.add_replica(rig.now, replica(1, 1)).unwrap();
    let opening = rig.asked_to_open();
    rig.pool.drain(rig.now, DrainTarget::Replica(id), rig.now + secs(1));
    assert_eq!(closes(&rig.asked()), [(opening[0], CloseReason::Drained)]);
    // It had opened before the driver could stop it.
    rig.pool.opened(rig.now, opening[0]);
    assert_eq!(rig.figures().connections.closing, 1);
    rig.pool.closed(rig.now, opening[0], "".into());
    assert!(rig.pool.is_drained(DrainTarget::Replica(id)));
}

#[test]
fn a_removed_replica_is_forgotten_but_its_history_counts() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(2, 1));
    let lease = rig.granted(shared(id));
    rig.pool.remove_replica(rig.now, id, rig.now + secs(30));
    rig.carry_out();
    assert_eq!(rig.pool.status(rig.now).replicas.len(), 1, "a call is in flight");
    rig.release(lease);
    rig.carry_out();
    let status = rig.pool.status(rig.now);
    assert!(status.replicas.is_empty());
    assert_eq!((status.all.hits, status.all.opened), (1, 2));
    assert_eq!(rig.refused(shared(id)), AcquireError::UnknownReplica);
    assert_eq!(rig.pool.configure_replica(rig.now, id, replica(1, 1)), Err(PoolConfigError::UnknownReplica));
}
