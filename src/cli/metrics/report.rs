//! The server's document as a text of tables.

use serde_json::Value;

use super::figures::{
    UNKNOWN, bytes, count, counts, lasting, line, millis, of_hundred, percent, rate, short, text,
};
use super::listing::{ALERTS, CATEGORIES, LIVE, Listing, METHODS, REPLICAS, Sort, TOOLS, UPSTREAMS, cut};
use crate::cli::ask::items;
use crate::cli::table::Table;

/// What of the document is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    /// What comes first in the lists of calls.
    pub(super) sort: Sort,
    /// Most rows of a list; 0 for all.
    pub(super) top: usize,
    /// Cells of the terminal in a line, if it is one: what does not fit is left out of the lists.
    pub(super) width: Option<usize>,
}

/// The whole text, without a line end.
pub(super) fn report(document: &Value, choice: Choice) -> String {
    let mut parts = vec![head(document), summary(document)];
    // What needs somebody comes before what is merely so.
    for listing in [&ALERTS, &TOOLS, &UPSTREAMS, &CATEGORIES, &METHODS, &REPLICAS, &LIVE] {
        parts.extend(table(document, listing, choice));
    }
    parts.join("\n\n")
}

/// The health on one line: `warning: 7 % of the requests of the last minute failed`.
pub(super) fn health(document: &Value) -> String {
    let health = &document["health"];
    let reasons: Vec<String> = items(&health["reasons"]).iter().map(|reason| text(&reason["text"])).collect();
    let status = text(&health["status"]);
    if reasons.is_empty() { status } else { format!("{status}: {}", reasons.join("; ")) }
}

/// The window in words: `the last 1 min`, or how much of it there is.
pub(super) fn window(document: &Value) -> String {
    let covers = lasting(&document["window"]["covers_ms"]);
    match document["window"]["name"].as_str() {
        Some("start") => format!("since the start ({covers})"),
        Some(name) => format!("of the last {} (covers {covers})", line(name)),
        None => UNKNOWN.into(),
    }
}

fn head(document: &Value) -> String {
    let mut lines = vec![health(document)];
    lines.push(format!(
        "aqe-v3 {}, pid {}, up {}, started in {}; figures {}",
        text(&document["version"]),
        text(&document["pid"]),
        lasting(&document["uptime_ms"]),
        millis(&document["startup_ms"]),
        window(document),
    ));
    if document["monitoring"] == false {
        lines.push("monitoring is off ([monitoring] enabled = false): figures of calls are not known".into());
    }
    lines.join("\n")
}

fn summary(document: &Value) -> String {
    let rows = [
        ("requests", requests(&document["all"])),
        ("errors", failures(&document["all"])),
        ("latency", times(&document["all"]["latency_ms"])),
        ("  upstream", times(&document["all"]["upstream_ms"])),
        ("  overhead", times(&document["all"]["overhead_ms"])),
        ("sizes", sizes(document)),
        ("pool", pool(&document["pool"])),
        ("cache", cache(&document["cache"])),
        ("look-ups", lookups(&document["lookups"])),
        ("tools/list", list(&document["lists"]["tools"])),
        ("process", process(document)),
        ("refused", refused(&document["refused"])),
    ];
    rows.map(|(name, figures)| format!("{name:<11} {figures}")).join("\n")
}

fn requests(all: &Value) -> String {
    format!(
        "{}, {}, {} in flight, {} cancelled, {} from the cache",
        count(&all["requests"]),
        rate(&all["per_s"]),
        count(&all["in_flight"]),
        count(&all["cancelled"]),
        count(&all["from_cache"])
    )
}

/// The errors, how many of all, and of which kinds.
pub(super) fn failures(calls: &Value) -> String {
    let kinds = counts(&calls["errors_by_kind"]);
    let kinds = if kinds.is_empty() { kinds } else { format!(": {kinds}") };
    format!("{} ({}){kinds}", count(&calls["errors"]), percent(&calls["error_rate"]))
}

