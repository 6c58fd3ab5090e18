//! A thread that writes lines, so that no request waits for a disk or a terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines that may wait to be written: a second of a busy gateway, and some four megabytes.
const QUEUE: usize = 8_192;
/// What is written at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// How often the end is looked for, at shutdown.
const STEP: Duration = Duration::from_millis(5);

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard error, where the log goes too.
    Stderr,
    /// A file, appended to; made with mode 0600.
    File(PathBuf),
}

enum Item {
    /// With its line break.
    Line(String),
    Close,
}

/// Takes lines and writes them in the order in which they came.
#[derive(Debug)]
pub(super) struct Writer {
    items: SyncSender<Item>,
    thread: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The file is to be opened anew before the next line.
    reopen: AtomicBool,
    written: AtomicU64,
    dropped: AtomicU64,
}

impl Writer {
    /// Opens the destination and starts the thread.
    ///
    /// # Errors
    /// If the file cannot be opened, or no thread can be started.
    pub(super) fn start(name: &str, destination: &Destination) -> io::Result<Self> {
        let out = Out::open(destination)?;
        let (items, queue) = sync_channel(QUEUE);
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&queue, out, &theirs))?;
        Ok(Self { items, thread: Mutex::new(Some(thread)), shared })
    }

    /// Takes a line, which ends with its line break, unless too many are waiting.
    pub(super) fn push(&self, line: String) {
        if self.items.try_send(Item::Line(line)).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the file opened anew before the next line is written.
    pub(super) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
    }

    /// Lines that were written, and those that were not.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.shared.written.load(Ordering::Relaxed), self.shared.dropped.load(Ordering::Relaxed))
    }

    /// Writes what is waiting, for at most `limit`, and ends the thread.
    pub(super) async fn close(&self, limit: Duration) {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let until = Instant::now() + limit;
        while matches!(self.items.try_send(Item::Close), Err(TrySendError::Full(_))) && Instant::now() < until
        {
            tokio::time::sleep(STEP).await;
        }
        while !thread.is_finished() && Instant::now() < until {
            tokio::time::sleep(STEP).await;
        }
    }
}

fn run(queue: &Receiver<Item>, mut out: Out, shared: &Shared) {
    let mut chunk = String::new();
    while let Ok(first) = queue.recv() {
        let mut lines = 0;
        let mut item = Some(first);
        let mut is_last = false;
        while let Some(taken) = item {
            match taken {
                Item::Line(line) => {
                    chunk.push_str(&line);
                    lines += 1;
                }
                Item::Close => is_last = true,
            }
            item = if is_last || chunk.len() >= CHUNK_BYTES { None } else { queue.try_recv().ok() };
        }
        if shared.reopen.swap(false, Ordering::AcqRel) {
            out.reopen();
        }
        let counter = if out.write(chunk.as_bytes()) { &shared.written } else { &shared.dropped };
        counter.fetch_add(lines, Ordering::Relaxed);
        chunk.clear();
        if is_last {
            return;
        }
    }
}

/// The open destination.
struct Out {
    file: Option<(File, PathBuf)>,
    /// The last write has failed, which has been logged; a part of it may stand in the file.
    is_failing: bool,
}

impl Out {
    fn open(destination: &Destination) -> io::Result<Self> {
        let file = match destination {
            Destination::Stderr => None,
            Destination::File(path) => Some((open(path)?, path.clone())),
        };
        Ok(Self { file, is_failing: false })
    }

    /// What cannot be opened anew goes on as it is.
    fn reopen(&mut self) {
        let Some((file, path)) = &mut self.file else { return };
        match open(path) {
            Ok(anew) => *file = anew,
            Err(error) => tracing::warn!(path = %path.display(), %error, "the access log cannot be reopened"),
        }
    }

    /// Whether all of it is written.
    fn write(&mut self, chunk: &[u8]) -> bool {
        let written = match &mut self.file {
            // After a failure, a line of its own: half of one may stand there.
            Some((file, _)) if self.is_failing => file.write_all(b"\n").and_then(|()| file.write_all(chunk)),
            Some((file, _)) => file.write_all(chunk),
            None => io::stderr().lock().write_all(chunk),
        };
        match written {
            Ok(()) => self.is_failing = false,
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::warn!(%error, "the access log cannot be written; its lines are lost until it can");
            }
            Err(_) => {}
        }
        !self.is_failing
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn start(path: &Path) -> Writer {
        Writer::start("test writer", &Destination::File(path.to_owned())).unwrap()
    }

    #[tokio::test]
    async fn lines_are_appended_in_order_to_a_file_that_only_we_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        for _ in 0..2 {
            let writer = start(&path);
            for at in 0..1000 {
                writer.push(format!("{at}\n"));
            }
            writer.close(LIMIT).await;
            assert_eq!(writer.counts(), (1000, 0));
        }
        let expected: Vec<String> = (0..2000).map(|at| (at % 1000).to_string()).collect();
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.ends_with('\n') && written.lines().eq(expected.iter().map(String::as_str)));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn after_a_rotation_lines_go_to_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let writer = start(&path);
        writer.push("before\n".into());
        while writer.counts().0 == 0 {
            tokio::time::sleep(STEP).await;
        }
        std::fs::rename(&path, &rotated).unwrap();
        writer.reopen();
        writer.push("after\n".into());
        writer.close(LIMIT).await;
        assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "before\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
    }

    #[tokio::test]
    async fn what_nobody_takes_is_dropped_and_counted_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        // Nobody reads: the thread is stuck as soon as the pipe is full.
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let writer = start(&path);
        let line = format!("{}\n", "x".repeat(200));
        let count = 3 * QUEUE as u64;
        for _ in 0..count {
            writer.push(line.clone());
        }
        let (written, dropped) = writer.counts();
        assert!(dropped > 0 && written + dropped <= count, "{written} written, {dropped} dropped");
        let began = Instant::now();
        writer.close(Duration::from_millis(50)).await;
        assert!(began.elapsed() < LIMIT);
        drop(reader);
    }

    #[tokio::test]
    async fn a_full_disk_costs_lines_and_is_counted() {
        let writer = start(Path::new("/dev/full"));
        writer.push("lost\n".into());
        writer.close(LIMIT).await;
        assert_eq!(writer.counts(), (0, 1));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_refused_at_once() {
        assert!(Writer::start("test", &Destination::File("/nowhere/access.log".into())).is_err());
    }
}
