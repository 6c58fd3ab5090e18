//! Agents and fleets: started, kept, shown, removed.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    agents, answer, call, home, init, log, nothing_is_left, over, processes, signal, submit, task, until,
};
use crate::support::{Home, Server, UPSTREAM};

#[test]
fn agents_are_started_before_they_are_needed_as_far_as_may_be() {
    let home = home("true");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script", "max": 2 }]));
    let said =
        call(&home, &server, "qe_agent_spawn", &json!({ "profile": "script", "count": 3, "ttl_s": 1 }));
    assert_eq!(
        (said["agents"].as_array().unwrap().len(), &said["refused"]["count"]),
        (2, &json!(1)),
        "{said}"
    );
    for agent in said["agents"].as_array().unwrap() {
        assert!(Path::new(&format!("/proc/{}", agent["pid"])).exists(), "{agent}");
    }
    nothing_is_left(&home);
    let said = call(&home, &server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
    assert_eq!(said["workers"], json!([]), "idle ones end: {said}");
}

/// What the server keeps, whether anybody asks it for something or not.
fn kept(home: &Home, server: &Server) -> (bool, usize) {
    let status = call(home, server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
    (status["keeps_agents"] == true, status["workers"].as_array().unwrap().len())
}

#[test]
fn the_agents_that_a_fleet_keeps_are_kept_by_one_server_and_then_by_the_next() {
    let home = home("true");
    let mut first = home.start(&[]);
    init(&home, &first, &json!([{ "profile": "script", "min": 2, "max": 3 }]));
    assert_eq!(kept(&home, &first), (true, 2));
    let other = home.start(&[]);
    assert_eq!(kept(&home, &other), (false, 0), "one server keeps them");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let mut third = home.start(&[]);
    until("the agents are there again", || (kept(&home, &third) == (true, 2)).then_some(()));
    third.signal();
    assert!(third.ended().success());
    let fourth = home.start(&[]);
    until("after an end in order, too", || (kept(&home, &fourth) == (true, 2)).then_some(()));
    // They are of use, and stay though there is nothing to do.
    let run = submit(&home, &fourth, &json!([{ "key": "a", "profile": "script", "args": { "what": "a" } }]));
    assert_eq!(over(&home, &fourth, &run)["state"], "done");
    assert_eq!(kept(&home, &fourth), (true, 2));
    drop((other, fourth));
    nothing_is_left(&home);
}

#[test]
fn a_fleet_is_removed_when_it_has_nothing_to_do_or_what_it_does_is_cancelled_with_it() {
    let home = home("echo start >> log; sleep 600");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script", "min": 1 }]));
    let run = submit(&home, &server, &json!([{ "key": "a", "profile": "script", "args": { "what": "a" } }]));
    until("it has begun", || (!log(&home).is_empty()).then_some(()));
    let ran = home.run(&["fleet", "remove", "default"]);
    assert!(ran.code() == Some(1) && ran.err().contains("1 tasks"), "{}{}", ran.out(), ran.err());
    let detail = task(&home, &server, &run, 0);
    assert_eq!((&detail["state"], &detail["cancel_wanted"]), (&json!("running"), &Value::Null), "{detail}");
    let ran = home.run(&["fleet", "remove", "default", "--cancel"]);
    assert!(ran.code() == Some(0) && ran.out().contains("default removed"), "{}{}", ran.out(), ran.err());
    nothing_is_left(&home);
    let said = answer(&home, &server, "qe_fleet_status", &json!({ "run_id": run }));
    assert_eq!(said["isError"], true, "its runs are gone: {said}");
    let ran = home.run(&["fleet", "remove", "default"]);
    assert!(ran.code() == Some(1) && ran.err().contains("no fleet"), "{}", ran.err());
    // Its name is free.
    let made = init(&home, &server, &json!([{ "profile": "script" }]));
    assert_eq!(made["created"], true, "{made}");
}

#[test]
fn figures_of_agents_and_queues_are_those_of_what_has_run() {
    let home = home("while [ ! -e go ]; do sleep 0.05; done; sleep 0.2; exit \"$1\"");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script", "max": 1 }]));
    let one = |n: usize| {
        let needs = if n == 9 { vec!["t0"] } else { Vec::new() };
        json!({ "key": format!("t{n}"), "profile": "script", "args": { "what": n / 8 }, "depends_on": needs })
    };
    let run = submit(&home, &server, &json!((0..10).map(one).collect::<Vec<_>>()));
    let status = until("one runs", || {
        let said = call(&home, &server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
        (said["queue"]["running"] == 1).then_some(said)
    });
    let queue = &status["queue"];
    assert_eq!(
        (&queue["ready"], &queue["blocked"], &queue["done"]),
        (&json!(8), &json!(1), &json!(0)),
        "{queue}"
    );
    assert!(queue["oldest_age_ms"].is_u64() && status["workers"][0]["p50_ms"].is_null(), "{status}");
    home.write("go", "");
    over(&home, &server, &run);
    let status = call(&home, &server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
    let (queue, agent) = (&status["queue"], &status["workers"][0]);
    assert_eq!(
        (&queue["done"], &queue["dead"], &queue["ready"]),
        (&json!(8), &json!(2), &json!(0)),
        "{queue}"
    );
    assert!(queue["oldest_age_ms"].is_null(), "{queue}");
    assert_eq!(
        (&agent["done"], &agent["failed"], &status["throughput_1m"]),
        (&json!(8), &json!(2), &json!(10))
    );
    let (p50, p95) = (agent["p50_ms"].as_u64().unwrap(), agent["p95_ms"].as_u64().unwrap());
    assert!(
        (200..=p95).contains(&p50) && agent["cpu_ms"].is_u64() && agent["rss_kb"].as_u64() > Some(0),
        "{agent}"
    );
}

/// What an agent whose work is a tool of an upstream is shown with is what the pool has.
#[test]
fn an_agent_of_a_tool_is_a_pooled_session_with_its_place_and_health() {
    let home = Home::new();
    home.write("upstream.sh", UPSTREAM);
    home.write(
        "aqe.toml",
        "[registry]\nprefix = \"always\"\n[[upstream]]\nname = \"sh\"\ncommand = \"sh\"\nargs = [\"upstream.sh\"]\nera = \"legacy\"\n\
         [[fleet.profile]]\nname = \"slowly\"\ntool = \"sh__slow\"\nretries = 19\n",
    );
    let server = home.start(&[]);
    until("the tool is there", || home.tools().contains(&"sh__slow".to_owned()).then_some(()));
    init(&home, &server, &json!([{ "profile": "slowly", "min": 1, "max": 2 }]));
    let run = submit(&home, &server, &json!([{ "key": "a", "profile": "slowly" }]));
    let agent = until("it is at work", || {
        agents(&home, &server).into_iter().find(|agent| agent["session"]["calls_in_flight"] == 1)
    });
    let session = &agent["session"];
    assert_eq!(
        (&agent["kind"], &agent["pid"], &agent["state"]),
        (&json!("mcp"), &Value::Null, &json!("busy"))
    );
    assert_eq!((&session["upstream"], &session["health"]), (&json!("sh"), &json!("serving")), "{session}");
    assert_eq!((&session["in_use"], &session["replicas_serving"]), (&json!(1), &json!(1)), "{session}");
    assert_eq!(over(&home, &server, &run)["state"], "done");
    let detail = task(&home, &server, &run, 0);
    assert!(detail["attempts"][0]["result"].to_string().contains("at last"), "{detail}");
    assert!(processes(&home).is_empty(), "no process of its own");
}

/// What stands in the way is shown, and the task is done once it is gone.
#[test]
fn tasks_of_an_upstream_that_is_down_are_done_when_it_is_back() {
    let home = Home::new();
    home.write("upstream.sh", &format!("[ -e down ] && exit 1\n{UPSTREAM}"));
    home.write(
        "aqe.toml",
        "[registry]\nprefix = \"always\"\n\
         [[upstream]]\nname = \"sh\"\ncommand = \"sh\"\nargs = [\"upstream.sh\"]\nera = \"legacy\"\n\
         [[fleet.profile]]\nname = \"slowly\"\ntool = \"sh__slow\"\nretries = 19\n",
    );
    let server = home.start(&[]);
    until("the tool is there", || home.tools().contains(&"sh__slow".to_owned()).then_some(()));
    init(&home, &server, &json!([{ "profile": "slowly", "min": 1 }]));
    home.write("down", "");
    let pid = std::fs::read_to_string(home.path("project").join("pid")).unwrap();
    signal(&json!(pid.trim().parse::<u64>().unwrap()), Signal::KILL);
    // The call finds out that it is gone, if nothing else has.
    let run = submit(&home, &server, &json!([{ "key": "a", "profile": "slowly" }]));
    let status = until("it is seen to be down", || {
        let status = call(&home, &server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
        (status["workers"][0]["session"]["health"] == "down").then_some(status)
    });
    assert!(status["degraded"].to_string().contains("upstream `sh`"), "{status}");
    std::fs::remove_file(home.path("project").join("down")).unwrap();
    assert_eq!(over(&home, &server, &run)["state"], "done");
}
