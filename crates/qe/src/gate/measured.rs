//! A figure, or why there is none, with what it rests on.

use serde::Serialize;

use crate::project::git::Lines;

/// What was found of one metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    pub(crate) value: Value,
    /// Places that make it what it is, the worst first; as many as are named.
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) evidence_total: u64,
    /// Paths of what was read, as in the verdict's `provenance`.
    pub(crate) sources: Vec<String>,
    /// Why it may no longer hold.
    pub(crate) stale: Option<String>,
    /// What is missing in it, and could make it worse.
    pub(crate) incomplete: Option<String>,
}

/// The figure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Known(f64),
    /// Something is missing; what.
    Unknown(String),
    /// There is nothing that could be measured, and that is certain; why.
    Nothing(String),
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Evidence {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) range: Option<Lines>,
    /// What it is, in the words of its source: a test, a rule with a fingerprint, a function.
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// Characters of each text of a place: they come from files of strangers.
const TEXT_CHARS: usize = 240;

impl Evidence {
    /// The same, with bounded texts.
    pub(crate) fn bounded(mut self) -> Self {
        for text in [self.file.as_mut(), Some(&mut self.id), self.detail.as_mut()].into_iter().flatten() {
            if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS) {
                text.truncate(end);
                text.push('…');
            }
        }
        self
    }
}

impl Measured {
    pub(crate) fn known(value: f64) -> Self {
        Self {
            value: Value::Known(value),
            evidence: Vec::new(),
            evidence_total: 0,
            sources: Vec::new(),
            stale: None,
            incomplete: None,
        }
    }

    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self { value: Value::Unknown(reason.into()), ..Self::known(0.0) }
    }

    pub(crate) fn nothing(reason: impl Into<String>) -> Self {
        Self { value: Value::Nothing(reason.into()), ..Self::known(0.0) }
    }

    pub(crate) fn with(mut self, evidence: Vec<Evidence>) -> Self {
        self.evidence_total = evidence.len() as u64;
        self.evidence = evidence;
        self
    }
}
