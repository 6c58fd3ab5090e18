//! A pseudo-terminal with a program in it, and an emulator that knows what a person would see.

use std::num::NonZeroU16;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aqe_testkit::process::{signal, wait_until};
use pty_process::{OwnedWritePty, Pts, Size};
use rustix::process::Signal;
use rustix::termios::tcgetattr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::time::timeout;

/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long what a program has written may take to be read, after its end.
const SETTLED: Duration = Duration::from_secs(2);
/// Most bytes that are kept of what a program has written.
const MAX_RAW: usize = 4 * 1024 * 1024;

/// What a terminal has been sent, and what it shows of it.
struct Seen {
    emulator: vt100::Parser,
    raw: Vec<u8>,
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("expected a terminal with a size")
}

/// A terminal, and the program that runs in it.
pub(crate) struct Terminal {
    keys: OwnedWritePty,
    /// The program's side: held, so that its modes can be read after the program's end.
    programs: Pts,
    seen: Arc<Mutex<Seen>>,
    child: Option<Child>,
}

impl Terminal {
    /// A terminal of this size without a program.
    pub(crate) fn open(rows: u16, columns: u16) -> Self {
        let (pty, programs) = pty_process::open().expect("expected a pseudo-terminal");
        pty.resize(Size::new(rows, columns)).expect("expected to set its size");
        let (mut output, keys) = pty.into_split();
        let seen = Seen { emulator: vt100::Parser::new(cells(rows), cells(columns), 0), raw: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        let told = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut chunk = vec![0; 64 * 1024];
            // It ends when the terminal is closed.
            while let Ok(read @ 1..) = output.read(&mut chunk).await {
                let mut seen = told.lock().unwrap_or_else(PoisonError::into_inner);
                seen.emulator.process(&chunk[..read]);
                let room = MAX_RAW.saturating_sub(seen.raw.len());
                seen.raw.extend_from_slice(&chunk[..read.min(room)]);
            }
        });
        Self { keys, programs, seen, child: None }
    }

    /// Starts a program in it, as its leader.
    pub(crate) fn run(&mut self, program: &Command, term: &str) {
        // Ctrl-C ends it also where this runs in the background of a script, which ignores it.
        let mut command = pty_process::Command::new("env").arg("--default-signal=INT");
        command = command.arg(program.get_program()).args(program.get_args());
        if let Some(folder) = program.get_current_dir() {
            command = command.current_dir(folder);
        }
        command = command.env_remove("NO_COLOR");
        for (name, value) in program.get_envs() {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut command = command.env("TERM", term).kill_on_drop(true);
        self.child = Some(command.spawn_borrowed(&self.programs).expect("expected to start the program"));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a person sees.
    pub(crate) fn screen(&self) -> vt100::Screen {
        self.seen().emulator.screen().clone()
    }

    /// All that was written.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8(self.seen().raw.clone()).expect("expected text")
    }

    /// Whether a cell of the screen has a colour.
    pub(crate) fn has_colours(&self) -> bool {
        let screen = self.screen();
        let (rows, columns) = screen.size();
        let mut places = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        places.any(|(row, column)| {
            let colours = screen.cell(row, column).map(|cell| [cell.fgcolor(), cell.bgcolor()]);
            colours.is_some_and(|colours| colours != [vt100::Color::Default; 2])
        })
    }

    /// Waits until the text of the screen is as it should be.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let came = timeout(
            PATIENCE,
            wait_until(PATIENCE * 2, what, || is_so(&self.screen().contents()).then_some(())),
        );
        let came = came.await;
        assert!(came.is_ok(), "{what}: waited in vain, the screen is\n{}", self.screen().contents());
    }

    /// Presses keys.
    pub(crate) async fn send(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.expect("expected to press keys");
    }

    /// Gives it another size; the program gets to know.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.seen().emulator.screen_mut().set_size(cells(rows), cells(columns));
        self.keys.resize(Size::new(rows, columns)).expect("expected to set its size");
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, which: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).expect("expected a running program");
        signal(pid, which);
    }

    /// Waits for the program's end: its exit code, none if a signal has ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let child = self.child.as_mut().expect("expected a program");
        let status =
            timeout(PATIENCE, child.wait()).await.expect("expected it to end").expect("expected its status");
        // What it has written last is still on its way.
        let mut length = usize::MAX;
        let _ = timeout(SETTLED, async {
            while length != self.seen().raw.len() {
                length = self.seen().raw.len();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        status.code()
    }

    /// How the terminal treats what comes and goes, in words that can be compared.
    pub(crate) fn modes(&self) -> String {
        format!("{:?}", tcgetattr(&self.programs).expect("expected the modes of the terminal"))
    }

    /// Asserts that nothing is left of the program.
    pub(crate) fn is_as_before(&self, modes: &str) {
        assert_eq!(self.modes(), modes);
        let screen = self.screen();
        assert!(!screen.alternate_screen(), "the other screen is left");
        assert!(!screen.hide_cursor(), "the cursor is there");
        assert!(!screen.application_cursor() && !screen.application_keypad() && !screen.bracketed_paste());
        assert_eq!((screen.fgcolor(), screen.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
        assert!(!screen.bold() && !screen.dim() && !screen.inverse());
    }
}
