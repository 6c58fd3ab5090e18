//! Who is told, how often and when: a rule that a test turns on and off, and a receiver on this machine.

mod receiver;

use std::cell::Cell;
use std::sync::mpsc;

use aqe_core::monitor::alerts::{
    Comparison, Condition, Counted, Counts, Resolution, Rule, Scope, Signal, Window,
};
use serde_json::Value;

use super::settings::{CommandSettings, SigningKey, WebhookSettings};
use super::*;
use crate::outbound::Target;
use crate::upstream::ChildSpec;
use receiver::{Answer, Receiver};

const LONG: Duration = Duration::from_secs(20);

/// One value for everything.
struct Level(Cell<f64>);

impl Figures for Level {
    fn value(&self, _: Signal, _: &Scope, _: Window) -> Option<f64> {
        Some(self.0.get())
    }

    fn requests(&self, _: &Scope, _: Window) -> Option<u64> {
        Some(1)
    }

    fn counts(&self, _: Counted, _: &Scope) -> Option<Counts> {
        None
    }
}

fn rule(name: &str, severity: Severity) -> Rule {
    Rule {
        name: name.into(),
        condition: Condition::Threshold {
            signal: Signal::MemoryBytes,
            comparison: Comparison::Above,
            threshold: 10.0,
            window: Window::OneMinute,
        },
        scope: Scope::All,
        hold: Duration::ZERO,
        resolve_after: Duration::ZERO,
        severity,
        min_requests: 1,
        is_default: false,
    }
}

fn settings(rules: Vec<Rule>) -> AlertSettings {
    AlertSettings {
        rules,
        repeat: None,
        log: None,
        mcp_log: None,
        webhooks: Vec::new(),
        commands: Vec::new(),
    }
}

fn webhook(receiver: &Receiver) -> WebhookSettings {
    WebhookSettings {
        name: "hook".into(),
        target: Target { url: receiver.url.parse().unwrap(), headers: Vec::new(), ca_file: None },
        secret: None,
        min_severity: Severity::Info,
        timeout: Duration::from_secs(5),
        retry_for: LONG,
    }
}

fn hooked(receiver: &Receiver) -> AlertSettings {
    AlertSettings { webhooks: vec![webhook(receiver)], ..settings(vec![rule("full", Severity::Warning)]) }
}

#[derive(Debug)]
struct Log(std::sync::Mutex<mpsc::Sender<Firing>>);

impl AlertHistory for Log {
    fn save(&self, firing: Firing) {
        self.0.lock().unwrap().send(firing).unwrap();
    }
}

/// Alerts under a level that goes up and down.
struct Bench {
    alerting: Alerting,
    level: Level,
    now: Instant,
    kept: mpsc::Receiver<Firing>,
}

impl Bench {
    fn new(settings: AlertSettings) -> Self {
        let (keep, kept) = mpsc::channel();
        let history: Arc<dyn AlertHistory> = Arc::new(Log(std::sync::Mutex::new(keep)));
        let past = Kept { history: Some(history), past: Vec::new() };
        let alerting = Alerting::new(settings, past, Path::new("/project")).unwrap();
        Self { alerting, level: Level(Cell::new(0.0)), now: Instant::now(), kept }
    }

    fn level(&mut self, level: f64) -> usize {
        self.level.0.set(level);
        self.now += Duration::from_secs(1);
        self.alerting.tick(&self.level, self.now).len()
    }

    fn status(&self) -> Value {
        self.alerting.status(100, |_| Some(true))
    }

    fn sink(&self, name: &str) -> Value {
        let status = self.status();
        let mut sinks = status["sinks"].as_array().unwrap().iter();
        sinks.find(|sink| sink["name"] == name).unwrap().clone()
    }

