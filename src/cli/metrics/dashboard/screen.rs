//! The terminal: taken for the whole screen, and given back as it was in every way of ending that a process can see.

use std::io::{self, Stdout, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use rustix::process::{Signal, getpid, kill_process};

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, while it is ours.
#[derive(Debug)]
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        // A panic's message is for the screen that the user comes back to.
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        take()?;
        match Terminal::new(CrosstermBackend::new(stdout())) {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws what has changed.
    pub(super) fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(paint).map(drop)
    }

    /// Draws everything at the next turn.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }

    /// Gives the terminal back and stops this process; takes it again when somebody lets it go on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        kill_process(getpid(), Signal::TSTP)?;
        take()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(stdout(), EnterAlternateScreen).inspect_err(|_| give_back())
}

/// Gives the terminal back, once. Whoever has closed it needs nothing back.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use pty_process::blocking::{Command, open};
    use rustix::termios::tcgetattr;

    use super::*;

    #[test]
    #[ignore = "the next test runs it, in a terminal of its own"]
    fn panics_in_the_terminal() {
        let _screen = Screen::take().unwrap();
        panic!("on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let (mut terminal, programs) = open().unwrap();
        let modes = |terminal: &_| format!("{:?}", tcgetattr(terminal).unwrap());
        let before = modes(&terminal);
        let name = format!("{}::panics_in_the_terminal", module_path!().split_once("::").unwrap().1);
        let command = Command::new(std::env::current_exe().unwrap()).args([
            "--ignored",
            "--nocapture",
            "--exact",
            &name,
        ]);
        let mut child = command.env("TERM", "xterm").spawn(programs).unwrap();
        // Reading fails when nobody has the program's side of the terminal any more.
        let mut told = Vec::new();
        let _ = terminal.read_to_end(&mut told);
        assert!(!child.wait().unwrap().success());
        let told = String::from_utf8_lossy(&told);
        let at = |text: &str| told.find(text).unwrap_or_else(|| panic!("no {text:?} in {told:?}"));
        assert!(
            at("\u{1b}[?1049h") < at("\u{1b}[?1049l") && at("\u{1b}[?1049l") < at("on purpose"),
            "{told:?}"
        );
        assert_eq!(modes(&terminal), before);
    }
}
