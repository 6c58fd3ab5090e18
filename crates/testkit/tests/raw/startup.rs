use std::time::{Duration, Instant};

use aqe_testkit::{
    client::{HttpSession, Message, Revision},
    process,
};
use rustix::process::Signal;

use super::{http, stdio};

#[tokio::test]
async fn it_exits_at_start_with_the_code_asked_for() {
    assert_eq!(stdio(&["--exit-at-start", "7"]).wait().await.code(), Some(7));
    assert_eq!(stdio(&[]).kill().await.code(), None);
}

#[tokio::test]
async fn a_slow_start_answers_late() {
    let start = Instant::now();
    let mut client = stdio(&["--slow-start", "300"]);
    client.open(Revision::V2025_11_25).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn garbage_at_start_comes_before_the_first_answer() {
    let mut client = stdio(&["--garbage-at-start"]);
    let answer = client.open(Revision::V2025_11_25).await.unwrap();
    assert_eq!(answer.before.len(), 4);
    assert_eq!(answer.before[2], "{not json}");
}

#[tokio::test]
async fn it_exits_on_discover_but_not_on_ping() {
    let mut client = stdio(&["--exit-on-discover"]);
    client.request(&Message::request(1, "ping")).await;
    client.notify(&Message::discover(2)).await;
    assert_eq!(client.wait().await.code(), Some(1));
    let mut client = stdio(&["--exit-on-discover"]);
    client.open(Revision::V2025_11_25).await;
    client.request(&Message::request(1, "tools/list")).await;
    let (mut server, client) = http(&["--exit-on-discover"]).await;
    let session = HttpSession::open(client, Revision::V2026_07_28).await;
    let mut socket = session.client.socket().await;
    let body = Message::discover(1).text(Revision::V2026_07_28);
    socket.send(session.client.head("POST", &[], body.len()) + &body).await;
    assert_eq!(server.wait().await.code(), Some(1));
}

#[tokio::test]
async fn a_locked_era_refuses_the_other_one() {
    let mut client = stdio(&["--lock-era"]);
    client.open(Revision::V2026_07_28).await;
    client.request(&Message::discover(1)).await.result();
    let refused = client.request(&Message::initialize(2, Revision::V2025_11_25)).await;
    assert_eq!(refused.error_code(), -32022);
    let mut client = stdio(&["--lock-era"]);
    client.open(Revision::V2025_11_25).await;
    client.send(&Message::discover(1).text(Revision::V2026_07_28)).await;
    assert_eq!(client.answer("1").await.error_code(), -32600);
}

#[tokio::test]
async fn it_ends_at_the_end_of_its_input_unless_told_to_ignore_it() {
    let mut client = stdio(&[]);
    client.open(Revision::V2025_11_25).await;
    client.close_stdin();
    assert!(client.wait().await.success());
    let mut client = stdio(&["--ignore-eof"]);
    client.open(Revision::V2025_11_25).await;
    client.close_stdin();
    client.signal(Signal::TERM);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(process::is_live(client.pid()));
}

#[tokio::test]
async fn a_grandchild_outlives_its_parent_in_the_same_group() {
    let mut client = stdio(&["--grandchild"]);
    client.open(Revision::V2025_11_25).await;
    let stderr = client.stderr_with("\n").await;
    let grandchild: u32 = stderr.trim().strip_prefix("grandchild ").unwrap().parse().unwrap();
    client.close_stdin();
    assert!(client.wait().await.success());
    let left: Vec<_> = process::live_group(client.pid()).iter().map(|process| process.pid).collect();
    assert_eq!(left, [grandchild]);
    drop(client);
    process::wait_until(Duration::from_secs(5), "the end of the grandchild", || {
        (!process::is_live(grandchild)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_muted_method_is_never_answered() {
    let mut client = stdio(&["--mute", "tools/list"]);
    client.open(Revision::V2025_11_25).await;
    client.notify(&Message::request(1, "tools/list")).await;
    assert!(client.request(&Message::request(2, "ping")).await.before.is_empty());
    assert_eq!(client.line_within(Duration::from_millis(50)).await, None);
}

#[tokio::test]
async fn lists_have_the_sizes_asked_for() {
    let mut client = stdio(&["--tools", "300", "--resources", "4", "--prompts", "5", "--page-size", "50"]);
    let opened = client.open(Revision::V2025_11_25).await.unwrap().result();
    assert!(opened["capabilities"]["prompts"].is_object());
    let mut count = 0;
    let mut message = Message::request(1, "tools/list");
    loop {
        let page = client.request(&message).await.result();
        count += page["tools"].as_array().unwrap().len();
        let Some(cursor) = page.get("nextCursor") else { break };
        message = Message::request(1, "tools/list").param("cursor", &cursor.to_string());
    }
    assert!(count > 300, "{count}");
    for (method, member, expected) in [
        ("resources/list", "resources", 4),
        ("resources/templates/list", "resourceTemplates", 1),
        ("prompts/list", "prompts", 5),
    ] {
        let list = client.request(&Message::request(2, method)).await.result();
        assert_eq!(list[member].as_array().unwrap().len(), expected, "{method}");
    }
    let read = Message::request(3, "resources/read").param("uri", "\"raw://resource/1\"");
    assert_eq!(client.request(&read).await.result()["contents"][0]["uri"], "raw://resource/1");
    assert_eq!(client.request(&Message::call(4, "tool_00299", "{}")).await.content_text(), "tool_00299");
    assert_eq!(client.request(&Message::call(5, "tool_00300", "{}")).await.error_code(), -32602);
}

#[tokio::test]
async fn the_journal_file_outlives_a_killed_server() {
    let path = std::env::temp_dir().join(format!("rawmcp-journal-{}", std::process::id()));
    let mut client = stdio(&["--journal", path.to_str().unwrap()]);
    client.open(Revision::V2025_11_25).await;
    client.request(&Message::request(1, "ping")).await;
    client.kill().await;
    let journal = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let methods: Vec<_> = journal
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["method"].clone())
        .collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "ping"]);
}