    async fn until(&self, name: &str, key: &str, count: u64) {
        let reached = async {
            while self.sink(name)[key] != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(LONG, reached).await;
        assert!(reached.is_ok(), "{name} {key}: {}", self.sink(name));
    }
}

#[tokio::test]
async fn a_refused_delivery_is_tried_again_under_the_same_id_and_taken_once() {
    let receiver = Receiver::start([Answer::status(503), Answer::status(200)]).await;
    let key = SigningKey::new("0123456789abcdef");
    let mut settings = hooked(&receiver);
    settings.webhooks[0].secret = Some(key.clone());
    let mut bench = Bench::new(settings);
    bench.level(11.0);
    bench.until("hook", "delivered", 1).await;
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    assert_eq!(got[0].body, got[1].body);
    for post in &got {
        assert_eq!(post.header("content-type"), "application/json");
        let signed =
            format!("{}.{}.{}", post.header("webhook-id"), post.header("webhook-timestamp"), post.body);
        let tag = ring::hmac::sign(
            &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"0123456789abcdef"),
            signed.as_bytes(),
        );
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag);
        assert_eq!(post.header("webhook-signature"), format!("v1,{text}"));
    }
    assert_eq!(bench.sink("hook")["retries"], 1);
    let document: Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(document["delivery"], got[0].header("webhook-id"));
    assert_eq!((&document["event"], &document["alert"]["name"]), (&"fired".into(), &"full".into()));
    assert_eq!(document["alert"]["value"], 11.0);
    assert_eq!(document["server"]["folder"], "/project");
    assert!(document["text"].as_str().unwrap().starts_with("[warning] full: memory in use is"), "{document}");
}

#[tokio::test]
async fn what_the_receiver_refuses_for_good_is_not_tried_again() {
    let receiver = Receiver::start([Answer { body: "no such hook", ..Answer::status(404) }]).await;
    let mut bench = Bench::new(hooked(&receiver));
    bench.level(11.0);
    bench.until("hook", "failed", 1).await;
    let sink = bench.sink("hook");
    assert_eq!((&sink["retries"], &sink["delivered"]), (&0.into(), &0.into()));
    assert_eq!(sink["last_error"], "answered 404 Not Found: no such hook");
    // The next one is another matter.
    bench.level(0.0);
    bench.until("hook", "delivered", 1).await;
}

#[tokio::test]
async fn a_wait_beyond_the_time_for_retries_is_given_up_at_once() {
    let receiver = Receiver::start([Answer { retry_after: Some("3600"), ..Answer::status(429) }]).await;
    let mut bench = Bench::new(hooked(&receiver));
    bench.level(11.0);
    bench.until("hook", "failed", 1).await;
    assert_eq!(receiver.got().len(), 1);
}

