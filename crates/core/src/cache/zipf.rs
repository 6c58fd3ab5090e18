//! A load in which few questions are asked often, and what any cache can make of it. For tests and benchmarks.

/// Draws numbers from 0 on, number `n` with a probability in proportion to `1 / (n + 1)^exponent`.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// Sums of the probabilities.
    sums: Vec<f64>,
    random: u64,
}

impl Zipf {
    pub(crate) fn new(count: usize, exponent: f64, seed: u64) -> Self {
        let weights = (1..=count).map(|rank| (rank as f64).powf(-exponent));
        let total: f64 = weights.clone().sum();
        let mut sum = 0.0;
        let sums = weights.map(|weight| {
            sum += weight / total;
            sum
        });
        Self { sums: sums.collect(), random: seed }
    }

    pub(crate) fn next(&mut self) -> usize {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        self.sums.partition_point(|sum| *sum < unit).min(self.sums.len() - 1)
    }

    fn probabilities(&self) -> impl Iterator<Item = f64> + '_ {
        let before = std::iter::once(0.0).chain(self.sums.iter().copied());
        self.sums.iter().zip(before).map(|(sum, before)| sum - before)
    }
}

/// The hit rate of a cache that knows the probabilities and holds the likeliest: the most that is possible where each
/// draw is independent of those before.
pub(crate) fn optimal(zipf: &Zipf, entries: usize) -> f64 {
    zipf.sums[entries.min(zipf.sums.len()) - 1]
}

/// The hit rate of a cache in which the least recently used gives way, by Che's approximation (Che, Tung, Wang 2002):
/// an entry stays for a time that is the same for all, namely that in which as many different ones are asked for as
/// there is room for.
pub(crate) fn least_recently_used(zipf: &Zipf, entries: usize) -> f64 {
    if entries >= zipf.sums.len() {
        return 1.0;
    }
    let held = |time: f64| zipf.probabilities().map(|one| 1.0 - (-one * time).exp()).sum::<f64>();
    let (mut low, mut high) = (0.0, 1.0);
    while held(high) < entries as f64 {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if held(middle) < entries as f64 { low = middle } else { high = middle }
    }
    zipf.probabilities().map(|one| one * (1.0 - (-one * high).exp())).sum()
}
