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

/// Why a call is sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// It failed.
    Retry,
    /// It takes long.
    Hedge,
}

/// The first tries of the last ten seconds, and what was sent beside them.
#[derive(Debug, Clone)]
pub(super) struct Budgets {
    retries: BudgetConfig,
    hedges: BudgetConfig,
    /// First tries, retries, hedges.
    window: Window<3>,
    /// Retries and hedges, ever.
    spent: [u64; 2],
}

const TRY: usize = 0;
const RETRY: usize = 1;
const HEDGE: usize = 2;

impl Budgets {
    pub(super) fn new(retries: BudgetConfig, hedges: BudgetConfig, now: Instant) -> Self {
        Self { retries, hedges, window: Window::new(now), spent: [0; 2] }
    }

    /// Other limits from now on; what was counted stays.
    pub(super) fn reconfigure(&mut self, retries: BudgetConfig, hedges: BudgetConfig) {
        (self.retries, self.hedges) = (retries, hedges);
    }

    /// Counts a first try.
    pub(super) fn count_try(&mut self, now: Instant) {
        self.window.add(TRY, now);
    }

    /// Takes one extra call out; false if none is left.
    pub(super) fn withdraw(&mut self, extra: Extra, now: Instant) -> bool {
        let left = self.left(extra, now) > 0;
        if left {
            self.window.add(extra.kind(), now);
            self.spent[extra.kind() - RETRY] += 1;
        }
        left
    }

    /// Extra calls that were sent, ever.
    pub(super) fn spent(&self, extra: Extra) -> u64 {
        self.spent[extra.kind() - RETRY]
    }

    /// Extra calls that could be sent now.
    pub(super) fn left(&mut self, extra: Extra, now: Instant) -> u32 {
        let config = match extra {
            Extra::Retry => self.retries,
            Extra::Hedge => self.hedges,
        };
        let totals = self.window.totals(now);
        let floor = f64::from(config.floor_per_second) * Window::<3>::SPAN.as_secs_f64();
        let allowed = f64::from(totals[TRY]) * config.share + floor;
        (allowed as u32).saturating_sub(totals[extra.kind()])
    }
}

impl Extra {
    fn kind(self) -> usize {
        match self {
            Self::Retry => RETRY,
            Self::Hedge => HEDGE,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_may_be_spent_where_it_is_off_and_one_budget_does_not_pay_for_the_other() {
        let now = Instant::now();
        let mut budgets = Budgets::new(BudgetConfig::RETRIES, BudgetConfig::OFF, now);
        (0..1_000).for_each(|_| budgets.count_try(now));
        assert!(!budgets.withdraw(Extra::Hedge, now));
        assert_eq!((0..1_000).filter(|_| budgets.withdraw(Extra::Retry, now)).count(), 300);
        budgets.reconfigure(BudgetConfig::RETRIES, BudgetConfig::HEDGES);
        assert_eq!((0..1_000).filter(|_| budgets.withdraw(Extra::Hedge, now)).count(), 50);
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
            let limits = BudgetConfig { share, floor_per_second: floor };
            let mut budgets = Budgets::new(limits, BudgetConfig::OFF, start);
            let (mut now, mut log) = (start, Vec::new());
            for (wait, tries, wanted) in steps {
                now += Duration::from_millis(wait);
                (0..tries).for_each(|_| budgets.count_try(now));
                let granted = (0..wanted).filter(|_| budgets.withdraw(Extra::Retry, now)).count();
                log.push((now, tries, granted));
                let refused = granted < wanted as usize;
                prop_assert!(!refused || budgets.left(Extra::Retry, now) == 0, "refused only when all is spent");
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
