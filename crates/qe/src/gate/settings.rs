//! The gate: `.qe/gate.toml` of the project, or the built-in one, "clean as you code": only new code must be clean.

use jiff::civil::Date;
use serde::Deserialize;

use super::condition::{Condition, Level, Op};
use super::inputs::Paths;
use super::inputs::sarif::Issue;
use super::metric::Metric;
use crate::arguments::nearest;
use crate::project::Project;
use crate::reply::Refusal;

/// Where a project keeps its gate.
pub(crate) const FILE: &str = ".qe/gate.toml";

/// Bytes of a gate file, and conditions in it: beyond them nobody has written it.
const FILE_MAX_BYTES: u64 = 256 * 1024;
const CONDITIONS_MAX: usize = 64;

/// A gate.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) name: String,
    /// Where it stands; `None`: it is the built-in one.
    pub(crate) file: Option<String>,
    /// Conditions without data fail, and stale data is none.
    pub(crate) require_data: bool,
    pub(crate) base: Option<String>,
    pub(crate) min_new_lines: u64,
    /// Paths that are no new code: files, and folders that end in `/`.
    pub(crate) exclude: Vec<String>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) baseline: Option<String>,
    pub(crate) inputs: Paths,
    pub(crate) suppressions: Vec<Suppression>,
}

/// Findings that are known and accepted, until a day.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suppression {
    rule: Option<String>,
    /// A file, or a folder with `/` at its end.
    file: Option<String>,
    /// A fingerprint, as evidence has it.
    id: Option<String>,
    /// Why. Asked for so that someone can judge it later.
    pub(crate) reason: String,
    /// The last day that it holds, in UTC.
    expires: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    gate: Table,
    #[serde(default)]
    condition: Vec<Condition>,
    baseline: Option<Baseline>,
    #[serde(default)]
    inputs: Paths,
    #[serde(default)]
    suppress: Vec<Suppression>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Option<String>,
    require_data: Option<bool>,
    new_code: Option<NewCode>,
    min_new_lines: Option<u64>,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCode {
    base: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Baseline {
    file: String,
    #[serde(default, rename = "mode")]
    _mode: Mode,
}

/// What a baseline is for. There is one way.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Ratchet,
}

/// Lines below which shares of new code say nothing (SonarQube's number).
const MIN_NEW_LINES: u64 = 20;

impl Default for Gate {
    fn default() -> Self {
        let condition =
            |metric, op, threshold| Condition { metric, op, threshold, level: Level::Error, severity: None };
        Self {
            name: "clean as you code".into(),
            file: None,
            require_data: true,
            base: None,
            min_new_lines: MIN_NEW_LINES,
            exclude: Vec::new(),
            conditions: vec![
                condition(Metric::NewCoverage, Op::AtLeast, 80.0),
                condition(Metric::NewDuplicatedPct, Op::AtMost, 3.0),
                condition(Metric::NewIssues, Op::AtMost, 0.0),
                condition(Metric::TestsFailed, Op::AtMost, 0.0),
                Condition { level: Level::Warn, ..condition(Metric::Flaky, Op::AtMost, 0.0) },
                Condition { level: Level::Warn, ..condition(Metric::CrapMaxNew, Op::AtMost, 30.0) },
            ],
            baseline: None,
            inputs: Paths::default(),
            suppressions: Vec::new(),
        }
    }
}

