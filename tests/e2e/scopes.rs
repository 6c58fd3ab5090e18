//! Who shares a process of an upstream that keeps state in it (`session_scope`).

use std::collections::BTreeSet;

use aqe_testkit::client::Message;

use crate::support::{Client, Era, Gateway, Over, Plan, Upstream};

/// The process that answers this client: the raw upstream's journal is its own.
async fn process(client: &mut Client, id: u32) -> u64 {
    let journal = client.call(id, "journal", "{}").await.result();
    let entries = journal["structuredContent"]["entries"].as_array().cloned().unwrap_or_default();
    let pids: BTreeSet<u64> = entries.iter().filter_map(|entry| entry["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 1, "a journal of one process: {journal}");
    pids.into_iter().next().expect("expected an entry")
}

async fn gateway(scope: &str) -> Gateway {
    let upstream = Upstream::raw("up", Era::Legacy, Over::Stdio, &[]).await;
    let upstream = upstream.with("workers = 4").with(&format!("session_scope = \"{scope}\""));
    Gateway::start(Plan::new(Over::Http).upstream(upstream)).await
}

#[tokio::test]
async fn each_client_session_keeps_a_process_of_its_own() {
    let mut gateway = gateway("per_client_session").await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(gateway.connect(Era::Legacy.revision(), "{}").await);
    }
    let mut processes = Vec::new();
    for client in &mut clients {
        processes.push(process(client, 1).await);
    }
    assert_eq!(processes.iter().collect::<BTreeSet<_>>().len(), 3, "{processes:?}");
    for round in 2..5 {
        for (client, own) in clients.iter_mut().zip(&processes) {
            assert_eq!(process(client, round).await, *own);
        }
    }
}

#[tokio::test]
async fn each_call_has_a_process_of_its_own_where_none_may_be_shared() {
    let mut gateway = gateway("per_request").await;
    let mut client = gateway.connect(Era::Legacy.revision(), "{}").await;
    let mut seen = BTreeSet::new();
    for id in 1..4 {
        assert!(seen.insert(process(&mut client, id).await), "a process was used twice");
    }
}

#[tokio::test]
async fn the_calls_of_one_principal_share_a_process() {
    let mut gateway = gateway("per_principal").await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(gateway.connect(Era::Legacy.revision(), "{}").await);
    }
    let mut seen = BTreeSet::new();
    for client in &mut clients {
        seen.insert(process(client, 1).await);
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

/// Servers on the official Rust SDK send what they log during a call over the session's GET stream, not the call's own.
#[tokio::test]
async fn what_a_server_logs_during_a_call_arrives_on_whichever_of_its_connections_the_call_was() {
    let upstream = Upstream::fixture("up", Era::Legacy, Over::Http, &[]).await;
    let upstream = upstream.with("exclusive = true").with("min_connections = 3");
    let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let mut client = gateway.connect(Era::Legacy.revision(), "{}").await;
    client
        .request(&Message::request("\"level\"", "logging/setLevel").param("level", "\"debug\""))
        .await
        .result();
    for round in 0..3 {
        let ids = [round * 10 + 1, round * 10 + 2, round * 10 + 3];
        for id in ids {
            client.begin(&Message::call(id, "test_tool_with_logging", "{}")).await;
        }
        for id in ids {
            let answer = client.finish(&id.to_string()).await;
            let logs = answer.before.iter().filter(|text| text.contains("notifications/message"));
            // The third is sent with the answer, over another stream, and may be overtaken by it.
            assert!(logs.count() >= 2, "call {id}: {:?}", answer.before);
        }
    }
}
