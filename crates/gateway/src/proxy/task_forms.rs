//! How our own tasks look to clients: SEP-2663 in the modern era, 2025-11-25 "Tasks" in the legacy one.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aqe_core::envelope::{Field, Message, decode_quoted, encode_string, open_object};
use aqe_core::revision::{Era, Revision};
use aqe_core::tasks::{Canceller, Outcome, Seen, State};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::refusal::Refusal;

/// The extension by which modern clients say that they understand tasks.
const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// How often clients are asked to look.
const POLL: Duration = Duration::from_secs(1);

/// Whether tasks of our own exist in a revision.
pub(super) fn exist_in(revision: Revision) -> bool {
    revision >= Revision::V20251125
}

/// Whether this request declares the extension; earlier ones of its client do not count.
pub(super) fn are_declared(message: &Message) -> bool {
    let Some(capabilities) = message.raw(Field::MetaClientCapabilities) else { return false };
    let member = |object: &[u8], name: &str| -> Option<Vec<u8>> {
        let members = open_object(object).ok()?;
        members.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.to_vec())
    };
    member(capabilities.as_bytes(), "extensions")
        .is_some_and(|extensions| member(&extensions, EXTENSION).is_some())
}

/// -32021: the request does not declare the extension, and is about tasks.
pub(super) fn undeclared() -> Refusal {
    Refusal::missing_capability(&format!(r#"{{"extensions":{{"{EXTENSION}":{{}}}}}}"#))
}

/// The time to live that a client of 2025-11-25 asks for, in milliseconds from the creation on; `task` is the raw member of
/// the params.
///
/// # Errors
/// If that is no object, or the time no number.
pub(super) fn wanted_ttl(task: &str) -> Result<Option<Duration>, Refusal> {
    let bad =
        || Refusal::invalid_params("params.task must be an object, and its `ttl` a number of milliseconds");
    let wanted: serde_json::Map<String, Value> = serde_json::from_str(task).map_err(|_| bad())?;
    match wanted.get("ttl") {
        None | Some(Value::Null) => Ok(None),
        Some(ttl) => {
            let seconds = ttl.as_f64().ok_or_else(bad)? / 1e3;
            Ok(Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
        }
    }
}

/// The members of a task, without braces: those of `Task` in the revision of the era.
pub(super) fn members(seen: &Seen, era: Era) -> String {
    let time = |time: SystemTime| {
        let time = jiff::Timestamp::try_from(time).unwrap_or_default();
        format!("{time:.3}")
    };
    let (ttl, poll) = match era {
        Era::Legacy => ("ttl", "pollInterval"),
        Era::Modern => ("ttlMs", "pollIntervalMs"),
    };
    let message =
        message(seen, era).map(|message| format!(r#","statusMessage":{}"#, encode_string(&message)));
    format!(
        r#""taskId":"{}","status":"{}"{},"createdAt":"{}","lastUpdatedAt":"{}","{ttl}":{},"{poll}":{}"#,
        seen.id,
        status(&seen.state, era),
        message.unwrap_or_default(),
        time(seen.created),
        time(seen.updated),
        seen.ttl.as_millis(),
        POLL.as_millis(),
    )
}

/// The same with what has come of it (`DetailedTask`), as modern clients see it.
pub(super) fn detailed(seen: &Seen) -> String {
    let mut text = members(seen, Era::Modern);
    let mut add = |name: &str, value: &[u8]| {
        let _ = write!(text, r#","{name}":{}"#, String::from_utf8_lossy(value));
    };
    match &seen.state {
        // It is a result like any other of the revision, which says so.
        State::Ended(Outcome::Result { json, .. }) => {
            let own = json.strip_prefix(b"{").unwrap_or(json);
            let comma: &[u8] = if own.trim_ascii_start().starts_with(b"}") { b"" } else { b"," };
            add("result", &[br#"{"resultType":"complete""#, comma, own].concat());
        }
        State::Ended(Outcome::Error { json, .. }) => add("error", json),
        State::Working | State::Cancelled(_) => {}
    }
    text
}

/// `_meta` by which a message of 2025-11-25 says which task it belongs to, as a member.
pub(super) fn related(id: &str) -> String {
    format!(r#""io.modelcontextprotocol/related-task":{{"taskId":"{id}"}}"#)
}

/// A tool that fails has, in the legacy era, failed as a task; in the modern one only what is no result has.
fn status(state: &State, era: Era) -> &'static str {
    match state {
        State::Working => "working",
        State::Cancelled(_) => "cancelled",
        State::Ended(Outcome::Result { is_error: true, .. }) if era == Era::Legacy => "failed",
        State::Ended(Outcome::Result { .. }) => "completed",
        State::Ended(Outcome::Error { .. }) => "failed",
    }
}

fn message(seen: &Seen, era: Era) -> Option<String> {
    match &seen.state {
        State::Working => seen.note.as_deref().map(str::to_owned),
        State::Cancelled(by) => Some(cancelled(*by).to_owned()),
        State::Ended(Outcome::Error { message, .. }) => Some(message.clone()),
        State::Ended(Outcome::Result { json, is_error: true }) if era == Era::Legacy => first_text(json),
        State::Ended(Outcome::Result { .. }) => None,
    }
}

/// That a task was cancelled, and who did it.
pub(super) fn cancelled(by: Canceller) -> &'static str {
    match by {
        Canceller::Client => "the task was cancelled",
        Canceller::Operator => "the task was cancelled by the operator of the gateway",
        Canceller::Stop => "the task was cancelled: the gateway has stopped",
    }
}

/// What a tool's result says first.
fn first_text(result: &[u8]) -> Option<String> {
    let members = open_object(result).ok()?;
    let (_, content) = members.into_iter().find(|(name, _)| name == "content")?;
    let blocks: Vec<&RawValue> = serde_json::from_slice(content).ok()?;
    let block = open_object(blocks.first()?.get().as_bytes()).ok()?;
    let (_, text) = block.into_iter().find(|(name, _)| name == "text")?;
    decode_quoted(text).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use aqe_core::envelope::Limits;
    use serde_json::json;

    use super::*;

    fn seen(state: State) -> Seen {
        let created = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        Seen {
            id: "i".into(),
            state,
            note: Some("1 of 3: \"a\"".into()),
            created,
            updated: created + Duration::from_secs(1),
            ttl: Duration::from_secs(60),
            order: 1,
        }
    }

    fn read(members: &str) -> Value {
        serde_json::from_str(&format!("{{{members}}}")).unwrap()
    }

    fn result(json: &'static str, is_error: bool) -> State {
        State::Ended(Outcome::Result { json: json.into(), is_error })
    }

    #[test]
    fn each_era_has_its_own_names_and_times_are_of_rfc_3339() {
        let modern = read(&members(&seen(State::Working), Era::Modern));
        assert_eq!(
            modern,
            json!({
                "taskId": "i", "status": "working", "statusMessage": "1 of 3: \"a\"", "createdAt": "2027-01-15T08:00:00.123Z",
                "lastUpdatedAt": "2027-01-15T08:00:01.123Z", "ttlMs": 60_000, "pollIntervalMs": 1_000,
            })
        );
        let legacy = read(&members(&seen(State::Working), Era::Legacy));
        assert_eq!((&legacy["ttl"], &legacy["pollInterval"]), (&json!(60_000), &json!(1_000)));
        assert!(legacy.get("ttlMs").is_none());
    }

    #[test]
    fn a_tool_that_fails_has_completed_in_the_modern_era_and_failed_in_the_legacy_one() {
        let failed = result(r#"{"content":[{"type":"text","text":"no \"file\""}],"isError":true}"#, true);
        let modern = read(&detailed(&seen(failed.clone())));
        assert_eq!(modern["status"], "completed");
        assert_eq!(
            (&modern["result"]["isError"], &modern["result"]["resultType"]),
            (&json!(true), &json!("complete"))
        );
        let legacy = read(&members(&seen(failed), Era::Legacy));
        assert_eq!((&legacy["status"], &legacy["statusMessage"]), (&json!("failed"), &json!("no \"file\"")));
        let error =
            Outcome::Error { json: r#"{"code":-32603,"message":"late"}"#.into(), message: "late".into() };
        for era in [Era::Legacy, Era::Modern] {
            let failed = read(&members(&seen(State::Ended(error.clone())), era));
            assert_eq!((&failed["status"], &failed["statusMessage"]), (&json!("failed"), &json!("late")));
        }
        assert_eq!(read(&detailed(&seen(State::Ended(error))))["error"]["code"], -32603);
        assert_eq!(
            read(&detailed(&seen(result("{}", false))))["result"],
            json!({ "resultType": "complete" })
        );
    }

    #[test]
    fn only_what_this_request_declares_counts() {
        let declares = |capabilities: &str| {
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{{"io.modelcontextprotocol/clientCapabilities":{capabilities}}}}}}}"#
            );
            are_declared(&Message::parse(text.into(), Limits::default()).unwrap())
        };
        assert!(declares(r#"{"x":1,"extensions":{"a":{},"io.modelcontextprotocol/tasks":{}}}"#));
        for none in [
            "{}",
            r#"{"extensions":{}}"#,
            r#"{"extensions":[]}"#,
            r#"{"io.modelcontextprotocol/tasks":{}}"#,
            r#"{"tasks":{}}"#,
        ] {
            assert!(!declares(none), "{none}");
        }
    }

    #[test]
    fn a_wish_for_a_time_is_a_number_of_milliseconds_or_none() {
        assert_eq!(wanted_ttl("{}").unwrap(), None);
        assert_eq!(wanted_ttl(r#"{"ttl":null,"pollInterval":1}"#).unwrap(), None);
        assert_eq!(wanted_ttl(r#"{"ttl":1500}"#).unwrap(), Some(Duration::from_millis(1_500)));
        assert_eq!(wanted_ttl(r#"{"ttl":-1}"#).unwrap(), Some(Duration::ZERO));
        assert_eq!(wanted_ttl(r#"{"ttl":1e300}"#).unwrap(), Some(Duration::MAX));
        for bad in ["[]", "1", "null", r#"{"ttl":"1"}"#] {
            assert_eq!(wanted_ttl(bad).unwrap_err().code, -32602, "{bad}");
        }
    }
}
