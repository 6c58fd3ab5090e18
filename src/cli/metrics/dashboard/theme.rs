//! How things look. The terminal's own sixteen colours, and never a colour alone: what it says is said in words, too.

use ratatui::style::{Color, Modifier, Style};

use crate::cli::metrics::listing::Tone;

/// Which of the terminal's abilities are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Theme {
    /// Whether there are colours.
    pub(super) colours: bool,
}

impl Theme {
    /// What is there to be found, not to be read.
    pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
    /// What something is called.
    pub(super) const TITLE: Style = Style::new().add_modifier(Modifier::BOLD);
    /// What is chosen.
    pub(super) const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);

    /// As the environment wants it: <https://no-color.org>.
    pub(super) fn of_environment() -> Self {
        Self { colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn paint(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// A text that is meant like this.
    pub(super) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Faint => Self::FAINT,
            Tone::Warning => self.paint(Color::Yellow),
            Tone::Critical => self.paint(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    /// What is as it should be.
    pub(super) fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// What is measured, as a picture.
    pub(super) fn chart(self) -> Style {
        self.paint(Color::Cyan)
    }
}
