//! What calls may cost: the ratios of instructions to those of the baselines, kept in a file, and compared.
//!
//! Instructions of one program are the same in every run, but another compiler or C library makes other ones of the same
//! source. The baselines are built by the same compiler and counted in the same run, so that most of that cancels out:
//! the ratio is what is kept. The counts beside it are only there to be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::calls::{self, progress};
use crate::cases::{self, Baseline};
use crate::pipes;
use crate::report::{Cell, Goal, Section};
use crate::stats::Spread;
use crate::subject::Subject;

/// How much more than its budget a ratio may be, in percent.
const TOLERANCE: f64 = 5.0;
/// The same of large calls over HTTP, whose counts differ by a tenth of a percent: a copy of a body of 175 KB is 3 %.
const TOLERANCE_LARGE: f64 = 2.0;
/// Bytes of arguments from which on reading is most of a call.
const LARGE: usize = 1_000;
/// Rows that are counted at a time.
const AT_ONCE: usize = 2;

/// What one row may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Instructions per call, as a ratio to the baseline's: what counts.
    ratio: f64,
    /// What the ratio is to.
    baseline: String,
    /// Instructions per call when the ratio was taken.
    instructions: u64,
    /// The baseline's.
    baseline_instructions: u64,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// For whoever opens the file.
    about: String,
    rows: BTreeMap<String, Row>,
}

const ABOUT: &str = "User instructions per call (callgrind) as ratios to the baselines of the same run. Written by `cargo run --release -p \
                     aqe-bench -- budget --update`, checked by the same command without --update: see bench/README.md.";

/// The file of this workspace.
pub(crate) fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.json")
}

/// Something to be counted.
#[derive(Debug, Clone)]
enum Case {
    Http(cases::Case),
    Pipe(pipes::Case),
}

impl Case {
    fn name(&self) -> &str {
        match self {
            Self::Http(case) => &case.name,
            Self::Pipe(case) => &case.name,
        }
    }

    fn count(&self, subject: &Subject, folder: &Path) -> Result<Row> {
        let ((ours, theirs), baseline) = match self {
            Self::Http(case) => (calls::count(case, subject, folder)?, case.baseline.name()),
            Self::Pipe(case) => (pipes::count(case, subject, folder)?, case.baseline()),
        };
        Ok(Row {
            ratio: (ours / theirs * 1e4).round() / 1e4,
            baseline: baseline.into(),
            instructions: ours.round() as u64,
            baseline_instructions: theirs.round() as u64,
        })
    }
}

/// The rows that have a budget: each way of a call, small and large, in both eras where they differ in work.
fn budgeted() -> Vec<Case> {
    // One baseline for each row. What is larger than a little is mostly reading it: beside one who copies, its ratio
    // would be that of the reads in which it happened to come, so it stands beside one who reads it too.
    let is_large = |case: &cases::Case| case.call.arguments.len() > LARGE;
    let is_asked = |case: &cases::Case| match case.baseline {
        Baseline::Floor => true,
        Baseline::Proxy => !is_large(case),
        Baseline::Reader => is_large(case),
        Baseline::Inside => false,
    };
    let http = cases::all().into_iter().filter(is_asked).map(Case::Http);
    http.chain(pipes::all().into_iter().map(Case::Pipe)).collect()
}

/// Counts, and compares with the file; with `update` writes it instead. Profiles are kept in `folder`.
///
/// # Errors
/// If a row costs more than its budget, or the file and the rows are not the same.
pub(crate) fn check(
    subject: &Subject,
    folder: &Path,
    only: &str,
    file: &Path,
    update: bool,
) -> Result<(Section, Option<String>)> {
    let cases: Vec<Case> = budgeted().into_iter().filter(|case| case.name().contains(only)).collect();
    let known = if update && !file.exists() { Budget::default() } else { read(file)? };
    let mut counted = count(&cases, subject, folder)?;
    // A timer that happens to fire, a connection that is replaced: what is above its budget, and whatever becomes one, is
    // counted twice, and the lesser counts.
    let is_over = |case: &&Case| counted.get(case.name()).is_some_and(|row| known.is_over(case.name(), row));
    let again: Vec<Case> = cases.iter().filter(|case| update || is_over(case)).cloned().collect();
    for (name, row) in count(&again, subject, folder)? {
        if counted.get(&name).is_none_or(|first| row.ratio < first.ratio) {
            counted.insert(name, row);
        }
    }
    let section = table(&known, &counted);
    if update {
        let mut rows = known.rows;
        rows.retain(|name, _| budgeted().iter().any(|case| case.name() == name));
        rows.extend(counted);
        let text = serde_json::to_string_pretty(&Budget { about: ABOUT.into(), rows })? + "\n";
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        return Ok((section, None));
    }
    let is_asked = |name: &&String| name.contains(only);
    let missing = counted.keys().filter(|name| !known.rows.contains_key(*name));
    let gone = known.rows.keys().filter(is_asked).filter(|name| !counted.contains_key(*name));
    let strangers: Vec<_> = missing.chain(gone).cloned().collect();
    Ok((section, verdict(&known, &counted, &strangers)))
}

fn read(file: &Path) -> Result<Budget> {
    let at = |error: String| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| at(error.to_string()))?;
    Ok(serde_json::from_str(&text).map_err(|error| at(error.to_string()))?)
}

