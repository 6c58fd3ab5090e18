//! What it takes to find a tool by its name, in this process: with the registry and the two ways that the gateway has.

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use aqe_core::registry::{
    Lookup, RawTool, RegistryConfig, ResolvedNames, Snapshot, SnapshotBuilder, UpstreamTools,
};
use aqe_load::stats::{Ratio, Spread};
use aqe_load::target::Target;

use super::names;
use super::row::{Limit, Row};
use crate::cli::Failure;

/// One round of one way.
const ROUND: Duration = Duration::from_millis(20);

/// Looks all names up that the optimised gateway lists, both ways in turns.
pub(super) fn row(targets: &[Target], rounds: usize) -> Result<Row, Failure> {
    let names = names(targets.get(1..).unwrap_or_default());
    let snapshot = registry(&names)?;
    // For near names only.
    let resolved = ResolvedNames::new(0);
    let scan = |name: &str| snapshot.scan(name).is_some();
    let lookup = |name: &str| matches!(snapshot.lookup(name, &resolved, |_| true), Lookup::Exact(_));
    let (mut naive, mut optimized) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(2) {
        naive.push(time(&names, &scan)?);
        optimized.push(time(&names, &lookup)?);
    }
    let figure = |rounds: &[f64]| {
        Spread::of(rounds.iter().copied()).map(|spread| spread.median).ok_or("no round".to_owned())
    };
    Ok(Row {
        what: "tool look-up".into(),
        unit: "µs",
        before: Some("~15 ms (linear)"),
        target: "< 5 ms (hash)",
        limit: Limit::Below(5_000.0),
        naive: figure(&naive),
        optimized: figure(&optimized),
        ratio: Ratio::of(&optimized, &naive),
        from: format!(
            "mean over the {} names that the gateway lists, each in turn, with its registry in this process, median of {} \
             rounds: a search from the first to the last, and the index",
            names.len(),
            rounds.max(2)
        ),
    })
}

/// The registry of tools with these names.
fn registry(names: &[&str]) -> Result<Snapshot, Failure> {
    let tool = |name: &&str| {
        let value = serde_json::Value::from(*name).to_string();
        let definition = format!(r#"{{"name":{value}}}"#);
        let start = r#"{"name":"#.len();
        RawTool::new(definition.into_bytes().into(), start..start + value.len(), *name)
    };
    let tools: Result<Vec<RawTool>, _> = names.iter().map(tool).collect();
    let tools =
        tools.map_err(|error| Failure::Failed(format!("the gateway lists a tool that is none: {error}")))?;
    let upstream = UpstreamTools { name: "self".into(), builtin: true, tools, ..UpstreamTools::default() };
    Ok(SnapshotBuilder::new(RegistryConfig::default()).upstream(&upstream).build(SystemTime::now()))
}

/// Microseconds for one name.
fn time(names: &[&str], find: &dyn Fn(&str) -> bool) -> Result<f64, Failure> {
    let (started, mut passes) = (Instant::now(), 0_u32);
    loop {
        for name in names {
            if !find(black_box(name)) {
                return Err(Failure::Failed(format!("the registry does not find {name}")));
            }
        }
        passes += 1;
        let elapsed = started.elapsed();
        if elapsed >= ROUND {
            return Ok(elapsed.as_secs_f64() * 1e6 / (f64::from(passes) * names.len().max(1) as f64));
        }
    }
}
