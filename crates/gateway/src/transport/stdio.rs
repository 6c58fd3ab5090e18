//! Our own standard input and output as non-blocking streams.
//!
//! The runtime's stdin is a thread that blocks, and costs 10 to 100 times the CPU. A pipe is opened anew through
//! `/proc`, so that the non-blocking flag is ours alone; a socket (what Node.js gives its children) is taken over;
//! anything else (a terminal, a file) falls back to the blocking thread.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::FileType;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// Something to read lines from.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;
/// Something to write lines to.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// Standard input and output.
pub fn open() -> (Input, Output) {
    let input = input().unwrap_or_else(|_| Box::new(tokio::io::stdin()));
    let output = output().unwrap_or_else(|_| Box::new(tokio::io::stdout()));
    (input, output)
}

fn kind(fd: BorrowedFd<'_>) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

fn socket(fd: BorrowedFd<'_>) -> io::Result<UnixStream> {
    let own: OwnedFd = rustix::io::dup(fd)?;
    let stream = std::os::unix::net::UnixStream::from(own);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn input() -> io::Result<Input> {
    let fd = rustix::stdio::stdin();
    match kind(fd)? {
        FileType::Fifo => Ok(Box::new(pipe::OpenOptions::new().open_receiver("/proc/self/fd/0")?)),
        FileType::Socket => Ok(Box::new(socket(fd)?)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn output() -> io::Result<Output> {
    let fd = rustix::stdio::stdout();
    match kind(fd)? {
        FileType::Fifo => Ok(Box::new(pipe::OpenOptions::new().open_sender("/proc/self/fd/1")?)),
        FileType::Socket => Ok(Box::new(socket(fd)?)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Whether an agent has started us: standard input is a pipe or a socket.
pub fn is_piped() -> bool {
    matches!(kind(rustix::stdio::stdin()), Ok(FileType::Fifo | FileType::Socket))
}
