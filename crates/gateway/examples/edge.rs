#![allow(clippy::all, clippy::pedantic, unused)]
use aqe_gateway::{proxy::*, settings::*, transport::*, upstream::*};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
struct NoStore;
impl ManifestStore for NoStore {
    fn save(&self, _: &str, _: &str, _: Vec<u8>) {}
}
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if guardian::run_if_asked() {
        return;
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let endpoint = if args[1] == "http" {
        Endpoint::Http(HttpSpec { url: args[2].parse().unwrap(), headers: vec![], ca_file: None })
    } else {
        Endpoint::Child(ChildSpec {
            command: args[2].clone(),
            args: args[3..].to_vec(),
            env: std::env::vars().collect(),
            cwd: None,
        })
    };
    let settings = Settings {
        message: Default::default(),
        max_body_bytes: 16 << 20,
        registry: Default::default(),
        resolved_names: 1000,
        page_size: 10000,
        start: Start::Eager,
        first_list_wait: Duration::from_secs(5),
        upstreams: vec![UpstreamSettings {
            name: "up".into(),
            endpoint,
            category: None,
            trusted: false,
            allow: vec![],
            deny: vec![],
            era: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            tool_timeouts: vec![],
            max_message_bytes: 16 << 20,
        }],
        sessions: SessionSettings { max_sessions: 1000, idle_timeout: Duration::from_secs(600) },
    };
    let gw = Gateway::start(settings, &HttpClient::new(), Arc::new(NoStore), HashMap::new());
    if args[0] == "stdio" {
        let (r, w) = stdio::open();
        lines::serve(gw.clone(), r, w, "local".into(), std::future::pending()).await;
        gw.stop().await;
        return;
    }
    let edge = http::Edge::new(gw, Default::default(), Default::default());
    let l = tokio::net::TcpListener::bind(&args[0]).await.unwrap();
    eprintln!("listening {}", l.local_addr().unwrap());
    edge.serve_tcp(l).await;
}
