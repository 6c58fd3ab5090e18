//! What a response means for the call that waits for it.

use std::time::Duration;

use aqe_core::envelope::{Field, Kind, Limits, Message, answers_to, is_batch, split_batch};
use bytes::Bytes;
use http::StatusCode;
use tokio::time::timeout;

use super::super::{CallError, Item};
use super::HttpLimits;
use super::body::Body;
use super::coding;
use super::head::Head;
use super::spec::Secrets;

/// How much of an error page is read at most; only its first words are shown.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How long its text may take after the status has come.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// Characters of it that an error shows.
const MAX_DETAIL: usize = 300;

/// How the body of a response is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Json,
    Events,
    /// Anything else, named for an error.
    Other(String),
}

impl Content {
    /// Reads `Content-Type` and `Content-Encoding`.
    pub(super) fn of(head: &Head) -> Self {
        if head.is_plain_json() {
            return Self::Json;
        }
        let encoding = if head.is_encoded { head.get("content-encoding") } else { None };
        if let Some(encoding) = encoding.filter(|it| !it.eq_ignore_ascii_case("identity"))
            && coding::named(encoding).is_none()
        {
            return Self::Other(format!("content encoding {}, which was not asked for", shown(encoding)));
        }
        let Some(value) = head.content_type() else { return Self::Other("no content type".into()) };
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::Events
        } else {
            Self::Other(format!("content type {}", shown(essence)))
        }
    }
}

/// Splits a received text into messages: one, or those of a batch (revision 2025-03-26).
pub(super) fn messages(text: Bytes, limits: Limits) -> Result<Vec<Message>, CallError> {
    let malformed = |fault: aqe_core::envelope::Fault| CallError::Malformed(fault.reason);
    if is_batch(&text) {
        let items = split_batch(&text, limits).map_err(malformed)?;
        items.into_iter().map(|item| Message::parse(item, limits).map_err(malformed)).collect()
    } else {
        Ok(vec![Message::parse(text, limits).map_err(malformed)?])
    }
}

/// Sorts a message that arrived on the response of the request `id`.
pub(super) fn sort(message: Message, id: u64, modern: bool) -> Result<Item, CallError> {
    match message.kind() {
        Kind::Notification => Ok(Item::Notification(message)),
        Kind::Request if modern => Err(CallError::Malformed(format!(
            "a request ({}), which a server of this revision must not send",
            shown(&message.method())
        ))),
        Kind::Request => Ok(Item::Request(message)),
        Kind::Response | Kind::Error if is_for(&message, id) => Ok(Item::Answer(message)),
        // The server could not read our id; on this response it can mean no other request.
        Kind::Error if is_anonymous(&message) => Ok(Item::Answer(message)),
        Kind::Response | Kind::Error => Err(CallError::Malformed("an answer to another request".into())),
    }
}

/// Whether a response carries the id.
pub(super) fn is_for(message: &Message, id: u64) -> bool {
    message.id().is_some_and(|raw| answers_to(raw, id))
}

fn is_anonymous(message: &Message) -> bool {
    matches!(message.id(), None | Some("null"))
}

/// A response with an error status, read to its end.
pub(super) struct Refusal {
    head: Head,
    text: Bytes,
    message: Option<Box<Message>>,
}

/// What a refusal comes to.
pub(super) enum Verdict {
    /// The JSON-RPC message in the body is the answer.
    Answer(Box<Message>),
    /// The session is gone.
    SessionLost,
    /// HTTP's own refusal.
    Failed(CallError),
}

impl Refusal {
    /// Reads the body of a refused request.
    pub(super) async fn read(head: Head, mut body: Body, limits: &HttpLimits) -> Self {
        let is_json = Content::of(&head) == Content::Json;
        let max = if is_json { limits.max_body_bytes } else { MAX_ERROR_BYTES };
        // The status has arrived; a body that cannot be had takes nothing from it.
        let text = match timeout(ERROR_BODY_TIMEOUT, body.read(max)).await {
            Ok(Ok(text)) => text,
            _ => Bytes::new(),
        };
        let message = Message::parse(text.clone(), limits.message)
            .ok()
            .filter(|message| matches!(message.kind(), Kind::Response | Kind::Error))
            .map(Box::new);
        Self { head, text, message }
    }

    /// What it means for the request `id` (`None`: a notification or response), sent in a session or not.
    pub(super) fn judge(self, id: Option<u64>, in_session: bool, secrets: &Secrets) -> Verdict {
        if let (Some(message), Some(id)) = (&self.message, id)
            && is_for(message, id)
        {
            return Verdict::Answer(message.clone());
        }
        if in_session && (self.head.status == StatusCode::NOT_FOUND || self.says_unknown_session()) {
            return Verdict::SessionLost;
        }
        match (&self.message, id) {
            // These statuses mean the exchange and not the request, and their headers matter.
            (Some(message), Some(_))
                if is_anonymous(message)
                    && !matches!(
                        self.head.status,
                        StatusCode::UNAUTHORIZED
                            | StatusCode::TOO_MANY_REQUESTS
                            | StatusCode::SERVICE_UNAVAILABLE
                    ) =>
            {
                Verdict::Answer(message.clone())
            }
            _ => Verdict::Failed(self.into_error(secrets)),
        }
    }

