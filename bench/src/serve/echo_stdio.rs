//! The upstream over standard input and output: all lines that are there are answered with one write.

use std::os::fd::OwnedFd;

use memchr::memrchr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;

use crate::Result;
use crate::echo::Echo;

pub(super) async fn serve(echo: &Echo) -> Result<()> {
    // Opened anew, so that the non-blocking flag is ours alone.
    let mut input = pipe::Receiver::from_owned_fd(open("/proc/self/fd/0", false)?)?;
    let mut output = pipe::Sender::from_owned_fd(open("/proc/self/fd/1", true)?)?;
    let mut unread = Vec::with_capacity(1 << 20);
    let mut reply = Vec::new();
    while input.read_buf(&mut unread).await? > 0 {
        let Some(last) = memrchr(b'\n', &unread) else { continue };
        reply.clear();
        for line in unread[..last].split(|byte| *byte == b'\n') {
            let before = reply.len();
            echo.answer(line, &mut reply);
            if reply.len() > before {
                reply.push(b'\n');
            }
        }
        output.write_all(&reply).await?;
        unread.drain(..=last);
    }
    Ok(())
}

fn open(path: &str, write: bool) -> Result<OwnedFd> {
    Ok(std::fs::OpenOptions::new().read(!write).write(write).open(path)?.into())
}
