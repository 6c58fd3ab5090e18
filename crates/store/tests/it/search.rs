//! Finding entries by what they say.

use std::path::Path;
use std::sync::Arc;

use aqe_store::{
    Attributes, Candidates, Embedder, EntryId, Filters, MemorySearch as _, OnConflict, Put, Search,
    SqliteOptions, SqliteStore, Store as _, StoreError,
};
use proptest::prelude::*;

use crate::support::{T0, fresh, open, put, write};

/// A model that knows two words and their opposites.
#[derive(Debug)]
struct Compass(&'static str);

impl Embedder for Compass {
    fn key(&self) -> &str {
        self.0
    }

    fn dims(&self) -> usize {
        2
    }

    fn embed(&self, text: &str) -> Option<Vec<i8>> {
        let mut at = [0_i8; 2];
        for word in text.split_whitespace() {
            match word {
                "north" | "up" => at[1] += 1,
                "south" | "down" => at[1] -= 1,
                "east" | "right" => at[0] += 1,
                "west" | "left" => at[0] -= 1,
                _ => {}
            }
        }
        (at != [0, 0]).then(|| at.to_vec())
    }
}

fn with_model(path: &Path, key: &'static str) -> SqliteStore {
    let options = SqliteOptions { embedder: Some(Arc::new(Compass(key))), ..SqliteOptions::default() };
    SqliteStore::open(path, &options).unwrap()
}

fn search(query: &str) -> Search {
    Search {
        principal: "alice".into(),
        namespaces: Vec::new(),
        query: query.into(),
        filters: Filters::default(),
        most: 100,
        at: T0,
        now: T0,
    }
}

async fn ask(store: &SqliteStore, search: Search) -> Candidates {
    store.candidates(search).await.expect("the search succeeds")
}

/// Versions of the entries found, by id.
async fn found(store: &SqliteStore, search: Search) -> Vec<(i64, u64)> {
    let mut found: Vec<_> =
        ask(store, search).await.candidates.iter().map(|one| (one.id.0, one.version)).collect();
    found.sort_unstable();
    found
}

fn at(search: Search, moment: i64) -> Search {
    Search { at: moment, now: moment, ..search }
}

#[tokio::test]
async fn a_write_is_found_at_once_and_what_it_replaced_is_not() {
    let (_directory, store) = fresh();
    put(&store, write("one", r#"{"lesson":"retry the timeouts"}"#)).await;
    assert_eq!(found(&store, search("timeout retries")).await, [(1, 1)]);
    put(&store, write("one", r#""use a breaker""#)).await;
    assert_eq!(found(&store, search("timeout retries")).await, []);
    assert_eq!(found(&store, search("breakers")).await, [(1, 2)]);
    let merge = |value: &str| Put { on_conflict: OnConflict::Merge, ..write("two", value) };
    put(&store, merge(r#"{"a":"apple"}"#)).await;
    put(&store, merge(r#"{"b":"pear"}"#)).await;
    assert_eq!(found(&store, search("apples and pears")).await, [(2, 2)]);
}

#[tokio::test]
async fn a_write_by_another_process_is_found() {
    let (directory, store) = fresh();
    let other = open(&directory.path().join("store.db"));
    assert_eq!(found(&store, search("apple")).await, []);
    for n in 0..3 {
        put(&other, write(&format!("k{n}"), "\"apple\"")).await;
        assert_eq!(found(&store, search("apple")).await.len(), n + 1);
    }
    put(&other, write("k1", "\"pear\"")).await;
    assert_eq!(found(&store, search("apple")).await, [(1, 1), (3, 1)]);
}

#[tokio::test]
async fn nothing_of_another_principal_is_found_or_felt() {
    let (_directory, store) = fresh();
    put(&store, write("mine", "\"apple pie\"")).await;
    put(&store, write("other", "\"plum\"")).await;
    let before = ask(&store, search("apple")).await;
    for n in 0..20 {
        put(&store, Put { principal: "bob".into(), ..write(&format!("k{n}"), "\"apple\"") }).await;
    }
    assert_eq!(ask(&store, search("apple")).await, before);
    let nobody = Search { principal: "carol".into(), ..search("apple") };
    assert_eq!(ask(&store, nobody).await.searched, 0);
}

#[tokio::test]
async fn filters_come_before_ranking() {
    let (_directory, store) = fresh();
    for n in 0..30 {
        put(&store, write(&format!("k{n}"), "\"apple apple apple\"")).await;
    }
    let attributes = Attributes {
        tags: Some(vec!["a".into(), "b".into()]),
        kind: Some("fact".into()),
        source: Some(r#"{"file":"src/a.rs"}"#.into()),
        ..Attributes::default()
    };
    let special =
        Put { attributes, now: T0 + 5, ..write("special", "\"a long text that has one apple in it\"") };
    let id = put(&store, special).await.id.0;
    let with = |filters| Search { filters, most: 1, now: T0 + 9, at: T0 + 9, ..search("apple") };
    for filters in [
        Filters { tags: vec!["b".into()], ..Filters::default() },
        Filters { tags: vec!["b".into(), "a".into()], ..Filters::default() },
        Filters { kind: Some("fact".into()), ..Filters::default() },
        Filters { since: Some(T0 + 5), ..Filters::default() },
        Filters { source_file: Some("src/a.rs".into()), ..Filters::default() },
    ] {
        assert_eq!(found(&store, with(filters.clone())).await, [(id, 1)], "{filters:?}");
    }
    for filters in [
        Filters { tags: vec!["b".into(), "c".into()], ..Filters::default() },
        Filters { kind: Some("decision".into()), ..Filters::default() },
        Filters { since: Some(T0 + 6), ..Filters::default() },
    ] {
        assert_eq!(ask(&store, with(filters.clone())).await.searched, 0, "{filters:?}");
    }
    let elsewhere = Search { namespaces: vec!["elsewhere".into()], ..search("apple") };
    assert_eq!(ask(&store, elsewhere).await.searched, 0);
}

#[tokio::test]
async fn time_to_live_and_valid_from_hold_in_search_too() {
    let (_directory, store) = fresh();
    let expires = Some(T0 + 100);
    let short =
        Put { attributes: Attributes { expires, ..Attributes::default() }, ..write("short", "\"apple\"") };
    put(&store, short).await;
    put(&store, write("later", "\"plum\"")).await;
    put(&store, Put { valid_from: Some(T0 + 50), now: T0 + 1, ..write("later", "\"apple\"") }).await;
    for (moment, apples) in [
        (T0 + 2, vec![(1, 1)]),
        (T0 + 50, vec![(1, 1), (2, 2)]),
        (T0 + 99, vec![(1, 1), (2, 2)]),
        (T0 + 100, vec![(2, 2)]),
    ] {
        assert_eq!(found(&store, at(search("apple"), moment)).await, apples, "{}", moment - T0);
    }
    let past = Search { at: T0 + 2, ..at(search("plum"), T0 + 200) };
    assert_eq!(found(&store, past).await, [(2, 1)]);
}

#[tokio::test]
async fn a_search_that_comes_late_finds_every_entry_and_so_does_one_of_a_clock_that_was_set_back() {
    let (_directory, store) = fresh();
    put(&store, write("k", "\"apple\"")).await;
    put(&store, Put { now: T0 + 10, ..write("k", "\"apple\"") }).await;
    assert_eq!(found(&store, at(search("apple"), T0 + 10)).await, [(1, 2)]);
    // It was asked before that one, and had to wait for it.
    assert_eq!(found(&store, at(search("apple"), T0 + 9)).await, [(1, 2)]);
    let hour = 3_600_000;
    put(&store, Put { now: T0 + hour, ..write("k", "\"apple\"") }).await;
    assert_eq!(found(&store, at(search("apple"), T0 + hour)).await, [(1, 3)]);
    assert_eq!(found(&store, at(search("apple"), T0 + 20)).await, [(1, 2)]);
}

#[tokio::test]
async fn vectors_find_what_has_no_word_in_common() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = with_model(&path, "one");
    put(&store, write("a", "\"up\"")).await;
    put(&store, write("b", "\"down\"")).await;
    put(&store, write("c", "\"nothing known\"")).await;
    let answer = ask(&store, search("north")).await;
    let cosines: Vec<_> = answer.candidates.iter().map(|one| (one.id.0, one.cosine, one.bm25)).collect();
    assert_eq!(cosines, [(1, Some(1.0), 0.0), (2, Some(-1.0), 0.0)]);
    assert_eq!(answer.model.as_deref(), Some("one"));
}

#[tokio::test]
async fn vectors_of_another_model_are_never_compared_and_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    // Without a model, as a store of an earlier release.
    let store = open(&path);
    for n in 0..5 {
        put(&store, write(&format!("k{n}"), "\"up\"")).await;
    }
    assert!(ask(&store, search("north")).await.candidates.is_empty());
    drop(store);
    for key in ["one", "two"] {
        let store = with_model(&path, key);
        assert_eq!(found(&store, search("north")).await.len(), 5);
        let nothing = store.reembed(None).await.unwrap();
        assert_eq!((nothing.written, nothing.next), (0, None), "the search wrote what it had to make");
    }
    let store = with_model(&path, "three");
    let step = store.reembed(None).await.unwrap();
    assert_eq!((step.written, step.next), (5, None));
    assert_eq!(store.reembed(None).await.unwrap().written, 0);
    assert!(store.check().await.unwrap().is_empty());
}

#[tokio::test]
async fn entries_that_were_found_are_read_without_counting() {
    let (_directory, store) = fresh();
    put(&store, write("k", "\"apple\"")).await;
    let named = |version| {
        let one = vec![("ns".to_owned(), EntryId(1), version)];
        store.named("alice".into(), T0, one)
    };
    assert_eq!(
        named(1).await.unwrap()[0].as_ref().map(|entry| (entry.value.as_str(), entry.hits)),
        Some(("\"apple\"", 0))
    );
    assert_eq!(named(2).await.unwrap(), [None]);
    let foreign = store.named("bob".into(), T0, vec![("ns".into(), EntryId(1), 1)]);
    assert_eq!(foreign.await.unwrap(), [None]);
}

#[tokio::test]
async fn questions_are_bounded() {
    let (_directory, store) = fresh();
    for search in [Search { query: "x".repeat(5_000), ..search("") }, Search { most: 10_000, ..search("x") }]
    {
        assert!(matches!(store.candidates(search).await, Err(StoreError::Limit { .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever was written with whatever validity: at any moment, search finds the very versions that retrieval gives.
    #[test]
    fn search_and_retrieval_agree_at_every_moment(
        writes in prop::collection::vec((0_u8..3, 0_i64..12, prop::option::of(0_i64..14)), 1..12),
        searches_between in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (_directory, store) = fresh();
            for (n, &(key, from, expires)) in (0_i64..).zip(&writes) {
                let attributes = Attributes { expires: expires.map(|at| T0 + at), ..Attributes::default() };
                let key = format!("k{key}");
                put(&store, Put { attributes, valid_from: Some(T0 + from), now: T0, ..write(&key, "\"apple\"") }).await;
                if searches_between && n % 2 == 0 {
                    ask(&store, search("apple")).await;
                }
            }
            let last = T0 + 20;
            for moment in T0..last {
                let mut expected = Vec::new();
                for key in ["k0", "k1", "k2"] {
                    let get = aqe_store::Get { at: aqe_store::At::Moment(moment), now: last, ..crate::support::question(key) };
                    if let aqe_store::Lookup::Found(entry) = store.get(get).await.unwrap() {
                        expected.push((entry.id.0, entry.version));
                    }
                }
                expected.sort_unstable();
                prop_assert_eq!(&found(&store, at(search("apple"), moment)).await, &expected);
                prop_assert_eq!(&found(&store, Search { at: moment, now: last, ..search("apple") }).await, &expected);
            }
            Ok(())
        })?;
    }
}
