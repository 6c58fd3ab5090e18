//! The raw upstream through the raw clients: each proves the other.

mod http;
mod stdio;

use aqe_testkit::{
    client::{HttpClient, StdioClient},
    process::binary,
};

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
