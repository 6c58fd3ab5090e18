//! Runs of fleets as MCP tasks: one id, in both eras, across the end of the server; and as an operator sees them.

use std::sync::Arc;
use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Era, Gateway, Over, Plan};
use crate::tasks::{DECLARED, RELATED, about, over, task_of};
use crate::terminal::pty::Terminal;

/// Goes on until there is a file of the task's name, and ends with the code in it.
const WORK: &str = "echo begun \"$1\"\nwhile [ ! -e \"$1\" ]; do sleep 0.1; done\nexit \"$(cat \"$1\")\"\n";
const PROFILE: &str = "[[fleet.profile]]\nname = \"script\"\ncommand = \"sh\"\nargs = [\"work.sh\", \"{what}\"]\nparams = { what = [\"*\"] }\n";

/// A gateway with a fleet, and the folder that its tasks run in.
struct Scene {
    gateway: Gateway,
    project: Arc<TempDir>,
}

impl Scene {
    fn plan(transport: Over, project: &TempDir) -> Plan {
        let roots = Value::from(project.path().display().to_string());
        Plan::new(transport).builtin().sections(&format!("[qe]\nroots = [{roots}]\n{PROFILE}"))
    }

    async fn start(transport: Over) -> Self {
        let project = Arc::new(tempfile::tempdir().unwrap());
        std::fs::write(project.path().join("work.sh"), WORK).unwrap();
        Self { gateway: Gateway::start(Self::plan(transport, &project)).await, project }
    }

    async fn connect(&mut self, era: Era) -> Client {
        let mut client = self.gateway.connect(era.revision(), DECLARED).await;
        let workers = r#"{"workers":[{"profile":"script","max":2}],"max_concurrency":2}"#;
        let made = client.request(&Message::call(1, "qe_fleet_init", workers)).await;
        assert!(made.result()["structuredContent"]["fleet_id"].is_string(), "{}", made.text);
        client
    }

    /// Lets a task end with this code.
    fn end(&self, what: &str, code: u8) {
        // At once: the task may read it while it is written.
        let next = self.project.path().join(format!("{what}.next"));
        std::fs::write(&next, code.to_string()).unwrap();
        std::fs::rename(next, self.project.path().join(what)).unwrap();
    }

    async fn admin(&self, path: &str) -> Value {
        self.gateway.admin().get(path).await.json().await
    }

