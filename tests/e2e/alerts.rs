//! Alerts from end to end: real calls through the binary to an upstream that fails or is slow, and receivers that are
//! told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::wait_until;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{Era, Gateway, Over, Plan, Upstream};

const LONG: Duration = Duration::from_secs(40);
/// What a tool says that fails.
const FAILS: &str = r#"{"error":"{\"code\":-32000,\"message\":\"out of order\"}"}"#;

/// Rules that fire fast. A window of ten seconds is the shortest, so an alert resolves ten seconds after its cause.
const RULES: &str = r#"
[[monitoring.alert]]
name = "failing"
signal = "error_rate"
above = 0.2
window = "10s"
for_s = 1
upstream = "up"
severity = "critical"
min_requests = 5

[[monitoring.alert]]
name = "slow"
signal = "latency_p95"
above = 1000
window = "10s"
tool = "up__sleep"

[[monitoring.alert]]
name = "budget"
burn_rate = { objective = 0.9, factor = 2, long_window_s = 60, short_window_s = 5 }
severity = "info"
"#;

/// A POST that a webhook got.
#[derive(Debug, Clone)]
struct Post {
    head: String,
    document: Value,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }

    fn is(&self, name: &str, event: &str) -> bool {
        self.document["alert"]["name"] == name && self.document["event"] == event
    }
}

/// A server on this machine that answers its first requests with these statuses, all others with 200.
struct Webhook {
    url: String,
    got: Arc<Mutex<Vec<Post>>>,
}

impl Webhook {
    async fn start(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let got = Arc::<Mutex<Vec<Post>>>::default();
        let statuses: Arc<Mutex<VecDeque<u16>>> = Arc::new(Mutex::new(statuses.iter().copied().collect()));
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&statuses)));
            }
        });
        Self { url, got }
    }

    fn got(&self) -> Vec<Post> {
        self.got.lock().unwrap().clone()
    }

    async fn told(&self, name: &str, event: &str) -> Post {
        let found = || self.got().into_iter().find(|post| post.is(name, event));
        wait_until(LONG, &format!("{name} to have {event}"), found).await
    }
}

