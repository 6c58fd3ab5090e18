//! Between standard input and output and a child: bytes are copied both ways; or each line is proven to be JSON first.

use std::process::Stdio;

use memchr::memrchr;
use serde::de::IgnoredAny;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::Command;

use super::{Serve, input, output};
use crate::Result;
use crate::echo::TOOLS;

/// Bytes of one read.
const CHUNK: usize = 64 * 1024;

pub(super) async fn serve(parse: bool) -> Result<()> {
    let echo = Serve::EchoStdio { tools: TOOLS.len(), aside: true };
    let mut command = Command::from(echo.command()?);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let ends = child.stdin.take().zip(child.stdout.take()).ok_or("the child has no pipes")?;
    tokio::select! {
        passed = pass(input()?, ends.0, parse) => passed,
        passed = pass(ends.1, output()?, parse) => passed,
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, parse: bool) -> Result<()> {
    let mut unread = Vec::with_capacity(CHUNK);
    while from.read_buf(&mut unread).await? > 0 {
        let end = if parse { memrchr(b'\n', &unread).map_or(0, |at| at + 1) } else { unread.len() };
        if parse {
            for line in unread[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                serde_json::from_slice::<IgnoredAny>(line)?;
            }
        }
        if end > 0 {
            to.write_all(&unread[..end]).await?;
            unread.drain(..end);
        }
        unread.reserve(CHUNK);
    }
    Ok(())
}
