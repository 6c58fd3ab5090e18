//! The methods that requests are counted by.

/// A method of a request, as far as it is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method(u8);

/// What is not named here is counted together under the last.
const NAMES: [&str; 21] = [
    "tools/call",
    "tools/list",
    "ping",
    "initialize",
    "server/discover",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "logging/setLevel",
    "subscriptions/listen",
    "tasks/get",
    "tasks/list",
    "tasks/cancel",
    "tasks/result",
    "tasks/update",
    "other",
];

impl Method {
    pub(super) const COUNT: usize = NAMES.len();

    /// The method of this name; clients choose names, so that all that MCP does not know are one.
    pub(crate) fn named(name: &str) -> Self {
        let at = NAMES.iter().position(|known| *known == name);
        Self(at.unwrap_or(NAMES.len() - 1) as u8)
    }

    /// Its name, or `other`.
    pub(crate) fn as_str(self) -> &'static str {
        NAMES[self.index()]
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..NAMES.len()).map(|at| Self(at as u8))
    }
}
