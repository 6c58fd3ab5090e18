//! Derived figures: what is found is what was kept, whatever happens to the file or the process.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aqe_store::{Derived, DerivedKey};

use crate::support::T0;

const FOLDER: &str = "AQE_DERIVED_TEST_FOLDER";
const MIB: u64 = 1 << 20;
const DAY_MS: i64 = 24 * 3600 * 1000;

fn open(folder: &Path) -> Derived {
    Derived::new(folder, 64 * MIB)
}

fn key(number: usize) -> DerivedKey {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

/// Says its number, so that another row is seen.
fn body(number: usize, bytes: usize) -> Vec<u8> {
    (number + 1).to_le_bytes().into_iter().cycle().take(bytes.max(8)).collect()
}

fn keep(derived: &Derived, numbers: impl IntoIterator<Item = usize>, bytes: usize, now: i64) {
    derived.keep(numbers.into_iter().map(|number| (key(number), body(number, bytes))).collect(), now);
    derived.flush();
}

/// Which of the numbers are found, each checked to be what was kept.
fn found(derived: &Derived, numbers: impl IntoIterator<Item = usize>, now: i64) -> Vec<usize> {
    let numbers: Vec<usize> = numbers.into_iter().collect();
    let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
    let bodies = derived.find(&keys, now);
    assert_eq!(bodies.len(), keys.len());
    let are = numbers.into_iter().zip(bodies).filter_map(|(number, body_found)| {
        let body_found = body_found?;
        assert_eq!(body_found, body(number, body_found.len()), "the row of another key");
        Some(number)
    });
    are.collect()
}

#[test]
fn a_row_is_found_whole_by_others_and_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(folder.path()), open(folder.path()));
    assert_eq!(found(&one, 0..3, T0), [0; 0]);
    keep(&one, 0..3, 20_000, T0);
    assert_eq!(found(&other, 0..4, T0), [0, 1, 2]);
    keep(&other, 2..5, 10, T0);
    assert_eq!(found(&one, 0..6, T0), [0, 1, 2, 3, 4]);
    // Nobody waits for it, and it is there all the same.
    one.keep(vec![(key(9), body(9, 100))], T0);
    drop((one, other));
    assert_eq!(found(&open(folder.path()), [9, 0], T0), [9, 0]);
}

#[test]
fn nothing_is_opened_before_something_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let derived = open(&folder.path().join("new/folder"));
    derived.flush();
    derived.keep(Vec::new(), T0);
    assert!(!folder.path().join("new").exists());
    drop(derived);
    assert!(!folder.path().join("new").exists());
}

#[test]
fn the_file_stays_below_its_bound_and_what_was_not_used_for_longest_gives_way() {
    let folder = tempfile::tempdir().unwrap();
    let derived = Derived::new(folder.path(), MIB);
    keep(&derived, 0..20, 10_000, T0);
    keep(&derived, 20..40, 10_000, T0 + DAY_MS);
    // A use counts, and is written once a day.
    assert_eq!(found(&derived, 0..10, T0 + 2 * DAY_MS).len(), 10);
    derived.flush();
    for batch in 4..20 {
        keep(&derived, batch * 10..batch * 10 + 10, 10_000, T0 + 2 * DAY_MS);
        let bytes = fs::metadata(folder.path().join("derived.db")).unwrap().len();
        assert!(bytes <= MIB, "batch {batch}: {bytes} bytes");
        if batch == 4 {
            assert_eq!(found(&derived, 0..10, T0 + 2 * DAY_MS).len(), 10, "they were used");
        }
    }
    assert_eq!(found(&derived, 190..200, T0 + 2 * DAY_MS).len(), 10);
    // One that has no room at all is not kept, and the others are.
    keep(&derived, [500], 2 << 20, T0 + 2 * DAY_MS);
    assert_eq!(found(&derived, [500], T0 + 2 * DAY_MS), [0; 0]);
    keep(&derived, [501], 100, T0 + 2 * DAY_MS);
    assert_eq!(found(&derived, [501], T0 + 2 * DAY_MS), [501]);
}

