//! `mcp metrics` and its dashboard, in a terminal and without one.

pub(crate) mod pty;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use self::pty::Terminal;
use crate::support::{Client, Era, Gateway, Over, Plan, Ran, Upstream};
use aqe_testkit::client::Message;

const CALLS: u32 = 25;
/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway with an upstream that has answered [`CALLS`] calls of `bare`.
async fn busy() -> (Gateway, Client) {
    let upstream = Upstream::raw("up", Era::Legacy, Over::Stdio, &[]).await;
    let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let mut client = gateway.connect(Era::Legacy.revision(), "{}").await;
    for id in 0..CALLS {
        assert_eq!(client.call(id, "bare", "{}").await.content_text(), "bare");
    }
    (gateway, client)
}

/// Runs a command until it prints what it should: figures are made once a second.
async fn run_until(gateway: &Gateway, command: &str, is_so: impl Fn(&Ran) -> bool) -> Ran {
    let begun = Instant::now();
    loop {
        let ran = gateway.run(command).await;
        if is_so(&ran) {
            return ran;
        }
        assert!(begun.elapsed() < PATIENCE, "{command}: waited in vain, the last answer was {ran:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_table_tells_what_was_called() {
    let (gateway, _client) = busy().await;
    let ran =
        run_until(&gateway, "mcp metrics --window start --top 1", |ran| ran.out.contains("\nbare ")).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.out.contains('\u{1b}'), "no escape codes where there is no terminal: {ran:?}");
    let row = ran.out.lines().find(|line| line.starts_with("bare ")).expect("expected the tool's row");
    assert_eq!(row.split_whitespace().nth(1), Some("25"), "{row}");
    let json = gateway.ask("mcp metrics --window start").await.unwrap();
    assert_eq!((&json["tools"][0]["name"], &json["tools"][0]["requests"]), (&"bare".into(), &CALLS.into()));
    for wrong in ["--window 2m", "--sort best", "--every 0", "--dashboard --json", "--check --watch"] {
        assert_eq!(gateway.run(&format!("mcp metrics {wrong}")).await.code, Some(2), "{wrong}");
    }
}

#[tokio::test]
async fn a_check_exits_with_the_health() {
    let (mut gateway, mut client) = busy().await;
    let check = gateway.run("mcp metrics --check").await;
    assert_eq!((check.code, check.out.as_str()), (Some(0), "healthy\n"), "{check:?}");
    // Most calls fail: above every threshold.
    for id in 100..200 {
        assert!(client.call(id, "no-such-tool", "{}").await.is_error());
    }
    let check = run_until(&gateway, "mcp metrics --check", |check| check.code != Some(0)).await;
    assert_eq!(check.code, Some(2), "{check:?}");
    assert!(check.out.starts_with("critical: ") && check.out.contains("failed"), "{check:?}");
    let json = gateway.run("mcp metrics --check --json").await;
    let health: Value = serde_json::from_str(&json.out).expect("expected JSON");
    assert_eq!((json.code, &health["status"]), (Some(2), &"critical".into()));
    gateway.stop().await;
    let check = gateway.run("mcp metrics --check").await;
    assert_eq!((check.code, check.out.as_str()), (Some(3), ""), "{check:?}");
    assert!(check.err.contains("no server is running"), "{check:?}");
    assert_eq!(gateway.run("mcp metrics").await.code, Some(3));
}

#[tokio::test]
async fn the_dashboard_draws_follows_the_size_and_leaves_the_terminal_as_it_was() {
    let (gateway, _client) = busy().await;
    let mut terminal = Terminal::open(24, 80);
    let before = terminal.modes();
    terminal.run(&gateway.program("mcp metrics --dashboard --every 0.2"), "xterm-256color");
    terminal.until("the tool", |screen| screen.contains("bare ") && screen.contains("● healthy")).await;
    assert!(terminal.screen().alternate_screen() && terminal.screen().hide_cursor());
    assert_ne!(terminal.modes(), before, "keys are read one by one");

    terminal.resize(10, 40);
    terminal
        .until("the small screen", |screen| screen.contains(" Overview  2  3") && !screen.contains("bare "))
        .await;
    terminal.resize(40, 120);
    terminal
        .until("the large screen", |screen| screen.contains("replicas 1 ─") && screen.contains("bare "))
        .await;

    terminal.send("2").await;
    terminal.until("the page of tools", |screen| screen.contains(" 1 of 1")).await;
    terminal.send("/zzz\r").await;
    terminal.until("no rows", |screen| screen.contains("no tools with \"zzz\"")).await;
    terminal.send("\u{1b}").await;
    terminal.until("the rows again", |screen| screen.contains(" 1 of 1")).await;
    terminal.send("?").await;
    terminal.until("the keys", |screen| screen.contains("another page")).await;
    terminal.send("?ww").await;
    terminal.until("another window", |screen| screen.contains("since the start")).await;
    terminal.send("p").await;
    terminal.until("the pause", |screen| screen.contains("paused (")).await;

    terminal.send("q").await;
    assert_eq!(terminal.ended().await, Some(0));
    terminal.is_as_before(&before);
}

#[tokio::test]
async fn however_it_ends_the_terminal_is_as_it_was() {
    let (gateway, _client) = busy().await;
    for end in ["Ctrl-C", "Esc", "SIGTERM", "SIGINT", "SIGHUP"] {
        let mut terminal = Terminal::open(24, 80);
        let before = terminal.modes();
        terminal.run(&gateway.program("mcp metrics --dashboard"), "xterm");
        terminal.until("the tool", |screen| screen.contains("bare ")).await;
        match end {
            "Ctrl-C" => terminal.send("\u{3}").await,
            "Esc" => terminal.send("\u{1b}").await,
            "SIGTERM" => terminal.signal(Signal::TERM),
            "SIGINT" => terminal.signal(Signal::INT),
            _ => terminal.signal(Signal::HUP),
        }
        assert_eq!(terminal.ended().await, Some(0), "{end}");
        terminal.is_as_before(&before);
    }
}

#[tokio::test]
async fn a_call_is_cancelled_only_after_a_yes() {
    let (gateway, mut client) = busy().await;
    client.begin(&Message::call("\"long\"", "sleep", r#"{"ms":30000}"#)).await;
    let mut terminal = Terminal::open(24, 80);
    terminal.run(&gateway.program("mcp metrics --dashboard --every 0.2"), "xterm");
    terminal.until("the call", |screen| screen.contains("Calls 1")).await;
    terminal.send("7c").await;
    terminal.until("the question", |screen| screen.contains("of sleep?  y yes  n no")).await;
    terminal.send("n").await;
    terminal.until("no question", |screen| !screen.contains("y yes")).await;
    assert!(!client.is_answered("\"long\"", Duration::from_millis(100)).await);
    terminal.send("cy").await;
    terminal
        .until("its end", |screen| screen.contains("is cancelled") && screen.contains("no calls under way"))
        .await;
    assert!(client.finish("\"long\"").await.is_error());
    gateway.upstreams[0].event(&["cancelled"], "").await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_waited_for_and_found_again() {
    let (mut gateway, _client) = busy().await;
    let home = gateway.home.clone();
    let mut terminal = Terminal::open(24, 80);
    terminal.run(&gateway.program("mcp metrics --dashboard --every 0.2"), "xterm");
    terminal.until("the tool", |screen| screen.contains("bare ")).await;
    let first = format!("pid {}", gateway.pid());
    assert!(terminal.screen().contents().contains(&first));
    gateway.stop().await;
    terminal.until("the loss", |screen| screen.contains("server gone, trying again")).await;
    assert!(terminal.screen().contents().contains(&first), "the last figures stay");
    let upstream = Upstream::raw("up", Era::Legacy, Over::Stdio, &[]).await;
    let again = Gateway::start(Plan::new(Over::Http).upstream(upstream).at_home(&home)).await;
    let second = format!("pid {}", again.pid());
    terminal
        .until("the new server", |screen| screen.contains(&second) && !screen.contains("server gone"))
        .await;
    terminal.send("q").await;
    assert_eq!(terminal.ended().await, Some(0));
}

#[tokio::test]
async fn where_nothing_can_be_painted_the_dashboard_is_the_table_once() {
    let (gateway, _client) = busy().await;
    let piped = run_until(&gateway, "mcp metrics --dashboard", |ran| ran.out.contains("\nbare ")).await;
    assert_eq!(piped.code, Some(0), "{piped:?}");
    assert!(piped.out.starts_with("healthy\n") && !piped.out.contains('\u{1b}'));
    let mut terminal = Terminal::open(60, 80);
    let before = terminal.modes();
    terminal.run(&gateway.program("mcp metrics --dashboard"), "dumb");
    assert_eq!(terminal.ended().await, Some(0));
    let shown = terminal.raw();
    assert!(shown.contains("healthy") && shown.contains("bare ") && !shown.contains('\u{1b}'), "{shown:?}");
    assert!(shown.lines().filter(|line| !line.contains(": ")).all(|line| line.chars().count() <= 132));
    terminal.is_as_before(&before);
}

#[tokio::test]
async fn no_colours_are_used_where_none_are_wanted() {
    let (gateway, _client) = busy().await;
    for (wanted, value) in [(true, ""), (false, "1")] {
        let mut terminal = Terminal::open(24, 80);
        terminal.run(gateway.program("mcp metrics --dashboard").env("NO_COLOR", value), "xterm");
        terminal.until("the tool", |screen| screen.contains("bare ")).await;
        assert_eq!(terminal.has_colours(), wanted, "NO_COLOR={value}");
        terminal.send("q").await;
        assert_eq!(terminal.ended().await, Some(0));
    }
}

#[tokio::test]
async fn a_watch_prints_again_and_again_and_goes_on_without_a_server() {
    let (mut gateway, _client) = busy().await;
    let mut terminal = Terminal::open(30, 100);
    terminal.run(&gateway.program("mcp metrics --watch --every 0.1 --window start"), "xterm");
    terminal.until("the tool", |screen| screen.starts_with("healthy") && screen.contains("\nbare ")).await;
    assert!(!terminal.screen().alternate_screen());
    gateway.stop().await;
    terminal.until("the loss", |screen| screen.contains("trying again")).await;
    terminal.send("\u{3}").await;
    assert_eq!(terminal.ended().await, None, "ended by the signal");
}

#[tokio::test]
async fn an_alert_is_acknowledged_only_after_a_yes_and_by_whoever_sits_there() {
    let rule = "[[monitoring.alert]]\nname = \"big\"\nsignal = \"memory_bytes\"\nabove = 1\n";
    let gateway = Gateway::start(Plan::new(Over::Http).sections(rule)).await;
    let mut terminal = Terminal::open(24, 80);
    let mut program = gateway.program("mcp metrics --dashboard --every 0.2");
    terminal.run(program.env("USER", "ada"), "xterm");
    terminal.until("the alert", |screen| screen.contains("Alerts 1")).await;
    terminal.send("8a").await;
    terminal.until("the question", |screen| screen.contains("acknowledge the alert big?  y yes  n no")).await;
    terminal.send("n").await;
    terminal.until("no question", |screen| screen.contains("firing") && screen.contains("by nobody")).await;
    terminal.send("ay").await;
    terminal.until("the note", |screen| screen.contains("noted     by ada at ")).await;
    let alerts = gateway.ask("mcp metrics").await.unwrap()["alerts"].clone();
    assert_eq!((&alerts[0]["state"], &alerts[0]["ack"]["by"]), (&"acknowledged".into(), &"ada".into()));
}
