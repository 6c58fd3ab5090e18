//! Tasks of built-in tools as an operator sees them: under way, cancelled, and in the figures when they are over.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aqe_testkit::client::Message;
use aqe_testkit::process::{signal, wait_until};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::collector::{Ask, Collector, Conduct};
use crate::support::{Client, Era, Over, Plan};
use crate::tasks::{DECLARED, ENDLESS, SOON, Scene, about, generate, over, task_of};

const TOOL: &str = "qe_test_generate";
const FOUR: [(Era, Over); 4] = [
    (Era::Modern, Over::Stdio),
    (Era::Modern, Over::Http),
    (Era::Legacy, Over::Stdio),
    (Era::Legacy, Over::Http),
];

/// A call that becomes a task in this era.
fn long(era: Era, id: u32, files: &[&str]) -> Message {
    let call = generate(id, files, "generate");
    if era == Era::Legacy { call.param("task", "{}") } else { call }
}

/// A scene whose requests leave traces.
struct Watched {
    scene: Scene,
    collector: Collector,
    log: PathBuf,
    _folder: TempDir,
}

impl Watched {
    async fn open(era: Era, transport: Over) -> (Self, Client) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log");
        let collector = Collector::start(&[Conduct::Takes]);
        let section = format!("[monitoring]\naccess_log = {}\n", Value::from(log.display().to_string()));
        let section = format!("{section}{}", collector.section(""));
        let mut scene = Scene::start(Plan::new(transport).sections(&section)).await;
        let client = scene.gateway.connect(era.revision(), DECLARED).await;
        (Self { scene, collector, log, _folder: folder }, client)
    }

    async fn calls(&self) -> Value {
        self.scene.gateway.admin().get("/admin/calls").await.json().await
    }

    async fn cancel(&self, call: &Value) -> u16 {
        let body = json!({ "call": call }).to_string();
        self.scene.gateway.admin().at("/admin/calls/cancel").post(&[], body.as_bytes()).await.status
    }

    /// The figures of the tool once they count so many requests: they are those of full seconds.
    async fn figures(&self, requests: u64) -> Value {
        let began = Instant::now();
        loop {
            let told = self.scene.gateway.admin().get("/admin/metrics?window=start").await.json().await;
            let tools = told["tools"].as_array().cloned().unwrap_or_default();
            let tool = tools.into_iter().find(|tool| tool["name"] == TOOL).unwrap_or_default();
            if tool["requests"] == requests {
                return tool;
            }
            assert!(began.elapsed() < SOON, "{tool}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the gateway; the spans and the lines of the log that are about the tool.
    async fn end(self, spans: usize) -> (Vec<Span>, Vec<Value>) {
        let pid = self.scene.gateway.pid();
        signal(pid, Signal::TERM);
        let is_tools = |span: &Span| span.is(SpanKind::Server) && span.attribute("gen_ai.tool.name") == TOOL;
        let mut found = Vec::new();
        wait_until(SOON, "the spans", || {
            found = self.collector.so_far().into_iter().filter(is_tools).collect();
            (found.len() >= spans).then_some(())
        })
        .await;
        let text = std::fs::read_to_string(&self.log).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        (found, lines.filter(|line| line["tool"] == TOOL).collect())
    }
}

fn length(span: &Span) -> Duration {
    Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano)
}

#[tokio::test]
async fn a_call_that_becomes_a_task_is_recorded_once_and_when_its_work_is_over() {
    for (era, transport) in FOUR {
        let (watched, mut client) = Watched::open(era, transport).await;
        let began = Instant::now();
        let created = client.request(&long(era, 1, &["slow.py"])).await;
        let answered = began.elapsed();
        let id = task_of(&created);
        let told = watched.scene.gateway.admin().get("/admin/metrics?window=start").await.json().await;
        let seen = told["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == TOOL);
        assert!(seen.is_none_or(|tool| tool["requests"] == 0), "it is not over: {seen:?}");
        let done = over(&mut client, &id).await;
        assert_eq!(done["status"], "completed", "{done}");
        let figures = watched.figures(1).await;
        assert_eq!(
            (&figures["errors"], &figures["cancelled"], &figures["latency_ms"]["count"]),
            (&json!(0), &json!(0), &json!(1)),
            "{figures}"
        );
        // Each process that loads the module takes half a second, and there are several.
        let latency = Duration::from_secs_f64(figures["latency_ms"]["max"].as_f64().unwrap() / 1e3);
        assert!(latency >= Duration::from_secs(1), "{figures}");
        if era == Era::Legacy {
            assert!(answered < latency, "the answer {answered:?} is none of {figures}");
        }
        // What was sent is counted where it was sent; the tokens of the result are the tool's.
        assert_eq!(figures["response_bytes"], created.text.trim_end().len(), "{figures}");
        let result = match era {
            Era::Modern => done["result"].to_string(),
            Era::Legacy => client.request(&about(5, "tasks/result", &id)).await.result().to_string(),
        };
        let tokens = figures["estimated_tokens"].as_f64().unwrap();
        let wanted = result.len() as f64 / 4.0;
        // Without what the revision adds to it.
        assert!((tokens - wanted).abs() < 60.0, "{tokens} of {wanted}");
        let (spans, lines) = watched.end(1).await;
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((span.error(), span.named("aqe.task").len()), (None, 1), "{span:?}");
        assert!(length(span) >= Duration::from_secs(1), "{span:?}");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((&line["status"], &line["method"]), (&json!("ok"), &json!("tools/call")));
        assert!(line["latency_ms"].as_f64().unwrap() >= 1e3, "{line}");
    }
}

#[tokio::test]
async fn a_task_that_fails_or_is_cancelled_by_its_client_is_recorded_as_that() {
    let (watched, mut client) = Watched::open(Era::Legacy, Over::Http).await;
    let id = task_of(&client.request(&long(Era::Legacy, 1, &["no-such.py"])).await);
    assert_eq!(over(&mut client, &id).await["status"], "failed");
    let id = task_of(&client.request(&long(Era::Legacy, 2, &ENDLESS)).await);
    watched.scene.interpreter_runs().await;
    client.request(&about(3, "tasks/cancel", &id)).await.result();
    let figures = watched.figures(2).await;
    assert_eq!(figures["errors_by_kind"], json!({ "tool_error": 1 }), "{figures}");
    assert_eq!((&figures["errors"], &figures["cancelled"]), (&json!(1), &json!(1)), "{figures}");
    let (spans, lines) = watched.end(2).await;
    let errors: Vec<_> = spans.iter().map(|span| (span.error(), span.named("cancelled").len())).collect();
    assert!(errors.contains(&(Some("tool_error".into()), 0)) && errors.contains(&(None, 1)), "{errors:?}");
    let mut states: Vec<_> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["cancelled", "tool_error"]);
}

#[tokio::test]
async fn an_operator_sees_how_far_a_task_is_and_cancels_it_as_a_call() {
    for (era, transport) in FOUR {
        let (watched, mut client) = Watched::open(era, transport).await;
        let id = task_of(&client.request(&long(era, 1, &[&["quick.py"], &ENDLESS[..]].concat())).await);
        let began = Instant::now();
        let call = loop {
            let calls = watched.calls().await;
            let [call] = &calls.as_array().unwrap()[..] else { panic!("one was expected: {calls}") };
            assert_eq!((&call["tool"], &call["task"]["status"]), (&json!(TOOL), &json!("working")), "{call}");
            if call["task"]["message"] == "1 of 10: quick.py" {
                break call.clone();
            }
            assert!(began.elapsed() < SOON, "{call}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(call["running_ms"].as_f64().unwrap() > 0.0, "{call}");
        assert_eq!(call["principal"], Value::Null);
        assert!(!call.to_string().contains(&id), "who may look may not fetch: {call}");
        watched.scene.interpreter_runs().await;
        let waits = about(8, "tasks/result", &id);
        if era == Era::Legacy {
            client.begin(&waits).await;
            assert!(!client.is_answered("8", Duration::from_millis(200)).await);
        }
        assert_eq!(watched.cancel(&call["call"]).await, 200);
        if era == Era::Legacy {
            assert!(client.finish("8").await.is_error(), "there is no result");
        }
        let told = over(&mut client, &id).await;
        assert_eq!(told["status"], "cancelled", "{told}");
        assert!(told["statusMessage"].as_str().unwrap().contains("operator"), "{told}");
        watched.scene.interpreters_gone().await;
        assert_eq!(watched.cancel(&call["call"]).await, 404, "it is over");
        assert_eq!(watched.calls().await, json!([]));
        let figures = watched.figures(1).await;
        assert_eq!(figures["errors_by_kind"], json!({ "operator": 1 }), "{figures}");
    }
}
