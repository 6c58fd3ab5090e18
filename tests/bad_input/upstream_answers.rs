//! The upstream's side of the framing, over pipes and over HTTP: each of its bad answers ends its own call, at once
//! and with a reason, and no other.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use aqe_testkit::{
    client::{Answer, HttpSession, Message, Revision, StdioClient},
    process::binary,
    raw::{BAD_MODES, BadMode, Effect, Over},
};
use serde_json::json;

use super::support::{Faults, Gateway, child, run};

/// What is noticed is noticed long before the deadline of 30 s.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Deadline of the upstreams that stay silent.
const SILENCE: Duration = Duration::from_millis(700);
/// Longest line and body of the upstreams.
const LIMIT: usize = 1024 * 1024;

/// What must become of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answer,
    Error,
    AnswerOrError,
    TimeOut,
}

fn outcome(mode: &BadMode, over: Over) -> Outcome {
    match (mode.effect, mode.name) {
        // Some servers make a text of a number; there is no doubt which call it answers. A batch is what the
        // revisions before 2025-06-18 may send. A stateless server must not send a request, and whether that spoils
        // its answer is left open.
        (_, "string-id" | "bom" | "batch" | "server-request") => Outcome::AnswerOrError,
        // On a pipe `garbage` is a log line of a careless server, as in `garbage-before`.
        (_, "garbage") if over == Over::Stdio => Outcome::TimeOut,
        (Effect::Silence, _) => Outcome::TimeOut,
        (Effect::Answer, _) => Outcome::Answer,
        (Effect::Invalid | Effect::Closed | Effect::Questionable, _) => Outcome::Error,
    }
}

/// Whether the mode tells which call it is meant for, or needs not: the others fail a call at once only while it is
/// the only one.
fn is_attributable(mode: &BadMode, over: Over) -> bool {
    over == Over::Http || !["garbage", "unknown-id", "null-id", "long", "string-id"].contains(&mode.name)
}

/// Whether the upstream's process, or its pipe, ends with the mode.
fn ends_upstream(mode: &BadMode, over: Over) -> bool {
    let ends = ["exit-0", "exit-1", "kill-9"].contains(&mode.name);
    ends || over == Over::Stdio && ["close-stdout", "half-line"].contains(&mode.name)
}

/// Whether no later call over the same connection can work.
fn is_deaf(mode: &BadMode) -> bool {
    ["stop-reading", "unfinished-line"].contains(&mode.name)
}

/// The upstream of a mode: one of its own where it does not come back unharmed.
fn upstream_of(mode: &BadMode, over: Over) -> String {
    if ends_upstream(mode, over) || is_deaf(mode) {
        mode.name.replace('-', "")
    } else if outcome(mode, over) == Outcome::TimeOut {
        "silent".to_owned()
    } else {
        "calm".to_owned()
    }
}

fn modes(over: Over) -> impl Iterator<Item = &'static BadMode> {
    BAD_MODES.iter().filter(move |mode| mode.over == over || mode.over == Over::Both)
}

/// A gateway, and the servers behind it where they are no children of it.
struct World {
    gateway: Gateway,
    _servers: Vec<StdioClient>,
}

async fn world(over: Over, era: &str) -> World {
    let mut names: Vec<(String, Outcome)> =
        modes(over).map(|mode| (upstream_of(mode, over), outcome(mode, over))).collect();
    let mut seen = HashSet::new();
    names.retain(|(name, _)| seen.insert(name.clone()));
    let (mut servers, mut upstreams) = (Vec::new(), String::new());
    for (name, outcome) in names {
        let deadline = if outcome == Outcome::TimeOut { SILENCE.as_millis() } else { 30_000 };
        let bounds = format!("max_line_bytes = {LIMIT}\nmax_result_bytes = 0\n");
        let more = format!("{bounds}request_timeout_ms = {deadline}\nera = \"{era}\"\n");
        let upstream = if over == Over::Stdio {
            child(&name, "rawmcp", &["stdio"], &more)
        } else {
            let mut server = StdioClient::spawn(&binary("rawmcp"), ["http"]);
            let url = server.listening_url().await;
            servers.push(server);
            format!("[[upstream]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}")
        };
        upstreams.push_str(&upstream);
    }
    World { gateway: Gateway::http("", &upstreams).await, _servers: servers }
}

fn call(id: &str, upstream: &str, tool: &str, arguments: &str) -> Message {
    Message::call(format!("\"{id}\""), &format!("{upstream}__{tool}"), arguments)
}

/// Makes the call of a mode and says what came of it, or what is wrong with that.
async fn call_badly(session: &HttpSession, mode: &BadMode, over: Over) -> Result<(), String> {
    let (upstream, expected) = (upstream_of(mode, over), outcome(mode, over));
    let arguments = json!({ "mode": mode.name, "bytes": 2 * LIMIT, "interval_ms": 1 }).to_string();
    let started = Instant::now();
    let message = call(mode.name, &upstream, "bad", &arguments).progress_token("\"t\"");
    let exchange = async {
        let mut response = session.start(&message).await;
        let answer = response.answer(&format!("\"{}\"", mode.name)).await;
        let took = started.elapsed();
        (answer, took, response.message().await.filter(|_| response.is_event_stream()))
    };
    let (answer, took, rest) =
        tokio::time::timeout(AT_ONCE, exchange).await.map_err(|_| "no answer".to_owned())?;
    if let Some(rest) = rest {
        return Err(format!("{rest:.200} after the answer"));
    }
    let right = match expected {
        Outcome::Answer => !answer.is_error(),
        Outcome::Error | Outcome::TimeOut => answer.is_error(),
        Outcome::AnswerOrError => true,
    };
    let shown = || format!("{:.300} after {took:?}", answer.text);
    if !right {
        return Err(format!("expected {expected:?}, got {}", shown()));
    }
    if mode.name == "unfinished-line" && answer.text.contains("upstream_malformed") {
        // The server's next line, its answer to a health check, has finished the line.
        return Ok(());
    }
    if expected == Outcome::TimeOut && took < SILENCE {
        return Err(format!("at the wrong time: {}", shown()));
    }
    if answer.is_error() { explains(&answer, &upstream, expected) } else { Ok(()) }
}

