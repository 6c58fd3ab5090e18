use super::*;

const CLOSED: Outcome = Outcome::Failure(FailureKind::Closed);
const TIMEOUT: Outcome = Outcome::Failure(FailureKind::Timeout);

fn well(_: usize) -> Outcome {
    Outcome::Success
}

/// One ejected, the others well.
fn one_of_three_ejected() -> Driven {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 3));
    driven.eject(0);
    assert_eq!(driven.state(0), BreakerState::Open);
    driven
}

#[test]
fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 3));
    // Successes enough that the rate stays high.
    (0..80).for_each(|_| driven.call_on(0, Outcome::Success));
    driven.fail(0, 6);
    driven.call_on(0, Outcome::Success);
    driven.fail(0, 6);
    assert_eq!(driven.state(0), BreakerState::Closed);
    driven.fail(0, 1);
    let status = driven.status(0);
    assert_eq!(status.reason, Some(Reason::Failures { in_a_row: 7, last: FailureKind::Closed }));
    assert!(!status.down);
    for _ in 0..50 {
        assert_ne!(driven.pick(&ANY).replica(), driven.ids[0]);
    }
}

#[test]
fn a_low_success_rate_ejects_once_there_are_calls_enough() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 3));
    for outcome in [Outcome::Success, CLOSED, Outcome::Success, CLOSED] {
        driven.call_on(1, outcome);
    }
    assert_eq!(driven.state(1), BreakerState::Closed, "four calls say nothing");
    driven.call_on(1, CLOSED);
    let reason = driven.status(1).reason;
    assert_eq!(reason, Some(Reason::SuccessRate { rate: 0.4, calls: 5 }));
    assert_eq!(reason.unwrap().to_string(), "only 40 % of the last 5 calls succeeded");
}

#[test]
fn three_time_outs_in_a_row_eject() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 3));
    (0..3).for_each(|_| driven.call_on(2, TIMEOUT));
    assert_eq!(driven.status(2).reason, Some(Reason::Timeouts { in_a_row: 3 }));
}

#[test]
fn a_replica_many_times_slower_than_the_others_is_ejected() {
    let mut driven = Driven::new(config(Strategy::RoundRobin, 3));
    driven.shares(300, |replica| if replica == 1 { 200 * MS } else { 10 * MS });
    driven.pass(SECOND, well);
    assert!(matches!(driven.status(1).reason, Some(Reason::Slow { .. })), "{:?}", driven.status(1));
    assert_eq!(driven.state(0), BreakerState::Closed);

    let mut brief = Driven::new(config(Strategy::RoundRobin, 3));
    brief.shares(300, |replica| if replica == 1 { 8 * MS } else { MS });
    brief.pass(SECOND, well);
    assert_eq!(brief.state(1), BreakerState::Closed, "too brief for anybody to wait for");
}

#[test]
fn a_replica_that_is_still_slow_when_it_is_tried_again_stays_out() {
    let mut driven = Driven::new(config(Strategy::RoundRobin, 3));
    let usual = 10 * MS;
    driven.shares(300, |replica| if replica == 1 { 20 * usual } else { usual });
    driven.pass(SECOND, well);
    for (latency, ejections, state) in
        [(20, 2, BreakerState::Open), (6, 3, BreakerState::Open), (2, 3, BreakerState::SlowStart)]
    {
        // The others are at work until its time comes.
        let wait = driven.status(1).again_in.unwrap();
        driven.now += wait;
        driven.shares(100, |_| usual);
        let trial = driven.pick(&REPEATABLE);
        assert!(trial.is_trial());
        driven.balancer.finished(trial, Outcome::Success, latency * usual, driven.now);
        let status = driven.status(1);
        assert_eq!((status.state, status.ejections), (state, ejections), "{latency} times: {status:?}");
    }
}

#[test]
fn cancelled_and_refused_calls_speak_neither_for_nor_against() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 2));
    (0..50).for_each(|_| driven.call_on(0, Outcome::Cancelled));
    assert_eq!(driven.status(0).success_rate, None);
    driven.call_on(0, Outcome::Overloaded { retry_after: None });
    let status = driven.status(0);
    assert_eq!((status.state, status.success_rate), (BreakerState::Closed, None));
    assert_eq!(status.resting, Some(Outcome::DEFAULT_REST));
    assert_eq!(driven.pick(&ANY).replica(), driven.ids[1]);
}

#[test]
fn one_call_tries_an_ejected_replica_and_its_success_leads_to_slow_start() {
    let mut driven = one_of_three_ejected();
    driven.now += 2 * SECOND;
    assert_eq!(driven.state(0), BreakerState::HalfOpen);
    assert!(!driven.pick(&ANY).is_trial(), "a call that cannot be repeated is not spent");
    let trial = driven.pick(&REPEATABLE);
    assert!(trial.is_trial() && trial.replica() == driven.ids[0]);
    for _ in 0..50 {
        assert_ne!(driven.pick(&REPEATABLE).replica(), driven.ids[0], "one trial at a time");
    }
    driven.finish(trial, Outcome::Success);
    assert_eq!(driven.state(0), BreakerState::SlowStart);
    for _ in 0..10 {
        driven.pass(SECOND, well);
    }
    assert_eq!(driven.state(0), BreakerState::Closed);
    let status = driven.status(0);
    assert_eq!((status.ejections, status.recoveries, status.trials), (1, 1, 1));
}

