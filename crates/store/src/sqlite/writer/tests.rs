use super::super::{SqliteOptions, SqliteStore};
use super::*;
use crate::contract::Store as _;
use crate::memory::{Attributes, OnConflict, Put};

fn level(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, "synchronous", |row| row.get(0))?)
}

#[tokio::test]
async fn a_memory_write_waits_for_the_disk_where_the_operator_wants_that() {
    for (memory, expected) in [(Durability::Normal, 1), (Durability::Full, 2)] {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteOptions { memory, ..SqliteOptions::default() };
        let store = SqliteStore::open(&directory.path().join("store.db"), &options).unwrap();
        let put = Put {
            principal: "p".into(),
            namespace: "n".into(),
            key: "k".into(),
            value: "1".into(),
            attributes: Attributes::default(),
            valid_from: None,
            if_version: None,
            on_conflict: OnConflict::Version,
            now: 1,
        };
        store.put(put).await.unwrap();
        // Reading leaves the level as the last commit had it.
        assert_eq!(store.writer.read(level).await, Ok(expected));
    }
}

#[tokio::test]
async fn a_commit_waits_for_the_disk_if_a_write_in_it_asks_for_that() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path, &SqliteOptions::default()).unwrap();
    let (normal, full) = (Ok(1), Ok(2));
    for _ in 0..3 {
        assert_eq!(store.writer.write(level).await, normal);
        assert_eq!(store.writer.write_through(level).await, full);
    }
    let many = (0..50).map(|_| async {
        let one = store.writer.write(level);
        let (one, other) = tokio::join!(one, store.writer.write_through(level));
        assert_eq!(other, full);
        one
    });
    for one in many {
        assert!(one.await.is_ok_and(|level| level == 1 || level == 2));
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a write may fail")]
fn thread(_: &Connection) -> Result<thread::ThreadId, Fault> {
    Ok(thread::current().id())
}

#[tokio::test]
async fn a_short_write_is_done_here_if_it_comes_alone_and_need_not_wait() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path, &SqliteOptions::default()).unwrap();
    let (writer, here) = (&store.writer, thread::current().id());
    assert_eq!(writer.write_short(Durability::Normal, thread).await, Ok(here));
    assert_ne!(writer.write_short(Durability::Full, thread).await, Ok(here));
    // Another process may hold the lock for long.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unlock = async {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        other.execute_batch("COMMIT").unwrap();
    };
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (written, ()) = tokio::join!(writer.write_short(Durability::Normal, thread), unlock);
    assert!(written.is_ok_and(|thread| thread != here));
    // Two that meet are gathered.
    let (one, other) = tokio::join!(writer.write(thread), writer.write_short(Durability::Normal, thread));
    assert_eq!(one, other);
    assert!(one.is_ok_and(|thread| thread != here));
}

#[tokio::test]
async fn a_short_write_that_fails_leaves_nothing_and_no_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db"), &SqliteOptions::default()).unwrap();
    let half = |connection: &Connection| -> Result<(), Fault> {
        connection.execute("INSERT INTO namespace (principal, name) VALUES ('p', 'n')", ())?;
        Err(StoreError::Exists { version: 7 }.into())
    };
    let namespaces = |connection: &Connection| {
        Ok(connection.query_row("SELECT count(*) FROM namespace", (), |row| row.get::<_, i64>(0))?)
    };
    for _ in 0..3 {
        let failed = store.writer.write_short(Durability::Normal, half).await;
        assert_eq!(failed, Err(StoreError::Exists { version: 7 }));
        assert_eq!(store.writer.write_short(Durability::Normal, namespaces).await, Ok(0));
    }
}

#[tokio::test]
async fn short_writes_one_by_one_do_not_let_the_log_grow() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path, &SqliteOptions::default()).unwrap();
    let mut here = 0;
    for _ in 0..4 * open::CHECKPOINT_PAGES / 16 {
        let begun = Instant::now();
        // 17 pages of the log.
        let write = |connection: &Connection| -> Result<_, Fault> {
            let body = vec![1; 16 * 4_096];
            let put = "INSERT OR REPLACE INTO manifest VALUES ('k', '', 0, ?1)";
            connection.execute(put, [body])?;
            Ok(thread::current().id())
        };
        let written = store.writer.write_short(Durability::Normal, write).await;
        here += u32::from(written == Ok(thread::current().id()));
        thread::sleep(begun.elapsed());
    }
    // What is asked for before is done.
    store.writer.read(|_| Ok(())).await.unwrap();
    assert!(here > 0, "none was done here");
    let log = std::fs::metadata(directory.path().join("store.db-wal")).unwrap().len();
    assert!(log < u64::from(2 * open::CHECKPOINT_PAGES) * 4_096, "{log} bytes");
}
