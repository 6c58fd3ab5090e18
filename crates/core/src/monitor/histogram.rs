//! Latencies in buckets whose width grows with the value, after HdrHistogram (Tene): each power of two is divided into
//! [`SUB_BUCKETS`] buckets, so that a value is known to within half a bucket, 0.8 % of itself, whatever it is.
//!
//! Memory is made for a power of two when a value first falls into it: the latencies of one tool touch few of them.

use std::sync::OnceLock;
use std::time::Duration;

use super::slot::Counter;

const SUB_BITS: u32 = 6;
/// Buckets of each power of two.
pub const SUB_BUCKETS: usize = 1 << SUB_BITS;
/// Nanoseconds of the narrowest buckets, as a power of two: 16 ns.
const UNIT_BITS: u32 = 4;
/// Values from 2^42 ns (73 minutes) on are in the last bucket. A call takes an hour at most.
const TOP_BITS: u32 = 42;
const PAGES: usize = (TOP_BITS - UNIT_BITS - SUB_BITS + 1) as usize;
/// All buckets.
pub const BUCKETS: usize = PAGES * SUB_BUCKETS;

/// How far a percentile may be from the true value, as a share of that; for values below 1 µs it is 8 ns.
pub const MAX_ERROR: f64 = 0.5 / SUB_BUCKETS as f64;

/// The bucket of a value in nanoseconds.
#[inline]
pub fn bucket_of(ns: u64) -> usize {
    let value = ns.min((1 << TOP_BITS) - 1) >> UNIT_BITS;
    if value < SUB_BUCKETS as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    // The value's leading bit adds the 1 that the first page is ahead.
    (shift as usize) * SUB_BUCKETS + (value >> shift) as usize
}

/// The least value of a bucket, and that of the next one, in nanoseconds.
pub fn bounds_of(bucket: usize) -> (u64, u64) {
    let (page, sub) = (bucket / SUB_BUCKETS, (bucket % SUB_BUCKETS) as u64);
    let (low, width) = match page {
        0 => (sub, 1),
        page => ((SUB_BUCKETS as u64 + sub) << (page - 1), 1 << (page - 1)),
    };
    (low << UNIT_BITS, (low + width) << UNIT_BITS)
}

type Page = [Counter; SUB_BUCKETS];

/// The histogram of one slot.
#[derive(Debug)]
pub struct Histogram {
    pages: [OnceLock<Box<Page>>; PAGES],
    sum_ns: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { pages: [const { OnceLock::new() }; PAGES], sum_ns: Counter::new() }
    }
}

impl Histogram {
    /// Counts a value, in nanoseconds. `SOLE` is as in [`Counter::add`].
    #[inline]
    pub fn record<const SOLE: bool>(&self, ns: u64) {
        let bucket = bucket_of(ns);
        let page = &self.pages[bucket / SUB_BUCKETS];
        let page = page.get_or_init(|| Box::new([const { Counter::new() }; SUB_BUCKETS]));
        page[bucket % SUB_BUCKETS].add::<SOLE>(1);
        self.sum_ns.add::<SOLE>(ns);
    }

    /// Adds what is in it to `to`.
    pub fn add_to(&self, to: &mut Counts) {
        let pages = || self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.get()?)));
        let highest = pages().rev().find_map(|(number, page)| {
            Some(number * SUB_BUCKETS + page.iter().rposition(|counter| counter.get() > 0)?)
        });
        // What is counted meanwhile makes its own room.
        to.make_room(highest.map_or(0, |highest| highest + 1));
        for (number, page) in pages() {
            for (sub, counter) in page.iter().enumerate() {
                to.add(number * SUB_BUCKETS + sub, counter.get());
            }
        }
        to.sum_ns = to.sum_ns.wrapping_add(self.sum_ns.get());
    }
}

/// How many values are in each bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Grows to the highest bucket in use.
    buckets: Vec<u64>,
    count: u64,
    sum_ns: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Counts {
    /// Nothing.
    pub const EMPTY: Self = Self { buckets: Vec::new(), count: 0, sum_ns: 0 };

    fn add(&mut self, bucket: usize, count: u64) {
        if count == 0 {
            return;
        }
        self.make_room(bucket + 1);
        self.buckets[bucket] += count;
        self.count += count;
    }

    /// Whoever adds many buckets makes room for all of them at once.
    fn make_room(&mut self, buckets: usize) {
        if self.buckets.len() < buckets {
            self.buckets.resize(buckets, 0);
        }
    }

    /// Counts a value, in nanoseconds.
    pub fn record(&mut self, ns: u64) {
        self.record_many(ns, 1);
    }

    /// Counts a value, in nanoseconds, so many times.
    pub fn record_many(&mut self, ns: u64, times: u64) {
        self.add(bucket_of(ns), times);
        self.sum_ns = self.sum_ns.wrapping_add(ns.wrapping_mul(times));
    }

    /// Adds what is in another.
    pub fn merge(&mut self, other: &Self) {
        // In one stride: whoever reads hundreds of series adds a million buckets.
        self.make_room(other.buckets.len());
        for (to, from) in self.buckets.iter_mut().zip(&other.buckets) {
            *to += from;
        }
        self.count += other.count;
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }

    /// Values in all.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their exact sum.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }

    /// Their exact mean; `None` without values.
    pub fn mean(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_nanos(self.sum_ns / self.count.max(1)))
    }

    /// The value that a share of all values (0 to 1) does not exceed, to within [`MAX_ERROR`]; `None` without values.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = ((share.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let (low, high) = bounds_of(bucket);
        Some(Duration::from_nanos(u64::midpoint(low, high)))
    }

    /// The greatest value, to within [`MAX_ERROR`]; `None` without values.
    pub fn max(&self) -> Option<Duration> {
        self.quantile(1.0)
    }

    /// How many values are less than `bound`, which is one that [`bounds_of`] gives (otherwise: less than the greatest
    /// such bound below it).
    pub fn below(&self, bound: Duration) -> u64 {
        let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        self.buckets.iter().take(bucket_of(bound)).sum()
    }

    /// [`Self::below`] for many bounds in nanoseconds, from low to high, in one pass.
    pub fn below_each<'a>(
        &'a self,
        bounds: impl IntoIterator<Item = u64> + 'a,
    ) -> impl Iterator<Item = u64> + 'a {
        let (mut at, mut below) = (0, 0);
        bounds.into_iter().map(move |bound| {
            let end = bucket_of(bound).min(self.buckets.len());
            below += self.buckets.get(at..end).unwrap_or_default().iter().sum::<u64>();
            at = at.max(end);
            below
        })
    }

    /// The buckets in use with their counts, in order.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.buckets.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// The same in little memory.
    pub(super) fn sparse(&self) -> Sparse {
        let buckets = self.buckets().map(|(bucket, count)| (bucket as u16, count));
        Sparse { buckets: buckets.collect(), sum_ns: self.sum_ns }
    }

    pub(super) fn merge_sparse(&mut self, other: &Sparse) {
        let Some((highest, _)) = other.buckets.last() else { return };
        self.make_room(usize::from(*highest) + 1);
        for (bucket, count) in &other.buckets {
            self.buckets[usize::from(*bucket)] += count;
            self.count += count;
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }
}

