//! The figures as a page of its own: no script, and nothing that is fetched from anywhere.

use std::fmt::Write as _;

use aqe_load::contest::{Figures, QUANTILES, Round};

use super::report::Report;
use super::{chart, text};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5d6670; --line: #d5dae0; --page: #fff;
  --c0: #0b6bcb; --c1: #c2500a; --c2: #1a7f4b; --c3: #8a3fb0; --c4: #a0740a; --c5: #b8265a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --dim: #98a2ad; --line: #39414a; --page: #14181d;
  --c0: #5aa9f5; --c1: #f0935a; --c2: #56c48c; --c3: #c58ae6; --c4: #dcb24c; --c5: #f07ba5; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 64rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; } h3 { font-size: 1rem; } p, li { color: var(--dim); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.plain th:last-child, .plain td:last-child { text-align: left; white-space: normal; } svg { width: 100%; height: auto; }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; } svg .axis { stroke: var(--line); }
.mark { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .5em; }
";

/// A page with this title and what follows it.
pub(super) fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n{body}</html>\n"
    )
}

/// The page of a contest, or of the steps of a ladder.
pub(super) fn page(reports: &[Report<'_>]) -> String {
    let mut body = String::new();
    if reports.len() > 1 {
        steps(&mut body, reports);
    }
    for report in reports {
        contest(&mut body, report);
    }
    let errors = reports.iter().flat_map(text::errors);
    list(&mut body, errors.chain(text::notes(reports)));
    frame("MCP benchmark", &body)
}

/// How the figures change from step to step: over the connections, a chart for each payload; or over the payloads.
fn steps(body: &mut String, reports: &[Report<'_>]) {
    let connections = |report: &Report<'_>| report.plan.drive.connections;
    let over_payloads = reports.iter().all(|report| connections(report) == connections(&reports[0]));
    let mut rest = reports;
    while let Some(first) = rest.first() {
        let is_together = |report: &&Report<'_>| over_payloads || report.payload == first.payload;
        let (group, others) = rest.split_at(rest.iter().take_while(is_together).count());
        rest = others;
        let (labels, title): (Vec<String>, _) = if over_payloads {
            let bytes =
                |report: &Report<'_>| report.payload.map(|bytes| bytes.to_string()).unwrap_or_default();
            (group.iter().map(bytes).collect(), "over bytes of payload".to_owned())
        } else {
            let payload = first.payload.map(|bytes| format!(", payload of {bytes} bytes"));
            let title = format!("over connections{}", payload.unwrap_or_default());
            (group.iter().map(|report| connections(report).to_string()).collect(), title)
        };
        let lines = |figure: &dyn Fn(&Figures) -> Option<f64>| -> Vec<Vec<Option<f64>>> {
            let targets = 0..first.targets.len();
            targets
                .map(|at| group.iter().map(|report| figure(&report.outcome.results[at])).collect())
                .collect()
        };
        let rates = lines(&|figures| figures.calls_per_s.map(|spread| spread.median));
        let latency = |name| lines(&move |figures| figures.latency_us.get(name).copied().flatten());
        section(body, &format!("Calls per second, {title}"), &chart::steps(&labels, &[&rates], false));
        section(
            body,
            &format!("Latency in µs, p50 and (dashed) p99, {title}"),
            &chart::steps(&labels, &[&latency("p50"), &latency("p99")], true),
        );
    }
}

fn contest(body: &mut String, report: &Report<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(body, "<h2>{}</h2>", escape(&report.method()));
    let mut heading = vec!["target".to_owned(), "era".into(), "request".into(), "calls/s".into()];
    heading.extend(QUANTILES.map(|(name, _)| format!("{name} µs")));
    heading.extend(["max µs", "CPU µs/call", "memory MiB", "calls", "errors"].map(str::to_owned));
    let results = &report.outcome.results;
    let rows = report.targets.iter().zip(report.calls).zip(results).map(|((target, call), figures)| {
        let mut cells = vec![target.place.name(), target.era.name().into(), Report::request(call)];
        cells.extend(text::row(figures));
        cells
    });
    table(body, &heading, rows);
    if results.len() > 1 {
        body.push_str("<h3>Ratio to the first target, with intervals of 95 %</h3>\n");
        let heading = ["target", "calls/s", "p50", "p95", "p99", "CPU/call"].map(str::to_owned);
        let rows = report.targets.iter().zip(results).map(|(target, figures)| {
            let ratios = figures.ratios.map(|ratios| text::cells(&ratios).map(text::ratio));
            let first = || ["1"; 5].map(str::to_owned);
            std::iter::once(target.place.name()).chain(ratios.unwrap_or_else(first)).collect()
        });
        table(body, &heading, rows);
    }
    charts(body, results);
}

/// What a contest's rounds look like.
pub(super) fn charts(body: &mut String, results: &[Figures]) {
    let curves: Vec<&[(f64, f64)]> = results.iter().map(|figures| figures.curve.as_slice()).collect();
    section(body, "Latency by percentile, µs", &chart::percentiles(&curves));
    let rounds = |figure: &dyn Fn(&Round) -> Option<f64>| -> Vec<Vec<f64>> {
        results.iter().map(|figures| figures.rounds.iter().filter_map(figure).collect()).collect()
    };
    section(body, "Calls per second, each round", &chart::rounds(&rounds(&|round| Some(round.calls_per_s))));
    section(body, "CPU µs per call, each round", &chart::rounds(&rounds(&|round| round.cpu_us_per_call)));
}

/// Notes, if there are any.
pub(super) fn list(body: &mut String, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    body.push_str("<h2>Notes</h2>\n<ul>\n");
    for line in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(body, "<li>{}</li>", escape(&line));
    }
    body.push_str("</ul>\n");
}

fn section(page: &mut String, title: &str, chart: &str) {
    if !chart.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(page, "<h3>{title}</h3>\n{chart}\n");
    }
}