#[test]
fn a_cancelled_trial_leaves_the_way_free_for_another() {
    let mut driven = one_of_three_ejected();
    driven.now += 2 * SECOND;
    let trial = driven.pick(&REPEATABLE);
    driven.finish(trial, Outcome::Cancelled);
    assert!(driven.pick(&REPEATABLE).is_trial());
}

#[test]
fn the_back_off_doubles_up_to_its_longest_and_never_lasts_more_than_half_as_long_again() {
    let mut driven = one_of_three_ejected();
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        let wait = driven.status(0).again_in.unwrap();
        let expected = Duration::from_secs(expected);
        assert!((expected..=expected.mul_f64(1.5)).contains(&wait), "{wait:?} for {expected:?}");
        // Probes find it well, but calls fail.
        let changes = driven.pass(wait, well);
        assert_eq!(driven.state(0), BreakerState::HalfOpen, "{changes:?}");
        let trial = driven.pick(&REPEATABLE);
        assert!(trial.is_trial());
        driven.finish(trial, Outcome::Failure(FailureKind::ServerError));
        assert_eq!(driven.status(0).reason, Some(Reason::Trial(FailureKind::ServerError)));
    }
}

#[test]
fn a_replica_that_stayed_well_for_long_starts_from_the_first_back_off_again() {
    let mut driven = one_of_three_ejected();
    driven.pass(5 * SECOND, well);
    assert_eq!(driven.state(0), BreakerState::SlowStart, "without a call to spend, a probe is the trial");
    driven.pass(70 * SECOND, well);
    driven.eject(0);
    assert!(driven.status(0).again_in.unwrap() <= 1_500 * MS);
}

#[test]
fn a_replica_that_hung_is_tried_by_a_probe_and_not_by_a_call() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 3));
    (0..3).for_each(|_| driven.call_on(0, TIMEOUT));
    driven.pass_without_probes(2 * SECOND);
    for _ in 0..20 {
        assert_ne!(driven.pick(&REPEATABLE).replica(), driven.ids[0]);
    }
    let changes = driven.pass(SECOND, well);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(driven.state(0), BreakerState::SlowStart);
}

#[test]
fn a_replica_in_slow_start_gets_less_than_its_share_under_every_strategy() {
    for strategy in Strategy::ALL {
        let mut driven = Driven::new(config(strategy, 3));
        driven.shares(3_000, |_| 5 * MS);
        driven.eject(0);
        driven.pass(5 * SECOND, well);
        assert_eq!(driven.state(0), BreakerState::SlowStart);
        let first_five_seconds = driven.shares(5_000, |_| 5 * MS);
        assert!(first_five_seconds[0] < 1.0 / 3.0, "{strategy}: {first_five_seconds:?}");
        assert!(first_five_seconds[0] > 0.001, "{strategy}: {first_five_seconds:?}");
    }
}

#[test]
fn a_failed_probe_of_a_replica_in_doubt_takes_it_down_and_a_good_one_brings_it_back() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 1));
    let refused = |_| Outcome::Failure(FailureKind::Connect);
    let changes = driven.pass(13 * SECOND, refused);
    assert!(
        matches!(changes[..], [Change::Ejected { reason: Reason::Probe(FailureKind::Connect), .. }, ..]),
        "{changes:?}"
    );
    let error = driven.balancer.pick(&ANY, driven.now).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("No available replicas: a (health probe failed: cannot connect; "), "{text}");
    let PickError::NoAvailableReplicas(none) = error else { panic!("{error:?}") };
    assert_eq!(none.retry_after(), driven.status(0).again_in);

    for _ in 0..60 {
        driven.pass(SECOND, refused);
    }
    assert!(driven.status(0).ejections > 3);
    driven.pass(11 * SECOND, well);
    assert_eq!(
        driven.state(0),
        BreakerState::SlowStart,
        "within one regular probe, however long the back-off"
    );
}

#[test]
fn a_busy_server_that_misses_its_probes_keeps_its_calls() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 1));
    let long = driven.pick(&ANY);
    driven.pass(20 * SECOND, |_| TIMEOUT);
    let status = driven.status(0);
    assert!(status.reason == Some(Reason::Probe(FailureKind::Timeout)) && !status.down, "{status:?}");
    assert!(status.ejections < 8, "its back-off grows no faster for being probed often: {status:?}");
    let next = driven.pick(&ANY);
    assert!(next.is_panic(), "there is nobody else");
    driven.balancer.finished(long, Outcome::Success, 20 * SECOND, driven.now);
    assert_eq!(driven.state(0), BreakerState::SlowStart, "an answer refutes a probe");
    driven.finish(next, Outcome::Success);
}

