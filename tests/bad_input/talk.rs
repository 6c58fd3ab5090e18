//! The same messages over HTTP and over standard input: what is refused must not depend on the transport.

use aqe_testkit::client::{Answer, HttpSession, Revision};

use super::{
    request::{MAX_REFUSAL, SOON, judge_answer},
    support::{Faults, Gateway},
};

/// What a message must get.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// An error with this code, id (JSON text) and word.
    Error(i64, &'static str, &'static str),
    /// A result for this id (JSON text).
    Result(&'static str),
    /// A tool result for this id whose text holds this.
    Holds(&'static str, &'static str),
    /// A result or an error for this id, as the upstream sees fit.
    Either(&'static str),
    /// An error for this id with one of these codes.
    Refused(&'static str, &'static [i64]),
    /// Nothing: 202 over HTTP.
    Nothing,
}

/// One row of a table.
pub(crate) struct Row {
    name: String,
    body: Vec<u8>,
    reply: Reply,
}

/// A row.
pub(crate) fn row(name: impl Into<String>, body: impl Into<Vec<u8>>, reply: Reply) -> Row {
    Row { name: name.into(), body: body.into(), reply }
}

/// A gateway behind HTTP and one behind standard input, each with a conversation of one revision.
pub(crate) struct Talk {
    pub(crate) http: Gateway,
    pub(crate) session: HttpSession,
    pub(crate) stdio: Gateway,
    marks: usize,
}

impl Talk {
    /// Starts both and does the handshakes.
    pub(crate) async fn start(server: &str, upstreams: &str, revision: Revision) -> Self {
        let http = Gateway::http(server, upstreams).await;
        let session = http.session(revision).await;
        let mut stdio = Gateway::stdio(server, upstreams);
        stdio.process.open(revision).await;
        Self { http, session, stdio, marks: 0 }
    }

    /// Sends every row both ways and checks what comes back.
    pub(crate) async fn check_all(&mut self, rows: Vec<Row>) {
        let mut faults = Faults::default();
        for row in &rows {
            let checked = self.over_http(row).await;
            faults.check(&format!("{} over HTTP", row.name), checked);
            // An empty line is no message, and gets no answer.
            if !row.body.trim_ascii().is_empty() {
                let checked = self.over_stdio(row).await;
                faults.check(&format!("{} over stdio", row.name), checked);
            }
        }
        faults.report(rows.len());
    }

    async fn over_http(&self, row: &Row) -> Result<(), String> {
        let id = self.session.id.clone().unwrap_or_default();
        let headers = [("mcp-session-id", id.as_str())];
        let exchange = async {
            let mut response = self.http.client.post(&headers, &row.body).await;
            let mut last = String::new();
            while let Some(message) = response.message().await {
                last = message;
                if !response.is_event_stream() {
                    break;
                }
            }
            (response.status, last)
        };
        let (status, text) = tokio::time::timeout(SOON, exchange).await.map_err(|_| "no answer")?;
        let expected = match row.reply {
            Reply::Error(-32700 | -32600, _, _) => 400,
            Reply::Nothing => 202,
            _ => 200,
        };
        if status != expected {
            return Err(format!("expected status {expected}, got {status} {text:.400}"));
        }
        judge(&row.reply, Some(text).filter(|text| !text.is_empty()))
    }

    async fn over_stdio(&mut self, row: &Row) -> Result<(), String> {
        let process = &mut self.stdio.process;
        process.send_bytes(&row.body).await;
        process.send_bytes(b"\n").await;
        let mut line = None;
        if !matches!(row.reply, Reply::Nothing) {
            let bytes = process.line_within(SOON).await.ok_or("no answer")?;
            line = Some(String::from_utf8(bytes.to_vec()).map_err(|_| "an answer that is no UTF-8")?);
        }
        self.marks += 1;
        let mark = format!("\"mark-{}\"", self.marks);
        process.send(&format!(r#"{{"jsonrpc":"2.0","id":{mark},"method":"ping"}}"#)).await;
        loop {
            let bytes = process.line_within(SOON).await.ok_or("the next request got no answer")?;
            let next = String::from_utf8_lossy(&bytes);
            if Answer::is_for(next.trim_end(), &mark) {
                break;
            }
            line = Some(format!("{}and {next}", line.unwrap_or_default()));
        }
        judge(&row.reply, line)
    }
}

fn judge(reply: &Reply, text: Option<String>) -> Result<(), String> {
    let Some(text) = text else {
        return if matches!(reply, Reply::Nothing) { Ok(()) } else { Err("no answer".into()) };
    };
    let shown: String = text.chars().take(400).collect();
    let with = |fault: String| format!("{fault}; got {shown}");
    match *reply {
        Reply::Nothing => Err(with("expected nothing".into())),
        Reply::Error(code, id, word) => {
            judge_answer(&text, id, Some(code)).map_err(with)?;
            if !text.contains(word) {
                return Err(with(format!("expected {word:?}")));
            }
            if text.len() > MAX_REFUSAL {
                Err(with(format!("a refusal of {} bytes", text.len())))
            } else {
                Ok(())
            }
        }
        Reply::Refused(id, codes) => {
            let refused = |code: &i64| judge_answer(&text, id, Some(*code)).is_ok();
            if codes.iter().any(refused) { Ok(()) } else { Err(with(format!("expected one of {codes:?}"))) }
        }
        Reply::Result(id) => judge_answer(&text, id, None).map_err(with),
        Reply::Holds(id, part) => {
            judge_answer(&text, id, None).map_err(with)?;
            let answer = Answer { before: Vec::new(), text };
            if answer.content_text().contains(part) {
                Ok(())
            } else {
                Err(with(format!("expected {part} in it")))
            }
        }
        Reply::Either(id) => match judge_answer(&text, id, None) {
            Ok(()) => Ok(()),
            Err(_) if text.contains("\"error\"") && text.contains(&format!("\"id\":{id}")) => Ok(()),
            Err(fault) => Err(with(fault)),
        },
    }
}
