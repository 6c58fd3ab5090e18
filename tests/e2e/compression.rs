//! Replies are compressed for those who take it, and are the same replies.

use std::io::Read as _;
use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpSession, Message, Response};

use crate::support::{Era, Gateway, Over, Plan, Upstream};

async fn gateway(transport: &str) -> Gateway {
    let upstream = Upstream::raw("up", Era::Modern, Over::Stdio, &["--tools", "200"]).await;
    let plan = Plan::new(Over::Http).sections(&format!("[transport]\n{transport}\n"));
    let gateway = Gateway::start(plan.upstream(upstream)).await;
    let session = HttpSession::open(gateway.http(), Era::Modern.revision()).await;
    session.request(&Message::call(1, "bare", "{}")).await.result();
    gateway
}

async fn ask(gateway: &Gateway, message: &Message, takes: &str) -> Response {
    let revision = Era::Modern.revision();
    let client = gateway.http().header("accept-encoding", takes);
    let headers = message.headers(revision);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client.post(&headers, message.text(revision).as_bytes()).await
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("expected JSON")
}

fn unpacked(coding: &str, body: &[u8]) -> String {
    let mut text = String::new();
    match coding {
        "zstd" => text = String::from_utf8(zstd::stream::decode_all(body).unwrap()).unwrap(),
        "gzip" => drop(flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap()),
        "br" => drop(brotli::Decompressor::new(body, 4096).read_to_string(&mut text).unwrap()),
        other => panic!("expected a coding, got {other:?}"),
    }
    text
}

#[tokio::test]
async fn a_reply_is_compressed_as_the_client_takes_it_and_says_the_same() {
    let gateway = gateway("compression = \"always\"").await;
    let list = Message::request(1, "tools/list");
    let result = serde_json::json!({ "resultType": "complete", "text": "lorem ipsum ".repeat(40_000) });
    let long = Message::call(2, "reply", &serde_json::json!({ "result": result.to_string() }).to_string());
    for message in [&list, &long] {
        let mut plain = ask(&gateway, message, "identity").await;
        assert_eq!(plain.headers.get("content-encoding"), None);
        let plain = plain.text().await;
        for takes in ["zstd", "gzip", "br", "deflate, gzip;q=0.5, br;q=0.4"] {
            let mut reply = ask(&gateway, message, takes).await;
            let coding = reply.headers.get("content-encoding").expect("expected a coding").to_owned();
            assert!(takes.contains(&coding), "{coding} for {takes}");
            assert_eq!(reply.headers.get("vary"), Some("accept-encoding"));
            let body = reply.bytes().await;
            assert!(body.len() * 3 < plain.len(), "{} of {} bytes with {coding}", body.len(), plain.len());
            assert_eq!(json(&unpacked(&coding, &body)), json(&plain), "{takes}");
        }
    }
    let mut short = ask(&gateway, &Message::call(3, "bare", "{}"), "gzip").await;
    assert_eq!(short.headers.get("content-encoding"), None);
    assert!(short.text().await.contains("bare"));
}

#[tokio::test]
async fn on_loopback_nothing_is_compressed_unless_that_is_wanted() {
    for transport in ["", "compression = \"never\""] {
        let gateway = gateway(transport).await;
        let reply = ask(&gateway, &Message::request(1, "tools/list"), "gzip, zstd, br").await;
        assert_eq!(reply.headers.get("content-encoding"), None, "{transport}");
    }
}

#[tokio::test]
async fn a_list_is_compressed_once_and_every_client_gets_its_own_reply() {
    let gateway = gateway("compression = \"always\"").await;
    let plain = json(&ask(&gateway, &Message::request(1, "tools/list"), "identity").await.text().await);
    for coding in ["zstd", "gzip", "br"] {
        let (mut firsts, started) = (Vec::new(), Instant::now());
        // The background work takes its time in a build without optimization.
        for id in 0.. {
            assert!(started.elapsed() < Duration::from_secs(120), "{coding} is not compressed once for all");
            let mut reply = ask(&gateway, &Message::request(id, "tools/list"), coding).await;
            let body = reply.bytes().await;
            let text = unpacked(coding, &body);
            let answer = json(&text);
            assert_eq!((&answer["id"], &answer["result"]["tools"]), (&id.into(), &plain["result"]["tools"]));
            // The list comes first where it was compressed before.
            if text.starts_with("{\"result\"") {
                firsts.push(body[..body.len() / 2].to_vec());
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if firsts.len() == 3 {
                break;
            }
        }
        // An id of more digits makes a reply longer.
        let common = firsts.iter().map(Vec::len).min().unwrap_or_default();
        assert!(firsts.iter().all(|first| first[..common] == firsts[0][..common]), "{coding}");
    }
}
