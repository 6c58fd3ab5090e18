//! The client's side of the line framing: whatever comes in, only JSON-RPC goes out.

use std::time::Duration;

use aqe_testkit::client::{Answer, Message, Revision, StdioClient};
use serde_json::Value;

use super::support::{Faults, Gateway, LIMIT, SMALL, raw, run};

const PATIENCE: Duration = Duration::from_secs(3);

fn ping(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

fn pong(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
}

async fn open() -> Gateway {
    let mut gateway = Gateway::stdio(SMALL, &raw());
    gateway.process.open(Revision::V2025_11_25).await;
    gateway
}

/// A ping of exactly this many bytes.
fn long_ping(bytes: usize) -> String {
    let ping = |pad: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":"{pad}"}}}}"#);
    ping(&"x".repeat(bytes - ping("").len()))
}

/// Everything that comes out up to the answer to a mark; each line must be JSON-RPC.
async fn lines_until_mark(process: &mut StdioClient) -> Result<Vec<String>, String> {
    process.send(r#"{"jsonrpc":"2.0","id":"mark","method":"ping"}"#).await;
    let mut lines = Vec::new();
    loop {
        let line = process.line_within(PATIENCE).await.ok_or_else(|| format!("no mark after {lines:?}"))?;
        let line = String::from_utf8(line.to_vec()).map_err(|_| "output that is no UTF-8")?;
        let line = line.trim_end_matches('\n').to_owned();
        let message: Value = serde_json::from_str(&line).map_err(|_| format!("no JSON: {line}"))?;
        if message["jsonrpc"] != "2.0" {
            return Err(format!("no JSON-RPC: {line}"));
        }
        if Answer::is_for(&line, "\"mark\"") {
            return Ok(lines);
        }
        lines.push(line);
    }
}

#[test]
fn lines_are_told_apart_whatever_they_hold() {
    run(async {
        let mut gateway = open().await;
        let parse = "-32700".to_owned();
        let cases: Vec<(&str, Vec<u8>, Vec<String>)> = vec![
            ("a line feed", format!("{}\n", ping(1)).into(), vec![pong(1)]),
            ("CR and line feed", format!("{}\r\n", ping(1)).into(), vec![pong(1)]),
            ("white space around it", format!(" \t{}  \r\n", ping(1)).into(), vec![pong(1)]),
            ("empty lines", format!("\n\r\n \n\t\r\n{}\n\n", ping(1)).into(), vec![pong(1)]),
            ("CR alone within it", format!("{}\r{}\n", ping(1), ping(2)).into(), vec![parse.clone()]),
            ("a CR between members", ping(1).replace(",\"id\"", ",\r\"id\"").into_bytes(), vec![pong(1)]),
            ("LF and CR", format!("{}\n\r{}\n\r\n", ping(1), ping(2)).into(), vec![pong(1), pong(2)]),
            ("three in one write", format!("{}\n{}\n{}\n", ping(1), ping(2), ping(3)).into(), {
                vec![pong(1), pong(2), pong(3)]
            }),
            (
                "a message over two lines",
                ping(1).replace(",\"id\"", ",\n\"id\"").into_bytes(),
                vec![parse.clone(); 2],
            ),
            ("two messages on one line", format!("{}{}\n", ping(1), ping(2)).into(), vec![parse.clone()]),
            ("a log line", b"[info] server started\n".to_vec(), vec!["-32".into()]),
            ("a banner", b"Welcome!\nPress any key\n".to_vec(), vec![parse.clone(); 2]),
            ("NULs", vec![0; 100], vec![parse.clone()]),
            ("bytes", (0..=255).filter(|byte| *byte != b'\n').collect(), vec![parse.clone()]),
            ("an escape sequence", b"\x1b[31mred\x1b[0m\n".to_vec(), vec![parse.clone()]),
            ("an HTTP request", b"POST /mcp HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), vec![parse.clone(); 2]),
            (
                "LSP framing",
                format!("Content-Length: 10\r\n\r\n{}\n", ping(1)).into(),
                vec![parse.clone(), pong(1)],
            ),
            ("a byte order mark", format!("\u{feff}{}\n", ping(1)).into(), vec![pong(1)]),
            (
                "good between bad",
                format!("{{\n{}\n}}\n", ping(1)).into(),
                vec![parse.clone(), pong(1), parse.clone()],
            ),
            ("the limit", long_ping(LIMIT).into(), vec![pong(1)]),
            ("one less", long_ping(LIMIT - 1).into(), vec![pong(1)]),
            ("one more", long_ping(LIMIT + 1).into(), vec!["\"id\":1,\"error\":{\"code\":-32600".into()]),
            ("the limit and CR", format!("{}\r", long_ping(LIMIT - 1)).into(), vec![pong(1)]),
            (
                "two MiB",
                long_ping(2 * 1024 * 1024).into(),
                vec!["\"id\":1,\"error\":{\"code\":-32600".into()],
            ),
            (
                "two MiB of nothing",
                vec![b'x'; 2 * 1024 * 1024],
                vec!["\"id\":null,\"error\":{\"code\":-32600".into()],
            ),
        ];
        let mut faults = Faults::default();
        let count = cases.len();
        for (name, mut bytes, expected) in cases {
            if bytes.last() != Some(&b'\n') {
                bytes.push(b'\n');
            }
            gateway.process.send_bytes(&bytes).await;
            let lines = match lines_until_mark(&mut gateway.process).await {
                Ok(lines) => lines,
                Err(fault) => {
                    faults.add(name, fault);
                    break;
                }
            };
            let fits = lines.len() == expected.len()
                && lines
                    .iter()
                    .zip(&expected)
                    .all(|(line, part)| line.contains(part.as_str()) && line.len() < 500);
            if !fits {
                faults.add(name, format!("expected {expected:?}, got {lines:.400?}"));
            }
        }
        faults.report(count);
    });
}

#[test]
fn a_message_split_at_any_byte_is_one_message() {
    run(async {
        let mut gateway = open().await;
        let call = Message::call(1, "received", r#"{"x":"é😀"}"#).text(Revision::V2025_11_25);
        let two = format!("{call}\n{}\n", ping(2));
        for at in 1..two.len() {
            let (head, tail) = two.as_bytes().split_at(at);
            gateway.process.send_bytes(head).await;
            // The gateway sees the head alone, most of the time.
            tokio::time::sleep(Duration::from_millis(1)).await;
            gateway.process.send_bytes(tail).await;
            let mut lines = [gateway.process.line().await, gateway.process.line().await];
            lines.sort_by_key(|line| !Answer::is_for(line, "1"));
            assert!(lines[0].contains("é😀"), "split at {at}: {lines:?}");
            assert_eq!(lines[1], pong(2), "split at {at}");
        }
        for byte in two.as_bytes() {
            gateway.process.send_bytes(&[*byte]).await;
        }
        let lines = [gateway.process.line().await, gateway.process.line().await];
        assert!(lines.contains(&pong(2)), "{lines:?}");
    });
}

#[test]
fn the_end_of_input_ends_the_gateway_after_the_open_calls() {
    run(async {
        for (name, last, answers) in [
            ("nothing", String::new(), 0),
            ("a message without its line feed", ping(5), 1),
            ("half a message", ping(5)[..20].to_owned(), 1),
            ("a call", Message::call(5, "sleep", r#"{"ms":200}"#).text(Revision::V2025_11_25) + "\n", 1),
        ] {
            let mut gateway = open().await;
            // Wait for the upstream, so that the call is under way when the input ends.
            assert_eq!(gateway.process.request(&Message::call(1, "bare", "{}")).await.content_text(), "bare");
            gateway.process.send_bytes(last.as_bytes()).await;
            gateway.process.close_stdin();
            let mut lines = Vec::new();
            while let Some(line) = gateway.process.raw_line().await {
                lines.push(String::from_utf8(line.to_vec()).unwrap());
            }
            assert_eq!(lines.len(), answers, "{name}: {lines:?}");
            assert!(
                lines.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()),
                "{name}: {lines:?}"
            );
            assert_eq!(gateway.process.wait().await.code(), Some(0), "{name}");
        }
    });
}

#[test]
fn a_client_that_reads_nothing_stops_no_one_but_itself() {
    run(async {
        let mut gateway = open().await;
        gateway.process.set_deadline(Duration::from_secs(20));
        let call = Message::call("\"big\"", "received", &format!(r#"{{"x":"{}"}}"#, "y".repeat(50_000)));
        for n in 0..100 {
            gateway.process.notify(&call.clone().meta("n", &n.to_string())).await;
            gateway.process.send(&ping(n)).await;
        }
        // Nothing was read meanwhile; everything is there now. The same id twice in flight is refused, and answered.
        let (mut big, mut pongs) = (0, 0);
        while big < 100 || pongs < 100 {
            let line = gateway.process.line().await;
            if Answer::is_for(&line, "\"big\"") {
                big += 1;
            } else {
                pongs += usize::from(line.contains("{}}"));
            }
        }
    });
}
