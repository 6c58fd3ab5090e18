//! The figures as tables.

use aqe_load::contest::{Figures, QUANTILES, Ratios};
use aqe_load::stats::{Ratio, Spread};

use super::super::output::printable;
use super::super::table::Table;
use super::report::Report;

/// What stands where there is no figure.
pub(super) const NONE: &str = "-";

/// All of it: what is measured once, and then each step.
pub(super) fn show(reports: &[Report<'_>]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let mut parts = Vec::new();
    for (at, (target, call)) in first.targets.iter().zip(first.calls).enumerate() {
        let request = Report::request(call);
        let place = target.place.name();
        parts.push(printable(&format!(
            "{}  {place}  {} {}  {request}",
            at + 1,
            target.era.name(),
            target.revision
        )));
    }
    for report in reports {
        parts.push(format!("\n{}\n", report.method()));
        parts.push(figures(report).to_string());
        if report.targets.len() > 1 {
            parts.push(format!("\nratio to 1 [95 % interval]\n{}", ratios(report)));
        }
        let errors = errors(report);
        if !errors.is_empty() {
            parts.push(format!("\nerrors\n{}", errors.join("\n")));
        }
    }
    parts.extend(notes(reports).iter().map(|note| format!("\n{}", printable(note))));
    parts.join("\n")
}

/// The notes of all steps, each once.
pub(super) fn notes(reports: &[Report<'_>]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in reports.iter().flat_map(Report::notes) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

fn figures(report: &Report<'_>) -> Table {
    let names = QUANTILES.map(|(name, _)| format!("{name} µs"));
    let mut heading = vec!["", "calls/s"];
    heading.extend(names.iter().map(String::as_str));
    heading.extend(["max µs", "CPU µs/call", "memory MiB", "calls", "errors"]);
    let mut table = Table::new(&heading);
    for (at, figures) in report.outcome.results.iter().enumerate() {
        table.row([(at + 1).to_string()].into_iter().chain(row(figures)));
    }
    table
}

/// The cells of one target, as the heading of the table and the page has them.
pub(super) fn row(figures: &Figures) -> Vec<String> {
    let mut cells = vec![spread(figures.calls_per_s, 0)];
    cells.extend(QUANTILES.map(|(name, _)| figure(figures.latency_us.get(name).copied().flatten(), 0)));
    cells.push(figure(figures.max_us, 0));
    cells.push(spread(figures.cpu_us_per_call, 1));
    cells.push(figure(figures.memory_kib.map(|kib| kib as f64 / 1024.0), 1));
    cells.push(figures.calls.to_string());
    cells.push(figures.errors.to_string());
    cells
}

fn ratios(report: &Report<'_>) -> Table {
    let mut table = Table::new(&["", "calls/s", "p50", "p95", "p99", "CPU/call"]);
    for (at, figures) in report.outcome.results.iter().enumerate() {
        if let Some(ratios) = &figures.ratios {
            let cells = cells(ratios).map(ratio);
            table.row([(at + 1).to_string()].into_iter().chain(cells));
        }
    }
    table
}

/// The ratios in the order of their heading.
pub(super) fn cells(ratios: &Ratios) -> [Option<Ratio>; 5] {
    [ratios.calls_per_s, ratios.p50, ratios.p95, ratios.p99, ratios.cpu_us_per_call]
}

/// Each kind of error of each target: how many, and what the first one said.
pub(super) fn errors(report: &Report<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, figures) in report.outcome.results.iter().enumerate() {
        for faults in figures.errors_by_kind.kinds().values() {
            let first = printable(&faults.first).replace('\n', " ");
            lines.push(format!("{}  {} × {first}", at + 1, faults.count));
        }
    }
    lines
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.into(), |value| format!("{value:.digits$}"))
}

fn spread(value: Option<Spread>, digits: usize) -> String {
    figure(value.map(|spread| spread.median), digits)
}

/// A ratio with its interval.
pub(super) fn ratio(ratio: Option<Ratio>) -> String {
    let show = |value: f64| match value {
        value if value > WIDE => format!(">{WIDE}"),
        value if value < 0.1 => format!("{value:.3}"),
        value => format!("{value:.2}"),
    };
    ratio.map_or_else(
        || NONE.into(),
        |Ratio { ratio, low, high }| format!("{} [{}, {}]", show(ratio), show(low), show(high)),
    )
}

/// Greatest ratio that is worth its digits: what few or uneven rounds leave open has no end.
const WIDE: f64 = 1_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_as_long_as_it_says_something() {
        let of = |ratio, low, high| super::ratio(Some(Ratio { ratio, low, high }));
        assert_eq!(of(1.5, 0.9, 2.0), "1.50 [0.90, 2.00]");
        assert_eq!(of(0.0084, 0.0, 1e12), "0.008 [0.000, >1000]");
        assert_eq!(super::ratio(None), "-");
    }
}
