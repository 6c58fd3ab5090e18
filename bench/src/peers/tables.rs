//! The figures of peers as tables.

use aqe_load::contest::{Figures, Round};

use crate::peers::measure::{CALLS, Found, Row};
use crate::peers::table::Peer;
use crate::peers::{Installed, Plan};
use crate::report::{Cell, Section};
use crate::stats::{Ratio, Spread};

/// The rows that are not peers.
pub(crate) const OURS: &str = "aqe-v3";
pub(crate) const DIRECT: &str = "no gateway";
pub(crate) const COPY: &str = "copying proxy";

/// Bytes of JSON that make about one token.
const BYTES_PER_TOKEN: f64 = 4.0;

/// What is compared, and how it is configured.
pub(crate) fn versions(peers: &[Installed<'_>]) -> Section {
    let row = |(peer, folder): &(&Peer, &std::result::Result<_, String>)| {
        let state = folder.as_ref().err().cloned().unwrap_or_default();
        let about = peer.about.split_whitespace().collect::<Vec<_>>().join(" ");
        vec![Cell::text(&peer.name), Cell::text(&peer.version), Cell::text(about), Cell::text(state)]
    };
    Section {
        title: "Peers".into(),
        columns: vec!["peer", "version", "configuration", "note"],
        rows: peers.iter().map(row).collect(),
    }
}

/// What a call costs.
pub(crate) fn calls(name: &str, rows: &[Row], plan: &Plan) -> Section {
    let found = |name: &str| rows.iter().find(|row| row.name == name).and_then(|row| row.found.as_ref().ok());
    let direct = found(DIRECT);
    let ours = found(OURS);
    let row = |row: &Row| match &row.found {
        Ok(found) => call_cells(&row.name, found, direct, ours),
        Err(reason) => missing(&row.name, 14, reason),
    };
    Section {
        title: format!(
            "{name}: calls of 0.2 KB, {} rounds of {:?}. On one connection: what p50, p95 and p99 have above those \
             without a gateway, and how many times ours that is. On {} connections: calls per second, and CPU time of \
             the process tree per call, also in ratio to ours",
            plan.rounds, plan.round, plan.connections
        ),
        columns: vec![
            "side",
            "p50_us",
            "added_p50_us",
            "added_p50_ratio",
            "added_p95_us",
            "added_p95_ratio",
            "added_p99_us",
            "added_p99_ratio",
            "calls_per_s",
            "calls_per_s_ratio",
            "p99_us",
            "cpu_us",
            "cpu_ratio",
            "errors",
            "note",
        ],
        rows: rows.iter().map(row).collect(),
    }
}

fn call_cells(name: &str, found: &Found, direct: Option<&Found>, ours: Option<&Found>) -> Vec<Cell> {
    let mut cells = vec![Cell::text(name), spread(quantile(&found.one, "p50"), 0)];
    for at in ["p50", "p95", "p99"] {
        let added = |side: &Found| direct.map(|direct| added(side, direct, at)).unwrap_or_default();
        let own = if name == DIRECT { Vec::new() } else { added(found) };
        cells.push(spread(Spread::of(own.iter().copied()), 0));
        let ratio = (name != OURS).then(|| ours.and_then(|ours| Ratio::of(&own, &added(ours)))).flatten();
        cells.push(Cell::ratio(ratio, 2));
    }
    let many = &found.many;
    let ratios = many.ratios.as_ref();
    cells.push(spread(many.calls_per_s, 0));
    cells.push(Cell::ratio(ratios.and_then(|ratios| ratios.calls_per_s), 3));
    cells.push(spread(quantile(many, "p99"), 0));
    cells.push(spread(many.cpu_us_per_call, 1));
    cells.push(Cell::ratio(ratios.and_then(|ratios| ratios.cpu_us_per_call), 2));
    let errors = [&found.one, many];
    let count: u64 = errors.iter().map(|figures| figures.errors + figures.warm_up_errors).sum();
    cells.push(spread(Some(Spread::exactly(count as f64)), 0));
    let first = errors.iter().find_map(|figures| figures.errors_by_kind.kinds().values().next());
    cells.push(Cell::text(first.map(|kind| kind.first.clone()).unwrap_or_default()));
    cells
}

/// What a process costs.
pub(crate) fn process(name: &str, rows: &[Row], plan: &Plan) -> Section {
    let rows = rows.iter().filter(|row| row.found.as_ref().map_or(true, |found| found.is_peer));
    let row = |row: &Row| match &row.found {
        Ok(found) => process_cells(&row.name, found),
        Err(reason) => missing(&row.name, 10, reason),
    };
    Section {
        title: format!(
            "{name}: processes. From spawning to the first tools/list with the upstream's tools, as on every start but \
             the first, and how long the first call takes then ({} starts); memory (PSS) of the process tree when idle \
             and after {CALLS} calls, or as many as 10 s allow; the reply to tools/list, at {BYTES_PER_TOKEN} bytes a token",
            plan.starts
        ),
        columns: vec![
            "side",
            "start_ms",
            "first_call_ms",
            "idle_mib",
            "used_mib",
            "growth_mib",
            "calls",
            "tools",
            "list_bytes",
            "list_tokens",
            "note",
        ],
        rows: rows.map(row).collect(),
    }
}

fn process_cells(name: &str, found: &Found) -> Vec<Cell> {
    let one = |value: Option<f64>, digits| spread(value.map(Spread::exactly), digits);
    let bytes = found.list_bytes.map(|bytes| bytes as f64);
    let growth = found.idle_mib.zip(found.used_mib).map(|(idle, used)| used - idle);
    vec![
        Cell::text(name),
        spread(found.start_ms, 1),
        one(Some(found.first_call_ms), 1),
        one(found.idle_mib, 1),
        one(found.used_mib, 1),
        one(growth, 1),
        one(Some(found.calls as f64), 0),
        one(Some(found.tools as f64), 0),
        one(bytes, 0),
        one(bytes.map(|bytes| bytes / BYTES_PER_TOKEN), 0),
        Cell::text(""),
    ]
}

/// A row without figures, and why.
pub(crate) fn missing(name: &str, figures: usize, reason: &str) -> Vec<Cell> {
    let mut cells = vec![Cell::text(name)];
    cells.extend((1..figures).map(|_| Cell::text("–")));
    cells.push(Cell::text(reason.split_whitespace().collect::<Vec<_>>().join(" ")));
    cells
}

/// A figure, or a dash.
pub(crate) fn spread(spread: Option<Spread>, digits: usize) -> Cell {
    spread.map_or_else(|| Cell::text("–"), |spread| Cell::Figure(spread, digits))
}

fn quantile(figures: &Figures, name: &'static str) -> Option<Spread> {
    Spread::of(figures.rounds.iter().filter_map(|round| latency(round, name)))
}

fn latency(round: &Round, name: &'static str) -> Option<f64> {
    round.latency_us.get(name).copied().flatten()
}

/// What a quantile has above that of going straight to the upstream, round by round.
fn added(side: &Found, direct: &Found, name: &'static str) -> Vec<f64> {
    let pairs = side.one.rounds.iter().zip(&direct.one.rounds);
    pairs.filter_map(|(side, direct)| Some(latency(side, name)? - latency(direct, name)?)).collect()
}
