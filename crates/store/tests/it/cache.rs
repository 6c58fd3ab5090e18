//! The result cache's level on disk: what it gives is what was put, whatever happens to the file.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::cache::{Disk as _, Forget, Key, Kind, Namespace, Record, Scope};
use aqe_store::{DiskCache, DiskCacheOptions};

use crate::support::T0;

const FOLDER: &str = "AQE_CACHE_TEST_FOLDER";
const MIB: u64 = 1 << 20;

/// A level that is open, or has said why not.
fn open_with(folder: &Path, max_bytes: u64) -> DiskCache {
    let cache = DiskCache::start(folder, DiskCacheOptions { max_bytes }).unwrap();
    cache.flush();
    cache
}

fn open(folder: &Path) -> DiskCache {
    open_with(folder, 64 * MIB)
}

fn fresh() -> (tempfile::TempDir, DiskCache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    assert_eq!(cache.read().off, None);
    (folder, cache)
}

fn space(name: &str) -> Arc<Namespace> {
    Arc::new(Namespace::new(name))
}

fn key(text: &str) -> Key {
    Key::from_bytes(text.as_bytes())
}

/// The answer to a question says the question, so that an answer to another one is seen.
fn record(space: &Arc<Namespace>, name: &str, text: &str, padding: usize) -> Record {
    Record {
        key: key(text),
        namespace: Arc::clone(space),
        kind: Kind::Tools,
        name: name.into(),
        result: format!("{{\"to\":\"{text}\",\"padding\":\"{}\"}}", "x".repeat(padding)).into(),
        stamp: space.stamp(Kind::Tools, name),
        scope: Scope::Private,
        made_at: T0,
        fresh_ms: 1_000,
        stale_ms: 500,
    }
}

/// What the level gives, checked to be what was put.
fn get_at(cache: &DiskCache, space: &Arc<Namespace>, name: &str, text: &str, now: i64) -> Option<Record> {
    let found = cache.get(&key(text), space, Kind::Tools, name, now)?;
    let start = format!("{{\"to\":\"{text}\",");
    assert!(found.result.starts_with(start.as_bytes()), "the answer to another question");
    assert_eq!((found.key.clone(), &*found.name, found.made_at), (key(text), name, T0));
    Some(found)
}

fn has(cache: &DiskCache, space: &Arc<Namespace>, name: &str, text: &str) -> bool {
    get_at(cache, space, name, text, T0).is_some()
}

