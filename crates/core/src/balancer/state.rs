//! The balancer of one upstream: calls and probes in, choices out.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::budget::{Budgets, Extra};
use super::call::{Affinity, Change, Request, Ticket};
use super::config::{BalancerConfig, BalancerConfigError, ReplicaConfig};
use super::error::{NoAvailableReplicas, PickError, Unavailable, UnavailableReplica};
use super::random::Random;
use super::replica::{Replica, ReplicaId};
use super::status::BalancerStatus;
use super::sticky;
use super::strategy::Choice;
use crate::health::{Call, Outcome, Record, Standing};

/// The load balancer of one upstream. The [module](super) says how to drive it.
#[derive(Debug)]
pub struct Balancer {
    pub(super) config: BalancerConfig,
    pub(super) replicas: Vec<Replica>,
    /// No longer configured, with calls in flight.
    leaving: Vec<Replica>,
    next_id: u64,
    /// How many replicas are not healthy.
    pub(super) out: usize,
    budgets: Budgets,
    pub(super) random: Random,
    /// Positions of the candidates of the present choice, and what is expected of them; kept for their memory.
    candidates: Vec<usize>,
    expected_ns: Vec<f64>,
    pub(super) changes: Vec<Change>,
    pub(super) latest: Instant,
    /// When this process was last found to have been stopped for a while.
    pub(super) resumed: Option<Instant>,
    pub(super) pauses: u32,
}