impl Gate {
    /// The gate at `path`, else the project's, else the built-in one.
    pub(crate) fn of(project: &Project, path: Option<&str>) -> Result<Self, Refusal> {
        let name = path.unwrap_or(FILE);
        if path.is_none() && !project.root.join(FILE).exists() {
            return Ok(Self::default());
        }
        let bytes = project.read(name, FILE_MAX_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|_| Refusal(format!("{name}: it is no UTF-8")))?;
        Self::parse(name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, Refusal> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .map_or(0, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            let message = error.message();
            Refusal(match nearest(message) {
                Some(right) => {
                    let what = message.split(", expected").next().unwrap_or(message);
                    format!("{name}, line {line}: {what}; did you mean `{right}`?")
                }
                None => format!("{name}, line {line}: {message}"),
            })
        })?;
        if file.condition.is_empty() && file.baseline.is_none() {
            return Err(Refusal(format!(
                "{name} has no [[condition]]: such a gate would let everything pass"
            )));
        }
        let gate = Self {
            name: file.gate.name.unwrap_or_else(|| "project".into()),
            file: Some(name.to_owned()),
            require_data: file.gate.require_data.unwrap_or(true),
            base: file.gate.new_code.map(|new| new.base),
            min_new_lines: file.gate.min_new_lines.unwrap_or(MIN_NEW_LINES),
            exclude: file.gate.exclude,
            conditions: file.condition,
            baseline: file.baseline.map(|baseline| baseline.file),
            inputs: file.inputs,
            suppressions: file.suppress,
        };
        for suppression in &gate.suppressions {
            suppression.check().map_err(|error| Refusal(format!("{name}: [[suppress]]: {error}")))?;
        }
        gate.check(name)?;
        Ok(gate)
    }

    /// # Errors
    /// If a condition asks what cannot be.
    pub(crate) fn check(&self, name: &str) -> Result<(), Refusal> {
        if self.conditions.len() > CONDITIONS_MAX {
            return Err(Refusal(format!("{name}: at most {CONDITIONS_MAX} conditions")));
        }
        for condition in &self.conditions {
            condition.check().map_err(|error| Refusal(format!("{name}: {error}")))?;
        }
        Ok(())
    }

    pub(crate) fn excludes(&self, path: &str) -> bool {
        self.exclude.iter().any(|pattern| is_at(path, pattern))
    }
}

/// Whether a path is the one that is meant, or below the folder.
fn is_at(path: &str, pattern: &str) -> bool {
    if pattern.ends_with('/') { path.starts_with(pattern) } else { path == pattern }
}

impl Suppression {
    fn check(&self) -> Result<(), String> {
        if self.rule.is_none() && self.file.is_none() && self.id.is_none() {
            return Err("it names no `rule`, `file` or `id`, and would hide everything".into());
        }
        if self.reason.trim().is_empty() {
            return Err("`reason` is empty".into());
        }
        self.last_day().map(|_| ())
    }

    fn last_day(&self) -> Result<Date, String> {
        self.expires
            .parse()
            .map_err(|_| format!("`expires` is `{}`, not a day such as \"2027-01-31\"", self.expires))
    }

    /// Whether it still holds on a day.
    pub(crate) fn holds(&self, today: Date) -> bool {
        self.last_day().is_ok_and(|last| today <= last)
    }

    /// Whether it is about this finding; `file` relative to the project.
    pub(crate) fn covers(&self, issue: &Issue, file: Option<&str>) -> bool {
        self.rule.as_ref().is_none_or(|rule| *rule == issue.rule)
            && self.id.as_ref().is_none_or(|id| *id == issue.fingerprint)
            && self.file.as_ref().is_none_or(|pattern| file.is_some_and(|file| is_at(file, pattern)))
    }

