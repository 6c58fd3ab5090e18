//! The commands that show and change the pool and the balancers of a running server.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Home, Ran, Server, UPSTREAM, until};

/// The upstream `sh` in two replicas, and what else the file says.
fn with_replicas(more: &str) -> Home {
    let home = Home::new();
    home.write("upstream.sh", UPSTREAM);
    let replica = r#"{ name = "NAME", command = "sh", args = ["upstream.sh"] }"#;
    let (one, two) = (replica.replace("NAME", "one"), replica.replace("NAME", "two"));
    home.write(
        "aqe.toml",
        &format!("{more}\n[[upstream]]\nname = \"sh\"\nera = \"legacy\"\nreplicas = [{one}, {two}]\n"),
    );
    home
}

fn pool(home: &Home) -> Value {
    home.run(&["mcp", "pool", "status", "--json"]).json()
}

fn balance(home: &Home) -> Value {
    home.run(&["mcp", "balance", "status", "--json"]).json()["upstreams"][0].clone()
}

fn start(home: &Home, args: &[&str]) -> Server {
    let server = home.start(args);
    until("the upstream's tools", || home.tools().iter().any(|name| name.ends_with("slow")).then_some(()));
    server
}

#[test]
fn the_commands_of_the_seeds_work_as_they_are_written() {
    let home = with_replicas("");
    let _server = start(&home, &["--optimized", "--pool-size", "50", "--strategy", "least-connections"]);
    for command in [
        "mcp pool --configure --min 5 --max 50 --idle-timeout 300",
        "mcp pool configure --min 5 --max 50",
        "mcp pool status",
        "mcp balance --strategy least-connections --enable",
        "mcp balance configure --strategy response-time",
        "mcp balance status",
        "mcp balance agents",
        "mcp pool drain",
    ] {
        let ran = home.run(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code(), Some(0), "{command}: {}", ran.err());
        assert!(!ran.out().is_empty(), "{command}");
    }
}

#[test]
fn the_pool_is_as_the_file_says_and_the_command_line_before_it() {
    let home = with_replicas("[pool]\nmax_connections = 20\nmin_connections = 1\nidle_timeout_s = 0.5\n");
    let _server = start(&home, &["--pool-size", "7"]);
    let settings = &pool(&home)["settings"];
    assert_eq!((&settings["max_connections"], &settings["min_connections"]), (&json!(7), &json!(1)));
    assert_eq!(
        (&settings["idle_timeout_ms"], &settings["acquire_timeout_ms"]),
        (&json!(500.0), &json!(5000.0))
    );
}

#[test]
fn a_pool_tells_what_its_connections_do_and_what_became_of_them() {
    let home = with_replicas("");
    let _server = start(&home, &[]);
    let call = home.run(&["mcp", "tools", "call", "slow"]);
    assert_eq!(call.code(), Some(0), "{}", call.err());
    let status = pool(&home);
    let names: Vec<&Value> = status["replicas"].as_array().unwrap().iter().map(|it| &it["replica"]).collect();
    assert_eq!(names, ["one", "two"]);
    let all = &status["all"];
    assert_eq!(all["hits"].as_u64().unwrap() + all["misses"].as_u64().unwrap(), 1, "{status}");
    assert!(all["hit_rate"].is_number() && all["wait_ms"]["p99"].is_number(), "{status}");
    assert!(all["opened"].as_u64().unwrap() >= 1 && all["open_failures"] == 0, "{status}");
    let shown = home.run(&["mcp", "pool", "status"]).out();
    assert!(shown.contains("sh/one") && shown.contains("closed so far"), "{shown}");
    let agents = home.run(&["mcp", "balance", "agents", "--json"]).json();
    let replicas = agents["upstreams"][0]["replicas"].as_array().unwrap();
    let picks: u64 = replicas.iter().map(|replica| replica["picks"].as_u64().unwrap()).sum();
    assert_eq!(picks, 1, "{agents}");
    assert!(replicas.iter().all(|replica| replica["state"] == "closed"), "{agents}");
}

#[test]
fn with_nothing_asked_there_is_no_rate_and_no_percentile() {
    let home = Home::new();
    let _server = home.start(&[]);
    let status = pool(&home);
    assert_eq!((&status["all"]["hit_rate"], &status["all"]["wait_ms"]), (&Value::Null, &Value::Null));
    assert_eq!(status["replicas"], json!([]));
    assert_eq!(home.run(&["mcp", "balance", "agents"]).out(), "no replicas\n");
}

#[test]
fn the_pool_is_changed_while_the_server_runs_or_not_at_all() {
    let home = with_replicas("");
    let _server = start(&home, &[]);
    let changed = home.run(&[
        "mcp",
        "pool",
        "configure",
        "--max",
        "9",
        "--min",
        "1",
        "--idle-timeout",
        "1.5",
        "--max-uses",
        "77",
        "--max-lifetime",
        "60",
        "--health-check-interval",
        "2",
        "--acquire-timeout",
        "0.25",
        "--json",
    ]);
    let wanted = json!({
        "max_connections": 9, "min_connections": 1, "max_opening": 8, "idle_timeout_ms": 1500.0, "max_uses": 77,
        "max_lifetime_ms": 60000.0, "health_check_interval_ms": 2000.0, "acquire_timeout_ms": 250.0,
    });
    assert_eq!(changed.json()["settings"], wanted);
    let refused = home.run(&["mcp", "pool", "configure", "--max", "3", "--min", "4"]);
    assert_eq!(refused.code(), Some(1));
    assert!(refused.err().contains("min_connections (4) is above max_connections (3)"), "{}", refused.err());
    let refused = home.run(&["mcp", "pool", "configure", "--max", "0"]);
    assert!(
        refused.err().contains("\"max_connections\" must be a whole number from 1 to"),
        "{}",
        refused.err()
    );
    assert_eq!(pool(&home)["settings"], wanted);
}

