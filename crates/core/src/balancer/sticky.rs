//! The choice by a key: rendezvous hashing (Thaler and Ravishankar, 1998), with weights.
//!
//! Every replica draws a number from the key and its own name, and the best draw wins. A replica that leaves takes only
//! its own keys away; one that joins takes its share from all.

use super::random::{mix, unit};

/// The number that stands for a replica's name: the same in every process (FNV-1a).
pub(super) fn name_hash(name: &str) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// What a replica draws for a key: the highest wins, each replica as often as its weight says.
pub(super) fn draw(key: u64, name_hash: u64, weight: f64) -> f64 {
    let uniform = unit(mix(mix(key) ^ name_hash)).max(f64::MIN_POSITIVE);
    weight / -uniform.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(key: u64, replicas: &[(u64, f64)]) -> u64 {
        let best = |a: &&(u64, f64), b: &&(u64, f64)| draw(key, a.0, a.1).total_cmp(&draw(key, b.0, b.1));
        replicas.iter().max_by(best).unwrap().0
    }

    fn replicas(count: usize) -> Vec<(u64, f64)> {
        (0..count).map(|i| (name_hash(&format!("http://replica-{i}")), 1.0)).collect()
    }

    proptest! {
        #[test]
        fn only_the_keys_of_the_replica_that_left_move(count in 2..12_usize, gone in 0..12_usize, key: u64) {
            let all = replicas(count);
            let mut rest = all.clone();
            let (left, _) = rest.remove(gone % count);
            let before = owner(key, &all);
            prop_assert!(before == left || owner(key, &rest) == before);
        }
    }

    #[test]
    fn keys_spread_by_weight() {
        let mut all = replicas(4);
        all[0].1 = 3.0;
        let keys = 30_000;
        let mine = (0..keys).filter(|key| owner(*key, &all) == all[0].0).count();
        let share = mine as f64 / keys as f64;
        assert!((share - 0.5).abs() < 0.02, "3 of 6 parts, not {share}");
    }
}
