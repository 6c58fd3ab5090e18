//! The verdict in SARIF 2.1.0, for programs that show findings beside the code.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::gate::condition::{Level, Status};
use crate::gate::measured::Evidence;
use crate::gate::verdict::{Judged, Report};

/// The schema that the standard names.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(crate) fn sarif(report: &Report) -> serde_json::Result<String> {
    let mut rules: Vec<&str> = Vec::new();
    let mut results = Vec::new();
    for one in &report.conditions {
        let name = one.metric.name();
        let index = rules.iter().position(|rule| *rule == name).unwrap_or_else(|| {
            rules.push(name);
            rules.len() - 1
        });
        results.extend(of_condition(one, index));
    }
    let rules: Vec<_> = rules.into_iter().map(|name| json!({ "id": name, "name": name })).collect();
    let cut = report.conditions.iter().filter(|one| one.is_cut()).map(|one| {
        let (named, all) = (one.evidence.len(), one.evidence_total);
        format!("{}: {named} of {all} places are named; `max_items` says how many", one.metric)
    });
    let notes: Vec<_> = report
        .warnings
        .iter()
        .cloned()
        .chain(cut)
        .map(|text| json!({ "level": "warning", "message": { "text": text } }))
        .collect();
    let driver =
        json!({ "name": "aqe-v3 quality gate", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    serde_json::to_string_pretty(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "invocations": [{ "executionSuccessful": true, "exitCode": report.exit_code, "toolExecutionNotifications": notes }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

/// One result for each place, or one without a place.
fn of_condition(one: &Judged, index: usize) -> Vec<Value> {
    // Section 3.27.9: a level belongs to failures only. `open`: whether it is one cannot be told.
    let (kind, level) = match (one.status, one.level) {
        (Status::Passed, _) => ("pass", "none"),
        (Status::Ignored, _) => ("notApplicable", "none"),
        (Status::NoData, _) => ("open", "none"),
        (Status::Failed, Level::Error) => ("fail", "error"),
        (Status::Failed, Level::Warn) => ("fail", "warning"),
    };
    let asked = format!("{}: {}", one.asked(), one.said());
    let result = |text: String, locations: Vec<Value>| {
        json!({
            "ruleId": one.metric.name(),
            "ruleIndex": index,
            "kind": kind,
            "level": level,
            "message": { "text": text },
            "locations": locations,
        })
    };
    if one.status != Status::Failed || one.evidence.is_empty() {
        return vec![result(asked, Vec::new())];
    }
    let each = one.evidence.iter().map(|evidence| {
        let detail = evidence.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        result(format!("{asked}: {}{detail}", evidence.id), location(evidence).into_iter().collect())
    });
    each.collect()
}

fn location(evidence: &Evidence) -> Option<Value> {
    let file = evidence.file.as_ref()?;
    let mut physical = json!({ "artifactLocation": { "uri": escaped(file), "uriBaseId": "%SRCROOT%" } });
    if let Some(range) = evidence.range {
        physical["region"] = json!({ "startLine": range.start, "endLine": range.end });
    }
    Some(json!({ "physicalLocation": physical }))
}

/// A path as a URI reference (RFC 3986, 3.3).
fn escaped(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