    /// What it is about, for people.
    pub(crate) fn shown(&self) -> String {
        let parts = [&self.rule, &self.file, &self.id];
        let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
        format!("{} (expired after {})", parts.join(" "), self.expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
[gate]
name = "strict"
require_data = false
new_code = { base = "origin/main" }
min_new_lines = 5
exclude = ["setup.py", "docs/"]
[[condition]]
metric = "new_coverage"
op = ">="
value = 90
[[condition]]
metric = "new_issues"
severity = ">=warning"
op = "<="
value = 0
level = "warn"
[baseline]
file = ".qe/baseline.json"
mode = "ratchet"
[inputs]
junit = ["reports/"]
[[suppress]]
rule = "E501"
file = "src/old/"
reason = "goes with the old parser"
expires = "2026-12-31"
"#;

    fn refusal(text: &str) -> String {
        Gate::parse("gate.toml", text).unwrap_err().0
    }

    #[test]
    fn a_gate_file_says_all_that_a_gate_has() {
        let gate = Gate::parse("gate.toml", WHOLE).unwrap();
        assert_eq!((gate.name.as_str(), gate.require_data, gate.min_new_lines), ("strict", false, 5));
        assert_eq!(
            (gate.base.as_deref(), gate.baseline.as_deref()),
            (Some("origin/main"), Some(".qe/baseline.json"))
        );
        assert_eq!(gate.conditions[1].level, Level::Warn);
        assert!(gate.excludes("setup.py") && gate.excludes("docs/conf.py") && !gate.excludes("src/setup.py"));
        let today = |text: &str| text.parse::<Date>().unwrap();
        assert!(
            gate.suppressions[0].holds(today("2026-12-31"))
                && !gate.suppressions[0].holds(today("2027-01-01"))
        );
    }

    #[test]
    fn a_mistake_is_answered_with_its_line_and_the_right_word() {
        let condition = "[[condition]]\nmetric = \"coverage\"\nop = \">=\"\nvalue = 80\n";
        let text = refusal(&condition.replace("coverage", "new_coverge"));
        assert!(text.contains("line 2") && text.ends_with("did you mean `new_coverage`?"), "{text}");
        let text = refusal(&format!("{condition}level = \"warning\"\n"));
        assert!(text.contains("line 5") && text.ends_with("did you mean `warn`?"), "{text}");
        let text = refusal(&condition.replace(">=", "=>"));
        assert!(text.contains("line 3") && text.contains("`>=`"), "{text}");
        for (bad, words) in [
            ("", "no [[condition]]"),
            ("[gate", "line 1"),
            ("[[condition]]\nmetric = \"coverage\"\nop = \">=\"\n", "missing field `value`"),
            ("[[condition]]\nmetric = \"coverage\"\nop = \">=\"\nvalue = 101\n", "from 0 to 100"),
            ("[[condition]]\nmetric = \"coverage\"\nop = \">=\"\nvalue = nan\n", "NaN"),
            (
                "[[condition]]\nmetric = \"flaky\"\nop = \"<=\"\nvalue = 0\nseverity = \"error\"\n",
                "no severity",
            ),
        ] {
            let text = refusal(bad);
            assert!(text.contains(words), "{text}");
        }
        let suppress = |more: &str| refusal(&format!("{condition}[[suppress]]\nreason = \"r\"\n{more}"));
        assert!(suppress("expires = \"2026-12-31\"").contains("names no `rule`"));
        assert!(suppress("rule = \"a\"\nexpires = \"soon\"").contains("`soon`"));
        assert!(suppress("rule = \"a\"").contains("missing field `expires`"));
    }

    #[test]
    fn the_gate_in_the_manual_can_be_read() {
        let manual = include_str!("../../../../docs/quality-gate.md");
        let gate = manual.split("```").find_map(|part| part.strip_prefix("toml\n")).unwrap();
        assert_eq!(Gate::parse("gate.toml", gate).unwrap().conditions.len(), 3);
        let named = |metric: &Metric| manual.contains(&format!("`{metric}`"));
        assert!(Metric::ALL.iter().all(named));
    }

    #[test]
    fn the_built_in_gate_is_about_new_code() {
        let gate = Gate::default();
        gate.check("built-in").unwrap();
        let all: Vec<_> = gate
            .conditions
            .iter()
            .map(|one| format!("{} {} {}", one.metric, one.op, one.threshold))
            .collect();
        assert_eq!(
            all[..4],
            ["new_coverage >= 80", "new_duplicated_pct <= 3", "new_issues <= 0", "tests_failed <= 0"]
        );
    }
}
