//! Export and import.

use std::io::Cursor;
use std::path::Path;

use aqe_store::learning::{Observation, Polarity, Rule, State, Subject, Tally, Texts, Trials};
use aqe_store::{
    Attributes, Conflicts, Delete, Imported, LearningStore as _, OnConflict, Put, Quotas, SqliteOptions,
    SqliteStore, Store as _, StoreFile, TransferError,
};
use proptest::prelude::*;

use crate::support::{T0, found, open, put, question, write};

const NOW: i64 = T0 + 1_000_000;

fn file(path: &Path) -> StoreFile {
    StoreFile::new(path, SqliteOptions::default())
}

fn exported(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    file(path).export(None, &mut out).unwrap();
    out
}

fn import(path: &Path, bytes: &[u8], conflicts: Conflicts) -> Result<Imported, TransferError> {
    file(path).import(Cursor::new(bytes), conflicts, false, NOW)
}

fn rule() -> Rule {
    fn decide(state: State, tally: &Tally, _: &Tally) -> State {
        if tally.n_eff() > 3.0 { State::Active } else { state }
    }
    Rule { half_life_ms: 1e9, back_off_below: 2.0, decide }
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        principal: u8,
        namespace: u8,
        key: u8,
        value: serde_json::Value,
        ttl: Option<i64>,
        tags: bool,
        replace: bool,
    },
    Delete {
        principal: u8,
        namespace: u8,
        key: u8,
        purge: bool,
    },
    Observe {
        principal: u8,
        title: u8,
        avoid: bool,
        successes: u32,
        failures: u32,
        reward: Option<f64>,
        context: u8,
    },
    Merge {
        principal: u8,
        part: i64,
        whole: i64,
    },
    Retire {
        principal: u8,
        pattern: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        any::<f64>().prop_filter("JSON has no others", |x| x.is_finite()).prop_map(serde_json::Value::from),
        "\\PC{0,12}".prop_map(serde_json::Value::from),
        proptest::collection::btree_map("[a-c]", any::<i64>(), 0..3).prop_map(|map| serde_json::json!(map)),
    ];
    let name = || 0..3_u8;
    prop_oneof![
        6 => (name(), name(), name(), value, proptest::option::weighted(0.2, 1..10_000_i64), any::<bool>(), any::<bool>())
            .prop_map(|(principal, namespace, key, value, ttl, tags, replace)| Step::Put {
                principal, namespace, key, value, ttl, tags, replace
            }),
        1 => (name(), name(), name(), any::<bool>())
            .prop_map(|(principal, namespace, key, purge)| Step::Delete { principal, namespace, key, purge }),
        5 => (name(), 0..4_u8, any::<bool>(), 0..4_u32, 0..4_u32, proptest::option::of(0.0..1.0_f64), 0..3_u8)
            .prop_map(|(principal, title, avoid, successes, failures, reward, context)| Step::Observe {
                principal, title, avoid, successes, failures, reward, context
            }),
        1 => (name(), 1..8_i64, 1..8_i64).prop_map(|(principal, part, whole)| Step::Merge { principal, part, whole }),
        1 => (name(), 1..8_i64).prop_map(|(principal, pattern)| Step::Retire { principal, pattern }),
    ]
}

