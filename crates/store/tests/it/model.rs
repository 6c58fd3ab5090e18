//! Random histories of one namespace, against a model that is a list.

use aqe_store::{
    Absence, At, Attributes, Entry, Get, Lookup, OnConflict, Put, Store as _, StoreError, VersionInfo,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{T0, fresh, question, write};

#[derive(Debug, Clone)]
enum Step {
    Put {
        key: u8,
        value: Value,
        valid_from: Option<i64>,
        ttl: Option<i64>,
        if_version: Option<u64>,
        on_conflict: OnConflict,
    },
    Get {
        key: u8,
        at: At,
    },
    /// The clock goes on, or (rarely) back.
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        proptest::collection::btree_map("[abc]", 0..9_i64, 0..3)
            .prop_map(|members| serde_json::json!(members)),
        (0..9_i64).prop_map(Value::from),
    ];
    let on_conflict = prop_oneof![
        3 => Just(OnConflict::Version),
        3 => Just(OnConflict::Merge),
        1 => Just(OnConflict::Replace),
        1 => Just(OnConflict::Fail),
    ];
    let moment = -60..60_i64;
    let put = (
        0..2_u8,
        value,
        proptest::option::weighted(0.3, moment.clone()),
        proptest::option::weighted(0.3, 1..40_i64),
        proptest::option::weighted(0.2, 0..4_u64),
        on_conflict,
    )
        .prop_map(|(key, value, valid_from, ttl, if_version, on_conflict)| Step::Put {
            key,
            value,
            valid_from,
            ttl,
            if_version,
            on_conflict,
        });
    let at = prop_oneof![
        Just(At::Now),
        moment.prop_map(|offset| At::Moment(T0 + offset)),
        (0..8_u64).prop_map(At::Version)
    ];
    prop_oneof![
        4 => put,
        4 => (0..2_u8, at).prop_map(|(key, at)| Step::Get { key, at }),
        1 => (-5..30_i64).prop_map(Step::Clock),
    ]
}

#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) info: VersionInfo,
    value: Value,
}

/// All versions of one key that are kept, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model(pub(crate) Vec<Version>);

impl Model {
    pub(crate) fn put(&mut self, put: &Put) -> Result<u64, StoreError> {
        let last = self.0.last().cloned();
        let live = last.clone().filter(|last| last.info.expires.is_none_or(|at| at > put.now));
        let current = live.as_ref().map_or(0, |live| live.info.version);
        if let Some(expected) = put.if_version.filter(|&expected| expected != current) {
            return Err(StoreError::VersionConflict { expected, actual: current });
        }
        let mut value: Value = serde_json::from_str(&put.value).unwrap();
        let mut expires = put.attributes.expires;
        match (put.on_conflict, live) {
            (OnConflict::Fail, Some(_)) => return Err(StoreError::Exists { version: current }),
            (OnConflict::Merge, Some(live)) => {
                let (Value::Object(old), Value::Object(new)) = (&live.value, &value) else {
                    let which = if live.value.is_object() { "new" } else { "stored" };
                    return Err(StoreError::NotMergeable { which });
                };
                let mut merged = old.clone();
                merged.extend(new.clone());
                value = Value::Object(merged);
                expires = expires.or(live.info.expires);
            }
            _ => {}
        }
        if put.on_conflict == OnConflict::Replace {
            self.0.clear();
        }
        let version = last.map_or(0, |last| last.info.version) + 1;
        let valid_from = put.valid_from.unwrap_or(put.now);
        let info = VersionInfo { version, created: put.now, valid_from, expires, value_bytes: 0 };
        self.0.push(Version { info, value });
        Ok(version)
    }

    pub(crate) fn get(&self, at: At, now: i64) -> Result<&Version, Absence> {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else { return Err(Absence::NoEntry) };
        let in_effect = |moment| {
            self.0.iter().rev().find(|version| version.info.valid_from <= moment).ok_or_else(|| {
                let from = self.0.iter().map(|version| version.info.valid_from).min().unwrap();
                Absence::NotYetValid { from }
            })
        };
        let (version, judged_at) = match at {
            At::Now => (in_effect(now)?, now),
            At::Moment(moment) => (in_effect(moment)?, moment),
            At::Version(number) => (
                self.0
                    .iter()
                    .find(|version| version.info.version == number)
                    .ok_or(Absence::NoVersion { oldest: first.info.version, latest: last.info.version })?,
                now,
            ),
        };
        match version.info.expires {
            Some(at) if at <= judged_at => Err(Absence::Expired { at }),
            _ => Ok(version),
        }
    }
}

pub(crate) fn check_entry(model: &Model, expected: &Version, entry: &Entry) {
    assert_eq!(entry.version, expected.info.version);
    assert_eq!(entry.updated, expected.info.created);
    assert_eq!(entry.valid_from, expected.info.valid_from);
    assert_eq!(entry.attributes.expires, expected.info.expires);
    assert_eq!(serde_json::from_str::<Value>(&entry.value).unwrap(), expected.value);
    let history: Vec<_> =
        entry.history.iter().map(|info| VersionInfo { value_bytes: 0, ..info.clone() }).collect();
    assert_eq!(history, model.0.iter().rev().map(|version| version.info.clone()).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_history_reads_like_its_model(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_directory, store) = fresh();
        let mut models = [Model::default(), Model::default()];
        let mut now = T0;
        runtime.block_on(async {
            for step in steps {
                match step {
                    Step::Clock(by) => now += by,
                    Step::Put { key, value, valid_from, ttl, if_version, on_conflict } => {
                        let put = Put {
                            attributes: Attributes { expires: ttl.map(|ttl| now + ttl), ..Attributes::default() },
                            valid_from: valid_from.map(|offset| T0 + offset),
                            if_version,
                            on_conflict,
                            now,
                            ..write(&format!("k{key}"), &value.to_string())
                        };
                        let expected = models[usize::from(key)].put(&put);
                        assert_eq!(store.put(put).await.map(|stored| stored.version), expected);
                    }
                    Step::Get { key, at } => {
                        let model = &models[usize::from(key)];
                        let key = format!("k{key}");
                        let get = Get { at, history: true, now, ..question(&key) };
                        match (store.get(get).await.unwrap(), model.get(at, now)) {
                            (Lookup::Found(entry), Ok(expected)) => check_entry(model, expected, &entry),
                            (Lookup::Absent(absence), Err(expected)) => assert_eq!(absence, expected),
                            (found, expected) => panic!("{found:?} instead of {expected:?}"),
                        }
                    }
                }
            }
        });
    }
}
