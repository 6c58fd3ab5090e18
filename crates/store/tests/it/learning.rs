//! Learning: the promises that any store keeps, and those of the file.

use std::sync::{Arc, Mutex};

use aqe_store::learning::{Tally, Which};
use aqe_store::suite::learning::{RULE, holds, of};
use aqe_store::{LearningStore, SqliteStore, limits};
use proptest::prelude::*;

use crate::support::{T0, fresh, open};

#[tokio::test]
async fn the_embedded_store_keeps_the_promises_of_any() {
    let folders = Mutex::new(Vec::new());
    let empty = async || -> SqliteStore {
        let (folder, store) = fresh();
        folders.lock().unwrap().push(folder);
        store
    };
    holds(empty).await;
}

#[tokio::test]
async fn two_writers_on_one_file_lose_no_observation() {
    let (directory, one) = fresh();
    let one = Arc::new(one);
    let other = Arc::new(open(&directory.path().join("store.db")));
    let write = |store: Arc<SqliteStore>| {
        tokio::spawn(async move {
            for number in 0..100 {
                let batch = vec![of("shared", 1, 0), of(&format!("p{}", number % 7), 0, 1)];
                store.observe("alice".into(), batch, RULE).await.unwrap();
            }
        })
    };
    let (first, second, third) = (write(one.clone()), write(other.clone()), write(other));
    first.await.unwrap();
    second.await.unwrap();
    third.await.unwrap();
    let which = Which { most: 99, ..Which::default() };
    let found = one.patterns("alice".into(), which).await.unwrap();
    assert_eq!(found.iter().map(|one| one.seen.successes).sum::<u64>(), 300);
    assert_eq!(found.iter().map(|one| one.seen.failures).sum::<u64>(), 300);
    let shared = found.iter().find(|one| one.title == "shared").unwrap();
    assert!((shared.tally.successes - 300.0).abs() < 1e-9);
    let learned = one.learned("alice".into()).await.unwrap();
    assert_eq!((learned.patterns, learned.kept), (8, 600));
    assert_eq!(learned.calibration.iter().map(|bin| bin.trials).sum::<u64>(), 600);
    assert!(aqe_store::Store::check(&*one).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_oldest_observations_go_and_the_tallies_stay() {
    let (_directory, store) = fresh();
    let many = limits::OBSERVATIONS_PER_PRINCIPAL + 5;
    let mut left = many;
    while left > 0 {
        let batch = left.min(limits::OBSERVATIONS_PER_BATCH as u64);
        let batch: Vec<_> = (0..batch).map(|_| of("p", 1, 0)).collect();
        left -= batch.len() as u64;
        store.observe("alice".into(), batch, RULE).await.unwrap();
    }
    let learned = store.learned("alice".into()).await.unwrap();
    assert_eq!((learned.kept, learned.seen.successes), (limits::OBSERVATIONS_PER_PRINCIPAL, many));
    let found = store.patterns("alice".into(), Which { most: 9, ..Which::default() }).await.unwrap();
    assert!((found[0].tally.successes - many as f64).abs() < 1e-6);
}

proptest! {
    #[test]
    fn a_tally_kept_from_step_to_step_is_the_sum_over_all_observations(
        half_life in 1.0e3_f64..1.0e12,
        observations in prop::collection::vec((0_i64..400 * 86_400_000, 0_u32..5, 0_u32..5), 1..60),
        later in 0_i64..400 * 86_400_000,
        cut in 0_usize..60,
    ) {
        let step = |tally: Tally, &(age, successes, failures): &(i64, u32, u32)| {
            tally.with(successes.into(), failures.into(), T0 + age, half_life)
        };
        let start = Tally { at: T0, ..Tally::default() };
        let whole = observations.iter().fold(start, step);
        // In two parts that are merged, as well.
        let (one, two) = observations.split_at(cut.min(observations.len()));
        let merged = one.iter().fold(start, step).and(two.iter().fold(start, step), half_life);
        let now = observations.iter().map(|one| T0 + one.0).max().unwrap() + later;
        let sum = |pick: fn(&(i64, u32, u32)) -> u32| -> f64 {
            let weight = |age: i64| 0.5_f64.powf((now - T0 - age) as f64 / half_life);
            observations.iter().map(|one| f64::from(pick(one)) * weight(one.0)).sum()
        };
        for tally in [whole, merged] {
            let tally = tally.at(now, half_life);
            for (kept, full) in [(tally.successes, sum(|one| one.1)), (tally.failures, sum(|one| one.2))] {
                prop_assert!((kept - full).abs() <= 1e-9 * full.max(1e-9), "{} is not {}", kept, full);
            }
            prop_assert_eq!(tally.at, now);
        }
    }
}
