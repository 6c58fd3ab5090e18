//! One way to talk to the gateway, whatever the era and transport.

use std::{collections::VecDeque, time::Duration};

use aqe_testkit::client::{Answer, HttpSession, Message, Response, Revision, StdioClient};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::task::JoinHandle;

/// The id of the request that listens, in the stateless revision.
const LISTEN: &str = "\"listen\"";

/// A client of either era over either transport.
#[derive(Debug)]
pub(crate) struct Client {
    /// What it speaks.
    pub(crate) revision: Revision,
    capabilities: String,
    wire: Wire,
}

#[derive(Debug)]
enum Wire {
    Stdio {
        process: Box<StdioClient>,
        /// Messages that came while another one was awaited.
        kept: VecDeque<String>,
    },
    Http {
        session: HttpSession,
        running: Vec<(String, JoinHandle<Answer>)>,
        stream: Option<Box<Response>>,
    },
}

impl Client {
    pub(super) fn stdio(process: StdioClient, revision: Revision, capabilities: &str) -> Self {
        let wire = Wire::Stdio { process: Box::new(process), kept: VecDeque::new() };
        Self { revision, capabilities: capabilities.to_owned(), wire }
    }

    pub(super) fn http(session: HttpSession, capabilities: &str) -> Self {
        let revision = session.revision;
        let wire = Wire::Http { session, running: Vec::new(), stream: None };
        Self { revision, capabilities: capabilities.to_owned(), wire }
    }

    /// The HTTP conversation.
    pub(crate) fn session(&self) -> &HttpSession {
        match &self.wire {
            Wire::Http { session, .. } => session,
            Wire::Stdio { .. } => panic!("expected a client over HTTP"),
        }
    }

    /// The gateway's process, for a client over stdio.
    pub(crate) fn process(&mut self) -> &mut StdioClient {
        match &mut self.wire {
            Wire::Stdio { process, .. } => process,
            Wire::Http { .. } => panic!("expected a client over stdio"),
        }
    }

