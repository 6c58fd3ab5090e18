use super::*;

fn without_ejection(config: BalancerConfig) -> BalancerConfig {
    let health = HealthConfig { ejection: false, ..HealthConfig::default() };
    BalancerConfig { health, ..config }
}

#[test]
fn strategies_are_spelt_as_they_are_shown() {
    for strategy in Strategy::ALL {
        assert_eq!(strategy.to_string().parse::<Strategy>(), Ok(strategy));
    }
    let error = "fastest".parse::<Strategy>().unwrap_err();
    assert!(error.to_string().contains("least-connections"), "{error}");
}

#[test]
fn equal_replicas_get_equal_shares_under_every_strategy() {
    for strategy in Strategy::ALL {
        // With no more than one call in flight, those that compare latencies follow each chance difference for seconds.
        let bound = if matches!(strategy, Strategy::Weighted | Strategy::P2c) { 0.1 } else { 0.03 };
        let shares = Driven::new(config(strategy, 4)).shares(8_000, |_| 5 * MS);
        for share in &shares {
            assert!((share - 0.25).abs() < bound, "{strategy}: {shares:?}");
        }
    }
}

#[test]
fn weights_divide_the_calls() {
    for strategy in [Strategy::RoundRobin, Strategy::ResponseTime] {
        let mut config = config(strategy, 3);
        config.replicas[2].weight = 2.0;
        let shares = Driven::new(config).shares(8_000, |_| 5 * MS);
        assert!((shares[2] - 0.5).abs() < 0.03, "{strategy}: {shares:?}");
    }
    let mut config = config(Strategy::LeastConnections, 2);
    config.replicas[1].weight = 3.0;
    let mut driven = Driven::new(config);
    let tickets: Vec<_> = (0..40).map(|_| driven.pick(&ANY)).collect();
    let heavy = tickets.iter().filter(|ticket| ticket.replica() == driven.ids[1]).count();
    assert!((29..=31).contains(&heavy), "{heavy} of 40 in flight");
}

#[test]
fn round_robin_takes_each_in_turn() {
    let mut driven = Driven::new(config(Strategy::RoundRobin, 3));
    let order: Vec<_> = (0..6).map(|_| driven.pick(&ANY).replica()).collect();
    assert_eq!(order, [&driven.ids[..], &driven.ids[..]].concat());
}

#[test]
fn a_replica_ten_times_slower_gets_little_from_those_that_measure() {
    for strategy in [Strategy::ResponseTime, Strategy::Weighted, Strategy::P2c] {
        let mut driven = Driven::new(without_ejection(config(strategy, 3)));
        let latency = |replica| if replica == 1 { 50 * MS } else { 5 * MS };
        let shares = driven.shares(5_000, latency);
        assert!(shares[1] < 0.1, "{strategy}: {shares:?}");
        assert!((shares[0] - shares[2]).abs() < 0.3, "{strategy}: {shares:?}");
    }
}

#[test]
fn a_slow_replica_is_tried_again_when_it_has_become_fast() {
    for strategy in [Strategy::ResponseTime, Strategy::Weighted, Strategy::P2c] {
        let mut driven = Driven::new(without_ejection(config(strategy, 3)));
        driven.shares(2_000, |replica| if replica == 1 { 50 * MS } else { 5 * MS });
        driven.shares(30_000, |_| 5 * MS);
        let shares = driven.shares(8_000, |_| 5 * MS);
        assert!(shares[1] > 0.25, "{strategy}: {shares:?}");
    }
}

#[test]
fn a_replica_that_hangs_loses_its_traffic_before_any_call_times_out() {
    for strategy in [Strategy::ResponseTime, Strategy::Weighted, Strategy::P2c] {
        let mut driven = Driven::new(config(strategy, 3));
        driven.shares(1_000, |_| 5 * MS);
        let mut hung = Vec::new();
        for _ in 0..3_000 {
            let ticket = driven.pick(&ANY);
            driven.now += MS;
            if ticket.replica() == driven.ids[0] {
                hung.push(ticket);
            } else {
                driven.balancer.finished(ticket, Outcome::Success, 5 * MS, driven.now);
            }
        }
        assert!(hung.len() < 100, "{strategy}: {} of 3000 calls hang", hung.len());
    }
}

#[test]
fn the_category_tips_the_balance_and_no_more() {
    let mut config = config(Strategy::Weighted, 2);
    config.replicas[1].categories = vec!["search".into()];
    let mut driven = Driven::new(config);
    let search = Request { category: Some("search"), ..ANY };
    for _ in 0..20 {
        let ticket = driven.pick(&search);
        assert_eq!(ticket.replica(), driven.ids[1]);
        driven.finish(ticket, Outcome::Success);
    }
    let busy: Vec<_> = (0..20).map(|_| driven.pick(&search).replica()).collect();
    assert!(busy.contains(&driven.ids[0]), "a busy specialist shares its work");
    let other = Request { category: Some("edit"), ..ANY };
    let shared: Vec<_> = (0..40).map(|_| driven.pick(&other).replica()).collect();
    assert!(driven.ids.iter().all(|id| shared.contains(id)));
}

