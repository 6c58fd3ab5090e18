//! The raw upstream: an MCP server that never parses more than it must.
//!
//! It exists for two kinds of tests that a server made with an SDK cannot serve: **fidelity** (it answers
//! with exactly the bytes that a test gives it, and shows the bytes that it received) and **misbehaviour**
//! (it answers badly in every way of [`BAD_MODES`]). It speaks every revision: 2024-11-05 to 2025-11-25
//! with handshake and, over HTTP, sessions; 2026-07-28 stateless; it tells them apart message by message.
//!
//! ```text
//! rawmcp stdio [FLAGS]
//! rawmcp http [--listen 127.0.0.1:0] [FLAGS]      first line: `listening http://127.0.0.1:PORT/mcp`
//! ```
//!
//! `rawmcp --help` lists the flags ([`Options`]): the era, start-up misbehaviour, sizes of the lists.
//!
//! # Tools
//!
//! Arguments called *raw* are JSON text inside a string and reach the wire unchanged.
//!
//! | tool | arguments | answer |
//! |---|---|---|
//! | `reply` | `result` raw, or `error` raw | exactly that text as `result` or `error` |
//! | `received` | any | a text that holds the bytes of this request (the line without its line end, or the HTTP body); over HTTP also `structuredContent`: `headers` (an object, names lower-cased, the first value of each), `fields` (pairs, all of them in order), `peer` (the client's address: the same for the same connection) and `pid` |
//! | `progress` | `count`, `interval_ms` 0, `raw` further members | `count` progress notifications numbered from 1, none without a progress token, then a text |
//! | `log` | `count` 1, `level` info, `data` raw, `force` | `count` log messages, then a text; a stateless request gets them only if it gives a log level, or with `force` |
//! | `sleep` | `ms` | a text, after that time; none once cancelled (journal: `sleep_cancelled`, else `sleep_done`) |
//! | `journal` | `clear` | `structuredContent.entries`: `at_us` (microseconds since the epoch), `event`, `method`, `id`, `session`, `mark` (of the arguments, if a tool was called with one), `pid` |
//! | `ask` | `method`, `params` raw, `timeout_ms` 30000 | sends this request to the client and answers with a text that holds the bytes of its response, also in `structuredContent.response`; a stateless request gets an `input_required` result, and its `inputResponses` back when it comes again |
//! | `notify` | `method`, `params` raw, `count` 1, `via` session | sends the notification within the call (`via` call) or beside it: to the pipe, to the session's GET stream, or to every `subscriptions/listen` stream; the text says how many were sent |
//! | `forget` | | over HTTP, the session is unknown from its next request on |
//! | `bare` | | a text; its definition has only the members that it must have |
//! | `tell` | `mark` | that text, once it is written down (journal: `told`); not to be done twice |
//! | `large` | `bytes`, `id_last` false, `chunked` false, `pause_ms` 0, `progress` false, `fault` | (with `--large`) a text of so many bytes, written in pieces of 64 KiB with a pause after each; `fault` is `cut` (the connection or process ends in the middle), `stall` (nothing more comes from there on), `wrong-id` (behind the result) or `no-end` |
//! | `tool_00000` … | | its own name (`--tools`) |
//! | `bad` | `mode`, and what the mode names | see below |
//!
//! Journal events: `tool` (its name in place of the method), `request`, `notification`, `response`, `cancelled` (for a call under way; `id` is the
//! call's), `cancelled_unknown`, `disconnected` (the client left while its HTTP request was served),
//! `sleep_done`, `sleep_cancelled`, `session_opened`, `session_forgotten`, `session_deleted`, `get_opened`,
//! `get_closed`. A stateless HTTP call ends at `disconnected`, a call of a handshake revision goes on.
//!
//! # While it runs
//!
//! `--conduct FILE` names a JSON object that is read at each call: `delay_ms` (every tool takes longer), `bad` (every
//! tool answers as `bad` does with these arguments), `error` (every tool answers with this JSON-RPC error), `epoch`
//! (over HTTP: sessions from the time of another number are unknown). `tell` has written down its mark all the same,
//! unless `bad` is `status-429` or `status-503`: those refuse.
//!
//! # Bad answers, on both transports
//!
//! | mode | what comes |
//! |---|---|
//! | `garbage` | text that is no JSON |
//! | `invalid-utf8` | an answer with the byte FF inside a string |
//! | `truncated` | an answer without its last ten bytes (a whole line, a whole body) |
//! | `depth-200` | an answer with arrays nested 200 deep beside its content |
//! | `depth-100000` | the same, 100,000 deep |
//! | `nan` | an answer with the literal `NaN` |
//! | `result-and-error` | an answer with both members |
//! | `neither` | an answer with none of the two |
//! | `duplicate-id` | an answer with the member `id` twice |
//! | `unknown-id` | an answer to an id that was never given |
//! | `string-id` | an answer whose id is the text of the id, as a string |
//! | `null-id` | an answer with id null |
//! | `wrong-jsonrpc` | an answer that says `"jsonrpc":"1.0"` |
//! | `wrong-shape` | an answer whose result is a string |
//! | `null-result` | an answer whose result is null |
//! | `batch` | an answer inside an array |
//! | `bom` | an answer after a byte order mark |
//! | `crlf` | an answer followed by CR (and, on the pipe, LF) |
//! | `long` | an answer with a text of `bytes` (17 MiB) |
//! | `twice` | the same answer twice (over HTTP as a stream) |
//! | `never` | nothing |
//! | `exit-0` | nothing; the process ends with code 0 |
//! | `exit-1` | a line on standard error; the process ends with code 1 |
//! | `kill-9` | nothing; the process kills itself |
//! | `stderr-flood` | `bytes` (1 MiB) of lines on standard error, partly no UTF-8, then an answer |
//! | `progress-after-result` | an answer, then a progress notification for it |
//! | `progress-unknown-token` | two progress notifications for tokens never given, then an answer |
//! | `storm` | `count` (1,000) `notifications/tools/list_changed`, then an answer |
//! | `server-request` | a request to the client that nobody waits for, then an answer |
//!
//! # Bad answers on standard output
//!
//! | mode | what comes |
//! |---|---|
//! | `garbage-before` | four lines that are no messages, then an answer |
//! | `close-stdout` | nothing; standard output is closed, the process lives on |
//! | `half-line` | half an answer; the process ends with code 0 |
//! | `unfinished-line` | an answer without its line end |
//! | `joined` | two answers on one line |
//! | `byte-by-byte` | an answer, one byte every `interval_ms` (1) |
//! | `stop-reading` | an answer; standard input is never read again |
//!
//! # Bad answers over HTTP
//!
//! | mode | what comes |
//! |---|---|
//! | `status-500` | that status with a plain text (any `status-NNN` works) |
//! | `status-429` | the same with `Retry-After: 1`, or the text `retry_after` |
//! | `status-401` | the same with `WWW-Authenticate` |
//! | `status-404` | the same (no JSON-RPC error inside) |
//! | `accepted` | 202 without a body |
//! | `empty-body` | 200, `application/json`, no body |
//! | `content-type` | 200 and a page of HTML |
//! | `redirect` | 307 to `location` (another origin where nobody listens) |
//! | `no-http` | the greeting of a mail server |
//! | `truncated-body` | half of the announced body, then the end of the connection |
//! | `reset` | a TCP reset |
//! | `close-after` | an answer, then the end of the connection without a warning |
//! | `slow-body` | an answer, one byte every `interval_ms` (2) |
//! | `sse-pings` | a stream of comments, one every `interval_ms` (20), no answer |
//! | `sse-closed` | a stream that ends at once |
//! | `sse-cut` | a stream with one notification, then the end of the connection within it |
//! | `sse-reset` | the same with a TCP reset |
//! | `sse-split` | an answer as an event, every byte in a chunk of its own |
//! | `sse-cr` | the same in one piece with CR as line end |
//! | `sse-crlf` | the same with CRLF |
//! | `sse-comments` | the same with comments everywhere |
//! | `sse-multiline` | the same over many `data` lines |
//! | `sse-fields` | a priming event without data, then the same with `id`, a wrong `retry` and unknown fields |
//! | `sse-bom` | the same after a byte order mark |
//! | `sse-foreign-event` | an event of another name whose data is no JSON, then an answer |

