//! The store and what agents remember, from the shell: real processes, some of them killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aqe_store::{Attributes, OnConflict, Put, SqliteOptions, SqliteStore, Store as _, StoreFile};
use serde_json::{Value, json};

use crate::support::Home;

/// What no file, answer or log may hold once it is masked or purged.
const SECRET: &str = "aZ3kQ9xW7mB2vN8cD4fG6hJ1kL5pR0sT2uV9";

fn token() -> String {
    format!("ghp_{SECRET}")
}

fn put(home: &Home, namespace: &str, key: &str, value: &str) {
    let ran = home.run(&["memory", "put", namespace, key, value]);
    assert_eq!(ran.code(), Some(0), "{}", ran.err());
}

#[test]
fn entries_are_stored_listed_read_found_deleted_and_their_history_shown() {
    let home = Home::new();
    assert_eq!(home.run(&["memory", "list"]).out(), "nothing is stored\n");
    let stored =
        home.run(&["memory", "put", "notes", "retries", "three times", "--tag", "http", "--kind", "fact"]);
    assert_eq!((stored.code(), stored.out().as_str()), (Some(0), "mem_1 version 1\n"));
    put(&home, "notes", "retries", "four times, with jitter");
    let raw = r#"{ "b":1e400,"a":12345678901234567890 }"#;
    assert_eq!(home.run(&["memory", "put", "notes", "raw", raw, "--from-json"]).code(), Some(0));

    let listed = home.run(&["memory", "list", "notes", "--json"]).json();
    let keys: Vec<&str> =
        listed["entries"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["raw", "retries"]);
    assert_eq!(home.run(&["memory", "list", "--json"]).json()["namespaces"][0]["entries"], 2);
    assert!(home.run(&["memory", "list", "notes"]).out().starts_with("key      version"));
    assert_eq!(home.run(&["memory", "get", "notes", "retries"]).out(), "four times, with jitter\n");
    assert_eq!(home.run(&["memory", "get", "notes", "retries", "--version", "1"]).out(), "three times\n");
    assert!(home.run(&["memory", "get", "notes", "raw", "--json"]).out().contains(raw), "byte for byte");
    let found = home.run(&["memory", "search", "jitter", "--json"]).json();
    assert_eq!(found["results"][0]["key"], "retries");

    assert_eq!(home.run(&["memory", "delete", "notes", "retries"]).code(), Some(0));
    let gone = home.run(&["memory", "get", "notes", "retries"]);
    assert_eq!(gone.code(), Some(1));
    assert!(gone.err().contains("deleted: at 20"), "{}", gone.err());
    let history = home.run(&["memory", "history", "notes", "retries", "--json"]).json();
    let deleted: Vec<bool> =
        history["versions"].as_array().unwrap().iter().map(|one| one["deleted"].as_bool().unwrap()).collect();
    assert_eq!(deleted, [true, false, false]);
    assert_eq!(home.run(&["memory", "get", "notes", "retries", "--version", "2"]).code(), Some(0));
    assert_eq!(
        home.run(&["memory", "search", "jitter", "--mode", "lexical", "--json"]).json()["results"],
        json!([])
    );

    for absent in [&["get", "notes", "no"][..], &["delete", "notes", "no"], &["history", "notes", "no"]] {
        assert_eq!(home.run(&[&["memory"][..], absent].concat()).code(), Some(1), "{absent:?}");
    }
    let others = home.run(&["memory", "get", "notes", "raw", "--principal", "bearer"]);
    assert_eq!(others.code(), Some(1), "another's");
    assert_eq!(home.run(&["memory", "put", "notes", "k", "{", "--from-json"]).code(), Some(2));
}

#[test]
fn a_running_server_and_the_shell_see_each_others_entries() {
    let home = Home::new();
    let _server = home.start(&[]);
    let call = |tool: &str, arguments: Value| {
        home.run(&["mcp", "tools", "call", tool, &arguments.to_string(), "--json"]).json()["structuredContent"].clone()
    };
    call("qe_memory_store", json!({ "namespace": "n", "key": "k", "value": "of the server" }));
    let found = call("qe_memory_search", json!({ "query": "server" }));
    assert_eq!(found["results"][0]["key"], "k");
    assert_eq!(home.run(&["memory", "get", "n", "k"]).out(), "of the server\n");
    put(&home, "n", "k", "of the shell");
    assert_eq!(call("qe_memory_retrieve", json!({ "namespace": "n", "key": "k" }))["value"], "of the shell");
    assert_eq!(home.run(&["memory", "delete", "n", "k", "--purge"]).code(), Some(0));
    assert_eq!(call("qe_memory_retrieve", json!({ "namespace": "n", "key": "k" }))["found"], false);
    assert_eq!(call("qe_memory_search", json!({ "query": "server shell" }))["results"], json!([]));
    assert_eq!(home.run(&["store", "compact"]).code(), Some(0));
    call("qe_memory_store", json!({ "namespace": "n", "key": "k", "value": "on" }));
    assert_eq!(home.run(&["store", "check"]).code(), Some(0));
}

