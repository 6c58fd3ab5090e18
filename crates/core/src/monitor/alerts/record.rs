//! One firing, as it is kept beyond the process and told to others.

/// Why a firing is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The condition does not hold any more.
    Recovered,
    /// Nothing was measured for [`NO_DATA_AFTER`](super::NO_DATA_AFTER).
    NoData,
    /// The rule was taken away or changed.
    RuleChanged,
    /// The server stopped in order while it fired.
    Stopped,
    /// The server ended while it fired; when the condition ended nobody knows.
    Unknown,
}

impl Resolution {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Recovered, Self::NoData, Self::RuleChanged, Self::Stopped, Self::Unknown];

    /// The word for it, in the history and in what receivers get.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::NoData => "no_data",
            Self::RuleChanged => "rule_changed",
            Self::Stopped => "server_stopped",
            Self::Unknown => "unknown",
        }
    }

    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Recovered => "the condition does not hold any more",
            Self::NoData => "nothing was measured any more",
            Self::RuleChanged => "the rule was changed or taken away",
            Self::Stopped => "the server was stopped while it fired",
            Self::Unknown => "unknown: the server stopped without saying so",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resolution| resolution.as_str() == word)
    }
}

/// A firing of a rule: open, or over. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// Unique among all firings of all servers.
    pub id: String,
    /// The process that saw it.
    pub pid: u32,
    /// The rule's name.
    pub name: String,
    /// How bad it is.
    pub severity: super::Severity,
    /// What was watched, in the words of [`Signal::as_str`](super::Signal::as_str); `burn_rate` for those.
    pub signal: String,
    /// Of what: `all`, `tool files__read`.
    pub scope: String,
    /// The threshold, in the signal's unit.
    pub threshold: f64,
    /// The sentence that says what is wrong, as of the last time that it was saved.
    pub text: String,
    /// When it began.
    pub started: i64,
    /// When it ended; `None`: it is open.
    pub ended: Option<i64>,
    /// Why it ended.
    pub resolution: Option<Resolution>,
    /// The value that was furthest beyond the threshold.
    pub peak: f64,
    /// Who has acknowledged it.
    pub acked_by: Option<String>,
    /// When.
    pub acked_at: Option<i64>,
    /// What they said.
    pub ack_note: Option<String>,
    /// When it was last known to be as it says.
    pub seen: i64,
}
