//! The configuration is read again while calls run: reliability.md F17.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::wait_until;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Era, Gateway, Over, Plan, Upstream};

const RELOAD: &str = "mcp config reload";

async fn gateway() -> Gateway {
    let upstream = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await;
    let plan = Plan::new(Over::Http).registry("prefix = \"always\"");
    let gateway = Gateway::start(plan.upstream(upstream.with("env = { ROUND = \"0\" }"))).await;
    // No process is replaced but by the configuration.
    gateway.edit_config(|text| format!("[pool]\nmax_uses = 1000000000\n{text}"));
    gateway.ask(RELOAD).await.expect("expected the settings to be taken");
    session(&gateway).await.request(&Message::call(1, "up__bare", "{}")).await.result();
    gateway
}

async fn session(gateway: &Gateway) -> HttpSession {
    HttpSession::open(gateway.http(), Era::Modern.revision()).await
}

/// The processes that have run so far.
fn pids(gateway: &Gateway) -> BTreeSet<u32> {
    gateway.upstreams[0].events().iter().map(|event| event.pid).collect()
}

/// Calls without pause, until told to end: the number of calls, and what failed.
struct Load {
    over: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    async fn start(gateway: &Gateway) -> Self {
        let (over, calls) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut clients = Vec::new();
        for client in 0..4 {
            let (over, calls, session) = (Arc::clone(&over), Arc::clone(&calls), session(gateway).await);
            clients.push(tokio::spawn(async move {
                let mut failed = Vec::new();
                for id in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let mark = format!("{client}-{id}");
                    // Not annotated: it is never sent twice.
                    let ask =
                        Message::call(id, "up__reply", &format!(r#"{{"result":"{{\"mark\":\"{mark}\"}}"}}"#));
                    let answer = session.request(&ask).await;
                    calls.fetch_add(1, Ordering::Relaxed);
                    if !answer.text.contains(&mark) {
                        failed.push(answer.text);
                    }
                }
                failed
            }));
        }
        Self { over, calls, clients }
    }

    /// Lets some calls pass.
    async fn go_on(&self) {
        let before = self.calls.load(Ordering::Relaxed);
        let passed = || (self.calls.load(Ordering::Relaxed) > before + 100).then_some(());
        wait_until(Duration::from_secs(10), "calls to go on", passed).await;
    }

    async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert_eq!(client.await.expect("expected a client to end"), Vec::<String>::new());
        }
    }
}

fn report(key: &str, name: &str) -> Value {
    let mut report =
        json!({ "added": [], "removed": [], "replaced": [], "changed": [], "kept": [], "needs_restart": [] });
    if !key.is_empty() {
        report[key] = json!([name]);
    }
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_come_change_and_go_under_load_and_no_call_fails() {
    let gateway = gateway().await;
    let load = Load::start(&gateway).await;
    let more = Upstream::raw("more", Era::Modern, Over::Stdio, &[]).await;
    let table = more.table().to_owned();
    for round in 1..=3 {
        load.go_on().await;
        let before = pids(&gateway);
        let slow = session(&gateway).await;
        let slow = tokio::spawn(async move {
            slow.request(&Message::call(1, "up__sleep", r#"{"ms":700}"#)).await.result()
        });
        gateway.upstreams[0].event(&["tool"], "sleep").await;
        gateway.edit_config(|text| text.replace(&format!("\"{}\"", round - 1), &format!("\"{round}\"")));
        assert_eq!(gateway.ask(RELOAD).await, Ok(report("replaced", "up")));
        load.go_on().await;
        assert!(pids(&gateway).len() > before.len(), "no new process: {before:?}");
        // It runs where it was begun.
        slow.await.expect("expected the call under way to be answered");

        gateway.edit_config(|text| format!("{text}{table}"));
        assert_eq!(gateway.ask(RELOAD).await, Ok(report("added", "more")));
        let answer = session(&gateway).await.request(&Message::call(1, "more__bare", "{}")).await;
        assert!(!answer.is_error(), "{}", answer.text);
        let same = pids(&gateway);
        gateway.edit_config(|text| text.replace("env =", "request_timeout_ms = 5000\nenv ="));
        assert_eq!(gateway.ask(RELOAD).await, Ok(report("changed", "up")));
        gateway.edit_config(|text| text.replace("request_timeout_ms = 5000\nenv =", "env ="));
        assert_eq!(gateway.ask(RELOAD).await, Ok(report("changed", "up")));
        assert_eq!(gateway.ask(RELOAD).await, Ok(report("", "")));
        gateway.edit_config(|text| text.replace(&table, ""));
        assert_eq!(gateway.ask(RELOAD).await, Ok(report("removed", "more")));
        load.go_on().await;
        assert_eq!(pids(&gateway), same, "a process was replaced for nothing");
        let answer = session(&gateway).await.request(&Message::call(1, "more__bare", "{}")).await;
        assert!(answer.is_error(), "{}", answer.text);
    }
    load.end().await;
    let pid = gateway.pid();
    let children = || aqe_testkit::process::live_children(pid);
    // The guardian, and one server.
    wait_until(Duration::from_secs(10), "the replaced servers to end", || {
        (children().len() <= 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_a_fault_and_a_server_that_does_not_start_change_nothing() {
    let gateway = gateway().await;
    let load = Load::start(&gateway).await;
    gateway.edit_config(|text| text.replace("env =", "comand = \"x\"\nenv ="));
    let error = gateway.ask(RELOAD).await.expect_err("expected the file to be refused");
    assert!(error.contains("aqe.toml:") && error.contains("comand"), "{error}");
    load.go_on().await;
    gateway.edit_config(|text| text.replace("comand = \"x\"\nenv =", "env =").replace("stdio", "nothing"));
    let told = gateway.ask(RELOAD).await.expect("expected a report");
    assert_eq!(told["kept"][0]["name"], "up", "{told}");
    assert!(told["kept"][0]["reason"].is_string(), "{told}");
    load.go_on().await;
    let answer = session(&gateway).await.request(&Message::call(1, "up__bare", "{}")).await;
    assert!(!answer.is_error(), "{}", answer.text);
    gateway.edit_config(|text| text.replace("[server]", "[server]\npage_size = 7"));
    assert_eq!(gateway.ask(RELOAD).await.expect("expected a report")["needs_restart"], json!(["[server]"]));
    load.end().await;
}

#[tokio::test]
async fn a_hangup_has_the_files_read_again_and_clients_are_told_of_new_tools() {
    let mut gateway = gateway().await;
    let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
    client.listen(r#"{"toolsListChanged":true}"#).await;
    let more = Upstream::raw("more", Era::Modern, Over::Stdio, &[]).await;
    gateway.edit_config(|text| format!("{text}{}", more.table()));
    gateway.process().signal(Signal::HUP);
    client.heard("notifications/tools/list_changed").await;
    let answer = client.call(1, "more__bare", "{}").await;
    assert!(!answer.is_error(), "{}", answer.text);
    assert!(gateway.stop().await.success());
}
