//! The tables, and the way from one version of them to the next.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::open::{Identity, classify, identify};
use crate::StoreError;

/// Marks the file as ours (`PRAGMA application_id`): "AQE3".
const APPLICATION_ID: i64 = 0x4151_4533;

/// One step each; the file's `user_version` counts those done. Never change a step that was released:
/// add one.
const MIGRATIONS: &[&str] = &[
    // 1: memory and manifests. `version.value` stands last, so that a row is judged without reading it.
    "CREATE TABLE namespace (
        id        INTEGER PRIMARY KEY,
        principal TEXT NOT NULL,
        name      TEXT NOT NULL,
        entries   INTEGER NOT NULL DEFAULT 0,
        bytes     INTEGER NOT NULL DEFAULT 0,
        UNIQUE (principal, name)
    ) STRICT;
    CREATE TABLE entry (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace INTEGER NOT NULL REFERENCES namespace (id),
        key       TEXT NOT NULL,
        created   INTEGER NOT NULL,
        version   INTEGER NOT NULL,
        expires   INTEGER,
        hits      INTEGER NOT NULL DEFAULT 0,
        UNIQUE (namespace, key)
    ) STRICT;
    CREATE INDEX entry_expires ON entry (expires) WHERE expires IS NOT NULL;
    CREATE TABLE version (
        entry      INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
        version    INTEGER NOT NULL,
        created    INTEGER NOT NULL,
        valid_from INTEGER NOT NULL,
        expires    INTEGER,
        bytes      INTEGER NOT NULL,
        kind       TEXT,
        importance REAL,
        tags       TEXT,
        source     TEXT,
        value      TEXT NOT NULL,
        PRIMARY KEY (entry, version)
    ) STRICT;
    CREATE TABLE manifest (
        key         TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        saved_at    INTEGER NOT NULL,
        body        BLOB NOT NULL
    ) STRICT;",
    // 2: firings of alerts.
    "CREATE TABLE alert (
        id         TEXT PRIMARY KEY,
        server     TEXT NOT NULL,
        pid        INTEGER NOT NULL,
        name       TEXT NOT NULL,
        severity   TEXT NOT NULL,
        signal     TEXT NOT NULL,
        scope      TEXT NOT NULL,
        threshold  REAL NOT NULL,
        text       TEXT NOT NULL,
        started    INTEGER NOT NULL,
        ended      INTEGER,
        resolution TEXT,
        peak       REAL NOT NULL,
        acked_by   TEXT,
        acked_at   INTEGER,
        ack_note   TEXT,
        seen       INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX alert_server ON alert (server, started);
    CREATE INDEX alert_started ON alert (started);",
    // 3: what was measured of projects.
    "CREATE TABLE measurement (
        project   TEXT NOT NULL,
        branch    TEXT NOT NULL,
        commit_id TEXT NOT NULL,
        metric    TEXT NOT NULL,
        at        INTEGER NOT NULL,
        value     REAL NOT NULL,
        PRIMARY KEY (project, branch, commit_id, metric)
    ) STRICT;
    CREATE INDEX measurement_at ON measurement (at);",
    // 4: memory search. `change` counts the writes to a namespace, and says of an entry which of them was its last, so
    // that what was derived from them can be brought up to date. An empty vector: the text has none.
    "ALTER TABLE namespace ADD COLUMN change INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE entry ADD COLUMN change INTEGER NOT NULL DEFAULT 1;
    CREATE INDEX entry_change ON entry (namespace, change);
    CREATE TABLE model (
        id  INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE vector (
        entry   INTEGER NOT NULL,
        version INTEGER NOT NULL,
        model   INTEGER NOT NULL REFERENCES model (id),
        vector  BLOB NOT NULL,
        PRIMARY KEY (entry, version),
        FOREIGN KEY (entry, version) REFERENCES version (entry, version) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;",
    // 5: fleets, runs, tasks.
    super::work::SCHEMA,
    // 6: learning. Texts stand apart, so that all patterns are looked through without them.
    "CREATE TABLE learner (
        id             INTEGER PRIMARY KEY,
        principal      TEXT NOT NULL UNIQUE,
        patterns       INTEGER NOT NULL DEFAULT 0,
        kept           INTEGER NOT NULL DEFAULT 0,
        successes      INTEGER NOT NULL DEFAULT 0,
        failures       INTEGER NOT NULL DEFAULT 0,
        infrastructure INTEGER NOT NULL DEFAULT 0,
        asserted       INTEGER NOT NULL DEFAULT 0,
        rewards        INTEGER NOT NULL DEFAULT 0,
        reward_sum     REAL NOT NULL DEFAULT 0,
        last           INTEGER
    ) STRICT;
    CREATE TABLE pattern (
        id              INTEGER PRIMARY KEY AUTOINCREMENT,
        learner         INTEGER NOT NULL REFERENCES learner (id),
        polarity        INTEGER NOT NULL,
        title           TEXT NOT NULL,
        created         INTEGER NOT NULL,
        last            INTEGER,
        state           INTEGER NOT NULL DEFAULT 0,
        retired         INTEGER,
        merged_into     INTEGER REFERENCES pattern (id) ON DELETE CASCADE,
        tally_successes REAL NOT NULL DEFAULT 0,
        tally_failures  REAL NOT NULL DEFAULT 0,
        tally_at        INTEGER NOT NULL,
        successes       INTEGER NOT NULL DEFAULT 0,
        failures        INTEGER NOT NULL DEFAULT 0,
        infrastructure  INTEGER NOT NULL DEFAULT 0,
        asserted        INTEGER NOT NULL DEFAULT 0,
        rewards         INTEGER NOT NULL DEFAULT 0,
        reward_sum      REAL NOT NULL DEFAULT 0,
        UNIQUE (learner, polarity, title)
    ) STRICT;
    CREATE INDEX pattern_merged ON pattern (merged_into) WHERE merged_into IS NOT NULL;
    CREATE TABLE pattern_text (
        pattern     INTEGER PRIMARY KEY REFERENCES pattern (id) ON DELETE CASCADE,
        tags        TEXT NOT NULL,
        description TEXT NOT NULL,
        content     TEXT NOT NULL
    ) STRICT;
    CREATE TABLE pattern_context (
        pattern         INTEGER NOT NULL REFERENCES pattern (id) ON DELETE CASCADE,
        name            TEXT NOT NULL,
        tally_successes REAL NOT NULL,
        tally_failures  REAL NOT NULL,
        tally_at        INTEGER NOT NULL,
        PRIMARY KEY (pattern, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE observation (
        id             INTEGER PRIMARY KEY,
        learner        INTEGER NOT NULL REFERENCES learner (id),
        pattern        INTEGER NOT NULL REFERENCES pattern (id) ON DELETE CASCADE,
        context        TEXT,
        successes      INTEGER NOT NULL,
        failures       INTEGER NOT NULL,
        infrastructure INTEGER NOT NULL,
        reward         REAL,
        evidence       TEXT,
        asserted_by    TEXT,
        at             INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX observation_learner ON observation (learner, id);
    CREATE INDEX observation_pattern ON observation (pattern, id);
    CREATE UNIQUE INDEX observation_evidence ON observation (pattern, evidence) WHERE evidence IS NOT NULL;
    CREATE TABLE forecast (
        learner   INTEGER NOT NULL REFERENCES learner (id),
        bin       INTEGER NOT NULL,
        trials    INTEGER NOT NULL,
        predicted REAL NOT NULL,
        successes INTEGER NOT NULL,
        squared   REAL NOT NULL,
        PRIMARY KEY (learner, bin)
    ) STRICT, WITHOUT ROWID;",
    // 7: which images of what search has read hold.
    super::search::images::SCHEMA,
    // 8: learning from tasks; measured and asserted apart; what was suggested.
    super::learning::FROM_TASKS,
];

/// The schema version that this release writes.
pub(super) const LATEST: i64 = MIGRATIONS.len().cast_signed() as i64;

/// Looks whose file it is, without changing it; answers whether it is empty.
pub(super) fn recognise(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let Identity { application, version: found, is_empty } = identify(connection, path)?;
    if is_empty && application == 0 {
        return Ok(true);
    }
    if application != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found > LATEST {
        return Err(StoreError::NewerSchema { path: path.to_owned(), found, known: LATEST });
    }
    Ok(false)
}

/// Does the steps that are missing, all or none. Two processes may come here at once: the one that
/// gets the lock second finds the work done.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let engine = |error| classify(path, &error);
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).map_err(engine)
    };
    if version(connection)? == LATEST {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(engine)?;
    recognise(&transaction, path)?;
    let done = usize::try_from(version(&transaction)?).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step).map_err(engine)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(engine)?;
    transaction.pragma_update(None, "user_version", LATEST).map_err(engine)?;
    transaction.commit().map_err(engine)
}

