//! `mcp bench`, against ourselves and against a server in a few lines.

use serde_json::{Value, json};

use crate::support::{Home, Ran};

/// Half a second in two rounds.
const SHORT: [&str; 8] = ["--seconds", "0.25", "--rounds", "2", "--warm-up", "0.05", "--connections", "4"];
/// Writes under another key each time.
const STORE: [&str; 4] = [
    "--tool",
    "qe_memory_store",
    "--arguments",
    r#"{"namespace":"bench","key":"k-{number}","value":{"n":{number}}}"#,
];

fn bench(home: &Home, args: &[&str]) -> Ran {
    let (options, command) = args.split_at(args.iter().position(|arg| *arg == "--").unwrap_or(args.len()));
    home.run(&[&["mcp", "bench"], options, &SHORT, command].concat())
}

#[track_caller]
fn checked(target: &Value) -> &Value {
    let figures = &target["figures"];
    let calls = figures["calls"].as_u64().unwrap();
    assert!(calls > 4, "{target:#}");
    assert_eq!(figures["errors"], 0, "{target:#}");
    assert_eq!(figures["warm_up_errors"], 0, "{target:#}");
    let rounds = figures["rounds"].as_array().unwrap();
    assert_eq!(rounds.iter().map(|round| round["calls"].as_u64().unwrap()).sum::<u64>(), calls);
    let latency = |name: &str| figures["latency_us"][name].as_f64().unwrap();
    assert!(latency("p50") > 0.0 && latency("p50") <= latency("p90") && latency("p99") <= latency("p99.9"));
    assert!(figures["max_us"].as_f64().unwrap() >= latency("p99") * 0.99, "{figures:#}");
    // A server that mostly waits may use less than a tick of the kernel's clock.
    assert!(figures["cpu_us_per_call"]["median"].as_f64().unwrap() >= 0.0, "{figures:#}");
    assert!(figures["memory_kib"].as_u64().unwrap() > 1_000, "{figures:#}");
    assert_eq!(figures["processes_unknown"], Value::Null);
    figures
}

#[test]
fn servers_over_http_and_stdio_are_measured_beside_each_other() {
    let home = Home::new();
    let server = home.start(&[]);
    let url = server.info["url"].as_str().unwrap();
    let binary = env!("CARGO_BIN_EXE_aqe-v3");
    let command = ["--", binary, "mcp", "start", "--transport", "stdio"];
    let mut args = vec!["--json", url, "--html", "page.html"];
    args.extend(STORE);
    let page = home.path("project").join("page.html");
    args.extend(command);
    let said = bench(&home, &args).json();
    assert_eq!(
        (&said["mode"], &said["connections"], &said["rounds"]),
        (&json!("closed"), &json!(4), &json!(2))
    );
    let targets = said["targets"].as_array().unwrap();
    assert_eq!((&targets[0]["target"], &targets[0]["transport"]), (&json!(url), &json!("http")));
    assert_eq!((&targets[1]["transport"], &targets[1]["era"]), (&json!("stdio"), &json!("modern")));
    assert_eq!(targets[0]["request"]["tool"], "qe_memory_store");
    assert_eq!(targets[0]["server"]["name"], "aqe-v3");
    let (http, stdio) = (checked(&targets[0]), checked(&targets[1]));
    assert!(http["cpu_us_per_call"]["max"].as_f64().unwrap() > 0.0, "{http:#}");
    assert_eq!(http["ratios"], Value::Null);
    let ratio = &stdio["ratios"]["calls_per_s"];
    let part = |name: &str| ratio[name].as_f64().unwrap();
    assert!(part("low") <= part("ratio") && part("ratio") <= part("high"), "{ratio}");
    assert!(said["load_cpu_percent"].as_f64().unwrap() > 0.0);

    // What was stored is what was counted, with those of the warm-up.
    let page = std::fs::read_to_string(page).unwrap();
    for figure in [&http["calls"], &stdio["calls"]] {
        assert!(page.contains(&format!("<td>{figure}</td>")), "{figure}");
    }
    assert!(page.contains(url) && page.contains("<polyline") && page.contains("<rect"));
    for link in ["src=", "href=", "<script", "url(", "@import"] {
        assert!(!page.contains(link), "{link}");
    }
}

#[test]
fn both_eras_and_both_loops_work_over_http_and_stdio() {
    let home = Home::new();
    let server = home.start(&[]);
    let url = server.info["url"].as_str().unwrap();
    let stdio = ["--", env!("CARGO_BIN_EXE_aqe-v3"), "mcp", "start", "--transport", "stdio"];
    for era in ["legacy", "modern"] {
        for place in [&[url][..], &stdio] {
            let mut args = vec!["--json", "--era", era, "--rate", "200"];
            args.extend(STORE);
            args.extend(place);
            let said = bench(&home, &args).json();
            assert_eq!((&said["mode"], &said["rate"]), (&json!("open"), &json!(200.0)));
            let target = &said["targets"][0];
            assert_eq!(target["era"], era);
            // The schedule says how many there are: 200 a second, for twice a quarter of a second.
            assert_eq!(target["figures"]["calls"], 100, "{target:#}");
            assert_eq!(target["figures"]["errors"], 0, "{target:#}");
        }
    }
}

