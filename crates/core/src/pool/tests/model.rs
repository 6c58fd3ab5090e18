//! Random histories under a simulated clock, against a driver that opens with delays and failures.
//!
//! The pool checks its own bookkeeping after every step (`check`); this model knows only what a driver can see.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Acquire { replica: usize, variant: u8, scope: Scope, patience_ms: u64 },
    Release { lease: usize, outcome: Outcome },
    Cancel(usize),
    Opened(usize),
    OpenFailed(usize),
    Die(usize),
    Closed(usize),
    Probed { probe: usize, healthy: bool },
    Pass { ms: u64 },
    ScopeEnded(Scope),
    Reconfigure { max: u32, min: u32, max_uses: u32 },
    Configure { replica: usize, config: ReplicaConfig },
    Add(ReplicaConfig),
    Recycle(usize),
    TryAgain(usize),
    Remove { replica: usize, grace_ms: u64 },
    Drain { replica: usize, grace_ms: u64 },
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        3 => Just(Scope::Shared),
        3 => (0..2_u64).prop_map(Scope::Principal),
        3 => (0..3_u64).prop_map(Scope::Session),
        1 => Just(Scope::Request),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        8 => Just(Outcome::Ok),
        2 => Just(Outcome::Unanswered),
        2 => Just(Outcome::Unused),
        1 => Just(Outcome::Broken),
    ]
}

fn replica() -> impl Strategy<Value = ReplicaConfig> {
    (1..6_u32, proptest::option::of(0..4_u32), 1..4_u32, proptest::option::of(1..4_u32), any::<bool>())
        .prop_map(|(max_connections, min_connections, max_calls, grow_at, stateful)| ReplicaConfig {
            max_connections,
            min_connections,
            grow_at,
            stateful,
            ..ReplicaConfig::new("r", max_calls)
        })
}

