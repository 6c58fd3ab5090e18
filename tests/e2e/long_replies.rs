//! A result that is too long to be held passes while it comes: whole, in bounded memory, only as fast as its client
//! reads, and beside other calls.

use std::time::{Duration, Instant};

use aqe_testkit::client::{Answer, HttpSession, Message};
use aqe_testkit::raw::{large_envelope, large_text};
use serde_json::json;

use crate::support::{Client, Era, Gateway, Over, Pair, Plan, Upstream, each, one_by_one};

const MIB: usize = 1024 * 1024;
/// More than may be held of one answer.
pub(crate) const LARGE: usize = 5 * MIB;
const HELD: &str = "max_line_bytes = 4194304";
/// Several times what a long result may take.
const HUGE: usize = 20 * MIB;
/// What a long result may add to the memory of the gateway, whatever its length. Built without optimisation it keeps more
/// than the figure in docs/adr/0008 says.
const MOST_MEMORY: usize = 12 * MIB;

pub(crate) fn large(id: &str, arguments: &serde_json::Value) -> Message {
    Message::call(id, "large", &arguments.to_string())
}

pub(crate) async fn start(pair: Pair, flags: &[&str]) -> (Gateway, Client) {
    let flags = [&["--large"], flags].concat();
    let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, &flags).await;
    let mut gateway = Gateway::start(Plan::new(pair.client_over).server(HELD).upstream(upstream)).await;
    let mut client = gateway.connect(pair.client.revision(), "{}").await;
    assert_eq!(client.call(1, "bare", "{}").await.content_text(), "bare");
    (gateway, client)
}

/// A member of `/proc/PID/status` that is given in kB, in bytes.
fn memory(gateway: &Gateway, member: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(member)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Begins to watch the peak of the memory; what it stands at now.
fn watch_memory(gateway: &Gateway) -> usize {
    std::fs::write(format!("/proc/{}/clear_refs", gateway.pid()), "5").unwrap();
    memory(gateway, "VmRSS")
}

/// Checks the bytes of an answer to `large` with the id `id` (JSON text): all of them, but for the one member that the
/// eras differ in.
pub(crate) fn assert_whole(pair: Pair, answer: &str, id: &str, bytes: usize, id_last: bool) {
    let added = r#","resultType":"complete""#;
    let modern = pair.upstream == Era::Modern && pair.client == Era::Modern;
    let (begin, mut end) = large_envelope(id, modern, id_last);
    if pair.client == Era::Modern && pair.upstream == Era::Legacy {
        end = end.replacen("1.50", &format!("1.50{added}"), 1);
    }
    let text = answer.strip_prefix(&begin).unwrap_or_else(|| panic!("begins {answer:.200}"));
    let text = text.strip_suffix(&end).unwrap_or_else(|| panic!("ends {}", &answer[answer.len() - 100..]));
    assert_eq!(text.len(), large_text(bytes).len());
    assert!(text == large_text(bytes), "another text");
}

#[tokio::test]
async fn a_long_result_passes_whole_in_bounded_memory_whatever_its_length() {
    let pairs = Pair::all().into_iter().filter(|pair| pair.is_same_era()).collect();
    one_by_one(pairs, |pair| async move {
        let (gateway, mut client) = start(pair, &[]).await;
        let mut idle = 0;
        for (round, bytes) in [HUGE / 4, HUGE].into_iter().enumerate() {
            let id_last = round == 1;
            let id = format!("\"large-{round}\"");
            idle = if round == 0 { watch_memory(&gateway) } else { idle };
            let answer = client.request(&large(&id, &json!({ "bytes": bytes, "id_last": id_last }))).await;
            assert_whole(pair, &answer.text, &id, bytes, id_last);
        }
        let peak = memory(&gateway, "VmHWM");
        println!("{pair}: {} KiB over {} KiB", (peak - idle) / 1024, idle / 1024);
        assert!(peak - idle < MOST_MEMORY, "{} bytes over {idle}", peak - idle);
        assert_eq!(client.call(2, "bare", "{}").await.content_text(), "bare");
    })
    .await;
}

/// Pairs with an upstream over HTTP.
fn from_http() -> Vec<Pair> {
    Pair::all().into_iter().filter(|pair| pair.upstream_over == Over::Http).collect()
}

#[tokio::test]
async fn chunks_and_events_of_an_upstream_pass_as_well() {
    for flags in [&[][..], &["--always-sse"]] {
        each(from_http(), move |pair| async move {
            let (_gateway, mut client) = start(pair, flags).await;
            let answer = client.request(&large("7", &json!({ "bytes": LARGE, "chunked": true }))).await;
            assert_whole(pair, &answer.text, "7", LARGE, false);
        })
        .await;
    }
}

#[tokio::test]
async fn notifications_come_before_it_and_it_is_the_last_event() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = start(pair, &[]).await;
        let call = large("7", &json!({ "bytes": LARGE, "progress": true })).progress_token("\"t\"");
        let answer = client.request(&call).await;
        assert_eq!(answer.notifications("notifications/progress").len(), 1);
        assert_whole(pair, &answer.text, "7", LARGE, false);
    })
    .await;
}

