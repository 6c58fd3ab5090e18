//! What makes kept answers invalid.

use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::wait_until;
use serde_json::json;

use crate::cache::{gateway, level, runs, session, stats};
use crate::support::{Era, Gateway, Over, Plan, Upstream};

const RECEIVED: &str = "cache = { tool_ttl_ms = { received = 60000, bare = 60000 }, on_write = \"ignore\" }";

/// Whether this call is answered from the cache; if not it is kept again.
async fn kept(session: &HttpSession, tool: &str) -> bool {
    !level(&session.request(&Message::call(1, tool, "{}")).await).is_empty()
}

/// Has the upstream send this notification beside the call.
async fn notify(session: &HttpSession, method: &str, params: Option<&str>) {
    let mut arguments = json!({ "method": method });
    if let Some(params) = params {
        arguments["params"] = params.into();
    }
    let sent = session.request(&Message::call(1, "notify", &arguments.to_string())).await;
    assert!(!sent.is_error(), "{}", sent.text);
}

#[tokio::test]
async fn a_call_that_may_write_makes_what_is_kept_of_its_upstream_invalid() {
    for (on_write, unannotated, declared) in
        [("assume", false, false), ("declared", true, false), ("ignore", true, true)]
    {
        let rule = format!("cache = {{ tool_ttl_ms = {{ received = 60000 }}, on_write = \"{on_write}\" }}");
        let up = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await.with(&rule);
        let other = Upstream::raw("other", Era::Modern, Over::Stdio, &[]).await.with(&rule);
        let gateway = Gateway::start(Plan::new(Over::Http).upstream(up).upstream(other)).await;
        let session = session(&gateway).await;
        kept(&session, "up__received").await;
        kept(&session, "other__received").await;
        for (tool, arguments, stays) in [
            ("up__journal", "{}", true),
            ("up__bare", "{}", unannotated),
            ("up__tell", r#"{"mark":"x"}"#, declared),
            ("other__tell", r#"{"mark":"x"}"#, true),
        ] {
            assert!(kept(&session, "up__received").await, "{on_write}, before {tool}");
            session.request(&Message::call(1, tool, arguments)).await.result();
            assert_eq!(kept(&session, "up__received").await, stays, "{on_write}, after {tool}");
        }
        assert_eq!(kept(&session, "other__received").await, declared, "{on_write}");
    }
}

#[tokio::test]
async fn a_writing_call_that_is_cancelled_counts_as_one() {
    let gateway = gateway(Era::Modern, &[], &["cache = { tool_ttl_ms = { received = 60000 } }"]).await;
    let session = session(&gateway).await;
    kept(&session, "received").await;
    let writes = crate::cache::session(&gateway).await;
    let writes =
        tokio::spawn(async move { writes.request(&Message::call(1, "sleep", r#"{"ms":30000}"#)).await });
    gateway.upstreams[0].event(&["tool"], "sleep").await;
    assert!(kept(&session, "received").await, "it has not ended");
    writes.abort();
    gateway.upstreams[0].event(&["cancelled", "disconnected"], "").await;
    assert!(!kept(&session, "received").await);
}

#[tokio::test]
async fn a_changed_tool_list_makes_answers_of_tools_invalid() {
    for era in [Era::Legacy, Era::Modern] {
        let gateway = gateway(era, &[], &[RECEIVED]).await;
        let session = session(&gateway).await;
        kept(&session, "received").await;
        assert!(kept(&session, "received").await);
        notify(&session, "notifications/prompts/list_changed", None).await;
        assert!(kept(&session, "received").await, "{era:?}: that says nothing of tools");
        notify(&session, "notifications/tools/list_changed", None).await;
        // It comes over a stream of its own.
        let gone = async {
            while kept(&session, "received").await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone)
            .await
            .expect("expected the answer to be forgotten");
        assert_eq!(runs(&gateway, "received"), 2, "{era:?}");
    }
}

#[tokio::test]
async fn a_changed_resource_and_a_changed_list_make_reads_invalid() {
    let flags = ["--resources", "3", "--read-ttl-ms", "60000"];
    let gateway = gateway(Era::Modern, &flags, &["cache = { on_write = \"ignore\" }"]).await;
    let session = session(&gateway).await;
    let reads = || gateway.upstreams[0].count("request", "resources/read");
    let read = |number: u32| {
        let read =
            Message::request(1, "resources/read").param("uri", &format!("\"raw://resource/{number}\""));
        let session = &session;
        async move { session.request(&read).await.result() }
    };
    for number in [0, 1, 0, 1] {
        read(number).await;
    }
    assert_eq!(reads(), 2);
    for (method, params, reads_again) in [
        ("notifications/resources/updated", Some(r#"{"uri":"raw://resource/1"}"#), [0, 1]),
        ("notifications/resources/list_changed", None, [1, 1]),
        ("notifications/tools/list_changed", None, [0, 0]),
    ] {
        notify(&session, method, params).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        for (number, again) in reads_again.into_iter().enumerate() {
            let before = reads();
            read(number as u32).await;
            assert_eq!(reads() - before, again, "{method}, resource {number}");
        }
    }
}

#[tokio::test]
async fn a_reload_that_changes_the_server_forgets_its_answers_and_no_others() {
    let up = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await;
    let up = up.with("env = { ROUND = \"0\" }").with(RECEIVED);
    let other = Upstream::raw("other", Era::Modern, Over::Stdio, &[]).await.with(RECEIVED);
    let gateway = Gateway::start(Plan::new(Over::Http).upstream(up).upstream(other)).await;
    let session = session(&gateway).await;
    for tool in ["up__received", "other__received"] {
        kept(&session, tool).await;
    }
    gateway.edit_config(|text| text.replace("ROUND = \"0\"", "ROUND = \"1\""));
    let told = gateway.ask("mcp config reload").await.expect("expected the settings to be taken");
    assert_eq!(told["replaced"], json!(["up"]));
    assert!(!kept(&session, "up__received").await && kept(&session, "other__received").await);
    // What the rules say now holds at once.
    gateway.edit_config(|text| text.replacen("received = 60000", "received = 0", 1));
    gateway.ask("mcp config reload").await.expect("expected the settings to be taken");
    for _ in 0..2 {
        assert!(!kept(&session, "up__received").await);
    }
    gateway.edit_config(|text| format!("[cache]\nmax_entry_bytes = 5000\n{text}"));
    let told = gateway.ask("mcp config reload").await.expect("expected the settings to be taken");
    assert_eq!(told["needs_restart"], json!(["[cache]"]));
}

#[tokio::test]
async fn clear_forgets_what_it_names() {
    let up = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await.with(RECEIVED);
    let other = Upstream::raw("other", Era::Modern, Over::Stdio, &[]).await.with(RECEIVED);
    let gateway = Gateway::start(Plan::new(Over::Http).upstream(up).upstream(other)).await;
    let session = session(&gateway).await;
    let all = ["up__received", "up__bare", "other__received", "other__bare"];
    for (what, forgets) in [
        ("", [true, true, true, true]),
        (" --upstream up", [true, true, false, false]),
        (" --tool other__bare", [false, false, false, true]),
        (" --upstream up --tool received", [true, false, false, false]),
    ] {
        for tool in all {
            kept(&session, tool).await;
            // So that the first level has it, too.
            for _ in 0..3 {
                assert!(kept(&session, tool).await);
            }
        }
        let told = gateway.ask(&format!("mcp cache clear{what}")).await.expect("expected it to be cleared");
        assert_eq!(told["cleared"], forgets.iter().filter(|gone| **gone).count(), "{what}");
        for (tool, gone) in all.into_iter().zip(forgets) {
            assert_eq!(kept(&session, tool).await, !gone, "{what}, {tool}");
        }
    }
    assert_eq!(stats(&gateway, 1).await["entries"], 4);
    for (wrong, why) in [("--upstream no", "no upstream is called"), ("--tool no", "no tool is called")] {
        let error =
            gateway.ask(&format!("mcp cache clear {wrong}")).await.expect_err("expected it to be refused");
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_comes_back_as_it_was_has_its_answers_still() {
    let mut gateway = gateway(Era::Legacy, &[], &[RECEIVED]).await;
    let session = session(&gateway).await;
    kept(&session, "received").await;
    let pid = gateway.upstreams[0].events()[0].pid;
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("expected a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("expected to kill it");
    assert!(kept(&session, "received").await, "what it has said has not changed");
    let again = || {
        let other = gateway.upstreams[0]
            .events()
            .into_iter()
            .any(|event| event.pid != pid.as_raw_nonzero().get() as u32);
        other.then_some(())
    };
    wait_until(Duration::from_secs(10), "the server to be started again", again).await;
    assert!(kept(&session, "received").await);
    assert!(gateway.stop().await.success());
}
