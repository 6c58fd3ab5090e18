//! A question to a running server, from the command line to the answer.

use std::future::Future;
use std::path::PathBuf;

use serde_json::Value;

use super::{Failure, Server, client, find, output};

/// Finds the server and asks it for a path; with `--json` the answer is printed as it is, else as `show` says.
pub(super) fn ask(
    server: &Server,
    path: &str,
    show: impl FnOnce(&Value) -> String,
) -> Result<Value, Failure> {
    let answer = on_server(server, |socket| async move { Ok(client::get(&socket, path).await?) })?;
    output::line(&if server.json { answer.to_string() } else { show(&answer) })?;
    Ok(answer)
}

/// Finds the server and posts `body` to a path; shows the answer as [`ask`] does.
pub(super) fn change(
    server: &Server,
    path: &str,
    body: &Value,
    show: impl FnOnce(&Value) -> String,
) -> Result<(), Failure> {
    let answer = post(server, path, body)?;
    output::line(&if server.json { answer.to_string() } else { show(&answer) })?;
    Ok(())
}

/// Finds the server and posts `body` to a path.
pub(super) fn post(server: &Server, path: &str, body: &Value) -> Result<Value, Failure> {
    let body = body.to_string().into();
    let answer = on_server(server, |socket| async move { Ok(client::post(&socket, path, body).await?) })?;
    Ok(serde_json::from_slice(&answer).map_err(client::ClientError::from)?)
}

/// Finds the server and does something with its socket.
pub(super) fn on_server<T, F>(server: &Server, then: impl FnOnce(PathBuf) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    block_on(async { then(find::socket(server).await?).await })?
}

/// Runs a client's few moments of waiting.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(future))
}

/// A text of an answer, or a dash for what is not known.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Milliseconds for people, or a dash for what is not known.
pub(super) fn millis(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".into(), |ms| format!("{ms:.2} ms"))
}

/// A share from 0 to 1 for people, or a dash for what is not known.
pub(super) fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0))
}

/// The items of a list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The line that says which upstreams have not told their tools yet, if there are any.
pub(super) fn not_listed(answer: &Value) -> String {
    let names: Vec<&str> = items(&answer["not_listed"]).iter().filter_map(Value::as_str).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("\nnot listed yet: {} (aqe-v3 mcp status says why)", names.join(", "))
}
