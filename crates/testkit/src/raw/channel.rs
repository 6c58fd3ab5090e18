//! Where the messages about one request go: a line of standard output, or an HTTP response.

use std::io;

use super::{
    exchange::Exchange,
    request::{Request, quote},
    server::Refusal,
    stdio::Stdout,
};

/// The way back to the client for one request.
#[derive(Debug)]
pub(super) enum Channel {
    Stdio(Stdout),
    Http(Exchange),
}

impl Channel {
    /// Sends a notification or a request of ours.
    pub(super) async fn message(&mut self, message: &str) -> io::Result<()> {
        match self {
            Self::Stdio(out) => out.line(message.as_bytes()).await,
            Self::Http(exchange) => exchange.message(message.as_bytes()).await,
        }
    }

    /// Sends the last message about the request, whatever its bytes.
    pub(super) async fn last(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdio(out) => out.line(message).await,
            Self::Http(exchange) => exchange.last(200, message).await,
        }
    }

    /// Answers with a result object given as JSON text.
    pub(super) async fn result(&mut self, request: &Request, result: &str) -> io::Result<()> {
        self.last(success(request, result).as_bytes()).await
    }

    /// Answers with a tool result that holds one text.
    pub(super) async fn text(
        &mut self,
        request: &Request,
        text: &str,
        structured: Option<&str>,
    ) -> io::Result<()> {
        let members = format!(r#""content":[{{"type":"text","text":{}}}]"#, quote(text));
        let members = match structured {
            Some(structured) => format!(r#"{members},"structuredContent":{structured}"#),
            None => members,
        };
        self.result(request, &super::results::complete(request.modern, false, &members)).await
    }

    /// Ends the request without an answer.
    pub(super) async fn abandon(&mut self) -> io::Result<()> {
        match self {
            Self::Stdio(_) => Ok(()),
            Self::Http(exchange) => exchange.abandon().await,
        }
    }

    /// Answers with an error.
    pub(super) async fn refuse(&mut self, request: &Request, refusal: &Refusal) -> io::Result<()> {
        let response = refusal.response(request.id_text());
        match self {
            Self::Stdio(out) => out.line(response.as_bytes()).await,
            Self::Http(exchange) => exchange.last(refusal.status, response.as_bytes()).await,
        }
    }
}

/// The whole response with this result object (JSON text).
pub(super) fn success(request: &Request, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request.id_text())
}
