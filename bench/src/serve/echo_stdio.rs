//! The upstream over standard input and output: all lines that are there are answered with one write.

use std::io::{Read as _, Write as _};

use memchr::memrchr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{input, output};
use crate::Result;
use crate::echo::Echo;

pub(super) async fn serve(echo: &Echo) -> Result<()> {
    // Node.js gives its children sockets, which are no pipes.
    let (Ok(mut input), Ok(mut output)) = (input(), output()) else { return blocking(echo) };
    let mut unread = Vec::with_capacity(1 << 20);
    while input.read_buf(&mut unread).await? > 0 {
        output.write_all(&answers(echo, &mut unread)).await?;
    }
    Ok(())
}

/// The same for whatever standard input and output are.
fn blocking(echo: &Echo) -> Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut unread, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    while let read @ 1.. = input.read(&mut chunk)? {
        unread.extend_from_slice(&chunk[..read]);
        output.write_all(&answers(echo, &mut unread))?;
        output.flush()?;
    }
    Ok(())
}

/// The answers to all whole lines, which are taken from what is unread.
fn answers(echo: &Echo, unread: &mut Vec<u8>) -> Vec<u8> {
    let mut reply = Vec::new();
    let Some(last) = memrchr(b'\n', unread) else { return reply };
    for line in unread[..last].split(|byte| *byte == b'\n') {
        let before = reply.len();
        echo.answer(line, &mut reply);
        if reply.len() > before {
            reply.push(b'\n');
        }
    }
    unread.drain(..=last);
    reply
}
