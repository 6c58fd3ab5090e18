//! A result that is passed on while it comes, as a line.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::proxy::{Broken, Passage};

/// Writes the line to its end. One that breaks off is ended as it is, which no client can take for a message, and the
/// client is told by an error in a line behind it, unless it has cancelled the call. Counts the pieces that were `taken`.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    passage: Passage,
    taken: &AtomicU64,
) -> io::Result<()> {
    let id = passage.id().to_owned();
    let mut pieces = passage.start();
    let mut end = b"\n".to_vec();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => {
                stream.write_all(&piece).await?;
                taken.fetch_add(1, Ordering::Relaxed);
            }
            Err(Broken::Cancelled) => break,
            Err(Broken::Refused(refusal)) => {
                end.extend_from_slice(&refusal.to_bytes(Some(&id)));
                end.push(b'\n');
                break;
            }
        }
    }
    stream.write_all(&end).await?;
    stream.flush().await
}
