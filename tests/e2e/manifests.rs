//! What was learnt of an upstream is there again after a restart, before the upstream is.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use aqe_testkit::{client::Message, process::binary};

use crate::support::{Client, Era, Gateway, Over, Plan, Upstream};

/// Listing what is in the store takes milliseconds.
const AT_ONCE: Duration = Duration::from_millis(700);

async fn listed(client: &mut Client) -> Vec<String> {
    let answer = client.request(&Message::request("\"l\"", "tools/list")).await.result();
    let tools = answer["tools"].as_array().expect("expected tools").clone();
    tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn a_restart_lists_at_once_what_a_slow_upstream_has() {
    for start in ["lazy", "eager"] {
        let line = format!("start = \"{start}\"");
        let upstream = Upstream::raw("slow", Era::Legacy, Over::Stdio, &["--slow-start", "1500"]).await;
        let mut gateway = Gateway::start(Plan::new(Over::Http).registry(&line).upstream(upstream)).await;
        let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
        let known = listed(&mut client).await;
        assert!(known.iter().any(|name| name == "bare"), "{known:?}");
        assert!(gateway.stop().await.success());
        let plan = Plan::new(Over::Http).registry(&line).at_home(&gateway.home);
        let mut gateway = Gateway::start(plan.upstream(gateway.upstreams.remove(0))).await;
        let begun = Instant::now();
        let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
        assert_eq!(listed(&mut client).await, known);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        // And a call waits for the upstream.
        assert_eq!(client.call(1, "bare", "{}").await.content_text(), "bare");
    }
}

/// A child that works until a file says otherwise.
fn breakable(flag: &Path, then: &str) -> Upstream {
    let script = format!(
        "if [ -e '{}' ]; then {then}; fi; exec '{}' stdio",
        flag.display(),
        binary("rawmcp").display()
    );
    Upstream::command("shaky", "/bin/sh", &["-c", &script])
}

#[tokio::test]
async fn a_dead_upstream_stays_listed_and_a_call_to_it_says_why_it_fails() {
    let folder = tempfile::tempdir().expect("expected a temporary folder");
    let flag = folder.path().join("broken");
    let child = || breakable(&flag, "echo 'no licence' >&2; exit 3");
    let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(child())).await;
    let mut client = gateway.connect(Era::Legacy.revision(), "{}").await;
    let known = listed(&mut client).await;
    assert!(gateway.stop().await.success());
    std::fs::write(&flag, "").expect("expected to write a file");
    let mut gateway = Gateway::start(Plan::new(Over::Http).at_home(&gateway.home).upstream(child())).await;
    let mut client = gateway.connect(Era::Legacy.revision(), "{}").await;
    let begun = Instant::now();
    assert_eq!(listed(&mut client).await, known);
    let refused = client.call(1, "bare", "{}").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let error = refused.error();
    let message = error["message"].as_str().unwrap_or_default();
    assert_eq!(error["code"], -32603);
    for part in ["shaky", "exited with status 3", "no licence"] {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
    assert_eq!(error["data"]["upstream"], "shaky");
    assert_eq!(listed(&mut client).await, known);
    // Repaired, it serves again.
    std::fs::remove_file(&flag).expect("expected to remove a file");
    let repaired = Instant::now();
    loop {
        let answer = client.call(2, "bare", "{}").await;
        if !answer.is_error() {
            break;
        }
        assert!(repaired.elapsed() < Duration::from_secs(8), "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_http_upstream_that_has_gone_stays_listed_and_a_call_says_so() {
    let upstream = Upstream::raw("web", Era::Modern, Over::Http, &[]).await;
    let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
    let known = listed(&mut client).await;
    assert!(gateway.stop().await.success());
    let mut upstream = gateway.upstreams.remove(0);
    upstream.server().kill().await;
    let mut gateway = Gateway::start(Plan::new(Over::Http).at_home(&gateway.home).upstream(upstream)).await;
    let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
    assert_eq!(listed(&mut client).await, known);
    let begun = Instant::now();
    let refused = client.call(1, "bare", "{}").await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(refused.error_code(), -32603);
    assert_eq!(refused.error()["data"]["upstream"], "web");
}

#[tokio::test]
async fn what_an_upstream_no_longer_has_is_corrected_and_announced() {
    let folder = tempfile::tempdir().expect("expected a temporary folder");
    let flag = folder.path().join("more");
    let child = || {
        let then = format!("exec '{}' stdio --tools 2", binary("rawmcp").display());
        breakable(&flag, &then)
    };
    let plan = || Plan::new(Over::Http).registry("start = \"eager\"").upstream(child());
    let mut gateway = Gateway::start(plan()).await;
    let mut client = gateway.connect(Era::Legacy.revision(), "{}").await;
    let before = listed(&mut client).await;
    assert!(gateway.stop().await.success());
    std::fs::write(&flag, "").expect("expected to write a file");
    let mut gateway = Gateway::start(plan().at_home(&gateway.home)).await;
    let mut client = gateway.connect(Era::Legacy.revision(), "{}").await;
    client.listen("{}").await;
    let corrected = Instant::now();
    loop {
        let now = listed(&mut client).await;
        if now.len() == before.len() + 2 {
            break;
        }
        assert!(corrected.elapsed() < Duration::from_secs(5), "{now:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