async fn serve(mut stream: TcpStream, got: Arc<Mutex<Vec<Post>>>, statuses: Arc<Mutex<VecDeque<u16>>>) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let mut post = Post { head, document: Value::Null };
        let length: usize = post.header("content-length").parse().unwrap();
        while read.len() < end + length {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
        post.document = serde_json::from_slice(&read[end..end + length]).unwrap();
        read.drain(..end + length);
        got.lock().unwrap().push(post);
        let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
        let reply = format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn plan(webhook: &Webhook, more: &str) -> Plan {
    let upstream = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await;
    let hook = format!("[[monitoring.webhook]]\nname = \"hook\"\nurl = \"{}\"\n", webhook.url);
    Plan::new(Over::Http)
        .builtin()
        .registry("prefix = \"always\"")
        .sections(&format!("{RULES}{hook}secret = \"0123456789abcdef\"\n{more}"))
        .upstream(upstream)
}

async fn session(gateway: &Gateway) -> HttpSession {
    HttpSession::open(gateway.http(), Era::Modern.revision()).await
}

async fn calls(session: &HttpSession, count: u32, tool: &str, arguments: &str) {
    for id in 0..count {
        session.request(&Message::call(id, tool, arguments)).await;
    }
}

/// Calls without pause until told to end.
struct Well(Arc<AtomicBool>, JoinHandle<()>);

impl Well {
    async fn start(gateway: &Gateway, tool: &'static str, arguments: &'static str) -> Self {
        let (over, session) = (Arc::<AtomicBool>::default(), session(gateway).await);
        let told = Arc::clone(&over);
        let calls = async move {
            for id in 0.. {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                session.request(&Message::call(id, tool, arguments)).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        Self(over, tokio::spawn(calls))
    }

    async fn end(self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.await.unwrap();
    }
}

async fn alerts(gateway: &Gateway) -> Value {
    gateway.ask("mcp alerts list --all --history 50").await.expect("expected the alerts")
}

async fn state(gateway: &Gateway, name: &str) -> Value {
    let alerts = alerts(gateway).await;
    let mut rules = alerts["rules"].as_array().unwrap().iter();
    rules.find(|rule| rule["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn an_upstream_that_fails_is_told_once_acknowledged_and_resolved_when_it_is_well() {
    let webhook = Webhook::start(&[503]).await;
    let mut gateway = Gateway::start(plan(&webhook, "").await).await;
    let session = session(&gateway).await;
    // Good calls are no alert.
    calls(&session, 20, "up__bare", "{}").await;
    assert_eq!(state(&gateway, "failing").await["state"], "inactive");
    calls(&session, 20, "up__reply", FAILS).await;
    let fired = webhook.told("failing", "fired").await;
    let alert = &fired.document["alert"];
    assert_eq!((&alert["severity"], &alert["scope"]["name"]), (&json!("critical"), &json!("up")));
    let value = alert["value"].as_f64().unwrap();
    assert!((value - 0.5).abs() < 0.01, "20 of 40 calls failed: {value}");
    assert!(fired.header("webhook-signature").starts_with("v1,"), "{}", fired.head);
    let open = state(&gateway, "failing").await;
    assert_eq!((&open["state"], &open["id"]), (&json!("firing"), &alert["id"]));
    // For scripts; a command that fails gives no JSON.
    assert!(gateway.ask("mcp alerts list --check").await.is_err());
    let acked = gateway.ask("mcp alerts ack failing --by ann --note restarting").await.unwrap();
    assert_eq!(acked["alert"]["ack"]["by"], "ann");
    assert_eq!(state(&gateway, "failing").await["state"], "acknowledged");
    let again = gateway.ask("mcp alerts ack slow --by ann").await.unwrap_err();
    assert!(again.contains("\"slow\" is not firing, it is inactive"), "{again}");
    // Well again: what is measured says so, not that nothing is.
    let well = Well::start(&gateway, "up__bare", "{}").await;
    webhook.told("failing", "resolved").await;
    webhook.told("budget", "resolved").await;
    well.end().await;
    gateway.ask("mcp alerts list --check").await.expect("nothing fires");
    // The first attempt was refused: what came twice came under one id, and nothing else did.
    let got = webhook.got();
    let mut ids: Vec<&str> = got.iter().map(|post| post.header("webhook-id")).collect();
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    ids.dedup();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
    for event in ["fired", "acknowledged", "resolved"] {
        let ids: std::collections::BTreeSet<&str> = got
            .iter()
            .filter(|post| post.is("failing", event))
            .map(|post| post.header("webhook-id"))
            .collect();
        assert_eq!(ids.len(), 1, "{event}: {got:?}");
    }
    let status = alerts(&gateway).await;
    let past =
        status["history"].as_array().unwrap().iter().find(|firing| firing["name"] == "failing").unwrap();
    assert_eq!((&past["resolution"], &past["ack"]["note"]), (&json!("recovered"), &json!("restarting")));
    gateway.stop().await;
}

#[tokio::test]
async fn a_slow_tool_is_told_to_a_program_and_to_a_client_that_asks_for_logs() {
    let webhook = Webhook::start(&[]).await;
    let command = r#"
[[monitoring.command]]
name = "script"
command = "sh"
args = ["-c", "cat >> told; echo $AQE_ALERT_NAME $AQE_ALERT_EVENT $AQE_ALERT_SEVERITY >> names"]
"#;
    let mut gateway = Gateway::start(plan(&webhook, command).await).await;
    let mut asks = gateway.connect(Era::Legacy.revision(), "{}").await;
    let mut quiet = gateway.connect(Era::Legacy.revision(), "{}").await;
    asks.request(&Message::request(1, "logging/setLevel").param("level", "\"warning\"")).await.result();
    asks.listen("{}").await;
    quiet.listen("{}").await;
    calls(&session(&gateway).await, 3, "up__sleep", r#"{"ms":1500}"#).await;
    let told = asks.heard("notifications/message").await;
    assert_eq!(
        (&told["params"]["level"], &told["params"]["logger"]),
        (&json!("warning"), &json!("aqe-v3/alerts"))
    );
    assert_eq!(told["params"]["data"]["alert"]["name"], "slow");
    let names = gateway.home.path().join("names");
    let written = || {
        let names = std::fs::read_to_string(&names).unwrap_or_default();
        names.contains("slow fired warning\n").then_some(())
    };
    wait_until(LONG, "the program to run", written).await;
    let well = Well::start(&gateway, "up__sleep", r#"{"ms":1}"#).await;
    let told = asks.heard("notifications/message").await;
    assert_eq!(told["params"]["data"]["event"], "resolved");
    well.end().await;
    assert_eq!(quiet.count("notifications/message", Duration::from_millis(200)).await, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn what_fired_is_known_after_a_restart_however_the_server_ended() {
    let webhook = Webhook::start(&[]).await;
    let mut gateway = Gateway::start(plan(&webhook, "").await).await;
    let slow = r#"{"ms":1500}"#;
    calls(&session(&gateway).await, 3, "up__sleep", slow).await;
    let fired = webhook.told("slow", "fired").await;
    // In order: whoever was told of the beginning is told of the end.
    assert!(gateway.stop().await.success());
    let ended = webhook.told("slow", "resolved").await;
    assert_eq!(ended.document["alert"]["resolution"], "server_stopped");
    assert_eq!(ended.document["alert"]["id"], fired.document["alert"]["id"]);
    let home = Arc::clone(&gateway.home);
    let mut gateway = Gateway::start(plan(&webhook, "").await.at_home(&home)).await;
    let resolutions = |status: &Value| -> Vec<Value> {
        let past = status["history"].as_array().unwrap().iter();
        past.filter(|firing| firing["name"] == "slow").map(|firing| firing["resolution"].clone()).collect()
    };
    assert_eq!(resolutions(&alerts(&gateway).await), [json!("server_stopped")]);
    calls(&session(&gateway).await, 3, "up__sleep", slow).await;
    wait_until(LONG, "the second alert", || {
        (webhook.got().iter().filter(|post| post.is("slow", "fired")).count() == 2).then_some(())
    })
    .await;
    // Written by a thread of its own, a moment later.
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.process().signal(Signal::KILL);
    gateway.process().wait().await;
    let gateway = Gateway::start(plan(&webhook, "").await.at_home(&home)).await;
    let status = alerts(&gateway).await;
    assert_eq!(resolutions(&status), [json!("unknown"), json!("server_stopped")]);
    assert_eq!(status["alerts"], json!([]));
}

#[tokio::test]
async fn a_reload_keeps_what_fires_and_takes_new_rules_and_refuses_bad_ones() {
    let webhook = Webhook::start(&[]).await;
    let gateway = Gateway::start(plan(&webhook, "").await).await;
    calls(&session(&gateway).await, 3, "up__sleep", r#"{"ms":1500}"#).await;
    webhook.told("slow", "fired").await;
    let id = state(&gateway, "slow").await["id"].clone();
    gateway.edit_config(|text| text.replace("above = 0.2", "above = 0.3"));
    gateway.ask("mcp config reload").await.expect("expected the rules to be taken");
    let slow = state(&gateway, "slow").await;
    assert_eq!((&slow["state"], &slow["id"]), (&json!("firing"), &id));
    assert_eq!(state(&gateway, "failing").await["threshold"], 0.3);
    gateway.edit_config(|text| text.replace("above = 0.3", "above = 30"));
    let refused = gateway.ask("mcp config reload").await.unwrap_err();
    assert!(refused.contains("is a share from 0 to 1"), "{refused}");
    assert_eq!(state(&gateway, "failing").await["threshold"], 0.3);
    gateway.edit_config(|text| {
        text.replace("above = 30", "above = 0.3").replace("name = \"slow\"", "name = \"slower\"")
    });
    gateway.ask("mcp config reload").await.expect("expected the rules to be taken");
    let ended = webhook.told("slow", "resolved").await;
    assert_eq!(ended.document["alert"]["resolution"], "rule_changed");
}

#[tokio::test]
async fn a_test_reaches_the_receivers_and_says_who_was_not_reached() {
    let webhook = Webhook::start(&[]).await;
    let gone = "[[monitoring.webhook]]\nname = \"gone\"\nurl = \"http://127.0.0.1:9/\"\n";
    let gateway = Gateway::start(plan(&webhook, gone).await).await;
    let one = gateway.ask("mcp alerts test --sink hook").await.expect("expected it to arrive");
    assert_eq!(one["sinks"][0]["delivered"], true);
    assert_eq!(webhook.got()[0].document["event"], "test");
    let told = gateway.admin().at("/admin/alerts/test").post(&[], b"{}").await.json().await;
    let sinks = told["sinks"].as_array().unwrap();
    let of = |name: &str| sinks.iter().find(|sink| sink["name"] == name).unwrap();
    assert_eq!((&of("log")["delivered"], &of("mcp_log")["delivered"]), (&json!(true), &Value::Null));
    assert_eq!((&of("hook")["delivered"], &of("gone")["delivered"]), (&json!(true), &json!(false)));
    assert!(of("gone")["error"].as_str().unwrap().starts_with("not connected"), "{told}");
    let error = gateway.ask("mcp alerts test --sink nobody").await.unwrap_err();
    assert!(error.contains("no sink is called \"nobody\"; there are: log, mcp_log, hook, gone"), "{error}");
}
