//! The Unix socket: the same HTTP as on TCP and the admin API, or newline-delimited JSON-RPC. The first byte tells:
//! no HTTP method begins with a brace or bracket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};

use super::http::{Edge, Peer, connection};
use super::lines;
use super::rewound::Rewound;
use crate::settings::LOCAL_PRINCIPAL;
use crate::tasks;
use crate::telemetry::Via;

/// A listening socket; its file is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`, with access for the user alone. A file that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// If somebody listens there already, or the socket cannot be made.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if path.exists() {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until `edge` is told to stop.
    pub async fn serve(self, edge: Arc<Edge>) {
        loop {
            let permit = edge.connections();
            let accepted = tokio::select! {
                () = edge.stopped() => return,
                permit = permit => (permit, self.listener.accept().await),
            };
            let (permit, Ok((stream, _))) = accepted else { continue };
            let edge = Arc::clone(&edge);
            tasks::spawn("unix connection", async move {
                converse(&edge, stream).await;
                drop(permit);
            });
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn converse(edge: &Arc<Edge>, mut stream: UnixStream) {
    let mut first = BytesMut::with_capacity(4 * 1024);
    let read = tokio::time::timeout(edge.limits.header_timeout, stream.read_buf(&mut first)).await;
    if !matches!(read, Ok(Ok(count)) if count > 0) {
        return;
    }
    let is_json = matches!(first.trim_ascii_start().first(), Some(b'{' | b'['));
    let stream = Rewound::new(first.freeze(), stream);
    if is_json {
        let (reader, writer) = tokio::io::split(stream);
        lines::serve(
            Arc::clone(&edge.gateway),
            reader,
            writer,
            Arc::from(LOCAL_PRINCIPAL),
            Via::Unix,
            edge.stopped(),
        )
        .await;
    } else {
        connection(Arc::clone(edge), stream, Peer::USER).await;
    }
}