/// Counts several rows at a time: that does not change what is counted.
fn count(cases: &[Case], subject: &Subject, folder: &Path) -> Result<BTreeMap<String, Row>> {
    crate::place::stay_anywhere();
    let (next, counted) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || -> Result<()> {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            progress(case.name());
            let row = case.count(subject, folder)?;
            let mut counted = counted.lock().map_err(|_| "a thread has panicked")?;
            counted.insert(case.name().to_owned(), row);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread has panicked")?)
    })?;
    Ok(counted.into_inner().map_err(|_| "a thread has panicked")?)
}

fn table(known: &Budget, counted: &BTreeMap<String, Row>) -> Section {
    let rows = counted.iter().map(|(name, row)| {
        let budget = known.rows.get(name);
        let change = budget.map_or("new".into(), |budget| format!("{:+.1} %", change(row, budget)));
        vec![
            Cell::text(name),
            Cell::Figure(Spread::exactly(row.instructions as f64), 0),
            Cell::text(&row.baseline),
            Cell::Figure(Spread::exactly(row.baseline_instructions as f64), 0),
            Cell::Figure(Spread::exactly(row.ratio), 3),
            Cell::text(budget.map_or("-".into(), |budget| format!("{:.3}", budget.ratio))),
            Cell::text(change),
            Cell::Goal(budget.map(|budget| Goal::AtMost(row.ratio, limit(budget)))),
        ]
    });
    Section {
        title: format!(
            "Budget: user instructions of the process per call (callgrind), as a ratio to the baseline's; at most {TOLERANCE} % above \
             the budget, of large calls over HTTP {TOLERANCE_LARGE} %"
        ),
        columns: vec![
            "case",
            "instructions",
            "baseline",
            "baseline_instructions",
            "ratio",
            "budget",
            "change",
            "limit",
        ],
        rows: rows.collect(),
    }
}

impl Budget {
    fn is_over(&self, name: &str, row: &Row) -> bool {
        self.rows.get(name).is_some_and(|budget| row.ratio > limit(budget))
    }
}

fn limit(budget: &Row) -> f64 {
    let is_large = budget.baseline == Baseline::Reader.name();
    let tolerance = if is_large { TOLERANCE_LARGE } else { TOLERANCE };
    (budget.ratio * (1.0 + tolerance / 100.0) * 1e4).round() / 1e4
}

/// How much more a row costs than its budget, in percent.
fn change(row: &Row, budget: &Row) -> f64 {
    (row.ratio / budget.ratio - 1.0) * 100.0
}

/// What is wrong and what to do; `None` if nothing is.
fn verdict(known: &Budget, counted: &BTreeMap<String, Row>, strangers: &[String]) -> Option<String> {
    let over: Vec<String> = counted
        .iter()
        .filter_map(|(name, row)| {
            let budget = known.rows.get(name).filter(|_| known.is_over(name, row))?;
            Some(format!("  {name}: {:+.1} %", change(row, budget)))
        })
        .collect();
    if over.is_empty() && strangers.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    if !over.is_empty() {
        parts.push(format!("calls cost more than their budget allows:\n{}", over.join("\n")));
        parts.push(
            "To see where: cargo run --release -p aqe-bench -- budget --only 'ROW' --profiles FOLDER\n\
             and then: callgrind_annotate FOLDER/….subject.callgrind, here and on the version before."
                .into(),
        );
    }
    if !strangers.is_empty() {
        parts.push(format!(
            "rows that are either not in the file or not counted any more:\n  {}",
            strangers.join("\n  ")
        ));
    }
    parts.push(
        "If it has to be so, or after another compiler: cargo run --release -p aqe-bench -- budget --update\n\
         and say in the commit what the instructions buy."
            .into(),
    );
    Some(parts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ratio: f64) -> Row {
        Row { ratio, baseline: "bare hyper".into(), instructions: 100, baseline_instructions: 50 }
    }

    fn rows(rows: &[(&str, f64)]) -> BTreeMap<String, Row> {
        rows.iter().map(|(name, ratio)| ((*name).to_owned(), row(*ratio))).collect()
    }

    #[test]
    fn more_than_the_budget_allows_fails_and_says_what_to_do() {
        let known = Budget { about: ABOUT.into(), rows: rows(&[("ping", 2.0), ("list", 1.0)]) };
        assert_eq!(verdict(&known, &rows(&[("ping", 2.099), ("list", 0.5)]), &[]), None);
        let said = verdict(&known, &rows(&[("ping", 2.2), ("list", 1.0)]), &[]).unwrap();
        assert!(
            said.contains("ping: +10.0 %") && said.contains("--update") && !said.contains("list:"),
            "{said}"
        );
        let said = verdict(&known, &rows(&[]), &["new".into()]).unwrap();
        assert!(said.contains("\n  new\n"), "{said}");
        let large = |ratio| {
            BTreeMap::from([("large".to_owned(), Row { baseline: "parsing proxy".into(), ..row(ratio) })])
        };
        let known = Budget { about: ABOUT.into(), rows: large(1.0) };
        assert!(
            verdict(&known, &large(1.019), &[]).is_none() && verdict(&known, &large(1.03), &[]).is_some()
        );
    }

    #[test]
    fn the_file_has_a_budget_for_each_row_and_for_nothing_else() {
        let known = read(&file()).unwrap();
        let names: Vec<String> = budgeted().iter().map(|case| case.name().to_owned()).collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(known.rows.into_keys().collect::<Vec<_>>(), sorted);
    }
}
