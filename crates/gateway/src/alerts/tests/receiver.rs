//! A small HTTP server that answers as it is told and keeps what it got.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How one request is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<&'static str>,
    pub(super) body: &'static str,
    /// It is not answered at all.
    pub(super) hangs: bool,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self { status, retry_after: None, body: "", hangs: false }
    }
}

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Post {
    head: String,
    pub(super) body: String,
}

impl Post {
    pub(super) fn header(&self, name: &str) -> String {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    }
}

/// The server; what is not in its list of answers is answered with 200.
pub(super) struct Receiver {
    pub(super) url: String,
    got: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    pub(super) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let got = Arc::<Mutex<Vec<Post>>>::default();
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::new(Mutex::new(answers.into_iter().collect()));
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&answers)));
            }
        });
        Self { url, got }
    }

    pub(super) fn got(&self) -> Vec<Post> {
        self.got.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, got: Arc<Mutex<Vec<Post>>>, answers: Arc<Mutex<VecDeque<Answer>>>) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let mut post = Post { head: String::from_utf8_lossy(&read[..end]).into_owned(), body: String::new() };
        let length: usize = post.header("content-length").parse().unwrap();
        while read.len() < end + length {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
        post.body = String::from_utf8(read[end..end + length].to_vec()).unwrap();
        read.drain(..end + length);
        got.lock().unwrap().push(post);
        let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::status(200));
        if answer.hangs {
            std::future::pending::<()>().await;
        }
        let wait = answer.retry_after.map(|wait| format!("Retry-After: {wait}\r\n")).unwrap_or_default();
        let reply = format!(
            "HTTP/1.1 {} Answer\r\n{wait}Content-Length: {}\r\n\r\n{}",
            answer.status,
            answer.body.len(),
            answer.body
        );
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}
