//! Long calls of built-in tools as tasks: SEP-2663 in the stateless revision, "Tasks" of 2025-11-25 before it.

use std::time::{Duration, Instant};

use aqe_testkit::client::{Answer, HttpSession, Message, Revision};
use aqe_testkit::process::{is_live, live_descendants, signal, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Era, Gateway, Over, Plan, Upstream};

pub(crate) const DECLARED: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
pub(crate) const RELATED: &str = "io.modelcontextprotocol/related-task";
const BOTH: [Over; 2] = [Over::Stdio, Over::Http];
/// As long as a busy machine may take for what takes some seconds.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Each process that loads it takes its time, so that tests for it take more than a second.
const SLOW: &str = "import time\ntime.sleep(0.5)\n\n\ndef double(x: int) -> int:\n    if x > 3:\n        return 0\n    return x * 2\n";
/// Modules that loop. Each is given up after five seconds, so that all of them take longer than any test waits.
pub(crate) const ENDLESS: [&str; 9] =
    ["e1.py", "e2.py", "e3.py", "e4.py", "e5.py", "e6.py", "e7.py", "e8.py", "e9.py"];
const QUICK: &str = "def half(x: int) -> int:\n    return x // 2\n";

/// A gateway with built-in tools, and a project that they may look at.
pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    _project: TempDir,
}

impl Scene {
    pub(crate) async fn start(plan: Plan) -> Self {
        let project = tempfile::tempdir().unwrap();
        for (name, text) in [("slow.py", SLOW), ("quick.py", QUICK)] {
            std::fs::write(project.path().join(name), text).unwrap();
        }
        for name in ENDLESS {
            std::fs::write(project.path().join(name), "while True:\n    pass\n").unwrap();
        }
        let roots = format!("[qe]\nroots = [{}]\n", Value::from(project.path().display().to_string()));
        let gateway = Gateway::start(plan.builtin().sections(&roots)).await;
        Self { gateway, _project: project }
    }

    pub(crate) async fn open(over: Over, revision: Revision, capabilities: &str) -> (Self, Client) {
        let mut scene = Self::start(Plan::new(over)).await;
        let client = scene.gateway.connect(revision, capabilities).await;
        (scene, client)
    }

    /// Interpreters that run the project's code: whatever confines them stands between the gateway and them.
    fn interpreters(&self) -> usize {
        let below = live_descendants(self.gateway.pid());
        below.iter().filter(|process| process.name.starts_with("python")).count()
    }

    pub(crate) async fn interpreters_gone(&self) {
        wait_until(SOON, "the end of the interpreter", || (self.interpreters() == 0).then_some(())).await;
        // Nor is there another one for the next module.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(self.interpreters(), 0);
    }

    pub(crate) async fn interpreter_runs(&self) {
        wait_until(SOON, "an interpreter", || (self.interpreters() > 0).then_some(())).await;
    }
}

/// A call that generates tests for these files.
pub(crate) fn generate(id: impl std::fmt::Display, files: &[&str], mode: &str) -> Message {
    let targets: Vec<Value> = files.iter().map(|file| json!({ "file": file })).collect();
    let arguments =
        json!({ "targets": targets, "mode": mode, "budget_ms": 100, "framework": "unittest", "mutants": 0 });
    Message::call(id, "qe_test_generate", &arguments.to_string())
}

/// What the same call said when it was made first: a repeat is answered from what is kept.
fn searched(mut content: Value) -> Value {
    let cached = content["results"][0].as_object_mut().and_then(|result| result.remove("cached"));
    assert_eq!(cached, Some(json!(true)), "{content}");
    content
}

pub(crate) fn about(id: u32, method: &str, task: &str) -> Message {
    Message::request(id, method).param("taskId", &Value::from(task).to_string())
}

