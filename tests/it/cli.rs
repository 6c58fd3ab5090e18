//! The commands that ask a running server.

use std::os::unix::net::UnixListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::Home;

const QUESTIONS: [&[&str]; 8] = [
    &["mcp", "tools", "list"],
    &["mcp", "tools", "lookup", "x"],
    &["mcp", "tools", "stats"],
    &["mcp", "tools", "call", "x"],
    &["mcp", "status"],
    &["mcp", "pool", "status"],
    &["mcp", "balance", "status"],
    &["mcp", "balance", "agents"],
];

#[test]
fn without_a_server_every_question_says_so_and_how_to_start_one() {
    let home = Home::new();
    for question in QUESTIONS {
        for more in [&[][..], &["--json"], &["--socket", "nowhere.sock"]] {
            let ran = home.run(&[question, more].concat());
            assert_eq!(ran.code(), Some(3), "{question:?}");
            assert_eq!(ran.out(), "");
            assert!(ran.err().contains("no server is running"), "{}", ran.err());
            assert!(ran.err().contains("aqe-v3 mcp start"), "{}", ran.err());
        }
    }
}

#[test]
fn a_wrong_command_line_has_a_code_of_its_own() {
    let home = Home::new();
    for wrong in [
        &["mcp", "start", "--transport", "pigeon"][..],
        &["mcp", "start", "--listen", "8765"],
        &["mcp", "start", "--worker-threads", "0"],
        &["mcp", "start", "--log", "a=b=c"],
        &["mcp", "tools", "call", "x", "{"],
        &["mcp", "tools", "call", "x", "[]"],
        &["mcp", "tools"],
        &["mcp", "start", "--pool-size", "0"],
        &["mcp", "start", "--strategy", "fastest"],
        &["mcp", "start", "--optimized=maybe"],
        &["mcp", "pool"],
        &["mcp", "pool", "configure"],
        &["mcp", "pool", "configure", "--idle-timeout", "5m"],
        &["mcp", "pool", "--configure"],
        &["mcp", "pool", "--min", "5"],
        &["mcp", "balance", "configure"],
        &["mcp", "balance", "--strategy", "p2c"],
        &["mcp", "balance", "--strategy", "fastest", "--enable"],
        &["mcp", "bench"],
        &["mcp", "bench", "localhost"],
        &["mcp", "bench", "http://127.0.0.1:1/mcp", "--rate", "0"],
        &["mcp", "bench", "http://127.0.0.1:1/mcp", "--arguments", "{}"],
        &["mcp", "bench", "http://127.0.0.1:1/mcp", "--tool", "x", "--arguments", "[{number}]"],
        &["mcp", "bench", "http://127.0.0.1:1/mcp", "--tool", "x", "--tool", "y"],
        &["mcp", "bench", "http://127.0.0.1:1/mcp", "--header", "nothing"],
        &["nonsense"],
    ] {
        assert_eq!(home.run(wrong).code(), Some(2), "{wrong:?}");
    }
    assert_eq!(home.run(&["--help"]).code(), Some(0));
    assert_eq!(home.run(&["--version"]).code(), Some(0));
}

#[test]
fn completions_name_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = home.run(&["completions", shell]);
        assert_eq!(ran.code(), Some(0));
        assert!(ran.out().contains("lookup"), "{shell}");
    }
}

