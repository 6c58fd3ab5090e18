//! `qe_quality_gate`: conditions on what was measured, new code first, and a verdict with its evidence.
//!
//! What is not known is `no_data` and never `passed`: losing an input makes no verdict better.

mod baseline;
mod change;
mod condition;
mod inputs;
mod learned;
mod measure;
mod measured;
mod metric;
mod page;
mod render;
mod settings;
mod verdict;

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::arguments;
use crate::builtin::{Context, Request};
use crate::project::Project;
use crate::reply::{Refusal, structured};
use baseline::Baseline;
use change::Change;
use condition::{Condition, Level, Op, Rules, Status, Verdict};
use inputs::Paths;
pub(crate) use inputs::Reports;
pub(crate) use measure::{Facts, Runs};
use measure::{Issues, Newness};
use measured::Value;
use metric::{Kind, Metric};
use page::Places;
use settings::Gate;
use verdict::{Compared, Judged, Named, NewCode, Report, Suppressed};

/// For the fuzzer.
#[cfg(fuzzing)]
pub(crate) use inputs::promises::check as check_report;

/// The tool as it is listed.
pub(crate) const DEFINITION: &str = r#"{"name":"qe_quality_gate","title":"Quality gate","description":"Judge a change before it is merged: coverage, duplication, findings, tests, mutation, new code first. Uses .qe/gate.toml or a built-in gate. What is not known is no_data, never passed.","inputSchema":{"type":"object","properties":{"root":{"type":"string"},"gate":{"type":"string","description":"TOML file"},"conditions":{"type":"array","items":{"type":"object","description":"{metric,op,value,level?,severity?}"}},"inputs":{"type":"object","description":"{coverage,junit,sarif,mutation}: paths; default: found"},"base":{"type":"string","description":"commit; default: main line"},"baseline":{"type":"string"},"explain":{"type":"boolean"},"max_items":{"type":"integer"},"cursor":{"type":"string"},"format":{"enum":["json","markdown","sarif","junit","baseline"]}},"required":[]},"outputSchema":{"type":"object","required":["status","exit_code"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;

/// Places that are named for each condition, if nothing is said, and at most.
const EVIDENCE: usize = 10;
const EVIDENCE_MAX: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    root: Option<String>,
    gate: Option<String>,
    /// Instead of those of the gate.
    conditions: Option<Vec<Condition>>,
    inputs: Option<Paths>,
    base: Option<String>,
    baseline: Option<String>,
    /// Whether places are named.
    explain: Option<bool>,
    max_items: Option<usize>,
    /// More places of one condition.
    cursor: Option<String>,
    format: Option<Format>,
}

/// How the verdict is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Markdown,
    Sarif,
    Junit,
    /// The baseline of now, for the caller to write.
    Baseline,
}

/// A verdict in another form than ours.
#[derive(Serialize)]
struct Document {
    status: Verdict,
    exit_code: u8,
    format: Format,
    content: String,
}

/// Judges a project.
pub(crate) fn run(context: &Context, arguments: &str, request: &Request) -> Result<Vec<u8>, Refusal> {
    let arguments: Arguments = arguments::parse(arguments)?;
    let project = context.roots.project(arguments.root.as_deref())?;
    let mut gate = Gate::of(&project, arguments.gate.as_deref())?;
    if let Some(conditions) = arguments.conditions {
        if conditions.is_empty() {
            return Err(Refusal(
                "bad arguments: `conditions` is empty, and would let everything pass".into(),
            ));
        }
        gate.conditions = conditions;
        gate.check("bad arguments")?;
    }
    gate.inputs = arguments.inputs.unwrap_or_default().or(gate.inputs);
    gate.baseline = arguments.baseline.or(gate.baseline);
    let format = arguments.format.unwrap_or_default();
    if arguments.cursor.is_some() && format != Format::Json {
        return Err(Refusal("`cursor` goes on with what `format` json has said: leave `format` out".into()));
    }
    let places = Places {
        most: arguments.max_items.unwrap_or(EVIDENCE).clamp(1, EVIDENCE_MAX),
        is_asked: arguments.explain.unwrap_or(true),
        cursor: arguments.cursor,
    };
    let judge = Judge { context, project: &project, gate: &gate, request, places, format };
    let (report, baseline) = judge.judge(arguments.base.as_deref())?;
    let content = match format {
        Format::Json => return structured(&report),
        Format::Markdown => render::markdown(&report),
        Format::Sarif => render::sarif(&report).map_err(|error| Refusal(error.to_string()))?,
        Format::Junit => render::junit(&report),
        Format::Baseline => {
            serde_json::to_string_pretty(&baseline).map_err(|error| Refusal(error.to_string()))?
        }
    };
    structured(&Document { status: report.status, exit_code: report.exit_code, format, content })
}

