//! A test of the receivers: one attempt each, at once and past the queues.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::delivery::Way;
use super::{Alerting, Notice, log};
use crate::upstream::run_id;

/// No receiver has the name.
#[derive(Debug, thiserror::Error)]
#[error("no sink is called {name:?}; there are: {}", known.join(", "))]
pub(crate) struct UnknownSink {
    name: String,
    known: Vec<String>,
}

impl Alerting {
    /// Sends a test through the sink of this name, or through all, whatever severity they ask for. `to_clients` sends it
    /// to clients and says to how many.
    ///
    /// # Errors
    /// If there is no such sink.
    pub(crate) async fn test(
        &self,
        only: Option<&str>,
        to_clients: impl Fn(&Notice) -> usize,
    ) -> Result<Value, UnknownSink> {
        let (notice, ways, plain) = {
            let mut watch = self.lock();
            watch.deliveries += 1;
            let delivery = format!("{}-{}", run_id(), watch.deliveries);
            let at = watch.clock.unix_ms(Instant::now());
            let notice = Notice::test(delivery, at, &self.origin);
            let ways: Vec<(Arc<str>, &'static str, Way)> = watch
                .sinks
                .iter()
                .map(|sink| (Arc::clone(sink.receiver.name()), sink.receiver.kind(), sink.way.clone()))
                .collect();
            let plain = [("log", watch.log), ("mcp_log", watch.mcp_log)];
            (notice, ways, plain.into_iter().filter(|(_, least)| least.is_some()).map(|(name, _)| name))
        };
        let plain: Vec<&str> = plain.collect();
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        if let Some(name) = only
            && !plain.contains(&name)
            && ways.iter().all(|(known, ..)| **known != *name)
        {
            let known = plain.iter().map(|name| (*name).to_owned());
            let known = known.chain(ways.iter().map(|(name, ..)| name.to_string())).collect();
            return Err(UnknownSink { name: name.to_owned(), known });
        }
        let mut results = Vec::new();
        for name in plain.into_iter().filter(|name| wanted(name)) {
            let (delivered, error) = if name == "log" {
                log(&notice);
                (Some(true), None)
            } else if to_clients(&notice) > 0 {
                (Some(true), None)
            } else {
                (None, Some("no client has asked for log messages of this level"))
            };
            results.push(result(name, name, delivered, error, 0.0));
        }
        let attempts = ways.iter().filter(|(name, ..)| wanted(name)).map(|(name, kind, way)| {
            let notice = &notice;
            async move {
                let started = Instant::now();
                let error = way.attempt(notice).await.err().map(|failure| failure.text);
                result(
                    name,
                    kind,
                    Some(error.is_none()),
                    error.as_deref(),
                    started.elapsed().as_secs_f64() * 1e3,
                )
            }
        });
        results.extend(futures_util::future::join_all(attempts).await);
        Ok(json!({ "delivery": notice.delivery, "sinks": results }))
    }
}

/// `delivered` is `None` where there is nobody to deliver it to.
fn result(name: &str, kind: &str, delivered: Option<bool>, error: Option<&str>, took_ms: f64) -> Value {
    json!({ "name": name, "kind": kind, "delivered": delivered, "error": error, "took_ms": took_ms })
}
