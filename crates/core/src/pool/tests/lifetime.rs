//! Age, use, idleness and health of connections.

use super::*;

fn use_once(rig: &mut Rig, id: ReplicaId) -> ConnId {
    let lease = rig.granted(shared(id));
    let conn = lease.conn();
    rig.release(lease);
    conn
}

#[test]
fn a_connection_is_replaced_before_it_goes_when_it_has_carried_enough_calls() {
    let config = PoolConfig { min_connections: 1, max_uses: 10, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(5, 4));
    let old = use_once(&mut rig, id);
    for _ in 1..10 {
        assert_eq!(use_once(&mut rig, id), old);
    }
    rig.pass(Duration::ZERO);
    let opening = rig.asked_to_open();
    assert_eq!(opening.len(), 1);
    assert_eq!(use_once(&mut rig, id), old, "until the new one is open, the old one serves");
    rig.pool.opened(rig.now, opening[0]);
    let asked = rig.asked();
    assert_eq!((closes(&asked), asked.len()), (vec![(old, CloseReason::MaxUses)], 1));
    assert_eq!(use_once(&mut rig, id), opening[0]);
    assert_eq!(rig.figures().hit_rate(), Some(1.0));
}

#[test]
fn the_only_connection_of_a_busy_replica_is_replaced_without_a_miss() {
    let config = PoolConfig { max_uses: 10, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(1, 4));
    // There is always a call in flight.
    let mut before = rig.granted(shared(id));
    let mut replaced = 0;
    for _ in 0..200 {
        let next = rig.granted(shared(id));
        rig.release(std::mem::replace(&mut before, next));
        rig.pass(Duration::ZERO);
        for effect in rig.asked() {
            match effect {
                Effect::Open { conn, .. } => rig.pool.opened(rig.now, conn),
                Effect::Close { conn, reason, .. } => {
                    assert_eq!(reason, CloseReason::MaxUses);
                    rig.pool.closed(rig.now, conn, "".into());
                    replaced += 1;
                }
                other => panic!("{other:?}"),
            }
            assert!(rig.figures().connections.total <= 2, "one, and the one that replaces it");
        }
    }
    assert!(replaced > 10, "{replaced}");
    assert_eq!(rig.figures().misses, 0);
}

#[test]
fn a_connection_that_was_slow_to_open_is_not_replaced_for_its_uses_before_that_has_paid() {
    let config = PoolConfig { min_connections: 1, max_uses: 3, ..PoolConfig::default() };
    let mut rig = Rig::new(config);
    let id = rig.pool.add_replica(rig.now, replica(1, 4)).unwrap();
    let opening = rig.asked_to_open();
    rig.pass(Duration::from_secs(1));
    rig.pool.opened(rig.now, opening[0]);
    for _ in 0..10 {
        use_once(&mut rig, id);
        rig.pass(Duration::from_secs(9));
        assert_eq!(rig.asked_to_open(), []);
    }
    rig.pass(Duration::from_secs(10));
    use_once(&mut rig, id);
    rig.pass(Duration::ZERO);
    assert_eq!(rig.asked_to_open().len(), 1);
}

#[test]
fn settings_that_are_given_anew_do_not_undo_a_replacement() {
    let config = PoolConfig { max_uses: 2, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(1, 4));
    let old = use_once(&mut rig, id);
    use_once(&mut rig, id);
    rig.pass(Duration::ZERO);
    let opening = rig.asked_to_open();
    rig.pool.configure_replica(rig.now, id, replica(1, 4)).unwrap();
    assert_eq!(rig.asked(), []);
    rig.pool.opened(rig.now, opening[0]);
    assert_eq!(closes(&rig.asked()), [(old, CloseReason::MaxUses)]);
}

#[test]
fn a_connection_that_cannot_be_replaced_goes_on_serving() {
    let config = PoolConfig { max_uses: 2, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(1, 4));
    let old = use_once(&mut rig, id);
    use_once(&mut rig, id);
    rig.pass(Duration::ZERO);
    let opening = rig.asked_to_open();
    rig.pool.open_failed(rig.now, opening[0], "no such program".into());
    assert_eq!(use_once(&mut rig, id), old);
}

#[test]
fn without_room_for_both_the_old_connection_goes_first() {
    let config = PoolConfig { max_uses: 3, max_connections: 1, min_connections: 1, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(1, 4));
    let long = rig.granted(shared(id));
    let old = long.conn();
    use_once(&mut rig, id);
    use_once(&mut rig, id);
    rig.pass(Duration::ZERO);
    assert_eq!(rig.asked(), [], "a call is in flight");
    let waiter = rig.waiting(shared(id));
    rig.release(long);
    assert_eq!(closes(&rig.asked()), [(old, CloseReason::MaxUses)]);
    rig.pool.closed(rig.now, old, "".into());
    rig.carry_out();
    assert_eq!(rig.grants()[0].0, waiter);
}