/// The buckets that are not empty, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparse {
    buckets: Box<[(u16, u64)]>,
    sum_ns: u64,
}

impl Sparse {
    /// Brings it to `now`, a later state of the same histogram, and returns what has come since.
    pub(super) fn advance(&mut self, now: &Counts) -> Self {
        let mut before = self.buckets.iter().peekable();
        let mut all = Vec::with_capacity(self.buckets.len());
        let mut more = Vec::new();
        for (bucket, count) in now.buckets() {
            let bucket = bucket as u16;
            // Counts do not shrink, so that none of those before is skipped.
            let was = before.next_if(|(at, _)| *at == bucket).map_or(0, |(_, count)| *count);
            if count > was {
                more.push((bucket, count - was));
            }
            all.push((bucket, count));
        }
        let since = Self { buckets: more.into(), sum_ns: now.sum_ns.wrapping_sub(self.sum_ns) };
        *self = Self { buckets: all.into(), sum_ns: now.sum_ns };
        since
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_bucket_begins_where_the_one_before_ends() {
        let mut next = 0;
        for bucket in 0..BUCKETS {
            let (low, high) = bounds_of(bucket);
            assert_eq!(low, next, "bucket {bucket}");
            assert_eq!((bucket_of(low), bucket_of(high - 1)), (bucket, bucket));
            next = high;
        }
        assert_eq!(next, 1 << TOP_BITS);
    }

    #[test]
    fn what_is_too_long_is_in_the_last_bucket() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn without_values_nothing_is_claimed() {
        let counts = Counts::default();
        assert_eq!((counts.quantile(0.5), counts.mean(), counts.max()), (None, None, None));
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_stated_error(
            mut values in prop::collection::vec(1_000_u64..10_000_000_000, 1..300),
            share in 0.0..=1.0_f64,
        ) {
            let histogram = Histogram::default();
            for value in &values {
                histogram.record::<false>(*value);
            }
            let mut counts = Counts::default();
            histogram.add_to(&mut counts);
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            let told = counts.quantile(share).unwrap().as_nanos() as f64;
            prop_assert!((told - exact).abs() <= exact * MAX_ERROR, "{told} for {exact}");
            prop_assert_eq!(counts.count(), values.len() as u64);
            prop_assert_eq!(counts.sum(), Duration::from_nanos(values.iter().sum()));
        }

        #[test]
        fn what_came_since_is_what_was_recorded_since(
            first in prop::collection::vec(0_u64..1_000_000, 0..100),
            second in prop::collection::vec(0_u64..1_000_000, 0..100),
        ) {
            let mut all = Counts::default();
            for value in &first {
                all.record(*value);
            }
            let mut before = all.sparse();
            let mut expected = Counts::default();
            for value in &second {
                all.record(*value);
                expected.record(*value);
            }
            let mut since = Counts::default();
            since.merge_sparse(&before.advance(&all));
            prop_assert_eq!(since, expected);
            let mut whole = Counts::default();
            whole.merge_sparse(&before);
            prop_assert_eq!(whole, all);
        }

        #[test]
        fn counts_below_a_bound_are_exact(values in prop::collection::vec(0_u64..1_000_000, 0..100), bucket in 0..800_usize) {
            let mut counts = Counts::default();
            for value in &values {
                counts.record(*value);
            }
            let (bound, _) = bounds_of(bucket);
            let below = values.iter().filter(|value| **value < bound).count() as u64;
            prop_assert_eq!(counts.below(Duration::from_nanos(bound)), below);
            let both: Vec<u64> = counts.below_each([bound / 2, bound, bound, u64::MAX]).collect();
            let half = counts.below(Duration::from_nanos(bound / 2));
            let last = counts.below(Duration::from_nanos(u64::MAX));
            prop_assert_eq!(both, [half, below, below, last]);
        }
    }
}
