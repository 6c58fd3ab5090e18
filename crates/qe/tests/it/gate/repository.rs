//! A repository in a temporary folder, on a branch that was made of `main`.

use std::fs;
use std::ops::{Deref, RangeInclusive};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::project::Project;

pub(crate) struct Repository(Project);

impl Deref for Repository {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.0
    }
}

impl Repository {
    /// One commit on `main` with one source; the branch `change` is checked out.
    pub(crate) fn new() -> Self {
        let repository = Self::empty();
        repository.write("src/old.py", "def old():\n    return 1\n");
        repository.git(&["add", "."]);
        repository.git(&["commit", "-q", "-m", "first"]);
        repository.git(&["checkout", "-q", "-b", "change"]);
        repository
    }

    /// Without a commit.
    pub(crate) fn empty() -> Self {
        let repository = Self(Project::new());
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    /// Written now.
    pub(crate) fn touch(&self, path: &str) {
        set_modified(&self.path(path), SystemTime::now());
    }

    /// Written so many seconds ago.
    pub(crate) fn age(&self, path: &str, seconds: u64) {
        set_modified(&self.path(path), SystemTime::now() - Duration::from_secs(seconds));
    }

    pub(crate) async fn judge(&self, arguments: Value) -> Value {
        self.call(super::GATE, arguments).await
    }
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A condition of a verdict.
pub(crate) fn condition(verdict: &Value, metric: &str) -> Value {
    let all = verdict["conditions"].as_array().unwrap();
    all.iter()
        .find(|one| one["metric"] == metric)
        .unwrap_or_else(|| panic!("no {metric} in {verdict:#}"))
        .clone()
}

/// A function with a body of so many lines, every other one an `if`, and a blank line after it.
pub(crate) fn function(name: &str, lines: u32) -> String {
    let body = (0..lines).map(|line| match line % 2 {
        0 => format!("    if value == {line}:\n"),
        _ => format!("        value = value + {line}\n"),
    });
    let body = body.collect::<Vec<_>>().concat();
    let end = if lines.is_multiple_of(2) { "    return value\n" } else { "        return value\n" };
    format!("def {name}(value):\n{body}{end}")
}

pub(crate) fn lcov(path: &str, lines: RangeInclusive<u32>, hits: impl Fn(u32) -> u32) -> String {
    let lines: Vec<_> = lines.map(|line| format!("DA:{line},{}", hits(line))).collect();
    format!("SF:{path}\n{}\nend_of_record\n", lines.join("\n"))
}

/// SARIF of findings: rule, level, file, line.
pub(crate) fn report_of(findings: &[(&str, &str, &str, u32)]) -> String {
    let results: Vec<_> = findings
        .iter()
        .map(|(rule, level, file, line)| {
            json!({ "ruleId": rule, "level": level, "message": { "text": "m" }, "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": file }, "region": { "startLine": line } } }] })
        })
        .collect();
    json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "lint", "version": "1" } }, "results": results }] })
        .to_string()
}
