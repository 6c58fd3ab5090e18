//! Where a configuration value was written, and what there is to say about it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Faults kept of one load; the rest are only counted, so that a hostile file cannot make the
/// report larger than itself.
const MAX_FAULTS: usize = 100;

/// Notes kept of one load.
const MAX_NOTES: usize = 200;

/// A position in a source: `aqe.toml:12:3`, a whole file, or a command-line flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as the user would name it, or the flag (`--listen`).
    pub source: Arc<str>,
    /// Line and column, both from 1; columns count characters. `None` means the whole source.
    pub position: Option<(u32, u32)>,
}

impl Place {
    /// The whole of a file, or a command-line flag.
    pub fn whole(source: impl Into<Arc<str>>) -> Self {
        Self { source: source.into(), position: None }
    }

    /// The place in a file before which `before` stands.
    pub(super) fn after(source: Arc<str>, before: &str) -> Self {
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Self { source, position: Some((line as u32, column as u32)) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong and that stops the gateway from starting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where it was written.
    pub place: Place,
    /// What is wrong, and what to do where that is known. Never holds the value of a secret.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// How much a [`Note`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something that the user asked for is not served, or is served unsafely.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "note",
            Self::Warning => "warning",
        })
    }
}

/// One thing to tell the user that does not stop the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// Where it was written, when it was written anywhere.
    pub place: Option<Place>,
    /// The sentence. Never holds the value of a secret.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.severity, self.message)
    }
}

/// Collects what one load has to say, so that several faults are reported together.
#[derive(Debug, Default)]
pub(super) struct Sink {
    faults: RefCell<Vec<Fault>>,
    unreported: Cell<usize>,
    notes: RefCell<Vec<Note>>,
}

impl Sink {
    pub(super) fn fault(&self, place: Place, message: String) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MAX_FAULTS {
            faults.push(Fault { place, message });
        } else {
            self.unreported.set(self.unreported.get() + 1);
        }
    }

    pub(super) fn note(&self, severity: Severity, place: Option<Place>, message: String) {
        let mut notes = self.notes.borrow_mut();
        if notes.len() < MAX_NOTES {
            notes.push(Note { severity, place, message });
        }
    }

    /// Whether further faults would only be counted: callers skip costly explanations then.
    pub(super) fn is_full(&self) -> bool {
        self.faults.borrow().len() >= MAX_FAULTS
    }

    /// Whether further notes would be dropped.
    pub(super) fn is_full_of_notes(&self) -> bool {
        self.notes.borrow().len() >= MAX_NOTES
    }

    /// The faults in the order in which a reader meets them, how many more there are, and the notes.
    pub(super) fn finish(self) -> (Vec<Fault>, usize, Vec<Note>) {
        let mut faults = self.faults.into_inner();
        let mut order: Vec<Arc<str>> = Vec::new();
        for fault in &faults {
            if !order.contains(&fault.place.source) {
                order.push(Arc::clone(&fault.place.source));
            }
        }
        faults.sort_by_key(|f| (order.iter().position(|s| *s == f.place.source), f.place.position));
        (faults, self.unreported.get(), self.notes.into_inner())
    }
}