#[tokio::test]
async fn the_time_that_the_receiver_asks_for_is_waited() {
    let receiver =
        Receiver::start([Answer { retry_after: Some("2"), ..Answer::status(503) }, Answer::status(200)])
            .await;
    let mut bench = Bench::new(hooked(&receiver));
    let started = Instant::now();
    bench.level(11.0);
    bench.until("hook", "delivered", 1).await;
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn receivers_get_what_is_bad_enough_for_them_in_order() {
    let (all, bad) = (Receiver::start([]).await, Receiver::start([]).await);
    let mut settings = settings(vec![rule("little", Severity::Info), rule("much", Severity::Critical)]);
    settings.webhooks = vec![
        WebhookSettings { name: "all".into(), ..webhook(&all) },
        WebhookSettings { name: "bad".into(), min_severity: Severity::Critical, ..webhook(&bad) },
    ];
    let mut bench = Bench::new(settings);
    for _ in 0..5 {
        bench.level(11.0);
        bench.level(0.0);
    }
    bench.until("all", "delivered", 20).await;
    bench.until("bad", "delivered", 10).await;
    let told = |receiver: &Receiver| -> Vec<String> {
        let documents =
            receiver.got().into_iter().map(|post| serde_json::from_str::<Value>(&post.body).unwrap());
        documents
            .map(|it| format!("{} {}", it["alert"]["name"].as_str().unwrap(), it["event"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(told(&all), ["little fired", "much fired", "little resolved", "much resolved"].repeat(5));
    assert_eq!(told(&bad), ["much fired", "much resolved"].repeat(5));
    let ids: std::collections::HashSet<String> =
        all.got().iter().chain(&bad.got()).map(|post| post.header("webhook-id")).collect();
    // The two receivers get the same notices.
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody_and_what_does_not_fit_is_counted() {
    let hangs = Receiver::start([Answer { hangs: true, ..Answer::status(200) }]).await;
    let quick = Receiver::start([]).await;
    let mut settings = settings(vec![rule("full", Severity::Warning)]);
    settings.webhooks = vec![webhook(&hangs), WebhookSettings { name: "quick".into(), ..webhook(&quick) }];
    let mut bench = Bench::new(settings);
    for round in 1..=40 {
        bench.level(11.0);
        bench.level(0.0);
        bench.until("quick", "delivered", 2 * round).await;
    }
    let sink = bench.sink("hook");
    // One is under way, and the queue is full.
    assert_eq!((&sink["queued"], &sink["dropped"], &sink["delivered"]), (&64.into(), &15.into(), &0.into()));
}

#[tokio::test]
async fn a_program_gets_the_document_and_says_why_it_failed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "cat >> got; echo \"$AQE_ALERT_NAME $AQE_ALERT_EVENT $AQE_ALERT_SEVERITY\" >> names; \
                  [ \"$AQE_ALERT_EVENT\" = fired ] || { echo too late >&2; exit 7; }";
    let spec = ChildSpec {
        command: "sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), std::env::var("PATH").unwrap())],
        cwd: Some(folder.path().to_owned()),
    };
    let command =
        CommandSettings { name: "script".into(), spec, min_severity: Severity::Info, timeout: LONG };
    let mut bench = Bench::new(AlertSettings {
        commands: vec![command],
        ..settings(vec![rule("full", Severity::Warning)])
    });
    bench.level(11.0);
    bench.until("script", "delivered", 1).await;
    let document = std::fs::read_to_string(folder.path().join("got")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&document).unwrap()["event"], "fired");
    bench.level(0.0);
    bench.until("script", "failed", 1).await;
    assert_eq!(bench.sink("script")["last_error"], "exited with status 7: too late");
    let names = std::fs::read_to_string(folder.path().join("names")).unwrap();
    assert_eq!(names, "full fired warning\nfull resolved warning\n");
}

#[tokio::test]
async fn the_history_has_the_beginning_the_acknowledgement_and_the_end() {
    let mut bench = Bench::new(settings(vec![rule("full", Severity::Warning)]));
    bench.level(11.0);
    bench.alerting.acknowledge("full", "ann", Some("on it")).unwrap();
    bench.level(99.0);
    // Open ones are saved now and then.
    for _ in 0..10 {
        bench.level(12.0);
    }
    bench.level(0.0);
    let kept: Vec<Firing> = bench.kept.try_iter().collect();
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(kept.iter().all(|firing| firing.id == kept[0].id && firing.started == kept[0].started));
    assert_eq!((kept[0].acked_by.as_deref(), kept[0].ended), (None, None));
    assert_eq!(kept[1].acked_by.as_deref(), Some("ann"));
    assert!((kept[2].peak - 99.0).abs() < 1e-9 && kept[2].ended.is_none() && kept[2].seen > kept[0].seen);
    assert_eq!(kept[3].resolution, Some(Resolution::Recovered));
    assert_eq!((kept[3].ack_note.as_deref(), kept[3].acked_by.as_deref()), (Some("on it"), Some("ann")));
    let status = bench.status();
    assert_eq!(status["alerts"], serde_json::json!([]));
    assert_eq!(status["history"][0]["resolution"], "recovered");
    assert_eq!(status["history"][0]["ack"]["by"], "ann");
    assert_eq!(status["rules"][0]["state"], "resolved");
}

#[tokio::test]
async fn a_reload_keeps_receivers_that_are_the_same_and_finishes_with_the_others() {
    let (stays, goes) = (Receiver::start([]).await, Receiver::start([]).await);
    let stays_settings = WebhookSettings { name: "stays".into(), ..webhook(&stays) };
    let mut both = settings(vec![rule("full", Severity::Warning)]);
    both.webhooks = vec![stays_settings.clone(), WebhookSettings { name: "goes".into(), ..webhook(&goes) }];
    let mut bench = Bench::new(both.clone());
    bench.level(11.0);
    let next = AlertSettings { webhooks: vec![stays_settings], ..both };
    let checked = bench.alerting.check(next).unwrap();
    bench.alerting.put(checked);
    bench.until("stays", "delivered", 1).await;
    tokio::time::timeout(LONG, async {
        while goes.got().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(bench.status()["rules"][0]["state"], "firing");
    bench.level(0.0);
    bench.until("stays", "delivered", 2).await;
    assert_eq!(goes.got().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_cannot_be_used_changes_nothing() {
    let receiver = Receiver::start([]).await;
    let bench = Bench::new(hooked(&receiver));
    let mut bad = hooked(&receiver);
    bad.webhooks[0].target.ca_file = Some("/no/such/file".into());
    let error = bench.alerting.check(bad).unwrap_err().to_string();
    assert!(error.starts_with("webhook \"hook\": certificates in /no/such/file"), "{error}");
    assert_eq!(bench.sink("hook")["delivered"], 0);
}

#[tokio::test]
async fn the_end_of_the_server_is_told_before_it_ends() {
    let receiver = Receiver::start([]).await;
    let mut bench = Bench::new(hooked(&receiver));
    bench.level(11.0);
    bench.alerting.stop(LONG).await;
    let events: Vec<Value> =
        receiver.got().iter().map(|post| serde_json::from_str::<Value>(&post.body).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&events[1]["event"], &events[1]["alert"]["resolution"]),
        (&"resolved".into(), &"server_stopped".into())
    );
    assert_eq!(bench.kept.try_iter().last().unwrap().resolution, Some(Resolution::Stopped));
}

#[tokio::test]
async fn a_test_tells_of_each_receiver_whether_it_arrived() {
    let good = Receiver::start([]).await;
    let bad = Receiver::start([Answer::status(500)]).await;
    let mut all = settings(Vec::new());
    all.log = Some(Severity::Critical);
    all.webhooks = vec![
        WebhookSettings { name: "good".into(), min_severity: Severity::Critical, ..webhook(&good) },
        WebhookSettings { name: "bad".into(), ..webhook(&bad) },
    ];
    let bench = Bench::new(all);
    let told = bench.alerting.test(None, |_| 0).await.unwrap();
    let sinks: Vec<_> =
        told["sinks"].as_array().unwrap().iter().map(|it| (&it["name"], &it["delivered"])).collect();
    assert_eq!(
        sinks,
        [(&"log".into(), &true.into()), (&"good".into(), &true.into()), (&"bad".into(), &false.into())]
    );
    assert_eq!(told["sinks"][2]["error"], "answered 500 Internal Server Error");
    assert_eq!(serde_json::from_str::<Value>(&good.got()[0].body).unwrap()["event"], "test");
    let one = bench.alerting.test(Some("good"), |_| 0).await.unwrap();
    assert_eq!(one["sinks"].as_array().unwrap().len(), 1);
    let error = bench.alerting.test(Some("other"), |_| 0).await.unwrap_err().to_string();
    assert_eq!(error, "no sink is called \"other\"; there are: log, good, bad");
}

#[tokio::test]
async fn clients_are_told_from_the_configured_severity_on() {
    let rules = vec![rule("little", Severity::Info), rule("much", Severity::Critical)];
    let mut bench = Bench::new(AlertSettings { mcp_log: Some(Severity::Warning), ..settings(rules) });
    assert_eq!(bench.level(11.0), 1);
    assert_eq!(bench.alerting.worst(), Some(Severity::Critical));
    let open = bench.alerting.open();
    assert_eq!((&open[0]["name"], &open[1]["name"]), (&"much".into(), &"little".into()));
    assert_eq!(bench.level(0.0), 1);
    assert_eq!(bench.alerting.worst(), None);
}
