//! What is wrong with one upstream is that upstream's matter.

use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpSession, Message, Revision};

use crate::support::{Client, Era, Gateway, Over, Pair, Plan, Upstream, each, id_of};

/// A refusal of the gateway itself.
fn assert_refused(answer: &aqe_testkit::client::Answer, upstream: &str, reason: &str, parts: &[&str]) {
    let error = answer.error();
    assert_eq!(error["code"], -32603, "{error}");
    assert_eq!(error["data"]["upstream"], upstream, "{error}");
    assert_eq!(error["data"]["reason"], reason, "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    for part in parts {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
}

async fn with_bad_neighbours() -> Plan {
    let slow = Upstream::raw("slow", Era::Legacy, Over::Stdio, &["--slow-start", "8000"]).await;
    Plan::new(Over::Http)
        .upstream(Upstream::raw("good", Era::Legacy, Over::Stdio, &[]).await)
        .upstream(Upstream::raw("dead", Era::Legacy, Over::Stdio, &["--exit-at-start", "7"]).await)
        .upstream(slow)
        .upstream(Upstream::command("broken", "/bin/echo", &["hello"]))
        .upstream(Upstream::command("missing", "/no/such/program", &[]))
        .upstream(Upstream::at("gone", "http://127.0.0.1:1/mcp"))
}

#[tokio::test]
async fn a_good_upstream_is_not_delayed_by_a_dead_a_slow_and_a_broken_one() {
    let mut gateway = Gateway::start(with_bad_neighbours().await).await;
    let begun = Instant::now();
    let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
    assert_eq!(client.call(1, "good__bare", "{}").await.content_text(), "bare");
    assert!(begun.elapsed() < Duration::from_secs(3), "the first call took {:?}", begun.elapsed());
    // The first list waits a little for those that were never seen, but not for ever.
    let listed = client.request(&Message::request(2, "tools/list")).await;
    assert!(listed.raw_result().contains("good__bare"));
    assert!(begun.elapsed() < Duration::from_secs(7), "the first list took {:?}", begun.elapsed());
    let begun = Instant::now();
    for id in 3..20 {
        assert_eq!(client.call(id, "good__bare", "{}").await.content_text(), "bare");
        client.request(&Message::request(id + 100, "tools/list")).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "17 calls and lists took {:?}", begun.elapsed());
}

#[tokio::test]
async fn the_first_handshake_waits_for_capabilities_only_a_little_and_later_ones_not_at_all() {
    for over in [Over::Stdio, Over::Http] {
        let slow = || Upstream::raw("slow", Era::Legacy, Over::Stdio, &["--slow-start", "9000"]);
        let mut gateway = Gateway::start(Plan::new(over).upstream(slow().await)).await;
        let begun = Instant::now();
        let _first = gateway.connect(Era::Legacy.revision(), "{}").await;
        assert!(begun.elapsed() < Duration::from_secs(7), "{over:?}: {:?}", begun.elapsed());
        if over == Over::Http {
            let begun = Instant::now();
            gateway.connect(Era::Legacy.revision(), "{}").await;
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
    }
}

/// Pairs whose upstream is a child.
fn children() -> Vec<Pair> {
    Pair::all().into_iter().filter(|pair| pair.upstream_over == Over::Stdio).collect()
}

/// How many processes of the first upstream got such a request. One that keeps silent for long when it is asked for its
/// era is started anew, and on a busy machine any may.
fn processes_with(gateway: &Gateway, method: &str) -> usize {
    let events = gateway.upstreams[0].events().into_iter();
    let mut pids: Vec<u32> = events.filter(|it| it.method == method).map(|it| it.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.len()
}

#[tokio::test]
async fn a_crash_fails_the_calls_in_flight_at_once_with_the_reason_and_the_next_call_works() {
    each(children(), |pair| async move {
        let (gateway, mut client) = pair.open(&[]).await;
        client.begin(&Message::call("\"s\"", "sleep", r#"{"ms":30000}"#)).await;
        gateway.upstreams[0].event(&["request"], "tools/call").await;
        let begun = Instant::now();
        let crashed = client.call(1, "bad", r#"{"mode":"exit-1"}"#).await;
        let parts = ["exited with status 1", "the disk is on fire"];
        assert_refused(&crashed, "up", "upstream_closed", &parts);
        assert_refused(&client.finish("\"s\"").await, "up", "upstream_closed", &parts);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(client.call(2, "bare", "{}").await.content_text(), "bare");
        let killed = client.call(3, "bad", r#"{"mode":"kill-9"}"#).await;
        assert_refused(&killed, "up", "upstream_closed", &["signal 9"]);
        assert_eq!(client.call(4, "bare", "{}").await.content_text(), "bare");
        assert_eq!(processes_with(&gateway, "tools/call"), 3, "{:?}", gateway.upstreams[0].events());
    })
    .await;
}

#[tokio::test]
async fn a_malformed_answer_fails_its_call_at_once_and_no_other() {
    each(Pair::all(), |pair| async move {
        let (gateway, mut client) = pair.open(&[]).await;
        client.begin(&Message::call("\"s\"", "sleep", r#"{"ms":2500}"#)).await;
        gateway.upstreams[0].event(&["request"], "tools/call").await;
        let begun = Instant::now();
        for mode in ["result-and-error", "neither", "wrong-jsonrpc", "invalid-utf8"] {
            let answer = client.call(1, "bad", &format!(r#"{{"mode":"{mode}"}}"#)).await;
            assert_refused(&answer, "up", "upstream_malformed", &[]);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(client.finish("\"s\"").await.content_text(), "slept 2500 ms");
    })
    .await;
}

async fn open(pair: Pair, flags: &[&str], lines: &[&str]) -> (Gateway, Client) {
    let mut upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, flags).await;
    for line in lines {
        upstream = upstream.with(line);
    }
    let mut gateway = Gateway::start(Plan::new(pair.client_over).upstream(upstream)).await;
    let client = gateway.connect(pair.client.revision(), "{}").await;
    (gateway, client)
}

#[tokio::test]
async fn a_call_that_is_never_answered_ends_at_its_deadline_and_is_cancelled_upstream() {
    each(Pair::all(), |pair| async move {
        let lines = ["request_timeout_ms = 700", "tool_timeout_ms = { sleep = 300 }"];
        let (gateway, mut client) = open(pair, &[], &lines).await;
        assert_eq!(client.call(1, "bare", "{}").await.content_text(), "bare");
        for (tool, arguments, least) in
            [("sleep", r#"{"ms":20000}"#, 300), ("bad", r#"{"mode":"never"}"#, 700)]
        {
            let begun = Instant::now();
            let answer = client.call(2, tool, arguments).await;
            let took = begun.elapsed();
            assert_refused(&answer, "up", "upstream_timeout", &["timed out after"]);
            let least = Duration::from_millis(least);
            assert!(took >= least && took < least + Duration::from_secs(2), "{tool} took {took:?}");
        }
        gateway.upstreams[0].event(&["cancelled", "disconnected"], "").await;
        assert_eq!(client.call(3, "bare", "{}").await.content_text(), "bare");
    })
    .await;
}

#[tokio::test]
async fn progress_keeps_a_call_alive_beyond_its_idle_time() {
    each(Pair::all(), |pair| async move {
        let lines = ["idle_timeout_ms = 300", "request_timeout_ms = 700"];
        let (_gateway, mut client) = open(pair, &[], &lines).await;
        client.call(1, "bare", "{}").await;
        let message = Message::call(2, "progress", r#"{"count":10,"interval_ms":100}"#);
        let answer = client.request(&message.progress_token(1)).await;
        assert_eq!(answer.content_text(), "sent 10");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_answers_the_handshake_fails_within_the_connect_time_out() {
    for upstream_over in [Over::Stdio, Over::Http] {
        let pair =
            Pair { client: Era::Legacy, client_over: Over::Http, upstream: Era::Legacy, upstream_over };
        let flags = ["--mute", "initialize", "--mute", "server/discover"];
        let begun = Instant::now();
        let (_gateway, mut client) = open(pair, &flags, &["connect_timeout_ms = 500"]).await;
        let answer = client.call(1, "bare", "{}").await;
        assert!(answer.error()["message"].to_string().contains("up"), "{}", answer.text);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_forgotten_http_session_is_opened_again_and_the_client_notices_nothing() {
    let pairs = Pair::all();
    let pairs =
        pairs.into_iter().filter(|pair| pair.upstream == Era::Legacy && pair.upstream_over == Over::Http);
    each(pairs.collect(), |pair| async move {
        let (gateway, mut client) = pair.open(&[]).await;
        for id in 1..4 {
            assert_eq!(client.call(id, "forget", "{}").await.content_text(), "forgotten");
            assert_eq!(client.call(id + 10, "bare", "{}").await.content_text(), "bare");
        }
        let opened = gateway.upstreams[0].events();
        let opened = opened.iter().filter(|event| event.what == "session_opened").count();
        assert!(opened >= 4, "{opened} sessions");
        assert_eq!(gateway.upstreams[0].count("request", "tools/call"), 6, "no call was made twice");
    })
    .await;
}

#[tokio::test]
async fn a_server_of_both_eras_is_spoken_to_in_the_clients_own() {
    for over in [Over::Stdio, Over::Http] {
        let upstream = Upstream::fixture_of_any_era("up", over, &[]).await;
        let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
        let able = r#"{"roots":{}}"#;
        let mut modern = gateway.connect(Era::Modern.revision(), able).await;
        let mut legacy = gateway.connect(Era::Legacy.revision(), able).await;
        for id in 1..4 {
            // Each era has a way of its own to ask a client.
            let asked = modern.call(id, "list_roots", "{}").await.result();
            assert_eq!(asked["resultType"], "input_required", "{over:?}: {asked}");
            let answer = legacy
                .request_answering(&Message::call(id, "list_roots", "{}"), |request| {
                    let id = id_of(request);
                    format!(
                        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"roots":[{{"uri":"file:///here"}}]}}}}"#
                    )
                })
                .await;
            assert!(answer.content_text().contains("file:///here"), "{over:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn every_revision_of_client_and_upstream_work_together() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let upstream =
            Upstream::raw("up", Era::Legacy, Over::Http, &["--legacy-version", version, "--always-sse"])
                .await;
        let gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
        for revision in Revision::ALL {
            let session = HttpSession::open(gateway.http(), revision).await;
            let answer = session.request(&Message::call(1, "bare", "{}")).await;
            assert_eq!(answer.content_text(), "bare", "{revision:?} {version}");
        }
    }
}

#[tokio::test]
async fn an_upstream_at_rest_is_shown_with_no_call_in_flight() {
    let upstream = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await;
    let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
    client.call(1, "bare", "{}").await.result();
    // We listen to it.
    gateway.upstreams[0].event(&["request"], "subscriptions/listen").await;
    let status = gateway.ask("mcp status").await.expect("expected the state");
    assert_eq!(status["upstreams"][0]["calls_in_flight"], 0, "{status}");
}

#[tokio::test]
async fn a_server_is_started_once_whatever_its_era_and_whenever_the_first_calls_come() {
    for _ in 0..6 {
        let upstream = Upstream::raw("up", Era::Legacy, Over::Stdio, &[]).await;
        let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
        let mut clients = Vec::new();
        // While the server starts, tells its era and is taken into use.
        for id in 0..24 {
            let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
            client.begin(&Message::call(id, "bare", "{}")).await;
            clients.push((id, client));
        }
        for (id, mut client) in clients {
            assert_eq!(client.finish(&id.to_string()).await.content_text(), "bare");
        }
        assert_eq!(processes_with(&gateway, "initialize"), 1, "{:?}", gateway.upstreams[0].events());
    }
}