/// The percentiles of a time.
pub(super) fn times(times: &Value) -> String {
    let shown = ["p50", "p95", "p99", "max"].map(|key| format!("{key} {}", millis(&times[key])));
    format!("{}, mean {}", shown.join(", "), millis(&times["mean"]))
}

fn sizes(document: &Value) -> String {
    let all = &document["all"];
    let estimator = document["token_estimator"].as_str().map(|how| format!(" ({})", line(how)));
    format!(
        "requests {}, answers {}, tokens of results about {}{}",
        bytes(&all["request_bytes"]),
        bytes(&all["response_bytes"]),
        short(&all["estimated_tokens"]),
        estimator.unwrap_or_default()
    )
}

/// The connections.
pub(super) fn pool(pool: &Value) -> String {
    let all = &pool["all"];
    format!(
        "{} in use of {}, {} idle, {} opening, {} waiting, hit rate {}, wait p99 {}",
        count(&all["in_use"]),
        count(&pool["settings"]["max_connections"]),
        count(&all["idle"]),
        count(&all["opening"]),
        count(&all["waiting"]),
        percent(&all["hit_rate"]),
        millis(&all["wait_ms"]["p99"]),
    )
}

fn cache(cache: &Value) -> String {
    if cache.is_null() {
        return "off".into();
    }
    let levels = items(&cache["levels"]).iter().map(|level| {
        let hits = format!(
            "{} {} ({} hits)",
            text(&level["level"]),
            percent(&level["hit_rate"]),
            count(&level["hits"])
        );
        // A level may be off while the others work.
        level["off"].as_str().map_or(hits, |why| format!("{} off: {}", text(&level["level"]), line(why)))
    });
    let mut parts: Vec<String> = levels.collect();
    parts.push(format!("{} calls joined an equal one", count(&cache["calls_joined"])));
    parts.join(", ")
}

/// How names were found.
pub(super) fn lookups(lookups: &Value) -> String {
    format!(
        "{} exact, {} near, {} unknown; {}",
        count(&lookups["exact"]),
        count(&lookups["resolved"]),
        count(&lookups["unknown"]),
        rate(&lookups["per_s"])
    )
}

/// What the list of tools costs whoever reads it.
pub(super) fn list(list: &Value) -> String {
    format!(
        "{} tools, {}, about {} tokens",
        count(&list["entries"]),
        bytes(&list["bytes"]),
        short(&list["estimated_tokens"])
    )
}

fn process(document: &Value) -> String {
    let process = &document["process"];
    format!(
        "memory {}, cpu {}, {} threads, {} open files, {} sessions",
        bytes(&process["rss_bytes"]),
        of_hundred(&process["cpu_percent"]),
        count(&process["threads"]),
        count(&process["open_files"]),
        count(&document["sessions"])
    )
}

fn refused(refused: &Value) -> String {
    match counts(refused) {
        some if !some.is_empty() => format!("{some} (since the start, before they became requests)"),
        _ if refused.is_object() => "none".into(),
        _ => UNKNOWN.into(),
    }
}

fn table(document: &Value, listing: &Listing, choice: Choice) -> Option<String> {
    let all = listing.rows(document, choice.sort, "");
    if all.is_empty() {
        return None;
    }
    let most = if choice.top == 0 { usize::MAX } else { choice.top };
    let rows = &all[..all.len().min(most)];
    let columns = listing.fitting(rows, choice.width.unwrap_or(usize::MAX));
    let headings: Vec<&str> = columns.iter().map(|(column, _)| column.title).collect();
    let figures = columns.iter().enumerate().filter(|(_, (column, _))| column.right).map(|(at, _)| at);
    let mut table = Table::new(&headings).right(figures);
    for row in rows {
        let cells = columns.iter().map(|(column, width)| cut(&(column.cell)(row), *width));
        table.row(cells);
    }
    let left = all.len() - rows.len();
    let more = match listing.sorted {
        _ if left == 0 => String::new(),
        true => format!("\n{left} more {}; these are the {}", listing.title, choice.sort.words()),
        false => format!("\n{left} more {}", listing.title),
    };
    let notes: String = rows.iter().filter_map(|row| note(listing, row)).collect();
    Some(format!("{table}{more}{notes}"))
}

