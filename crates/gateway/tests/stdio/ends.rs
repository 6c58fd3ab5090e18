//! How connections end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_gateway::upstream::{CallError, ChildSpec, Connection as _, StdioConnection, StdioLimits};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};

use super::support::{AT_ONCE, Seen, finish, members, shell, start, start_child, trial, until};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ends::a_dead_child_fails_its_calls_within_50_ms_and_says_why", dead_child),
        trial("ends::an_exit_is_reported_with_the_last_words", last_words),
        trial("ends::a_child_that_stops_reading_is_given_up_after_the_send_timeout", stuck_child),
        trial("ends::close_fails_open_calls_and_is_no_event", close_fails_calls),
        trial("ends::a_child_that_ignores_the_end_of_input_and_sigterm_is_gone_within_the_grace", stubborn),
        trial("ends::closing_a_child_that_does_not_read_stays_within_the_grace", close_while_stuck),
        trial("ends::a_polite_child_may_finish_its_work_after_the_end_of_input", polite),
        trial("ends::what_a_child_left_in_its_group_dies_with_it", grandchild),
        trial("ends::dropping_the_connection_stops_the_child", dropped),
        trial("ends::an_open_call_keeps_a_dropped_connection_alive", dropped_with_call),
        Trial::test("ends::the_end_of_the_runtime_stops_the_child", || {
            runtime_ends();
            Ok(())
        }),
        Trial::test("ends::the_thread_that_asked_for_the_child_may_end", || {
            asking_thread_ends();
            Ok(())
        }),
        trial("ends::what_cannot_be_started_is_explained", cannot_start),
        trial("ends::the_childs_environment_is_what_was_given", environment),
    ]
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

/// The leader has been reaped when a connection is closed; the rest of its group has been killed and needs a moment.
async fn gone(group: u32) {
    until(Duration::from_millis(500), "group gone", || members(group).is_empty()).await;
}

async fn dead_child() {
    let upstream = start_child().await;
    let calls = [upstream.send("never", "{}"), upstream.send("never", "{}")];
    assert!(upstream.works().await);
    let start = Instant::now();
    kill(upstream.pid());
    for call in calls {
        assert_eq!(finish(call).await, Err(CallError::Closed("was killed by signal 9".into())));
    }
    // 50 ms and some for a busy machine.
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    assert!(!upstream.connection.is_open());
    assert_eq!(upstream.call("echo", "{}").await, Err(CallError::NotSent("was killed by signal 9".into())));
    until(AT_ONCE, "told", || !upstream.seen.closed.lock().unwrap().is_empty()).await;
    assert_eq!(*upstream.seen.closed.lock().unwrap(), ["was killed by signal 9"]);
}

async fn last_words() {
    let upstream = start_child().await;
    let reason = "exited with status 3; last words on stderr: fatal: no configuration";
    assert_eq!(upstream.call("exit", "{}").await, Err(CallError::Closed(reason.into())));
    assert_eq!(upstream.connection.status().last_words, ["fatal: no configuration"]);
}

async fn stuck_child() {
    let upstream = start_child().await;
    let first = upstream.send("stop reading", "{}");
    let big = format!("\"{}\"", "x".repeat(1024 * 1024));
    let start = Instant::now();
    let (half, none) = (upstream.send("echo", &big), upstream.send("echo", "{}"));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(upstream.connection.is_open());
    let reason = "does not read its standard input";
    assert!(matches!(finish(first).await, Err(CallError::Closed(why)) if why.contains(reason)));
    assert!(matches!(finish(half).await, Err(CallError::Closed(why)) if why.contains(reason)));
    assert!(matches!(finish(none).await, Err(CallError::NotSent(why)) if why.contains(reason)));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    until(AT_ONCE, "group gone", || members(upstream.pid()).is_empty()).await;
}

async fn close_fails_calls() {
    let upstream = start_child().await;
    let call = upstream.send("never", "{}");
    assert!(upstream.works().await);
    let start = Instant::now();
    upstream.connection.close("no longer configured").await;
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!(finish(call).await, Err(CallError::Closed("no longer configured".into())));
    assert!(upstream.seen.closed.lock().unwrap().is_empty());
    gone(upstream.pid()).await;
    // Once more is no harm.
    upstream.connection.close("again").await;
}