mod bad;
mod catalog;
mod channel;
mod conduct;
mod exchange;
mod http;
mod journal;
mod large;
mod options;
mod request;
mod results;
mod server;
mod stdio;
mod tools;

use std::{
    io::{self, Write},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

pub use bad::{BAD_MODES, BadMode, Effect, Over};
pub use large::{large_envelope, large_text};
pub use options::{Cli, Era, Options, Transport};
use server::Server;

/// How long a grandchild lives when nobody ends it, in seconds.
const GRANDCHILD_SECONDS: u64 = 600;

/// Runs `rawmcp`; returns the exit code.
pub async fn run(cli: Cli) -> io::Result<u8> {
    if let Transport::Idle { seconds } = cli.transport {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        return Ok(0);
    }
    let options = cli.options;
    if options.ignore_eof {
        // Once the runtime has taken the signal, it never ends the process again.
        let _ = signal(SignalKind::terminate())?;
    }
    if options.grandchild {
        grandchild()?;
    }
    if let Some(code) = options.exit_at_start {
        return Ok(code);
    }
    tokio::time::sleep(Duration::from_millis(options.slow_start)).await;
    let server = Server::new(options)?;
    match cli.transport {
        Transport::Stdio => Ok(stdio::serve(server).await),
        Transport::Http { listen } => {
            let listener = TcpListener::bind(listen).await?;
            let mut out = io::stdout();
            writeln!(out, "listening http://{}/mcp", listener.local_addr()?)?;
            out.flush()?;
            http::serve(server, listener).await?;
            Ok(1)
        }
        Transport::Idle { .. } => Ok(0),
    }
}

/// Starts a process that sleeps in our process group and holds our standard output open.
fn grandchild() -> io::Result<()> {
    let child = std::process::Command::new(std::env::current_exe()?)
        .args(["idle", &GRANDCHILD_SECONDS.to_string()])
        .stdin(Stdio::null())
        .spawn()?;
    writeln!(io::stderr(), "grandchild {}", child.id())
}
