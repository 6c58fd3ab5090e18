//! The raw upstream through the raw clients: each proves the other.

mod bad_http;
mod bad_stdio;
mod http;
mod startup;
mod stdio;

use aqe_testkit::{
    client::{Answer, HttpClient, Message, StdioClient},
    process::binary,
};
use serde_json::json;

/// Whether `text` is an answer to request 1 that a strict receiver accepts.
fn is_valid(text: &str) -> bool {
    Answer::is_for(text, "1") && Answer { before: Vec::new(), text: text.to_owned() }.is_valid()
}

/// A call of the tool `bad`.
fn bad(mode: &str) -> Message {
    Message::call(1, "bad", &json!({ "mode": mode }).to_string()).progress_token(7)
}

/// `rawmcp stdio` with further flags.
fn stdio(flags: &[&str]) -> StdioClient {
    StdioClient::spawn(&binary("rawmcp"), [&["stdio"], flags].concat())
}

/// `rawmcp http` with further flags; it lives as long as the first value.
async fn http(flags: &[&str]) -> (StdioClient, HttpClient) {
    let mut server = StdioClient::spawn(&binary("rawmcp"), [&["http"], flags].concat());
    let url = server.listening_url().await;
    (server, HttpClient::new(&url))
}
