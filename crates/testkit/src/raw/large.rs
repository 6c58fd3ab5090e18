//! The tool whose answers are too long to be held.

use std::{io, time::Duration};

use bytes::Bytes;
use serde::Deserialize;

use super::{
    channel::Channel,
    exchange::{Exchange, Progress},
    request::Request,
    tools::Outcome,
};

/// Bytes of a block of the text, which begins with its number.
const BLOCK: usize = 1_024;
/// Blocks that are written at a time.
const BLOCKS: usize = 64;

/// What is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Arguments {
    bytes: usize,
    /// The id comes behind the result.
    #[serde(default)]
    id_last: bool,
    /// Over HTTP: the length is not announced.
    #[serde(default)]
    chunked: bool,
    /// Between two pieces of 64 KiB.
    #[serde(default)]
    pause_ms: u64,
    /// A progress notification comes first, if the client wants any.
    #[serde(default)]
    progress: bool,
    /// The result says that the tool has failed, at its end.
    #[serde(default)]
    is_error: bool,
    fault: Option<Fault>,
}

/// What goes wrong in the middle or at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// The connection or, on the pipe, the process ends in the middle.
    Cut,
    /// Nothing more comes from the middle on.
    Stall,
    /// The id, which comes last, is another call's.
    WrongId,
    /// The last bytes are missing.
    NoEnd,
}

/// The text of an answer of so many bytes: whole blocks, at least one, each of them its own. As it stands in JSON.
pub fn large_text(bytes: usize) -> String {
    let count = bytes.div_ceil(BLOCK).max(1);
    (0..count).map(block).collect()
}

fn block(number: usize) -> String {
    let mut block = format!("{number:010}\\n\\\"é€");
    let length = block.len();
    block.extend(std::iter::repeat_n('.', BLOCK - length));
    block
}

/// The answer's text before and behind the text of `large_text`; `id` is JSON text.
pub fn large_envelope(id: &str, modern: bool, id_last: bool) -> (String, String) {
    let result_type = if modern { r#","resultType":"complete""# } else { "" };
    let (begin, end) =
        (r#""result":{"content":[{"type":"text","text":""#, format!(r#""}}],"x":1.50{result_type}}}"#));
    if id_last {
        (format!("{{{begin}"), format!(r#"{end},"jsonrpc":"2.0","id":{id}}}"#))
    } else {
        (format!(r#"{{"jsonrpc":"2.0","id":{id},{begin}"#), format!("{end}}}"))
    }
}

/// Answers a call of `large`.
pub(super) async fn call(request: &Request, channel: &mut Channel) -> Outcome {
    let arguments: Arguments = request.arguments()?;
    Ok(write(request, arguments, channel).await)
}

async fn write(request: &Request, arguments: Arguments, channel: &mut Channel) -> io::Result<()> {
    let Arguments { bytes, id_last, chunked, pause_ms, progress, is_error, fault } = arguments;
    let token = request.params.meta.as_ref().and_then(|meta| meta.progress_token.as_ref());
    if let Some(token) = token.filter(|_| progress) {
        let params = format!(r#"{{"progressToken":{},"progress":1}}"#, token.get());
        let message = format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#);
        channel.message(&message).await?;
    }
    let id = if fault == Some(Fault::WrongId) { "987654321" } else { request.id_text() };
    let (begin, mut end) = large_envelope(id, request.modern, id_last || fault == Some(Fault::WrongId));
    if is_error {
        end = end.replacen("1.50", r#"1.50,"isError":true"#, 1);
    }
    let blocks = bytes.div_ceil(BLOCK).max(1);
    let pause = Duration::from_millis(pause_ms);
    let written = match fault {
        Some(Fault::Cut | Fault::Stall) => blocks / 2,
        _ => blocks,
    };
    let pieces = (0..written).step_by(BLOCKS).map(|from| {
        let text: String = (from..written.min(from + BLOCKS)).map(block).collect();
        Bytes::from(text)
    });
    let end = match fault {
        Some(Fault::Cut | Fault::Stall) => "",
        Some(Fault::NoEnd) => &end[..end.len() - 4],
        _ => &end,
    };
    let length = begin.len() + blocks * BLOCK + end.len();
    match channel {
        Channel::Stdio(out) => {
            let mut all = vec![Bytes::from(begin)];
            all.extend(pieces);
            all.push(Bytes::copy_from_slice(end.as_bytes()));
            if !matches!(fault, Some(Fault::Cut | Fault::Stall)) {
                all.push(Bytes::from_static(b"\n"));
            }
            out.pieces(all, pause).await?;
            // The call goes on until all is written.
            out.flush().await?;
            if fault == Some(Fault::Cut) {
                #[expect(clippy::exit, reason = "this is what is asked for")]
                std::process::exit(0);
            }
        }
        Channel::Http(exchange) => {
            let is_event = exchange.progress == Progress::Streaming || exchange.always_sse;
            open(exchange, is_event, (!chunked).then_some(length)).await?;
            let chunked = chunked || is_event;
            if is_event {
                exchange.chunk(b"data: ").await?;
            }
            piece(exchange, chunked, begin.as_bytes()).await?;
            for text in pieces {
                piece(exchange, chunked, &text).await?;
                tokio::time::sleep(pause).await;
            }
            piece(exchange, chunked, end.as_bytes()).await?;
            if fault == Some(Fault::Cut) {
                exchange.close = true;
                return Ok(());
            }
            if fault != Some(Fault::Stall) {
                if is_event {
                    exchange.chunk(b"\n\n").await?;
                }
                if chunked {
                    exchange.close_stream().await?;
                }
                exchange.progress = Progress::Done;
            }
        }
    }
    if fault == Some(Fault::Stall) {
        std::future::pending::<()>().await;
    }
    Ok(())
}

async fn open(exchange: &mut Exchange, is_event: bool, length: Option<usize>) -> io::Result<()> {
    if exchange.progress == Progress::Streaming {
        return Ok(());
    }
    if is_event {
        return exchange.open_stream().await;
    }
    let framing = match length {
        Some(length) => format!("content-length: {length}"),
        None => "transfer-encoding: chunked".to_owned(),
    };
    let head = exchange.head(200, &["content-type: application/json", &framing]);
    exchange.bytes(head.as_bytes()).await
}

async fn piece(exchange: &mut Exchange, chunked: bool, bytes: &[u8]) -> io::Result<()> {
    match (chunked, bytes) {
        (_, []) => Ok(()),
        (true, bytes) => exchange.chunk(bytes).await,
        (false, bytes) => exchange.bytes(bytes).await,
    }
}