/// One judgement.
pub(crate) struct Judge<'a> {
    context: &'a Context,
    project: &'a Project,
    gate: &'a Gate,
    request: &'a Request,
    places: Places,
    format: Format,
}

/// What a project's reports say of its tests, for whoever judges nothing: found where its gate says or where tools write.
///
/// # Errors
/// If its gate's file cannot be meant, or the work is to end.
pub(crate) fn reports(context: &Context, project: &Project, request: &Request) -> Result<Facts, Refusal> {
    let gate = Gate::of(project, None)?;
    let places = Places { most: 1, is_asked: false, cursor: None };
    let judge = Judge { context, project, gate: &gate, request, places, format: Format::Json };
    let needed = BTreeSet::from([Kind::Coverage, Kind::Junit, Kind::Mutation]);
    Facts::read(&judge, || Ok(Err("no change is looked at".into())), &needed)
}

impl Judge<'_> {
    /// The verdict, and the baseline of now.
    fn judge(&self, base: Option<&str>) -> Result<(Report, Baseline), Refusal> {
        let (gate, stop) = (self.gate, &self.request.stop);
        let was = gate.baseline.as_ref().map(|file| Baseline::read(self.project, file));
        let known = was.as_ref().and_then(|was| was.as_ref().ok());
        let asked = conditions(gate, known);
        let needed: BTreeSet<Kind> = if self.format == Format::Baseline {
            Metric::ALL.into_iter().flat_map(Metric::kinds).copied().collect()
        } else {
            asked.iter().flat_map(|(condition, _)| condition.metric.kinds()).copied().collect()
        };
        let facts = Facts::read(self, || Change::of(self.project, gate, base, stop), &needed)?;
        let now = Timestamp::from_millisecond(self.request.now).unwrap_or_default();
        let today = now.to_zoned(TimeZone::UTC).date();
        let newness = Newness { baseline: was.as_ref(), change: &facts.change };
        let of = |loaded| Issues::of(self.project, loaded, newness, &gate.suppressions, today);
        let issues = facts.findings().map(of);
        let rules = Rules {
            require_data: gate.require_data,
            min_new_lines: gate.min_new_lines,
            new_lines: facts.change.as_ref().ok().map(Change::lines),
        };
        let mut provenance = facts.provenance();
        let pages = self.places.over(&asked, &provenance, facts.change.as_ref().ok())?;
        let mut judged = Vec::new();
        for (at, (condition, of_baseline)) in asked.iter().enumerate() {
            stop.check()?;
            let measured = facts.measure(condition, issues.as_ref());
            let before = known.and_then(|known| known.metrics.get(&condition.metric)).copied();
            let one = Judged::new(condition, measured, rules, before, |places| pages.of(at, places));
            judged.push(Judged { of_baseline: *of_baseline, ..one });
        }
        learned::tell(self, &judged);
        let next = self.next(known, &facts, issues.as_ref());
        let compared =
            gate.baseline.as_ref().map(|file| compared(file, was.as_ref(), issues.as_ref(), &judged));
        let is_baseline_gone = matches!(was, Some(Err(_)));
        let status = judged.iter().map(Judged::verdict).max().unwrap_or(Verdict::Passed);
        let status = if is_baseline_gone { status.max(Verdict::NoData) } else { status };
        let provenance_total = provenance.len();
        provenance.truncate(verdict::SOURCES);
        let report = Report {
            status,
            exit_code: status.exit_code(gate.require_data),
            summary: verdict::summary(status, &judged),
            is_part: pages.condition().is_some(),
            gate: Named {
                name: gate.name.clone(),
                source: gate.file.clone().unwrap_or_else(|| "built-in".into()),
                require_data: gate.require_data,
            },
            new_code: new_code(&facts.change),
            conditions: match pages.condition() {
                Some(at) => judged.into_iter().skip(at).take(1).collect(),
                None => judged,
            },
            baseline: compared,
            suppressed: Suppressed {
                in_reports: issues.as_ref().map_or(0, |issues| issues.in_reports),
                by_gate: issues.as_ref().map_or(0, |issues| issues.by_gate),
                expired: gate
                    .suppressions
                    .iter()
                    .filter(|one| !one.holds(today))
                    .map(settings::Suppression::shown)
                    .collect(),
            },
            provenance,
            provenance_total,
            warnings: facts.warnings().into_iter().take(verdict::WARNINGS).collect(),
        };
        Ok((report, next))
    }

    /// The baseline that holds from now on.
    fn next(&self, known: Option<&Baseline>, facts: &Facts, issues: Option<&Issues>) -> Baseline {
        let commit = facts.change.as_ref().ok().map(|change| change.patch.base.clone());
        let mut next = known.cloned().unwrap_or_else(|| Baseline::new(None));
        if self.format != Format::Baseline {
            return next;
        }
        next.commit = commit.or(next.commit);
        for metric in Metric::ALL.into_iter().filter(|metric| !metric.is_of_change()) {
            let condition =
                Condition { metric, op: Op::AtMost, threshold: 0.0, level: Level::Error, severity: None };
            let measured = facts.measure(&condition, issues);
            if let (Value::Known(value), None, None) = (measured.value, measured.stale, measured.incomplete) {
                next.keep(metric, value);
            }
        }
        if let Some(issues) =
            issues.filter(|_| facts.findings().is_some_and(|loaded| loaded.broken.is_empty()))
        {
            next.keep_issues(issues.fingerprints());
        }
        next
    }
}

