//! What `mcp config check` says.

use std::fmt;

use serde::Serialize;

use super::endpoint::Endpoint;
use super::file::Source;
use super::place::{Fault, Note, Place};
use super::replica::Replica;
use super::secret::Expanded;
use super::upstream::Upstream;
use super::{Faults, Loaded};

/// The outcome of a load, for a person (its `Display`) or a script (its JSON). Holds no secret.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The files, in the order in which they were read.
    pub sources: Vec<Source>,
    /// The upstreams; empty when there are faults.
    pub upstreams: Vec<UpstreamLine>,
    /// What does not stop the gateway.
    pub notes: Vec<Note>,
    /// What does.
    pub faults: Vec<Fault>,
    /// Faults beyond those listed.
    pub unreported: usize,
}

/// An upstream as a report shows it.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamLine {
    /// Its name.
    pub name: String,
    /// Where it is configured.
    pub place: Place,
    /// Whether it is served.
    pub enabled: bool,
    /// Where it runs.
    pub replicas: Vec<ReplicaLine>,
}

/// A replica as a report shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicaLine {
    /// Its name.
    pub name: String,
    /// The command line as it was written, or the URL without the values of its query.
    pub target: String,
    /// Variables or headers that it gets, without their values.
    pub masked: Vec<String>,
}

impl From<&Upstream> for UpstreamLine {
    fn from(upstream: &Upstream) -> Self {
        let Upstream { name, place, enabled, replicas, .. } = upstream;
        let replicas = replicas.iter().map(ReplicaLine::from).collect();
        Self { name: name.clone(), place: place.clone(), enabled: *enabled, replicas }
    }
}

impl From<&Replica> for ReplicaLine {
    fn from(replica: &Replica) -> Self {
        let (target, masked) = match &replica.endpoint {
            Endpoint::Child(child) => {
                let args = child.args.iter().map(Expanded::written);
                let words = std::iter::once(child.command.as_str()).chain(args);
                let target = words.map(quoted).collect::<Vec<_>>().join(" ");
                (target, child.env.keys().map(|name| format!("{name}=***")).collect())
            }
            Endpoint::Http(http) => {
                (http.shown_url(), http.headers.iter().map(|(name, _)| format!("{name}: ***")).collect())
            }
        };
        Self { name: replica.name.clone(), target, masked }
    }
}

/// A word as a shell would need it, so that the line can be copied; control characters are escaped.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if word.chars().any(char::is_control) {
        return format!("$'{}'", word.escape_default());
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl From<&Loaded> for Report {
    fn from(loaded: &Loaded) -> Self {
        Self {
            sources: loaded.sources.clone(),
            upstreams: loaded.config.upstreams.iter().map(UpstreamLine::from).collect(),
            notes: loaded.notes.clone(),
            faults: Vec::new(),
            unreported: 0,
        }
    }
}

impl From<&Faults> for Report {
    fn from(faults: &Faults) -> Self {
        Self {
            sources: faults.sources.clone(),
            upstreams: Vec::new(),
            notes: faults.notes.clone(),
            faults: faults.faults.clone(),
            unreported: faults.unreported,
        }
    }
}

impl Report {
    /// Whether the gateway would start.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.sources.is_empty() {
            writeln!(f, "files, in the order in which they were read:")?;
        }
        for source in &self.sources {
            let Source { name, why, bytes, sha256, .. } = source;
            let start = sha256.get(..12).unwrap_or(sha256);
            writeln!(f, "  {name}  ({why}; {bytes} bytes, sha256 {start}…)")?;
        }
        if !self.upstreams.is_empty() {
            writeln!(f, "upstreams:")?;
        }
        for upstream in &self.upstreams {
            let UpstreamLine { name, place, enabled, replicas } = upstream;
            let off = if *enabled { "" } else { "  (off)" };
            match &replicas[..] {
                [only] => writeln!(f, "  {name}{off}  {}  [{place}]", only.target)?,
                several => writeln!(f, "  {name}{off}  {} replicas  [{place}]", several.len())?,
            }
            for ReplicaLine { name, target, masked } in replicas {
                if replicas.len() > 1 {
                    writeln!(f, "    {name}: {target}")?;
                }
                if !masked.is_empty() {
                    writeln!(f, "    with {}", masked.join(", "))?;
                }
            }
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        match self.faults.len() + self.unreported {
            0 => f.write_str("the configuration is sound"),
            1 => f.write_str("1 fault"),
            n => write!(f, "{n} faults"),
        }
    }
}
