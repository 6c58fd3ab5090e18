//! What the sources themselves say: duplicates, complexity, and with coverage CRAP.

use std::collections::HashMap;

use crate::coverage::collect::Coverage;
use crate::coverage::model::Counts;
use crate::gate::change::Change;
use crate::gate::measured::{Evidence, Measured};
use crate::metrics::{Snapshot, Source, covered};
use crate::project::git::Lines;
use crate::syntax::Function;

/// Percent of all lines that stand somewhere else too.
pub(super) fn duplicated(snapshot: &Snapshot) -> Measured {
    let total: u64 = snapshot.files.iter().map(|source| u64::from(source.measured.lines.all())).sum();
    if total == 0 {
        return Measured::unknown("there is no source of a language that is measured");
    }
    let count = (0..snapshot.files.len()).map(|at| u64::from(snapshot.duplication.count(at))).sum();
    Measured::known(share(count, total)).with(blocks(snapshot, |_, _| true))
}

/// Percent of the new lines that stand somewhere else too.
pub(super) fn new_duplicated(snapshot: &Snapshot, change: &Change) -> Measured {
    let (mut count, mut total) = (0, 0);
    for (at, source) in snapshot.files.iter().enumerate() {
        let Some(new) = change.patch.added.get(&source.file.path) else { continue };
        total += new.iter().map(|lines| u64::from(lines.end - lines.start) + 1).sum::<u64>();
        count += u64::from(snapshot.duplication.count_within(at, new.iter().copied()));
    }
    if total == 0 {
        return Measured::nothing("no new line in a source that is measured");
    }
    let is_new = |path: &str, lines| change.patch.has(path, lines);
    Measured::known(share(count, total)).with(blocks(snapshot, is_new))
}

/// In percent, rounded up to two decimals: a limit is not met by rounding.
fn share(count: u64, total: u64) -> f64 {
    (u128::from(count) * 10_000).div_ceil(u128::from(total).max(1)) as f64 / 100.0
}

/// Duplicates of which a place is meant, each place once.
fn blocks(snapshot: &Snapshot, is_meant: impl Fn(&str, Lines) -> bool) -> Vec<Evidence> {
    let path = |at: usize| snapshot.files.get(at).map_or("", |source| source.file.path.as_str());
    let meant = snapshot.duplication.blocks.iter().filter(|block| is_meant(path(block.file), block.lines));
    let shown = meant.map(|block| Evidence {
        file: Some(path(block.file).to_owned()),
        range: Some(block.lines),
        id: format!("as {}:{}-{}", path(block.other_file), block.other_lines.start, block.other_lines.end),
        detail: Some(format!("{} tokens", block.tokens)),
    });
    shown.collect()
}

/// Functions with a new or changed line, by their places in their files. Tests are none of them.
fn touched<'a>(
    snapshot: &'a Snapshot,
    change: &'a Change,
) -> impl Iterator<Item = (&'a Source, usize, &'a Function)> {
    let files = snapshot.files.iter().filter(|source| change.patch.added.contains_key(&source.file.path));
    let functions = files.flat_map(|source| {
        let functions = source.measured.functions.iter().enumerate();
        functions.map(move |(at, function)| (source, at, function))
    });
    functions.filter(|(source, _, function)| {
        !function.is_test && change.patch.has(&source.file.path, function.lines)
    })
}

/// The largest cyclomatic complexity of a function with a new line.
pub(super) fn complexity(snapshot: &Snapshot, change: &Change) -> Measured {
    let all = touched(snapshot, change).map(|(source, _, function)| {
        let value = f64::from(function.cyclomatic);
        (value, place(source, function, format!("cyclomatic complexity {}", function.cyclomatic)))
    });
    largest(all.collect())
}

/// The largest CRAP of a function with a new line: comp² · (1 − cov)³ + comp (Savoia and Evans, 2007).
pub(super) fn crap(snapshot: &Snapshot, change: &Change, coverage: &Coverage) -> Measured {
    let mut known = Vec::new();
    // Functions that no report has, by what they would be at worst.
    let mut unknown: Option<(f64, String)> = None;
    let mut counts: HashMap<&str, Vec<Counts>> = HashMap::new();
    for (source, at, function) in touched(snapshot, change) {
        let path = source.file.path.as_str();
        let file = coverage.report.file(path).filter(|file| file.lines.is_some());
        let Some(file) = file else {
            let worst = covered::crap(function.cyclomatic, Counts { covered: 0, total: 1 }).unwrap_or(0.0);
            if unknown.as_ref().is_none_or(|(most, _)| worst > *most) {
                unknown = Some((worst, format!("{} in {path}", function.qualified)));
            }
            continue;
        };
        let of_file =
            counts.entry(path).or_insert_with(|| covered::of_functions(file, &source.measured.functions));
        let lines = of_file.get(at).copied().unwrap_or_default();
        // Nothing in it can run.
        let Some(value) = covered::crap(function.cyclomatic, lines) else { continue };
        let share = lines.percent().unwrap_or(0.0);
        let detail = format!("CRAP {value}: complexity {}, {share:.0} % covered", function.cyclomatic);
        known.push((value, place(source, function, detail)));
    }
    match (known.is_empty(), unknown) {
        (true, Some((_, name))) => Measured::unknown(format!("{name} is in no coverage report")),
        (_, unknown) => {
            let most = known.iter().map(|(value, _)| *value).fold(0.0, f64::max);
            let worse = unknown.filter(|(worst, _)| *worst > most);
            let incomplete = worse
                .map(|(worst, name)| format!("{name} is in no coverage report, and could be up to {worst}"));
            Measured { incomplete, ..largest(known) }
        }
    }
}

fn place(source: &Source, function: &Function, detail: String) -> Evidence {
    Evidence {
        file: Some(source.file.path.clone()),
        range: Some(function.lines),
        id: function.qualified.clone(),
        detail: Some(detail),
    }
}

fn largest(mut all: Vec<(f64, Evidence)>) -> Measured {
    all.sort_by(|one, other| other.0.total_cmp(&one.0));
    match all.first() {
        None => Measured::nothing("no function with a new line, of a language that is measured"),
        Some((value, _)) => Measured::known(*value).with(all.into_iter().map(|(_, place)| place).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up() {
        let shares =
            [(3, 100), (1, 3), (0, 7), (30_001, 1_000_000)].map(|(count, total)| share(count, total));
        assert_eq!(shares.map(|share| share.to_string()), ["3", "33.34", "0", "3.01"]);
    }
}
