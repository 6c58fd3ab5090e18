//! The access log: one JSON object in one line for each request that has ended. Never arguments, never results, nothing
//! that a client could log in with.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, SystemTime};

use aqe_core::envelope::encode_string;
use aqe_core::revision::Era;
use aqe_core::trace::TraceId;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use super::writer::Destination;
use super::writer::Writer;

/// Characters of a name that a client has chosen; what is longer is cut.
const MAX_NAME_CHARS: usize = 128;

/// Writes the lines, on a thread of its own.
#[derive(Debug)]
pub struct AccessLog {
    writer: Writer,
}

/// What is told of a request.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// When it had ended.
    pub(crate) at: SystemTime,
    /// Who has sent it.
    pub(crate) principal: &'a str,
    /// In which era.
    pub(crate) era: Era,
    /// Its method.
    pub(crate) method: &'a str,
    /// The tool, as it is shown.
    pub(crate) tool: Option<&'a str>,
    /// Where it was sent.
    pub(crate) upstream: Option<&'a str>,
    /// The replica of it.
    pub(crate) replica: Option<&'a str>,
    /// `ok`, `cancelled`, or the kind of the error.
    pub(crate) status: &'a str,
    /// From the request to its answer.
    pub(crate) latency: Duration,
    /// What the upstream took of it.
    pub(crate) upstream_time: Option<Duration>,
    /// Bytes of the request and of the answer.
    pub(crate) request_bytes: u64,
    /// See `request_bytes`.
    pub(crate) response_bytes: u64,
    /// It was answered from the cache.
    pub(crate) cached: bool,
    /// The trace that it belongs to.
    pub(crate) trace: Option<TraceId>,
    /// The client's session: [`session_mark`].
    pub(crate) session: Option<&'a str>,
}

impl AccessLog {
    /// Opens it.
    ///
    /// # Errors
    /// If the file cannot be opened for appending.
    pub fn open(destination: &Destination) -> io::Result<Self> {
        Ok(Self { writer: Writer::start("access log", destination)? })
    }

    /// Adds a line, unless so many are waiting that there is no room.
    pub(crate) fn add(&self, entry: &Entry<'_>) {
        self.writer.push(entry.line());
    }

    /// Opens the file anew before the next line, for one that was renamed meanwhile.
    pub fn reopen(&self) {
        self.writer.reopen();
    }

    pub(super) async fn close(&self, limit: Duration) {
        self.writer.close(limit).await;
    }

    /// What has become of the lines, each by its name.
    pub(super) fn named(&self) -> [(&'static str, u64); 2] {
        let (written, dropped) = self.writer.counts();
        [("written", written), ("dropped", dropped)]
    }

    pub(super) fn status(&self) -> Value {
        self.named().into_iter().collect()
    }
}

impl Entry<'_> {
    /// The line, with its break.
    fn line(&self) -> String {
        let mut line = String::with_capacity(512);
        let time = jiff::Timestamp::try_from(self.at).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(line, r#"{{"time":"{time:.3}","principal":{}"#, text(self.principal));
        let era = if self.era == Era::Modern { "modern" } else { "legacy" };
        let _ = write!(line, r#","era":"{era}","method":{}"#, text(self.method));
        for (name, value) in [("tool", self.tool), ("upstream", self.upstream), ("replica", self.replica)] {
            let _ = write!(line, r#","{name}":{}"#, optional(value));
        }
        let _ = write!(line, r#","status":{},"latency_ms":{}"#, text(self.status), millis(self.latency));
        let upstream = self.upstream_time.map_or_else(|| "null".into(), millis);
        let _ = write!(line, r#","upstream_ms":{upstream},"request_bytes":{}"#, self.request_bytes);
        let _ = write!(line, r#","response_bytes":{},"cached":{}"#, self.response_bytes, self.cached);
        match self.trace {
            Some(trace) => {
                let _ = write!(line, r#","trace":"{trace}""#);
            }
            None => line.push_str(r#","trace":null"#),
        }
        let _ = write!(line, r#","session":{}"#, optional(self.session));
        line.push_str("}\n");
        line
    }
}

/// Milliseconds with three digits after the point.
fn millis(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1e3)
}

fn text(text: &str) -> String {
    match text.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => encode_string(&text[..end]),
        None => encode_string(text),
    }
}

fn optional(value: Option<&str>) -> String {
    value.map_or_else(|| "null".into(), text)
}

/// What stands for a session where others can read it: who has it cannot take part in the session.
pub(crate) fn session_mark(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().take(8).fold(String::with_capacity(16), |mut mark, byte| {
        let _ = write!(mark, "{byte:02x}");
        mark
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_305_600_123),
            principal: "local",
            era: Era::Modern,
            method: "tools/call",
            tool: Some("files__read"),
            upstream: Some("files"),
            replica: Some("files-1"),
            status: "ok",
            latency: Duration::from_micros(1_234),
            upstream_time: Some(Duration::from_millis(1)),
            request_bytes: 200,
            response_bytes: 3_000,
            cached: false,
            trace: None,
            session: None,
        }
    }

    #[test]
    fn a_line_is_one_json_object_with_every_member_in_a_fixed_order() {
        assert_eq!(
            entry().line(),
            concat!(
                r#"{"time":"2026-11-22T00:00:00.123Z","principal":"local","era":"modern","method":"tools/call","#,
                r#""tool":"files__read","upstream":"files","replica":"files-1","status":"ok","latency_ms":1.234,"#,
                r#""upstream_ms":1.000,"request_bytes":200,"response_bytes":3000,"cached":false,"trace":null,"session":null}"#,
                "\n"
            )
        );
    }

    #[test]
    fn what_a_client_has_chosen_breaks_no_line_and_fills_no_disk() {
        let method = format!("a\"\n\\{}", "é".repeat(1_000));
        let entry =
            Entry { method: &method, tool: None, trace: Some(TraceId::from_random([7; 16])), ..entry() };
        let line = entry.line();
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["method"].as_str().unwrap().chars().count(), MAX_NAME_CHARS);
        assert_eq!((&value["tool"], &value["trace"]), (&Value::Null, &Value::from("07".repeat(16))));
    }

    #[test]
    fn a_session_is_told_apart_and_not_given_away() {
        let mark = session_mark("secret-session");
        assert_eq!((mark.len(), mark.as_str()), (16, session_mark("secret-session").as_str()));
        assert_ne!(mark, session_mark("secret-sessioN"));
    }
}
