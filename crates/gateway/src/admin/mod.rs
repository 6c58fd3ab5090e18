//! The admin API: what a user's own programs ask a running gateway. HTTP and JSON, on the Unix socket; the dashboard,
//! with what it needs of this, over TCP as well (`transport/http/web.rs`).
//!
//! | request | answer |
//! |---|---|
//! | `GET /admin/info` | which server this is: folder, configuration files, where it listens |
//! | `GET /admin/status` | the upstreams: state, error, revision, calls in flight, tools |
//! | `GET /admin/tools[?category=&upstream=&prefix=]` | the tools that are shown, with their usage |
//! | `GET /admin/tools/lookup?name=` | what a name means: a tool, the tool it must have meant, or none |
//! | `GET /admin/tools/stats` | figures of the registry |
//! | `GET /admin/pool` | the connection pool: settings, figures of all replicas and of each |
//! | `POST /admin/pool` `{"min_connections", "max_connections", "idle_timeout_ms", "max_uses", "max_lifetime_ms", "health_check_interval_ms", "acquire_timeout_ms"}` | changes those that are given; the settings now |
//! | `POST /admin/reload` | reads the configuration again; which upstreams were added, removed, replaced, changed, kept, and what needs a restart |
//! | `POST /admin/drain` | stops the server as a signal does: accepts no more, finishes calls, closes connections |
//! | `GET /admin/balance` | the balancer of each upstream: strategy, and the state and figures of its replicas |
//! | `POST /admin/balance` `{"strategy", "load_weight", "response_weight", "category_weight", "upstream"}` | changes those that are given, of one upstream or of all |
//! | `GET /admin/cache` | the result cache: figures of each level |
//! | `POST /admin/cache/clear` `{"upstream", "tool"}` | forgets everything, or what is of that upstream or tool |
//! | `GET /admin/metrics[?window=10s\|1m\|5m\|start]` | health, requests by tool, category, upstream, method and replica, and everything else that is measured |
//! | `GET /admin/metrics/history` | the last five minutes, a point a second |
//! | `GET /admin/calls` | the requests that are being answered, at most 200, the oldest first |
//! | `POST /admin/calls/cancel` `{"call"}` | cancels one of them: its client gets an error, its upstream is told |
//! | `GET /admin/events?window=` | the figures of `/admin/metrics` as server-sent events, over TCP only |
//! | `GET /metrics` | everything that is measured, as text for Prometheus or in OpenMetrics, as `Accept` asks |
//! | `GET /admin/alerts[?history=]` | the alerts that are pending, firing or acknowledged; all rules and receivers; the newest firings that are over |
//! | `POST /admin/alerts/ack` `{"name", "by", "note"}` | takes notice of a firing alert: it is not repeated until it resolves |
//! | `POST /admin/alerts/test` `{"sink"}` | sends a test to all receivers, or one, and tells of each whether it arrived |
//! | `GET /admin/fleets[?cursor=]` | the fleets of this folder, whoever's they are: agents, tasks by state, the newest tasks |
//! | `GET /admin/fleets/FLEET[?run=&state=&cursor=&limit=]` | one of them, with its newest runs and a page of its tasks |
//! | `GET /admin/fleets/tasks/TASK` | a task: arguments, attempts, what is kept of their output, what happened |
//! | `POST /admin/fleets/cancel` `{"id"}` | ends a run or a task: how many tasks are cancelled, and how many are being stopped |
//! | `POST /admin/call` `{"name", "arguments"}` | runs a tool; the JSON-RPC response as it is |
//!
//! An error is `{"error": "…"}` under a status of 400, 404, 405, 500 or 503. Times are milliseconds; what is not known is
//! `null`.

mod alerts;
mod balance;
mod cache;
mod call;
mod changes;
mod control;
mod events;
mod fleets;
mod metrics;
mod page;
mod pool;
mod query;
mod status;
mod tools;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, header};
use serde_json::{Value, json};

pub use self::call::calls;
pub use self::events::{Feed, Feeds};
pub(crate) use self::fleets::Place;
pub use self::page::Asset;
pub use self::pool::MOST_CONNECTIONS;
use self::query::Query;
pub use self::status::status;
use crate::exposition;
use crate::proxy::Gateway;

/// What a process says about itself, so that its user's other programs can tell servers apart.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The folder it was started in.
    pub folder: PathBuf,
    /// The configuration files that it has read, in order.
    pub config: Vec<PathBuf>,
    /// The MCP endpoint, if it serves HTTP.
    pub url: Option<String>,
    /// The dashboard, if it is served.
    pub dashboard: Option<String>,
    /// Its Unix sockets.
    pub sockets: Vec<PathBuf>,
    /// Whether it serves standard input and output.
    pub stdio: bool,
    /// When it was started.
    pub started_at: Option<SystemTime>,
}