/// What a replica or an alert says of itself.
fn note(listing: &Listing, row: &Value) -> Option<String> {
    let said = match listing.member {
        "replicas" => row["error"].as_str().or(row["reason"].as_str())?,
        "alerts" => row["text"].as_str()?,
        _ => return None,
    };
    Some(format!("\n{}: {}", (listing.key)(row), line(said)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::metrics::sample;

    const CHOICE: Choice = Choice { sort: Sort::Used, top: 2, width: None };

    #[test]
    fn the_table_begins_with_the_health_and_what_is_so_in_all() {
        let shown = report(&sample::document(), CHOICE);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "warning: 64 % of the calls found a connection (less than 70 %)",
                "aqe-v3 0.1.0, pid 4711, up 3 h 12 min, started in 8.10 ms; figures of the last 1m (covers 1 min 1 s)",
                "",
                "requests    1230, 20.5/s, 3 in flight, 1 cancelled, 307 from the cache",
                "errors      4 (0.3 %): tool_error 3, timeout 1",
            ]
        );
        for part in [
            "\n  overhead  p50 0.02 ms, p95 0.06 ms",
            "\npool        5 in use of 50, 3 idle, 1 opening, 2 waiting, hit rate 64.0 %",
            "\ncache       l1 24.4 % (300 hits)",
            "\nrefused     unauthorized 2 (since",
            "\npool-hit-rate  firing  warning   all  64.0 %     70.0 %  2026-11-22 12:30:00\npool-hit-rate: the pool's hit rate",
            "\nfiles__read_text_file       800  13.3/s       0  1.10 ms",
            "\n2 more tools; these are the most used\n",
            "\nsearch/two: connection refused\n",
            "\nc-1f  search__query   2.41 s",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
    }

    #[test]
    fn rows_are_ordered_and_as_many_as_were_asked_for() {
        let slow = report(&sample::document(), Choice { sort: Sort::Slow, top: 1, ..CHOICE });
        assert!(slow.contains("\nsearch__query") && !slow.contains("\nfiles__read_text_file"), "{slow}");
        assert!(slow.contains("3 more tools; these are the slowest"), "{slow}");
        let all = report(&sample::document(), Choice { top: 0, ..CHOICE });
        assert!(all.contains("\nsearch__suggest") && !all.contains("more tools"), "{all}");
    }

    #[test]
    fn lists_fit_the_terminal() {
        for width in [60, 80, 132] {
            let shown = report(&sample::document(), Choice { width: Some(width), ..CHOICE });
            // The lines of the lists are cells; those with a colon are sentences.
            let mut lists =
                shown.split("\n\n").skip(2).flat_map(str::lines).filter(|line| !line.contains(": "));
            assert_eq!(lists.find(|line| line.chars().count() > width), None);
        }
    }

    #[test]
    fn a_document_that_tells_nothing_makes_no_figure_up() {
        for document in
            [json!({}), json!(null), json!({ "monitoring": false, "health": null, "cache": null })]
        {
            let shown = report(&document, CHOICE);
            let names = ["aqe-v3", "p50", "p95", "p99"];
            let figures = names.iter().fold(shown.clone(), |text, name| text.replace(name, ""));
            assert!(shown.starts_with("–\n") && !figures.contains(|c: char| c.is_ascii_digit()), "{shown}");
            assert!(
                shown.contains("\nrequests    –, –, – in flight") && shown.ends_with("refused     –"),
                "{shown}"
            );
        }
        let off = report(&json!({ "monitoring": false }), CHOICE);
        assert!(off.contains("monitoring is off"), "{off}");
    }
}