#[test]
fn a_silent_replica_is_probed_at_once() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 3));
    driven.pass(10 * SECOND, well);
    let _hung = driven.pick(&Request { affinity: Affinity::Replica(driven.ids[2]), ..ANY });
    let mut probed = 0;
    driven.pass(2 * SECOND, |replica| {
        probed += u32::from(replica == 2);
        TIMEOUT
    });
    assert_eq!(probed, 1);
    assert_eq!(driven.status(2).reason, Some(Reason::Probe(FailureKind::Timeout)));
}

#[test]
fn when_most_are_ejected_they_serve_what_the_healthy_have_no_room_for() {
    let mut driven = Driven::new(BalancerConfig::new(replicas(3, 10)));
    driven.eject(0);
    driven.balancer.pick(&ANY, driven.now).map(|ticket| driven.finish(ticket, Outcome::Success)).unwrap();
    assert!(!driven.balancer.status(driven.now).panic, "one of three");
    driven.eject(1);
    assert!(driven.balancer.status(driven.now).panic, "two of three");
    let mut tickets: Vec<_> = (0..10).map(|_| driven.pick(&ANY)).collect();
    assert!(tickets.iter().all(|ticket| ticket.replica() == driven.ids[2] && !ticket.is_panic()));
    tickets.extend((0..20).map(|_| driven.pick(&ANY)));
    assert!(tickets[10..].iter().all(Ticket::is_panic));
    assert!(matches!(driven.balancer.pick(&ANY, driven.now), Err(PickError::Full { .. })));
    let proof = tickets.pop().unwrap();
    driven.finish(proof, Outcome::Success);
    assert!(!driven.balancer.status(driven.now).panic, "a success in panic is as good as a trial");
}

#[test]
fn a_key_waits_for_its_replica_also_in_panic() {
    let mut driven = Driven::new(BalancerConfig::new(replicas(3, 1)));
    driven.eject(0);
    driven.eject(1);
    let keyed = Request { affinity: Affinity::Key(1), ..ANY };
    assert_eq!(driven.pick(&keyed).replica(), driven.ids[2]);
    assert_eq!(driven.balancer.pick(&keyed, driven.now).unwrap_err(), PickError::Full { in_flight: 1 });
    assert!(driven.pick(&ANY).is_panic());
}

#[test]
fn panic_does_not_send_calls_to_what_a_probe_found_dead() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 3));
    driven.eject(0);
    driven.eject(1);
    driven.pass(2 * SECOND, |replica| if replica == 2 { Outcome::Success } else { CLOSED });
    assert!(driven.balancer.status(driven.now).panic);
    let tickets: Vec<_> = (0..100).map(|_| driven.pick(&ANY)).collect();
    assert!(tickets.iter().all(|ticket| ticket.replica() == driven.ids[2]));
    assert!(matches!(driven.balancer.pick(&ANY, driven.now), Err(PickError::Full { .. })));
}

#[test]
fn late_news_from_before_the_ejection_changes_nothing() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 2));
    let bound = Request { affinity: Affinity::Replica(driven.ids[0]), ..ANY };
    let early: Vec<_> = (0..20).map(|_| driven.pick(&bound)).collect();
    driven.eject(0);
    let until = driven.status(0).again_in;
    for (n, ticket) in early.into_iter().enumerate() {
        driven.finish(ticket, if n % 2 == 0 { Outcome::Success } else { CLOSED });
    }
    let status = driven.status(0);
    assert_eq!((status.again_in, status.ejections, status.in_flight), (until, 1, 0));
}

#[test]
fn calls_that_hung_before_the_ejection_do_not_speak_against_the_replica_that_came_back() {
    let mut driven = Driven::new(config(Strategy::LeastConnections, 2));
    let bound = Request { affinity: Affinity::Replica(driven.ids[0]), ..ANY };
    let hung: Vec<_> = (0..20).map(|_| driven.pick(&bound)).collect();
    driven.eject(0);
    driven.balancer.renewed(driven.ids[0], driven.now);
    for ticket in hung {
        driven.balancer.finished(ticket, TIMEOUT, 60 * SECOND, driven.now);
    }
    let status = driven.status(0);
    assert_eq!((status.state, status.latency, status.in_flight), (BreakerState::SlowStart, None, 0));
}

#[test]
fn a_restarted_replica_is_used_at_once() {
    let mut driven = one_of_three_ejected();
    driven.balancer.renewed(driven.ids[0], driven.now);
    assert_eq!(driven.state(0), BreakerState::SlowStart);
    driven.eject(0);
    assert!(driven.status(0).again_in.unwrap() >= 2 * SECOND, "its back-off goes on growing");
}

#[test]
fn without_ejection_only_probes_take_replicas_out() {
    let health = HealthConfig { ejection: false, ..HealthConfig::default() };
    let mut driven = Driven::new(BalancerConfig { health, ..config(Strategy::RoundRobin, 2) });
    driven.fail(0, 100);
    assert_eq!(driven.state(0), BreakerState::Closed);
    driven.pass(SECOND, |_| CLOSED);
    assert_eq!(driven.state(0), BreakerState::Open);
}
