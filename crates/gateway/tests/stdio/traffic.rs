//! Many messages: order, concurrency, floods, cancellation, cost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqe_core::envelope::Field;
use aqe_gateway::upstream::{CallError, Connection as _, Item, Outgoing, next_item};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};

use super::child;
use super::support::{AT_ONCE, FLOOD_LOG_LINES, TAG, finish, start, start_child, this_binary, trial, until};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("traffic::a_thousand_calls_in_flight_are_answered_in_any_order", thousand_calls),
        trial(
            "traffic::a_thousand_progress_notifications_come_in_order_before_the_answer",
            thousand_progress,
        ),
        trial("traffic::a_dropped_call_is_cancelled_at_the_child_and_its_answer_ignored", cancelled),
        trial("traffic::an_answered_call_and_an_initialize_are_not_cancelled", not_cancelled),
        trial("traffic::send_resolves_when_the_message_has_left", sent),
        trial("traffic::big_messages_pass_both_ways_unharmed", big),
        trial("traffic::a_hundred_megabytes_on_stderr_are_drained_and_the_log_is_bounded", flood),
        Trial::test("traffic::cost_of_an_echo", || {
            cost();
            Ok(())
        })
        .with_ignored_flag(true),
    ]
}

async fn thousand_calls() {
    let upstream = start_child().await;
    let calls: Vec<_> = (0..999).map(|_| upstream.send("hold", "{}")).collect();
    assert_eq!(upstream.connection.in_flight().len(), 999);
    let last = upstream.send("release", "{}");
    for (index, call) in calls.into_iter().chain([last]).enumerate() {
        assert_eq!(finish(call).await, Ok(format!(r#"{{"id":{}}}"#, index + 1)));
    }
    assert!(upstream.connection.in_flight().is_empty());
}

async fn thousand_progress() {
    let upstream = start_child().await;
    let mut call = upstream.send("progress", "1000");
    let mut steps = 0;
    loop {
        match tokio::time::timeout(AT_ONCE, next_item(call.as_mut())).await.unwrap() {
            Item::Notification(message) => {
                let body = String::from_utf8_lossy(message.body()).into_owned();
                assert_eq!(body, format!(r#"{{"progressToken":1,"progress":{steps}}}"#));
                steps += 1;
            }
            Item::Answer(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(steps, 1_000);
    assert_eq!(upstream.seen.unsolicited.load(Ordering::Relaxed), 0);
}

async fn cancelled() {
    let upstream = start_child().await;
    drop(upstream.send("hold", "{}"));
    let kept = upstream.send("hold", "{}");
    assert_eq!(upstream.call("cancelled", "{}").await, Ok(r#"{"ids":[1]}"#.into()));
    assert_eq!(upstream.connection.in_flight().len(), 1);
    let id = upstream.connection.next_id();
    assert_eq!(upstream.call("release", "{}").await, Ok(format!(r#"{{"id":{}}}"#, id + 1)));
    assert_eq!(finish(kept).await, Ok(r#"{"id":2}"#.into()));
    // The child answers the cancelled call all the same, last of all.
    until(AT_ONCE, "late answer counted", || upstream.connection.status().late == 1).await;
}

async fn not_cancelled() {
    let upstream = start_child().await;
    let mut answered = upstream.send("echo", "{}");
    assert!(matches!(next_item(answered.as_mut()).await, Item::Answer(_)));
    drop(answered);
    let id = upstream.connection.next_id();
    let bytes = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{{"name":"never"}}}}"#);
    drop(Arc::clone(&upstream.connection).call(id, outgoing(bytes, "initialize"), TAG));
    assert_eq!(upstream.call("cancelled", "{}").await, Ok(r#"{"ids":[]}"#.into()));
}

fn outgoing(bytes: String, method: &str) -> Outgoing {
    Outgoing {
        bytes: bytes.into(),
        method: method.to_owned().into(),
        name: None,
        headers: Vec::new(),
        pass_from: None,
    }
}

fn note(size: usize) -> Outgoing {
    let text = "x".repeat(size);
    outgoing(format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"text":"{text}"}}}}"#), "x")
}

async fn sent() {
    let upstream = start_child().await;
    upstream.connection.send(note(1)).await.unwrap();
    let group = Pid::from_raw(upstream.pid().cast_signed()).unwrap();
    kill_process(group, Signal::STOP).unwrap();
    // More than the pipe holds: not handed over while nobody reads.
    let big = upstream.connection.send(note(1024 * 1024));
    tokio::pin!(big);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut big).await.is_err());
    kill_process(group, Signal::CONT).unwrap();
    tokio::time::timeout(AT_ONCE, big).await.unwrap().unwrap();
    assert!(upstream.works().await);

    kill_process(group, Signal::STOP).unwrap();
    let lost = upstream.connection.send(note(1024 * 1024));
    kill_process(group, Signal::KILL).unwrap();
    assert!(matches!(tokio::time::timeout(AT_ONCE, lost).await.unwrap(), Err(CallError::Closed(_))));
    assert!(matches!(upstream.connection.send(note(1)).await, Err(CallError::NotSent(_))));
}

async fn big() {
    let upstream = start_child().await;
    let arguments = format!(r#"{{"text":"{}é"}}"#, "x\\n".repeat(1_000_000));
    let calls: Vec<_> = (0..3).map(|_| upstream.send("echo", &arguments)).collect();
    for call in calls {
        assert!(finish(call).await.as_ref() == Ok(&arguments));
    }
}

async fn flood() {
    let upstream = start("flood", &this_binary(child::ARGUMENT)).await;
    let begin = Instant::now();
    let mut call = upstream.send("flood stderr", "1600");
    let item = tokio::time::timeout(Duration::from_secs(30), next_item(call.as_mut())).await.unwrap();
    assert!(matches!(item, Item::Answer(_)), "{item:?}");
    upstream.connection.close("the test is over").await;
    let (lines, seconds) = (FLOOD_LOG_LINES.load(Ordering::Relaxed), begin.elapsed().as_secs() as usize);
    // And a few lines of our own about start, end and what was dropped.
    assert!(lines <= 105 * (seconds + 1) + 5, "{lines} lines in {seconds} s");
    assert_eq!(upstream.connection.status().last_words.len(), 20);
}

/// CPU time of this process, user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: u64 =
        stat[stat.rfind(')').unwrap()..].split(' ').skip(12).take(2).map(|t| t.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Prints what a call costs this process, one at a time and with 64 in flight. Run it alone and in release mode.
fn cost() {
    for (workers, in_flight, rounds) in [(1, 1, 50_000), (2, 1, 50_000), (1, 64, 5_000), (2, 64, 5_000)] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
        let upstream = runtime.block_on(start_child());
        let (begin, cpu_before) = (Instant::now(), cpu());
        let task = runtime.spawn(async move {
            for _ in 0..rounds {
                let calls: Vec<_> =
                    (0..in_flight).map(|_| upstream.send("echo", r#"{"text":"hello"}"#)).collect();
                for mut call in calls {
                    let item = next_item(call.as_mut()).await;
                    assert!(matches!(item, Item::Answer(message) if message.raw(Field::Meta).is_none()));
                }
            }
        });
        runtime.block_on(task).unwrap();
        let calls = f64::from(rounds * in_flight);
        let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu().saturating_sub(cpu_before).as_secs_f64());
        let (rate, each) = (calls / wall, cpu / calls * 1e6);
        println!(
            "{workers} worker(s), {in_flight:2} in flight: {rate:.0} calls/s, {each:.2} µs CPU per call"
        );
    }
}
