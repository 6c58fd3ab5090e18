//! Fleets, their agents and tasks: shown, and ended. What is in the answers, the tools themselves say.

use std::sync::Arc;

use aqe_core::durable::{DurableError, TaskPage};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Refused;
use super::changes::Changes;
use super::query::Query;
use crate::proxy::Gateway;

/// What a path below `/admin/fleets` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// All fleets.
    All,
    /// One of them, by id.
    Fleet(&'a str),
    /// A task, by id.
    Task(&'a str),
    /// The end of a run or a task.
    Cancel,
}

impl<'a> Place<'a> {
    /// What a path means, if it is one of these.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let below = path.strip_prefix("/admin/fleets")?;
        if below.is_empty() {
            return Some(Self::All);
        }
        let parts: Vec<&str> = below.strip_prefix('/')?.split('/').collect();
        match parts[..] {
            ["cancel"] => Some(Self::Cancel),
            [fleet] if is_id(fleet) => Some(Self::Fleet(fleet)),
            ["tasks", task] if is_id(task) => Some(Self::Task(task)),
            _ => None,
        }
    }

    /// The method that it takes.
    pub(crate) fn method(self) -> Method {
        if self == Self::Cancel { Method::POST } else { Method::GET }
    }

    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::All => &["cursor"],
            Self::Fleet(_) => &["run", "state", "cursor", "limit"],
            Self::Task(_) | Self::Cancel => &[],
        }
    }
}

/// Ids of fleets and tasks have nothing in them that a URL would have to encode.
fn is_id(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// Answers a request to one of these.
pub(super) async fn answer(
    gateway: &Arc<Gateway>,
    place: Place<'_>,
    query: &str,
    body: &Bytes,
) -> Result<Bytes, Refused> {
    let query = Query::parse(query, place.parameters())?;
    let Some(tools) = gateway.durable_tools() else {
        return match place {
            Place::All => Ok(Bytes::from_static(NONE.as_bytes())),
            _ => Err(unknown("this server has no fleets: the built-in tools are switched off")),
        };
    };
    let Some(durable) = tools.durable() else { return Err(unknown("this server has no fleets")) };
    let shown = match place {
        Place::All => Some(durable.fleets(number(&query, "cursor")?.unwrap_or(0)).await?),
        Place::Fleet(id) => {
            let text = |name| query.get(name).map(str::to_owned);
            let page = TaskPage {
                run: text("run"),
                state: text("state"),
                cursor: number(&query, "cursor")?,
                limit: number(&query, "limit")?,
            };
            durable.fleet(id, page).await?
        }
        Place::Task(id) => durable.task(id).await?,
        Place::Cancel => {
            let id = Changes::read(body, &["id"])?.text("id")?;
            let id = id.ok_or_else(|| Refused::bad(r#"the body must be {"id": "…"}, of a run or a task"#))?;
            let ended = durable.cancel(None, &id).await?;
            ended.map(|(cancelled, stopping)| {
                tracing::info!(id, "run or task cancelled by an operator");
                json!({ "cancelled": cancelled, "stopping": stopping }).to_string()
            })
        }
    };
    shown.map(Bytes::from).ok_or_else(|| unknown("there is no fleet, run or task of that id"))
}

/// What there is where there are no built-in tools.
const NONE: &str = r#"{"fleets":[],"total":0,"next_cursor":null}"#;

/// The first page of `/admin/fleets`, for those who look at it again and again; `null` if it is not known.
pub(super) async fn first_page(gateway: &Gateway) -> String {
    let Some(tools) = gateway.durable_tools() else { return NONE.to_owned() };
    let Some(durable) = tools.durable() else { return NONE.to_owned() };
    durable.fleets(0).await.unwrap_or_else(|_| Value::Null.to_string())
}

fn number<T: std::str::FromStr>(query: &Query, name: &str) -> Result<Option<T>, Refused> {
    let wrong = |_| Refused::bad(format!("\"{name}\" must be a whole number, as an answer has told it"));
    query.get(name).map(|text| text.parse().map_err(wrong)).transpose()
}

fn unknown(message: &str) -> Refused {
    Refused { status: StatusCode::NOT_FOUND, message: message.to_owned() }
}

impl From<DurableError> for Refused {
    fn from(error: DurableError) -> Self {
        let status = match error {
            DurableError::Bad(_) => StatusCode::BAD_REQUEST,
            DurableError::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_one_place_or_of_none() {
        for (path, place) in [
            ("/admin/fleets", Place::All),
            ("/admin/fleets/cancel", Place::Cancel),
            ("/admin/fleets/fleet-0a", Place::Fleet("fleet-0a")),
            ("/admin/fleets/tasks/run-0a.12", Place::Task("run-0a.12")),
        ] {
            assert_eq!(Place::of(path), Some(place), "{path}");
        }
        for other in [
            "/admin/fleetsx",
            "/admin/fleets/",
            "/admin/fleets/a/b",
            "/admin/fleets/tasks/",
            "/admin/fleets/%2e",
            "/admin",
        ] {
            assert_eq!(Place::of(other), None, "{other}");
        }
    }
}
