//! Who shares a connection with whom.

use super::*;

#[test]
fn calls_share_a_connection_until_it_is_full() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(10, 3));
    let _wait = rig.waiting(shared(id));
    rig.carry_out();
    let (_, first) = rig.grants().pop().unwrap();
    let others = [rig.granted(shared(id)), rig.granted(shared(id))];
    assert!(others.iter().all(|lease| lease.conn() == first.conn() && lease.hit()));
    assert!(!first.hit(), "the connection was opened for it");
    assert!(rig.asked().is_empty(), "there was no need for another");
    rig.waiting(shared(id));
    assert_eq!(rig.asked_to_open().len(), 1);
}

#[test]
fn workers_that_take_one_call_at_a_time_grow_with_the_load_and_shrink_after_it() {
    let workers = ReplicaConfig { min_connections: Some(1), grow_at: Some(1), ..replica(4, 16) };
    let (mut rig, id) = Rig::with(PoolConfig::default(), workers);
    assert_eq!(rig.total(), 1);
    let mut leases = Vec::new();
    for _ in 0..8 {
        leases.push(rig.granted(shared(id)));
        rig.carry_out();
    }
    assert_eq!(rig.total(), 4, "up to its own maximum");
    let calls: Vec<_> =
        leases.iter().map(|l| leases.iter().filter(|m| m.conn() == l.conn()).count()).collect();
    assert_eq!(calls, [2; 8]);
    rig.release_all(leases);
    rig.pass_carrying_out(secs(301));
    assert_eq!(rig.total(), 1);
}

#[test]
fn the_connection_used_last_is_used_next() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(5, 1));
    let leases: Vec<_> = (0..5).map(|_| rig.granted(shared(id))).collect();
    let order: Vec<_> = leases.iter().map(Lease::conn).collect();
    rig.release_all(leases);
    let again: Vec<_> = (0..5).map(|_| rig.granted(shared(id)).conn()).collect();
    assert!(again.iter().eq(order.iter().rev()), "{again:?}");
}

#[test]
fn a_connection_never_changes_its_scope() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(1, 8));
    rig.waiting(lane(id, Scope::Principal(1)));
    rig.carry_out();
    let (_, lease) = rig.grants().pop().unwrap();
    let first = lease.conn();
    rig.release(lease);
    for (scope, reason) in [
        (Scope::Principal(2), CloseReason::Evicted),
        (Scope::Session(1), CloseReason::Evicted),
        (Scope::Shared, CloseReason::Evicted),
    ] {
        let waiter = rig.waiting(lane(id, scope));
        let asked = rig.asked();
        let [(closed, because)] = closes(&asked)[..] else { panic!("{asked:?}") };
        assert_eq!(because, reason, "the only room is that of the other's connection");
        rig.pool.closed(rig.now, closed, "".into());
        rig.carry_out();
        let (granted, lease) = rig.grants().pop().unwrap();
        assert_eq!(granted, waiter);
        assert_ne!(lease.conn(), first);
        rig.release(lease);
    }
}

#[test]
fn another_variant_needs_another_connection() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(6, 8));
    let Acquire::Waiting(_) = rig.acquire(Lane { variant: 1, ..shared(id) }) else { panic!() };
    let asked = rig.asked();
    assert!(matches!(asked[..], [Effect::Open { variant: 1, .. }]), "{asked:?}");
}

#[test]
fn what_a_replica_turned_out_not_to_have_is_not_opened_again() {
    let (mut rig, id) = Rig::with(on_demand(8), replica(6, 8));
    let wanted = Lane { variant: 1, ..shared(id) };
    let first = rig.waiting(wanted);
    let [conn] = rig.asked_to_open()[..] else { panic!() };
    rig.pool.opened_as(rig.now, conn, 0);
    let refused = rig.asked();
    let is_refusal = |effect: &Effect| matches!(effect, Effect::Refuse { waiter, error: AcquireError::OtherVariant } if *waiter == first);
    assert!(refused.iter().any(is_refusal), "{refused:?}");
    // One that had asked its question before it could know the answer.
    assert!(matches!(rig.acquire(wanted), Acquire::Refused(AcquireError::OtherVariant)));
    assert_eq!(rig.asked_to_open().len(), 0);
    let lease = rig.granted(shared(id));
    rig.release(lease);
    // The server is another one now.
    rig.pool.closed(rig.now + secs(60), conn, "".into());
    rig.now += secs(60);
    rig.waiting(shared(id));
    let [conn] = rig.asked_to_open()[..] else { panic!() };
    rig.pool.opened_as(rig.now, conn, 1);
    let lease = rig.granted(wanted);
    rig.release(lease);
    assert!(matches!(rig.acquire(shared(id)), Acquire::Refused(AcquireError::OtherVariant)));
}