/// The id of the task in an answer of either era.
pub(crate) fn task_of(answer: &Answer) -> String {
    let result = answer.result();
    let task = result.get("task").unwrap_or(&result);
    task["taskId"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

/// The task once it is over.
pub(crate) async fn over(client: &mut Client, task: &str) -> Value {
    let began = Instant::now();
    loop {
        let told = client.request(&about(90, "tasks/get", task)).await.result();
        if told["status"] != "working" {
            return told;
        }
        assert!(began.elapsed() < SOON, "{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_call_that_takes_long_becomes_a_task_and_its_result_is_that_of_the_call() {
    for transport in BOTH {
        let (scene, mut client) = Scene::open(transport, Era::Modern.revision(), DECLARED).await;
        let created = client.request(&generate(1, &["slow.py"], "generate")).await.result();
        assert_eq!(
            (&created["resultType"], &created["status"]),
            (&json!("task"), &json!("working")),
            "{created}"
        );
        assert!(created["ttlMs"].is_u64() && created["pollIntervalMs"].is_u64(), "{created}");
        assert!(
            ["result", "task", "ttl", "requestState"].iter().all(|name| created.get(name).is_none()),
            "{created}"
        );
        let id = created["taskId"].as_str().unwrap();
        let done = over(&mut client, id).await;
        assert_eq!(
            (&done["status"], &done["resultType"]),
            (&json!("completed"), &json!("complete")),
            "{done}"
        );
        assert_eq!((&done["taskId"], &done["createdAt"]), (&json!(id), &created["createdAt"]));
        // Who does not declare the extension gets the same as the answer to the call.
        let mut plain = if transport == Over::Http {
            let session = HttpSession::open(scene.gateway.http(), Era::Modern.revision()).await;
            session.request(&generate(2, &["slow.py"], "generate")).await.result()
        } else {
            client.process().request(&generate(2, &["slow.py"], "generate")).await.result()
        };
        assert_eq!(plain["resultType"], "complete");
        assert_eq!(searched(plain["structuredContent"].take()), done["result"]["structuredContent"]);
        // What is over can be cancelled, which changes nothing; and updated, since nothing is asked.
        for method in ["tasks/cancel", "tasks/update"] {
            let ack = client.request(&about(3, method, id).param("inputResponses", "{}")).await.result();
            assert_eq!(ack, json!({ "resultType": "complete" }), "{method}");
        }
        assert_eq!(over(&mut client, id).await["status"], "completed");
        for gone in ["tasks/result", "tasks/list"] {
            assert_eq!(client.request(&about(4, gone, id)).await.error_code(), -32601, "{gone}");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_quick_is_answered_as_ever() {
    let (_scene, mut client) = Scene::open(Over::Http, Era::Modern.revision(), DECLARED).await;
    for message in [
        generate(1, &["quick.py"], "plan"),
        generate(2, &["quick.py"], "plan").param("task", "{}"),
        Message::call(3, "qe_memory_store", r#"{"key":"k","value":1}"#),
        generate(4, &["no-such.py"], "plan"),
    ] {
        let result = client.request(&message).await.result();
        assert_eq!(result["resultType"], "complete", "{result}");
        assert!(result.get("taskId").is_none() && result["content"].is_array(), "{result}");
    }
}

#[tokio::test]
async fn who_does_not_declare_the_extension_has_no_tasks() {
    let (scene, mut client) = Scene::open(Over::Http, Era::Modern.revision(), DECLARED).await;
    let id = task_of(&client.request(&generate(1, &ENDLESS, "generate")).await);
    let other = HttpSession::open(scene.gateway.http(), Era::Modern.revision()).await;
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let answer = other.request(&about(2, method, &id)).await;
        assert_eq!(answer.error_code(), -32021, "{method}: {}", answer.text);
        let required = &answer.error()["data"]["requiredCapabilities"]["extensions"];
        assert!(required["io.modelcontextprotocol/tasks"].is_object(), "{}", answer.text);
    }
    let listen = Message::request(3, "subscriptions/listen")
        .param("notifications", &json!({ "taskIds": [id] }).to_string());
    assert_eq!(other.request(&listen).await.error_code(), -32021);
    assert_eq!(client.request(&about(4, "tasks/cancel", &id)).await.result()["resultType"], "complete");
    scene.interpreters_gone().await;
}

#[tokio::test]
async fn tasks_are_declared_where_they_are_and_tools_say_so_in_one_revision_alone() {
    for builtin in [true, false] {
        let plan = Plan::new(Over::Http);
        let gateway = Gateway::start(if builtin { plan.builtin() } else { plan }).await;
        let mut lists = Vec::new();
        for revision in [Revision::V2025_06_18, Revision::V2025_11_25, Revision::V2026_07_28] {
            let has_core_tasks = builtin && revision == Revision::V2025_11_25;
            let first = HttpSession { client: gateway.http(), revision, id: None };
            let first = if revision.is_modern() {
                first.request(&Message::discover(1)).await
            } else {
                first.request(&Message::initialize(1, revision)).await
            };
            let declared = first.result()["capabilities"].take();
            let core = json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } });
            assert_eq!(declared.get("tasks"), has_core_tasks.then_some(&core), "{declared}");
            let extension = declared["extensions"].get("io.modelcontextprotocol/tasks");
            assert_eq!(extension, (builtin && revision.is_modern()).then_some(&json!({})), "{declared}");
            let session = HttpSession::open(gateway.http(), revision).await;
            let tools = session.request(&Message::request(2, "tools/list")).await.result()["tools"].take();
            let tasks = tools.as_array().unwrap().iter().filter_map(|tool| tool.get("execution"));
            let tasks: Vec<&Value> = tasks.collect();
            let optional = json!({ "taskSupport": "optional" });
            assert_eq!(tasks, if has_core_tasks { vec![&optional; 3] } else { Vec::new() });
            lists.push(tools);
        }
        assert_eq!(lists[0], lists[2], "as before there were tasks in the core, and after");
    }
}

#[tokio::test]
async fn a_cancelled_task_ends_with_all_that_it_has_started() {
    for (era, transport) in [
        (Era::Modern, Over::Stdio),
        (Era::Modern, Over::Http),
        (Era::Legacy, Over::Stdio),
        (Era::Legacy, Over::Http),
    ] {
        let (scene, mut client) = Scene::open(transport, era.revision(), DECLARED).await;
        let mut call = generate(1, &[&["quick.py"], &ENDLESS[..]].concat(), "generate");
        if era == Era::Legacy {
            call = call.param("task", "{}");
        }
        let id = task_of(&client.request(&call).await);
        // How far it is, is its message.
        let began = Instant::now();
        loop {
            let told = client.request(&about(2, "tasks/get", &id)).await.result();
            if told["statusMessage"] == "1 of 10: quick.py" {
                break;
            }
            assert!(began.elapsed() < SOON && told["status"] == "working", "{told}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        scene.interpreter_runs().await;
        let answer = client.request(&about(3, "tasks/cancel", &id)).await.result();
        match era {
            Era::Modern => assert_eq!(answer, json!({ "resultType": "complete" })),
            Era::Legacy => {
                assert_eq!((&answer["taskId"], &answer["status"]), (&json!(id), &json!("cancelled")));
            }
        }
        scene.interpreters_gone().await;
        let told = client.request(&about(4, "tasks/get", &id)).await.result();
        assert_eq!(told["status"], "cancelled", "{told}");
        assert!(told.get("result").is_none() && told.get("error").is_none(), "{told}");
    }
}

#[tokio::test]
async fn who_listens_to_a_task_is_told_of_its_end_with_its_result() {
    for transport in BOTH {
        let (_scene, mut client) = Scene::open(transport, Era::Modern.revision(), DECLARED).await;
        let id = task_of(&client.request(&generate(1, &["slow.py"], "generate")).await);
        client.listen(&json!({ "taskIds": [id] }).to_string()).await;
        let told = client.heard("notifications/tasks").await["params"].take();
        assert_eq!((&told["taskId"], &told["status"]), (&json!(id), &json!("completed")), "{told}");
        assert_eq!(told["_meta"]["io.modelcontextprotocol/subscriptionId"], "listen");
        assert!(told["result"]["structuredContent"].is_object(), "{told}");
        let got = over(&mut client, &id).await;
        assert_eq!(got["result"], told["result"]);
    }
}

#[tokio::test]
async fn a_task_is_its_principals_alone() {
    let plan = Plan::new(Over::Http).server("bearer_token = \"0123456789abcdef\"");
    let scene = Scene::start(plan).await;
    let bearer = || scene.gateway.http().header("authorization", "Bearer 0123456789abcdef");
    for era in [Era::Modern, Era::Legacy] {
        let ann = HttpSession::open_with(bearer(), era.revision(), DECLARED).await;
        let bob = HttpSession::open_with(scene.gateway.local(), era.revision(), DECLARED).await;
        let dressed = |message: Message| message.capabilities(DECLARED);
        let mut call = generate(1, &ENDLESS, "generate");
        if era == Era::Legacy {
            call = call.param("task", "{}");
        }
        let id = task_of(&ann.request(&dressed(call)).await);
        let unknown = bob.request(&dressed(about(2, "tasks/get", "aqe-none"))).await.error();
        for method in ["tasks/get", "tasks/cancel"] {
            let answer = bob.request(&dressed(about(2, method, &id))).await;
            assert_eq!(answer.error(), unknown, "{method}");
        }
        if era == Era::Legacy {
            assert_eq!(bob.request(&about(3, "tasks/result", &id)).await.error_code(), -32602);
            let list = Message::request(4, "tasks/list");
            assert_eq!(bob.request(&list).await.result(), json!({ "tasks": [] }));
            let own = ann.request(&list).await.result();
            let own: Vec<_> =
                own["tasks"].as_array().unwrap().iter().map(|task| task["taskId"].clone()).collect();
            assert!(own.contains(&json!(id)), "{own:?}");
        }
        assert!(!ann.request(&dressed(about(5, "tasks/cancel", &id))).await.is_error());
    }
    scene.interpreters_gone().await;
}

#[tokio::test]
async fn a_client_of_2025_11_25_asks_for_a_task_waits_for_its_result_and_finds_it_in_the_list() {
    for transport in BOTH {
        let (_scene, mut client) = Scene::open(transport, Era::Legacy.revision(), "{}").await;
        let call =
            generate(1, &["slow.py"], "generate").param("task", r#"{"ttl":60000}"#).progress_token("\"p\"");
        let created = client.request(&call).await.result();
        let task = &created["task"];
        assert_eq!((&task["status"], &task["ttl"]), (&json!("working"), &json!(60_000)), "{created}");
        let id = task["taskId"].as_str().unwrap();
        assert_eq!(created["_meta"][RELATED]["taskId"], id);
        let result = client.request(&about(2, "tasks/result", id)).await;
        assert!(!result.is_error(), "{}", result.text);
        assert_eq!(result.result()["_meta"][RELATED]["taskId"], id);
        let mut plain = client.request(&generate(3, &["slow.py"], "generate")).await.result();
        assert_eq!(result.result()["structuredContent"], searched(plain["structuredContent"].take()));
        let told = client.request(&about(4, "tasks/get", id)).await.result();
        assert_eq!(told["status"], "completed");
        assert!(["result", "resultType", "ttlMs"].iter().all(|name| told.get(name).is_none()), "{told}");
        let list = client.request(&Message::request(5, "tasks/list")).await.result();
        assert_eq!(list, json!({ "tasks": [told] }));
        assert_eq!(client.request(&about(6, "tasks/cancel", id)).await.error_code(), -32602, "it is over");
        if transport == Over::Stdio {
            let progress = &result.notifications("notifications/progress")[0]["params"];
            assert_eq!(
                (&progress["progressToken"], &progress["_meta"][RELATED]["taskId"]),
                (&json!("p"), &json!(id))
            );
            let status = client.heard("notifications/tasks/status").await["params"].take();
            assert_eq!(status, told);
        }
    }
}

#[tokio::test]
async fn a_wish_for_a_task_is_refused_by_other_tools_and_means_nothing_before_there_were_tasks() {
    let (scene, mut client) = Scene::open(Over::Http, Era::Legacy.revision(), "{}").await;
    let store = Message::call(1, "qe_memory_store", r#"{"key":"k","value":1}"#).param("task", "{}");
    assert_eq!(client.request(&store).await.error_code(), -32601);
    let bad = generate(2, &["quick.py"], "plan").param("task", r#"{"ttl":"long"}"#);
    assert_eq!(client.request(&bad).await.error_code(), -32602);
    let older = HttpSession::open(scene.gateway.http(), Revision::V2025_06_18).await;
    for message in [store, bad] {
        assert!(older.request(&message).await.result()["content"].is_array());
    }
}

#[tokio::test]
async fn so_many_tasks_work_at_a_time_and_a_further_one_is_taken_when_one_is_over() {
    let (scene, mut client) = Scene::open(Over::Http, Era::Legacy.revision(), "{}").await;
    let call = generate(1, &ENDLESS, "generate").param("task", "{}");
    let mut tasks = Vec::new();
    let refused = loop {
        let answer = client.request(&call).await;
        if answer.is_error() {
            break answer.error();
        }
        tasks.push(task_of(&answer));
    };
    assert_eq!((tasks.len(), &refused["data"]["retryable"]), (8, &json!(true)), "{refused}");
    assert!(!client.request(&about(2, "tasks/cancel", &tasks[3])).await.is_error());
    tasks.push(task_of(&client.request(&call).await));
    let status = scene.gateway.ask("mcp status").await.unwrap();
    assert_eq!((&status["tasks"]["working"], &status["tasks"]["kept"]), (&json!(8), &json!(1)), "{status}");
    for task in tasks {
        client.request(&about(3, "tasks/cancel", &task)).await;
    }
    scene.interpreters_gone().await;
}

#[tokio::test]
async fn in_the_stateless_revision_a_call_that_finds_no_room_for_a_task_stays_a_call() {
    let (scene, mut client) = Scene::open(Over::Http, Era::Modern.revision(), DECLARED).await;
    let mut tasks = Vec::new();
    for id in 1..=8 {
        tasks.push(task_of(&client.request(&generate(id, &ENDLESS, "generate")).await));
    }
    let counts = async |scene: &Scene| scene.gateway.ask("mcp status").await.unwrap()["tasks"].take();
    let full = counts(&scene).await;
    assert_eq!(full["working"], 8, "{full}");
    // One that its client gives up ends with all that it has started, as a call does.
    let given_up = generate("\"gone\"", &ENDLESS, "generate");
    client.begin(&given_up).await;
    assert!(!client.is_answered("\"gone\"", Duration::from_millis(2_500)).await);
    client.cancel("\"gone\"").await;
    // One that is not given up is answered with its result.
    client.begin(&generate("\"stays\"", &["slow.py"], "generate")).await;
    assert!(!client.is_answered("\"stays\"", Duration::from_millis(1_200)).await, "it takes longer");
    assert_eq!(counts(&scene).await, full, "a call is no task");
    for task in &tasks {
        assert!(!client.request(&about(9, "tasks/cancel", task)).await.is_error());
    }
    let result = client.finish("\"stays\"").await.result();
    assert_eq!(result["resultType"], "complete", "{result}");
    assert!(result.get("taskId").is_none() && result["structuredContent"]["results"].is_array(), "{result}");
    scene.interpreters_gone().await;
    let after = counts(&scene).await;
    assert_eq!((&after["working"], &after["kept"]), (&json!(0), &json!(8)), "{after}");
    assert_eq!(scene.gateway.admin().get("/admin/calls").await.json().await, json!([]));
    // There is room again.
    let again = task_of(&client.request(&generate(10, &ENDLESS, "generate")).await);
    assert!(!client.request(&about(11, "tasks/cancel", &again)).await.is_error());
}

#[tokio::test]
async fn a_time_to_live_is_taken_within_bounds_and_the_one_that_holds_is_told() {
    let (_scene, mut client) = Scene::open(Over::Http, Era::Legacy.revision(), "{}").await;
    for (wish, told) in
        [("0", 1_000), ("-5", 1_000), ("7000", 7_000), ("1e300", 3_600_000), ("null", 1_200_000)]
    {
        let call = generate(1, &["no-such.py"], "plan").param("task", &format!(r#"{{"ttl":{wish}}}"#));
        let task = client.request(&call).await.result()["task"].take();
        assert_eq!(task["ttl"], told, "{wish}: {task}");
        // It can be looked at as often as is asked for, before its time is over.
        let poll = task["pollInterval"].as_u64().unwrap();
        assert!(poll > 0 && poll <= told, "{task}");
    }
}

#[tokio::test]
async fn who_comes_back_in_a_new_session_finds_its_task_and_all_who_wait_get_the_result() {
    let (scene, mut client) = Scene::open(Over::Http, Era::Legacy.revision(), "{}").await;
    let call = generate(1, &["slow.py"], "generate").param("task", "{}");
    let id = task_of(&client.request(&call).await);
    // Neither the end of the session nor a late word about the call that has created it ends the task.
    client.cancel("1").await;
    assert_eq!(client.session().delete().await, 204);
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let session = HttpSession::open(scene.gateway.http(), Era::Legacy.revision()).await;
        let wait = about(2, "tasks/result", &id);
        waiting.push((session.clone(), tokio::spawn(async move { session.request(&wait).await })));
    }
    // One of those who wait gives up; nobody else notices.
    let (given_up, gone) = waiting.remove(0);
    given_up.notify(&Message::cancelled("2")).await;
    gone.abort();
    let mut results = Vec::new();
    for (_, wait) in waiting {
        results.push(wait.await.unwrap().result());
    }
    assert!(results.iter().all(|result| *result == results[0] && result["content"].is_array()));
    assert_eq!(results[0]["_meta"][RELATED]["taskId"], id);
    let back = HttpSession::open(scene.gateway.http(), Era::Legacy.revision()).await;
    assert_eq!(back.request(&about(3, "tasks/result", &id)).await.result(), results[0]);
    let list = back.request(&Message::request(4, "tasks/list")).await.result();
    assert_eq!(list["tasks"][0]["taskId"], id, "{list}");
}

#[tokio::test]
async fn over_http_progress_and_the_end_of_a_task_come_on_the_stream_of_its_session() {
    let (_scene, mut client) = Scene::open(Over::Http, Era::Legacy.revision(), "{}").await;
    client.listen("{}").await;
    let call = generate(1, &["slow.py"], "generate").param("task", "{}").progress_token("7");
    let id = task_of(&client.request(&call).await);
    let progress = client.heard("notifications/progress").await["params"].take();
    assert_eq!((&progress["progressToken"], &progress["_meta"][RELATED]["taskId"]), (&json!(7), &json!(id)));
    let status = client.heard("notifications/tasks/status").await["params"].take();
    assert_eq!((&status["taskId"], &status["status"]), (&json!(id), &json!("completed")), "{status}");
}

#[tokio::test]
async fn a_result_is_there_for_its_time_and_not_longer() {
    let (_scene, mut client) = Scene::open(Over::Http, Era::Legacy.revision(), "{}").await;
    let call = generate(1, &["no-such.py"], "plan").param("task", r#"{"ttl":4000}"#);
    let id = task_of(&client.request(&call).await);
    let result = client.request(&about(2, "tasks/result", &id)).await.result();
    assert_eq!(result["isError"], true, "{result}");
    let told = over(&mut client, &id).await;
    assert_eq!(told["status"], "failed", "{told}");
    assert_eq!(told["statusMessage"], result["content"][0]["text"]);
    let until = Duration::from_millis(told["ttl"].as_u64().unwrap());
    assert!((4_000..60_000).contains(&until.as_millis()), "{told}");
    tokio::time::sleep(until + Duration::from_millis(100)).await;
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        assert_eq!(client.request(&about(3, method, &id)).await.error_code(), -32602, "{method}");
    }
    assert_eq!(client.request(&Message::request(4, "tasks/list")).await.result(), json!({ "tasks": [] }));
}

#[tokio::test]
async fn a_stop_ends_what_works_and_after_a_restart_its_id_is_unknown() {
    let (mut scene, mut client) = Scene::open(Over::Http, Era::Modern.revision(), DECLARED).await;
    let id = task_of(&client.request(&generate(1, &ENDLESS, "generate")).await);
    scene.interpreter_runs().await;
    let children = live_descendants(scene.gateway.pid());
    assert_eq!(scene.gateway.stop().await.code(), Some(0));
    let pids: Vec<u32> = children.iter().map(|child| child.pid).collect();
    wait_until(SOON, "the end of what it has started", || {
        (!pids.iter().any(|pid| is_live(*pid))).then_some(())
    })
    .await;
    let mut again = Gateway::start(Plan::new(Over::Http).builtin().at_home(&scene.gateway.home)).await;
    let mut client = again.connect(Era::Modern.revision(), DECLARED).await;
    assert_eq!(client.request(&about(2, "tasks/get", &id)).await.error_code(), -32602);
}

#[tokio::test]
async fn what_a_killed_gateway_has_started_ends_too() {
    let (scene, mut client) = Scene::open(Over::Http, Era::Modern.revision(), DECLARED).await;
    task_of(&client.request(&generate(1, &ENDLESS, "generate")).await);
    scene.interpreter_runs().await;
    let below = live_descendants(scene.gateway.pid());
    signal(scene.gateway.pid(), Signal::KILL);
    // A module that loops is given up after five seconds anyway.
    wait_until(Duration::from_secs(3), "the end of all that it has started", || {
        (!below.iter().any(|process| is_live(process.pid))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn tasks_of_an_upstream_and_our_own_are_told_apart_by_their_ids() {
    let upstream = Upstream::fixture("up", Era::Modern, Over::Http, &[]).await;
    let mut scene =
        Scene::start(Plan::new(Over::Http).registry("prefix = \"never\"").upstream(upstream)).await;
    let mut client = scene.gateway.connect(Era::Modern.revision(), DECLARED).await;
    let theirs = Message::call(1, "slow_compute", r#"{"seconds":1,"label":"theirs"}"#);
    let theirs = task_of(&client.request(&theirs).await);
    let ours = task_of(&client.request(&generate(2, &ENDLESS, "generate")).await);
    let done = over(&mut client, &theirs).await;
    assert_eq!(done["status"], "completed");
    assert!(done["result"]["content"][0]["text"].as_str().unwrap().contains("theirs"), "{done}");
    assert_eq!(client.request(&about(3, "tasks/cancel", &ours)).await.result()["resultType"], "complete");
    assert_eq!(over(&mut client, &ours).await["status"], "cancelled");
    scene.interpreters_gone().await;
}
