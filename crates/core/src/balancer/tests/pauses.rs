use super::*;

const TIMEOUT: Outcome = Outcome::Failure(FailureKind::Timeout);

/// Three replicas with twenty calls each, all of which the process sleeps through.
fn slept_with_calls_in_flight() -> (Driven, Vec<Ticket>) {
    let mut driven = Driven::new(config(Strategy::RoundRobin, 3));
    let tickets = (0..60).map(|_| driven.pick(&ANY)).collect();
    driven.now += 10 * SECOND;
    (driven, tickets)
}

#[test]
fn calls_that_this_process_slept_through_eject_nobody() {
    let (mut driven, tickets) = slept_with_calls_in_flight();
    for ticket in tickets {
        driven.balancer.finished(ticket, TIMEOUT, 10 * SECOND, driven.now);
    }
    let status = driven.balancer.status(driven.now);
    assert_eq!(status.pauses, 1);
    for replica in status.replicas {
        assert_eq!((replica.state, replica.latency), (BreakerState::Closed, None), "{replica:?}");
    }
}

#[test]
fn after_a_pause_every_replica_is_probed_before_calls_eject_it() {
    let (mut driven, tickets) = slept_with_calls_in_flight();
    let probes = driven.balancer.tick(driven.now).probes;
    assert_eq!(probes.len(), 3);
    driven.fail(0, 20);
    assert_eq!(driven.state(0), BreakerState::Closed, "no probe has reported yet");
    for probe in probes {
        driven.balancer.probed(probe, Outcome::Success, driven.now);
    }
    driven.eject(0);
    assert_eq!(driven.state(0), BreakerState::Open);
    drop(tickets);
}

#[test]
fn a_probe_that_this_process_slept_through_says_nothing() {
    let mut driven = Driven::new(config(Strategy::RoundRobin, 3));
    driven.fail(0, 1);
    let mut probes = driven.balancer.tick(driven.now).probes;
    let probe = probes.pop().unwrap();
    driven.now += 10 * SECOND;
    driven.balancer.probed(probe, TIMEOUT, driven.now);
    assert_eq!(driven.state(0), BreakerState::Closed);
    assert_eq!(driven.balancer.tick(driven.now).probes.len(), 3, "it is sent again");
}

#[test]
fn ticks_in_time_are_no_pause() {
    let mut driven = Driven::new(config(Strategy::RoundRobin, 3));
    driven.pass(60 * SECOND, |_| Outcome::Success);
    assert_eq!(driven.balancer.status(driven.now).pauses, 0);
}
