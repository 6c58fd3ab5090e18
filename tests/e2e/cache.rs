//! Answers that are given again: which, to whom, for how long, and how one can tell.

use std::time::Duration;

use aqe_testkit::client::{Answer, HttpSession, Message};
use aqe_testkit::process::wait_until;
use serde_json::{Value, json};

use crate::support::{Era, Gateway, Over, Pair, Plan, Upstream, each, text_of};

/// Where a reply came from; null for one of the upstream.
pub(crate) fn mark(answer: &Answer) -> Value {
    answer.result()["_meta"]["aqe-v3/cache"].clone()
}

/// The level that a reply came from, empty for the upstream.
pub(crate) fn level(answer: &Answer) -> String {
    mark(answer)["level"].as_str().unwrap_or_default().to_owned()
}

/// A gateway over HTTP in front of one raw upstream with these lines in its table.
pub(crate) async fn gateway(era: Era, flags: &[&str], lines: &[&str]) -> Gateway {
    start(Plan::new(Over::Http), era, flags, lines).await
}

pub(crate) async fn start(plan: Plan, era: Era, flags: &[&str], lines: &[&str]) -> Gateway {
    let upstream = Upstream::raw("up", era, Over::Stdio, flags).await;
    let upstream = lines.iter().fold(upstream, |upstream, line| upstream.with(line));
    Gateway::start(plan.upstream(upstream)).await
}

pub(crate) async fn session(gateway: &Gateway) -> HttpSession {
    HttpSession::open(gateway.http(), Era::Modern.revision()).await
}

/// How often the tool was called.
pub(crate) fn runs(gateway: &Gateway, tool: &str) -> usize {
    gateway.upstreams[0].count("tool", tool)
}

/// The figures of the cache.
pub(crate) async fn figures(gateway: &Gateway) -> Value {
    let text = gateway.admin().get("/admin/cache").await.text().await;
    serde_json::from_str(&text).expect("expected JSON")
}

/// Those of one level.
pub(crate) async fn stats(gateway: &Gateway, level: usize) -> Value {
    figures(gateway).await["levels"][level].clone()
}