    fn dressed(&self, message: &Message) -> Message {
        message.clone().capabilities(&self.capabilities)
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn request(&mut self, message: &Message) -> Answer {
        self.begin(message).await;
        self.finish(message.id().expect("expected a request")).await
    }

    /// Calls a tool with `arguments` as JSON text, under a number as id.
    pub(crate) async fn call(&mut self, id: u32, tool: &str, arguments: &str) -> Answer {
        self.request(&Message::call(id, tool, arguments)).await
    }

    /// Sends a request; its answer is for [`Client::finish`].
    pub(crate) async fn begin(&mut self, message: &Message) {
        let message = self.dressed(message);
        match &mut self.wire {
            Wire::Stdio { process, .. } => process.notify(&message).await,
            Wire::Http { session, running, .. } => {
                let session = session.clone();
                let id = message.id().expect("expected a request").to_owned();
                running.push((id, tokio::spawn(async move { session.request(&message).await })));
            }
        }
    }

    /// Waits for the answer to a request that was begun. Over stdio `before` holds everything that came before it
    /// and was not taken.
    pub(crate) async fn finish(&mut self, id: &str) -> Answer {
        match &mut self.wire {
            Wire::Stdio { process, kept } => loop {
                if let Some(at) = kept.iter().position(|text| Answer::is_for(text, id)) {
                    let mut before: Vec<String> = kept.drain(..=at).collect();
                    let text = before.pop().unwrap_or_default();
                    // What belongs to other calls or to none is still awaited.
                    let of_a_call = |text: &String| {
                        text.contains("notifications/progress") || text.contains("notifications/message")
                    };
                    kept.extend(before.extract_if(.., |text| !of_a_call(text)));
                    return Answer { before, text };
                }
                kept.push_back(process.line().await);
            },
            Wire::Http { running, .. } => {
                let at = running.iter().position(|(running, _)| running == id);
                let (_, task) = running.remove(at.expect("expected a request that was begun"));
                match task.await {
                    Ok(answer) => answer,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
        }
    }

    /// Cancels a request in the way of the revision and transport; its answer must not come.
    pub(crate) async fn cancel(&mut self, id: &str) {
        let modern = self.revision.is_modern();
        if let Wire::Http { running, .. } = &mut self.wire
            && modern
        {
            let at = running.iter().position(|(running, _)| running == id);
            let (_, task) = running.remove(at.expect("expected a request that was begun"));
            // It takes its connection with it.
            task.abort();
            return;
        }
        self.notify(&Message::cancelled(id)).await;
    }

    /// Whether the answer to a request that was begun comes within `patience`. Over HTTP the end of the response
    /// without an answer is none.
    pub(crate) async fn is_answered(&mut self, id: &str, patience: Duration) -> bool {
        match &mut self.wire {
            Wire::Stdio { process, kept } => {
                let until = tokio::time::Instant::now() + patience;
                loop {
                    if kept.iter().any(|text| Answer::is_for(text, id)) {
                        return true;
                    }
                    let left = until.saturating_duration_since(tokio::time::Instant::now());
                    let Some(line) = process.line_within(left).await else { return false };
                    kept.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                }
            }
            Wire::Http { running, .. } => {
                let Some(at) = running.iter().position(|(running, _)| running == id) else { return false };
                let task = &mut running[at].1;
                tokio::time::timeout(patience, task).await.is_ok_and(|answer| answer.is_ok())
            }
        }
    }

    /// Sends a notification.
    pub(crate) async fn notify(&mut self, message: &Message) {
        match &mut self.wire {
            Wire::Stdio { process, .. } => process.notify(message).await,
            Wire::Http { session, .. } => assert_eq!(session.notify(message).await, 202),
        }
    }

    /// Sends a request as exactly this text, with the header fields of `message`, and waits for its answer.
    pub(crate) async fn exchange(&mut self, message: &Message, text: &str) -> Answer {
        let id = message.id().expect("expected a request");
        match &mut self.wire {
            Wire::Stdio { process, .. } => {
                process.send(text).await;
                process.answer(id).await
            }
            Wire::Http { session, .. } => {
                let headers = session.headers(message);
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                session.client.post(&headers, text.as_bytes()).await.answer(id).await
            }
        }
    }

    /// Sends a request and returns every message that comes: over HTTP until the response ends, over stdio until
    /// nothing came for a while after the answer.
    pub(crate) async fn everything(&mut self, message: &Message) -> Vec<String> {
        const SILENCE: Duration = Duration::from_millis(150);
        let message = self.dressed(message);
        let mut all = Vec::new();
        match &mut self.wire {
            Wire::Stdio { process, .. } => {
                let answer = process.request(&message).await;
                all.extend(answer.before);
                all.push(answer.text);
                while let Some(line) = process.line_within(SILENCE).await {
                    all.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                }
            }
            Wire::Http { session, .. } => {
                let mut response = session.start(&message).await;
                if response.is_event_stream() {
                    while let Some(text) = response.message().await {
                        all.push(text);
                    }
                } else {
                    all.push(response.text().await);
                }
            }
        }
        all
    }

    /// Sends a request and answers every request of the server that comes meanwhile with what `respond` makes of
    /// its text. `before` of the answer holds those requests, too.
    pub(crate) async fn request_answering(
        &mut self,
        message: &Message,
        respond: impl Fn(&str) -> String,
    ) -> Answer {
        let message = self.dressed(message);
        let id = message.id().expect("expected a request");
        let mut before = Vec::new();
        match &mut self.wire {
            Wire::Stdio { process, .. } => {
                process.notify(&message).await;
                loop {
                    let text = process.line().await;
                    if Answer::is_for(&text, id) {
                        return Answer { before, text };
                    }
                    if is_request(&text) {
                        process.send(&respond(&text)).await;
                    }
                    before.push(text);
                }
            }
            Wire::Http { session, .. } => {
                let mut response = session.start(&message).await;
                loop {
                    let text = response.message().await.expect("expected an answer, the response ended");
                    if Answer::is_for(&text, id) {
                        return Answer { before, text };
                    }
                    if is_request(&text) {
                        assert_eq!(session.post_text(&respond(&text)).await, 202);
                    }
                    before.push(text);
                }
            }
        }
    }

    /// Sends a response that nobody may be waiting for.
    pub(crate) async fn send_text(&mut self, text: &str) {
        match &mut self.wire {
            Wire::Stdio { process, .. } => process.send(text).await,
            Wire::Http { session, .. } => assert_eq!(session.post_text(text).await, 202),
        }
    }

    /// Begins to listen to what belongs to no call: the GET stream over HTTP, `subscriptions/listen` in the
    /// stateless revision with this filter (JSON text).
    pub(crate) async fn listen(&mut self, filter: &str) {
        if self.revision.is_modern() {
            let message = Message::request(LISTEN, "subscriptions/listen").param("notifications", filter);
            let message = self.dressed(&message);
            match &mut self.wire {
                Wire::Stdio { process, .. } => process.notify(&message).await,
                Wire::Http { session, stream, .. } => {
                    *stream = Some(Box::new(session.start(&message).await));
                }
            }
            self.heard("notifications/subscriptions/acknowledged").await;
        } else if let Wire::Http { session, stream, .. } = &mut self.wire {
            *stream = Some(Box::new(session.listen().await));
        }
    }

    /// Waits for a message with this method that belongs to no call.
    pub(crate) async fn heard(&mut self, method: &str) -> Value {
        loop {
            let text = self.next().await;
            let message: Value = serde_json::from_str(&text).unwrap_or_default();
            if message["method"] == method {
                return message;
            }
        }
    }

    /// The next message that belongs to no call, as it came.
    pub(crate) async fn next(&mut self) -> String {
        match &mut self.wire {
            Wire::Stdio { process, kept } => match kept.pop_front() {
                Some(text) => text,
                None => process.line().await,
            },
            Wire::Http { stream, .. } => {
                let stream = stream.as_mut().expect("expected a client that listens");
                stream.message().await.expect("expected a message, the stream ended")
            }
        }
    }

    /// Counts the messages with this method that come until nothing came for `patience`.
    pub(crate) async fn count(&mut self, method: &str, patience: Duration) -> usize {
        let mut count = 0;
        while let Ok(text) = tokio::time::timeout(patience, self.next()).await {
            count += usize::from(text.contains(&format!("\"method\":\"{method}\"")));
        }
        count
    }
}

/// Whether a message is a request; what else it holds may be more than serde_json can read.
fn is_request(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        method: Option<&'a RawValue>,
    }
    serde_json::from_str::<Envelope<'_>>(text)
        .is_ok_and(|envelope| envelope.id.is_some() && envelope.method.is_some())
}
