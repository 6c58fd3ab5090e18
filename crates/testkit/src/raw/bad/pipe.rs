//! Bad answers that only a pipe can carry.

use std::{io, time::Duration};

use bytes::Bytes;

use super::{Arguments, GARBAGE, good, pause};
use crate::raw::{request::Request, server::Call, stdio::Stdout};

/// Answers in a mode of standard output, `None` when there is no such mode.
pub(super) async fn answer(
    request: &Request,
    arguments: &Arguments,
    call: &Call,
    out: &Stdout,
) -> Option<io::Result<()>> {
    let good = good(request);
    let half = || good.as_bytes().get(..good.len() / 2).unwrap_or_default().to_vec();
    Some(match arguments.mode.as_str() {
        "garbage-before" => {
            let line = format!("{good}\n").into_bytes();
            let pieces = GARBAGE.map(Bytes::from_static).into_iter().chain([line.into()]).collect();
            out.pieces(pieces, Duration::ZERO).await
        }
        "close-stdout" => out.close().await,
        "half-line" => {
            let written = match out.bytes(half()).await {
                Ok(()) => out.flush().await,
                Err(error) => Err(error),
            };
            if written.is_ok() {
                super::exit(0);
            }
            written
        }
        "unfinished-line" => {
            let written = out.bytes(good.into_bytes()).await;
            call.cancelled.notified().await;
            written
        }
        "joined" => out.line(format!("{good}{good}").as_bytes()).await,
        "byte-by-byte" => {
            let line = format!("{good}\n");
            let pieces = line.bytes().map(|byte| Bytes::copy_from_slice(&[byte])).collect();
            out.pieces(pieces, pause(arguments, 1)).await
        }
        // The reading thread has stopped before this call began.
        "stop-reading" => out.line(good.as_bytes()).await,
        _ => return None,
    })
}
