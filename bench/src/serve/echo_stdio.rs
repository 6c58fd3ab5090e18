//! The upstream over standard input and output: all lines that are there are answered with one write.

use memchr::memrchr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{input, output};
use crate::Result;
use crate::echo::Echo;

pub(super) async fn serve(echo: &Echo) -> Result<()> {
    let (mut input, mut output) = (input()?, output()?);
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
