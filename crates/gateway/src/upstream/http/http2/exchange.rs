//! One request and its response on a connection.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream};

use super::super::super::CallError;
use super::super::head::{Head, MAX_FIELDS};
use super::conn::Place;
use super::described;
use super::health::Health;

/// A request that the server has certainly not processed, and why.
#[derive(Debug)]
pub(in super::super) struct Unprocessed(pub(in super::super) String);

/// An exchange that came to no response.
#[derive(Debug)]
pub(in super::super) enum Failure {
    /// It may be repeated, on another connection or later on this one.
    Unprocessed(Unprocessed),
    Call(CallError),
}

impl Place {
    /// Sends a request and awaits the head of its response. Dropped before, it resets its stream, and nothing else.
    pub(in super::super) async fn exchange(
        self,
        request: http::Request<()>,
        body: &Bytes,
    ) -> Result<(Head, Incoming), Failure> {
        let (head, stream) = self.response(request, body).await?;
        Ok((head, Incoming { stream, place: self }))
    }

    async fn response(
        &self,
        request: http::Request<()>,
        body: &Bytes,
    ) -> Result<(Head, RecvStream), Failure> {
        let health = &*self.conn.health;
        let written = health.writes();
        let mut sender = self.conn.sender.clone();
        let sent = sender.send_request(request, body.is_empty());
        drop(sender);
        let (response, mut upload) = sent.map_err(|error| {
            // The server has said that it is going away, or the connection has ended.
            health.retire();
            Failure::Unprocessed(Unprocessed(reason(health, &error)))
        })?;
        let mut waiting = Waiting { health, heard: health.reads(), answered: false };
        if !body.is_empty() {
            // Handed over whole, which copies nothing: it is in memory anyway, and leaves as the server's window allows.
            // What goes wrong with it shows in the response.
            let _ = upload.send_data(body.clone(), true);
        }
        let response = response.await;
        waiting.answered = true;
        let (head, stream) = response.map_err(|error| failure(health, &error, written))?.into_parts();
        if head.headers.len() > MAX_FIELDS {
            let reason = format!("a response with more than {MAX_FIELDS} header fields");
            return Err(Failure::Call(CallError::Malformed(reason)));
        }
        Ok((Head::of_fields(head.status, &head.headers), stream))
    }
}

/// A request without an answer. If it is given up and nothing has come from the server meanwhile, the server is asked
/// whether it is there, so that the next calls need not find that out one by one.
struct Waiting<'a> {
    health: &'a Health,
    heard: u64,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered && self.health.reads() == self.heard {
            self.health.doubt.notify_one();
        }
    }
}

/// What an error before the head of the response means for the request.
fn failure(health: &Health, error: &h2::Error, written: u64) -> Failure {
    let reason = reason(health, error);
    // A GOAWAY that ends a stream is one that names an earlier stream as the last that was processed (RFC 9113
    // section 6.8); REFUSED_STREAM says it of one (section 8.7). What was written to a connection before its end may
    // have arrived; where nothing was, the request has not.
    let unprocessed = (error.is_remote() && error.is_go_away())
        || (error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM))
        || (error.is_io() && health.writes() == written);
    if unprocessed {
        Failure::Unprocessed(Unprocessed(reason))
    } else if error.is_reset() && error.is_library() {
        Failure::Call(CallError::Malformed(format!("not an HTTP/2 response: {reason}")))
    } else {
        Failure::Call(CallError::Closed(reason))
    }
}

fn reason(health: &Health, error: &h2::Error) -> String {
    let ended = health.ended().filter(|_| !error.is_reset());
    ended.map_or_else(|| described(error), str::to_owned)
}

/// The body of a response. Dropped before its end, it resets its stream, and nothing else.
pub(in super::super) struct Incoming {
    stream: RecvStream,
    place: Place,
}

impl Incoming {
    /// Whether nothing more comes, as is known without waiting.
    pub(in super::super) fn has_ended(&self) -> bool {
        self.stream.is_end_stream()
    }

    /// Adds what comes next to `into`; `false` at the end. What is not taken is not sent for long: the server's window
    /// opens again only here.
    ///
    /// # Errors
    /// Why there is no more, although this was not the end.
    pub(in super::super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
    ) -> Poll<Result<bool, String>> {
        loop {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Fails only for more than has come.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    if !data.is_empty() {
                        into.extend_from_slice(&data);
                        return Poll::Ready(Ok(true));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(reason(&self.place.conn.health, &error))),
                None => return Poll::Ready(Ok(false)),
            }
        }
    }
}
