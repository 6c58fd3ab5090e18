//! `qe_quality_metrics`: the project in some lines, then the items as a table.

use serde_json::Value;

use super::{figures, list, more, parts, percent, place, plain, share, sources, warnings};

pub(super) fn of(result: &Value) -> Vec<String> {
    let items = list(&result["items"]);
    let mut notes: Vec<String> = more(items.len(), result).into_iter().collect();
    let shown = ["coverage", "tests", "mutation", "trend"];
    let unknown = result["unknown"].as_object().into_iter().flatten();
    let unknown = unknown.filter(|(what, _)| !shown.contains(&what.as_str()));
    notes.extend(unknown.map(|(what, why)| format!("{what}: not known: {}", plain(why))));
    notes.extend(warnings(result));
    notes.extend(sources(result));
    parts([project(result), table(items), trend(result), notes])
}

fn project(result: &Value) -> Vec<String> {
    let project = &result["project"];
    let spread = |what: &Value| {
        format!(
            "p50 {}, p95 {}, max {}, sum {}",
            plain(&what["p50"]),
            plain(&what["p95"]),
            plain(&what["max"]),
            what["sum"]
        )
    };
    let mut lines = vec![
        format!(
            "size             {} files, {} lines of code, {} of comment, {} functions",
            project["files"], project["ncloc"], project["comment"], project["functions"]
        ),
        format!("cyclomatic       {}", spread(&project["cyclomatic"])),
        format!("cognitive        {}", spread(&project["cognitive"])),
        format!("maintainability  {}", plain(&project["maintainability"])),
        format!(
            "duplication      {} ({} lines)",
            percent(&project["duplicated_pct"]),
            project["duplicated_lines"]
        ),
    ];
    for (what, told) in
        [("coverage", coverage as fn(&Value) -> String), ("tests", tests), ("mutation", mutation)]
    {
        let of = &result[what];
        let why = || format!("{}: {}", super::UNKNOWN, plain(&result["unknown"][what]));
        let told = if of.is_null() { why() } else { told(of) };
        let stale = of["stale"].as_str().map(|why| format!("; STALE: {why}")).unwrap_or_default();
        lines.push(format!("{what:<15}  {told}{stale}"));
    }
    lines
}

fn coverage(of: &Value) -> String {
    let branches = match &of["branch"] {
        Value::Null => String::new(),
        branch => format!(", branches {}", share(branch)),
    };
    let absent = match of["unmeasured_files"].as_u64() {
        None | Some(0) => String::new(),
        Some(files) => format!("; {files} files are in no report"),
    };
    format!("lines {}{branches}{absent}", share(&of["line"]))
}

fn tests(of: &Value) -> String {
    let time = of["seconds"].as_f64().map(|seconds| format!(", {seconds} s")).unwrap_or_default();
    format!(
        "{}: {} failed, {} skipped, {} flaky{time}",
        of["total"], of["failed"], of["skipped"], of["flaky"]
    )
}

fn mutation(of: &Value) -> String {
    let alive = of["survived"].as_u64().unwrap_or(0) + of["no_coverage"].as_u64().unwrap_or(0);
    let dead = of["killed"].as_u64().unwrap_or(0) + of["timeout"].as_u64().unwrap_or(0);
    format!("{} ({dead} of {} mutants noticed)", percent(&of["score"]), dead + alive)
}

fn table(items: &[Value]) -> Vec<String> {
    let Some(first) = items.first() else { return Vec::new() };
    if first["places"].is_array() {
        let rows = items.iter().map(|item| {
            let places: Vec<_> =
                list(&item["places"]).iter().map(|at| place(&at["file"], &at["lines"])).collect();
            vec![places.join("  =  "), plain(&item["tokens"])]
        });
        return figures(&["duplicate", "tokens"], rows);
    }
    let row = |item: &Value, names: &[&str]| names.iter().map(|name| plain(&item[*name])).collect::<Vec<_>>();
    if first["name"].is_string() {
        let rows = items.iter().map(|item| {
            let mut cells =
                vec![format!("{}  {}", place(&item["file"], &item["lines"]), plain(&item["name"]))];
            cells.extend(row(item, &["cognitive", "cyclomatic", "ncloc", "parameters"]));
            cells.extend([percent(&item["line_pct"]), plain(&item["crap"])]);
            cells
        });
        let heading = ["function", "cognitive", "cyclomatic", "code", "parameters", "covered", "CRAP"];
        return figures(&heading, rows);
    }
    let rows = items.iter().map(|item| {
        let mut cells =
            row(item, &["path", "ncloc", "functions", "cyclomatic", "cognitive", "maintainability"]);
        cells.extend([
            percent(&item["duplicated_pct"]),
            percent(&item["line_pct"]),
            plain(&item["crap_max"]),
        ]);
        cells.extend(row(item, &["commits_90d", "hotspot"]));
        cells
    });
    let heading = [
        "path",
        "code",
        "functions",
        "cyclomatic",
        "cognitive",
        "maint.",
        "duplicated",
        "covered",
        "CRAP",
        "commits",
        "hotspot",
    ];
    figures(&heading, rows)
}

fn trend(result: &Value) -> Vec<String> {
    let trend = &result["trend"];
    let commits = list(&trend["commits"]);
    let Some(metrics) = trend["metrics"].as_object() else {
        let why = result["unknown"]["trend"].as_str();
        return why.map(|why| format!("trend: not known: {why}")).into_iter().collect();
    };
    let mut lines = vec![format!("the last {} commits of {}", commits.len(), plain(&trend["branch"]))];
    lines.extend(
        trend["reason"].as_str().map(|why| format!("what was measured now is not one of them: {why}")),
    );
    let rows = metrics.iter().map(|(name, series)| {
        let delta = series["delta"].as_f64().map(|delta| format!("{delta:+}")).unwrap_or_default();
        vec![name.clone(), plain(&series["first"]), plain(&series["last"]), delta]
    });
    lines.extend(figures(&["metric", "first", "last", "change"], rows));
    lines
}
