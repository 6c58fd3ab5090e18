use super::*;

#[test]
fn counts_and_health_survive_by_name() {
    let mut driven = Driven::new(config(Strategy::RoundRobin, 3));
    let tickets: Vec<_> = (0..9).map(|_| driven.pick(&ANY)).collect();
    driven.eject(1);
    let mut wanted = config(Strategy::P2c, 4);
    wanted.replicas.remove(0);
    wanted.replicas[1].capacity = capacity(2);
    driven.balancer.reconfigure(wanted, driven.now).unwrap();

    let status = driven.balancer.status(driven.now);
    let shown: Vec<_> = status.replicas.iter().map(|one| (&*one.name, one.state, one.in_flight)).collect();
    assert_eq!(
        shown,
        [("b", BreakerState::Open, 3), ("c", BreakerState::Closed, 3), ("d", BreakerState::SlowStart, 0)]
    );
    assert_eq!((&*status.leaving[0].name, status.leaving[0].in_flight), ("a", 3));
    assert_eq!(status.strategy, Strategy::P2c);
    let bound = Request { affinity: Affinity::Replica(driven.ids[2]), ..ANY };
    assert!(matches!(driven.balancer.pick(&bound, driven.now), Err(PickError::Full { .. })), "3 of 2");
    let gone = Request { affinity: Affinity::Replica(driven.ids[0]), ..ANY };
    assert_eq!(driven.balancer.pick(&gone, driven.now).unwrap_err(), PickError::Gone);

    for ticket in tickets {
        driven.finish(ticket, Outcome::Success);
    }
    let status = driven.balancer.status(driven.now);
    assert!(status.leaving.is_empty());
    assert!(status.replicas.iter().all(|replica| replica.in_flight == 0));
}

#[test]
fn a_replica_that_comes_back_while_its_calls_run_is_the_same() {
    let mut driven = Driven::new(BalancerConfig::new(replicas(2, 1)));
    let _ticket = driven.pick(&Request { affinity: Affinity::Replica(driven.ids[1]), ..ANY });
    driven.balancer.reconfigure(BalancerConfig::new(replicas(1, 1)), driven.now).unwrap();
    driven.balancer.reconfigure(BalancerConfig::new(replicas(2, 1)), driven.now).unwrap();
    let ids: Vec<_> = driven.balancer.replicas().map(|(id, _)| id).collect();
    assert_eq!(ids, driven.ids);
    assert_eq!(driven.status(1).in_flight, 1);
}

#[test]
fn tickets_and_probes_of_a_replica_that_is_gone_are_harmless() {
    let mut driven = Driven::new(config(Strategy::RoundRobin, 2));
    let ticket = driven.pick(&Request { affinity: Affinity::Replica(driven.ids[1]), ..ANY });
    driven.pass_without_probes(9 * SECOND);
    driven.now += 2 * SECOND;
    let probes = driven.balancer.tick(driven.now).probes;
    assert!(probes.iter().any(|probe| probe.replica() == driven.ids[1]));
    driven.balancer.reconfigure(config(Strategy::RoundRobin, 1), driven.now).unwrap();
    for probe in probes {
        driven.balancer.probed(probe, Outcome::Failure(FailureKind::Closed), driven.now);
    }
    driven.finish(ticket, Outcome::Failure(FailureKind::Closed));
    driven.balancer.rest(driven.ids[1], SECOND, driven.now);
    driven.balancer.renewed(driven.ids[1], driven.now);
    let status = driven.balancer.status(driven.now);
    assert_eq!((status.replicas.len(), status.leaving.len()), (1, 0));
}

#[test]
fn settings_that_cannot_be_used_are_refused_and_change_nothing() {
    let good = config(Strategy::RoundRobin, 2);
    let mut driven = Driven::new(good.clone());
    let with = |change: fn(&mut BalancerConfig)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    for (bad, word) in [
        (with(|c| c.replicas.clear()), "1 to 256"),
        (with(|c| c.replicas[1].name = "a".into()), "called \"a\""),
        (with(|c| c.replicas[0].weight = 0.0), "weight"),
        (with(|c| c.replicas[0].weight = f64::NAN), "weight"),
        (with(|c| c.score = ScoreWeights { load: 0.0, response: 0.0, category: 0.0 }), "score"),
        (with(|c| c.score.load = -1.0), "score"),
        (with(|c| c.retries.share = 1.5), "budget"),
        (with(|c| c.health.success_rate = 2.0), "success_rate"),
        (with(|c| c.health.failures_in_row = 0), "failures_in_row"),
        (with(|c| c.health.slow_factor = 1.0), "slow_factor"),
        (with(|c| c.health.backoff_max = Duration::ZERO), "backoff_max"),
        (with(|c| c.health.slow_start = Duration::MAX), "slow_start"),
        (with(|c| c.health.probe_interval = Some(Duration::ZERO)), "probe_interval"),
    ] {
        let error = driven.balancer.reconfigure(bad, driven.now).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(driven.balancer.config(), &good);
    assert_eq!(good.check(), Ok(()));
}