#[test]
fn an_answer_is_given_back_whole_also_by_the_next_process() {
    let (folder, cache) = fresh();
    let up = space("up");
    let put = Record { scope: Scope::Public, ..record(&up, "t", "q", 10_000) };
    cache.put(put.clone());
    cache.flush();
    for cache in [cache, open(folder.path())] {
        let found = get_at(&cache, &up, "t", "q", T0 + 999).unwrap();
        assert_eq!(
            (found.result, found.scope, found.fresh_ms, found.stale_ms),
            (put.result.clone(), put.scope, 1_000, 500)
        );
        assert_eq!((cache.read().entries, cache.read().counts.hits), (Some(1), 1));
        assert!(get_at(&cache, &space("other"), "t", "q", T0).is_none());
        assert!(cache.get(&key("another"), &up, Kind::Tools, "t", T0).is_none());
        cache.put(put.clone());
        cache.flush();
        assert_eq!(cache.read().entries, Some(1));
    }
    let file = folder.path().join("answers.db");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_answer_is_given_for_its_time_and_not_by_a_clock_that_was_set_back() {
    let (_folder, cache) = fresh();
    let up = space("up");
    let put = || {
        cache.put(record(&up, "t", "q", 0));
        cache.flush();
    };
    put();
    assert!(get_at(&cache, &up, "t", "q", T0 + 1_499).is_some());
    assert_eq!(cache.read().counts.stale, 1);
    for never in [T0 + 1_500, T0 - 1, i64::MAX, i64::MIN] {
        put();
        assert!(get_at(&cache, &up, "t", "q", never).is_none(), "{never}");
    }
    assert_eq!(cache.read().counts.expired, 4);
}

#[test]
fn what_was_made_invalid_is_not_given_in_this_run_nor_in_the_next() {
    let (folder, cache) = fresh();
    let up = space("up");
    cache.put(record(&up, "t", "before", 0));
    cache.flush();
    let late = record(&up, "t", "late", 0);
    up.invalidate();
    assert!(!has(&cache, &up, "t", "before"), "its stamp is not that of this moment");
    cache.forget(Forget::Upstream("up".into()));
    // It was asked for before the change, and comes after what was to be forgotten.
    cache.put(late);
    cache.put(record(&up, "t", "after", 0));
    cache.flush();
    assert!(!has(&cache, &up, "t", "late") && has(&cache, &up, "t", "after"));
    drop(cache);
    let (cache, up) = (open(folder.path()), space("up"));
    assert!(!has(&cache, &up, "t", "before") && !has(&cache, &up, "t", "late"));
    assert!(has(&cache, &up, "t", "after"), "that of another run counts");
    up.invalidate();
    assert!(!has(&cache, &up, "t", "after"), "and no more, once anything was made invalid in this one");
}

#[test]
fn what_is_forgotten_is_what_was_named() {
    for (what, left) in [
        (Forget::All, [false, false, false, false]),
        (Forget::Upstream("a".into()), [false, false, false, true]),
        (Forget::Kind("a".into(), Kind::Tools), [false, false, true, true]),
        (Forget::Name("a".into(), "t".into()), [false, true, true, true]),
    ] {
        let (_folder, cache) = fresh();
        let (a, b) = (space("a"), space("b"));
        cache.put(record(&a, "t", "1", 0));
        cache.put(record(&a, "u", "2", 0));
        cache.put(Record { kind: Kind::Resources, ..record(&a, "v", "3", 0) });
        cache.put(record(&b, "t", "4", 0));
        cache.forget(what.clone());
        cache.flush();
        let resource = cache.get(&key("3"), &a, Kind::Resources, "v", T0).is_some();
        let found =
            [has(&cache, &a, "t", "1"), has(&cache, &a, "u", "2"), resource, has(&cache, &b, "t", "4")];
        assert_eq!(found, left, "{what:?}");
        assert_eq!(cache.read().entries, Some(left.iter().filter(|left| **left).count() as u64));
    }
}

fn file_bytes(folder: &Path) -> u64 {
    fs::metadata(folder.join("answers.db")).unwrap().len()
}

#[test]
fn the_file_stays_within_its_bytes_and_what_was_used_last_stays_longest() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open_with(folder.path(), 2 * MIB);
    let up = space("up");
    let day = i64::from(24 * 3_600 * 1_000);
    let long = |n: i64, padding| Record {
        made_at: T0 + n,
        fresh_ms: day.unsigned_abs(),
        ..record(&up, "t", &n.to_string(), padding)
    };
    for n in 0..3_000 {
        cache.put(long(n, (n as usize * 37) % 9_000));
        if n % 50 == 0 {
            // Used again and again, long after it was made.
            let _ = cache.get(&key("0"), &up, Kind::Tools, "t", T0 + n + 60_000 * (n / 50 + 1));
            cache.flush();
        }
    }
    cache.flush();
    drop(cache);
    assert!(file_bytes(folder.path()) <= 2 * MIB, "{}", file_bytes(folder.path()));
    let cache = open_with(folder.path(), 2 * MIB);
    let reading = cache.read();
    assert!(reading.bytes.unwrap() <= 2 * MIB && reading.bytes.unwrap() > MIB, "{reading:?}");
    let held = |n: i64| cache.get(&key(&n.to_string()), &up, Kind::Tools, "t", T0 + day / 2).is_some();
    assert!(held(0) && held(2_999) && !held(1) && !held(1_000));
    cache.put(long(7, 3_000_000));
    cache.flush();
    assert!(!held(7), "one that would push out all others is not taken in");
    assert_eq!(reading.off, None);
}

