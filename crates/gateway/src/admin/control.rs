//! What only the application can do: stop, and read the configuration again.

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Refused;
use crate::proxy::Gateway;
use crate::settings::Control;

/// `POST /admin/drain`: begins to stop the whole server, and says what it waits for.
pub(super) fn drain(gateway: &Gateway) -> Result<Value, Refused> {
    ask(gateway, Control::Drain)?;
    let calls = gateway.pool.status().all.calls_in_flight;
    Ok(json!({ "draining": true, "pid": std::process::id(), "calls_in_flight": calls }))
}

/// `POST /admin/reload`: reads the configuration again, and says what has changed by it.
pub(super) async fn reload(gateway: &Gateway) -> Result<Value, Refused> {
    let (done, result) = oneshot::channel();
    ask(gateway, Control::Reload(done))?;
    match result.await {
        Ok(result) => result.map_err(Refused::bad),
        Err(_) => Err(busy()),
    }
}

fn ask(gateway: &Gateway, control: Control) -> Result<(), Refused> {
    gateway.settings.control.try_send(control).map_err(|_| busy())
}

fn busy() -> Refused {
    let message = "the server is stopping, or has too many such requests to do".to_owned();
    Refused { status: StatusCode::SERVICE_UNAVAILABLE, message }
}
