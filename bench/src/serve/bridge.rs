//! Between standard input and output and a server over HTTP: each line is posted as it is, each body is written as a
//! line; or each is proven to be JSON first. Hyper-util's pooled client, as the copying proxy has it.

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use memchr::memchr;
use serde::de::IgnoredAny;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::{front, input, output};
use crate::Result;

/// Bodies that wait to be written.
const QUEUE: usize = 1_024;

pub(super) async fn serve(upstream: &str, parse: bool) -> Result<()> {
    let pool = front::client::<Full<Bytes>>();
    let uri: Uri = upstream.parse()?;
    let (mut input, mut output) = (input()?, output()?);
    let (answered, mut answers) = mpsc::channel::<Bytes>(QUEUE);
    tokio::spawn(async move {
        let mut lines = Vec::new();
        while let Some(body) = answers.recv().await {
            lines.clear();
            let mut next = Some(body);
            while let Some(body) = next {
                lines.extend_from_slice(&body);
                lines.push(b'\n');
                next = answers.try_recv().ok();
            }
            if output.write_all(&lines).await.is_err() {
                break;
            }
        }
    });
    let mut unread = bytes::BytesMut::with_capacity(1 << 20);
    while input.read_buf(&mut unread).await? > 0 {
        while let Some(end) = memchr(b'\n', &unread) {
            let mut line = unread.split_to(end + 1);
            line.truncate(end);
            if parse {
                serde_json::from_slice::<IgnoredAny>(&line)?;
            }
            let request = Request::post(uri.clone())
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ACCEPT, "application/json, text/event-stream")
                .body(Full::new(line.freeze()))?;
            let (asked, answered) = (pool.request(request), answered.clone());
            tokio::spawn(async move {
                let body = asked.await.ok()?.into_body().collect().await.ok()?.to_bytes();
                // A notification has no answer.
                if body.is_empty() {
                    return None;
                }
                if parse {
                    serde_json::from_slice::<IgnoredAny>(&body).ok()?;
                }
                answered.send(body).await.ok()
            });
        }
    }
    Ok(())
}