#[test]
fn a_changed_row_is_not_found_and_can_be_kept_again() {
    let folder = tempfile::tempdir().unwrap();
    let derived = open(folder.path());
    keep(&derived, 0..4, 100, T0);
    let raw = rusqlite::Connection::open(folder.path().join("derived.db")).unwrap();
    for (number, change) in
        ["body = zeroblob(100)", "body = x''", "checksum = zeroblob(32)", "key = randomblob(32)"]
            .iter()
            .enumerate()
    {
        let sql = format!("UPDATE derived SET {change} WHERE key = ?1");
        assert_eq!(raw.execute(&sql, [key(number)]).unwrap(), 1);
        assert_eq!(found(&derived, [number], T0), [0; 0], "{change}");
        keep(&derived, [number], 100, T0);
        assert_eq!(found(&derived, [number], T0), [number], "{change}");
    }
}

#[test]
fn flipped_bits_never_give_a_wrong_row_and_the_file_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("derived.db");
    let derived = open(folder.path());
    keep(&derived, 0..200, 1_500, T0);
    drop(derived);
    let sound = fs::read(&path).unwrap();
    let mut random = 12_345_usize;
    let (mut whole, mut thrown_away) = (0, 0);
    for _ in 0..60 {
        let mut damaged = sound.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bit = (random >> 16) % (damaged.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        fs::write(&path, &damaged).unwrap();
        let derived = open(folder.path());
        let of = found(&derived, 0..200, T0).len();
        whole += usize::from(of >= 197);
        thrown_away += usize::from(of == 0);
        // Damage may be met in the first writing only; then the next one has a new file.
        keep(&derived, [300], 1_500, T0);
        if found(&derived, [300], T0).is_empty() {
            keep(&derived, [300], 1_500, T0);
        }
        assert_eq!(found(&derived, [300], T0), [300]);
        drop(derived);
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(folder.path().join(format!("derived.db{suffix}")));
        }
    }
    assert!(whole > 10 && thrown_away > 0, "{whole} whole, {thrown_away} thrown away");
}

#[test]
fn a_file_of_no_use_is_begun_anew_and_one_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("derived.db");
    for garbage in [&b"no database"[..], &vec![0; 100_000], b"SQLite format 3\0", b""] {
        fs::write(&path, garbage).unwrap();
        let derived = open(folder.path());
        keep(&derived, [1], 10, T0);
        assert_eq!(found(&derived, [1], T0), [1]);
    }
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    assert_eq!(found(&open(folder.path()), [1], T0), [0; 0]);
    fs::remove_file(&path).unwrap();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE mine (x)").unwrap();
    drop(raw);
    let before = fs::read(&path).unwrap();
    let derived = open(folder.path());
    keep(&derived, [1], 10, T0);
    assert_eq!(found(&derived, [1], T0), [0; 0]);
    drop(derived);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_folder_that_cannot_be_written_keeps_nothing_and_fails_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let derived = open(&file);
    keep(&derived, 0..10, 10, T0);
    assert_eq!(found(&derived, 0..10, T0), [0; 0]);
}

/// Keeps rows until it is killed; says which are written.
#[test]
#[ignore = "the child of another test"]
fn child_that_keeps_for_ever() {
    let folder: PathBuf = std::env::var_os(FOLDER).expect("run by another test").into();
    let derived = Derived::new(&folder, 4 * MIB);
    for batch in 0_usize.. {
        keep(&derived, batch * 8..batch * 8 + 8, batch * 31 % 5_000, T0 + batch.cast_signed() as i64);
        writeln!(std::io::stdout(), "kept {}", batch * 8 + 7).unwrap();
    }
}

#[test]
fn sigkill_while_it_writes_leaves_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..12_usize {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "derived::child_that_keeps_for_ever", "--ignored", "--nocapture"]);
        command.env(FOLDER, folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut kept = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("kept ") {
                kept = number.parse().unwrap();
            }
            if kept > 100 + round * 40 {
                break;
            }
        }
        std::thread::sleep(std::time::Duration::from_micros(137 * round as u64));
        // SIGKILL on Unix.
        child.kill().unwrap();
        child.wait().unwrap();
        let derived = Derived::new(folder.path(), 4 * MIB);
        assert_eq!(found(&derived, kept - 50..=kept, T0).len(), 51, "round {round}");
        let raw = rusqlite::Connection::open(folder.path().join("derived.db")).unwrap();
        let fault: String = raw.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        assert_eq!(fault, "ok", "round {round}");
    }
}
