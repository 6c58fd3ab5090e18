//! The figures as a page of its own: no script, and nothing that is fetched from anywhere.

use std::fmt::Write as _;

use aqe_load::contest::QUANTILES;

use super::{Report, chart, text};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5d6670; --line: #d5dae0; --page: #fff;
  --c0: #0b6bcb; --c1: #c2500a; --c2: #1a7f4b; --c3: #8a3fb0; --c4: #a0740a; --c5: #b8265a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --dim: #98a2ad; --line: #39414a; --page: #14181d;
  --c0: #5aa9f5; --c1: #f0935a; --c2: #56c48c; --c3: #c58ae6; --c4: #dcb24c; --c5: #f07ba5; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 64rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p, li { color: var(--dim); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } svg { width: 100%; height: auto; }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; } svg .axis { stroke: var(--line); }
.mark { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .5em; }
";

/// The page.
pub(super) fn page(report: &Report<'_>) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n<title>MCP benchmark</title>\n<style>{STYLE}</style>\n<h1>MCP benchmark</h1>\n<p>{}</p>\n",
        escape(&report.method())
    );
    let mut heading = vec!["target".to_owned(), "era".into(), "request".into(), "calls/s".into()];
    heading.extend(QUANTILES.map(|(name, _)| format!("{name} µs")));
    heading.extend(["max µs", "CPU µs/call", "memory MiB", "calls", "errors"].map(str::to_owned));
    let results = &report.outcome.results;
    let rows = report.targets.iter().zip(report.calls).zip(results).map(|((target, call), figures)| {
        let mut cells = vec![target.place.name(), target.era.name().into(), super::Report::request(call)];
        cells.extend(text::row(figures));
        cells
    });
    table(&mut page, &heading, rows);
    if results.len() > 1 {
        page.push_str("<h2>Ratio to the first target, with intervals of 95 %</h2>\n");
        let heading = ["target", "calls/s", "p50", "p99", "CPU/call"].map(str::to_owned);
        let rows = report.targets.iter().zip(results).map(|(target, figures)| {
            let ratios = figures.ratios.map(|ratios| {
                [ratios.calls_per_s, ratios.p50, ratios.p99, ratios.cpu_us_per_call].map(text::ratio)
            });
            let first = || ["1", "1", "1", "1"].map(str::to_owned);
            std::iter::once(target.place.name()).chain(ratios.unwrap_or_else(first)).collect()
        });
        table(&mut page, &heading, rows);
    }
    let curves: Vec<&[(f64, f64)]> = results.iter().map(|figures| figures.curve.as_slice()).collect();
    section(&mut page, "Latency by percentile, µs", &chart::percentiles(&curves));
    let rounds = |figure: &dyn Fn(&aqe_load::contest::Round) -> Option<f64>| -> Vec<Vec<f64>> {
        results.iter().map(|figures| figures.rounds.iter().filter_map(figure).collect()).collect()
    };
    section(
        &mut page,
        "Calls per second, each round",
        &chart::rounds(&rounds(&|round| Some(round.calls_per_s))),
    );
    section(
        &mut page,
        "CPU µs per call, each round",
        &chart::rounds(&rounds(&|round| round.cpu_us_per_call)),
    );
    let lines: Vec<String> = text::errors(report).into_iter().chain(report.notes()).collect();
    if !lines.is_empty() {
        page.push_str("<h2>Notes</h2>\n<ul>\n");
        for line in &lines {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "<li>{}</li>", escape(line));
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</html>\n");
    page
}

fn section(page: &mut String, title: &str, chart: &str) {
    if !chart.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(page, "<h2>{title}</h2>\n{chart}\n");
    }
}

fn table(page: &mut String, heading: &[String], rows: impl Iterator<Item = Vec<String>>) {
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

fn escape(text: &str) -> String {
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