async fn take(store: &SqliteStore, step: Step, now: i64) {
    let principal = |n: u8| format!("p{n} \"é\"");
    match step {
        Step::Put { principal: p, namespace, key, value, ttl, tags, replace } => {
            let attributes = Attributes {
                tags: tags.then(|| vec!["x".into(), "ü\"".into()]),
                kind: tags.then(|| "fact".into()),
                source: replace.then(|| r#"{"file":"a b.rs"}"#.into()),
                importance: ttl.map(|ttl| 1.0 / ttl as f64),
                expires: ttl.map(|ttl| now + ttl),
            };
            let put = Put {
                principal: principal(p),
                namespace: format!("n{namespace}"),
                attributes,
                valid_from: tags.then_some(now - 7),
                on_conflict: if replace { OnConflict::Replace } else { OnConflict::Version },
                now,
                ..write(&format!("k{key}/é"), &value.to_string())
            };
            store.put(put).await.unwrap();
        }
        Step::Delete { principal: p, namespace, key, purge } => {
            let delete = Delete {
                principal: principal(p),
                namespace: format!("n{namespace}"),
                key: format!("k{key}/é"),
                if_version: None,
                purge,
                now,
            };
            store.delete(delete).await.unwrap();
        }
        Step::Observe { principal: p, title, avoid, successes, failures, reward, context } => {
            let texts = Texts { description: "d\n".into(), content: "c".into(), tags: vec!["t".into()] };
            let polarity = if avoid { Polarity::Avoid } else { Polarity::Do };
            let observation = Observation {
                pattern: Subject::Titled { polarity, title: format!("t{title}"), texts },
                levels: vec![format!("rust/{context}"), "rust".into()],
                trials: Trials {
                    successes,
                    failures,
                    infrastructure: u32::from(avoid),
                    flaky: successes.min(1),
                    reward,
                    evidence: reward.map(|reward| format!("run {reward}")),
                    asserted_by: avoid.then(|| "somebody".into()),
                    at: now,
                },
                used: Some(context % 2 == 0),
            };
            store.observe(principal(p), vec![observation], rule()).await.unwrap();
        }
        // Whatever ids there are: others are refused, which is no step.
        Step::Merge { principal: p, part, whole } => {
            let (part, whole) = (aqe_store::learning::PatternId(part), aqe_store::learning::PatternId(whole));
            let _ = store.merge(principal(p), part, whole, rule()).await;
        }
        Step::Retire { principal: p, pattern } => {
            let _ = store.retire(principal(p), aqe_store::learning::PatternId(pattern), now).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_export_that_is_imported_is_exported_as_the_same_bytes(steps in proptest::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("one.db"), directory.path().join("other.db"));
        runtime.block_on(async {
            let store = open(&one);
            for (at, step) in (0..).zip(steps) {
                take(&store, step, T0 + at * 997).await;
            }
        });
        let bytes = exported(&one);
        let first = import(&other, &bytes, Conflicts::Fail).unwrap();
        assert_eq!(first.added, first.file.entries + first.file.learners);
        assert_eq!(String::from_utf8(exported(&other)).unwrap(), String::from_utf8(bytes.clone()).unwrap());
        assert_eq!(file(&other).check().unwrap().faults, Vec::<String>::new());
        let second = import(&other, &bytes, Conflicts::Fail).unwrap();
        assert_eq!((second.added, second.unchanged), (0, first.added), "the same file twice changes nothing");
        assert_eq!(exported(&other), bytes);
        // Back to where it came from, too.
        assert_eq!(import(&one, &bytes, Conflicts::Fail).unwrap().unchanged, first.added);
    }
}

async fn sample(path: &Path) -> Vec<u8> {
    let store = open(path);
    for n in 0..3 {
        take(
            &store,
            Step::Observe {
                principal: 0,
                title: n,
                avoid: n == 1,
                successes: 2,
                failures: 1,
                reward: Some(0.1),
                context: n,
            },
            T0,
        )
        .await;
        put(&store, write(&format!("k{n}"), "{\"a\": 1e400}")).await;
        put(&store, write(&format!("k{n}"), "\"two\"")).await;
    }
    drop(store);
    exported(path)
}

#[tokio::test]
async fn whatever_is_wrong_with_a_file_is_noticed_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = sample(&directory.path().join("one.db")).await;
    let target = directory.path().join("target.db");
    drop(open(&target));
    let untouched = exported(&target);
    let refused = |bytes: &[u8], what: &str| {
        assert!(import(&target, bytes, Conflicts::Replace).is_err(), "{what}");
        assert_eq!(exported(&target), untouched, "{what}");
    };
    for at in (0..bytes.len()).step_by(23) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        refused(&changed, &format!("byte {at} changed"));
        refused(&bytes[..at], &format!("cut off at {at}"));
    }
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    for at in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(at);
        refused(&fewer.concat(), &format!("line {at} missing"));
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        refused(&twice.concat(), &format!("line {at} twice"));
        if at > 0 {
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            refused(&swapped.concat(), &format!("line {at} before the last"));
        }
    }
    refused(&[&bytes[..], &b"\n"[..]].concat(), "more behind the end");
    import(&target, &bytes, Conflicts::Fail).unwrap();
}

#[tokio::test]
async fn where_an_entry_differs_what_was_asked_for_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = sample(&directory.path().join("one.db")).await;
    let target = directory.path().join("target.db");
    let store = open(&target);
    put(&store, write("k1", "\"mine\"")).await;
    let value = async || found(&store, question("k1")).await.value;

    let error = import(&target, &bytes, Conflicts::Fail).unwrap_err();
    assert!(
        matches!(&error, TransferError::Conflicts { count: 1, first } if first.contains("k1")),
        "{error}"
    );
    assert_eq!(file(&target).check().unwrap().entries, 1, "nothing was written");

    let would = file(&target).import(Cursor::new(&bytes), Conflicts::Replace, true, NOW).unwrap();
    assert_eq!((would.added, would.replaced, file(&target).check().unwrap().entries), (3, 1, 1));

    let kept = import(&target, &bytes, Conflicts::Skip).unwrap();
    assert_eq!((kept.added, kept.skipped, kept.conflicts.len()), (3, 1, 1));
    assert_eq!(value().await, "\"mine\"");
    let replaced = import(&target, &bytes, Conflicts::Replace).unwrap();
    assert_eq!((replaced.unchanged, replaced.replaced), (3, 1));
    assert_eq!(value().await, "\"two\"", "whoever has the store open sees it");
    assert_eq!(exported(&target), bytes);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn one_principals_export_has_nothing_of_anothers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one.db");
    sample(&path).await;
    let store = open(&path);
    put(&store, Put { principal: "bob".into(), ..write("bobs", "1") }).await;
    let mut out = Vec::new();
    let counts = file(&path).export(Some("bob"), &mut out).unwrap();
    assert_eq!((counts.entries, counts.versions, counts.learners), (1, 1, 0));
    assert!(!String::from_utf8(out).unwrap().contains("alice"));
}

#[tokio::test]
async fn an_import_is_held_to_the_quotas_and_says_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = sample(&directory.path().join("one.db")).await;
    let quotas = Quotas { entries_per_namespace: 2, ..Quotas::default() };
    let small = StoreFile::new(
        &directory.path().join("small.db"),
        SqliteOptions { quotas, ..SqliteOptions::default() },
    );
    let error = small.import(Cursor::new(&bytes), Conflicts::Fail, false, NOW).unwrap_err().to_string();
    assert!(error.contains("k2") && error.contains("the limit is 2"), "{error}");
    assert_eq!(small.check().unwrap().faults, Vec::<String>::new());
}
