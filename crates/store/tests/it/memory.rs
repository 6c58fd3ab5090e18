//! What memory entries promise.

use aqe_store::limits::{
    EXPIRED_KEPT_MS, HISTORY_MAX, KEY_MAX_BYTES, NAMESPACES_PER_PRINCIPAL, VALUE_MAX_BYTES,
};
use aqe_store::{Absence, At, Attributes, EntryRef, Get, Manifest, OnConflict, Put, Store as _, StoreError};

use crate::support::{T0, absent, found, fresh, open, put, question, refused, write};

#[tokio::test]
async fn a_value_comes_back_byte_for_byte_with_all_that_was_said_beside_it() {
    let (_directory, store) = fresh();
    let value = "{\"b\" : 1e400, \"a\":12345678901234567890.10,\"\\u00e9\":\"\\ud800\", \"b\":null}";
    let attributes = Attributes {
        tags: Some(vec!["x".into(), "\"quoted\"".into()]),
        kind: Some("fact".into()),
        source: Some("{\"file\":\"a.rs\"}".into()),
        importance: Some(0.25),
        expires: Some(T0 + 10),
    };
    let stored = put(&store, Put { attributes: attributes.clone(), ..write("k", value) }).await;
    let entry = found(&store, question("k")).await;
    assert_eq!(entry.value, value);
    assert_eq!(entry.attributes, attributes);
    assert_eq!((entry.id, entry.version, entry.created, entry.updated), (stored.id, 1, T0, T0));
    let by_id = found(&store, Get { entry: EntryRef::Id(stored.id), ..question("") }).await;
    assert_eq!((by_id.key.as_str(), by_id.value.as_str()), ("k", value));
}

#[tokio::test]
async fn nobody_sees_another_principals_or_namespaces_entries() {
    let (_directory, store) = fresh();
    let stored = put(&store, write("k", "1")).await;
    for entry in [EntryRef::Key("k"), EntryRef::Id(stored.id)] {
        let own = Get { entry, ..question("k") };
        found(&store, own).await;
        assert_eq!(absent(&store, Get { principal: "bob", ..own }).await, Absence::NoEntry);
        assert_eq!(absent(&store, Get { namespace: "other", ..own }).await, Absence::NoEntry);
    }
    let theirs = put(&store, Put { principal: "bob".into(), ..write("k", "2") }).await;
    assert_eq!(theirs.version, 1);
    assert_eq!(found(&store, question("k")).await.value, "1");
}

