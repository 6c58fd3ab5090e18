//! The stdio transport: a thread reads, a thread writes, a task serves each message.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    channel::Channel,
    request::Request,
    server::{Refusal, Server, Session, Verdict},
};

/// Writes waiting for the client to read; after that, whoever writes waits.
const QUEUE: usize = 256;
/// Bytes asked of standard input at once.
const READ_BYTES: usize = 64 * 1024;

/// How long calls under way may go on after the end of standard input.
const GRACE: Duration = Duration::from_millis(100);

/// One order to the writing thread.
#[derive(Debug)]
enum Order {
    /// Write these pieces, pausing after each.
    Write { pieces: Vec<Bytes>, pause: Duration },
    /// Close standard output.
    Close,
    /// Say when everything before is written.
    Flush(oneshot::Sender<()>),
}

/// Standard output, as the writing thread sees it.
#[derive(Debug, Clone)]
pub(super) struct Stdout {
    orders: mpsc::Sender<Order>,
    /// Set to stop reading standard input before the next read.
    deaf: Arc<AtomicBool>,
}

impl Stdout {
    fn open() -> Self {
        let (orders, mut receiver) = mpsc::channel(QUEUE);
        std::thread::spawn(move || {
            while let Some(order) = receiver.blocking_recv() {
                match order {
                    Order::Write { pieces, pause } => {
                        for piece in pieces {
                            write_out(&piece);
                            if !pause.is_zero() {
                                std::thread::sleep(pause);
                            }
                        }
                    }
                    Order::Close => close_out(),
                    Order::Flush(done) => {
                        // Whoever asked may be gone.
                        let _ = done.send(());
                    }
                }
            }
        });
        Self { orders, deaf: Arc::default() }
    }

    async fn order(&self, order: Order) -> io::Result<()> {
        self.orders.send(order).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Writes one message and its line end.
    pub(super) async fn line(&self, message: &[u8]) -> io::Result<()> {
        let mut line = Vec::with_capacity(message.len() + 1);
        line.extend_from_slice(message);
        line.push(b'\n');
        self.bytes(line).await
    }

    /// Writes bytes as they are.
    pub(super) async fn bytes(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.pieces(vec![bytes.into()], Duration::ZERO).await
    }

    /// Writes the pieces one by one with a pause after each; nothing else comes between them.
    pub(super) async fn pieces(&self, pieces: Vec<Bytes>, pause: Duration) -> io::Result<()> {
        self.order(Order::Write { pieces, pause }).await
    }

    /// Waits until all that was sent so far is written.
    pub(super) async fn flush(&self) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.order(Order::Flush(sender)).await?;
        receiver.await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Closes standard output once everything before is written.
    pub(super) async fn close(&self) -> io::Result<()> {
        self.order(Order::Close).await
    }

    /// Stops reading standard input after the bytes already read.
    pub(super) fn go_deaf(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }
}

/// Writes to standard output past Rust's line buffer. A client that closed its end is no error: what
/// ends this process is the end of standard input.
fn write_out(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Replaces standard output by the null device, which closes the pipe.
fn close_out() {
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        // There is nothing to do about a failure; the test that waits for the end will say so.
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

/// Serves standard input until its end; returns the exit code.
pub(super) async fn serve(server: Arc<Server>) -> u8 {
    let out = Stdout::open();
    if server.options.garbage_at_start {
        for line in super::bad::GARBAGE {
            if out.bytes(line.to_vec()).await.is_err() {
                return 1;
            }
        }
    }
    let (ended, end) = oneshot::channel();
    let runtime = Handle::current();
    let reader_out = out.clone();
    let reader_server = Arc::clone(&server);
    std::thread::spawn(move || {
        let _ = ended.send(read(&reader_server, &reader_out, &runtime));
    });
    let code = end.await.unwrap_or(1);
    if server.options.ignore_eof && code == 0 {
        std::future::pending::<()>().await;
    }
    // Requests that were read before the end get a moment to be answered.
    let deadline = Instant::now() + GRACE;
    while server.is_busy() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Nobody listens any more if this fails.
    let _ = out.flush().await;
    code
}

/// Reads lines until the end of standard input; returns the exit code.
fn read(server: &Arc<Server>, out: &Stdout, runtime: &Handle) -> u8 {
    let session = Arc::new(Session::new("stdio".to_owned(), 0));
    let mut pending = Vec::new();
    let mut chunk = vec![0; READ_BYTES];
    loop {
        while out.deaf.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_secs(60));
        }
        let count = match rustix::io::read(rustix::stdio::stdin(), chunk.as_mut_slice()) {
            Ok(0) => return 0,
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return 1,
        };
        let mut rest = chunk.get(..count).unwrap_or_default();
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at);
            pending.extend_from_slice(line);
            rest = after.get(1..).unwrap_or_default();
            let line = Bytes::from(std::mem::take(&mut pending));
            if !line.is_empty() && accept(server, &session, out, runtime, line) == Verdict::Exit {
                return 1;
            }
        }
        pending.extend_from_slice(rest);
    }
}

/// Takes one line; its answer is left to a task.
fn accept(
    server: &Arc<Server>,
    session: &Arc<Session>,
    out: &Stdout,
    runtime: &Handle,
    line: Bytes,
) -> Verdict {
    let request = match Request::parse(line, None, server.options.era) {
        Ok(request) => request,
        Err(error) => {
            let code = if error.is_data() { -32600 } else { -32700 };
            let refusal = Refusal { status: 400, code, message: error.to_string(), data: None };
            let out = out.clone();
            runtime.spawn(async move { out.line(refusal.response("null").as_bytes()).await });
            return Verdict::Go;
        }
    };
    let verdict = server.arrive(session, &request);
    if verdict == Verdict::Go && request.id.is_some() && request.method.is_some() {
        if super::bad::is_deafening(&request) {
            out.go_deaf();
        }
        let call = server.begin(session, &request);
        let (server, session, out) = (Arc::clone(server), Arc::clone(session), out.clone());
        runtime.spawn(async move {
            // An error here is a client that has gone.
            let _ = server.answer(&session, &request, &call, &mut Channel::Stdio(out)).await;
        });
    }
    verdict
}