#[test]
fn a_damaged_entry_is_a_miss_and_is_replaced() {
    let (folder, cache) = fresh();
    let up = space("up");
    for n in 0..20 {
        cache.put(record(&up, "t", &n.to_string(), 100));
    }
    cache.flush();
    let raw = rusqlite::Connection::open(folder.path().join("answers.db")).unwrap();
    for (n, change) in [
        "result = CAST('{\"to\":\"other\"}' AS BLOB)",
        "key = x'00'",
        "upstream = 'other'",
        "name = 'u'",
        "made_at = made_at + 1",
        "fresh_ms = 100000",
        "stale_ms = 100000",
        "scope = 1",
        "kind = 2",
        "kind = 9",
        "run = run + 1",
        "stamp = zeroblob(25)",
        "checksum = zeroblob(32)",
    ]
    .iter()
    .enumerate()
    {
        let digest = raw.query_row("SELECT digest FROM answer ORDER BY id LIMIT 1 OFFSET ?1", [0], |row| {
            row.get::<_, Vec<u8>>(0)
        });
        let changed =
            raw.execute(&format!("UPDATE answer SET {change} WHERE digest = ?1"), [digest.unwrap()]).unwrap();
        assert_eq!(changed, 1);
        assert!(!has(&cache, &up, "t", &n.to_string()), "{change}");
        cache.flush();
        assert_eq!(cache.read().damaged, n as u64 + 1, "{change}");
        cache.put(record(&up, "t", &n.to_string(), 100));
        cache.flush();
        assert!(has(&cache, &up, "t", &n.to_string()), "{change}");
    }
    assert_eq!(cache.read().entries, Some(20));
}

#[test]
fn flipped_bits_never_give_a_wrong_answer_and_the_level_goes_on() {
    let (folder, cache) = fresh();
    let up = space("up");
    for n in 0..200 {
        cache.put(record(&up, "t", &n.to_string(), 1_500));
    }
    drop(cache);
    let path = folder.path().join("answers.db");
    let sound = fs::read(&path).unwrap();
    let mut random = 12_345_usize;
    let (mut whole, mut thrown_away) = (0, 0);
    for _ in 0..100 {
        let mut damaged = sound.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bit = (random >> 16) % (damaged.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        fs::write(&path, &damaged).unwrap();
        let cache = open(folder.path());
        let found = (0..200).filter(|n| has(&cache, &up, "t", &n.to_string())).count();
        whole += usize::from(found >= 197);
        thrown_away += usize::from(found == 0);
        // Whatever was found out meanwhile, it is of use again.
        cache.flush();
        cache.put(record(&up, "t", "new", 1_500));
        cache.flush();
        if !has(&cache, &up, "t", "new") {
            cache.put(record(&up, "t", "new", 1_500));
            cache.flush();
            assert!(has(&cache, &up, "t", "new"), "{:?}", cache.read());
        }
        drop(cache);
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(folder.path().join(format!("answers.db{suffix}")));
        }
    }
    assert!(whole > 20 && thrown_away > 5, "{whole} whole, {thrown_away} thrown away");
}

#[test]
fn a_file_that_is_no_database_or_of_another_version_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.db");
    let up = space("up");
    let works = || {
        let cache = open(folder.path());
        assert_eq!(cache.read().off, None);
        cache.put(record(&up, "t", "q", 0));
        cache.flush();
        assert!(has(&cache, &up, "t", "q"));
    };
    for garbage in [&b"no database"[..], &vec![0; 100_000], b"SQLite format 3\0", b""] {
        fs::write(&path, garbage).unwrap();
        works();
    }
    let sound = fs::read(&path).unwrap();
    fs::write(&path, &sound[..sound.len() / 2]).unwrap();
    works();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    works();
}

#[test]
fn a_level_that_cannot_be_written_is_off_with_its_reason_and_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    let raw = rusqlite::Connection::open(foreign.join("answers.db")).unwrap();
    raw.execute_batch("CREATE TABLE mine (x)").unwrap();
    drop(raw);
    let before = fs::read(foreign.join("answers.db")).unwrap();
    let up = space("up");
    for (path, why) in [(&file, "File exists"), (&foreign, "another program")] {
        let cache = open(path);
        let reading = cache.read();
        assert!(reading.off.as_ref().is_some_and(|off| off.contains(why)), "{reading:?}");
        cache.put(record(&up, "t", "q", 0));
        cache.forget(Forget::All);
        cache.flush();
        assert!(!has(&cache, &up, "t", "q"));
        assert_eq!((cache.read().entries, cache.read().dropped), (None, 1));
    }
    assert_eq!(fs::read(foreign.join("answers.db")).unwrap(), before, "it is not ours");
}

fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn child_folder() -> PathBuf {
    std::env::var_os(FOLDER).expect("run by another test").into()
}

/// Puts and forgets until it is killed; says what it has put, when that is written.
#[test]
#[ignore = "the child of another test"]
fn child_that_puts_for_ever() {
    let cache = open_with(&child_folder(), 4 * MIB);
    let up = space("up");
    for n in 0_usize.. {
        cache.put(record(&up, "t", &format!("{}-{n}", std::process::id()), n * 31 % 5_000));
        if n % 16 == 15 {
            cache.flush();
            writeln!(std::io::stdout(), "put {n}").unwrap();
        }
        if n % 500 == 499 {
            cache.forget(Forget::Name("up".into(), "other".into()));
        }
    }
}