#[test]
fn no_replica_takes_more_than_it_can_and_waiting_is_told_from_failing() {
    for strategy in Strategy::ALL {
        let mut driven = Driven::new(BalancerConfig { strategy, ..BalancerConfig::new(replicas(3, 2)) });
        let mut tickets: Vec<_> = (0..6).map(|_| driven.pick(&ANY)).collect();
        let full = driven.balancer.pick(&ANY, driven.now).unwrap_err();
        assert_eq!(full, PickError::Full { in_flight: 6 });
        let ticket = tickets.pop().unwrap();
        let freed = ticket.replica();
        driven.finish(ticket, Outcome::Cancelled);
        assert_eq!(driven.pick(&ANY).replica(), freed);
    }
}

#[test]
fn a_retry_goes_elsewhere_and_says_when_there_is_no_elsewhere() {
    let mut driven = Driven::new(config(Strategy::P2c, 2));
    let ids = driven.ids.clone();
    for _ in 0..20 {
        let retry = Request { exclude: &ids[..1], ..ANY };
        assert_eq!(driven.pick(&retry).replica(), ids[1]);
    }
    let nowhere = driven.balancer.pick(&Request { exclude: &ids, ..ANY }, driven.now).unwrap_err();
    assert_eq!(
        nowhere.to_string(),
        "No available replicas: a (already tried by this call), b (already tried by this call)"
    );
}

#[test]
fn a_key_stays_on_its_replica_and_waits_for_it() {
    let mut driven = Driven::new(BalancerConfig::new(replicas(3, 1)));
    let owners: Vec<_> = (0..60)
        .map(|key| {
            let ticket = driven.pick(&Request { affinity: Affinity::Key(key), ..ANY });
            let owner = ticket.replica();
            driven.finish(ticket, Outcome::Success);
            owner
        })
        .collect();
    assert!(driven.ids.iter().all(|id| owners.contains(id)));
    let _busy = driven.pick(&Request { affinity: Affinity::Key(0), ..ANY });
    let second = driven.balancer.pick(&Request { affinity: Affinity::Key(0), ..ANY }, driven.now);
    assert_eq!(second.unwrap_err(), PickError::Full { in_flight: 1 });

    let out = driven.ids.iter().position(|id| *id == owners[1]).unwrap();
    driven.balancer.rest(owners[1], SECOND, driven.now);
    for key in (1_u64..60).filter(|key| owners[*key as usize] != owners[0]) {
        let before = owners[key as usize];
        match driven.balancer.pick(&Request { affinity: Affinity::Key(key), ..ANY }, driven.now) {
            Ok(ticket) => {
                assert!(ticket.replica() == before || before == driven.ids[out]);
                driven.finish(ticket, Outcome::Success);
            }
            Err(error) => assert!(before == driven.ids[out], "{error}"),
        }
    }
}

#[test]
fn a_call_bound_to_a_replica_goes_there_or_nowhere() {
    let mut driven = Driven::new(BalancerConfig::new(replicas(2, 1)));
    let bound = Request { affinity: Affinity::Replica(driven.ids[0]), ..ANY };
    let ticket = driven.pick(&bound);
    assert_eq!(ticket.replica(), driven.ids[0]);
    assert!(matches!(driven.balancer.pick(&bound, driven.now), Err(PickError::Full { .. })));
    driven.finish(ticket, Outcome::Overloaded { retry_after: Some(5 * SECOND) });
    let error = driven.balancer.pick(&bound, driven.now).unwrap_err();
    assert_eq!(error.to_string(), "No available replicas: a (asked for a rest; tried again in 5.0 s)");
}

#[test]
fn the_budgets_count_first_tries_and_hedging_is_off_until_it_is_turned_on() {
    let mut driven = Driven::new(config(Strategy::P2c, 2));
    assert!(!driven.balancer.may_hedge(driven.now));
    let (floor, ids) = (driven.balancer.status(driven.now).retries_left, driven.ids.clone());
    driven.shares(100, |_| MS);
    assert_eq!(driven.balancer.status(driven.now).retries_left, floor + 20);
    let retry = driven.pick(&Request { exclude: &ids[..1], ..ANY });
    driven.finish(retry, Outcome::Success);
    assert!(driven.balancer.may_retry(driven.now));
    assert_eq!(driven.balancer.status(driven.now).retries_left, floor + 19, "a retry earns no retries");

    let hedging = BalancerConfig { hedges: BudgetConfig::HEDGES, ..driven.balancer.config().clone() };
    driven.balancer.reconfigure(hedging, driven.now).unwrap();
    assert_eq!((0..10).filter(|_| driven.balancer.may_hedge(driven.now)).count(), 5);
}
