//! How many extra calls may be sent: retries and hedges must not become the overload that they answer to.

use std::time::Instant;

use crate::health::Window;

/// How many extra calls there may be, over a sliding window of ten seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetConfig {
    /// Extra calls as a share of the first tries, from 0 to 1.
    pub share: f64,
    /// Extra calls per second that are allowed however few first tries there are.
    pub floor_per_second: u32,
}

impl BudgetConfig {
    /// Of retries: a fifth of the load, and ten per second.
    pub const RETRIES: Self = Self { share: 0.2, floor_per_second: 10 };
    /// None at all.
    pub const OFF: Self = Self { share: 0.0, floor_per_second: 0 };
    /// Of hedges, where they are wanted: they go to about one call in twenty, those beyond the 95th percentile.
    pub const HEDGES: Self = Self { share: 0.05, floor_per_second: 0 };

    /// Whether this allows nothing, ever.
    pub fn is_off(&self) -> bool {
        self.share <= 0.0 && self.floor_per_second == 0
    }
}

/// What is left to spend on extra calls.
#[derive(Debug, Clone)]
pub struct Budget {
    config: BudgetConfig,
    /// Deposits and withdrawals.
    window: Window,
}

const DEPOSIT: usize = 0;
const WITHDRAWAL: usize = 1;

impl Budget {
    /// A budget with nothing deposited.
    pub fn new(config: BudgetConfig, now: Instant) -> Self {
        Self { config, window: Window::new(now) }
    }

    /// Other limits from now on; what was deposited and withdrawn stays.
    pub fn reconfigure(&mut self, config: BudgetConfig) {
        self.config = config;
    }

    /// The limits.
    pub fn config(&self) -> BudgetConfig {
        self.config
    }

    /// Counts a first try.
    pub fn deposit(&mut self, now: Instant) {
        self.window.add(DEPOSIT, now);
    }

    /// Takes one extra call out; false if none is left.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        let left = self.left(now) > 0;
        if left {
            self.window.add(WITHDRAWAL, now);
        }
        left
    }

    /// Extra calls that could be sent now.
    pub fn left(&mut self, now: Instant) -> u32 {
        let totals = self.window.totals(now);
        let floor = f64::from(self.config.floor_per_second) * Window::SPAN.as_secs_f64();
        let allowed = f64::from(totals[DEPOSIT]) * self.config.share + floor;
        (allowed as u32).saturating_sub(totals[WITHDRAWAL])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_may_be_spent_where_it_is_off() {
        let now = Instant::now();
        let mut budget = Budget::new(BudgetConfig::OFF, now);
        (0..1_000).for_each(|_| budget.deposit(now));
        assert!(!budget.withdraw(now));
        assert!(
            BudgetConfig::OFF.is_off() && !BudgetConfig::HEDGES.is_off() && !BudgetConfig::RETRIES.is_off()
        );
    }

    proptest! {
        #[test]
        fn extra_calls_never_exceed_the_share_and_the_floor(
            share in 0.0..=1.0_f64,
            floor in 0..5_u32,
            steps in prop::collection::vec((0..3_000_u64, 0..20_u32, 0..20_u32), 1..60),
        ) {
            let start = Instant::now();
            let mut budget = Budget::new(BudgetConfig { share, floor_per_second: floor }, start);
            let (mut now, mut log) = (start, Vec::new());
            for (wait, tries, wanted) in steps {
                now += Duration::from_millis(wait);
                (0..tries).for_each(|_| budget.deposit(now));
                let granted = (0..wanted).filter(|_| budget.withdraw(now)).count();
                log.push((now, tries, granted));
                prop_assert_eq!(granted < wanted as usize, budget.left(now) == 0 && granted < wanted as usize);
                // The window of whole seconds that ends with the present one.
                let second = |at: Instant| (at - start).as_secs();
                let recent = || log.iter().filter(|(at, ..)| second(*at) + 10 > second(now));
                let tries: u32 = recent().map(|(_, tries, _)| tries).sum();
                let spent: usize = recent().map(|(.., granted)| granted).sum();
                let allowed = f64::from(tries) * share + f64::from(floor) * 10.0;
                if granted > 0 {
                    prop_assert!(spent as f64 <= allowed, "{} > {}", spent, allowed);
                }
            }
        }
    }
}