/// Whether an error names the upstream and a reason, and holds no more than that.
fn explains(answer: &Answer, upstream: &str, expected: Outcome) -> Result<(), String> {
    let error = answer.error();
    let reason = error["data"]["reason"].as_str().unwrap_or_default();
    let message = error["message"].as_str().unwrap_or_default();
    let named = error["data"]["upstream"] == upstream && message.contains(upstream);
    let right = (reason == "upstream_timeout") == (expected == Outcome::TimeOut);
    if error["code"] != -32603 || !named || !right || reason.is_empty() || answer.text.len() > 2_048 {
        return Err(format!("a poor explanation: {:.400}", answer.text));
    }
    Ok(())
}

/// A call that works, if not at once then as soon as the upstream is back.
async fn works_again(session: &HttpSession, upstream: &str, patience: Duration) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let answer = session.request(&call("next", upstream, "bare", "{}")).await;
        if !answer.is_error() {
            return Ok(());
        }
        if started.elapsed() > patience {
            return Err(format!("the next call: {:.300}", answer.text));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn check_alone(session: &HttpSession, mode: &BadMode, over: Over) -> Result<(), String> {
    call_badly(session, mode, over).await?;
    let upstream = upstream_of(mode, over);
    if over == Over::Http && ends_upstream(mode, over) {
        // Nobody starts a server again that is not ours; but the error must come, and say so.
        let next = session.request(&call("next", &upstream, "bare", "{}")).await;
        return if next.is_error() { Ok(()) } else { Err("an answer of a server that has ended".into()) };
    }
    if is_deaf(mode) {
        return Ok(());
    }
    let patience = if ends_upstream(mode, over) { Duration::from_secs(3) } else { Duration::ZERO };
    works_again(session, &upstream, patience).await
}

/// The same beside another call on the same upstream, which must not notice.
async fn check_beside(session: &HttpSession, mode: &BadMode, over: Over) -> Result<(), String> {
    let upstream = upstream_of(mode, over);
    let sleep = call("beside", &upstream, "sleep", r#"{"ms":250}"#);
    let badly = async {
        // The other call is under way by then.
        tokio::time::sleep(Duration::from_millis(30)).await;
        call_badly(session, mode, over).await
    };
    let (beside, badly) = tokio::join!(session.request(&sleep), badly);
    badly?;
    if beside.is_error() { Err(format!("the call beside it: {:.300}", beside.text)) } else { Ok(()) }
}

async fn check_all(over: Over, revision: Revision) {
    let world = world(over, if revision.is_modern() { "modern" } else { "legacy" }).await;
    let session = world.gateway.session(revision).await;
    let mut listening = if revision.is_modern() { None } else { Some(session.listen().await) };
    let (mut faults, mut cases) = (Faults::default(), 0);
    for mode in modes(over) {
        cases += 1;
        faults.check(mode.name, check_alone(&session, mode, over).await);
        if is_attributable(mode, over) && !ends_upstream(mode, over) && !is_deaf(mode) {
            faults.check(&format!("{} beside", mode.name), check_beside(&session, mode, over).await);
        }
    }
    if let Some(listening) = &mut listening {
        while let Some(event) = listening.event_within(Duration::from_millis(50)).await {
            // Beside the calls' own streams there may be news of lists, and nothing of calls that are over.
            if event.data.contains("notifications/progress") {
                faults.add("the session's stream", event.data);
            }
        }
    }
    faults.report(cases);
}

#[test]
fn a_child_of_the_handshake_revisions_fails_only_its_call() {
    run(check_all(Over::Stdio, Revision::V2025_11_25));
}

#[test]
fn a_child_of_the_stateless_revision_fails_only_its_call() {
    run(check_all(Over::Stdio, Revision::V2026_07_28));
}

#[test]
fn a_server_of_the_handshake_revisions_fails_only_its_call() {
    run(check_all(Over::Http, Revision::V2025_11_25));
}

#[test]
fn a_server_of_the_stateless_revision_fails_only_its_call() {
    run(check_all(Over::Http, Revision::V2026_07_28));
}

/// The most memory that a process has held, in bytes.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim_end().parse::<u64>().unwrap() * 1024
}

#[test]
fn an_answer_of_100_mb_is_refused_in_little_memory() {
    run(async {
        for over in [Over::Stdio, Over::Http] {
            let world = world(over, "legacy").await;
            let session = world.gateway.session(Revision::V2025_11_25).await;
            works_again(&session, "calm", Duration::ZERO).await.unwrap();
            let before = peak_memory(world.gateway.process.pid());
            let answer =
                session.request(&call("long", "calm", "bad", r#"{"mode":"long","bytes":100000000}"#)).await;
            explains(&answer, "calm", Outcome::Error).unwrap();
            let grown = peak_memory(world.gateway.process.pid()) - before;
            assert!(grown < 16 * LIMIT as u64, "{over:?}: {grown} bytes");
            works_again(&session, "calm", Duration::ZERO).await.unwrap();
        }
    });
}