    /// The fleets, once they are as wanted.
    async fn fleets(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let began = std::time::Instant::now();
        loop {
            let shown = self.admin("/admin/fleets").await;
            if is_so(&shown) {
                return shown;
            }
            assert!(began.elapsed() < crate::tasks::SOON, "{what}: {shown}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A call that begins a run of these tasks, as a task where the era asks for that.
fn submit(era: Era, id: u32, whats: &[&str]) -> Message {
    let tasks: Vec<Value> = whats
        .iter()
        .map(|what| json!({ "key": what, "profile": "script", "args": { "what": what } }))
        .collect();
    let call = Message::call(id, "qe_task_orchestrate", &json!({ "tasks": tasks }).to_string());
    if era == Era::Legacy { call.param("task", r#"{"ttl":60000}"#) } else { call }
}

const FOUR: [(Era, Over); 4] = [
    (Era::Modern, Over::Stdio),
    (Era::Modern, Over::Http),
    (Era::Legacy, Over::Stdio),
    (Era::Legacy, Over::Http),
];

#[tokio::test]
async fn a_run_is_the_task_that_its_client_gets_and_its_end_is_the_tasks() {
    for (era, transport) in FOUR {
        let mut scene = Scene::start(transport).await;
        let mut client = scene.connect(era).await;
        let run = task_of(&client.request(&submit(era, 2, &["a", "b"])).await);
        assert!(run.starts_with("run-") && run.len() == 36, "{run}");
        let status = Message::call(3, "qe_fleet_status", &json!({ "run_id": run }).to_string());
        let told = client.request(&status).await.result();
        assert_eq!(told["structuredContent"]["run_id"], json!(run), "one id for both: {told}");
        let told = client.request(&about(4, "tasks/get", &run)).await.result();
        assert_eq!((&told["taskId"], &told["status"]), (&json!(run), &json!("working")), "{told}");
        assert!(told["statusMessage"].as_str().unwrap().ends_with("of 2 tasks are over"), "{told}");
        scene.end("a", 0);
        scene.end("b", 0);
        let done = over(&mut client, &run).await;
        assert_eq!(done["status"], "completed", "{done}");
        let result = match era {
            Era::Modern => done["result"].clone(),
            Era::Legacy => {
                let listed = client.request(&Message::request(5, "tasks/list")).await.result();
                assert_eq!(listed["tasks"][0]["taskId"], json!(run), "{listed}");
                let result = client.request(&about(6, "tasks/result", &run)).await.result();
                assert_eq!(result["_meta"][RELATED]["taskId"], json!(run));
                result
            }
        };
        let content = &result["structuredContent"];
        assert_eq!((&content["run_id"], &content["done"]), (&json!(run), &json!(2)), "{result}");
        // One whose tasks fail is a tool that fails.
        let run = task_of(&client.request(&submit(era, 7, &["c"])).await);
        scene.end("c", 3);
        let failed = over(&mut client, &run).await;
        match era {
            Era::Modern => {
                assert_eq!(
                    (&failed["status"], &failed["result"]["isError"]),
                    (&json!("completed"), &json!(true))
                );
                assert_eq!(failed["result"]["structuredContent"]["failed"], 1, "{failed}");
            }
            Era::Legacy => {
                assert_eq!(failed["status"], "failed");
                assert_eq!(failed["statusMessage"], "1 of 1 tasks failed", "{failed}");
            }
        }
    }
}

#[tokio::test]
async fn a_cancelled_task_is_a_cancelled_run() {
    for (era, transport) in FOUR {
        let mut scene = Scene::start(transport).await;
        let mut client = scene.connect(era).await;
        let run = task_of(&client.request(&submit(era, 2, &["a", "b", "c"])).await);
        scene.fleets("two run", |shown| shown["fleets"][0]["queue"]["running"] == 2).await;
        let told = client.request(&about(3, "tasks/cancel", &run)).await.result();
        assert_eq!(told["taskId"].is_string(), era == Era::Legacy, "{told}");
        let told = over(&mut client, &run).await;
        assert_eq!(told["status"], "cancelled", "{told}");
        let status = Message::call(4, "qe_fleet_status", &json!({ "run_id": run }).to_string());
        let told = client.request(&status).await.result();
        assert_eq!(told["structuredContent"]["state"], "cancelled", "{told}");
        let again = client.request(&about(5, "tasks/cancel", &run)).await;
        assert_eq!(again.is_error(), era == Era::Legacy, "{}", again.text);
    }
}

#[tokio::test]
async fn a_run_is_found_by_its_task_after_the_end_of_the_server() {
    for era in [Era::Modern, Era::Legacy] {
        let mut scene = Scene::start(Over::Http).await;
        let mut client = scene.connect(era).await;
        let done = task_of(&client.request(&submit(era, 2, &["a"])).await);
        scene.end("a", 0);
        assert_eq!(over(&mut client, &done).await["status"], "completed");
        let open = task_of(&client.request(&submit(era, 3, &["b"])).await);
        scene.fleets("it runs", |shown| shown["fleets"][0]["queue"]["running"] == 1).await;
        let home = Arc::clone(&scene.gateway.home);
        scene.gateway.stop().await;
        drop(client);
        let plan = Scene::plan(Over::Http, &scene.project).at_home(&home);
        scene.gateway = Gateway::start(plan).await;
        let mut client = scene.gateway.connect(era.revision(), DECLARED).await;
        let told = client.request(&about(4, "tasks/get", &done)).await.result();
        assert_eq!(told["status"], "completed", "{told}");
        let told = client.request(&about(5, "tasks/get", &open)).await.result();
        assert_eq!(told["status"], "working", "{told}");
        if era == Era::Modern {
            client.listen(&json!({ "taskIds": [open] }).to_string()).await;
        }
        scene.end("b", 0);
        if era == Era::Modern {
            let told = client.heard("notifications/tasks").await;
            assert_eq!(
                (&told["params"]["taskId"], &told["params"]["status"]),
                (&json!(open), &json!("completed"))
            );
        }
        assert_eq!(over(&mut client, &open).await["status"], "completed");
    }
}

#[tokio::test]
async fn a_call_that_begins_no_run_is_answered_as_ever() {
    let mut scene = Scene::start(Over::Http).await;
    let mut client = scene.connect(Era::Modern).await;
    let dry = r#"{"tasks":[{"key":"a","profile":"script","args":{"what":"a"}}],"dry_run":true}"#;
    for (arguments, is_error) in [(dry, false), (r#"{"tasks":[]}"#, true), (r#"{"tasks":1}"#, true)] {
        let result = client.request(&Message::call(2, "qe_task_orchestrate", arguments)).await.result();
        assert_eq!(
            (result["resultType"].as_str(), result["isError"] == true),
            (Some("complete"), is_error),
            "{result}"
        );
    }
    // Who waits for a run that is over in that time has its result.
    scene.end("a", 0);
    let waits = r#"{"tasks":[{"key":"a","profile":"script","args":{"what":"a"}}],"wait_ms":60000}"#;
    let call = Message::call(3, "qe_task_orchestrate", waits);
    let plain = HttpSession::open(scene.gateway.http(), Era::Modern.revision()).await;
    let result = plain.request(&call).await.result();
    assert_eq!(
        (&result["resultType"], &result["structuredContent"]["state"]),
        (&json!("complete"), &json!("done"))
    );
    // In the legacy era a wish for a task is granted all the same.
    let mut legacy = scene.gateway.connect(Era::Legacy.revision(), "{}").await;
    let call = Message::call(4, "qe_task_orchestrate", dry).param("task", "{}");
    let task = task_of(&legacy.request(&call).await);
    assert!(!task.starts_with("run-"), "{task}");
    assert_eq!(over(&mut legacy, &task).await["status"], "completed");
}

#[tokio::test]
async fn a_run_is_its_principals_alone_and_the_operators() {
    let project = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(project.path().join("work.sh"), WORK).unwrap();
    let plan = Scene::plan(Over::Http, &project).server("bearer_token = \"0123456789abcdef\"");
    let scene = Scene { gateway: Gateway::start(plan).await, project };
    let bearer = scene.gateway.http().header("authorization", "Bearer 0123456789abcdef");
    let dressed = |message: Message| message.capabilities(DECLARED);
    for (at, era) in [Era::Modern, Era::Legacy].into_iter().enumerate() {
        let ann = HttpSession::open_with(bearer.clone(), era.revision(), DECLARED).await;
        let bob = HttpSession::open_with(scene.gateway.local(), era.revision(), DECLARED).await;
        let workers = r#"{"workers":[{"profile":"script"}]}"#;
        ann.request(&dressed(Message::call(1, "qe_fleet_init", workers))).await.result();
        let run = task_of(&ann.request(&dressed(submit(era, 2, &["x"]))).await);
        let nobodys = "run-00000000000000000000000000000000";
        let unknown = bob.request(&dressed(about(3, "tasks/get", nobodys))).await.error();
        for method in ["tasks/get", "tasks/cancel"] {
            assert_eq!(bob.request(&dressed(about(3, method, &run))).await.error(), unknown, "{method}");
        }
        if era == Era::Legacy {
            let list = Message::request(4, "tasks/list");
            assert_eq!(bob.request(&list).await.result(), json!({ "tasks": [] }));
            assert_eq!(ann.request(&list).await.result()["tasks"][0]["taskId"], json!(run));
        }
        // Whoever looks after the server sees it, and may end it.
        let shown =
            scene.fleets("the task", |shown| shown["fleets"][0]["tasks"][at]["task_id"].is_string()).await;
        assert_eq!(shown["fleets"].as_array().unwrap().len(), 1, "{shown}");
        let body = json!({ "id": run }).to_string();
        let answer = scene.gateway.admin().at("/admin/fleets/cancel").post(&[], body.as_bytes()).await;
        assert_eq!(answer.status, 200);
        scene
            .fleets("it is cancelled", |shown| shown["fleets"][0]["queue"]["cancelled"] == at as u64 + 1)
            .await;
        let told = ann.request(&dressed(about(5, "tasks/get", &run))).await.result();
        assert_eq!(told["status"], "cancelled", "{told}");
    }
}

#[tokio::test]
async fn an_operator_sees_fleets_agents_and_outputs_page_by_page() {
    let mut scene = Scene::start(Over::Http).await;
    assert_eq!(scene.admin("/admin/fleets").await, json!({ "fleets": [], "total": 0, "next_cursor": null }));
    let mut client = scene.connect(Era::Modern).await;
    let run = task_of(&client.request(&submit(Era::Modern, 2, &["a", "b", "c"])).await);
    let shown = scene.fleets("two run", |shown| shown["fleets"][0]["queue"]["running"] == 2).await;
    let fleet = &shown["fleets"][0];
    let busy = |agent: &&Value| agent["state"] == "busy";
    let agents = fleet["agents"].as_array().unwrap();
    assert_eq!(agents.iter().filter(busy).count(), 2, "{shown}");
    let agent = agents.iter().find(busy).unwrap();
    assert!(agent["pid"].is_u64() && agent["rss_kb"].as_u64() > Some(0), "{agent}");
    assert!(agent["current_task"].as_str().unwrap().starts_with(&run), "{agent}");
    // What is at work comes first.
    let states: Vec<&str> =
        fleet["tasks"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "running", "ready"], "{shown}");
    for what in ["a", "b", "c"] {
        scene.end(what, 0);
    }
    scene.fleets("all are done", |shown| shown["fleets"][0]["queue"]["done"] == 3).await;
    let id = fleet["fleet_id"].as_str().unwrap();
    let mut found = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let from = cursor.as_u64().map(|at| format!("&cursor={at}")).unwrap_or_default();
        let page = scene.admin(&format!("/admin/fleets/{id}?run={run}&state=done&limit=2{from}")).await;
        assert_eq!(page["runs"][0]["state"], "done", "{page}");
        found.extend(
            page["tasks"].as_array().unwrap().iter().map(|task| task["key"].as_str().unwrap().to_owned()),
        );
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(found, ["a", "b", "c"]);
    let task = scene.admin(&format!("/admin/fleets/tasks/{run}.0")).await;
    assert_eq!(task["attempts"][0]["result"]["stdout"]["head"], "begun a\n", "{task}");
    for (path, status) in [
        ("/admin/fleets/fleet-none", 404),
        ("/admin/fleets/tasks/run-none.0", 404),
        ("/admin/fleets/tasks/none", 400),
        ("/admin/fleets/cancel", 405),
        ("/admin/fleets?what=1", 400),
        ("/admin/fleets?cursor=x", 400),
        ("/admin/fleets/a/b", 404),
    ] {
        assert_eq!(scene.gateway.admin().get(path).await.status, status, "{path}");
    }
    for path in [format!("/admin/fleets/{id}?limit=1000"), format!("/admin/fleets/{id}?state=odd")] {
        assert_eq!(scene.gateway.admin().get(&path).await.status, 400, "{path}");
    }
    let text = scene.gateway.http().get("/metrics").await.text().await;
    for sample in [
        "aqe_fleets 1",
        "aqe_fleet_tasks{state=\"done\"} 3",
        "aqe_fleet_tasks{state=\"dead\"} 0",
        "aqe_fleet_agents{state=\"busy\"} 0",
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}:\n{text}");
    }
}

#[tokio::test]
async fn the_dashboard_in_the_terminal_shows_a_task_with_its_output_and_ends_one_after_a_yes() {
    let mut scene = Scene::start(Over::Http).await;
    let mut client = scene.connect(Era::Modern).await;
    task_of(&client.request(&submit(Era::Modern, 2, &["first"])).await);
    scene.end("first", 4);
    scene.fleets("it has failed", |shown| shown["fleets"][0]["queue"]["dead"] == 1).await;
    let run = task_of(&client.request(&submit(Era::Modern, 3, &["second"])).await);
    scene.fleets("it runs", |shown| shown["fleets"][0]["queue"]["running"] == 1).await;
    let mut terminal = Terminal::open(30, 100);
    terminal.run(&scene.gateway.program("mcp metrics --dashboard --every 0.2"), "xterm-256color");
    terminal.until("the page's name", |screen| screen.contains(" Fleets")).await;
    terminal.send("9").await;
    terminal
        .until("the fleet, and the task that runs", |screen| {
            screen.contains("1 of 1 agent busy, 1 running")
                && screen.contains(" second ─")
                && screen.contains("agent     a")
        })
        .await;
    terminal.send("j").await;
    terminal.until("what the other wrote", |screen| screen.contains("  | begun first")).await;
    terminal.send("kc").await;
    terminal.until("the question", |screen| screen.contains("cancel the task second?  y yes  n no")).await;
    terminal.send("n").await;
    terminal.until("no question", |screen| !screen.contains("y yes")).await;
    assert_eq!(client.request(&about(4, "tasks/get", &run)).await.result()["status"], "working");
    terminal.send("cy").await;
    terminal.until("that it is done", |screen| screen.contains(".0 is cancelled")).await;
    assert_eq!(over(&mut client, &run).await["status"], "cancelled");
    terminal.send("q").await;
    assert_eq!(terminal.ended().await, Some(0));
}
