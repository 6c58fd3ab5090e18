//! Findings of analysers in SARIF 2.1.0 (OASIS). Sections of the standard are named where a rule of it is kept.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::project::git::Lines;

/// Bytes of a fingerprint that is made here.
const FINGERPRINT_BYTES: usize = 12;

/// Characters of a message that are kept.
const MESSAGE_CHARS: usize = 160;

/// One finding that is neither suppressed nor a thing of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) rule: String,
    pub(crate) severity: Severity,
    /// As the report has it, without a scheme and with escapes undone.
    pub(crate) file: Option<String>,
    pub(crate) lines: Option<Lines>,
    pub(crate) message: String,
    /// The same in the next run, though lines have moved.
    pub(crate) fingerprint: String,
    /// Whether it is new, where the report compares with an earlier one.
    pub(crate) is_new: Option<bool>,
}

/// How bad (section 3.27.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    None,
    Note,
    Warning,
    Error,
}

/// What a report says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) issues: Vec<Issue>,
    pub(crate) suppressed: u64,
    /// Names of the analysers, with their versions.
    pub(crate) tools: Vec<String>,
}

#[derive(Deserialize)]
struct Log {
    version: Option<String>,
    runs: Option<Vec<Run>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    results: Option<Vec<Finding>>,
    #[serde(default)]
    artifacts: Vec<Artifact>,
    #[serde(default)]
    invocations: Vec<Invocation>,
    #[serde(default)]
    original_uri_base_ids: HashMap<String, Location>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Component,
    #[serde(default)]
    extensions: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    version: Option<String>,
    #[serde(rename = "semanticVersion")]
    semantic_version: Option<String>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: Option<String>,
    default_configuration: Option<Configuration>,
}

#[derive(Deserialize)]
struct Configuration {
    level: Option<Severity>,
}

#[derive(Deserialize)]
struct Artifact {
    location: Option<Location>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: Option<bool>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Location {
    uri: Option<String>,
    uri_base_id: Option<String>,
    index: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    rule: Option<RuleReference>,
    level: Option<Severity>,
    kind: Option<String>,
    message: Option<Message>,
    #[serde(default)]
    locations: Vec<Place>,
    #[serde(default)]
    partial_fingerprints: HashMap<String, String>,
    #[serde(default)]
    fingerprints: HashMap<String, String>,
    baseline_state: Option<String>,
    #[serde(default)]
    suppressions: Vec<Suppression>,
}

#[derive(Deserialize)]
struct RuleReference {
    id: Option<String>,
    index: Option<i64>,
}

#[derive(Deserialize)]
struct Message {
    text: Option<String>,
    markdown: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    physical_location: Option<Physical>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Option<Location>,
    region: Option<Region>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: Option<u32>,
    end_line: Option<u32>,
}

#[derive(Deserialize)]
struct Suppression {
    status: Option<String>,
    state: Option<String>,
}

/// Reads a report.
///
/// # Errors
/// If it is no SARIF, of another version, or its analyser did not succeed.
pub(crate) fn parse(bytes: &[u8]) -> Result<Findings, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let log: Log = serde_json::from_slice(bytes).map_err(|error| format!("no SARIF: {error}"))?;
    let (Some(version), Some(runs)) = (log.version, log.runs) else {
        return Err("no SARIF: it has no `version` and `runs`".into());
    };
    if !version.starts_with("2.1") {
        return Err(format!("SARIF {version} is not read, only 2.1.0"));
    }
    if runs.is_empty() {
        return Err("it holds no run of an analyser".into());
    }
    let mut findings = Findings::default();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for run in runs {
        let driver = &run.tool.driver;
        let version = driver.semantic_version.as_ref().or(driver.version.as_ref());
        findings
            .tools
            .push(version.map_or(driver.name.clone(), |version| format!("{} {version}", driver.name)));
        // Section 3.14.23: no results means that it was not looked for any.
        let Some(results) = &run.results else {
            return Err(format!("{} has no `results`: it did not analyse", driver.name));
        };
        if run.invocations.iter().any(|invocation| invocation.execution_successful == Some(false)) {
            return Err(format!("{} did not succeed, by its own account", driver.name));
        }
        for result in results {
            match result.issue(&run) {
                Kept::Issue(mut issue) => {
                    let nth = seen.entry(issue.fingerprint.clone()).or_default();
                    *nth += 1;
                    if *nth > 1 {
                        let _ = write!(issue.fingerprint, "/{nth}");
                    }
                    findings.issues.push(issue);
                }
                Kept::Suppressed => findings.suppressed += 1,
                Kept::No => {}
            }
        }
    }
    Ok(findings)
}

enum Kept {
    Issue(Issue),
    Suppressed,
    No,
}