#[test]
fn the_strategy_is_changed_while_the_server_runs_for_one_upstream_or_all() {
    let home = with_replicas("[balancer]\nstrategy = \"p2c\"\n");
    let _server = start(&home, &[]);
    assert_eq!(balance(&home)["strategy"], "p2c");
    for name in ["round-robin", "least-connections", "response-time", "weighted", "p2c"] {
        let ran = home.run(&["mcp", "balance", "--strategy", name, "--enable"]);
        assert_eq!(ran.code(), Some(0), "{}", ran.err());
        assert!(ran.out().contains(name), "{}", ran.out());
        assert_eq!(balance(&home)["strategy"], name);
    }
    let weights = ["--load-weight", "1", "--category-weight", "0"];
    let ran = home.run(&[&["mcp", "balance", "configure", "--upstream", "sh"], &weights[..]].concat());
    assert_eq!(ran.code(), Some(0), "{}", ran.err());
    assert_eq!(balance(&home)["weights"], json!({ "load": 1.0, "response": 0.4, "category": 0.0 }));
    assert_eq!(balance(&home)["strategy"], "p2c");
    for (wrong, why) in [
        (&["--upstream", "other", "--strategy", "p2c"][..], "no upstream is called \"other\"; there are: sh"),
        (&["--load-weight=-1"], "score weights must not be negative"),
    ] {
        let ran = home.run(&[&["mcp", "balance", "configure"], wrong].concat());
        assert_eq!(ran.code(), Some(1), "{wrong:?}");
        assert!(ran.err().contains(why), "{}", ran.err());
    }
}

#[test]
fn a_drain_lets_calls_finish_and_ends_the_server_in_order() {
    let home = with_replicas("");
    let mut server = start(&home, &[]);
    let call =
        home.command(&["mcp", "tools", "call", "slow"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let call = call.unwrap();
    until("the call", || (pool(&home)["all"]["calls_in_flight"] == 1).then_some(()));
    let drained = home.run(&["mcp", "pool", "drain", "--json"]);
    let answer = drained.json();
    assert_eq!((&answer["draining"], &answer["calls_in_flight"]), (&json!(true), &json!(1)));
    assert!(answer["ended_after_ms"].as_f64().unwrap() > 0.0, "{answer}");
    // The command has waited for it.
    assert!(server.child.try_wait().unwrap().is_some_and(|status| status.success()));
    let ran = Ran(call.wait_with_output().unwrap());
    assert_eq!((ran.code(), ran.out().as_str()), (Some(0), "at last\n"), "{}", ran.err());
    assert!(!server.socket().exists());
    assert_eq!(home.run(&["mcp", "pool", "drain"]).code(), Some(3));
}

#[test]
fn a_drain_that_nobody_waits_for_says_so_at_once() {
    let home = Home::new();
    let mut server = home.start(&[]);
    let drained = home.run(&["mcp", "pool", "drain", "--no-wait"]);
    assert_eq!(drained.code(), Some(0), "{}", drained.err());
    assert!(drained.out().contains("has 0 calls in flight; it ends after them"), "{}", drained.out());
    assert!(server.ended().success());
}

#[test]
fn the_limits_of_an_upstream_reach_the_pool_and_the_balancer() {
    let home = Home::new();
    home.write("upstream.sh", UPSTREAM);
    home.write(
        "aqe.toml",
        r#"
[pool]
max_connections = 30
[[upstream]]
name = "workers"
command = "sh"
args = ["upstream.sh"]
era = "legacy"
workers = 3
exclusive = true
[[upstream]]
name = "urls"
replicas = [{ url = "http://127.0.0.1:1/mcp" }, { url = "http://127.0.0.1:2/mcp", weight = 0.5 }]
max_connections = 4
min_connections = 2
max_concurrent_calls = 10
strategy = "round-robin"
"#,
    );
    let _server = start(&home, &[]);
    let status = pool(&home);
    let most: Vec<(&str, &Value)> = status["replicas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|replica| (replica["replica"].as_str().unwrap(), &replica["max_connections"]))
        .collect();
    assert_eq!(
        most,
        [("workers", &json!(3)), ("127.0.0.1:1/mcp", &json!(4)), ("127.0.0.1:2/mcp", &json!(4))]
    );
    let agents = home.run(&["mcp", "balance", "agents", "--json"]).json();
    let of = |upstream: usize, replica: usize, key: &str| {
        agents["upstreams"][upstream]["replicas"][replica][key].clone()
    };
    assert_eq!((of(0, 0, "capacity"), of(0, 0, "weight")), (json!(3), json!(1.0)));
    assert_eq!((of(1, 1, "capacity"), of(1, 1, "weight")), (json!(40), json!(0.5)));
    assert_eq!(agents["upstreams"][1]["strategy"], "round-robin");
    // Three processes would all be kept by the pool's minimum; one is.
    let kept = |status: &Value| status["replicas"][0]["min_connections"].clone();
    until("the first worker", || (kept(&pool(&home)) == 1).then_some(()));
}
