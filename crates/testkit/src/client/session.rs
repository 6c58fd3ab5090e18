//! An HTTP client that keeps to a revision.

use super::{Answer, HttpClient, Message, Response, Revision};

/// A conversation over HTTP: handshake, session id and the header fields of a revision.
#[derive(Debug, Clone)]
pub struct HttpSession {
    /// The connections underneath.
    pub client: HttpClient,
    /// The revision spoken.
    pub revision: Revision,
    /// The session id that the server gave out.
    pub id: Option<String>,
}

impl HttpSession {
    /// Does the handshake of `revision`; nothing in the stateless one.
    pub async fn open(client: HttpClient, revision: Revision) -> Self {
        Self::open_with(client, revision, "{}").await
    }

    /// Does the handshake and declares these capabilities (JSON text). In the stateless revision give
    /// them with each [`Message`] instead.
    pub async fn open_with(client: HttpClient, revision: Revision, capabilities: &str) -> Self {
        let mut session = Self { client, revision, id: None };
        if !revision.is_modern() {
            let message = Message::initialize("\"init\"", revision).capabilities(capabilities);
            let mut response = session.start(&message).await;
            session.id = response.headers.get("mcp-session-id").map(str::to_owned);
            let answer = response.answer("\"init\"").await;
            assert!(!answer.is_error(), "expected a handshake, got {}", answer.text);
            drop(response);
            let status = session.notify(&Message::initialized()).await;
            assert_eq!(status, 202, "expected notifications/initialized to be accepted");
        }
        session
    }

    /// The header fields for a message.
    pub fn headers(&self, message: &Message) -> Vec<(String, String)> {
        let mut headers = message.headers(self.revision);
        if let Some(id) = &self.id {
            headers.push(("mcp-session-id".to_owned(), id.clone()));
        }
        headers
    }

    /// Sends a message and gives the response as soon as its head is there.
    pub async fn start(&self, message: &Message) -> Response {
        let headers = self.headers(message);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.client.post(&headers, message.text(self.revision).as_bytes()).await
    }

    /// Sends a request and waits for its answer.
    pub async fn request(&self, message: &Message) -> Answer {
        let Some(id) = message.id() else { panic!("expected a request, got {message:?}") };
        let mut response = self.start(message).await;
        let answer = response.answer(id).await;
        if response.is_event_stream() {
            // To its end, so that the connection can be used again.
            response.bytes().await;
        }
        answer
    }

    /// Sends a notification; returns the status.
    pub async fn notify(&self, message: &Message) -> u16 {
        let mut response = self.start(message).await;
        response.bytes().await;
        response.status
    }

    /// Sends any text, a response for instance, with the session's header fields; returns the status.
    pub async fn post_text(&self, text: &str) -> u16 {
        let headers = self.headers(&Message::notification(""));
        let headers: Vec<_> = headers
            .iter()
            .filter(|(name, _)| name != "mcp-method")
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut response = self.client.post(&headers, text.as_bytes()).await;
        response.bytes().await;
        response.status
    }

    /// Opens the session's GET stream.
    pub async fn listen(&self) -> Response {
        let headers = self.headers(&Message::notification(""));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.client.get_stream(&headers).await
    }

    /// Ends the session; returns the status.
    pub async fn delete(&self) -> u16 {
        let headers = self.headers(&Message::notification(""));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut response = self.client.send("DELETE", &headers, b"").await;
        response.bytes().await;
        response.status
    }
}
