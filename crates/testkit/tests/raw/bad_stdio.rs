use std::time::Duration;

use aqe_testkit::{
    client::{Message, Revision, StdioClient},
    process,
    raw::{BAD_MODES, Effect, Over},
};

use super::{bad, is_valid, stdio};

async fn open() -> StdioClient {
    let mut client = stdio(&[]);
    client.open(Revision::V2025_11_25).await;
    client
}

/// What a strict receiver makes of the next lines, up to a valid answer or to quiet.
async fn outcome(client: &mut StdioClient, mode: &str) -> Effect {
    let (mut lines, mut pending) = (0, false);
    loop {
        let patience = Duration::from_millis(if lines == 0 && !pending { 500 } else { 50 });
        let Some(line) = client.line_within(patience).await else { break };
        pending = !line.ends_with(b"\n");
        if pending {
            break;
        }
        if std::str::from_utf8(&line).is_ok_and(|text| is_valid(text.trim_end())) {
            return Effect::Answer;
        }
        lines += 1;
    }
    let ended = tokio::time::timeout(Duration::from_millis(200), client.raw_line()).await;
    match ended {
        Ok(None) => Effect::Closed,
        Ok(Some(line)) => panic!("{mode}: expected quiet, got {line:?}"),
        Err(_) if lines > 0 => Effect::Invalid,
        Err(_) => Effect::Silence,
    }
}

#[tokio::test]
async fn every_mode_has_the_effect_that_its_table_says() {
    for mode in BAD_MODES.iter().filter(|mode| mode.over != Over::Http) {
        let mut client = open().await;
        client.notify(&bad(mode.name)).await;
        let outcome = outcome(&mut client, mode.name).await;
        if mode.effect == Effect::Questionable {
            // A byte order mark is no JSON, the rest is.
            let expected = if mode.name == "bom" { Effect::Invalid } else { Effect::Answer };
            assert_eq!(outcome, expected, "{}", mode.name);
        } else {
            assert_eq!(outcome, mode.effect, "{}", mode.name);
        }
        let deaf = ["stop-reading", "unfinished-line"].contains(&mode.name);
        if outcome != Effect::Closed && !deaf {
            let next = client.request(&Message::call(2, "bare", "{}")).await;
            assert_eq!(next.content_text(), "bare", "the call after {}", mode.name);
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
