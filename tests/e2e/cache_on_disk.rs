//! Answers that outlive the process.

use std::sync::Arc;
use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::wait_until;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::cache::{level, runs, session, start, stats};
use crate::support::{Era, Gateway, Over, Plan, Upstream};

const DISK: &str = "[cache.l3]\nenabled = true\n";
const KEPT: &str = "cache = { tool_ttl_ms = { sleep = 600000 }, on_write = \"declared\" }";

async fn again(gateway: Gateway) -> Gateway {
    let (home, upstreams) = (Arc::clone(&gateway.home), gateway.upstreams);
    restart(&home, upstreams).await
}

async fn restart(home: &Arc<TempDir>, upstreams: Vec<Upstream>) -> Gateway {
    let plan = upstreams.into_iter().fold(Plan::new(Over::Http).sections(DISK), Plan::upstream);
    Gateway::start(plan.at_home(home)).await
}

/// Asks a question that takes the server long enough for its answer to be worth the disk.
async fn ask(session: &HttpSession, number: u32) -> String {
    let arguments = format!(r#"{{"ms":2,"number":{number}}}"#);
    let answer = session.request(&Message::call(1, "sleep", &arguments)).await;
    assert_eq!(answer.content_text(), "slept 2 ms");
    level(&answer)
}

/// Waits until so many answers are written.
async fn written(gateway: &Gateway, entries: u64) {
    let written = async {
        loop {
            let level = stats(gateway, 2).await;
            assert!(level["off"].is_null() || level["off"] == "it is being opened", "{level}");
            if level["entries"].as_u64() >= Some(entries) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), written).await.expect("expected the answers to be written");
}

#[tokio::test]
async fn an_answer_is_found_by_the_next_process_and_moves_up() {
    let plan = Plan::new(Over::Http).sections(DISK);
    let mut gateway = start(plan, Era::Modern, &[], &[KEPT]).await;
    let asks = session(&gateway).await;
    assert_eq!(ask(&asks, 7).await, "");
    written(&gateway, 1).await;
    assert!(gateway.stop().await.success());
    let gateway = again(gateway).await;
    written(&gateway, 1).await;
    let asks = session(&gateway).await;
    let mut levels = Vec::new();
    for _ in 0..4 {
        levels.push(ask(&asks, 7).await);
    }
    assert_eq!(levels, ["l3", "l2", "l2", "l1"]);
    assert_eq!(runs(&gateway, "sleep"), 1, "in both lives of the gateway");
    let level = stats(&gateway, 2).await;
    assert_eq!((level["level"].as_str(), level["hits"].as_u64()), (Some("l3"), Some(1)));
}

#[tokio::test]
async fn what_was_forgotten_is_not_found_by_the_next_process() {
    for forget in ["mcp cache clear", "mcp cache clear --tool sleep", "write"] {
        let plan = Plan::new(Over::Http).sections(DISK);
        let mut gateway = start(plan, Era::Modern, &[], &[KEPT]).await;
        let asks = session(&gateway).await;
        ask(&asks, 7).await;
        written(&gateway, 1).await;
        if forget == "write" {
            asks.request(&Message::call(1, "tell", r#"{"mark":"x"}"#)).await.result();
        } else {
            gateway.ask(forget).await.expect("expected it to be cleared");
        }
        assert!(gateway.stop().await.success());
        let gateway = again(gateway).await;
        written(&gateway, 0).await;
        assert_eq!(ask(&session(&gateway).await, 7).await, "", "{forget}");
    }
}

#[tokio::test]
async fn answers_of_another_server_or_with_other_credentials_are_not_found() {
    let plan = Plan::new(Over::Http).sections(DISK);
    let mut gateway = start(plan, Era::Modern, &[], &[KEPT, "env = { TOKEN = \"one\" }"]).await;
    ask(&session(&gateway).await, 7).await;
    written(&gateway, 1).await;
    assert!(gateway.stop().await.success());
    let (home, upstreams) = (Arc::clone(&gateway.home), gateway.upstreams);
    let table = upstreams[0].table().replace("\"one\"", "\"two\"");
    let mut gateway = restart(&home, vec![Upstream::with_table(table)]).await;
    written(&gateway, 1).await;
    assert_eq!(ask(&session(&gateway).await, 7).await, "");
    assert!(gateway.stop().await.success());
    let gateway = restart(&home, upstreams).await;
    written(&gateway, 2).await;
    assert_eq!(ask(&session(&gateway).await, 7).await, "l3");
}

#[tokio::test]
async fn a_gateway_that_is_killed_while_it_writes_finds_whole_answers_again() {
    let plan = Plan::new(Over::Http).sections(DISK);
    let mut gateway = start(plan, Era::Modern, &[], &[KEPT]).await;
    let mut found = 0;
    for round in 0..6_u32 {
        let mut clients = Vec::new();
        for client in 0..4 {
            let asks = session(&gateway).await;
            clients.push(tokio::spawn(async move {
                // Other questions in each round, so that there is always something to write.
                for n in 0.. {
                    ask(&asks, round * 400 + (n * 4 + client) % 400).await;
                }
            }));
        }
        tokio::time::sleep(Duration::from_millis(200 + u64::from(round) * 37)).await;
        for client in &clients {
            client.abort();
        }
        gateway.process().signal(Signal::KILL);
        gateway.process().wait().await;
        gateway = again(gateway).await;
        written(&gateway, 1).await;
        let asks = session(&gateway).await;
        let before = runs(&gateway, "sleep");
        for n in 0..400 {
            found += usize::from(ask(&asks, round * 400 + n).await == "l3");
        }
        let level = stats(&gateway, 2).await;
        assert_eq!((level["damaged"].as_u64(), level["off"].as_str()), (Some(0), None), "{level}");
        assert!(runs(&gateway, "sleep") - before < 400, "round {round}: nothing was found");
    }
    assert!(found > 600, "{found} of 2400");
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_switches_the_level_off_and_calls_go_on() {
    let file = tempfile::NamedTempFile::new().expect("expected a temporary file");
    let disk = format!("{DISK}path = {:?}\n", file.path());
    let gateway = start(Plan::new(Over::Http).sections(&disk), Era::Modern, &[], &[KEPT]).await;
    let asks = session(&gateway).await;
    assert_eq!([ask(&asks, 3).await, ask(&asks, 3).await], ["", "l2"]);
    let level = stats(&gateway, 2).await;
    assert!(level["off"].as_str().is_some_and(|off| off.contains("exists")), "{level}");
}

#[tokio::test]
async fn a_damaged_file_is_thrown_away_and_calls_go_on() {
    let plan = Plan::new(Over::Http).sections(DISK);
    let mut gateway = start(plan, Era::Modern, &[], &[KEPT]).await;
    ask(&session(&gateway).await, 7).await;
    written(&gateway, 1).await;
    assert!(gateway.stop().await.success());
    let file = gateway.home.path().join("cache/aqe-v3/answers.db");
    let mut bytes = std::fs::read(&file).expect("expected a file");
    for at in (0..bytes.len()).step_by(3) {
        bytes[at] ^= 0x55;
    }
    std::fs::write(&file, bytes).expect("expected to damage it");
    let gateway = again(gateway).await;
    written(&gateway, 0).await;
    let asks = session(&gateway).await;
    assert_eq!([ask(&asks, 7).await, ask(&asks, 7).await], ["", "l2"]);
    wait_until(Duration::from_secs(5), "the file to be begun anew", || file.exists().then_some(())).await;
    written(&gateway, 1).await;
}
