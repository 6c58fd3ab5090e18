//! Firings of alerts: kept across restarts, bounded, each server's apart.

use aqe_core::monitor::alerts::{Firing, Resolution, Severity};
use aqe_store::{Store, StoreError, limits};

use crate::support::{T0, fresh, open};

fn firing(number: i64) -> Firing {
    Firing {
        id: format!("1-{number}"),
        pid: 1,
        name: "error-rate".into(),
        severity: Severity::Critical,
        signal: "error_rate".into(),
        scope: "all".into(),
        threshold: 0.05,
        text: "error rate is 7 %, above 5 %".into(),
        started: T0 + number,
        ended: None,
        resolution: None,
        peak: 0.07,
        acked_by: None,
        acked_at: None,
        ack_note: None,
        seen: T0 + number,
    }
}

fn over(number: i64, resolution: Resolution) -> Firing {
    Firing { ended: Some(T0 + number + 5), resolution: Some(resolution), ..firing(number) }
}

#[tokio::test]
async fn a_firing_is_kept_as_it_was_last_saved_also_by_the_next_process() {
    let (directory, store) = fresh();
    store.save_alert("/a".into(), firing(1)).await.unwrap();
    let acked = Firing {
        acked_by: Some("ann".into()),
        acked_at: Some(T0 + 3),
        ack_note: Some("on it".into()),
        peak: 0.5,
        ..over(1, Resolution::Recovered)
    };
    store.save_alert("/a".into(), acked.clone()).await.unwrap();
    drop(store);
    let store = open(&directory.path().join("store.db"));
    assert_eq!(store.load_alerts("/a".into(), 10).await.unwrap(), [acked]);
    assert!(store.check().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_way_to_end_survives_and_servers_are_apart() {
    let (_directory, store) = fresh();
    for (number, resolution) in (0..).zip(Resolution::ALL) {
        store.save_alert("/a".into(), over(number, resolution)).await.unwrap();
    }
    store.save_alert("/b".into(), firing(9)).await.unwrap();
    let found = store.load_alerts("/a".into(), 10).await.unwrap();
    let found: Vec<_> = found.iter().map(|firing| firing.resolution.unwrap()).collect();
    let newest_first: Vec<_> = Resolution::ALL.into_iter().rev().collect();
    assert_eq!(found, newest_first);
    assert_eq!(store.load_alerts("/b".into(), 10).await.unwrap(), [firing(9)]);
    assert!(store.load_alerts("/c".into(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_oldest_go_and_open_ones_come_first() {
    let (_directory, store) = fresh();
    store.save_alert("/b".into(), firing(0)).await.unwrap();
    let most = i64::from(limits::ALERTS_PER_SERVER);
    store.save_alert("/a".into(), firing(1)).await.unwrap();
    for number in 2..=most + 20 {
        store.save_alert("/a".into(), over(number, Resolution::Recovered)).await.unwrap();
        if number == 3 {
            let found = store.load_alerts("/a".into(), 2).await.unwrap();
            let numbers: Vec<_> = found.iter().map(|firing| firing.started - T0).collect();
            assert_eq!(numbers, [1, 3]);
        }
    }
    let found = store.load_alerts("/a".into(), u32::MAX).await.unwrap();
    assert_eq!(i64::try_from(found.len()).unwrap(), most);
    assert_eq!((found[0].started - T0, found.last().unwrap().started - T0), (most + 20, 21));
    assert_eq!(store.load_alerts("/b".into(), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_text_beyond_the_bound_is_refused() {
    let (_directory, store) = fresh();
    let long = Firing { text: "x".repeat(limits::ALERT_MAX_BYTES), ..firing(1) };
    let refused = store.save_alert("/a".into(), long).await.unwrap_err();
    assert!(matches!(refused, StoreError::Limit { what: "alert in bytes", .. }), "{refused}");
}