fn kill(mut child: Child) {
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn sigkill_while_it_writes_leaves_a_file_that_can_be_read_and_no_entry_half_there() {
    let folder = tempfile::tempdir().unwrap();
    let up = space("up");
    let mut seen = 0;
    for round in 0..25_usize {
        let mut child = child("cache::child_that_puts_for_ever", folder.path()).spawn().unwrap();
        let pid = child.id();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut put = 0;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("put ") {
                put = number.parse().unwrap();
            }
            if put >= 16 * (1 + round * 5 % 23) {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(137 * round as u64));
        kill(child);
        let cache = open_with(folder.path(), 4 * MIB);
        let reading = cache.read();
        assert_eq!((reading.off, reading.damaged), (None, 0), "round {round}");
        // The last of them: older ones may have given way.
        let found = (0..=put).filter(|n| has(&cache, &up, "t", &format!("{pid}-{n}"))).count();
        assert!(found > 0, "round {round}: nothing of {put}");
        seen += found;
        let check = rusqlite::Connection::open(folder.path().join("answers.db")).unwrap();
        let fault: String = check.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        assert_eq!(fault, "ok", "round {round}");
    }
    assert!(seen > 1_000, "only {seen} entries");
}

/// Writes under a limit on the size of files, which is to a program what a full disk is.
#[test]
#[ignore = "the child of another test"]
fn child_on_a_full_disk() {
    let cache = open_with(&child_folder(), 64 * MIB);
    let up = space("up");
    let mut off = None;
    for n in 0..2_000 {
        cache.put(record(&up, "t", &n.to_string(), 5_000));
        cache.flush();
        off = cache.read().off;
        if off.is_some() {
            break;
        }
    }
    let off = off.expect("the level is switched off");
    // Nothing fails for it.
    let began = Instant::now();
    cache.put(record(&up, "t", "more", 0));
    assert!(!has(&cache, &up, "t", "more"));
    cache.forget(Forget::All);
    cache.flush();
    assert!(began.elapsed() < Duration::from_secs(5));
    writeln!(std::io::stdout(), "off: {off}").unwrap();
}

#[test]
fn a_full_disk_switches_the_level_off_and_the_process_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // `ulimit -f` counts blocks of 512 bytes or of 1 KiB, by the shell. A write beyond it fails where the signal is
    // ignored.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\""]);
    let child = child("cache::child_on_a_full_disk", folder.path());
    shell.arg(child.get_program()).args(child.get_args()).env(FOLDER, folder.path());
    let ran = shell.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && told.contains("off: "), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    // With room again, it works again.
    let (cache, up) = (open(folder.path()), space("up"));
    assert_eq!(cache.read().off, None);
    cache.put(record(&up, "t", "again", 0));
    cache.flush();
    assert!(has(&cache, &up, "t", "again"));
}

#[test]
#[ignore = "the child of another test"]
fn child_that_forgets() {
    let cache = open(&child_folder());
    let up = space("up");
    assert!(has(&cache, &up, "t", "1"), "what another process has put");
    cache.forget(Forget::Upstream("up".into()));
    cache.put(record(&up, "t", "2", 0));
}

#[test]
fn two_processes_share_the_file_and_what_one_forgets_is_forgotten() {
    let (folder, cache) = fresh();
    let up = space("up");
    cache.put(record(&up, "t", "1", 0));
    cache.flush();
    assert!(child("cache::child_that_forgets", folder.path()).status().unwrap().success());
    assert!(!has(&cache, &up, "t", "1") && has(&cache, &up, "t", "2"));
}

#[test]
fn threads_that_read_while_it_is_written_get_whole_answers() {
    let (_folder, cache) = fresh();
    let up = space("up");
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (cache, up) = (&cache, &up);
            scope.spawn(move || {
                for n in 0..400 {
                    let text = ((n * 7 + thread) % 90).to_string();
                    if !has(cache, up, "t", &text) {
                        cache.put(record(up, "t", &text, n * 13 % 4_000));
                    }
                }
            });
        }
    });
    cache.flush();
    assert_eq!((cache.read().damaged, cache.read().entries), (0, Some(90)));
}
