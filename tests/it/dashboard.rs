//! The dashboard over TCP: what is served there, to whom, and what is not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Home, PATIENCE, Server, until};

/// The status and the whole answer, in lower case up to the body.
fn ask(address: &str, line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = format!("Host: {address}");
    let own = (!headers.iter().any(|header| header.starts_with("Host:"))).then_some(host.as_str());
    let lines =
        [line.to_owned() + " HTTP/1.1", format!("Connection: close\r\nContent-Length: {}", body.len())];
    let lines: Vec<&str> =
        lines.iter().map(String::as_str).chain(own).chain(headers.iter().copied()).collect();
    write!(stream, "{}\r\n\r\n{body}", lines.join("\r\n")).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (status.unwrap(), format!("{}\r\n\r\n{body}", head.to_ascii_lowercase()))
}

fn status(address: &str, line: &str, headers: &[&str]) -> u16 {
    ask(address, line, headers, "").0
}

/// Our files have lower-case names.
fn is_script(name: &str) -> bool {
    name.split_once('.').is_some_and(|(_, kind)| kind == "js")
}

const JSON: &str = "Content-Type: application/json";

#[test]
fn the_page_and_all_that_it_loads_is_served_by_us_and_asks_nobody_else() {
    let home = Home::new();
    let server = home.start(&[]);
    let (status, page) = ask(server.address(), "GET /", &[], "");
    assert_eq!(status, 200);
    let mut asked: Vec<String> = vec!["/".into()];
    let mut next = 0;
    while let Some(path) = asked.get(next).cloned() {
        next += 1;
        let (status, answer) = ask(server.address(), &format!("GET {path}"), &[], "");
        assert_eq!(status, 200, "{path}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{path}: {answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{path}");
        assert!(!answer.contains("access-control"), "{path}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        // The names of elements of SVG are the only addresses.
        for url in
            body.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"))
        {
            assert!(url.starts_with("://www.w3.org/2000/svg"), "{path} names http{url:.60}");
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let quoted = body.split(['"', '\'']).filter(|text| !text.contains(char::is_whitespace));
        for text in quoted {
            let found = if text.starts_with("/assets/") {
                text.to_owned()
            } else if let Some(name) = text.strip_prefix("../").filter(|name| is_script(name)) {
                format!("{}/{name}", folder.rsplit_once('/').unwrap().0)
            } else if let Some(name) = text.strip_prefix("./").filter(|name| is_script(name)) {
                format!("{folder}/{name}")
            } else {
                continue;
            };
            if !asked.contains(&found) {
                asked.push(found);
            }
        }
    }
    assert!(asked.len() > 20, "{asked:?}");
    assert!(!page.contains("style=") && !page.contains("onclick="), "the policy forbids both");
}

#[test]
fn a_file_that_is_known_is_not_sent_again() {
    let home = Home::new();
    let server = home.start(&[]);
    let (_, answer) = ask(server.address(), "GET /assets/main.js", &[], "");
    let tag = answer.split("etag: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    let known = format!("If-None-Match: \"other\", W/{tag}");
    let (status, again) = ask(server.address(), "GET /assets/main.js", &[&known], "");
    assert_eq!(status, 304);
    assert!(again.ends_with("\r\n\r\n"), "{again}");
    assert_eq!(ask(server.address(), "GET /assets/main.js", &["If-None-Match: \"other\""], "").0, 200);
    let (status, head) = ask(server.address(), "HEAD /assets/main.js", &[], "");
    assert!(status == 200 && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn over_tcp_figures_are_shown_and_three_things_changed_and_nothing_else() {
    let home = Home::new();
    let server = home.start(&[]);
    let address = server.address();
    for path in [
        "/admin/info",
        "/admin/status",
        "/admin/metrics",
        "/admin/metrics?window=10s",
        "/admin/metrics/history",
        "/admin/calls",
        "/admin/fleets",
        "/admin/fleets?cursor=20",
    ] {
        let (status, answer) = ask(address, &format!("GET {path}"), &[], "");
        assert_eq!(status, 200, "{path}: {answer}");
        assert!(answer.contains("cache-control: no-store"), "{path}");
        assert_eq!(ask(address, &format!("POST {path}"), &[JSON], "{}").0, 405, "{path}");
    }
    let (status, answer) = ask(address, "POST /admin/calls/cancel", &[JSON], r#"{"call":"c-none"}"#);
    assert!(status == 404 && answer.contains("no call"), "{answer}");
    let (status, answer) = ask(address, "POST /admin/fleets/cancel", &[JSON], r#"{"id":"run-none"}"#);
    assert!(status == 404 && answer.contains("there is no"), "{answer}");
    assert_eq!(ask(address, "POST /admin/fleets/cancel", &[], r#"{"id":"run-none"}"#).0, 415, "a form");
    // What runs, stops or changes the server is on the Unix socket alone.
    for line in [
        "POST /admin/call",
        "POST /admin/reload",
        "POST /admin/drain",
        "GET /admin/pool",
        "POST /admin/pool",
        "GET /admin/balance",
        "POST /admin/balance",
        "GET /admin/cache",
        "POST /admin/cache/clear",
        "GET /admin/tools",
        "POST /admin/alerts/test",
        "GET /admin/",
        "GET /admin/metrics/",
        "GET /admin/fleets/",
        "GET /admin/fleets/a/b",
        "GET /ADMIN/metrics",
        "GET //admin/metrics",
        "GET /admin%2Fmetrics",
    ] {
        assert_eq!(ask(address, line, &[JSON], "{}").0, 404, "{line}");
    }
    for (line, allowed) in [
        ("DELETE /", "get, head"),
        ("POST /assets/main.js", "get, head"),
        ("GET /admin/calls/cancel", "post"),
        ("OPTIONS /admin/calls/cancel", "post"),
        ("GET /admin/fleets/cancel", "post"),
        ("POST /admin/fleets/fleet-none", "get"),
        ("HEAD /admin/metrics", "get"),
        ("POST /admin/events", "get"),
    ] {
        let (status, answer) = ask(address, line, &[], "");
        assert!(status == 405 && answer.contains(&format!("allow: {allowed}\r\n")), "{line}: {answer}");
        assert!(!answer.contains("access-control"), "{line}");
    }
}

#[test]
fn no_path_leads_out_of_the_files_that_are_part_of_the_program() {
    let home = Home::new();
    let server = home.start(&[]);
    for path in [
        "/assets/",
        "/assets/../main.js",
        "/assets/../../Cargo.toml",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets//etc/passwd",
        "/assets/main.js/",
        "/assets/main.js%00.css",
        "/assets/panels",
        "/assets/page.rs",
        "/index.html",
        "/.git/config",
    ] {
        assert_eq!(status(server.address(), &format!("GET {path}"), &[]), 404, "{path}");
    }
}

#[test]
fn a_page_of_another_origin_can_neither_read_nor_post() {
    let home = Home::new();
    let server = home.start(&[]);
    let address = server.address();
    let own = format!("Origin: http://{address}");
    for (headers, expected) in [
        (&["Host: evil.example"][..], 403),
        (&["Origin: http://evil.example"], 403),
        (&["Origin: null"], 403),
        // Another program's page on this machine.
        (&["Origin: http://127.0.0.1:1"], 403),
        (&["Origin: http://localhost:3000"], 403),
        (&["Sec-Fetch-Site: cross-site"], 403),
        (&["Sec-Fetch-Site: same-site"], 403),
        (&["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-origin"], 403),
        (&["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], 403),
        (&["Sec-Fetch-Site: same-origin"], 200),
        (&["Sec-Fetch-Site: none"], 200),
        (&[own.as_str()], 200),
    ] {
        for path in ["/admin/metrics", "/admin/calls", "/admin/fleets"] {
            let (status, answer) = ask(address, &format!("GET {path}"), headers, "");
            assert_eq!(status, expected, "{path} {headers:?}");
            assert!(!answer.contains("access-control"), "{answer}");
        }
        // 404 is what the call's name gets, once the request is let through.
        let posted = [headers, &[JSON]].concat();
        let (status, _) = ask(address, "POST /admin/calls/cancel", &posted, r#"{"call":"c-none"}"#);
        assert_eq!(status, if expected == 200 { 404 } else { 403 }, "{headers:?}");
        if expected == 403 {
            assert_eq!(self::status(address, "GET /admin/events", headers), 403, "{headers:?}");
        }
    }
    // A link to the page may be followed, from wherever it is; the page may not be loaded as a part of another.
    let link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    assert_eq!(status(address, "GET /", &link), 200);
    assert_eq!(
        status(address, "GET /assets/main.js", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"]),
        403
    );
    // What a form can send.
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"]
    {
        let kind = format!("Content-Type: {kind}");
        assert_eq!(ask(address, "POST /admin/calls/cancel", &[&kind], r#"{"call":"c"}"#).0, 415, "{kind}");
    }
    assert_eq!(ask(address, "POST /admin/calls/cancel", &[], r#"{"call":"c"}"#).0, 415);
}

#[test]
fn where_there_is_a_token_the_figures_need_it_and_the_page_that_asks_for_it_does_not() {
    let home = Home::new();
    home.write("aqe.toml", "[server]\nbearer_token = \"sesame-sesame-0001\"\n");
    let server = home.start(&[]);
    let address = server.address();
    assert_eq!(status(address, "GET /", &[]), 200);
    assert_eq!(status(address, "GET /assets/main.js", &[]), 200);
    for line in ["GET /admin/metrics", "GET /admin/events", "GET /metrics", "POST /admin/calls/cancel"] {
        for headers in [&[JSON][..], &[JSON, "Authorization: Bearer sesame-sesame-0002"]] {
            assert_eq!(status(address, line, headers), 401, "{line} {headers:?}");
        }
        let query = format!("{}?token=sesame-sesame-0001", line.strip_suffix('x').unwrap_or(line));
        assert_eq!(status(address, &query, &[JSON]), 401, "{query}");
    }
    let right = "Authorization: Bearer sesame-sesame-0001";
    assert_eq!(status(address, "GET /admin/metrics", &[right]), 200);
}

#[test]
fn a_listener_of_its_own_has_the_dashboard_and_that_of_mcp_does_not() {
    let home = Home::new();
    home.write("aqe.toml", "[monitoring]\nlisten = \"127.0.0.1:0\"\n");
    let server = home.start(&[]);
    let own = server.info["dashboard"].as_str().unwrap();
    let own = own.strip_prefix("http://").unwrap().strip_suffix('/').unwrap();
    assert_ne!(own, server.address());
    for path in ["/", "/admin/metrics"] {
        assert_eq!(status(own, &format!("GET {path}"), &[]), 200, "{path}");
        assert_eq!(status(server.address(), &format!("GET {path}"), &[]), 404, "{path}");
    }
    assert_eq!(ask(own, "POST /mcp", &[JSON], "{}").0, 404);
    for address in [own, server.address()] {
        assert_eq!(status(address, "GET /healthz", &[]), 200);
    }
}

#[test]
fn switched_off_there_is_none() {
    let home = Home::new();
    home.write("aqe.toml", "[monitoring]\ndashboard = false\n");
    let server = home.start(&[]);
    assert_eq!(server.info["dashboard"], Value::Null);
    for path in ["/", "/admin/metrics", "/metrics"] {
        assert_eq!(status(server.address(), &format!("GET {path}"), &[]), 404, "{path}");
    }
}

#[test]
fn beyond_loopback_it_takes_a_token() {
    let home = Home::new();
    let config = "[monitoring]\nlisten = \"0.0.0.0:0\"\n";
    home.write("aqe.toml", config);
    let checked = home.run(&["mcp", "config", "check"]);
    assert_eq!(checked.code(), Some(1));
    assert!(checked.out().contains("bearer_token") || checked.err().contains("bearer_token"));
    home.write("aqe.toml", &format!("{config}[server]\nbearer_token = \"sesame-sesame-0001\"\n"));
    assert_eq!(home.run(&["mcp", "config", "check"]).code(), Some(0));
}

/// The events of a stream, one by one.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(server: &Server, query: &str) -> Self {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = server.address();
        write!(stream, "GET /admin/events{query} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        Self(BufReader::new(stream))
    }

    fn status(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// The figures that come next; `None` at the end.
    fn figures(&mut self) -> Option<Value> {
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap() > 0 {
            if line.trim() == "event: metrics" {
                line.clear();
                self.0.read_line(&mut line).unwrap();
                return Some(serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap());
            }
            line.clear();
        }
        None
    }
}

#[test]
fn figures_come_by_themselves_the_same_for_all_who_look() {
    let home = Home::new();
    home.write("aqe.toml", "[monitoring]\ndashboard_interval_ms = 100\n");
    let server = home.start(&[]);
    let (mut one, mut other) = (Stream::open(&server, "?window=10s"), Stream::open(&server, "?window=10s"));
    let first = one.figures().unwrap();
    assert_eq!(first["window"]["name"], "10s");
    let moments = |stream: &mut Stream| -> Vec<Value> {
        (0..5).map(|_| stream.figures().unwrap()["at"].clone()).collect()
    };
    let (ones, others) = (moments(&mut one), moments(&mut other));
    assert!(ones.iter().filter(|at| others.contains(at)).count() >= 3, "{ones:?} {others:?}");
    assert_eq!(Stream::open(&server, "?window=2h").status(), "400");
    assert_eq!(Stream::open(&server, "?token=x").status(), "400");
}

#[test]
fn viewers_are_bounded_and_places_become_free() {
    let home = Home::new();
    let server = home.start(&[]);
    let mut viewers: Vec<Stream> = (0..32).map(|_| Stream::open(&server, "")).collect();
    for viewer in &mut viewers {
        assert_eq!(viewer.status(), "200");
    }
    assert_eq!(Stream::open(&server, "").status(), "503");
    drop(viewers);
    until("a place becomes free", || (Stream::open(&server, "").status() == "200").then_some(()));
}

#[test]
fn a_viewer_who_does_not_read_gets_the_newest_figures_and_delays_nobody() {
    let home = Home::new();
    home.write("aqe.toml", "[monitoring]\ndashboard_interval_ms = 100\n");
    let server = home.start(&[]);
    let mut slow = Stream::open(&server, "");
    assert!(slow.figures().is_some());
    let mut quick = Stream::open(&server, "");
    let started = Instant::now();
    for _ in 0..20 {
        assert!(quick.figures().is_some());
    }
    assert!(started.elapsed() < PATIENCE);
    // There is no queue: beyond what the sockets hold, what was missed is gone.
    let at: Vec<Value> = (0..3).map(|_| slow.figures().unwrap()["at"].clone()).collect();
    assert!(at.is_sorted_by_key(|at| at.as_str().unwrap().to_owned()), "{at:?}");
}

#[test]
fn an_open_dashboard_does_not_delay_the_end() {
    let home = Home::new();
    let mut server = home.start(&[]);
    let mut viewer = Stream::open(&server, "");
    assert!(viewer.figures().is_some());
    let started = Instant::now();
    server.signal();
    assert!(server.ended().success());
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "the limit for calls is 30 s: {:?}",
        started.elapsed()
    );
    while viewer.figures().is_some() {}
}