#[tokio::test]
async fn an_equal_call_is_answered_without_the_upstream_in_every_pair() {
    each(Pair::all(), |pair| async move {
        let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, &[]).await;
        let upstream = upstream.with("cache = { tool_ttl_ms = { \"rec*\" = 60000 } }");
        let mut gateway = Gateway::start(Plan::new(pair.client_over).upstream(upstream)).await;
        let mut client = gateway.connect(pair.client.revision(), "{}").await;
        let first = client.call(1, "received", r#"{"a":1,"b":["é",1e400]}"#).await;
        let mut texts = vec![text_of(&first)];
        assert!(!first.text.contains("aqe-v3/cache"), "{}", first.text);
        for (id, spelt) in [(2, r#"{"b":["\u00e9",1E+400],"a":1.0}"#), (3, r#"{ "a":1, "b":["é",1e400] }"#)]
        {
            let again = client.call(id, "received", spelt).await;
            assert!(again.text.contains(r#""aqe-v3/cache":{"level":"l2","ageMs":"#), "{}", again.text);
            texts.push(text_of(&again));
        }
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        assert_eq!(runs(&gateway, "received"), 1);
        // What differs is another question.
        client.call(4, "received", r#"{"a":1,"b":["é",1e401]}"#).await;
        client.call(5, "received", r#"{"a":9007199254740993}"#).await;
        client.call(6, "received", r#"{"a":9007199254740992}"#).await;
        assert_eq!(runs(&gateway, "received"), 4);
        // Nobody has said that this one may be kept.
        for id in 7..9 {
            client.call(id, "bare", "{}").await;
        }
        assert_eq!(runs(&gateway, "bare"), 2);
    })
    .await;
}

#[tokio::test]
async fn a_reply_from_the_cache_differs_from_the_first_one_by_the_mark_alone() {
    let gateway = gateway(Era::Modern, &[], &["cache = { tool_ttl_ms = { \"*\" = 60000 } }"]).await;
    let session = session(&gateway).await;
    let result =
        r#"{"content":[],"x":{"b":1.50,"a":-0,"n":null},"resultType":"complete","_meta":{"k":1e400}}"#;
    let call = |id: u32| Message::call(id, "reply", &json!({ "result": result }).to_string());
    let first = session.request(&call(1)).await;
    let again = session.request(&call(2)).await;
    assert_eq!(first.raw_result(), result);
    let start = again.raw_result().find(r#""aqe-v3/cache":{"#).expect("expected a mark");
    let end = start + again.raw_result()[start..].find('}').expect("expected its end") + 2;
    let without = [&again.raw_result()[..start], &again.raw_result()[end..]].concat();
    assert_eq!(without, result);
}

#[tokio::test]
async fn what_is_asked_for_often_comes_from_the_first_level_and_the_figures_add_up() {
    let gateway = gateway(Era::Modern, &[], &["cache = { tool_ttl_ms = { bare = 60000 } }"]).await;
    let session = session(&gateway).await;
    let mut levels = Vec::new();
    for id in 0..6 {
        levels.push(level(&session.request(&Message::call(id, "bare", "{}")).await));
    }
    assert_eq!(levels, ["", "l2", "l2", "l1", "l1", "l1"]);
    let (hot, memory) = (stats(&gateway, 0).await, stats(&gateway, 1).await);
    assert_eq!(
        (hot["hits"].as_u64(), hot["misses"].as_u64(), hot["entries"].as_u64()),
        (Some(3), Some(3), Some(1))
    );
    assert_eq!((memory["hits"].as_u64(), memory["misses"].as_u64()), (Some(2), Some(1)));
    assert_eq!((memory["entries"].as_u64(), memory["inserted"].as_u64()), (Some(1), Some(1)));
    assert!(memory["bytes"].as_u64().is_some_and(|bytes| (300..3_000).contains(&bytes)), "{memory}");
    assert_eq!(gateway.ask("mcp cache stats").await, Ok(figures(&gateway).await));
    // Who looks at a tool sees what clients have asked for, and what was answered without it.
    let tools = gateway.ask("mcp tools list").await.expect("expected tools");
    let bare = tools["tools"].as_array().into_iter().flatten().find(|tool| tool["name"] == "bare");
    let counts = bare.map(|tool| (tool["calls"].clone(), tool["from_cache"].clone()));
    assert_eq!(counts, Some((json!(6), json!(5))), "{tools}");
}

#[tokio::test]
async fn two_principals_never_share_an_answer_unless_it_is_everybodys() {
    for (shared, runs_expected) in [(false, 2), (true, 1)] {
        let plan = Plan::new(Over::Http).server("bearer_token = \"0123456789abcdef\"");
        let rule = format!("cache = {{ tool_ttl_ms = {{ received = 60000 }}, shared = {shared} }}");
        let gateway = start(plan, Era::Modern, &[], &[&rule]).await;
        let bearer = gateway.http().header("authorization", "Bearer 0123456789abcdef");
        let ann = HttpSession::open(bearer, Era::Modern.revision()).await;
        let bob = HttpSession::open(gateway.local(), Era::Modern.revision()).await;
        // Whose request it was that the upstream saw.
        let call = |who: &str| {
            Message::call(1, "received", r#"{"q":1}"#).meta("example.com/canary", &format!("\"{who}\""))
        };
        for _ in 0..4 {
            let (ann, bob) = (ann.request(&call("ann")).await, bob.request(&call("bob")).await);
            assert!(ann.content_text().contains("ann"), "{}", ann.text);
            assert_eq!(bob.content_text().contains("bob"), !shared, "{}", bob.text);
        }
        assert_eq!(runs(&gateway, "received"), runs_expected);
    }
}

#[tokio::test]
async fn two_principals_that_ask_at_once_do_not_share_a_call() {
    let plan = Plan::new(Over::Http).server("bearer_token = \"0123456789abcdef\"");
    let gateway =
        start(plan, Era::Modern, &[], &["cache = { tool_ttl_ms = { sleep = 60000 }, shared = true }"]).await;
    let bearer = gateway.http().header("authorization", "Bearer 0123456789abcdef");
    let ann = HttpSession::open(bearer, Era::Modern.revision()).await;
    let bob = HttpSession::open(gateway.local(), Era::Modern.revision()).await;
    let call = Message::call(1, "sleep", r#"{"ms":150}"#);
    let (ann, bob) = tokio::join!(ann.request(&call), bob.request(&call));
    assert!(!ann.is_error() && !bob.is_error());
    assert_eq!(runs(&gateway, "sleep"), 2, "an answer may turn out to be one principal's own");
}

#[tokio::test]
async fn errors_and_what_asks_for_input_are_not_kept() {
    let rule = "cache = { tool_ttl_ms = { \"*\" = 60000 } }";
    let gateway = gateway(Era::Modern, &[], &[rule]).await;
    let session = session(&gateway).await;
    for (tool, arguments) in [
        ("reply", r#"{"error":"{\"code\":-32000,\"message\":\"no\"}"}"#),
        ("reply", r#"{"result":"{\"isError\":true,\"content\":[],\"resultType\":\"complete\"}"}"#),
        ("reply", r#"{"result":"{\"task\":{\"taskId\":\"1\"},\"resultType\":\"complete\"}"}"#),
        ("reply", r#"{"wrong":1}"#),
        ("ask", r#"{"method":"roots/list"}"#),
    ] {
        let before = runs(&gateway, tool);
        for id in 0..3 {
            let answer = session.request(&Message::call(id, tool, arguments)).await;
            assert!(!answer.text.contains("aqe-v3/cache"), "{}", answer.text);
        }
        assert_eq!(runs(&gateway, tool) - before, 3, "{tool} {arguments}");
    }
    // An answer to which input led is this client's own, and what is kept is not given to one who brings input.
    let with_input =
        Message::call(9, "ask", r#"{"method":"roots/list"}"#).param("inputResponses", r#"{"ask":{}}"#);
    for _ in 0..2 {
        let answer = session.request(&with_input).await;
        assert!(!answer.is_error() && level(&answer).is_empty(), "{}", answer.text);
    }
    assert_eq!(runs(&gateway, "ask"), 5);
}

#[tokio::test]
async fn a_failed_result_is_kept_for_its_own_time_where_the_configuration_gives_one() {
    let rule = "cache = { tool_ttl_ms = { reply = 60000 }, error_ttl_ms = 300 }";
    let gateway = gateway(Era::Legacy, &[], &[rule]).await;
    let session = HttpSession::open(gateway.http(), Era::Legacy.revision()).await;
    let failed = Message::call(1, "reply", r#"{"result":"{\"isError\":true,\"content\":[]}"}"#);
    for _ in 0..3 {
        session.request(&failed).await;
    }
    assert_eq!(runs(&gateway, "reply"), 1);
    tokio::time::sleep(Duration::from_millis(350)).await;
    session.request(&failed).await;
    assert_eq!(runs(&gateway, "reply"), 2);
}

#[tokio::test]
async fn an_answer_to_which_a_question_to_the_client_led_is_not_kept() {
    let upstream = Upstream::raw("up", Era::Legacy, Over::Stdio, &[]).await;
    let upstream = upstream.with("cache = { tool_ttl_ms = { ask = 60000 } }");
    let mut gateway = Gateway::start(Plan::new(Over::Stdio).upstream(upstream)).await;
    let mut client = gateway.connect(Era::Legacy.revision(), r#"{"roots":{}}"#).await;
    for id in 1..4 {
        let call = Message::call(id, "ask", r#"{"method":"roots/list"}"#);
        let answer = client
            .request_answering(&call, |question| {
                let id = crate::support::id_of(question);
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"roots":[]}}}}"#)
            })
            .await;
        assert!(answer.text.contains("roots") && !answer.text.contains("aqe-v3/cache"), "{}", answer.text);
    }
    assert_eq!(runs(&gateway, "ask"), 3);
}

#[tokio::test]
async fn a_stale_answer_is_given_at_once_and_fetched_anew_once() {
    let rule = "cache = { tool_ttl_ms = { received = 250 }, stale_ms = 60000 }";
    let gateway = gateway(Era::Modern, &[], &[rule]).await;
    let session = session(&gateway).await;
    let call = |id: &str| Message::call(id, "received", "{}");
    let first = session.request(&call("\"first\"")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stale = session.request(&call("\"second\"")).await;
    assert_eq!((mark(&stale)["stale"].as_bool(), stale.content_text()), (Some(true), first.content_text()));
    assert!(mark(&stale)["ageMs"].as_u64().is_some_and(|age| age >= 250), "{}", stale.text);
    let fetched = || (runs(&gateway, "received") == 2).then_some(());
    wait_until(Duration::from_secs(5), "the answer to be fetched anew", fetched).await;
    let fresh = async {
        loop {
            let answer = session.request(&call("\"third\"")).await;
            if mark(&answer)["stale"].is_null() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let fresh = tokio::time::timeout(Duration::from_secs(5), fresh).await.expect("expected a fresh answer");
    assert_ne!(fresh.content_text(), first.content_text(), "it is the answer to the second request");
    assert_eq!(figures(&gateway).await["refreshed"], 1);
}

#[tokio::test]
async fn progress_before_an_answer_is_not_kept_and_does_not_keep_it_from_being_kept() {
    let gateway = gateway(Era::Modern, &[], &["cache = { tool_ttl_ms = { progress = 60000 } }"]).await;
    let session = session(&gateway).await;
    let call = |id: u32| Message::call(id, "progress", r#"{"count":3}"#).progress_token("\"t\"");
    let first = session.request(&call(1)).await;
    assert_eq!(first.notifications("notifications/progress").len(), 3);
    let again = session.request(&call(2)).await;
    assert_eq!((again.before.len(), level(&again).as_str()), (0, "l2"));
}

#[tokio::test]
async fn a_resource_is_kept_as_long_as_its_server_says_and_passed_on_with_what_is_left() {
    let flags = ["--resources", "3", "--read-ttl-ms", "60000"];
    for client in [Era::Modern, Era::Legacy] {
        let gateway = gateway(Era::Modern, &flags, &[]).await;
        let session = HttpSession::open(gateway.http(), client.revision()).await;
        let read = |id: u32| Message::request(id, "resources/read").param("uri", "\"raw://resource/1\"");
        let first = session.request(&read(1)).await.result();
        assert_eq!(first["ttlMs"], 60_000);
        tokio::time::sleep(Duration::from_millis(30)).await;
        for id in 2..6 {
            let again = session.request(&read(id)).await.result();
            assert_eq!(again["contents"], first["contents"]);
            let age = again["_meta"]["aqe-v3/cache"]["ageMs"].as_u64().expect("expected a mark");
            assert!(age >= 30, "{again}");
            assert_eq!(
                (again["ttlMs"].as_u64(), again["cacheScope"].as_str()),
                (Some(60_000 - age), Some("private"))
            );
        }
        assert_eq!(gateway.upstreams[0].count("request", "resources/read"), 1);
    }
}

#[tokio::test]
async fn a_server_that_gives_no_time_or_whose_word_is_not_wanted_is_asked_each_time() {
    for (era, flags, line) in [
        (Era::Modern, &["--resources", "3"][..], "trusted = true"),
        (Era::Modern, &["--resources", "3", "--read-ttl-ms", "0"], "trusted = true"),
        (Era::Modern, &["--resources", "3", "--read-ttl-ms", "60000"], "cache = { hints = false }"),
        (
            Era::Modern,
            &["--resources", "3", "--read-ttl-ms", "60000"],
            "session_scope = \"per_client_session\"",
        ),
        (Era::Legacy, &["--resources", "3", "--read-ttl-ms", "60000"], "trusted = true"),
    ] {
        let gateway = gateway(era, flags, &[line]).await;
        let session = session(&gateway).await;
        for id in 0..3 {
            let read = Message::request(id, "resources/read").param("uri", "\"raw://resource/1\"");
            assert!(level(&session.request(&read).await).is_empty());
        }
        assert_eq!(gateway.upstreams[0].count("request", "resources/read"), 3, "{flags:?} {line}");
    }
}

#[tokio::test]
async fn a_resource_is_everybodys_only_if_its_server_says_so() {
    for (flags, reads) in [
        (&["--resources", "3", "--read-ttl-ms", "60000"][..], 2),
        (&["--resources", "3", "--read-ttl-ms", "60000", "--read-public"], 1),
    ] {
        let plan = Plan::new(Over::Http).server("bearer_token = \"0123456789abcdef\"");
        let gateway = start(plan, Era::Modern, flags, &[]).await;
        let bearer = gateway.http().header("authorization", "Bearer 0123456789abcdef");
        let ann = HttpSession::open(bearer, Era::Modern.revision()).await;
        let bob = HttpSession::open(gateway.local(), Era::Modern.revision()).await;
        for id in 0..3 {
            let read = Message::request(id, "resources/read").param("uri", "\"raw://resource/1\"");
            ann.request(&read).await.result();
            bob.request(&read).await.result();
        }
        assert_eq!(gateway.upstreams[0].count("request", "resources/read"), reads, "{flags:?}");
    }
}

#[tokio::test]
async fn without_optimisations_or_with_the_cache_off_nothing_is_kept() {
    let rule = ["cache = { tool_ttl_ms = { bare = 60000 } }"];
    for plan in [
        Plan::new(Over::Http).arg("--optimized=false"),
        Plan::new(Over::Http).sections("[cache]\nenabled = false\n"),
    ] {
        let gateway = start(plan, Era::Modern, &[], &rule).await;
        let session = session(&gateway).await;
        for id in 0..3 {
            assert!(level(&session.request(&Message::call(id, "bare", "{}")).await).is_empty());
        }
        assert_eq!(runs(&gateway, "bare"), 3);
        let error = gateway.ask("mcp cache stats").await.expect_err("expected no figures");
        assert!(error.contains("there is no result cache"), "{error}");
    }
}

#[tokio::test]
async fn a_list_is_passed_on_with_what_is_left_of_the_time_that_its_servers_give() {
    for (other, hinted) in [(&["--list-ttl-ms", "30000"][..], true), (&[], false)] {
        let up = Upstream::raw("up", Era::Modern, Over::Stdio, &["--list-ttl-ms", "60000"]).await;
        let other = Upstream::raw("other", Era::Modern, Over::Stdio, other).await;
        let gateway = Gateway::start(Plan::new(Over::Http).upstream(up).upstream(other)).await;
        let session = session(&gateway).await;
        session.request(&Message::call(1, "up__bare", "{}")).await.result();
        session.request(&Message::call(2, "other__bare", "{}")).await.result();
        let list = session.request(&Message::request(3, "tools/list")).await.result();
        let ttl = list["ttlMs"].as_u64().expect("expected a time");
        let expected = if hinted { "public" } else { "private" };
        assert_eq!(
            (list["cacheScope"].as_str(), ttl > 20_000 && ttl < 30_000),
            (Some(expected), hinted),
            "{ttl}"
        );
        assert_eq!(ttl == 0, !hinted);
    }
}

#[tokio::test]
async fn a_list_whose_time_is_over_is_fetched_again_when_it_is_asked_for_unless_its_changes_are_announced() {
    for (announced, fetched) in [(true, 1), (false, 2)] {
        let flags = ["--list-ttl-ms", "700", "--unannounced"];
        let flags = if announced { &flags[..2] } else { &flags[..] };
        let up = Upstream::raw("up", Era::Modern, Over::Stdio, flags).await;
        let gateway = Gateway::start(Plan::new(Over::Http).upstream(up)).await;
        let session = session(&gateway).await;
        let asked = || gateway.upstreams[0].count("request", "tools/list");
        for id in 0..5 {
            session.request(&Message::request(id, "tools/list")).await.result();
        }
        assert_eq!(asked(), 1, "its time is not over");
        tokio::time::sleep(Duration::from_millis(800)).await;
        let list = session.request(&Message::request(6, "tools/list")).await.result();
        assert_eq!(list["ttlMs"], 0, "what is fetched again in the background is not there yet");
        let patience = if announced { Duration::from_millis(300) } else { aqe_testkit::client::DEADLINE };
        let until = std::time::Instant::now() + patience;
        while asked() == 1 && std::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(asked(), fetched);
    }
}
