//! An agent as its server has it: the process, and the thread that hears what it says.

use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::SyncSender;
use std::thread;

use super::engine::Event;
use super::runner::MARK;
use super::wire::{Order, Word};
use crate::project::child::Program;
use crate::project::child::running::{Running, kill_marked};

/// Bytes of one line of an agent: far more than the two outputs of an [`End`](super::wire::End) can have.
const LINE_MAX_BYTES: u64 = 2 << 20;

/// Bytes that the pipe to an agent holds: more than any order has, so that none waits for the agent.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// Stack of the thread that listens.
const STACK_BYTES: usize = 256 << 10;

/// The process of an agent. Neither it nor anything that it has started outlives this.
pub(crate) struct Process {
    running: Running,
    orders: ChildStdin,
    mark: String,
    pub(crate) pid: u32,
}

impl Process {
    /// Starts the runner; what it says comes as events of agent `number`.
    pub(crate) fn start(
        executable: &Path,
        mark: String,
        number: u64,
        tell: SyncSender<Event>,
    ) -> Result<Self, String> {
        let name = executable.to_string_lossy();
        let program =
            Program::new(&name, Path::new("/")).args(["fleet", "work"]).shown_as("aqe-v3").env(MARK, &mark);
        let mut running = program.start(false, None).map_err(|error| error.to_string())?;
        let pid = running.id().map_or(0, |id| id.as_raw_nonzero().get().unsigned_abs());
        let (Some(orders), Some(words)) = (running.stdin.take(), running.stdout.take()) else {
            return Err("an agent was started without pipes".into());
        };
        // If the pipe stays small, a long order may not fit, and is refused then.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&orders, PIPE_BYTES);
        rustix::io::ioctl_fionbio(&orders, true).map_err(|error| error.to_string())?;
        let listener = thread::Builder::new().name("fleet-agent".into()).stack_size(STACK_BYTES);
        listener.spawn(move || listen(words, number, &tell)).map_err(|error| error.to_string())?;
        Ok(Self { running, orders, mark, pid })
    }

    /// Gives an order. It is written whole, or the agent is of no use any more.
    pub(crate) fn order(&self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let written = rustix::io::write(&self.orders, &line)?;
        if written == line.len() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A dead runner may have left its program, which is in another group.
        let _ = self.running.end();
        kill_marked(MARK, &self.mark);
    }
}

fn listen(words: ChildStdout, number: u64, tell: &SyncSender<Event>) {
    let mut words = BufReader::new(words);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = words.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            break;
        }
        let Ok(word) = serde_json::from_slice::<Word>(&line) else { break };
        if tell.send(Event::Said { agent: number, word }).is_err() {
            return;
        }
    }
    // The engine may be gone before.
    let _ = tell.send(Event::Gone { agent: number });
}