#[cfg(test)]
mod tests {
    use super::super::{SqliteOptions, SqliteStore};
    use super::*;
    use crate::contract::{LearningStore as _, Store as _, WorkStore as _};
    use crate::learning::{Rule, Tally, Which};
    use crate::memory::{At, EntryRef, Get, Lookup};
    use crate::work::TaskId;

    /// What a file of a version may hold: the version that it needs at least, and rows.
    const ROWS: [(usize, &str); 4] = [
        (
            1,
            "INSERT INTO namespace (principal, name, entries, bytes) VALUES ('p', 'n', 1, 5);
            INSERT INTO entry (namespace, key, created, version) VALUES (1, 'k', 5, 2);
            INSERT INTO version (entry, version, created, valid_from, bytes, value)
                VALUES (1, 1, 5, 5, 2, '1'), (1, 2, 6, 6, 3, '22');",
        ),
        (
            3,
            "INSERT INTO measurement VALUES ('project', 'main', 'c0ffee', 'lines', 7, 0.5);",
        ),
        (
            5,
            "INSERT INTO fleet (name, principal, settings, max_running, created) VALUES ('f', 'p', '{}', 1, 8);
            INSERT INTO run (name, fleet, principal, fingerprint, fail_fast, created, ended, submitted, tasks, open, done)
                VALUES ('r', 1, 'p', '', 0, 8, 9, 1, 1, 0, 1);
            INSERT INTO task (run, number, fleet, state, profile, priority, pending, max_attempts, children_may_fail,
                              created, ended, key) VALUES (1, 0, 1, 'done', 'command', 5, 0, 1, 0, 8, 9, 'one');
            INSERT INTO task_input VALUES (1, '{}');
            INSERT INTO attempt (task, number, worker, started, ended, outcome) VALUES (1, 1, 'w', 8, 9, 'done');",
        ),
        (
            6,
            "INSERT INTO learner (principal, patterns) VALUES ('p', 2);
            INSERT INTO pattern (learner, polarity, title, created, tally_successes, tally_failures, tally_at, asserted)
                VALUES (1, 0, 'measured', 5, 3.0, 1.0, 5, 0), (1, 0, 'asserted', 5, 3.0, 1.0, 5, 2);",
        ),
    ];

