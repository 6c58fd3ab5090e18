//! Random lives of many entries under a clock that only the test moves: what has expired, or is not valid yet, is nowhere; what
//! expired long ago is forgotten; and the namespaces' books are right at every moment.

use std::collections::BTreeMap;
use std::path::Path;

use aqe_store::limits::{EXPIRED_KEPT_MS, HISTORY_MAX};
use aqe_store::{
    At, Attributes, Filters, Get, Lookup, MemorySearch as _, OnConflict, Put, Search, SqliteStore, Store as _,
};
use proptest::prelude::*;

use crate::model::{Model, check_entry};
use crate::support::{T0, fresh, question, write};

const NAMESPACES: [&str; 2] = ["one", "two"];
const KEYS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Put {
        place: (usize, usize),
        /// From now on.
        valid_after: Option<i64>,
        /// From when it is valid.
        ttl: Option<i64>,
        if_version: Option<u64>,
        on_conflict: OnConflict,
    },
    /// As many versions of one entry as are kept, and some more.
    Flood {
        place: (usize, usize),
        ttl: Option<i64>,
    },
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..NAMESPACES.len(), 0..KEYS.len());
    let on_conflict = prop_oneof![
        6 => Just(OnConflict::Version),
        2 => Just(OnConflict::Replace),
        1 => Just(OnConflict::Fail),
    ];
    let ttl = || proptest::option::weighted(0.5, 1..60_i64);
    let valid_after = proptest::option::weighted(0.3, -40..40_i64);
    let put = (place(), valid_after, ttl(), proptest::option::weighted(0.2, 0..4_u64), on_conflict);
    let put = put.prop_map(|(place, valid_after, ttl, if_version, on_conflict)| Step::Put {
        place,
        valid_after,
        ttl,
        if_version,
        on_conflict,
    });
    prop_oneof![
        24 => put,
        12 => (1..40_i64).prop_map(Step::Clock),
        // About as long as what has expired is kept.
        3 => (EXPIRED_KEPT_MS - 50..EXPIRED_KEPT_MS + 50).prop_map(Step::Clock),
        1 => (place(), ttl()).prop_map(|(place, ttl)| Step::Flood { place, ttl }),
    ]
}

/// All entries of both namespaces, as they must be.
#[derive(Debug, Clone, Default)]
struct Models(BTreeMap<(usize, usize), Model>);

impl Models {
    /// What a write does: it also forgets what expired long ago, and the oldest versions of its entry.
    fn put(&mut self, place: (usize, usize), put: &Put) -> Result<u64, aqe_store::StoreError> {
        let mut after = self.clone();
        for model in after.0.values_mut() {
            let expires = model.0.last().and_then(|last| last.info.expires);
            if expires.is_some_and(|at| at <= put.now - EXPIRED_KEPT_MS) {
                model.0.clear();
            }
        }
        let model = after.0.entry(place).or_default();
        let version = model.put(put)?;
        model.0.retain(|kept| kept.info.version + HISTORY_MAX > version);
        *self = after;
        Ok(version)
    }

    /// Versions in effect at a moment, by namespace and key.
    fn in_effect(&self, at: i64, now: i64) -> Vec<((usize, usize), u64)> {
        let version = |model: &Model| model.get(At::Moment(at), now).map(|version| version.info.version).ok();
        self.0.iter().filter_map(|(place, model)| Some((*place, version(model)?))).collect()
    }
}

/// What search finds, with what it says of how many there are.
async fn found(
    store: &SqliteStore,
    at: i64,
    now: i64,
    ids: &BTreeMap<i64, (usize, usize)>,
) -> Vec<((usize, usize), u64)> {
    let search = Search {
        principal: "alice".into(),
        namespaces: Vec::new(),
        query: "apple".into(),
        filters: Filters::default(),
        most: 100,
        at,
        now,
    };
    let answer = store.candidates(search).await.unwrap();
    let count = answer.candidates.len() as u64;
    assert_eq!((answer.searched, answer.matched), (count, count), "all of them have the word");
    let mut found: Vec<_> = answer.candidates.iter().map(|one| (ids[&one.id.0], one.version)).collect();
    found.sort_unstable();
    found
}

/// What the namespaces' books say is what is there.
fn check_books(path: &Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    let wrong: i64 = file
        .query_row(
            "SELECT count(*) FROM namespace n
             WHERE entries <> (SELECT count(*) FROM entry WHERE namespace = n.id)
             OR bytes <> (SELECT coalesce(sum(v.bytes), 0) FROM version v JOIN entry e ON e.id = v.entry WHERE e.namespace = n.id)",
            (),
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(wrong, 0, "namespaces whose entries or bytes are counted wrongly");
}

async fn check(store: &SqliteStore, models: &Models, now: i64, ids: &BTreeMap<i64, (usize, usize)>) {
    for (&(namespace, key), model) in &models.0 {
        let nearby = [now - 30, now - 1, now, now + 1, now + 30].map(At::Moment);
        for at in nearby.into_iter().chain([At::Now, At::Version(1), At::Version(2)]) {
            let get = Get { namespace: NAMESPACES[namespace], at, history: true, now, ..question(KEYS[key]) };
            match (store.get(get).await.unwrap(), model.get(at, now)) {
                (Lookup::Found(entry), Ok(expected)) => check_entry(model, expected, &entry),
                (Lookup::Absent(absence), Err(expected)) => assert_eq!(absence, expected),
                (found, expected) => panic!("{at:?}: {found:?} instead of {expected:?}"),
            }
        }
    }
    for at in [now, now - 30] {
        assert_eq!(found(store, at, now, ids).await, models.in_effect(at, now), "{at} of {now}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_entry_is_there_for_its_time_and_neither_before_nor_after(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (directory, store) = fresh();
        let (mut models, mut ids, mut now) = (Models::default(), BTreeMap::new(), T0);
        runtime.block_on(async {
            for (n, step) in steps.into_iter().enumerate() {
                let put = |(namespace, key): (usize, usize), ttl: Option<i64>| Put {
                    namespace: NAMESPACES[namespace].into(),
                    attributes: Attributes { expires: ttl.map(|ttl| now + ttl), ..Attributes::default() },
                    now,
                    ..write(KEYS[key], &format!("\"apple {n}\""))
                };
                let puts = match step {
                    Step::Clock(by) => {
                        now += by;
                        Vec::new()
                    }
                    Step::Put { place, valid_after, ttl, if_version, on_conflict } => {
                        // What is not valid yet does not age yet, as the tool has it.
                        let wait = valid_after.unwrap_or(0).max(0);
                        let put = put(place, ttl.map(|ttl| wait + ttl));
                        vec![(place, Put { valid_from: valid_after.map(|after| now + after), if_version, on_conflict, ..put })]
                    }
                    Step::Flood { place, ttl } => (0..HISTORY_MAX + 3).map(|_| (place, put(place, ttl))).collect(),
                };
                for (place, put) in puts {
                    let expected = models.put(place, &put);
                    let stored = store.put(put).await;
                    assert_eq!(stored.as_ref().map(|stored| stored.version), expected.as_ref().copied());
                    if let Ok(stored) = stored {
                        ids.insert(stored.id.0, place);
                    }
                }
                check(&store, &models, now, &ids).await;
            }
        });
        check_books(&directory.path().join("store.db"));
    }
}