#[test]
fn without_a_tool_that_is_safe_to_call_the_tools_are_listed() {
    let home = Home::new();
    let server = home.start(&["--no-builtin"]);
    let ran = bench(&home, &[server.info["url"].as_str().unwrap()]);
    assert_eq!(ran.code(), Some(0), "{}{}", ran.out(), ran.err());
    assert!(ran.out().contains("  tools/list\n"), "{}", ran.out());
    assert!(ran.out().contains("a cache may have answered"), "{}", ran.out());
    assert_eq!(ran.err(), "about 1 s\n", "no progress without a terminal");
}

#[test]
fn a_tool_that_fails_without_arguments_is_not_the_one_that_is_measured() {
    let home = Home::new();
    let server = home.start(&[]);
    // There is no coverage report here, of which the first of the tools would tell.
    let said = bench(&home, &["--json", server.info["url"].as_str().unwrap()]).json();
    let target = &said["targets"][0];
    let tool = target["request"]["tool"].as_str().unwrap_or_else(|| panic!("{target:#}"));
    assert!(!tool.starts_with("qe_coverage_"), "{tool}");
    assert_eq!(target["figures"]["errors"], 0, "{target:#}");
}

#[test]
fn wrong_replies_are_counted_by_kind_and_fail_the_command() {
    let home = Home::new();
    let server = home.start(&[]);
    let url = server.info["url"].as_str().unwrap();
    let wrong = ["--json", url, "--tool", "qe_memory_store", "--arguments", "{}"];
    let ran = bench(&home, &wrong);
    assert_eq!(ran.code(), Some(1));
    let said: Value = serde_json::from_str(&ran.out()).unwrap();
    let figures = &said["targets"][0]["figures"];
    assert_eq!(figures["calls"], 0);
    assert_eq!(figures["latency_us"]["p50"], Value::Null);
    let kinds = figures["errors_by_kind"].as_object().unwrap();
    assert_eq!(kinds.len(), 1, "{kinds:?}");
    assert_eq!(kinds.values().next().unwrap()["count"], figures["errors"]);
    assert!(figures["errors"].as_u64().unwrap() > 4);

    let expected = bench(&home, &[&wrong[..], &["--expect-error"]].concat()).json();
    assert_eq!(expected["targets"][0]["figures"]["errors"], 0, "{expected:#}");
}