async fn stubborn() {
    let script = "trap '' TERM INT HUP; while :; do sleep 1; done";
    let upstream = start("stubborn", &shell(script)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    upstream.connection.close("the test is over").await;
    let took = start.elapsed();
    assert!(took > Duration::from_millis(1_400) && took < Duration::from_millis(2_500), "{took:?}");
    gone(upstream.pid()).await;
}

async fn close_while_stuck() {
    let upstream = start_child().await;
    let _call = upstream.send("stop reading", "{}");
    let _big = upstream.send("echo", &format!("\"{}\"", "x".repeat(1024 * 1024)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    upstream.connection.close("the test is over").await;
    assert!(start.elapsed() < Duration::from_millis(2_500), "{:?}", start.elapsed());
    gone(upstream.pid()).await;
}

async fn polite() {
    // Writes more than a pipe holds before it goes: it must be read until then.
    let script = "cat >/dev/null; dd if=/dev/zero bs=1024 count=256 2>/dev/null; echo done >&2";
    let upstream = start("polite", &shell(script)).await;
    upstream.connection.close("the test is over").await;
    assert_eq!(upstream.connection.status().last_words, ["done"]);
}

async fn grandchild() {
    let upstream = start("wrapper", &shell("sleep 1000 & exec cat")).await;
    until(AT_ONCE, "two in the group", || members(upstream.pid()).len() == 2).await;
    upstream.connection.close("the test is over").await;
    gone(upstream.pid()).await;
}

async fn dropped() {
    let upstream = start_child().await;
    assert!(upstream.works().await);
    let pid = upstream.pid();
    drop(upstream);
    until(AT_ONCE, "child gone", || members(pid).is_empty()).await;
}

async fn dropped_with_call() {
    let upstream = start_child().await;
    let pid = upstream.pid();
    let call = upstream.send("echo", "{}");
    drop(upstream);
    assert_eq!(finish(call).await, Ok("{}".into()));
    until(AT_ONCE, "child gone", || members(pid).is_empty()).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn runtime_ends() {
    let (first, second) = (runtime(), runtime());
    let upstream = first.block_on(start("stubborn", &shell("trap '' TERM; while :; do sleep 1; done")));
    let call = upstream.send("echo", "{}");
    drop(first);
    second.block_on(async {
        assert!(matches!(finish(call).await, Err(CallError::Closed(_) | CallError::NotSent(_))));
        upstream.connection.close("too late").await;
        until(AT_ONCE, "child gone", || members(upstream.pid()).is_empty()).await;
    });
}

fn asking_thread_ends() {
    let runtime = runtime();
    // `block_on` runs the future on the calling thread, which is gone when the child is used.
    let upstream =
        std::thread::scope(|scope| scope.spawn(|| runtime.block_on(start_child())).join().unwrap());
    runtime.block_on(async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(upstream.works().await);
        upstream.connection.close("the test is over").await;
    });
}

async fn cannot_start() {
    let script = std::env::temp_dir().join(format!("aqe-no-interpreter-{}", std::process::id()));
    std::fs::write(&script, "#!/nonexistent/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script_path = script.to_str().unwrap();
    let program = |command: &str| ChildSpec { command: command.into(), ..ChildSpec::default() };
    let cases = [
        (program("no-such-program"), "command not found: no-such-program"),
        (program("/no/such/program"), "command not found: /no/such/program"),
        (program("/etc/passwd"), "not executable: /etc/passwd"),
        (program("/"), "not executable: /"),
        (program(script_path), "the interpreter of"),
        (
            ChildSpec { cwd: Some("/no/such/folder".into()), ..program("sh") },
            "working directory /no/such/folder",
        ),
        (program("nul\0byte"), "nul byte"),
    ];
    for (spec, expected) in cases {
        let events = Arc::<Seen>::default();
        let failed = StdioConnection::spawn("absent", &spec, StdioLimits::default(), events).await;
        match failed.unwrap_err() {
            CallError::NotSent(reason) => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    std::fs::remove_file(script).unwrap();
}

async fn environment() {
    let mut spec = shell("env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort >&2; pwd >&2");
    spec.env.push(("GIVEN".into(), "yes".into()));
    spec.cwd = Some("/usr".into());
    let upstream = start("environment", &spec).await;
    until(AT_ONCE, "ended", || !upstream.seen.closed.lock().unwrap().is_empty()).await;
    let tag = format!("{}={}", aqe_gateway::upstream::RUN_TAG, aqe_gateway::upstream::run_id());
    assert_eq!(upstream.connection.status().last_words, [&tag, "GIVEN=yes", "PATH=/usr/bin:/bin", "/usr"]);
}
