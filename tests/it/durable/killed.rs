//! A server that is killed while several clients write, again and again on the same store.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use aqe_store::{SqliteOptions, SqliteStore, Store as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Both, Client};
use crate::support::Home;

/// How often the server is killed, unless this variable says otherwise.
const KILLS: u32 = 10;
const KILLS_VARIABLE: &str = "AQE_DURABILITY_KILLS";
/// Writes that are answered before each kill, at least.
const WRITES: u64 = 200;
/// Clients over HTTP, beside the one on the pipes.
const OVER_HTTP: usize = 3;

/// Each life writes to its own: below its quotas, and each key with fewer versions than are kept.
fn namespace(round: u32) -> String {
    format!("life-{round}")
}

/// One write, as it was sent.
struct Write {
    namespace: String,
    key: String,
    value: Value,
    /// The version that it was answered with.
    version: Option<u64>,
}

impl Write {
    fn new(round: u32, writer: &str, n: usize) -> Self {
        // One in four is a new version of what all write to.
        let key = if n % 4 == 3 { format!("all-{}", n / 4 % 3) } else { format!("{writer}-{n}") };
        let words = if n % 20 == 7 { 4_000 } else { n * n % 97 };
        let text = format!("{writer} {n} says ").repeat(words + 1);
        let sum = sum(&text);
        let value = json!({ "writer": writer, "n": n, "text": text, "sum": sum });
        Self { namespace: namespace(round), key, value, version: None }
    }

    fn arguments(&self) -> Value {
        json!({ "namespace": self.namespace, "key": self.key, "value": self.value })
    }
}

fn sum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[track_caller]
fn assert_whole(value: &Value) {
    assert_eq!(value["sum"], sum(value["text"].as_str().unwrap()), "half a value: {value}");
}

/// Writes until the server is gone, and tells of each answer.
fn write_until_gone(mut client: Client, round: u32, writer: &str, answered: &Sender<()>) -> Vec<Write> {
    let (mut writes, mut waiting) = (Vec::new(), HashMap::new());
    let mut is_open = true;
    loop {
        while is_open && (waiting.len() as u64) < client.in_flight() {
            let write = Write::new(round, writer, writes.len());
            match client.send("qe_memory_store", &write.arguments()) {
                Ok(id) => assert_eq!(waiting.insert(id, writes.len()), None),
                Err(_) => is_open = false,
            }
            // What broke off may have arrived.
            writes.push(write);
        }
        let Ok((id, result)) = client.receive() else { return writes };
        assert_ne!(result["isError"], true, "{result}");
        let at = waiting.remove(&id).unwrap();
        writes[at].version = Some(result["structuredContent"]["version"].as_u64().unwrap());
        let _ = answered.send(());
    }
}

/// Reads and searches what is being written until the server is gone: what is seen is whole at every moment.
fn read_until_gone(mut client: Client, round: u32) {
    let namespace = namespace(round);
    for n in 0.. {
        let read =
            json!({ "namespace": namespace, "key": format!("all-{}", n % 3), "include_history": true });
        let Ok(read) = client.call("qe_memory_retrieve", &read) else { return };
        assert_ne!(read["isError"], true, "{read}");
        let read = &read["structuredContent"];
        if read["found"] == true {
            assert_whole(&read["value"]);
        }
        let search = json!({ "query": "who says", "namespaces": [namespace], "limit": 3 });
        let Ok(found) = client.call("qe_memory_search", &search) else { return };
        assert_ne!(found["isError"], true, "{found}");
    }
}

fn wait_for(answered: &Receiver<()>, writes: u64) {
    for _ in 0..writes {
        answered.recv().unwrap();
    }
}

/// One life of the server, from its start to its kill; answers with what was sent to it.
fn life(home: &Home, round: u32, before: &[Write]) -> Vec<Write> {
    let mut server = Both::start(home);
    check(&mut server.http(), before);
    let over_pipe = server.stdio();
    let over_http: Vec<Client> = (0..OVER_HTTP).map(|_| server.http()).collect();
    let reader = server.http();
    let (told, answered) = channel();
    thread::scope(|scope| {
        let spawn = |name: String, client, told: Sender<()>| {
            scope.spawn(move || write_until_gone(client, round, &name, &told))
        };
        let mut writers = vec![spawn("pipe".to_owned(), over_pipe, told.clone())];
        for (n, client) in over_http.into_iter().enumerate() {
            writers.push(spawn(format!("http{n}"), client, told.clone()));
        }
        let reader = scope.spawn(move || read_until_gone(reader, round));
        drop(told);
        wait_for(&answered, WRITES + fastrand::u64(..WRITES / 2));
        // Anywhere within the writes, not only behind an answer.
        thread::sleep(Duration::from_micros(fastrand::u64(..3_000)));
        server.kill();
        reader.join().unwrap();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

/// Every write that was answered is there with its value under its version; versions have no gaps, and each is one of the writes,
/// whole and once; of those that were not answered some may be there.
fn check(client: &mut Client, writes: &[Write]) {
    let mut by_key: BTreeMap<(&str, &str), Vec<&Write>> = BTreeMap::new();
    for write in writes {
        by_key.entry((&write.namespace, &write.key)).or_default().push(write);
    }
    for ((namespace, key), writes) in by_key {
        let mut retrieve = |more: (&str, Value)| {
            let mut arguments = json!({ "namespace": namespace, "key": key });
            arguments[more.0] = more.1;
            client.done("qe_memory_retrieve", &arguments)
        };
        let entry = retrieve(("include_history", json!(true)));
        if entry["found"] != true {
            let lost = writes.iter().filter(|write| write.version.is_some()).count();
            assert_eq!(lost, 0, "{key} is gone: {entry}");
            continue;
        }
        let history: Vec<u64> =
            entry["history"].as_array().unwrap().iter().map(|one| one["version"].as_u64().unwrap()).collect();
        let latest = entry["version"].as_u64().unwrap();
        assert_eq!(history, (1..=latest).rev().collect::<Vec<_>>(), "{key} has gaps");
        let mut kept: Vec<Value> =
            (1..=latest).map(|version| retrieve(("version", json!(version)))["value"].take()).collect();
        kept.iter().for_each(assert_whole);
        for write in &writes {
            if let Some(version) = write.version {
                assert_eq!(kept[version as usize - 1], write.value, "{key}, version {version}");
            }
        }
        for write in &writes {
            let same = kept.iter().filter(|value| **value == write.value).count();
            assert!(same <= 1, "{key}: a write is there {same} times: {}", write.value["n"]);
            kept.retain(|value| *value != write.value);
        }
        assert!(kept.is_empty(), "{key} has values that nobody wrote: {kept:?}");
    }
}

#[test]
fn no_answered_write_is_lost_or_half_there_however_often_the_server_is_killed() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |text| text.parse().expect("a number of kills"));
    let home = Home::new();
    let mut lives: Vec<Vec<Write>> = Vec::new();
    for round in 0..kills {
        let writes = life(&home, round, lives.last().map_or(&[], Vec::as_slice));
        let answered = writes.iter().filter(|write| write.version.is_some()).count();
        println!("kill {}: {answered} of {} writes were answered", round + 1, writes.len());
        lives.push(writes);
    }
    let server = home.start(&[]);
    let mut client = Client::http(server.address()).unwrap();
    for writes in &lives {
        check(&mut client, writes);
    }
    drop(server);
    let store = SqliteStore::open(&home.path("data/aqe-v3/aqe.db"), &SqliteOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(store.check()).unwrap(), Vec::<String>::new());
}
