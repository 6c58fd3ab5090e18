//! What the tests share: gateways, upstreams and clients of every kind, and the table of their combinations.

mod client;
#[allow(dead_code, reason = "not used by tests/faults")]
pub(crate) mod collector;
mod gateway;
pub(crate) mod upstream;

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use aqe_testkit::client::{Answer, Revision};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

pub(crate) use client::Client;
pub(crate) use gateway::{Gateway, Plan, Ran};
pub(crate) use upstream::Upstream;

/// Pairs of one test that run at the same time: more only wait for each other on a small machine.
const AT_ONCE: usize = 4;

/// How two processes are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Standard input and output.
    Stdio,
    /// Streamable HTTP.
    Http,
}

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// With handshake; tested with its newest revision.
    Legacy,
    /// Stateless.
    Modern,
}

impl Era {
    /// The newest revision of the era.
    pub(crate) fn revision(self) -> Revision {
        match self {
            Self::Legacy => Revision::V2025_11_25,
            Self::Modern => Revision::V2026_07_28,
        }
    }
}

/// A client and an upstream, with the gateway between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) client: Era,
    pub(crate) client_over: Over,
    pub(crate) upstream: Era,
    pub(crate) upstream_over: Over,
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, client_over, upstream, upstream_over } = self;
        write!(f, "{client:?} client over {client_over:?}, {upstream:?} upstream over {upstream_over:?}")
    }
}

impl Pair {
    /// All sixteen pairs.
    pub(crate) fn all() -> Vec<Self> {
        let (eras, overs) = ([Era::Legacy, Era::Modern], [Over::Stdio, Over::Http]);
        let mut pairs = Vec::new();
        for client in eras {
            for upstream in eras {
                for client_over in overs {
                    for upstream_over in overs {
                        pairs.push(Self { client, client_over, upstream, upstream_over });
                    }
                }
            }
        }
        pairs
    }

    /// Whether both ends speak the same era.
    pub(crate) fn is_same_era(self) -> bool {
        self.client == self.upstream
    }

    /// The raw upstream of the pair behind a gateway, and the client connected to it.
    pub(crate) async fn open(self, flags: &[&str]) -> (Gateway, Client) {
        self.open_with(flags, "{}").await
    }

    /// As [`Pair::open`]; the client declares these capabilities (JSON text).
    pub(crate) async fn open_with(self, flags: &[&str], capabilities: &str) -> (Gateway, Client) {
        let upstream = Upstream::raw("up", self.upstream, self.upstream_over, flags).await;
        let mut gateway = Gateway::start(Plan::new(self.client_over).upstream(upstream)).await;
        let client = gateway.connect(self.client.revision(), capabilities).await;
        (gateway, client)
    }
}

/// Runs `test` for each pair, some at a time; fails after the last one, naming every pair that failed.
pub(crate) async fn each<F: Future<Output = ()> + Send + 'static>(
    pairs: Vec<Pair>,
    test: impl Fn(Pair) -> F,
) {
    some_at_a_time(pairs, AT_ONCE, test).await;
}

/// As [`each`], but one after the other: for tests that measure time.
pub(crate) async fn one_by_one<F: Future<Output = ()> + Send + 'static>(
    pairs: Vec<Pair>,
    test: impl Fn(Pair) -> F,
) {
    some_at_a_time(pairs, 1, test).await;
}

async fn some_at_a_time<F: Future<Output = ()> + Send + 'static>(
    pairs: Vec<Pair>,
    at_once: usize,
    test: impl Fn(Pair) -> F,
) {
    let turns = Arc::new(Semaphore::new(at_once));
    let mut running = Vec::new();
    for pair in pairs {
        let (turns, test) = (Arc::clone(&turns), test(pair));
        let task = tokio::spawn(async move {
            let _turn = turns.acquire_owned().await;
            test.await;
        });
        running.push((pair, task));
    }
    let mut failed = Vec::new();
    for (pair, task) in running {
        if let Err(error) = task.await {
            failed.push(format!("{pair}: {error}"));
        }
    }
    assert!(failed.is_empty(), "{} pairs failed:\n{}", failed.len(), failed.join("\n"));
}

/// Microseconds since the Unix epoch, as the upstreams' journals have it.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The id of a message, as it is written. What else it holds may be more than serde_json can read.
pub(crate) fn id_of(text: &str) -> String {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    serde_json::from_str::<Message<'_>>(text).expect("expected a message").id.get().to_owned()
}

/// The text of a tool result that may hold more than serde_json can read.
pub(crate) fn text_of(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Content {
        text: String,
    }
    #[derive(Deserialize)]
    struct ToolResult {
        content: Vec<Content>,
    }
    let result: ToolResult = serde_json::from_str(answer.raw_result()).expect("expected a tool result");
    result.content.into_iter().next().expect("expected content").text
}