impl Balancer {
    /// A balancer over replicas that are all taken to be healthy. All its random choices follow from `seed`.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(config: BalancerConfig, seed: u64, now: Instant) -> Result<Self, BalancerConfigError> {
        config.check()?;
        let mut balancer = Self {
            replicas: Vec::with_capacity(config.replicas.len()),
            leaving: Vec::new(),
            next_id: 0,
            out: 0,
            budgets: Budgets::new(config.retries, config.hedges, now),
            random: Random::new(seed),
            candidates: Vec::with_capacity(config.replicas.len()),
            expected_ns: Vec::with_capacity(config.replicas.len()),
            changes: Vec::new(),
            latest: now,
            resumed: None,
            pauses: 0,
            config,
        };
        for at in 0..balancer.config.replicas.len() {
            let replica = balancer.new_replica(&balancer.config.replicas[at].clone(), false, now);
            balancer.replicas.push(replica);
        }
        Ok(balancer)
    }

    /// Other settings from now on. Replicas keep what is known of them by their name; those that are gone take no more
    /// calls, and are forgotten when the last has finished; new ones begin in slow start.
    ///
    /// # Errors
    /// A setting that cannot be used: then everything stays as it was.
    pub fn reconfigure(&mut self, config: BalancerConfig, now: Instant) -> Result<(), BalancerConfigError> {
        config.check()?;
        self.budgets.reconfigure(config.retries, config.hedges);
        self.config = config;
        let mut before = mem::take(&mut self.replicas);
        before.append(&mut self.leaving);
        for at in 0..self.config.replicas.len() {
            let wanted = self.config.replicas[at].clone();
            let known = before.iter().position(|replica| replica.name == wanted.name);
            let replica = match known {
                Some(position) => {
                    let mut replica = before.swap_remove(position);
                    replica.reconfigure(&wanted);
                    replica
                }
                None => self.new_replica(&wanted, true, now),
            };
            self.replicas.push(replica);
        }
        before.retain(|replica| replica.in_flight > 0);
        self.leaving = before;
        self.count_out();
        Ok(())
    }

    /// The settings.
    pub fn config(&self) -> &BalancerConfig {
        &self.config
    }

    /// The replicas and their names, in the order of the configuration.
    pub fn replicas(&self) -> impl Iterator<Item = (ReplicaId, &Arc<str>)> {
        self.replicas.iter().map(|replica| (replica.id, &replica.name))
    }

    /// Chooses the replica for a call and counts the call as in flight there.
    ///
    /// A call that is [`repeatable`](Request::repeatable) and not bound may become the trial of a replica whose
    /// back-off is over. In panic, ejected replicas serve the calls that find no healthy one with room.
    ///
    /// # Errors
    /// See [`PickError`].
    pub fn pick(&mut self, request: &Request<'_>, now: Instant) -> Result<Ticket, PickError> {
        self.notice(now);
        let ticket = self.pick_any(request, now)?;
        if request.exclude.is_empty() {
            self.budgets.count_try(now);
        }
        Ok(ticket)
    }

    fn pick_any(&mut self, request: &Request<'_>, now: Instant) -> Result<Ticket, PickError> {
        if let Affinity::Replica(id) = request.affinity
            && self.position(id).is_none()
        {
            return Err(PickError::Gone);
        }
        if self.out > 0
            && let Some(position) = self.trial(request, now)
        {
            let replica = &mut self.replicas[position];
            replica.trials += 1;
            let call = replica.health.trial_started();
            return Ok(self.start(position, call, now));
        }
        let full = match self.choose(request, Standing::Healthy, now) {
            Found::One(position) => {
                let call = Call::Ordinary(self.replicas[position].health.breaker.openings());
                return Ok(self.start(position, call, now));
            }
            Found::Full => true,
            Found::None => false,
        };
        // A key's replica is waited for, also in panic.
        let waits = full && matches!(request.affinity, Affinity::Key(_));
        if self.in_panic()
            && !waits
            && let Found::One(position) = self.choose(request, Standing::Ejected, now)
        {
            let replica = &mut self.replicas[position];
            replica.panic_picks += 1;
            let call = Call::Panic(replica.health.breaker.openings());
            return Ok(self.start(position, call, now));
        }
        Err(if full { self.full() } else { self.none_available(request, now) })
    }

    /// Takes a call back that has ended after `latency`: the time from sending it to the replica until its answer, or
    /// until it was given up. A replica that is no longer there is no error.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket comes back once")]
    pub fn finished(&mut self, ticket: Ticket, outcome: Outcome, latency: Duration, now: Instant) {
        self.notice(now);
        let Ticket { replica: id, started, call } = ticket;
        let Some(position) = self.position(id) else {
            if let Some(position) = self.leaving.iter().position(|replica| replica.id == id) {
                self.leaving[position].count_finish(outcome, now);
                self.leaving.retain(|replica| replica.in_flight > 0);
            }
            return;
        };
        let slept = self.resumed.is_some_and(|resumed| started < resumed);
        self.replicas[position].count_finish(outcome, now);
        let random = self.random.unit();
        let latency = (!slept).then_some(latency);
        let slow = latency.filter(|_| outcome == Outcome::Success && matches!(call, Call::Trial(_)));
        let slow = slow.and_then(|latency| self.slowness(position, latency, now));
        let health = &mut self.replicas[position].health;
        let shift = match slow {
            Some(reason) => health.tried_in_vain(call, reason, &self.config.health, random, now),
            None => health.finished(call, outcome, latency, &self.config.health, random, now),
        };
        self.shifted(position, shift, now);
    }

    /// Takes one retry out of the budget; false if none is left, and the failure should be passed on.
    pub fn may_retry(&mut self, now: Instant) -> bool {
        self.budgets.withdraw(Extra::Retry, now)
    }

    /// Takes one hedge out of the budget; false if hedging is off ([`BudgetConfig::is_off`](super::BudgetConfig)) or
    /// none is left. Ask after the call has lasted longer than the tool's 95th percentile.
    pub fn may_hedge(&mut self, now: Instant) -> bool {
        self.budgets.withdraw(Extra::Hedge, now)
    }

    /// All figures at this moment.
    pub fn status(&mut self, now: Instant) -> BalancerStatus {
        let health = &self.config.health;
        BalancerStatus {
            strategy: self.config.strategy,
            panic: self.in_panic(),
            retries_left: self.budgets.left(Extra::Retry, now),
            hedges_left: self.budgets.left(Extra::Hedge, now),
            retries: self.budgets.spent(Extra::Retry),
            hedges: self.budgets.spent(Extra::Hedge),
            pauses: self.pauses,
            replicas: self.replicas.iter_mut().map(|replica| replica.status(health, now)).collect(),
            leaving: self.leaving.iter_mut().map(|replica| replica.status(health, now)).collect(),
        }
    }

    /// Whether so few replicas are healthy that ejections are not kept.
    pub(super) fn in_panic(&self) -> bool {
        let healthy = (self.replicas.len() - self.out) as f64;
        self.out > 0 && healthy < self.config.health.panic_threshold * self.replicas.len() as f64
    }

    fn new_replica(&mut self, config: &ReplicaConfig, warming: bool, now: Instant) -> Replica {
        let id = ReplicaId(self.next_id);
        self.next_id += 1;
        // The first probes are spread over an interval, and the later ones with them.
        let interval = self.config.health.probe_interval.unwrap_or_default();
        let first_probe = now + interval.mul_f64(self.random.unit());
        Replica::new(id, config, Record::new(warming, first_probe, now), now)
    }

    pub(super) fn position(&self, id: ReplicaId) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.id == id)
    }

    fn start(&mut self, position: usize, call: Call, now: Instant) -> Ticket {
        let replica = &mut self.replicas[position];
        replica.count_pick(now);
        debug_assert!(replica.in_flight <= replica.capacity, "only replicas with room are chosen");
        Ticket { replica: replica.id, started: now, call }
    }

    /// The replica that this call may try again.
    fn trial(&self, request: &Request<'_>, now: Instant) -> Option<usize> {
        let health = &self.config.health;
        // Without probes any call must do. Keys stay where they are until the replica is well.
        let spendable = request.repeatable || health.probe_interval.is_none();
        if !spendable || matches!(request.affinity, Affinity::Key(_)) {
            return None;
        }
        self.replicas.iter().position(|replica| {
            replica.health.call_trial_due(health, now)
                && request.allows(replica)
                && replica.has_room()
                && replica.health.rest(now).is_none()
        })
    }

    /// Chooses among the replicas of one standing.
    fn choose(&mut self, request: &Request<'_>, standing: Standing, now: Instant) -> Found {
        self.candidates.clear();
        let mut full = false;
        let mut owner = (f64::NEG_INFINITY, None);
        for (position, replica) in self.replicas.iter().enumerate() {
            let usable = replica.standing() == standing
                && request.allows(replica)
                && replica.health.rest(now).is_none();
            if !usable {
                continue;
            }
            if let Affinity::Key(key) = request.affinity {
                let draw = sticky::draw(key, replica.name_hash, replica.weight);
                if draw > owner.0 {
                    owner = (draw, Some(position));
                }
            } else if replica.has_room() {
                self.candidates.push(position);
            } else {
                full = true;
            }
        }
        if let Some(position) = owner.1 {
            return if self.replicas[position].has_room() { Found::One(position) } else { Found::Full };
        }
        if self.candidates.is_empty() {
            return if full { Found::Full } else { Found::None };
        }
        self.hold_back_warming(now);
        let choice = Choice {
            replicas: &mut self.replicas,
            candidates: &self.candidates,
            expected_ns: &mut self.expected_ns,
            category: request.category,
            score: self.config.score,
            random: &mut self.random,
            now,
        };
        Found::One(choice.make(self.config.strategy))
    }

    /// Slow start, alike for all strategies: a replica with a share of a half is left out of every other choice,
    /// unless that would leave none.
    fn hold_back_warming(&mut self, now: Instant) {
        let slow_start = self.config.health.slow_start;
        let mut kept = 0;
        for at in 0..self.candidates.len() {
            let share = self.replicas[self.candidates[at]].health.breaker.share(slow_start, now);
            if share >= 1.0 || self.random.unit() < share {
                self.candidates.swap(kept, at);
                kept += 1;
            }
        }
        if kept > 0 {
            self.candidates.truncate(kept);
        }
    }

    fn full(&self) -> PickError {
        PickError::Full { in_flight: self.replicas.iter().map(|replica| replica.in_flight).sum() }
    }

    fn none_available(&self, request: &Request<'_>, now: Instant) -> PickError {
        let bound = |replica: &&Replica| match request.affinity {
            Affinity::Replica(id) => replica.id == id,
            Affinity::Any | Affinity::Key(_) => true,
        };
        let entry = |replica: &Replica| UnavailableReplica {
            id: replica.id,
            name: Arc::clone(&replica.name),
            // One that was tried is reported as such if nothing else speaks against it.
            why: replica.unavailable(now).unwrap_or(Unavailable::AlreadyTried),
        };
        let replicas = self.replicas.iter().filter(bound).map(entry).collect();
        PickError::NoAvailableReplicas(Box::new(NoAvailableReplicas { replicas }))
    }
}

/// What a choice came to.
enum Found {
    One(usize),
    Full,
    None,
}