/// A refused request: its status, and the text of `error`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Refused {
    status: StatusCode,
    message: String,
}

impl Refused {
    fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    fn into_response(self) -> Response<Bytes> {
        response(self.status, json!({ "error": self.message }).to_string().into())
    }
}

/// Answers a request to `/admin/…` or `/metrics`.
pub async fn answer(gateway: &Arc<Gateway>, request: &Parts, body: Bytes) -> Response<Bytes> {
    let method = &request.method;
    let path_and_query = request.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if request.uri.path() == "/metrics" && *method == Method::GET {
        return exposition::answer(gateway, &request.headers).await;
    }
    match route(gateway, method, path_and_query, &body).await {
        Ok(bytes) => response(StatusCode::OK, bytes),
        Err(refused) => refused.into_response(),
    }
}

async fn route(
    gateway: &Arc<Gateway>,
    method: &Method,
    path_and_query: &str,
    body: &Bytes,
) -> Result<Bytes, Refused> {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    if let Some(place) = Place::of(path) {
        check_method(path, method, &[place.method()])?;
        return fleets::answer(gateway, place, query, body).await;
    }
    let taken: &[Method] = match path {
        "/admin/info"
        | "/admin/status"
        | "/admin/tools"
        | "/admin/tools/lookup"
        | "/admin/tools/stats"
        | "/admin/metrics"
        | "/admin/metrics/history"
        | "/admin/calls"
        | "/admin/alerts"
        | "/admin/cache"
        | "/metrics" => &[Method::GET],
        "/admin/pool" | "/admin/balance" => &[Method::GET, Method::POST],
        "/admin/alerts/ack"
        | "/admin/alerts/test"
        | "/admin/call"
        | "/admin/calls/cancel"
        | "/admin/cache/clear"
        | "/admin/drain"
        | "/admin/reload" => &[Method::POST],
        _ => return Err(Refused { status: StatusCode::NOT_FOUND, message: format!("no such path: {path}") }),
    };
    check_method(path, method, taken)?;
    let parameters: &[&str] = match path {
        "/admin/tools" => &["category", "upstream", "prefix"],
        "/admin/tools/lookup" => &["name"],
        "/admin/metrics" => &["window"],
        "/admin/alerts" => &["history"],
        _ => &[],
    };
    let query = Query::parse(query, parameters)?;
    let posted = *method == Method::POST;
    let value = match path {
        "/admin/info" => status::info(gateway),
        "/admin/status" => status::status(gateway),
        "/admin/tools" => tools::list(gateway, &query),
        "/admin/tools/lookup" => tools::lookup(gateway, &query)?,
        "/admin/tools/stats" => tools::stats(gateway),
        "/admin/pool" if posted => pool::configure(gateway, body)?,
        "/admin/pool" => pool::status(gateway),
        "/admin/balance" if posted => balance::configure(gateway, body)?,
        "/admin/balance" => balance::status(gateway),
        "/admin/metrics" => return metrics::metrics(gateway, &query).await,
        "/admin/metrics/history" => metrics::history(gateway)?,
        "/admin/calls" => metrics::in_flight(gateway)?,
        "/admin/calls/cancel" => metrics::cancel(gateway, body)?,
        "/admin/cache" => cache::status(gateway)?,
        "/admin/cache/clear" => cache::clear(gateway, body)?,
        "/admin/alerts" => alerts::status(gateway, &query)?,
        "/admin/alerts/ack" => alerts::acknowledge(gateway, body)?,
        "/admin/alerts/test" => alerts::test(gateway, body).await?,
        "/admin/drain" => control::drain(gateway)?,
        "/admin/reload" => control::reload(gateway).await?,
        _ => return call::call(gateway, body).await,
    };
    Ok(value.to_string().into())
}

fn check_method(path: &str, method: &Method, taken: &[Method]) -> Result<(), Refused> {
    if taken.contains(method) {
        return Ok(());
    }
    let taken: Vec<&str> = taken.iter().map(Method::as_str).collect();
    let message = format!("{path} takes {} only", taken.join(" and "));
    Err(Refused { status: StatusCode::METHOD_NOT_ALLOWED, message })
}

fn response(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A moment as RFC 3339 in UTC; `null` for one that no calendar has.
fn moment(time: SystemTime) -> Value {
    jiff::Timestamp::try_from(time).map_or(Value::Null, |time| json!(format!("{time:.3}")))
}

/// A duration in milliseconds.
fn millis(duration: std::time::Duration) -> Value {
    json!(duration.as_nanos() as f64 / 1e6)
}
