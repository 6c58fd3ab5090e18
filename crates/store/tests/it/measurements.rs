//! Measurements: kept by project, branch and commit, bounded, in the order of the commits.

use aqe_store::{Measurement, Store, StoreError, limits};

use crate::support::{T0, fresh, open};

fn measured(commit: u32, value: f64) -> Measurement {
    Measurement {
        project: "/p".into(),
        branch: "main".into(),
        commit: format!("{commit:040x}"),
        at: T0 + i64::from(commit),
        values: vec![("functions".into(), 3.0), ("ncloc".into(), value)],
    }
}

#[tokio::test]
async fn measurements_come_back_in_the_order_of_their_commits_also_in_the_next_process() {
    let (directory, store) = fresh();
    for commit in [2, 3, 1] {
        store.save_measurement(measured(commit, 10.0)).await.unwrap();
    }
    // Another commit was measured anew, another branch and another project are apart.
    store.save_measurement(measured(3, 12.5)).await.unwrap();
    store.save_measurement(Measurement { branch: "other".into(), ..measured(4, 1.0) }).await.unwrap();
    store.save_measurement(Measurement { project: "/q".into(), ..measured(5, 1.0) }).await.unwrap();
    drop(store);
    let store = open(&directory.path().join("store.db"));
    let load = |most| store.load_measurements("/p".into(), "main".into(), most);
    assert_eq!(load(10).await.unwrap(), [measured(1, 10.0), measured(2, 10.0), measured(3, 12.5)]);
    assert_eq!(load(2).await.unwrap(), [measured(2, 10.0), measured(3, 12.5)]);
    assert!(store.load_measurements("/p".into(), "none".into(), 9).await.unwrap().is_empty());
    assert!(store.check().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_oldest_commits_of_a_branch_go_and_long_names_are_refused() {
    let (_directory, store) = fresh();
    for commit in 0..limits::MEASUREMENTS_PER_BRANCH + 3 {
        store.save_measurement(measured(commit, 1.0)).await.unwrap();
    }
    let kept = store.load_measurements("/p".into(), "main".into(), u32::MAX).await.unwrap();
    assert_eq!((kept.len(), &kept[0]), (limits::MEASUREMENTS_PER_BRANCH as usize, &measured(3, 1.0)));
    let long = Measurement { branch: "b".repeat(limits::MEASUREMENT_MAX_BYTES), ..measured(1, 1.0) };
    assert!(matches!(store.save_measurement(long).await, Err(StoreError::Limit { .. })));
}
