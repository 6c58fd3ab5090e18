//! Tasks of servers behind the gateway: nobody reaches those of another principal, however the server keeps them.

use std::time::Instant;

use aqe_testkit::client::{HttpSession, Message};
use serde_json::{Value, json};

use crate::support::{Era, Gateway, Over, Plan, Upstream};
use crate::tasks::{DECLARED, SOON, about, over, task_of};

/// A server of 2025-11-25 with tasks, to whom all clients are the same: it lists everything, two to a page. One task is there
/// from before. `begin` begins one and `finish` ends one, which it tells at once.
const SERVER: &str = r#"
import json, sys

tasks = {"before": "working"}

def send(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

def task(id):
    moment = "2026-01-01T00:00:00Z"
    return {"taskId": id, "status": tasks[id], "createdAt": moment, "lastUpdatedAt": moment, "ttl": None}

def answer(method, params):
    if method == "initialize":
        can = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "tasks": can},
                "serverInfo": {"name": "mixed", "version": "1"}}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}, "execution": {"taskSupport": "optional"}}
                          for name in ("begin", "finish")]}
    if method == "tools/call" and params["name"] == "begin":
        id = "task-%d" % len(tasks)
        tasks[id] = "working"
        return {"task": task(id)}
    if method == "tools/call":
        id = params["arguments"]["task"]
        tasks[id] = "completed"
        send({"method": "notifications/tasks/status", "params": task(id)})
        return {"content": []}
    if method == "tasks/list":
        begin = int(params.get("cursor", 0))
        page = {"tasks": [task(id) for id in list(tasks)[begin:begin + 2]]}
        return {**page, "nextCursor": str(begin + 2)} if begin + 2 < len(tasks) else page
    id = params.get("taskId")
    if id not in tasks:
        return None
    if method == "tasks/cancel":
        tasks[id] = "cancelled"
    if method in ("tasks/get", "tasks/cancel"):
        return task(id)
    return {"content": [{"type": "text", "text": "result of " + id}]} if method == "tasks/result" else None

for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        result = answer(message["method"], message.get("params") or {})
        unknown = {"error": {"code": -32601, "message": "unknown"}}
        send({"id": message["id"], **({"result": result} if result is not None else unknown)})
"#;

const TOKEN: &str = "0123456789abcdef";

fn mixed() -> Upstream {
    Upstream::command("up", "python3", &["-c", SERVER]).with("session_scope = \"shared\"")
}

/// A gateway that knows the server's tools, however long that takes to start on a busy machine.
async fn start(plan: Plan) -> Gateway {
    let gateway = Gateway::start(plan.upstream(mixed())).await;
    let session = HttpSession::open(gateway.local(), Era::Legacy.revision()).await;
    let began = Instant::now();
    while !session.request(&Message::request(1, "tools/list")).await.text.contains("\"begin\"") {
        assert!(began.elapsed() < SOON, "the server does not start");
    }
    gateway
}

/// All pages of `tasks/list`.
async fn listed(session: &HttpSession) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), None::<Value>);
    loop {
        let mut message = Message::request(50, "tasks/list");
        if let Some(cursor) = cursor {
            message = message.param("cursor", &cursor.to_string());
        }
        let mut page = session.request(&message).await.result();
        ids.extend(
            page["tasks"].as_array().unwrap().iter().map(|task| task["taskId"].as_str().unwrap().to_owned()),
        );
        cursor = page.get_mut("nextCursor").map(Value::take);
        if cursor.is_none() {
            return ids;
        }
    }
}

async fn begin(session: &HttpSession) -> String {
    task_of(&session.request(&Message::call(1, "begin", "{}").param("task", "{}")).await)
}