#[test]
fn calls_in_two_variants_do_not_take_the_only_connection_from_each_other() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 8));
    let lanes = [0, 1].map(|variant| Lane { variant, ..shared(id) });
    for lane in lanes {
        if let Acquire::Granted(lease) = rig.acquire(lane) {
            rig.release(lease);
        }
        rig.carry_out();
        rig.grants().into_iter().for_each(|(_, lease)| rig.release(lease));
    }
    for _ in 0..100 {
        for lane in lanes {
            let lease = rig.granted(lane);
            rig.release(lease);
        }
    }
    assert_eq!(rig.figures().opened, 2);
}

#[test]
fn a_request_has_its_connection_for_itself_and_once() {
    let config = PoolConfig { min_connections: 1, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(2, 8));
    let lease = rig.granted(lane(id, Scope::Request));
    let conn = lease.conn();
    assert_eq!(rig.asked_to_open().len(), 0, "its replacement waits for what happens next");
    let other = rig.waiting(shared(id));
    rig.carry_out();
    assert_eq!(rig.grants()[0].0, other);
    rig.release(lease);
    assert_eq!(closes(&rig.asked()), [(conn, CloseReason::RequestServed)]);
}

#[test]
fn requests_that_each_need_a_connection_are_opened_for_side_by_side() {
    let (mut rig, id) = Rig::with(on_demand(50), replica(50, 8));
    for _ in 0..10 {
        rig.waiting(lane(id, Scope::Request));
    }
    assert_eq!(rig.asked_to_open().len(), 4, "as many as one replica may open at once");
}

#[test]
fn a_session_has_one_connection_however_many_calls_it_makes() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(5, 2));
    let session = lane(id, Scope::Session(7));
    let leases = [rig.granted(session), rig.granted(session)];
    assert_eq!(leases[0].conn(), leases[1].conn());
    let third = rig.waiting(session);
    let [lease, _other] = leases;
    rig.release(lease);
    let (granted, lease) = rig.grants().pop().unwrap();
    assert_eq!((granted, lease.hit()), (third, true));
}

#[test]
fn the_end_of_a_session_ends_its_connection_and_its_waiting_calls() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(5, 1));
    let (session, other) = (Scope::Session(7), Scope::Session(8));
    let lease = rig.granted(lane(id, session));
    let kept = rig.granted(lane(id, other));
    let waiter = rig.waiting(lane(id, session));
    let conn = lease.conn();
    rig.pool.scope_ended(rig.now, session);
    let asked = rig.asked();
    assert_eq!(asked[0], Effect::Refuse { waiter, error: AcquireError::ScopeEnded });
    assert_eq!(closes(&asked), [], "a call is in flight");
    rig.release(lease);
    assert_eq!(closes(&rig.asked()), [(conn, CloseReason::ScopeEnded)]);
    rig.release(kept);
    rig.pool.scope_ended(rig.now, other);
    assert_eq!(closes(&rig.asked()).len(), 1);
}

#[test]
fn a_connection_over_which_nothing_was_sent_is_anybodys() {
    let (mut rig, id) = Rig::with(on_demand(1), replica(1, 8));
    for scope in [Scope::Session(1), Scope::Request, Scope::Principal(1)] {
        let lease = if let Acquire::Granted(lease) = rig.acquire(lane(id, scope)) {
            lease
        } else {
            rig.carry_out();
            rig.grants().pop().unwrap().1
        };
        rig.pool.release(rig.now, lease, Outcome::Unused);
        assert_eq!(closes(&rig.asked()), []);
    }
    assert_eq!(rig.figures().opened, 1);
}

#[test]
fn at_capacity_the_connection_idle_longest_makes_room_whosever_it_is() {
    let mut rig = Rig::new(on_demand(3));
    let ids = [(); 4].map(|()| rig.pool.add_replica(rig.now, replica(3, 1)).unwrap());
    let mut used = Vec::new();
    for id in &ids[..3] {
        rig.waiting(shared(*id));
        rig.carry_out();
        let (_, lease) = rig.grants().pop().unwrap();
        used.push(lease.conn());
        rig.pass(secs(1));
        rig.release(lease);
    }
    let again = rig.granted(shared(ids[0]));
    rig.release(again);
    rig.waiting(shared(ids[3]));
    assert_eq!(closes(&rig.asked()), [(used[1], CloseReason::Evicted)]);
    assert_eq!(rig.total(), 3, "what is being closed still counts");
}

#[test]
fn what_holds_a_session_is_evicted_last() {
    let mut rig = Rig::new(on_demand(2));
    let ids = [(); 3].map(|()| rig.pool.add_replica(rig.now, replica(3, 1)).unwrap());
    for (id, scope) in [(ids[0], Scope::Session(1)), (ids[1], Scope::Shared)] {
        rig.waiting(lane(id, scope));
        rig.carry_out();
        let (_, lease) = rig.grants().pop().unwrap();
        rig.pass(secs(1));
        rig.release(lease);
    }
    rig.waiting(shared(ids[2]));
    let asked = rig.asked();
    let [(victim, _)] = closes(&asked)[..] else { panic!("{asked:?}") };
    rig.pool.closed(rig.now, victim, "".into());
    let status = rig.pool.status(rig.now);
    assert_eq!(status.replicas[0].figures.connections.idle, 1, "the session lives");
}