fn to_http() -> Vec<Pair> {
    Pair::all().into_iter().filter(|pair| pair.client_over == Over::Http).collect()
}

#[tokio::test]
async fn a_client_that_reads_slowly_makes_us_read_slowly_and_gets_all() {
    let pairs = to_http().into_iter().filter(|pair| pair.is_same_era()).collect();
    each(pairs, |pair| async move {
        let (gateway, client) = start(pair, &[]).await;
        let idle = watch_memory(&gateway);
        let bytes = 2 * HUGE;
        let mut response = client.session().start(&large("7", &json!({ "bytes": bytes }))).await;
        let mut text = Vec::new();
        while text.len() < LARGE / 2 {
            text.extend_from_slice(&response.piece().await.expect("expected more"));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(memory(&gateway, "VmHWM") - idle < MOST_MEMORY);
        text.extend(response.bytes().await);
        let text = String::from_utf8(text).unwrap();
        // An answer that has taken its time comes as an event.
        let answer = text.rsplit("data: ").next().unwrap_or_default().trim_end();
        assert_whole(pair, answer, "7", bytes, false);
    })
    .await;
}

#[tokio::test]
async fn other_calls_are_answered_meanwhile() {
    // What a child writes in one line, and what a client reads in one, stands before all that comes after it.
    let pairs = Pair::all()
        .into_iter()
        .filter(|pair| pair.client_over == Over::Http && pair.upstream_over == Over::Http)
        .collect();
    each(pairs, |pair| async move {
        let (_gateway, mut client) = start(pair, &[]).await;
        let mut response =
            client.session().start(&large("\"l\"", &json!({ "bytes": LARGE, "pause_ms": 5 }))).await;
        let begun = Instant::now();
        for id in 2..20 {
            assert_eq!(client.call(id, "bare", "{}").await.content_text(), "bare");
        }
        assert!(begun.elapsed() < Duration::from_secs(3), "18 calls took {:?}", begun.elapsed());
        assert_whole(pair, &response.answer("\"l\"").await.text, "\"l\"", LARGE, false);
    })
    .await;
}

#[tokio::test]
async fn calls_that_share_a_pipe_with_it_are_answered_behind_it() {
    let pairs = Pair::all().into_iter().filter(|pair| pair.upstream_over == Over::Stdio).collect();
    each(pairs, |pair| async move {
        let (gateway, mut client) = start(pair, &[]).await;
        client.begin(&large("\"l\"", &json!({ "bytes": LARGE }))).await;
        gateway.upstreams[0].event(&["tool"], "large").await;
        for id in 2..6 {
            client.begin(&Message::call(id, "bare", "{}")).await;
        }
        assert_whole(pair, &client.finish("\"l\"").await.text, "\"l\"", LARGE, false);
        for id in 2..6 {
            assert_eq!(client.finish(&id.to_string()).await.content_text(), "bare");
        }
    })
    .await;
}

async fn answer(session: HttpSession, id: &'static str, arguments: serde_json::Value) -> Answer {
    session.request(&large(id, &arguments)).await
}

#[tokio::test]
async fn equal_calls_at_the_same_time_are_all_answered_and_none_is_kept() {
    each(to_http(), |pair| async move {
        let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, &["--large"]).await;
        let upstream = upstream.with("cache = { tool_ttl_ms = { large = 60000 } }");
        let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
        let client = gateway.connect(pair.client.revision(), "{}").await;
        let bytes = 2 * MIB;
        let session = client.session().clone();
        let call = move |id| tokio::spawn(answer(session.clone(), id, json!({ "bytes": bytes })));
        let calls = [("1", call("1")), ("2", call("2")), ("3", call("3"))];
        for (id, call) in calls {
            assert_whole(pair, &call.await.unwrap().text, id, bytes, false);
        }
        assert_whole(pair, &call("4").await.unwrap().text, "4", bytes, false);
        let runs = gateway.upstreams[0].count("tool", "large");
        assert_eq!(runs, 4, "each call ran by itself");
    })
    .await;
}

#[tokio::test]
async fn a_result_beyond_its_limit_is_refused_or_broken_off() {
    each(from_http(), |pair| async move {
        let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, &["--large"]).await;
        let upstream = upstream.with("max_result_bytes = 4000000");
        let mut gateway = Gateway::start(Plan::new(pair.client_over).upstream(upstream)).await;
        let mut client = gateway.connect(pair.client.revision(), "{}").await;
        assert_whole(
            pair,
            &client.request(&large("1", &json!({ "bytes": 3 * MIB }))).await.text,
            "1",
            3 * MIB,
            false,
        );
        // Its length is known before its first byte leaves.
        let refused = client.request(&large("2", &json!({ "bytes": 5 * MIB }))).await;
        assert!(refused.text.contains("answer of more than 4000000 bytes"), "{:.300}", refused.text);
    })
    .await;
}
