use std::time::Duration;

use aqe_testkit::{
    client::{Message, Revision, StdioClient},
    process,
    raw::{BAD_MODES, BadMode, Effect, Over},
};

use super::{bad, is_valid, stdio};

async fn open() -> StdioClient {
    let mut client = stdio(&[]);
    client.open(Revision::V2025_11_25).await;
    client
}

/// Calls `bad` and a `sleep` behind it, whose answer marks the end of what the mode sends; says what a
/// strict receiver makes of the lines until then.
async fn outcome(client: &mut StdioClient, mode: &str) -> Effect {
    const MARK: &str = "slept 200 ms";
    let mark = Message::call("\"mark\"", "sleep", r#"{"ms":200}"#).text(Revision::V2025_11_25);
    // In one write: the server may end at the first of them.
    client.send_bytes(format!("{}\n{mark}\n", bad(mode).text(Revision::V2025_11_25)).as_bytes()).await;
    let mut lines = 0;
    while let Some(line) = client.raw_line().await {
        let text = String::from_utf8_lossy(&line);
        if text.contains(MARK) {
            return if lines > 0 { Effect::Invalid } else { Effect::Silence };
        }
        if std::str::from_utf8(&line).is_ok_and(is_valid) {
            return Effect::Answer;
        }
        lines += 1;
    }
    Effect::Closed
}

/// Checks the effect of one mode, and that the next call works where it can.
async fn check(mode: &BadMode) {
    let mut client = open().await;
    let outcome = outcome(&mut client, mode.name).await;
    let expected = match (mode.effect, mode.name) {
        // A byte order mark is no JSON, the rest is.
        (_, "bom") => Effect::Invalid,
        (Effect::Questionable, _) => Effect::Answer,
        (effect, _) => effect,
    };
    assert_eq!(outcome, expected, "{}", mode.name);
    let deaf = ["stop-reading", "unfinished-line"].contains(&mode.name);
    if outcome != Effect::Closed && !deaf {
        let next = client.request(&Message::call(2, "bare", "{}")).await;
        assert_eq!(next.content_text(), "bare", "the call after {}", mode.name);
    }
}

#[tokio::test]
async fn every_mode_has_the_effect_that_its_table_says() {
    let modes: Vec<_> = BAD_MODES.iter().filter(|mode| mode.over != Over::Http).collect();
    // A few at a time, to keep within the deadlines on a busy machine.
    for some in modes.chunks(6) {
        let checks: Vec<_> = some.iter().map(|mode| tokio::spawn(check(mode))).collect();
        for check in checks {
            check.await.unwrap();
        }
    }
}

#[tokio::test]
async fn ends_have_the_code_that_their_mode_says() {
    let mut client = open().await;
    client.notify(&bad("exit-0")).await;
    assert_eq!(client.wait().await.code(), Some(0));
    let mut client = open().await;
    client.notify(&bad("exit-1")).await;
    assert_eq!(client.wait().await.code(), Some(1));
    client.stderr_with("the disk is on fire").await;
    let mut client = open().await;
    client.notify(&bad("kill-9")).await;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&client.wait().await), Some(9));
}

#[tokio::test]
async fn a_server_that_closed_its_output_lives_on() {
    let mut client = open().await;
    client.notify(&bad("close-stdout")).await;
    assert_eq!(client.raw_line().await, None);
    assert!(process::is_live(client.pid()));
}

#[tokio::test]
async fn a_server_that_stopped_reading_lets_its_input_fill() {
    let mut client = open().await;
    client.request(&bad("stop-reading")).await;
    let fill = tokio::time::timeout(Duration::from_millis(300), client.send(&"x".repeat(1 << 20))).await;
    assert!(fill.is_err(), "one MiB fits no pipe");
}

#[tokio::test]
async fn a_long_line_has_the_size_asked_for() {
    let mut client = open().await;
    client.notify(&Message::call(1, "bad", r#"{"mode":"long","bytes":100000000}"#)).await;
    let line = client.raw_line().await.unwrap();
    assert!((100_000_000..100_000_200).contains(&line.len()), "{}", line.len());
}

#[tokio::test]
async fn an_undrained_flood_of_standard_error_is_as_long_as_asked_for() {
    let mut client = open().await;
    let flood = Message::call(1, "bad", r#"{"mode":"stderr-flood","bytes":300000}"#);
    client.request(&flood).await;
    process::wait_until(Duration::from_secs(5), "the flood", || {
        (client.stderr().len() >= 300_000).then_some(())
    })
    .await;
}

#[tokio::test]
async fn notifications_come_on_the_side_of_the_answer_that_their_mode_says() {
    let mut client = open().await;
    let storm = client.request(&Message::call(1, "bad", r#"{"mode":"storm","count":50}"#)).await;
    assert_eq!(storm.notifications("notifications/tools/list_changed").len(), 50);
    let unknown = client.request(&bad("progress-unknown-token")).await;
    assert_eq!(unknown.notifications("notifications/progress").len(), 2);
    let late = client.request(&bad("progress-after-result")).await;
    assert!(late.before.is_empty());
    assert!(client.line().await.contains(r#""progressToken":7"#));
    let twice = client.request(&bad("twice")).await;
    assert_eq!(client.line().await, twice.text);
}
