//! The task behind a connection: moves its bytes, and asks a silent server whether it is there.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::Connection;
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::described;
use super::health::Health;

/// How long a server may say nothing while a call waits before it is asked.
const SILENCE: Duration = Duration::from_secs(20);
/// How long it may then leave everything unanswered before its calls are given up: with [`SILENCE`] as long as the probes
/// of TCP take.
const DEAD: Duration = Duration::from_secs(100);

/// Moves a connection's bytes until it ends, which it does when nobody uses it any more.
pub(super) async fn drive<S>(mut connection: Connection<S, Bytes>, health: Arc<Health>, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(mut pings) = connection.ping_pong() else { return };
    tokio::select! {
        ended = connection => health.end(match ended {
            Ok(()) => "the server has closed the connection".to_owned(),
            Err(error) => described(&error),
        }),
        // Told before the connection is dropped, which is what ends its exchanges.
        () = watch(&mut pings, &health, patience) => {}
    }
    tracing::debug!(reason = health.ended(), "HTTP/2 connection ended");
}

/// Looks after the server until it is dead.
async fn watch(pings: &mut PingPong, health: &Health, patience: Duration) {
    loop {
        let heard = health.reads();
        tokio::select! {
            () = health.doubt.notified() => {}
            () = sleep(SILENCE) => {
                if health.active() == 0 || health.reads() != heard {
                    continue;
                }
            }
        }
        if !answers(pings, health, patience).await {
            health.end(format!("no sign of the server for {} s", (SILENCE + DEAD).as_secs()));
            return;
        }
    }
}

/// Whether the server still answers. Retires the connection if it takes longer than `patience`.
async fn answers(pings: &mut PingPong, health: &Health, patience: Duration) -> bool {
    let mut heard = health.reads();
    let asked = Instant::now();
    if pings.send_ping(Ping::opaque()).is_err() {
        // The connection is ending, which the other half of the task sees.
        return true;
    }
    let mut pong = Box::pin(poll_fn(|cx| pings.poll_pong(cx)));
    if timeout(patience, &mut pong).await.is_ok() {
        return true;
    }
    tracing::debug!("an HTTP/2 server leaves a PING unanswered: new calls go elsewhere");
    health.retire();
    let mut deadline = asked + DEAD;
    while timeout_at(deadline, &mut pong).await.is_err() {
        // Whatever else has come shows as much as a PONG.
        let reads = health.reads();
        if reads == heard {
            return false;
        }
        heard = reads;
        deadline += DEAD;
    }
    true
}