#[tokio::test]
async fn where_principals_share_a_server_each_finds_its_own_tasks_alone() {
    for builtin in [false, true] {
        let plan = Plan::new(Over::Http).server(&format!("bearer_token = \"{TOKEN}\""));
        let plan = plan.registry("prefix = \"never\"");
        let gateway = start(if builtin { plan.builtin() } else { plan }).await;
        let bearer = gateway.http().header("authorization", &format!("Bearer {TOKEN}"));
        let ann = HttpSession::open(bearer, Era::Legacy.revision()).await;
        let bob = HttpSession::open(gateway.local(), Era::Legacy.revision()).await;
        let (mut hers, mut his) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            hers.push(begin(&ann).await);
            his.push(begin(&bob).await);
        }
        assert_eq!(hers, ["task-1", "task-3", "task-5"], "one server for both");
        assert_eq!((listed(&ann).await, listed(&bob).await), (hers.clone(), his.clone()));
        // What is another's, or nobody's that we know of, is as unknown as what does not exist.
        let unknown = bob.request(&about(2, "tasks/get", "no-such")).await.error();
        for id in [&*hers[0], "before"] {
            for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
                assert_eq!(bob.request(&about(3, method, id)).await.error(), unknown, "{method} {id}");
            }
        }
        let told = ann.request(&about(4, "tasks/get", &hers[0])).await.result();
        assert_eq!(told["status"], "working", "nobody else has cancelled it");
        let result = ann.request(&about(5, "tasks/result", &hers[0])).await.result();
        assert_eq!(result["content"][0]["text"], "result of task-1");
        assert_eq!(ann.request(&about(6, "tasks/cancel", &hers[0])).await.result()["status"], "cancelled");
    }
}

#[tokio::test]
async fn the_end_of_a_task_is_told_to_the_session_that_has_asked_for_it() {
    let gateway = start(Plan::new(Over::Http).server(&format!("bearer_token = \"{TOKEN}\""))).await;
    let bearer = gateway.http().header("authorization", &format!("Bearer {TOKEN}"));
    let ann = HttpSession::open(bearer, Era::Legacy.revision()).await;
    let bob = HttpSession::open(gateway.local(), Era::Legacy.revision()).await;
    let (mut to_ann, mut to_bob) = (ann.listen().await, bob.listen().await);
    let (hers, his) = (begin(&ann).await, begin(&bob).await);
    // The notification comes during a call of the other one.
    for (caller, task) in [(&bob, &hers), (&ann, &his)] {
        let arguments = json!({ "task": task }).to_string();
        let answer = caller.request(&Message::call(2, "finish", &arguments)).await;
        assert!(!answer.is_error() && answer.before.is_empty(), "{answer:?}");
    }
    for (stream, task) in [(&mut to_ann, &hers), (&mut to_bob, &his)] {
        let told: Value = serde_json::from_str(&stream.message().await.unwrap()).unwrap();
        assert_eq!(
            (&told["method"], &told["params"]["taskId"]),
            (&json!("notifications/tasks/status"), &json!(task))
        );
    }
}

#[tokio::test]
async fn where_there_is_one_principal_it_finds_what_was_begun_before_too() {
    let gateway = start(Plan::new(Over::Http)).await;
    let session = HttpSession::open(gateway.http(), Era::Legacy.revision()).await;
    let own = begin(&session).await;
    assert_eq!(listed(&session).await, ["before".to_owned(), own]);
    assert_eq!(session.request(&about(2, "tasks/get", "before")).await.result()["status"], "working");
}

#[tokio::test]
async fn a_task_of_a_stateless_server_outlives_the_gateway_where_it_is_known_whose_it_is() {
    let upstream = Upstream::fixture("up", Era::Modern, Over::Http, &[]).await;
    let url = upstream.url().to_owned();
    let mut first = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let mut client = first.connect(Era::Modern.revision(), DECLARED).await;
    let slow = Message::call(1, "slow_compute", r#"{"seconds":2,"label":"kept"}"#);
    let id = task_of(&client.request(&slow).await);
    assert_eq!(first.stop().await.code(), Some(0));
    let mut second = Gateway::start(Plan::new(Over::Http).upstream(Upstream::at("up", &url))).await;
    let mut client = second.connect(Era::Modern.revision(), DECLARED).await;
    assert_eq!(over(&mut client, &id).await["status"], "completed");
    // With two principals the new gateway cannot know whose it was.
    let plan = Plan::new(Over::Http).server(&format!("bearer_token = \"{TOKEN}\""));
    let third = Gateway::start(plan.upstream(Upstream::at("up", &url))).await;
    let session = HttpSession::open(third.local(), Era::Modern.revision()).await;
    for method in ["tasks/get", "tasks/cancel"] {
        let answer = session.request(&about(2, method, &id).capabilities(DECLARED)).await;
        assert_eq!(answer.error_code(), -32602, "{}", answer.text);
    }
}
