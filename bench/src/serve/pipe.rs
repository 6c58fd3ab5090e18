//! Between standard input and output and a child: bytes are copied both ways.

use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::Command;

use super::{Serve, input, output};
use crate::Result;
use crate::echo::TOOLS;

/// Bytes of one read.
const CHUNK: usize = 64 * 1024;

pub(super) async fn serve() -> Result<()> {
    let echo = Serve::EchoStdio { tools: TOOLS.len(), aside: true };
    let mut command = Command::from(echo.command()?);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let ends = child.stdin.take().zip(child.stdout.take()).ok_or("the child has no pipes")?;
    tokio::select! {
        copied = copy(input()?, ends.0) => copied,
        copied = copy(ends.1, output()?) => copied,
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    while from.read_buf(&mut chunk).await? > 0 {
        to.write_all(&chunk).await?;
        chunk.clear();
    }
    Ok(())
}
