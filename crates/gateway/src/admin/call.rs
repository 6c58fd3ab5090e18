//! Running a tool on behalf of the user.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use aqe_core::balancer::ReplicaStatus;
use aqe_core::envelope::{Message, encode_string};
use aqe_core::health::BreakerState;
use aqe_core::inprocess::{AnyCallFuture, Calls, Sessions};
use aqe_core::pool::ReplicaHealth;
use aqe_core::revision::Revision;
use bytes::Bytes;
use http::StatusCode;
use serde_json::value::RawValue;

use super::Refused;
use crate::proxy::{Caller, Gateway};
use crate::session::{Nowhere, next_owner};
use crate::settings::LOCAL_PRINCIPAL;
use crate::telemetry::Via;

/// The way by which what runs in this process calls tools.
#[derive(Debug)]
struct OwnCalls(Weak<Gateway>);

/// Calls of tools by what runs in this process.
pub fn calls(gateway: &Arc<Gateway>) -> Arc<dyn Calls> {
    Arc::new(OwnCalls(Arc::downgrade(gateway)))
}

impl Calls for OwnCalls {
    fn call<'a>(&'a self, principal: &'a str, tool: &'a str, arguments: &'a str) -> AnyCallFuture<'a> {
        Box::pin(async move {
            let gateway = self.0.upgrade().ok_or("the server is stopping")?;
            let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, encode_string(tool));
            let request = crate::wire::request(1, "tools/call", &params);
            let answer = answered(&gateway, principal, request).await.map_err(|refused| refused.message)?;
            Ok(answer)
        })
    }

    fn sessions(&self, tool: &str) -> Option<Sessions> {
        let gateway = self.0.upgrade()?;
        let catalog = gateway.catalog();
        let upstream = catalog.upstream_of(catalog.tools.get(tool)?);
        if upstream.in_process().is_some() {
            return None;
        }
        let (pooled, balanced) = (gateway.pool.status(), upstream.balancer_status());
        let mut sessions = Sessions {
            upstream: upstream.name().to_owned(),
            open: 0,
            in_use: 0,
            in_flight: 0,
            replicas: balanced.replicas.len() as u32,
            serving: 0,
            error: None,
        };
        // Both are in the order of the configuration.
        for ((_, pooled), balanced) in upstream.pooled(&pooled).zip(&balanced.replicas) {
            // One that was never asked for is as good as any.
            let is_reached = pooled.is_none_or(|pooled| !rests(pooled.health));
            sessions.serving += u32::from(takes_calls(balanced) && is_reached);
            let Some(pooled) = pooled else { continue };
            sessions.open += pooled.figures.connections.total;
            sessions.in_use += pooled.figures.connections.in_use;
            sessions.in_flight += pooled.figures.calls_in_flight;
            sessions.error = pooled.last_error.as_deref().map(str::to_owned).or(sessions.error);
        }
        if sessions.serving > 0 {
            sessions.error = None;
        }
        Some(sessions)
    }
}

fn takes_calls(replica: &ReplicaStatus) -> bool {
    !replica.down && replica.state != BreakerState::Open
}

/// Whether it could not be reached, and is not to be tried again yet.
fn rests(health: ReplicaHealth) -> bool {
    match health {
        ReplicaHealth::BackingOff { retry_in, .. } | ReplicaHealth::CrashLooping { retry_in, .. } => {
            !retry_in.is_zero()
        }
        _ => false,
    }
}

/// `POST /admin/call`: the JSON-RPC response, error or not. Arguments and result stay raw.
pub(super) async fn call(gateway: &Arc<Gateway>, body: &Bytes) -> Result<Bytes, Refused> {
    answered(gateway, LOCAL_PRINCIPAL, request(body)?).await
}

async fn answered(gateway: &Arc<Gateway>, principal: &str, request: Bytes) -> Result<Bytes, Refused> {
    let message =
        Message::parse(request, gateway.settings.message).map_err(|fault| Refused::bad(fault.reason))?;
    let caller = Caller {
        revision: Revision::NEWEST_LEGACY,
        principal: principal.into(),
        session: None,
        owner: next_owner(),
        param_headers: None,
        takes_long: false,
        began: std::time::Instant::now(),
        via: Via::Http { version: http::Version::HTTP_11, unix: true },
        trace: None,
        observed: None,
    };
    let answer = Arc::clone(gateway).handle(caller, message, Arc::new(Nowhere)).await;
    let cancelled =
        || Refused { status: StatusCode::SERVICE_UNAVAILABLE, message: "the call was cancelled".into() };
    answer.map(crate::proxy::Answer::into_bytes).ok_or_else(cancelled)
}

fn request(body: &Bytes) -> Result<Bytes, Refused> {
    const SHAPE: &str = r#"the body must be {"name": "a tool", "arguments": {…}}"#;
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(body).map_err(|error| Refused::bad(format!("{SHAPE}: {error}")))?;
    if let Some(other) = members.keys().find(|key| !matches!(key.as_str(), "name" | "arguments")) {
        return Err(Refused::bad(format!("{SHAPE}; found {other:?}")));
    }
    let name: Option<String> = members.get("name").and_then(|name| serde_json::from_str(name.get()).ok());
    let name = encode_string(&name.ok_or_else(|| Refused::bad(SHAPE))?);
    let arguments = members.get("arguments").map_or("{}", |arguments| arguments.get());
    if !arguments.starts_with('{') {
        return Err(Refused::bad(SHAPE));
    }
    let params = format!(r#"{{"name":{name},"arguments":{arguments}}}"#);
    Ok(crate::wire::request(1, "tools/call", &params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &'static str) -> Result<String, String> {
        let request = request(&Bytes::from_static(body.as_bytes()));
        request.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).map_err(|refused| refused.message)
    }

    #[test]
    fn arguments_go_on_byte_for_byte() {
        assert_eq!(
            of(r#"{"arguments": {"n":1e400, "n":1.0},"name":"a\u0062"}"#).unwrap(),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ab","arguments":{"n":1e400, "n":1.0}}}"#
        );
        assert!(of(r#"{"name":"x"}"#).unwrap().ends_with(r#""arguments":{}}}"#));
    }

    #[test]
    fn anything_else_is_refused_and_says_what_is_wanted() {
        for bad in
            ["", "[]", "{}", r#"{"name":1}"#, r#"{"name":"x","arguments":[]}"#, r#"{"name":"x","more":1}"#]
        {
            assert!(of(bad).unwrap_err().contains("the body must be"), "{bad}");
        }
    }
}