#[tokio::test]
async fn each_way_to_meet_an_existing_entry_does_what_its_name_says() {
    let (_directory, store) = fresh();
    put(&store, write("k", r#"{"a":1}"#)).await;
    let again = |on_conflict, value| Put { on_conflict, ..write("k", value) };

    assert_eq!(refused(&store, again(OnConflict::Fail, "0")).await, StoreError::Exists { version: 1 });
    assert_eq!(put(&store, again(OnConflict::Merge, r#"{"b":2}"#)).await.version, 2);
    assert_eq!(found(&store, question("k")).await.value, r#"{"a":1,"b":2}"#);
    let not_an_object = refused(&store, again(OnConflict::Merge, "[]")).await;
    assert_eq!(not_an_object, StoreError::NotMergeable { which: "new" });
    assert_eq!(put(&store, again(OnConflict::Version, "3")).await.version, 3);
    let history = found(&store, Get { history: true, ..question("k") }).await.history;
    assert_eq!(
        history.iter().map(|info| (info.version, info.value_bytes)).collect::<Vec<_>>(),
        [(3, 1), (2, 13), (1, 7)]
    );
    assert_eq!(put(&store, again(OnConflict::Replace, "4")).await.version, 4);
    let history = found(&store, Get { history: true, ..question("k") }).await.history;
    assert_eq!(history.iter().map(|info| info.version).collect::<Vec<_>>(), [4]);
    let gone = absent(&store, Get { at: At::Version(3), ..question("k") }).await;
    assert_eq!(gone, Absence::NoVersion { oldest: 4, latest: 4 });
    let too_early = absent(&store, Get { at: At::Moment(T0 - 1), ..question("k") }).await;
    assert_eq!(too_early, Absence::NotYetValid { from: T0 });
}

#[tokio::test]
async fn a_merge_keeps_the_attributes_that_it_does_not_set() {
    let (_directory, store) = fresh();
    let attributes = Attributes {
        tags: Some(vec!["old".into()]),
        kind: Some("fact".into()),
        expires: Some(T0 + 100),
        ..Attributes::default()
    };
    put(&store, Put { attributes, ..write("k", "{}") }).await;
    let attributes = Attributes { kind: Some("decision".into()), ..Attributes::default() };
    let merged = put(&store, Put { attributes, on_conflict: OnConflict::Merge, ..write("k", "{}") }).await;
    assert_eq!(merged.expires, Some(T0 + 100));
    let entry = found(&store, question("k")).await;
    assert_eq!(entry.attributes.kind.as_deref(), Some("decision"));
    assert_eq!(entry.attributes.tags, Some(vec!["old".into()]));
}

#[tokio::test]
async fn an_expired_entry_is_absent_and_its_numbers_go_on_until_it_is_forgotten() {
    let (_directory, store) = fresh();
    let expires = T0 + 1_000;
    let attributes = Attributes { expires: Some(expires), ..Attributes::default() };
    put(&store, Put { attributes: attributes.clone(), ..write("k", "1") }).await;
    let at = |now| Get { now, ..question("k") };
    assert_eq!(found(&store, at(expires - 1)).await.value, "1");
    assert_eq!(absent(&store, at(expires)).await, Absence::Expired { at: expires });
    assert_eq!(
        absent(&store, Get { at: At::Version(1), ..at(expires) }).await,
        Absence::Expired { at: expires }
    );
    assert_eq!(found(&store, Get { at: At::Moment(T0), ..at(expires) }).await.value, "1");

    let stale = Put { if_version: Some(1), now: expires, ..write("k", "2") };
    assert_eq!(refused(&store, stale).await, StoreError::VersionConflict { expected: 1, actual: 0 });
    let anew = Put {
        on_conflict: OnConflict::Fail,
        if_version: Some(0),
        attributes,
        now: expires,
        ..write("k", "2")
    };
    assert_eq!(put(&store, anew).await.version, 2);

    let later = expires + EXPIRED_KEPT_MS;
    put(&store, Put { now: later - 1, ..write("other", "0") }).await;
    assert_eq!(absent(&store, at(later)).await, Absence::Expired { at: expires });
    put(&store, Put { now: later, ..write("other", "0") }).await;
    assert_eq!(absent(&store, at(later)).await, Absence::NoEntry);
}

#[tokio::test]
async fn a_version_holds_from_its_time_on_and_overrules_earlier_ones() {
    let (_directory, store) = fresh();
    let from = |value: &str, valid_from| Put { valid_from: Some(valid_from), ..write("k", value) };
    put(&store, from("\"january\"", T0 - 300)).await;
    put(&store, from("\"march\"", T0 - 100)).await;
    put(&store, from("\"next week\"", T0 + 700)).await;
    let value_at = async |moment| found(&store, Get { at: At::Moment(moment), ..question("k") }).await.value;
    assert_eq!(value_at(T0 - 101).await, "\"january\"");
    assert_eq!(value_at(T0 - 100).await, "\"march\"");
    assert_eq!(found(&store, question("k")).await.value, "\"march\"");
    assert_eq!(value_at(T0 + 700).await, "\"next week\"");
    put(&store, from("\"since february, really\"", T0 - 200)).await;
    assert_eq!(value_at(T0 - 201).await, "\"january\"");
    assert_eq!(value_at(T0).await, "\"since february, really\"");
}

#[tokio::test]
async fn a_write_is_what_the_next_read_finds_even_if_the_clock_went_back() {
    let (_directory, store) = fresh();
    put(&store, write("k", "1")).await;
    put(&store, Put { now: T0 - 3_600_000, ..write("k", "2") }).await;
    for now in [T0 - 3_600_000, T0, T0 + 1] {
        assert_eq!(found(&store, Get { now, ..question("k") }).await.value, "2");
    }
}

#[tokio::test]
async fn history_is_bounded() {
    let (_directory, store) = fresh();
    for n in 1..=HISTORY_MAX + 5 {
        put(&store, write("k", &n.to_string())).await;
    }
    let entry = found(&store, Get { history: true, ..question("k") }).await;
    assert_eq!(entry.history.len() as u64, HISTORY_MAX);
    assert_eq!(entry.history.last().unwrap().version, 6);
}

#[tokio::test]
async fn what_is_too_large_or_badly_named_is_refused_with_the_bound() {
    let (_directory, store) = fresh();
    let big = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    put(&store, write("k", &big(VALUE_MAX_BYTES))).await;
    let limit_of = async |put| match refused(&store, put).await {
        StoreError::Limit { limit, actual, .. } => (limit, actual),
        other => panic!("{other}"),
    };
    assert_eq!(limit_of(write("k", &big(VALUE_MAX_BYTES + 1))).await, (1 << 20, (1 << 20) + 1));
    assert_eq!(limit_of(write(&"k".repeat(KEY_MAX_BYTES + 1), "1")).await, (512, 513));
    assert_eq!(limit_of(Put { namespace: "n".repeat(129), ..write("k", "1") }).await, (128, 129));
    for name in ["", "a\nb", "a\0"] {
        assert_eq!(refused(&store, write(name, "1")).await, StoreError::BadName { what: "key" });
    }
    assert!(found(&store, question("k")).await.value.len() == VALUE_MAX_BYTES, "the good one is there");
}

#[tokio::test]
async fn merging_cannot_outgrow_a_values_bound() {
    let (_directory, store) = fresh();
    let half = "x".repeat(VALUE_MAX_BYTES * 2 / 3);
    put(&store, write("k", &format!("{{\"a\":\"{half}\"}}"))).await;
    let merge = Put { on_conflict: OnConflict::Merge, ..write("k", &format!("{{\"b\":\"{half}\"}}")) };
    assert!(matches!(refused(&store, merge).await, StoreError::Limit { .. }));
}

#[tokio::test]
async fn a_namespace_has_a_quota_in_bytes_and_expired_entries_make_room() {
    let (_directory, store) = fresh();
    let value = format!("\"{}\"", "x".repeat(VALUE_MAX_BYTES - 2));
    let attributes = Attributes { expires: Some(T0 + 10), ..Attributes::default() };
    let mut written = 0;
    let full = loop {
        match store.put(Put { attributes: attributes.clone(), ..write(&format!("k{written}"), &value) }).await
        {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Limit { .. }), "{full}");
    assert_eq!(written, 255, "256 MiB, of which the keys take some bytes");
    put(&store, Put { namespace: "other".into(), ..write("k", "1") }).await;
    put(&store, Put { now: T0 + 10, ..write("new", &value) }).await;
}

#[tokio::test]
async fn a_principal_has_a_quota_of_namespaces_and_a_refused_write_makes_none() {
    let (_directory, store) = fresh();
    let in_namespace = |n: u64| Put { namespace: format!("n{n}"), ..write("k", "1") };
    for n in 0..NAMESPACES_PER_PRINCIPAL - 1 {
        put(&store, in_namespace(n)).await;
    }
    let conflict = Put { if_version: Some(7), ..in_namespace(NAMESPACES_PER_PRINCIPAL + 1) };
    assert!(matches!(refused(&store, conflict).await, StoreError::VersionConflict { .. }));
    put(&store, in_namespace(NAMESPACES_PER_PRINCIPAL - 1)).await;
    let one_more = refused(&store, in_namespace(NAMESPACES_PER_PRINCIPAL)).await;
    assert!(matches!(one_more, StoreError::Limit { .. }));
    put(&store, Put { principal: "bob".into(), ..in_namespace(NAMESPACES_PER_PRINCIPAL) }).await;
}

#[tokio::test]
async fn retrievals_are_counted_and_the_count_survives_a_restart() {
    let (directory, store) = fresh();
    put(&store, write("k", "1")).await;
    for n in 1..=5 {
        assert_eq!(found(&store, question("k")).await.hits, n);
    }
    drop(store);
    let store = open(&directory.path().join("store.db"));
    assert_eq!(found(&store, question("k")).await.hits, 6);
}

#[tokio::test]
async fn manifests_are_saved_replaced_listed_in_order_and_deleted() {
    let (directory, store) = fresh();
    let manifest = |key: &str, body: &[u8]| Manifest {
        key: key.into(),
        fingerprint: format!("f-{key}"),
        body: body.into(),
        saved_at: T0,
    };
    store.save_manifest(manifest("b", b"1")).await.unwrap();
    store.save_manifest(manifest("a", b"\0\xff")).await.unwrap();
    store.save_manifest(manifest("b", b"2")).await.unwrap();
    drop(store);
    let store = open(&directory.path().join("store.db"));
    assert_eq!(store.load_manifests().await.unwrap(), [manifest("a", b"\0\xff"), manifest("b", b"2")]);
    assert!(store.delete_manifest("a".into()).await.unwrap());
    assert!(!store.delete_manifest("a".into()).await.unwrap());
    assert_eq!(store.load_manifests().await.unwrap(), [manifest("b", b"2")]);
}
