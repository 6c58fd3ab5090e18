//! Text that came out of a configuration and that must not leak into logs or reports.

use std::fmt;

/// A value that is never shown: a token, a header's value, a child's environment variable.
///
/// It has no `Display`, its `Debug` shows three stars, and it cannot be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Text in which `${VAR}` was replaced.
///
/// Whatever shows it shows it as it was written, so that what came from the environment stays there.
#[derive(Clone, PartialEq, Eq)]
pub struct Expanded {
    value: String,
    written: String,
}

impl Expanded {
    /// Text and the form in which the file has it.
    pub(super) fn new(value: String, written: String) -> Self {
        Self { value, written }
    }

    /// The text with every variable replaced: what the program or the network gets.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The text as the file has it: what a person may see.
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl fmt::Debug for Expanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, f)
    }
}