fn op() -> impl Strategy<Value = Op> {
    let any = any::<usize>;
    let ms = prop_oneof![8 => 0..300_u64, 3 => 300..6_000_u64, 1 => 6_000..90_000_u64];
    let grace = || 0..3_000_u64;
    prop_oneof![
        24 => (any(), 0..2_u8, scope(), 0..6_000_u64).prop_map(|(replica, variant, scope, patience_ms)| {
            Op::Acquire { replica, variant, scope, patience_ms }
        }),
        18 => (any(), outcome()).prop_map(|(lease, outcome)| Op::Release { lease, outcome }),
        3 => any().prop_map(Op::Cancel),
        14 => any().prop_map(Op::Opened),
        2 => any().prop_map(Op::OpenFailed),
        2 => any().prop_map(Op::Die),
        10 => any().prop_map(Op::Closed),
        4 => (any(), prop::bool::weighted(0.8)).prop_map(|(probe, healthy)| Op::Probed { probe, healthy }),
        10 => ms.prop_map(|ms| Op::Pass { ms }),
        1 => scope().prop_map(Op::ScopeEnded),
        1 => (1..12_u32, 0..4_u32, 1..20_u32).prop_map(|(max, min, max_uses)| {
            Op::Reconfigure { max, min: min.min(max), max_uses }
        }),
        1 => (any(), replica()).prop_map(|(replica, config)| Op::Configure { replica, config }),
        1 => replica().prop_map(Op::Add),
        1 => any().prop_map(Op::Recycle),
        1 => any().prop_map(Op::TryAgain),
        1 => (any(), grace()).prop_map(|(replica, grace_ms)| Op::Remove { replica, grace_ms }),
        1 => (any(), grace()).prop_map(|(replica, grace_ms)| Op::Drain { replica, grace_ms }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    Closing,
}

/// A connection as the driver sees it.
#[derive(Debug)]
struct Real {
    replica: ReplicaId,
    variant: u8,
    stage: Stage,
    /// The scope of the calls that were sent over it.
    carried: Option<Scope>,
}

/// The driver, the calls and what they have seen.
struct World {
    pool: Pool,
    now: Instant,
    replicas: Vec<(ReplicaId, ReplicaConfig)>,
    /// Replicas that take no calls any more.
    drained: HashSet<ReplicaId>,
    real: HashMap<ConnId, Real>,
    /// In the order of asking, so that an index means the same in every run.
    waiters: Vec<(WaiterId, Lane, Instant)>,
    leases: Vec<(Lease, Lane)>,
    probes: Vec<ConnId>,
    granted: u64,
    refused: u64,
    cancelled: u64,
}

fn pick<T>(from: &[T], index: usize) -> Option<usize> {
    (!from.is_empty()).then(|| index % from.len())
}

impl World {
    fn new(config: PoolConfig, seed: u64, replicas: Vec<ReplicaConfig>) -> Self {
        let mut world = Self {
            pool: Pool::new(config, seed).unwrap(),
            now: Instant::now(),
            replicas: Vec::new(),
            drained: HashSet::new(),
            real: HashMap::new(),
            waiters: Vec::new(),
            leases: Vec::new(),
            probes: Vec::new(),
            granted: 0,
            refused: 0,
            cancelled: 0,
        };
        for replica in replicas {
            world.apply(Op::Add(replica));
        }
        world
    }

    fn in_stage(&self, stage: Stage) -> Vec<ConnId> {
        let mut ids: Vec<_> = self.real.iter().filter(|(_, r)| r.stage == stage).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    fn after_ms(&self, ms: u64) -> Instant {
        self.now + Duration::from_millis(ms)
    }

    fn lease(&mut self, lease: Lease, lane: Lane) {
        let calls = self.leases.iter().filter(|(other, _)| other.conn() == lease.conn());
        for (_, other) in calls.clone() {
            assert_eq!(other.scope, lane.scope, "one connection in the hands of two scopes");
            assert_ne!(lane.scope, Scope::Request, "a connection of one call in two hands");
        }
        let config = &self.replicas.iter().find(|(id, _)| *id == lane.replica).unwrap().1;
        assert!(calls.count() < config.max_calls as usize, "more calls than the connection carries");
        let real = &self.real[&lease.conn()];
        assert_eq!((real.replica, real.variant, real.stage), (lane.replica, lane.variant, Stage::Open));
        assert!(real.carried.is_none_or(|scope| scope == lane.scope), "a client's state reached another");
        assert!(real.carried != Some(Scope::Request), "a connection of one call carried two");
        self.granted += 1;
        self.leases.push((lease, lane));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Open { conn, replica, variant } => {
                let real = Real { replica, variant, stage: Stage::Opening, carried: None };
                assert!(self.real.insert(conn, real).is_none());
                let config = &self.replicas.iter().find(|(id, _)| *id == replica).unwrap().1;
                let own = self
                    .real
                    .values()
                    .filter(|real| (real.replica, real.variant) == (replica, variant))
                    .count();
                let replacement = usize::from(!config.stateful);
                let most = config.max_connections as usize + replacement;
                assert!(own <= most, "above the replica's maximum");
                assert!(self.real.len() <= self.pool.config().max_connections as usize, "above the maximum");
                let opening = self.in_stage(Stage::Opening).len();
                assert!(opening <= self.pool.config().max_opening as usize, "too many openings at once");
                assert!(!self.drained.contains(&replica), "a drained replica was opened to");
            }
            Effect::Close { conn, .. } => {
                let real = self.real.get_mut(&conn).expect("only what is there is closed");
                assert_ne!(real.stage, Stage::Closing, "closed twice");
                real.stage = Stage::Closing;
            }
            Effect::Grant { waiter, lease } => {
                let at = self.waiters.iter().position(|(id, ..)| *id == waiter).expect("somebody waits");
                let (_, lane, _) = self.waiters.remove(at);
                self.lease(lease, lane);
            }
            Effect::Refuse { waiter, .. } => {
                let at = self.waiters.iter().position(|(id, ..)| *id == waiter).expect("somebody waits");
                self.waiters.remove(at);
                self.refused += 1;
            }
            Effect::Probe { conn } => {
                assert_eq!(self.real[&conn].stage, Stage::Open);
                assert!(!self.probes.contains(&conn), "probed twice at once");
                self.probes.push(conn);
            }
        }
    }

    /// Carries out what is asked, ticks when it is due, and looks at everything.
    fn catch_up(&mut self) {
        let mut effects = Vec::new();
        for round in 0.. {
            self.pool.take_effects(&mut effects);
            effects.drain(..).for_each(|effect| self.carry_out(effect));
            if self.pool.next_deadline().is_none_or(|due| due > self.now) {
                break;
            }
            assert!(round < 10, "the pool asks for one tick after another");
            self.pool.tick(self.now);
        }
        assert!(self.waiters.iter().all(|(_, _, deadline)| *deadline > self.now), "a deadline was missed");
        let status = self.pool.status(self.now);
        let all = &status.all;
        let held = self.leases.iter().filter(|(lease, _)| self.real.contains_key(&lease.conn())).count();
        assert_eq!(all.connections.total as usize, self.real.len());
        assert_eq!(all.connections.opening as usize, self.in_stage(Stage::Opening).len());
        assert_eq!(all.connections.closing as usize, self.in_stage(Stage::Closing).len());
        assert_eq!((all.calls_in_flight, all.waiting), (held as u64, self.waiters.len()));
        assert_eq!(all.hits + all.misses, self.granted);
        assert_eq!(all.timeouts + all.refused, self.refused);
        assert_eq!(all.cancelled, self.cancelled);
        assert_eq!(all.hit_rate().is_none(), self.granted == 0);
    }

    fn pass(&mut self, ms: u64) {
        let until = self.after_ms(ms);
        while let Some(due) = self.pool.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.pool.tick(self.now);
            self.catch_up();
        }
        self.now = until;
    }

    fn apply(&mut self, op: Op) {
        let now = self.now;
        match op {
            Op::Acquire { replica, variant, scope, patience_ms } => {
                let Some(at) = pick(&self.replicas, replica) else { return };
                let lane = Lane { replica: self.replicas[at].0, variant, scope };
                let deadline = self.after_ms(patience_ms);
                match self.pool.acquire(now, lane, deadline) {
                    Acquire::Granted(lease) => {
                        assert!(lease.hit(), "what is granted at once was open");
                        self.lease(lease, lane);
                    }
                    Acquire::Waiting(waiter) => self.waiters.push((waiter, lane, deadline)),
                    Acquire::Refused(AcquireError::UnknownReplica) => {
                        assert!(self.drained.contains(&lane.replica));
                    }
                    Acquire::Refused(error) => {
                        let draining = matches!(error, AcquireError::Draining { .. });
                        assert_eq!(draining, self.drained.contains(&lane.replica), "{error}");
                        self.refused += 1;
                    }
                }
            }
            Op::Release { lease, outcome } => {
                let Some(at) = pick(&self.leases, lease) else { return };
                let (lease, lane) = self.leases.remove(at);
                if outcome != Outcome::Unused
                    && let Some(real) = self.real.get_mut(&lease.conn())
                {
                    real.carried = Some(lane.scope);
                }
                self.pool.release(now, lease, outcome);
            }
            Op::Cancel(index) => {
                let Some(at) = pick(&self.waiters, index) else { return };
                let (waiter, ..) = self.waiters.remove(at);
                assert!(self.pool.cancel(now, waiter));
                self.cancelled += 1;
            }
            Op::Opened(index) => {
                let opening = self.in_stage(Stage::Opening);
                let Some(at) = pick(&opening, index) else { return };
                self.real.get_mut(&opening[at]).unwrap().stage = Stage::Open;
                self.pool.opened(now, opening[at]);
            }
            Op::OpenFailed(index) => {
                let opening = self.in_stage(Stage::Opening);
                let Some(at) = pick(&opening, index) else { return };
                self.real.remove(&opening[at]);
                self.pool.open_failed(now, opening[at], "exit code 1".into());
            }
            Op::Die(index) => {
                let open = self.in_stage(Stage::Open);
                let Some(at) = pick(&open, index) else { return };
                self.gone(open[at]);
            }
            Op::Closed(index) => {
                let closing = self.in_stage(Stage::Closing);
                let Some(at) = pick(&closing, index) else { return };
                self.gone(closing[at]);
            }
            Op::Probed { probe, healthy } => {
                let Some(at) = pick(&self.probes, probe) else { return };
                let conn = self.probes.remove(at);
                self.pool.probed(now, conn, healthy);
            }
            Op::Pass { ms } => self.pass(ms),
            Op::ScopeEnded(scope) => self.pool.scope_ended(now, scope),
            Op::Reconfigure { max, min, max_uses } => {
                let config = PoolConfig {
                    max_connections: max,
                    min_connections: min,
                    max_uses,
                    ..self.pool.config().clone()
                };
                self.pool.reconfigure(now, config).unwrap();
            }
            Op::Configure { replica, config } => {
                let Some(at) = pick(&self.replicas, replica) else { return };
                let id = self.replicas[at].0;
                match self.pool.configure_replica(now, id, config.clone()) {
                    Ok(()) => self.replicas[at].1 = config,
                    Err(_) => assert!(self.drained.contains(&id)),
                }
            }
            Op::Add(config) => {
                if self.replicas.len() < 6 {
                    let id = self.pool.add_replica(now, config.clone()).unwrap();
                    self.replicas.push((id, config));
                }
            }
            Op::TryAgain(index) => {
                let Some(at) = pick(&self.replicas, index) else { return };
                self.pool.try_again(now, self.replicas[at].0);
            }
            Op::Recycle(index) => {
                let Some(at) = pick(&self.replicas, index) else { return };
                self.pool.recycle(now, self.replicas[at].0);
            }
            Op::Remove { replica, grace_ms } => {
                let Some(at) = pick(&self.replicas, replica) else { return };
                let id = self.replicas[at].0;
                self.drained.insert(id);
                self.pool.remove_replica(now, id, self.after_ms(grace_ms));
            }
            Op::Drain { replica, grace_ms } => {
                let Some(at) = pick(&self.replicas, replica) else { return };
                let id = self.replicas[at].0;
                self.drained.insert(id);
                self.pool.drain(now, DrainTarget::Replica(id), self.after_ms(grace_ms));
            }
        }
        self.catch_up();
    }

    fn gone(&mut self, conn: ConnId) {
        self.real.remove(&conn);
        self.pool.closed(self.now, conn, "gone".into());
        // Its probe may still be answered, or not: the pool must not mind.
    }

    /// Everything goes well from now on, and every call ends.
    fn heal(&mut self) {
        // No age ends a connection just when everything is looked at.
        let max_lifetime = Duration::from_secs(86_400);
        let config = PoolConfig { max_lifetime, ..self.pool.config().clone() };
        self.pool.reconfigure(self.now, config).unwrap();
        self.catch_up();
        for _ in 0..45 {
            self.apply(Op::Pass { ms: 1_000 });
            while !self.leases.is_empty() {
                self.apply(Op::Release { lease: 0, outcome: Outcome::Ok });
            }
            for conn in self.in_stage(Stage::Opening) {
                if self.real[&conn].stage == Stage::Opening {
                    self.real.get_mut(&conn).unwrap().stage = Stage::Open;
                    self.pool.opened(self.now, conn);
                    self.catch_up();
                }
            }
            for conn in self.in_stage(Stage::Closing) {
                self.gone(conn);
                self.catch_up();
            }
            while let Some(conn) = self.probes.pop() {
                self.pool.probed(self.now, conn, true);
                self.catch_up();
            }
        }
    }
}

fn config() -> impl Strategy<Value = PoolConfig> {
    (1..12_u32, 0..4_u32, 1..4_u32, 1..20_u32).prop_map(|(max, min, max_opening, max_uses)| PoolConfig {
        max_connections: max,
        min_connections: min.min(max),
        max_opening,
        max_uses,
        idle_timeout: Duration::from_secs(20),
        max_lifetime: Duration::from_secs(60),
        health_check_interval: Duration::from_secs(10),
        ..PoolConfig::default()
    })
}

proptest! {
    #[test]
    fn no_history_breaks_a_promise(
        config in config(),
        seed in any::<u64>(),
        replicas in prop::collection::vec(replica(), 1..4),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut world = World::new(config, seed, replicas);
        for op in ops {
            world.apply(op);
        }

        world.heal();
        prop_assert!(world.waiters.is_empty(), "somebody still waits");
        let status = world.pool.status(world.now);
        let full = status.all.connections.total >= status.max_connections;
        for replica in status.replicas.iter().filter(|r| r.health != ReplicaHealth::Draining) {
            let connections = &replica.figures.connections;
            prop_assert!(connections.available >= replica.min_connections || full, "{replica:?}");
            prop_assert_eq!(connections.idle, connections.available);
        }

        // A few calls are in flight when the pool is drained; one of them never ends.
        for (id, _) in world.replicas.clone() {
            for _ in 0..2 {
                let lane = Lane { replica: id, variant: 0, scope: Scope::Shared };
                match world.pool.acquire(world.now, lane, world.after_ms(10)) {
                    Acquire::Granted(lease) => world.lease(lease, lane),
                    Acquire::Waiting(waiter) => world.waiters.push((waiter, lane, world.after_ms(10))),
                    Acquire::Refused(AcquireError::UnknownReplica) => {}
                    Acquire::Refused(_) => world.refused += 1,
                }
                world.catch_up();
            }
        }
        world.drained.extend(world.replicas.iter().map(|(id, _)| *id));
        world.pool.drain(world.now, DrainTarget::All, world.after_ms(2_000));
        world.catch_up();
        prop_assert!(world.waiters.is_empty());
        if world.leases.len() > 1 {
            world.apply(Op::Release { lease: 0, outcome: Outcome::Ok });
        }
        world.apply(Op::Pass { ms: 2_000 });
        world.apply(Op::Pass { ms: 1 });
        for conn in world.in_stage(Stage::Closing) {
            world.gone(conn);
        }
        prop_assert!(world.pool.is_drained(DrainTarget::All), "{:?}", world.real);
        let all = world.pool.status(world.now).all;
        prop_assert_eq!(all.connections, ConnectionFigures::default());
        prop_assert_eq!((all.calls_in_flight, all.waiting), (0, 0));
        prop_assert_eq!(all.opened, all.retirements().map(|(_, n)| n).sum::<u64>());
    }
}
