//! How the server behaves at the moment: read from a file, so that a test can change it while the server runs.

use std::{fs, path::Path, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{bad, channel::Channel, request::Request, server::Call, tools::Outcome};

/// What `--conduct` may say, a JSON object. All members may be missing; so may the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conduct {
    /// Milliseconds that every tool takes longer.
    #[serde(default)]
    pub(super) delay_ms: u64,
    /// Every tool answers in this way: the arguments of the tool `bad`.
    pub(super) bad: Option<bad::Arguments>,
    /// Every tool answers with this JSON-RPC error.
    pub(super) error: Option<Box<RawValue>>,
    /// HTTP: sessions that were opened while this number was another one are unknown.
    #[serde(default)]
    pub(super) epoch: u64,
}

impl Conduct {
    /// What the file says now.
    pub(super) fn read(path: Option<&Path>) -> Self {
        let Some(text) = path.and_then(|path| fs::read_to_string(path).ok()) else { return Self::default() };
        match serde_json::from_str(&text) {
            Ok(conduct) => conduct,
            Err(error) => panic!("--conduct: {error} in {text}"),
        }
    }

    /// Whether calls are refused before anything is done for them.
    pub(super) fn refuses(&self) -> bool {
        self.bad.as_ref().is_some_and(bad::Arguments::refuses)
    }
}

/// Takes the time that a call is to take, and answers it badly if that is how to behave; `None` if it is still to
/// be answered.
pub(super) async fn misbehave(
    conduct: &Conduct,
    request: &Request,
    call: &Call,
    channel: &mut Channel,
) -> Option<Outcome> {
    if conduct.delay_ms > 0 {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(conduct.delay_ms)) => {}
            () = call.cancelled.notified() => return Some(Ok(channel.abandon().await)),
        }
    }
    if let Some(error) = &conduct.error {
        let response = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, request.id_text());
        return Some(Ok(channel.last(response.as_bytes()).await));
    }
    match &conduct.bad {
        Some(bad) => Some(bad::answer(request, bad, call, channel).await),
        None => None,
    }
}
