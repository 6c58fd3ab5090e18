//! Two servers on one store, with many clients each: nobody's write undoes another's, and nobody hears that the store is busy.

use std::thread::{self, ScopedJoinHandle};

use serde_json::{Value, json};

use super::{Both, Client};
use crate::support::{Home, until};

/// Counters, each counted up by several clients of both servers.
const COUNTERS: [&str; 2] = ["apples", "pears"];
/// Successful increments of each client.
const INCREMENTS: u64 = 40;
/// Observations of each client that learns.
const OBSERVATIONS: u64 = 30;
/// Submissions of each client with tasks, and the tasks of each.
const RUNS: usize = 6;
const TASKS: usize = 4;

const CONFIG: &str = "[[fleet.profile]]\nname = \"true\"\ncommand = \"true\"\n";

/// Adds one to a counter so many times, each time to what it has read; answers how often another was faster.
fn count_up(client: &mut Client, counter: &str, times: u64) -> u64 {
    let mut conflicts = 0;
    for _ in 0..times {
        loop {
            let read = client.done("qe_memory_retrieve", &json!({ "namespace": "shared", "key": counter }));
            let (value, version) =
                (read["value"].as_u64().unwrap_or(0), read["version"].as_u64().unwrap_or(0));
            let write =
                json!({ "namespace": "shared", "key": counter, "value": value + 1, "if_version": version });
            let written = client.call("qe_memory_store", &write).unwrap();
            if written["isError"] != true {
                assert_eq!(written["structuredContent"]["version"], version + 1);
                break;
            }
            let why = written["content"][0]["text"].as_str().unwrap();
            assert!(why.contains("is at version"), "{why}");
            conflicts += 1;
        }
    }
    conflicts
}

/// Tells how the same pattern went, each time with other evidence.
fn learn(mut client: Client, who: usize, times: u64) {
    for n in 0..times {
        let result = if n % 3 == 0 { "failure" } else { "success" };
        let outcome = json!({ "result": result, "evidence": format!("{who}-{n}"), "asserted_by": "test" });
        let told = json!({ "action": "record", "pattern": { "title": "share a store" }, "outcome": outcome });
        client.done("qe_learn_pattern", &told);
    }
}

/// Submits runs in which each task follows the one before; answers with their ids.
fn submit(mut client: Client) -> Vec<String> {
    let task = |n: usize| {
        let needs: Vec<String> = n.checked_sub(1).iter().map(|before| format!("t{before}")).collect();
        json!({ "key": format!("t{n}"), "profile": "true", "depends_on": needs })
    };
    let tasks: Vec<Value> = (0..TASKS).map(task).collect();
    let one = |_| {
        client.done("qe_task_orchestrate", &json!({ "tasks": tasks }))["run_id"].as_str().unwrap().to_owned()
    };
    (0..RUNS).map(one).collect()
}

#[test]
fn two_servers_lose_no_update_of_memory_learning_or_fleets_and_no_client_hears_of_it() {
    let home = Home::new();
    home.write("aqe.toml", CONFIG);
    let mut first = Both::start(&home);
    let mut second = Both::start(&home);
    let fleet = json!({ "workers": [{ "profile": "true", "min": 1, "max": 2 }], "max_concurrency": 2 });
    for server in [&first, &second] {
        server.http().done("qe_fleet_init", &fleet);
    }
    let mut counting = Vec::new();
    for counter in COUNTERS {
        counting.extend([(first.http(), counter), (second.http(), counter)]);
    }
    // A server whose standard input ends, ends: these clients outlive all others.
    counting.extend([(first.stdio(), COUNTERS[0]), (second.stdio(), COUNTERS[0])]);
    let (counted, runs) = thread::scope(|scope| {
        let counting: Vec<ScopedJoinHandle<'_, u64>> = counting
            .iter_mut()
            .map(|(client, counter)| scope.spawn(move || count_up(client, counter, INCREMENTS)))
            .collect();
        let learning: Vec<_> = [&first, &second]
            .into_iter()
            .enumerate()
            .map(|(who, server)| (who, server.http()))
            .map(|(who, client)| scope.spawn(move || learn(client, who, OBSERVATIONS)))
            .collect();
        let submitting = [first.http(), second.http()].map(|client| scope.spawn(move || submit(client)));
        for one in learning {
            one.join().unwrap();
        }
        let runs: Vec<String> = submitting.into_iter().flat_map(|one| one.join().unwrap()).collect();
        (counting.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>(), runs)
    });
    println!("conflicts of the clients that count: {counted:?}");

    let mut client = second.http();
    for (counter, clients) in COUNTERS.into_iter().zip([4, 2]) {
        let read = client.done("qe_memory_retrieve", &json!({ "namespace": "shared", "key": counter }));
        let expected = json!(clients * INCREMENTS);
        assert_eq!((&read["value"], &read["version"]), (&expected, &expected), "{counter}");
    }
    let learnt = client.done("qe_learn_status", &json!({}));
    // Tasks teach, too, what is measured: all of them succeed.
    let failures = 2 * OBSERVATIONS.div_ceil(3);
    assert_eq!(
        (&learnt["observations"]["failures"], &learnt["observations"]["asserted"]),
        (&json!(failures), &json!(2 * OBSERVATIONS)),
        "{learnt}"
    );
    assert_eq!(runs.len(), 2 * RUNS);
    for run in runs {
        let over = until("the run is over", || {
            let said = client.done("qe_fleet_status", &json!({ "run_id": run }));
            (said["state"] != "running").then_some(said)
        });
        assert_eq!((&over["state"], &over["done"]), (&json!("done"), &json!(TASKS)), "{over}");
    }
}