    /// The reference servers answer an unknown session with 400 and -32000 in place of 404.
    fn says_unknown_session(&self) -> bool {
        self.head.status == StatusCode::BAD_REQUEST
            && self.message.as_ref().is_some_and(|message| {
                is_anonymous(message)
                    && message.raw(Field::Code) == Some("-32000")
                    && message
                        .string(Field::ErrorMessage)
                        .is_some_and(|text| text.to_ascii_lowercase().contains("session"))
            })
    }

    fn into_error(self, secrets: &Secrets) -> CallError {
        let said = match &self.message {
            Some(message) => message.string(Field::ErrorMessage).unwrap_or_default().into_owned(),
            None => std::str::from_utf8(&self.text).unwrap_or_default().to_owned(),
        };
        let challenge =
            (self.head.status == StatusCode::UNAUTHORIZED).then(|| challenge(&self.head)).flatten();
        let detail: Vec<String> =
            challenge.into_iter().chain((!said.trim().is_empty()).then_some(said)).collect();
        let detail = shown(&secrets.redact(&detail.join("; ")));
        CallError::Http {
            status: self.head.status.as_u16(),
            retry_after_s: retry_after(&self.head),
            detail: (!detail.is_empty()).then_some(detail),
        }
    }
}

/// Foreign text fit for one line of an error.
fn shown(text: &str) -> String {
    let printable = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    printable.take(MAX_DETAIL).collect::<String>().trim().to_owned()
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3). A date counts from the response's own `Date`, so that no
/// two clocks are compared.
fn retry_after(head: &Head) -> Option<u64> {
    let value = head.get("retry-after")?;
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(head.get("date")?).ok()?;
    Some(at.duration_since(now).unwrap_or_default().as_secs())
}

/// Scheme and realm of `WWW-Authenticate`; its other parameters may be long or private.
fn challenge(head: &Head) -> Option<String> {
    let value = head.get("www-authenticate")?;
    let (scheme, parameters) = value.split_once(' ').unwrap_or((value, ""));
    let realm = parameters.split(',').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("realm").then(|| value.trim().to_owned())
    });
    let realm = realm.map(|realm| format!(" realm={realm}")).unwrap_or_default();
    Some(format!("WWW-Authenticate: {scheme}{realm}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> Head {
        Head::of(200, fields)
    }

    fn message(text: &'static str) -> Message {
        Message::parse(Bytes::from_static(text.as_bytes()), Limits::default()).unwrap()
    }

    #[test]
    fn content_types_are_read_without_case_and_parameters() {
        let of = |value| Content::of(&head(&[("content-type", value)]));
        assert_eq!(of("Application/JSON; charset=utf-8"), Content::Json);
        assert_eq!(of("text/event-stream;x"), Content::Events);
        assert_eq!(of("text/html"), Content::Other("content type text/html".into()));
        assert_eq!(Content::of(&head(&[])), Content::Other("no content type".into()));
        let packed = head(&[("content-type", "application/json"), ("content-encoding", "compress")]);
        assert!(matches!(Content::of(&packed), Content::Other(_)));
    }

    #[test]
    fn ids_are_recognised_in_the_forms_that_servers_send_back() {
        for good in ["7", "7.0", "\"7\""] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{good},"result":{{}}}}"#);
            let message = Message::parse(text.into(), Limits::default()).unwrap();
            assert!(is_for(&message, 7) && !is_for(&message, 8), "{good}");
        }
        assert!(!is_for(&message(r#"{"jsonrpc":"2.0","id":"x","result":{}}"#), 7));
    }

    #[test]
    fn a_server_request_is_passed_on_in_the_legacy_era_only() {
        let request = || message(r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#);
        assert!(matches!(sort(request(), 7, false), Ok(Item::Request(_))));
        assert!(matches!(sort(request(), 7, true), Err(CallError::Malformed(_))));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        assert_eq!(retry_after(&head(&[("retry-after", "120")])), Some(120));
        let dated = head(&[
            ("date", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"),
        ]);
        assert_eq!(retry_after(&dated), Some(30));
        assert_eq!(retry_after(&head(&[("retry-after", "soon")])), None);
    }

    #[test]
    fn a_challenge_shows_scheme_and_realm_only() {
        let of = |value| challenge(&head(&[("www-authenticate", value)])).unwrap();
        assert_eq!(of("Bearer error=\"x\", realm=\"mcp\""), "WWW-Authenticate: Bearer realm=\"mcp\"");
        assert_eq!(of("Negotiate oYG2MIG"), "WWW-Authenticate: Negotiate");
    }
}
