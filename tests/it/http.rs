//! A person starts the server, and clients connect over HTTP and sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::support::Home;

fn exchange(mut stream: impl std::io::Read + std::io::Write, head: &str, body: &str) -> String {
    write!(stream, "{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

fn discover(host: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: server/discover"
    )
}

#[test]
fn the_address_it_prints_is_the_one_it_serves() {
    let home = Home::new();
    let mut server = home.start(&[]);
    let address = server.address().to_owned();
    let answer = exchange(TcpStream::connect(&address).unwrap(), &discover(&address), PING);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#""supportedVersions""#), "{answer}");
    server.signal();
    assert!(server.ended().success());
    let told = server.stderr();
    assert!(told.contains(&format!("claude mcp add --transport http aqe http://{address}/mcp")), "{told}");
    assert!(told.contains(r#"{"mcpServers":{"aqe":{"type":"http","url":"#), "{told}");
    let tools = aqe_qe::definitions().len();
    assert!(told.contains(&format!("{tools} tools so far")), "{told}");
}

#[test]
fn what_changes_the_server_is_on_the_socket_alone_and_the_socket_is_the_users_alone() {
    let home = Home::new();
    let server = home.start(&[]);
    let get = "GET /admin/pool HTTP/1.1\r\nHost: localhost";
    let answer = exchange(UnixStream::connect(server.socket()).unwrap(), get, "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = exchange(TcpStream::connect(server.address()).unwrap(), get, "");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(server.socket()), 0o600);
    assert_eq!(mode(server.socket().parent().unwrap()), 0o700);
}

#[test]
fn the_admin_api_refuses_what_it_does_not_know() {
    let home = Home::new();
    let server = home.start(&[]);
    let ask = |line: &str, body: &str| {
        let head = format!("{line} HTTP/1.1\r\nHost: localhost");
        let answer = exchange(UnixStream::connect(server.socket()).unwrap(), &head, body);
        assert!(answer.contains(r#"{"error":""#), "{line}: {answer}");
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(ask("GET /admin/nothing", ""), "404");
    assert_eq!(ask("POST /admin/status", ""), "405");
    assert_eq!(ask("GET /admin/call", ""), "405");
    assert_eq!(ask("GET /admin/tools?colour=red", ""), "400");
    assert_eq!(ask("GET /admin/tools/lookup", ""), "400");
    assert_eq!(ask("POST /admin/call", "[]"), "400");
}

#[test]
fn a_socket_of_the_users_choice_serves_json_lines_too() {
    let home = Home::new();
    home.write("aqe.toml", "[server]\nunix_socket = \"mine.sock\"\n");
    let _server = home.start(&[]);
    let mut stream = UnixStream::connect(home.path("project/mine.sock")).unwrap();
    writeln!(stream, "{PING}").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#""supportedVersions""#), "{answer}");
    let status = home.path("project/mine.sock");
    let ran = home.run(&["mcp", "status", "--json", "--socket", status.to_str().unwrap()]);
    assert_eq!(ran.json()["upstreams"][0]["name"], "qe");
}

#[test]
fn a_port_in_use_is_said_to_be_whose_it_is() {
    let home = Home::new();
    let server = home.start(&[]);
    let again = home.run(&["mcp", "start", "--transport", "http", "--listen", server.address()]);
    assert_eq!(again.code(), Some(1));
    let expected = format!("in use by the aqe-v3 of {}", home.path("project").display());
    assert!(again.err().contains(&expected), "{}", again.err());
    assert!(again.err().contains("--listen"), "{}", again.err());

    let foreign = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = foreign.local_addr().unwrap().to_string();
    let other = home.run(&["mcp", "start", "--transport", "http", "--listen", &address]);
    assert!(other.err().contains("another program"), "{}", other.err());
}

/// Opens a stream and waits until it has begun.
fn stream(address: &str, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{head}\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut begun = [0; 15];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    stream
}

#[test]
fn streams_that_wait_for_news_do_not_delay_the_end() {
    let home = Home::new();
    let mut server = home.start(&[]);
    let address = server.address().to_owned();
    let accept = "Content-Type: application/json\r\nAccept: application/json, text/event-stream";
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let answer = exchange(
        TcpStream::connect(&address).unwrap(),
        &format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\n{accept}"),
        hello,
    );
    let mut lines = answer.lines().map(str::to_ascii_lowercase);
    let session = lines.find_map(|line| line.strip_prefix("mcp-session-id: ").map(str::to_owned));
    let get =
        format!("GET /mcp HTTP/1.1\r\nAccept: text/event-stream\r\nMcp-Session-Id: {}", session.unwrap());
    let _legacy = stream(&address, &get, "");
    let listen = PING
        .replace("server/discover", "subscriptions/listen")
        .replace(r#""params":{"#, r#""params":{"notifications":{"toolsListChanged":true},"#);
    let post = format!(
        "POST /mcp HTTP/1.1\r\n{accept}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen"
    );
    let mut modern = stream(&address, &post, &listen);
    let started = Instant::now();
    server.signal();
    assert!(server.ended().success());
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "the limit for calls is 30 s: {:?}",
        started.elapsed()
    );
    let mut rest = String::new();
    modern.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(r#""resultType":"complete""#), "the stream has its result: {rest}");
}