pub(super) fn table(page: &mut String, heading: &[String], rows: impl Iterator<Item = Vec<String>>) {
    page.push_str("<div class=\"scroll\"><table>\n<tr>");
    for cell in heading {
        // Writing to a string cannot fail.
        let _ = write!(page, "<th>{}</th>", escape(cell));
    }
    page.push_str("</tr>\n");
    for (at, row) in rows.enumerate() {
        // The colour of the target in the charts.
        let _ =
            write!(page, "<tr><td><span class=\"mark\" style=\"background:{}\"></span>", chart::colour(at));
        let mut cells = row.iter().map(|cell| escape(cell));
        page.push_str(&cells.next().unwrap_or_default());
        page.push_str("</td>");
        for cell in cells {
            let _ = write!(page, "<td>{cell}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

/// A table whose rows are no targets.
pub(super) fn plain_table(page: &mut String, heading: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let line = |cells: &mut dyn Iterator<Item = String>, tag: &str| {
        let cells: Vec<String> = cells.map(|cell| format!("<{tag}>{}</{tag}>", escape(&cell))).collect();
        format!("<tr>{}</tr>\n", cells.concat())
    };
    page.push_str("<div class=\"scroll\"><table class=\"plain\">\n");
    page.push_str(&line(&mut heading.iter().map(|&cell| cell.to_owned()), "th"));
    for row in rows {
        page.push_str(&line(&mut row.into_iter(), "td"));
    }
    page.push_str("</table></div>\n");
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_shown_and_not_obeyed() {
        let mut page = String::new();
        let row = vec!["<script>\"&".to_owned(), "1".into()];
        table(&mut page, &["a".to_owned(), "b".into()], std::iter::once(row));
        assert!(page.contains("&lt;script&gt;&quot;&amp;</td><td>1</td>"), "{page}");
    }
}