/// The gate's conditions, and those of the baseline, each with whether it is the baseline's.
fn conditions(gate: &Gate, baseline: Option<&Baseline>) -> Vec<(Condition, bool)> {
    let mut all: Vec<_> = gate.conditions.iter().map(|condition| (condition.clone(), false)).collect();
    // New code first; they stay in the order in which they were written otherwise.
    all.sort_by_key(|(condition, _)| !condition.metric.is_of_change());
    let Some(baseline) = baseline else { return all };
    let is_asked = all.iter().any(|(condition, _)| condition.metric == Metric::NewIssues);
    if baseline.issues.is_some() && !is_asked {
        let metric = Metric::NewIssues;
        all.push((
            Condition { metric, op: Op::AtMost, threshold: 0.0, level: Level::Error, severity: None },
            true,
        ));
    }
    all.extend(baseline.conditions().map(|condition| (condition, true)));
    all
}

fn compared(
    file: &str,
    was: Option<&Result<Baseline, String>>,
    issues: Option<&Issues>,
    judged: &[Judged],
) -> Compared {
    let worse =
        judged.iter().filter(|one| one.of_baseline && one.status == Status::Failed).map(|one| one.metric);
    Compared {
        file: file.to_owned(),
        commit: was.and_then(|was| was.as_ref().ok()?.commit.clone()),
        fixed: issues.and_then(|issues| issues.fixed),
        new: issues.and_then(|issues| issues.new),
        worse: worse.collect(),
        reason: was.and_then(|was| was.as_ref().err()).map(|reason| {
            format!(
                "{reason}; `format` \"baseline\" gives one to write (to {} or where the gate says)",
                baseline::FILE
            )
        }),
    }
}

fn new_code(change: &Result<Change, String>) -> NewCode {
    let known = change.as_ref().ok();
    NewCode {
        base: known.map(|change| change.base.clone()),
        commit: known.map(|change| change.patch.base.clone()),
        files: known.map(|change| change.sources().count() as u64),
        lines: known.map(Change::lines),
        reason: change.as_ref().err().cloned(),
    }
}
