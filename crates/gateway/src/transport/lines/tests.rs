use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream};

use super::*;

const BATCHING: Batching = Batching { timeout: Duration::from_millis(10), max_bytes: 1_000 };

fn open() -> (Arc<LineWriter>, BufReader<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let out = Arc::new(LineWriter::new(Some(BATCHING)));
    tasks::spawn("line writer", Arc::clone(&out).run(ours));
    (out, BufReader::new(theirs))
}

async fn line(reader: &mut BufReader<DuplexStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).await.unwrap();
    line
}

#[tokio::test(start_paused = true)]
async fn a_response_leaves_at_once_behind_the_notifications_that_wait() {
    let (out, mut reader) = open();
    let started = now();
    for text in ["1", "2"] {
        out.push_with(text.into(), Priority::Low);
    }
    tokio::time::advance(BATCHING.timeout / 2).await;
    out.answer(&Answer::ok("answer"));
    out.push_with("3".into(), Priority::Low);
    for expected in ["1\n", "2\n", "answer\n"] {
        assert_eq!(line(&mut reader).await, expected);
    }
    assert_eq!(now() - started, BATCHING.timeout / 2);
}

#[tokio::test(start_paused = true)]
async fn a_lone_notification_leaves_at_its_time_and_the_last_ones_with_the_end() {
    let (out, mut reader) = open();
    let started = now();
    out.push_with("1".into(), Priority::Low);
    assert_eq!(line(&mut reader).await, "1\n");
    // The runtime's timer counts whole milliseconds.
    let waited = now() - started;
    assert!((BATCHING.timeout..=BATCHING.timeout * 2).contains(&waited), "{waited:?}");
    out.push_with("2".into(), Priority::Low);
    let ended = now();
    out.close();
    assert_eq!(line(&mut reader).await, "2\n");
    assert_eq!(line(&mut reader).await, "");
    assert_eq!(now(), ended);
}

#[tokio::test(start_paused = true)]
async fn a_storm_does_not_wait_for_the_time() {
    let (out, mut reader) = open();
    let started = now();
    for _ in 0..BATCHING.max_bytes {
        out.push_with("x".into(), Priority::Low);
    }
    for _ in 0..BATCHING.max_bytes / 2 {
        assert_eq!(line(&mut reader).await, "x\n");
    }
    assert_eq!(now(), started);
}