/// Whether a folder's files hold the bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        std::fs::read(path).is_ok_and(|content| content.windows(bytes.len()).any(|part| part == bytes))
    })
}

#[test]
fn a_purged_entry_is_in_no_file_any_more() {
    let home = Home::new();
    // Of a form that nobody recognises.
    put(&home, "notes", "door", &format!("the code is {SECRET}"));
    put(&home, "notes", "door", &format!("the new code is {SECRET}"));
    put(&home, "notes", "window", "is open");
    assert!(holds(&home.path("data"), SECRET.as_bytes()));
    assert_eq!(home.run(&["memory", "delete", "notes", "door"]).code(), Some(0));
    let purged = home.run(&["memory", "delete", "notes", "door", "--purge"]);
    assert!(purged.out().starts_with("purged: 3 versions are gone, from the file too"), "{}", purged.out());
    assert!(!holds(&home.path("data"), SECRET.as_bytes()));
    assert_eq!(home.run(&["memory", "get", "notes", "window"]).out(), "is open\n");
    assert_eq!(home.run(&["store", "check"]).code(), Some(0));
}

#[test]
fn a_secret_is_refused_or_masked_and_gets_nowhere() {
    let home = Home::new();
    let refused = home.run(&["memory", "put", "notes", "k", &token()]);
    assert_eq!(refused.code(), Some(1));
    assert!(refused.err().contains("a GitHub token"), "{}", refused.err());
    home.write("aqe.toml", "[store]\nsecrets = \"mask\"\n");
    let mut server = home.start(&["--log", "debug"]);
    let arguments = json!({
        "namespace": "n", "key": "k", "value": { "a": ["x", format!("use {} here", token())] },
        "tags": [token()], "source": { "file": token() }, "dedupe": { "threshold": 0.99 },
    });
    let stored =
        home.run(&["mcp", "tools", "call", "qe_memory_store", &arguments.to_string(), "--json"]).json();
    let masked = &stored["structuredContent"]["masked"];
    let places: Vec<&str> =
        masked.as_array().unwrap().iter().map(|one| one["at"].as_str().unwrap()).collect();
    assert_eq!(places, ["value/a/1", "tags/0", "source/file"]);
    assert_eq!(masked[0]["kind"], "GitHub token");
    let value = home.run(&["memory", "get", "n", "k", "--json"]).json();
    assert_eq!(value["value"]["a"][1], "use [masked: GitHub token] here");
    // Where it can only be wrong, it is refused; and no refusal repeats it.
    for (argument, wrong) in [
        ("key", json!({ "namespace": "n", "key": token(), "value": 1 })),
        ("namespace", json!({ "namespace": token(), "key": "k", "value": 1 })),
        ("kind", json!({ "namespace": "n", "key": "k", "value": 1, "kind": token() })),
    ] {
        let ran = home.run(&["mcp", "tools", "call", "qe_memory_store", &wrong.to_string(), "--json"]);
        assert_eq!(ran.code(), Some(1), "{argument}");
        assert!(!ran.out().contains(SECRET) && !ran.err().contains(SECRET), "{argument}: {}", ran.out());
    }
    let found = home.run(&["memory", "search", SECRET, "--json"]).json();
    assert!(!found.to_string().contains(SECRET));
    server.signal();
    server.ended();
    assert!(!server.stderr().contains(SECRET), "the log");
    assert!(!holds(&home.path("data"), SECRET.as_bytes()), "the store");
}

#[test]
fn exits_say_whether_the_store_is_sound() {
    let home = Home::new();
    let missing = home.run(&["store", "check"]);
    assert_eq!(missing.code(), Some(1));
    assert!(missing.err().contains("there is no store at"), "{}", missing.err());
    assert!(!home.path("data/aqe-v3").exists(), "looking makes nothing");
    put(&home, "n", "k", "v");
    assert_eq!(home.run(&["store", "check", "--json"]).json()["faults"], json!([]));
    assert_eq!(home.run(&["store", "stats", "--json"]).json()["namespaces"][0]["entries"], 1);
    assert_eq!(home.run(&["store", "import", "nowhere.jsonl"]).code(), Some(1));
    assert_eq!(home.run(&["store", "import", "x", "--on-conflict", "maybe"]).code(), Some(2));
    std::fs::write(home.path("data/aqe-v3/aqe.db"), "SQLite format 3\0 and then nothing of it").unwrap();
    assert_eq!(home.run(&["store", "check"]).code(), Some(1));
}