    fn older(path: &Path, version: usize) {
        let file = Connection::open(path).unwrap();
        file.execute_batch(&MIGRATIONS[..version].concat()).unwrap();
        for (_, rows) in ROWS.iter().filter(|(needs, _)| *needs <= version) {
            file.execute_batch(rows).unwrap();
        }
        file.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        file.pragma_update(None, "user_version", version).unwrap();
    }

    fn schema(path: &Path) -> Vec<(String, Option<String>)> {
        let file = Connection::open(path).unwrap();
        let mut all = file.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let all = all.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        all.collect::<rusqlite::Result<_>>().unwrap()
    }

    #[tokio::test]
    async fn a_file_of_each_older_version_is_brought_up_to_date_with_all_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let new = directory.path().join("new.db");
        drop(SqliteStore::open(&new, &SqliteOptions::default()).unwrap());
        for version in 1..MIGRATIONS.len() {
            let path = directory.path().join(format!("{version}.db"));
            older(&path, version);
            let store = SqliteStore::open(&path, &SqliteOptions::default()).unwrap();
            assert_eq!(schema(&path), schema(&new), "{version}");
            assert_eq!(store.check().await, Ok(Vec::new()), "{version}");
            let get = |at| Get {
                principal: "p",
                namespace: "n",
                entry: EntryRef::Key("k"),
                at,
                history: true,
                now: 100,
            };
            for (at, value) in [(At::Now, "22"), (At::Version(1), "1")] {
                let Lookup::Found(entry) = store.get(get(at)).await.unwrap() else { panic!("{version}") };
                assert_eq!((&*entry.value, entry.history.len()), (value, 2), "{version}");
            }
            if version >= 3 {
                let measured = store.load_measurements("project".into(), "main".into(), 9).await.unwrap();
                assert_eq!(measured.len(), 1, "{version}");
            }
            if version >= 5 {
                let task = TaskId { run: "r".into(), number: 0 };
                let task = store.task(Some("p".into()), task).await.unwrap().unwrap();
                assert_eq!(task.attempts.len(), 1, "{version}");
                // What ended before there was learning is learnt from now.
                let rule = Rule { half_life_ms: 1.0, back_off_below: 5.0, decide: |was, _, _| was };
                assert_eq!(store.learn_from_tasks(|_| None, rule).await.unwrap().attempts, 1, "{version}");
            }
            if version >= 6 {
                let which = Which { most: 9, ..Which::default() };
                let patterns = store.patterns("p".into(), which).await.unwrap();
                let tally = Tally { successes: 3.0, failures: 1.0, at: 5 };
                let nothing = Tally { at: 5, ..Tally::default() };
                let measured: Vec<_> =
                    patterns.iter().map(|pattern| (pattern.tally, pattern.measured)).collect();
                let expected = [(tally, tally), (tally, nothing)];
                assert_eq!(measured, expected, "{version}");
            }
        }
    }
}