#[test]
fn connections_that_opened_together_do_not_grow_old_together() {
    let config = PoolConfig { idle_timeout: secs(100_000), ..PoolConfig::default() };
    let (mut rig, _) = Rig::with(config, replica(5, 1));
    let start = rig.now;
    let mut replaced_at = Vec::new();
    while replaced_at.len() < 5 {
        let due = rig.pool.next_deadline().unwrap();
        let before = rig.figures().retired(CloseReason::MaxLifetime);
        rig.pass(due - rig.now);
        rig.carry_out();
        let replaced = rig.figures().retired(CloseReason::MaxLifetime) - before;
        replaced_at.extend((0..replaced).map(|_| (rig.now - start).as_secs()));
        assert_eq!(rig.figures().connections.available, 5);
    }
    assert!(replaced_at.iter().all(|at| (3_240..=3_960).contains(at)), "{replaced_at:?}");
    assert!(replaced_at[4] - replaced_at[0] > 60, "{replaced_at:?}");
}

#[test]
fn what_is_idle_for_long_goes_down_to_the_minimum_and_no_further() {
    let config = PoolConfig { min_connections: 2, ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(5, 1));
    let mut leases: Vec<_> = (0..2).map(|_| rig.granted(shared(id))).collect();
    for _ in 0..3 {
        rig.waiting(shared(id));
        rig.carry_out();
        leases.extend(rig.grants().into_iter().map(|(_, lease)| lease));
    }
    rig.release_all(leases);
    rig.pass_carrying_out(secs(299));
    assert_eq!(rig.total(), 5);
    rig.pass_carrying_out(secs(1));
    assert_eq!(rig.total(), 2);
    rig.pass_carrying_out(secs(600));
    assert_eq!(rig.figures().retired(CloseReason::IdleTimeout), 3);
}

#[test]
fn a_session_is_not_ended_by_idleness_age_or_use() {
    let config =
        PoolConfig { min_connections: 0, max_uses: 2, max_lifetime: secs(400), ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, replica(5, 1));
    let session = lane(id, Scope::Session(1));
    rig.waiting(session);
    rig.carry_out();
    let (_, lease) = rig.grants().pop().unwrap();
    let conn = lease.conn();
    rig.release(lease);
    for _ in 0..5 {
        rig.pass_carrying_out(secs(1_000));
        let lease = rig.granted(session);
        assert_eq!(lease.conn(), conn);
        rig.release(lease);
    }
}

#[test]
fn the_state_of_a_stateful_server_is_not_lost_to_age_or_use() {
    let config = PoolConfig { max_uses: 2, max_lifetime: secs(400), ..PoolConfig::default() };
    let (mut rig, id) = Rig::with(config, ReplicaConfig { stateful: true, ..replica(1, 1) });
    let mine = lane(id, Scope::Principal(1));
    let first = rig.granted(mine);
    let conn = first.conn();
    rig.release(first);
    for _ in 0..5 {
        rig.pass_carrying_out(secs(1_000));
        let lease = rig.granted(mine);
        assert_eq!(lease.conn(), conn);
        rig.release(lease);
    }
}

#[test]
fn an_idle_connection_is_probed_about_every_half_minute() {
    let (mut rig, _) = Rig::with(PoolConfig::default(), replica(1, 1));
    let start = rig.now;
    for n in 1..=10 {
        let due = rig.pool.next_deadline().unwrap();
        rig.pass(due - rig.now);
        let asked = rig.asked();
        let [Effect::Probe { conn }] = asked[..] else { panic!("{asked:?}") };
        let since = (rig.now - start).as_secs_f64();
        assert!(since >= 27.0 * f64::from(n) && since <= 33.0 * f64::from(n), "{since}");
        rig.pool.probed(rig.now, conn, true);
    }
}

#[test]
fn a_connection_that_answers_calls_is_not_probed() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 4));
    for _ in 0..120 {
        rig.pass(secs(1));
        use_once(&mut rig, id);
    }
    assert_eq!(rig.asked(), []);
}

#[test]
fn a_connection_on_which_calls_get_no_answer_is_probed_soon() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 4));
    let leases = [(); 3].map(|()| rig.granted(shared(id)));
    rig.pass(secs(2));
    for lease in leases {
        rig.pool.release(rig.now, lease, Outcome::Unanswered);
    }
    rig.pass(ms(1));
    let asked = rig.asked();
    assert!(matches!(asked[..], [Effect::Probe { .. }]), "once is enough: {asked:?}");
}

#[test]
fn an_unhealthy_connection_finishes_its_calls_and_is_replaced_meanwhile() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(6, 4));
    let lease = rig.granted(shared(id));
    let conn = lease.conn();
    rig.pool.probed(rig.now, conn, false);
    let asked = rig.asked();
    assert!(matches!(asked[..], [Effect::Open { .. }]), "{asked:?}");
    let next = rig.granted(shared(id));
    assert_ne!(next.conn(), conn);
    rig.release(lease);
    assert_eq!(closes(&rig.asked()), [(conn, CloseReason::Unhealthy)]);
    rig.release(next);
}

#[test]
fn a_broken_connection_is_closed_at_once_with_all_its_calls() {
    let (mut rig, id) = Rig::with(PoolConfig::default(), replica(1, 4));
    rig.pass(secs(10));
    let [one, other] = [(); 2].map(|()| rig.granted(shared(id)));
    let conn = one.conn();
    rig.pool.release(rig.now, one, Outcome::Broken);
    assert_eq!(closes(&rig.asked()), [(conn, CloseReason::Broken)]);
    rig.pool.closed(rig.now, conn, "".into());
    assert_eq!(rig.asked_to_open().len(), 1);
    rig.pool.release(rig.now, other, Outcome::Broken);
    assert_eq!(rig.figures().calls_in_flight, 0);
}
