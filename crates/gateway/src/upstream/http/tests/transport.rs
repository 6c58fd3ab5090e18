//! TCP, TLS, redirects, headers and secrets.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::support::*;
use super::tls::Tls;
use crate::upstream::{CallError, Connection, HttpClient, HttpLimits, HttpSpec, encode_header_value};

/// A server of every kind of answer that ends at once.
async fn of_every_kind() -> Server {
    Server::start(|seen| async move {
        match () {
            () if seen.is("events") => events(&data(&result(&seen.id()))),
            () if seen.is("refused") => reply(500, "text/plain", "no"),
            () if seen.is("notifications/") => reply(202, "text/plain", ""),
            () => json(&result(&seen.id())),
        }
    })
    .await
}

async fn a_thousand_in_turn() {
    let server = of_every_kind().await;
    let (connection, _) = connect(&server.url());
    for _ in 0..1_000 {
        answer(request(&connection, "json")).await.unwrap();
        answer(request(&connection, "refused")).await.unwrap_err();
        connection.send(notification("notifications/x")).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_thousand_calls_in_turn_share_one_tcp_connection() {
    a_thousand_in_turn().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_in_turn_share_one_tcp_connection_on_two_threads() {
    a_thousand_in_turn().await;
}

#[tokio::test]
async fn event_streams_in_turn_alternate_between_two_connections_at_most() {
    let server = of_every_kind().await;
    let (connection, _) = connect(&server.url());
    for _ in 0..1_000 {
        // The answer is handed out before the end of its stream has been seen, so the next call may find that
        // connection still busy.
        answer(request(&connection, "events")).await.unwrap();
    }
    assert!(server.connections.load(Ordering::Relaxed) <= 2);
}

#[tokio::test]
async fn upstreams_of_one_origin_share_connections() {
    let server = of_every_kind().await;
    let client = HttpClient::new();
    for _ in 0..10 {
        let (connection, _) = connect_through(&client, &spec(&server.url()), HttpLimits::default());
        answer(request(&connection, "json")).await.unwrap();
    }
    // A pool lives as long as a connection that uses it.
    let (_kept, _) = connect_through(&client, &spec(&server.url()), HttpLimits::default());
    let before = server.connections.load(Ordering::Relaxed);
    for _ in 0..10 {
        let (connection, _) = connect_through(&client, &spec(&server.url()), HttpLimits::default());
        answer(request(&connection, "json")).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), before + 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_costs_no_call() {
    let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}"#;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
    // Promises to keep the connection and closes it.
    let (connection, _) = connect(&raw(format!("{head}\r\n\r\n{body}"), Then::Close).await);
    for _ in 0..5 {
        assert_eq!(answer(request(&connection, "ping")).await.unwrap(), body);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_stream_that_ends_a_little_after_its_answer_is_read_to_its_end() {
    let server = Server::start(|seen| async move {
        let (sender, reply) = open(200, "text/event-stream");
        tokio::spawn(async move {
            write(&sender, &data(&result(&seen.id()))).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        });
        reply
    })
    .await;
    let (connection, _) = connect(&server.url());
    for _ in 0..3 {
        answer(request(&connection, "x")).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn modern_requests_carry_version_method_name_and_the_callers_headers() {
    let server = Server::start(|seen| async move { json(&result(&seen.id())) }).await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2026-07-28");
    for (id, name) in [(1, "files__read"), (2, "résumé"), (3, " padded ")] {
        let mut out =
            outgoing("tools/call", format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call"}}"#));
        out.name = Some(name.into());
        out.headers = vec![header("mcp-param-region", "eu")];
        answer(request_with(&connection, id, out)).await.unwrap();
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(seen.header("mcp-method"), Some("tools/call"));
        assert_eq!(seen.header("mcp-name"), encode_header_value(name).to_str().ok());
        assert_eq!(seen.header("mcp-param-region"), Some("eu"));
    }
}

fn redirect(status: u16, location: &str) -> Reply {
    let mut reply = reply(status, "text/plain", "moved");
    reply.headers_mut().insert("location", location.parse().unwrap());
    reply
}

#[tokio::test]
async fn redirects_within_the_origin_keep_method_body_and_headers() {
    let server = Server::start(|seen| async move {
        match seen.path.as_str() {
            "/mcp" => redirect(307, "/mcp/"),
            "/mcp/" => redirect(308, "final?x=1"),
            _ => json(&result(&seen.id())),
        }
    })
    .await;
    let spec = HttpSpec { headers: vec![header("authorization", "Bearer SECRET")], ..spec(&server.url()) };
    let (connection, _) = connect_with(&spec, HttpLimits::default());
    assert_eq!(answer(request(&connection, "ping")).await.unwrap(), result("1"));
    let last = server.seen().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("POST", "/mcp/final?x=1"));
    assert_eq!(last.header("authorization"), Some("Bearer SECRET"));
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn other_redirects_are_refused_and_name_the_origin_they_lead_to() {
    let other = Server::start(|seen| async move { json(&result(&seen.id())) }).await;
    let elsewhere = format!("http://user:SECRET@{}/steal?SECRET", other.address);
    for (status, location, says) in [
        (307, elsewhere.as_str(), format!("redirect to another origin refused: http://{}", other.address)),
        (308, "https://127.0.0.1/", "redirect to another origin refused: https://127.0.0.1".into()),
        (307, "ftp://127.0.0.1/x", "redirect to something that is not http".into()),
        (307, "", "redirect without a usable Location".into()),
    ] {
        let location = location.to_owned();
        let server = Server::start(move |_| {
            let reply = redirect(status, &location);
            async move { reply }
        })
        .await;
        let (connection, _) = connect(&server.url());
        let error = answer(request(&connection, "ping")).await.unwrap_err();
        assert_eq!(error, CallError::Http { status, retry_after_s: None, detail: Some(says) });
    }
    assert!(other.seen().is_empty());

    let turning = Server::start(|_| async { redirect(303, "/elsewhere") }).await;
    let (connection, _) = connect(&turning.url());
    let error = answer(request(&connection, "ping")).await.unwrap_err().to_string();
    assert!(error.contains("drops the request") && error.contains(&turning.address.to_string()), "{error}");

    let endless = Server::start(|_| async { redirect(307, "/mcp") }).await;
    let (connection, _) = connect(&endless.url());
    let error = answer(request(&connection, "ping")).await.unwrap_err().to_string();
    assert!(error.contains("more than 5 redirects"), "{error}");
    assert_eq!(endless.seen().len(), 6);
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A server that repeats whatever it is told, on a thread of its own: what it logs is not ours.
fn gossip(protocols: &'static [&'static str], tls: Arc<Tls>) -> Server {
    let (started, server) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answer = |seen: Seen| async move {
                let said: Vec<&str> = seen.headers.values().filter_map(|value| value.to_str().ok()).collect();
                let text = format!("you said {} at {}", said.join(","), seen.path);
                let mut reply = reply(403, "text/plain", &text);
                reply.headers_mut().insert("mcp-session-id", "SECRET-SESSION".parse().unwrap());
                reply
            };
            let server = Server::start_tls(&tls, protocols, answer).await;
            started.send(server).unwrap();
            std::future::pending::<()>().await;
        });
    });
    server.recv().unwrap()
}

#[tokio::test]
async fn secrets_are_in_no_error_no_debug_output_and_no_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // One thread runs the test, so its default subscriber sees everything.
    let _guard = tracing::subscriber::set_default(subscriber);
    let tls = Arc::new(Tls::new());
    for (protocols, version) in [(&["http/1.1"], http::Version::HTTP_11), (&["h2"], http::Version::HTTP_2)] {
        let server = gossip(protocols, Arc::clone(&tls));
        let url = format!("{}/SECRET-PATH?key=SECRET-KEY", server.url());
        let headers = vec![header("authorization", "Bearer SECRET-TOKEN"), header("x-api-key", "SECRET-API")];
        let spec = HttpSpec { headers, ..tls.spec(&url) };
        let (connection, _) = connect_with(&spec, HttpLimits::default());
        let refused = answer(request(&connection, "ping")).await.unwrap_err();
        let not_posted = connection.send(notification("x")).await.unwrap_err();
        assert_eq!(server.seen()[0].header("x-api-key"), Some("SECRET-API"));
        assert_eq!(server.seen()[0].version, version);
        negotiate(&connection, "2025-11-25");
        server.saw(|seen| seen.method == "GET").await;
        connection.close("done").await;
        for text in
            [format!("{refused:?} {refused}"), format!("{not_posted:?}"), format!("{spec:?} {connection:?}")]
        {
            assert!(!text.contains("SECRET"), "{text}");
        }
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("HEADERS"), "the HTTP/2 library has been heard");
    let told: Vec<&str> = logged.lines().filter(|line| line.contains("SECRET")).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn https_needs_a_trusted_root_and_a_private_one_can_be_added() {
    let tls = Tls::new();
    let server = Server::start_tls(&tls, &[], |seen| async move { json(&result(&seen.id())) }).await;
    let (stranger, _) = connect(&server.url());
    let error = answer(request(&stranger, "ping")).await.unwrap_err();
    assert!(matches!(&error, CallError::NotSent(reason) if reason.contains("certificate")), "{error:?}");
    let (friend, _) = connect_with(&tls.spec(&server.url()), HttpLimits::default());
    assert_eq!(answer(request(&friend, "ping")).await.unwrap(), result("1"));
}
