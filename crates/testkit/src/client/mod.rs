//! MCP clients that show every byte, for end-to-end tests of a server or a gateway.
//!
//! - [`Message`] writes requests as text, for any [`Revision`]; params, arguments and ids are given as
//!   raw JSON, so a test decides every byte of them.
//! - [`StdioClient`] speaks to a child process line by line; [`HttpClient`] speaks HTTP/1.1 over TCP or a
//!   Unix socket; [`HttpSession`] adds the handshake and headers of a revision; [`RawSocket`] sends bytes.
//! - [`Answer`] holds the raw answer and the raw messages that came before it.
//!
//! Every wait has a deadline ([`DEADLINE`] unless set). These are test tools: what should have come and
//! did not is a panic that says what was expected and what came instead.

mod answer;
mod http;
mod message;
mod response;
mod session;
mod socket;
mod sse;
mod stdio;

use std::{fmt::Display, time::Duration};

pub use answer::Answer;
pub use http::HttpClient;
pub use message::{Message, Revision};
pub use response::Response;
pub use session::HttpSession;
pub use socket::RawSocket;
pub use sse::{Event, EventParser};
pub use stdio::StdioClient;

/// How long a wait lasts unless the test sets another deadline.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The value of `result`, or a panic that says what was being done.
#[track_caller]
fn must<T, E: Display>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// What `future` gives before `deadline`, or a panic that says what was awaited.
async fn within<T>(deadline: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(deadline, future).await {
        Ok(value) => value,
        Err(elapsed) => panic!("expected {what} within {deadline:?}; nothing came: {elapsed}"),
    }
}