#[test]
fn the_tools_of_a_running_server_are_listed_looked_up_called_and_counted() {
    let home = Home::new();
    let _server = home.start(&[]);
    let names: Vec<String> = aqe_qe::definitions()
        .into_iter()
        .map(|text| serde_json::from_str::<Value>(text).unwrap()["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(home.tools(), names);
    let of = |filter: &str, value: &str| {
        home.run(&["mcp", "tools", "list", "--json", filter, value]).json()["total"].clone()
    };
    assert_eq!(of("--prefix", "qe_memory_s"), 2);
    assert_eq!(of("--upstream", "qe"), names.len());
    assert_eq!(of("--category", "no&such=one"), 0);

    let looked = home.run(&["mcp", "tools", "lookup", "qe_memory_store", "--json"]).json();
    assert_eq!(looked["match"], "exact");
    assert_eq!(looked["tool"]["definition"]["name"], "qe_memory_store");
    let near = home.run(&["mcp", "tools", "lookup", "qe_memory_retreive", "--json"]).json();
    assert_eq!((&near["match"], &near["tool"]["name"]), (&json!("resolved"), &json!("qe_memory_retrieve")));
    let unsafe_to_run = home.run(&["mcp", "tools", "lookup", "qe_memory_stor"]);
    assert_eq!(unsafe_to_run.code(), Some(1));
    assert!(unsafe_to_run.out().contains("the nearest:\n  qe_memory_store"), "{}", unsafe_to_run.out());

    let stored =
        home.run(&["mcp", "tools", "call", "qe_memory_store", r#"{"namespace":"a","key":"k","value":"v"}"#]);
    assert_eq!(stored.code(), Some(0), "{}", stored.err());
    let read =
        home.run(&["mcp", "tools", "call", "qe_memory_retrieve", r#"{"namespace":"a","key":"k"}"#, "--json"]);
    assert_eq!(read.json()["structuredContent"]["value"], "v");

    let stats = home.run(&["mcp", "tools", "stats", "--json"]).json();
    assert_eq!(stats["total_tools"], names.len());
    assert_eq!(stats["most_used"][0]["calls"], 1);
    assert!(stats["most_used"][0]["mean_ms"].as_f64().unwrap() > 0.0);
    let status = home.run(&["mcp", "status", "--json"]).json();
    assert_eq!(status["upstreams"][0]["state"], "built-in");
    for question in QUESTIONS {
        assert_ne!(home.run(question).code(), Some(3), "{question:?}");
    }
}

#[test]
fn a_call_that_fails_fails_the_command() {
    let home = Home::new();
    let _server = home.start(&[]);
    let unknown = home.run(&["mcp", "tools", "call", "nope"]);
    assert_eq!(unknown.code(), Some(1));
    assert!(unknown.err().contains("unknown tool: nope"), "{}", unknown.err());
    let unknown = home.run(&["mcp", "tools", "call", "nope", "--json"]);
    let error: Value = serde_json::from_str(&unknown.out()).unwrap();
    assert_eq!(error["error"]["code"], -32602);
    let refused = home.run(&["mcp", "tools", "call", "qe_memory_retrieve", "{}"]);
    assert_eq!(refused.code(), Some(1));
    assert!(refused.out().contains("namespace"), "{}", refused.out());
}

#[test]
fn the_server_of_this_folder_is_asked_and_the_only_one_elsewhere_with_a_word() {
    let home = Home::new();
    let server = home.start(&[]);
    let pid = server.info["pid"].clone();
    let inner = home.path("project/inner");
    std::fs::create_dir(&inner).unwrap();
    let from = |folder: &str| {
        let ran = home.command(&["mcp", "status", "--json"]).current_dir(home.path(folder)).output().unwrap();
        let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
        (told["pid"].clone(), String::from_utf8(ran.stderr).unwrap())
    };
    assert_eq!(from("project"), (pid.clone(), String::new()));
    assert_eq!(from("project/inner"), (pid.clone(), String::new()));
    let (found, word) = from("data");
    assert_eq!(found, pid);
    assert!(word.contains("asking the server of"), "{word}");

    let _second = home.start(&[]);
    let ran = home.command(&["mcp", "status"]).current_dir(home.path("data")).output().unwrap();
    assert_eq!(ran.status.code(), Some(2), "which of the two is meant cannot be known");
}

#[test]
fn what_a_dead_server_has_left_is_removed() {
    let home = Home::new();
    let folder = home.path("run/aqe-v3");
    std::fs::create_dir(&folder).unwrap();
    let mut dead = std::process::Command::new("true").stdout(Stdio::null()).spawn().unwrap();
    let left = folder.join(format!("{}.sock", dead.id()));
    dead.wait().unwrap();
    drop(UnixListener::bind(&left).unwrap());
    assert!(left.exists());
    assert_eq!(home.run(&["mcp", "status"]).code(), Some(3));
    assert!(!left.exists());
}

#[test]
fn tools_are_listed_under_the_configured_category() {
    let home = Home::new();
    home.write("aqe.toml", "[registry.categories]\nreading = [\"qe_*_retrieve\"]\n");
    let _server = home.start(&[]);
    let listed = home.run(&["mcp", "tools", "list", "--json", "--category", "reading"]).json();
    assert_eq!(listed["total"], 1);
    assert_eq!(listed["tools"][0]["name"], "qe_memory_retrieve");
}
