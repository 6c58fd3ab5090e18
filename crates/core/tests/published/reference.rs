//! The reference page.

use std::fmt::Write as _;

use aqe_core::monitor::ErrorKind;
use aqe_core::monitor::metrics::bounds::{Bound, DURATIONS, DURATIONS_OF_MANY};
use aqe_core::monitor::metrics::{ALL, Kind};

const INTRODUCTION: &str = "\
# Metrics

This page is printed from the source: change it there (`crates/core/src/monitor/metrics/list.rs`), then run
`UPDATE_REFERENCE=1 cargo test -p aqe-core --test published`.

`GET /metrics` and `aqe-v3 mcp metrics --export prometheus` tell of these; docs/monitoring.md says how.

Counters and histograms are since the start of the process and are reset by nobody. Requests are those that ended until the
last full second. What is not known has no sample, never a 0: nothing is recorded with `[monitoring] enabled = false`, a
tool that was not called since the start has no samples, an upstream by URL has no children, what is switched off has none, and only Linux tells of
processes. Stable metrics keep name, labels and meaning until the next major version.

| metric | type | labels | stability | meaning |
|---|---|---|---|---|
";

pub(crate) fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for metric in ALL {
        let mut labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        if let Kind::States(states) = metric.kind {
            let states: Vec<String> = states.iter().map(|state| format!("`{state}`")).collect();
            labels.push(format!("`{}`: {}", metric.name, states.join(", ")));
        }
        let cells = [
            format!("`{}`", metric.name),
            metric.kind.as_str().to_owned(),
            labels.join(", "),
            metric.stability.as_str().to_owned(),
            metric.help.to_owned(),
        ];
        writeln!(page, "| {} |", cells.join(" | ")).unwrap();
    }
    let bounds = |of: &[Bound]| of.iter().map(|bound| bound.le).collect::<Vec<_>>().join(", ");
    let kinds: Vec<String> = ErrorKind::ALL.iter().map(|kind| format!("`{}`", kind.as_str())).collect();
    write!(
        page,
        "
## Bounds

Durations are counted by these bounds, in seconds: {}.

Those of `aqe_tool_duration_seconds`, of which there may be hundreds: {}.

Each is a bound of our own finer histograms too, so that the counts are exact; a value that equals a bound to the nanosecond counts above it. What `histogram_quantile` makes of them is off by the
width of a bucket at most. `/admin/metrics` and the dashboard make their percentiles from buckets of 1.6 %.

## Labels

| label | values |
|---|---|
| `tool` | the names that clients see, of the first `[monitoring] max_tool_series` tools that were called; `(other)` for the other tools of an upstream together |
| `category` | the tool's; `(other)` with the tool `(other)` |
| `upstream`, `replica` | the names in the configuration |
| `method` | MCP's methods; `other` for all that MCP does not know |
| `kind` | {} |
| `reason` of `aqe_refused_total` | `parse`, `unauthorized`, `origin`, `headers`, `session`, `too_large` |
| `reason` of `aqe_pool_closed_total` | why, as in `mcp pool status` |
| `level` | `l1` (hot), `l2` (memory), `l3` (disk) |
",
        bounds(&DURATIONS),
        bounds(&DURATIONS_OF_MANY),
        kinds.join(", ")
    )
    .unwrap();
    page
}
