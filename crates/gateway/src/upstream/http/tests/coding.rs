//! Servers that compress what they say.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;

use super::support::*;
use crate::upstream::{CallError, Item};

fn coded(mut reply: Reply, coding: &'static str) -> Reply {
    reply.headers_mut().insert("content-encoding", HeaderValue::from_static(coding));
    reply
}

#[tokio::test]
async fn a_compressed_answer_is_the_answer_whoever_asked_for_it() {
    let server = Server::start(|seen| async move {
        let text = result(&seen.id());
        let (coding, packed) = if seen.is("gzip") {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            ("gzip", encoder.finish().unwrap())
        } else {
            ("zstd", zstd::bulk::compress(text.as_bytes(), 1).unwrap())
        };
        let (sender, reply) = open(200, "application/json");
        sender.try_send(Ok(packed.into())).unwrap();
        coded(reply, coding)
    })
    .await;
    let (connection, _) = connect(&server.url());
    assert_eq!(answer(request(&connection, "gzip")).await.unwrap(), result("1"));
    assert_eq!(answer(request(&connection, "zstd")).await.unwrap(), result("2"));
    // On this machine it would only cost time.
    assert_eq!(server.seen()[0].header("accept-encoding"), None);
}

#[tokio::test]
async fn compressed_events_arrive_one_by_one() {
    let server = Server::start(|seen| async move {
        let (sender, reply) = open(200, "text/event-stream");
        tokio::spawn(async move {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            let mut send = async |text: &str| {
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.flush().unwrap();
                let _ = sender.send(Ok(Bytes::from(std::mem::take(encoder.get_mut())))).await;
            };
            send(&data(&progress("1", 1))).await;
            // Until the test has seen that, nothing more comes.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            send(&data(&result(&seen.id()))).await;
        });
        coded(reply, "gzip")
    })
    .await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2024-11-05");
    let mut call = request(&connection, "tools/call");
    let first = tokio::time::timeout(std::time::Duration::from_millis(250), next(&mut *call)).await;
    assert!(matches!(first, Ok(Item::Notification(_))), "{first:?}");
    let second = next(&mut *call).await;
    assert!(matches!(second, Item::Answer(_)), "{second:?}");
}

#[tokio::test]
async fn what_is_not_compressed_as_it_says_fails_its_call() {
    let server = Server::start(|seen| async move {
        let coding = if seen.is("unknown") { "compress" } else { "gzip" };
        coded(json(&result(&seen.id())), coding)
    })
    .await;
    let (connection, _) = connect(&server.url());
    let error = answer(request(&connection, "unknown")).await.unwrap_err();
    assert!(matches!(&error, CallError::Malformed(why) if why.contains("compress")), "{error}");
    let error = answer(request(&connection, "plain")).await.unwrap_err();
    assert!(error.to_string().contains("compression"), "{error}");
}
