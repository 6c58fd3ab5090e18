//! The tool `bad`: answers that no client should have to meet.

mod modes;
mod payload;
mod pipe;
mod web;

use std::{
    io::{self, Write},
    time::Duration,
};

pub use modes::{BAD_MODES, BadMode, Effect, Over};
use serde::Deserialize;

use super::{
    channel::{Channel, success},
    request::Request,
    results::complete,
    server::Call,
    tools::Outcome,
};

/// Lines that are no messages, as a careless server prints them to its standard output.
pub(super) const GARBAGE: [&[u8]; 4] =
    [b"Server listening on stdio...\n", b"\n", b"{not json}\n", b"\xff\xfe\x00\x01\n"];

/// The arguments of `bad`; what a mode does not name, it ignores.
#[derive(Debug, Deserialize)]
pub(super) struct Arguments {
    mode: String,
    /// Size of what is long, in bytes.
    bytes: Option<usize>,
    /// Number of notifications.
    count: Option<u64>,
    /// Pause between pieces.
    interval_ms: Option<u64>,
    /// Value of `Retry-After`.
    retry_after: Option<String>,
    /// Target of a redirect.
    location: Option<String>,
}

impl Arguments {
    /// Whether a server that answers so has done nothing of what was asked.
    pub(super) fn refuses(&self) -> bool {
        matches!(self.mode.as_str(), "status-429" | "status-503")
    }
}

/// Whether this call must stop the reading of standard input, which has to happen before the next read.
pub(super) fn is_deafening(request: &Request) -> bool {
    request.params.name.as_deref() == Some("bad")
        && request.arguments::<Arguments>().is_ok_and(|arguments| arguments.mode == "stop-reading")
}

/// Answers badly.
pub(super) async fn call(request: &Request, call: &Call, channel: &mut Channel) -> Outcome {
    answer(request, &request.arguments()?, call, channel).await
}

/// Answers a call of any tool badly.
pub(super) async fn answer(
    request: &Request,
    arguments: &Arguments,
    call: &Call,
    channel: &mut Channel,
) -> Outcome {
    if let Some(bytes) = payload::of(request, arguments) {
        return Ok(channel.last(&bytes).await);
    }
    match arguments.mode.as_str() {
        "never" => {
            call.cancelled.notified().await;
            return Ok(channel.abandon().await);
        }
        "exit-0" => exit(0),
        "exit-1" => {
            // Standard error may be closed; the exit says enough then.
            let _ = writeln!(io::stderr(), "rawmcp: fatal: the disk is on fire");
            exit(1)
        }
        "kill-9" => {
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::KILL)
                .map_err(|error| error.to_string())?;
        }
        _ => {}
    }
    if let Some(done) = noise(request, arguments, channel).await {
        return Ok(done);
    }
    let done = match channel {
        Channel::Stdio(out) => pipe::answer(request, arguments, call, out).await,
        Channel::Http(exchange) => web::answer(request, arguments, call, exchange).await,
    };
    done.ok_or_else(|| format!("no mode {:?} on this transport", arguments.mode))
}

/// Modes that send further messages around a good answer; `None` when `mode` is none of them.
async fn noise(request: &Request, arguments: &Arguments, channel: &mut Channel) -> Option<io::Result<()>> {
    let good = good(request);
    let token = request.params.meta.as_ref().and_then(|meta| meta.progress_token.as_ref());
    let progress = |token: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
        )
    };
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#.to_owned();
    let (before, after) = match arguments.mode.as_str() {
        "twice" => (Vec::new(), Some(good.clone())),
        "progress-after-result" => {
            (Vec::new(), Some(progress(token.map_or("\"late\"", |token| token.get()))))
        }
        "progress-unknown-token" => (vec![progress("\"never given\""), progress("987654321")], None),
        "storm" => (vec![changed; arguments.count.unwrap_or(1000) as usize], None),
        "server-request" => {
            (vec![r#"{"jsonrpc":"2.0","id":"raw-unasked","method":"roots/list"}"#.to_owned()], None)
        }
        "stderr-flood" => {
            let bytes = arguments.bytes.unwrap_or(1024 * 1024);
            // It blocks for as long as nobody drains the pipe.
            let flooded = tokio::task::spawn_blocking(move || flood(bytes)).await;
            if let Err(error) = flooded.map_err(io::Error::other).flatten() {
                return Some(Err(error));
            }
            (Vec::new(), None)
        }
        _ => return None,
    };
    for message in before {
        if let Err(error) = channel.message(&message).await {
            return Some(Err(error));
        }
    }
    Some(match after {
        None => channel.last(good.as_bytes()).await,
        Some(after) => match channel.message(&good).await {
            Ok(()) => channel.last(after.as_bytes()).await,
            Err(error) => Err(error),
        },
    })
}

/// Writes log lines to standard error, some of them no UTF-8.
fn flood(bytes: usize) -> io::Result<()> {
    let line = b"rawmcp: a line of the flood \x1b[31m\xff\xfe ".repeat(3);
    let mut stderr = io::stderr().lock();
    let mut left = bytes;
    while left > 0 {
        let count = left.min(line.len());
        stderr.write_all(line.get(..count).unwrap_or_default())?;
        stderr.write_all(b"\n")?;
        left = left.saturating_sub(count + 1);
    }
    Ok(())
}

/// A good answer to the request.
fn good(request: &Request) -> String {
    success(request, &complete(request.modern, false, r#""content":[{"type":"text","text":"good"}]"#))
}

/// The pause that the arguments ask for.
fn pause(arguments: &Arguments, default_ms: u64) -> Duration {
    Duration::from_millis(arguments.interval_ms.unwrap_or(default_ms))
}

#[expect(clippy::exit, reason = "a sudden end is what the mode is for")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}
