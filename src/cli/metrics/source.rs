//! A running server that is asked again and again, and is found again when it was started anew.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::cli::client::{self, ClientError};
use crate::cli::{Failure, Server, find};

/// How often a server is asked that does not say how often it would like to be.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// A server may be asked this often.
const LEAST: Duration = Duration::from_millis(100);

/// How often the server of this document likes to be asked.
pub(super) fn interval(document: &Value) -> Duration {
    let ms = document["dashboard_interval_ms"].as_f64().filter(|ms| ms.is_finite() && *ms > 0.0);
    ms.map_or(INTERVAL, |ms| Duration::from_secs_f64(ms / 1e3).max(LEAST))
}

/// A server that is asked again and again.
#[derive(Debug)]
pub(super) struct Source {
    server: Server,
    /// Where it was the last time.
    socket: Option<PathBuf>,
}

impl Source {
    /// Finds the server that the command line means.
    pub(super) async fn find(server: Server) -> Result<Self, Failure> {
        let socket = Some(find::socket(&server).await?);
        Ok(Self { server, socket })
    }

    /// Asks for a path; looks for the server first if it is not known or is no more where it was.
    pub(super) async fn ask(&mut self, path: &str) -> Result<Value, Failure> {
        if let Some(socket) = &self.socket {
            match client::get(socket, path).await {
                // It is gone, and another may be there in its place: its socket has another name.
                Err(ClientError::Connect(_)) => self.socket = None,
                answer => return Ok(answer?),
            }
        }
        // What there is to remark was said when the command has begun, or is said by the error.
        let socket = find::look(&self.server, &mut Vec::new()).await?;
        let answer = client::get(&socket, path).await?;
        self.socket = Some(socket);
        Ok(answer)
    }

    /// Where the server was the last time.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        self.socket.clone()
    }
}