#[test]
fn what_cannot_be_measured_says_why() {
    let home = Home::new();
    let server = home.start(&[]);
    let url = server.info["url"].as_str().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{closed}/mcp");
    for (args, why) in [
        (&[nobody.as_str()][..], "cannot connect"),
        (&["ftp://127.0.0.1/mcp"], "no http:// or https:// URL"),
        (&["https://127.0.0.1/mcp", "--ca-file", "none.pem"], "certificates in none.pem"),
        (&[url, "--payload", "7"], "--arguments"),
        (&[url, "--tool", "x", "--arguments", r#"{"a":"{payload}"}"#], "need each other"),
        (&[url, "--tool", "qe_memory_stor"], "lists no tool qe_memory_stor; it lists: qe_memory_store"),
        (&["--", "sh", "-c", "echo broken >&2"], "broken"),
        (&["--", "no-such-program"], "cannot start"),
    ] {
        let ran = bench(&home, args);
        assert!(ran.code().is_some_and(|code| code == 1 || code == 2), "{args:?}");
        assert!(ran.err().contains(why), "{args:?}: {}", ran.err());
    }
}

#[test]
fn a_ladder_measures_every_payload_with_every_number_of_connections() {
    let home = Home::new();
    let server = home.start(&[]);
    let url = server.info["url"].as_str().unwrap();
    let arguments =
        r#"{"namespace":"bench","key":"k-{number}","value":{"text":"{payload}","rows":{payload}}}"#;
    let page = home.path("project").join("page.html");
    let args = [
        "mcp",
        "bench",
        url,
        "--json",
        "--html",
        "page.html",
        "--calls",
        "20",
        "--rounds",
        "2",
        "--warm-up",
        "0",
    ];
    let ladder = [
        "--connections",
        "1,3",
        "--payload",
        "200,7000",
        "--tool",
        "qe_memory_store",
        "--arguments",
        arguments,
    ];
    let said = home.run(&[&args[..], &ladder].concat()).json();
    let steps = said["steps"].as_array().unwrap();
    let places: Vec<_> = steps.iter().map(|step| (&step["payload_bytes"], &step["connections"])).collect();
    let (small, large, one, three) = (json!(200), json!(7000), json!(1), json!(3));
    assert_eq!(places, [(&small, &one), (&small, &three), (&large, &one), (&large, &three)]);
    for step in steps {
        let target = &step["targets"][0];
        // Twice 20; each client that is not done when the last call is taken has none of them.
        assert_eq!((&target["figures"]["calls"], &step["calls"]), (&json!(40), &json!(20)), "{step:#}");
        assert_eq!(target["figures"]["errors"], 0, "{step:#}");
        assert_eq!(target["request"]["arguments"], arguments, "as it was written, not as it was sent");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("over connections, payload of 7000 bytes") && page.contains("stroke-dasharray"));
}

#[test]
fn the_program_measures_itself_with_and_without_its_optimisations() {
    let home = Home::new();
    let args =
        ["mcp", "bench", "--self", "--json", "--html", "self.html", "--seconds", "0.3", "--rounds", "2"];
    let said = home.run(&[&args[..], &["--warm-up", "0.1", "--connections", "4"]].concat()).json();
    let rows = said["rows"].as_array().unwrap();
    let row = |what: &str| rows.iter().find(|row| row["what"] == what).unwrap();
    for row in rows {
        assert!(row["naive"].is_number() && row["optimized"].is_number(), "{row:#}");
        assert_eq!(
            (&row["naive_unknown"], &row["optimized_unknown"]),
            (&Value::Null, &Value::Null),
            "{row:#}"
        );
        assert!(row["measured"].as_str().unwrap().len() > 20 && row["met"].is_boolean(), "{row:#}");
    }
    let value = |what: &str, side: &str| row(what)[side].as_f64().unwrap();
    for route in ["HTTP upstream", "stdio upstream"] {
        let hits = format!("pool hits, {route}");
        assert!(value(&hits, "naive") < 25.0 && value(&hits, "optimized") > 50.0, "{:#}", row(&hits));
        assert!(value(&format!("throughput, {route}"), "naive") > 0.0);
        assert!(value(&format!("response p95, {route}"), "optimized") > 0.0);
    }
    // Its own process, at once; whatever else this machine does, an index is not as slow as a search of 216 names.
    assert!(row("tool look-up")["ratio"]["ratio"].as_f64().unwrap() < 1.0, "{:#}", row("tool look-up"));
    for what in ["start", "memory, idle", "memory, after the load"] {
        assert!(value(what, "naive") > 0.0 && value(what, "optimized") > 0.0);
    }
    assert_eq!((value("errors", "naive"), value("errors", "optimized")), (0.0, 0.0));
    let page = std::fs::read_to_string(home.path("project").join("self.html")).unwrap();
    assert!(page.contains("&lt; 400 ms") && page.contains("<polyline"));
    assert!(home.path("project").read_dir().unwrap().count() == 1, "nothing else is left behind");
}

/// A legacy server in a few lines of Python that answers in events, after a notification, and closes nothing.
const EVENTS: &str = r#"
import http.server, json, sys, uuid
sessions = set()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def log_message(self, *args): pass
    def do_DELETE(self):
        sessions.discard(self.headers["Mcp-Session-Id"])
        self.send_response(204); self.end_headers()
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, session = message["method"], self.headers["Mcp-Session-Id"]
        if method == "server/discover" or (method != "initialize" and session not in sessions):
            self.send_response(404); self.send_header("Content-Length", "0"); self.end_headers(); return
        if "id" not in message:
            self.send_response(202); self.send_header("Content-Length", "0"); self.end_headers(); return
        self.send_response(200)
        if method == "initialize":
            session = uuid.uuid4().hex; sessions.add(session)
            self.send_header("Mcp-Session-Id", session)
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "py", "version": "1"}}
        elif method == "tools/list":
            result = {"tools": [{"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}]}
        else:
            result = {"content": [{"type": "text", "text": "seen"}]}
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in ({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}, {"result": result, "jsonrpc": "2.0", "id": message["id"]}):
            data = b"event: message\ndata: " + json.dumps(event).encode() + b"\n\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data)); self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[test]
fn a_legacy_server_that_answers_in_events_is_measured_with_a_session_for_each_connection() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        // Without Python there is nothing to measure.
        return;
    }
    let home = Home::new();
    let mut python = Command::new("python3")
        .args(["-c", EVENTS])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(python.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", port.trim());
    let ran = bench(&home, &["--json", &url]);
    let _ = python.kill();
    let _ = python.wait();
    let said = ran.json();
    let target = &said["targets"][0];
    assert_eq!((&target["era"], &target["revision"]), (&json!("legacy"), &json!("2025-06-18")));
    assert_eq!(target["request"]["tool"], "look", "read-only, and needs no arguments");
    checked(target);
}
