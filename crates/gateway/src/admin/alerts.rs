//! The alerts: shown, acknowledged, tested.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Refused;
use super::changes::Changes;
use super::query::Query;
use crate::alerts::{MAX_ACK_BYTES, SHOWN_PAST};
use crate::proxy::Gateway;

/// Firings that are over and shown unless the query asks for more.
const HISTORY: usize = 20;

/// `GET /admin/alerts`.
pub(super) fn status(gateway: &Gateway, query: &Query) -> Result<Value, Refused> {
    let wrong = || Refused::bad(format!("\"history\" must be a whole number from 0 to {SHOWN_PAST}"));
    let history = match query.get("history") {
        None => HISTORY,
        Some(text) => text.parse().ok().filter(|number| *number <= SHOWN_PAST).ok_or_else(wrong)?,
    };
    Ok(gateway.alert_status(history))
}

/// `POST /admin/alerts/ack`.
pub(super) fn acknowledge(gateway: &Gateway, body: &Bytes) -> Result<Value, Refused> {
    let mut changes = Changes::read(body, &["name", "by", "note"])?;
    let name = changes.text("name")?.ok_or_else(|| Refused::bad("\"name\" is missing"))?;
    let by = changes.text("by")?.ok_or_else(|| Refused::bad("\"by\" is missing: say who acknowledges"))?;
    let note = changes.text("note")?;
    for (key, text) in [("by", Some(&by)), ("note", note.as_ref())] {
        if let Some(text) = text
            && (text.trim().is_empty() || text.len() > MAX_ACK_BYTES || text.chars().any(char::is_control))
        {
            let message = format!("{key:?} must have 1 to {MAX_ACK_BYTES} bytes in one line");
            return Err(Refused::bad(message));
        }
    }
    let refuse = |error: aqe_core::monitor::alerts::AckError| Refused {
        status: match error {
            aqe_core::monitor::alerts::AckError::Unknown { .. } => StatusCode::NOT_FOUND,
            aqe_core::monitor::alerts::AckError::NotFiring { .. } => StatusCode::CONFLICT,
        },
        message: error.to_string(),
    };
    gateway.acknowledge_alert(&name, &by, note.as_deref()).map_err(refuse)?;
    let open = gateway.alerts.open();
    let alert = open.as_array().into_iter().flatten().find(|alert| alert["name"] == *name);
    Ok(json!({ "alert": alert }))
}

/// `POST /admin/alerts/test`.
pub(super) async fn test(gateway: &Gateway, body: &Bytes) -> Result<Value, Refused> {
    // An empty body says that nothing is left out.
    let sink = if body.trim_ascii().is_empty() || body.trim_ascii() == b"{}" {
        None
    } else {
        Changes::read(body, &["sink"])?.text("sink")?
    };
    let refuse = |message: String| Refused { status: StatusCode::NOT_FOUND, message };
    gateway.test_alerts(sink.as_deref()).await.map_err(refuse)
}