impl Finding {
    fn issue(&self, run: &Run) -> Kept {
        // Section 3.27.9: all else is no problem that was found.
        let is_failure = self.kind.as_deref().is_none_or(|kind| kind == "fail");
        let state = self.baseline_state.as_deref();
        if !is_failure || state == Some("absent") {
            return Kept::No;
        }
        // Section 3.27.23: suppressed if all of them say so. (`state` is what drafts called it.)
        let is_suppression = |one: &Suppression| {
            let status = one.status.as_deref().or(one.state.as_deref());
            !matches!(status, Some("rejected" | "underReview"))
        };
        if !self.suppressions.is_empty() && self.suppressions.iter().all(is_suppression) {
            return Kept::Suppressed;
        }
        let (rule, default) = self.rule(run);
        let severity = self.level.or(default).unwrap_or(Severity::Warning);
        let place = self.locations.first().and_then(|place| place.physical_location.as_ref());
        let file = place.and_then(|place| place.artifact_location.as_ref()).and_then(|at| path(at, run));
        let lines = place.and_then(|place| place.region.as_ref()).and_then(|region| {
            let start = region.start_line.filter(|line| *line > 0)?;
            Some(Lines { start, end: region.end_line.unwrap_or(start).max(start) })
        });
        let said = self.message.as_ref();
        let said = said.and_then(|said| said.text.as_ref().or(said.markdown.as_ref()).or(said.id.as_ref()));
        let whole = said.map_or("", String::as_str);
        let fingerprint = self.fingerprint(&rule, file.as_deref(), whole);
        let message = whole.lines().next().unwrap_or_default().chars().take(MESSAGE_CHARS).collect();
        let is_new = state.map(|state| state == "new");
        Kept::Issue(Issue { rule, severity, file, lines, message, fingerprint, is_new })
    }

    /// The rule's name and its level if a result says none (section 3.27.10).
    fn rule<'a>(&'a self, run: &'a Run) -> (String, Option<Severity>) {
        let reference = self.rule.as_ref();
        let index = self.rule_index.or_else(|| reference.and_then(|rule| rule.index));
        let id = self.rule_id.as_deref().or_else(|| reference.and_then(|rule| rule.id.as_deref()));
        let driver = &run.tool.driver.rules;
        let all = || driver.iter().chain(run.tool.extensions.iter().flat_map(|one| &one.rules));
        let by_index = index.and_then(|index| driver.get(usize::try_from(index).ok()?));
        // An index may be one into an extension's rules, which then have another name.
        let by_index = by_index
            .filter(|rule| id.is_none_or(|id| rule.id.as_deref().is_some_and(|of| id.starts_with(of))));
        let by_name = || {
            let id = id?;
            // Section 3.27.5: a name may go into more detail than the rule's, `CA1000/1`.
            let broad = id.rsplit_once('/').map_or(id, |(broad, _)| broad);
            all()
                .find(|rule| rule.id.as_deref() == Some(id))
                .or_else(|| all().find(|rule| rule.id.as_deref() == Some(broad)))
        };
        let rule = by_index.or_else(by_name);
        let name = id.or_else(|| rule.and_then(|rule| rule.id.as_deref())).unwrap_or("unnamed");
        let level = rule.and_then(|rule| rule.default_configuration.as_ref()).and_then(|of| of.level);
        (name.to_owned(), level)
    }

    fn fingerprint(&self, rule: &str, file: Option<&str>, message: &str) -> String {
        // Any of them will do, but always the same.
        let said = self.fingerprints.iter().min().or_else(|| self.partial_fingerprints.iter().min());
        let mut hash = Sha256::new();
        for part in [rule, file.unwrap_or_default()] {
            hash.update(part);
            hash.update([0]);
        }
        match said {
            Some((name, value)) => hash.update([name.as_str(), value].join("\0")),
            None => hash.update(message),
        }
        let mut text = String::new();
        for byte in &hash.finalize()[..FINGERPRINT_BYTES] {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// Where a result is (sections 3.4, 3.14.14).
fn path(location: &Location, run: &Run) -> Option<String> {
    let by_index = || {
        let index = usize::try_from(location.index?).ok()?;
        run.artifacts.get(index)?.location.as_ref()
    };
    let location = if location.uri.is_some() { location } else { by_index()? };
    let uri = location.uri.as_deref()?;
    let base = location.uri_base_id.as_ref().and_then(|id| run.original_uri_base_ids.get(id));
    let is_whole = uri.starts_with('/') || uri.contains("://");
    let whole = match base.and_then(|base| base.uri.as_deref()).filter(|_| !is_whole) {
        Some(base) => format!("{}/{uri}", base.trim_end_matches('/')),
        None => uri.to_owned(),
    };
    let path = whole.strip_prefix("file://").unwrap_or(&whole);
    Some(unescaped(path))
}

/// `%20` and the like undone (RFC 3986, 2.1).
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = tail.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        if let Some(byte) = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
