//! The access log: a line for each request that has ended, and what must never be in one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::{signal, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Era, Gateway, Over, Plan, Upstream};

const PARENT: &str = "\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\"";

/// The lines of the log, once there are so many.
async fn lines(path: &Path, count: usize) -> Vec<Value> {
    let text = wait_until(Duration::from_secs(10), &format!("{count} lines"), || {
        std::fs::read_to_string(path).ok().filter(|text| text.lines().count() >= count)
    })
    .await;
    assert!(text.ends_with('\n'));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines.len(), count, "{text}");
    lines
}

#[tokio::test]
async fn each_request_is_one_line_without_anything_that_is_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let section = format!("[monitoring]\naccess_log = {}\n", Value::from(path.display().to_string()));
    let upstream = Upstream::raw("up", Era::Modern, Over::Http, &[]).await.with("request_timeout_ms = 300");
    let plan = Plan::new(Over::Http).sections(&section).upstream(upstream);
    let mut gateway =
        Gateway::start(plan.server("bearer_token = \"TOKENSECRET-0123456789-TOKENSECRET\"")).await;
    let client = gateway.http().header("authorization", "Bearer TOKENSECRET-0123456789-TOKENSECRET");
    let session = HttpSession::open(client.clone(), Era::Modern.revision()).await;
    let legacy = HttpSession::open(client, Era::Legacy.revision()).await;

    let secret =
        json!({ "result": r#"{"content":[{"type":"text","text":"RESULTSECRET"}]}"#, "x": "ARGSECRET" });
    let call = Message::call(1, "reply", &secret.to_string()).meta("traceparent", PARENT);
    let answer = session.request(&call).await;
    session.request(&Message::call(2, "sleep", r#"{"ms":5000}"#)).await;
    session.request(&Message::call(3, "absent", "{}")).await;
    legacy.request(&Message::request(4, "tools/list")).await;
    let given_up = tokio::spawn({
        let session = session.clone();
        async move { session.request(&Message::call(5, "sleep", r#"{"ms":200}"#)).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    given_up.abort();

    let lines = lines(&path, 6).await;
    let (handshake, lines) = lines.split_first().unwrap();
    assert_eq!((&handshake["method"], &handshake["status"]), (&json!("initialize"), &json!("ok")));
    let first = lines[0].as_object().unwrap();
    let keys: Vec<&str> = first.keys().map(String::as_str).collect();
    for key in ["time", "principal", "era", "method", "tool", "upstream", "replica", "status", "latency_ms"] {
        assert!(keys.contains(&key), "{key} of {keys:?}");
    }
    assert_eq!((&first["method"], &first["tool"]), (&json!("tools/call"), &json!("reply")));
    assert_eq!(
        (&first["upstream"], &first["status"], &first["era"]),
        (&json!("up"), &json!("ok"), &json!("modern"))
    );
    assert_eq!(first["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&first["session"], &first["cached"]), (&Value::Null, &json!(false)));
    assert_eq!(first["response_bytes"], answer.text.len());
    let (latency, upstream) = (first["latency_ms"].as_f64().unwrap(), first["upstream_ms"].as_f64().unwrap());
    assert!(upstream > 0.0 && upstream <= latency, "{first:?}");
    assert_eq!((&lines[1]["status"], &lines[1]["upstream"]), (&json!("timeout"), &json!("up")));
    assert!(lines[1]["latency_ms"].as_f64().unwrap() >= 290.0);
    assert_eq!((&lines[2]["status"], &lines[2]["tool"]), (&json!("invalid_request"), &Value::Null));
    assert_eq!((&lines[3]["method"], &lines[3]["era"]), (&json!("tools/list"), &json!("legacy")));
    assert_eq!(lines[3]["session"].as_str().unwrap().len(), 16);
    assert_eq!((&lines[4]["status"], &lines[4]["response_bytes"]), (&json!("cancelled"), &json!(0)));

    let text = std::fs::read_to_string(&path).unwrap();
    let session_id = legacy.headers(&Message::request(1, "ping"));
    let session_id = session_id.iter().find(|(name, _)| name.eq_ignore_ascii_case("mcp-session-id"));
    for secret in [
        "ARGSECRET",
        "RESULTSECRET",
        "TOKENSECRET-0123456789-TOKENSECRET",
        &session_id.expect("expected a session").1,
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let rotated = folder.path().join("access.log.1");
    std::fs::rename(&path, &rotated).unwrap();
    signal(gateway.pid(), Signal::HUP);
    tokio::time::sleep(Duration::from_millis(300)).await;
    session.request(&Message::request(6, "tools/list")).await;
    gateway.stop().await;
    assert_eq!(self::lines(&path, 1).await[0]["method"], "tools/list");
    assert_eq!(std::fs::read_to_string(&rotated).unwrap(), text);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_said_at_the_start() {
    let plan = Plan::new(Over::Stdio).sections("[monitoring]\naccess_log = \"/nowhere/access.log\"\n");
    let mut gateway = Gateway::start(plan).await;
    assert!(!gateway.process().wait().await.success());
}