#[test]
fn what_one_store_exports_another_imports() {
    let home = Home::new();
    put(&home, "n", "a", "one");
    put(&home, "n", "a", "two");
    put(&home, "m", "b", "three");
    assert_eq!(home.run(&["store", "export", "out.jsonl"]).code(), Some(0));
    let again = home.run(&["store", "export", "out.jsonl"]);
    assert_eq!(again.code(), Some(1), "nothing is overwritten");
    let out = home.run(&["store", "export"]).out();
    assert_eq!(out, std::fs::read_to_string(home.path("project/out.jsonl")).unwrap());

    let other = Home::new();
    let file = home.path("project/out.jsonl").display().to_string();
    let dry = other.run(&["store", "import", &file, "--dry-run", "--json"]).json();
    assert_eq!(
        (&dry["added"], other.run(&["memory", "list"]).out().as_str()),
        (&json!(2), "nothing is stored\n")
    );
    assert_eq!(other.run(&["store", "import", &file, "--json"]).json()["added"], 2);
    assert_eq!(other.run(&["store", "import", &file, "--json"]).json()["unchanged"], 2);
    assert_eq!(other.run(&["store", "export"]).out(), out);
    assert_eq!(other.run(&["memory", "get", "n", "a", "--version", "1"]).out(), "one\n");
    put(&other, "n", "a", "mine");
    let refused = other.run(&["store", "import", &file]);
    assert_eq!(refused.code(), Some(1));
    assert!(refused.err().contains("local / n / a"), "{}", refused.err());

    std::fs::write(&file, &out[..out.len() - 10]).unwrap();
    let cut = other.run(&["store", "import", &file, "--on-conflict", "replace"]);
    assert_eq!(cut.code(), Some(1));
    assert!(cut.err().contains("cut off"), "{}", cut.err());
    assert_eq!(other.run(&["memory", "get", "n", "a"]).out(), "mine\n");
}

/// Starts a command and kills it some time after it has begun.
fn killed(home: &Home, args: &[&str], after: Duration) {
    let mut child = home.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let _ = child.kill();
    child.wait().unwrap();
}

/// An export of so many entries.
fn large(home: &Home, entries: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = SqliteStore::open(&path, &SqliteOptions::default()).unwrap();
    for n in 0..entries {
        let put = Put {
            principal: "local".into(),
            namespace: format!("n{}", n % 7),
            key: format!("k{n}"),
            value: format!("\"{}\"", "v".repeat(400)),
            attributes: Attributes::default(),
            valid_from: None,
            if_version: None,
            on_conflict: OnConflict::Version,
            now: 1_790_000_000_000,
        };
        runtime.block_on(store.put(put)).unwrap();
    }
    drop(store);
    let file = home.path("project/large.jsonl");
    StoreFile::new(&path, SqliteOptions::default())
        .export(None, std::fs::File::create(&file).unwrap())
        .unwrap();
    file.display().to_string()
}

#[test]
fn an_import_that_is_killed_leaves_no_half_entry_and_is_finished_by_doing_it_again() {
    let home = Home::new();
    let file = large(&home, 1_500);
    let mut partly = 0;
    for round in 0..8 {
        let other = Home::new();
        killed(&other, &["store", "import", &file], Duration::from_millis(20 + 40 * round));
        if other.path("data/aqe-v3/aqe.db").exists() {
            let checked = other.run(&["store", "check", "--json"]).json();
            let entries = checked["entries"].as_u64().unwrap();
            partly += u32::from(0 < entries && entries < 1_500);
        }
        assert_eq!(other.run(&["store", "import", &file]).code(), Some(0));
        assert_eq!(other.run(&["store", "export"]).out(), std::fs::read_to_string(&file).unwrap());
    }
    // How many are met half way is the machine's affair.
    eprintln!("{partly} of 8 imports were killed half way");
}

#[test]
fn a_backup_that_is_killed_is_not_there_and_one_that_is_there_is_whole() {
    let home = Home::new();
    let file = large(&home, 1_500);
    assert_eq!(home.run(&["store", "import", &file]).code(), Some(0));
    let copy = home.path("project/copy.db");
    let mut there = 0;
    for round in 0..8 {
        killed(&home, &["store", "backup", "copy.db"], Duration::from_millis(5 + 15 * round));
        if copy.exists() {
            there += 1;
            let path = copy.display().to_string();
            home.write("copy.toml", &format!("[store]\npath = {path:?}\n"));
            let checked = home.run(&["store", "check", "--config", "copy.toml", "--json"]).json();
            assert_eq!((&checked["faults"], &checked["entries"]), (&json!([]), &json!(1_500)));
            std::fs::remove_file(&copy).unwrap();
        }
    }
    assert_eq!(home.run(&["store", "backup", "copy.db"]).code(), Some(0));
    let left: Vec<String> = std::fs::read_dir(home.path("project"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("copy.db"))
        .collect();
    assert_eq!(left, ["copy.db"], "what the killed ones have left is gone");
    eprintln!("{there} of 8 backups were done before they were killed");
}
