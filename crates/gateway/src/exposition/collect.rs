//! The process, its requests and its tools.

use std::time::SystemTime;

use aqe_core::durable::WorkFigures;
use aqe_core::monitor::metrics::list::{self, OTHER};
use aqe_core::monitor::metrics::{Metric, Sink};
use aqe_core::monitor::tokens::estimate;
use aqe_core::monitor::{ErrorKind, Totals, verdict};

use super::connections;
use crate::monitor::{Monitor, SinceStart};
use crate::proxy::Gateway;

/// A metric, and how it is read from what has it.
pub(super) type Of<T, V> = (&'static Metric, fn(&T) -> V);

/// What has to be waited for before the points are told: how much work fleets have. `None`: it is not known, or there are none.
pub(crate) async fn work(gateway: &Gateway) -> Option<WorkFigures> {
    let tools = gateway.durable_tools()?;
    tools.durable()?.figures().await.ok()
}

/// Tells of every point that is known, metric by metric.
pub(crate) fn collect(gateway: &Gateway, work: Option<&WorkFigures>, sink: &mut dyn Sink) {
    sink.whole(&list::BUILD, &[env!("CARGO_PKG_VERSION")], 1);
    sink.whole(&list::SESSIONS, &[], gateway.session_count() as u64);
    let since_start = gateway.monitor.as_ref().map(|monitor| {
        process(monitor, sink);
        let since_start = monitor.since_start();
        requests(monitor, &since_start, sink);
        tools(&since_start, sink);
        since_start
    });
    started(gateway, sink);
    definitions(gateway, sink);
    connections::collect(gateway, since_start.as_ref(), sink);
    told(gateway, sink);
    if let Some(work) = work {
        fleets(work, sink);
    }
}

fn fleets(work: &WorkFigures, sink: &mut dyn Sink) {
    sink.whole(&list::FLEETS, &[], work.fleets);
    for (state, count) in &work.tasks {
        sink.whole(&list::FLEET_TASKS, &[state], *count);
    }
    for (state, count) in work.agents.iter().flatten() {
        sink.whole(&list::FLEET_AGENTS, &[state], *count);
    }
    if let Some(deaths) = work.deaths {
        sink.whole(&list::FLEET_DEATHS, &[], deaths);
    }
}

/// What is told to others: alerts, spans, the access log.
fn told(gateway: &Gateway, sink: &mut dyn Sink) {
    // Nobody looks at the rules if nothing is recorded.
    let rules = gateway.monitor.as_ref().map(|_| gateway.alerts.rules()).unwrap_or_default();
    for reading in &rules {
        let labels = [&*reading.rule.name, reading.rule.severity.as_str()];
        sink.state(&list::ALERT_STATE, &labels, reading.state.as_str());
    }
    for (receiver, kind, counts) in gateway.alerts.notices() {
        for (outcome, count) in counts {
            sink.whole(&list::ALERT_NOTICES, &[&receiver, kind, outcome], count);
        }
    }
    let telemetry = &gateway.settings.telemetry;
    for (outcome, count) in telemetry.spans().into_iter().flatten() {
        sink.whole(&list::SPANS, &[outcome], count);
    }
    for (outcome, count) in telemetry.lines().into_iter().flatten() {
        sink.whole(&list::ACCESS_LOG_LINES, &[outcome], count);
    }
}

/// When the process was started.
fn started(gateway: &Gateway, sink: &mut dyn Sink) {
    let since_epoch =
        gateway.settings.about.started_at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    if let Some(since_epoch) = since_epoch {
        sink.real(&list::PROCESS_START, &[], since_epoch.as_secs_f64());
    }
}

fn process(monitor: &Monitor, sink: &mut dyn Sink) {
    sink.state(&list::HEALTH, &[], verdict::verdict(&monitor.reasons()).as_str());
    if let Some(startup) = monitor.startup() {
        sink.real(&list::STARTUP, &[], startup.as_secs_f64());
    }
    let Some(process) = monitor.process() else { return };
    sink.whole(&list::THREADS, &[], process.threads);
    sink.real(&list::PROCESS_CPU, &[], process.cpu.as_secs_f64());
    sink.whole(&list::PROCESS_MEMORY, &[], process.rss_bytes);
    for (metric, value) in
        [(&list::PROCESS_FILES, process.open_files), (&list::PROCESS_MAX_FILES, process.max_open_files)]
    {
        if let Some(value) = value {
            sink.whole(metric, &[], value);
        }
    }
}

static OF_METHODS: [Of<Totals, u64>; 5] = [
    (&list::REQUESTS, Totals::requests),
    (&list::REQUESTS_CANCELLED, Totals::cancelled),
    (&list::REQUESTS_CACHED, Totals::from_cache),
    (&list::REQUEST_BYTES, Totals::request_bytes),
    (&list::RESPONSE_BYTES, Totals::response_bytes),
];

static OF_TOOLS: [Of<Totals, u64>; 7] = [
    (&list::TOOL_REQUESTS, Totals::requests),
    (&list::TOOL_CANCELLED, Totals::cancelled),
    (&list::TOOL_FAILURES, Totals::errors),
    (&list::TOOL_CACHED, Totals::from_cache),
    (&list::TOOL_REQUEST_BYTES, Totals::request_bytes),
    (&list::TOOL_RESPONSE_BYTES, Totals::response_bytes),
    (&list::TOOL_TOKENS, |totals| estimate(totals.result_bytes())),
];

fn requests(monitor: &Monitor, all: &SinceStart, sink: &mut dyn Sink) {
    for (metric, sum) in OF_METHODS {
        for (method, totals) in &all.methods {
            sink.whole(metric, &[method], sum(totals));
        }
    }
    for (method, totals) in &all.methods {
        for kind in ErrorKind::ALL {
            sink.whole(&list::REQUEST_ERRORS, &[method, kind.as_str()], totals.errors_of(kind));
        }
    }
    for (method, totals) in &all.methods {
        sink.histogram(&list::REQUEST_DURATION, &[method], &totals.latency);
    }
    sink.whole(&list::REQUESTS_IN_FLIGHT, &[], monitor.in_flight() as u64);
    for (why, count) in monitor.all_turned() {
        sink.whole(&list::REFUSED, &[why.as_str()], count);
    }
    let lookups = monitor.lookups();
    for (result, count) in
        [("exact", lookups.exact), ("resolved", lookups.resolved), ("unknown", lookups.unknown)]
    {
        sink.whole(&list::LOOKUPS, &[result], count);
    }
}

/// Tools with the values of their labels: those with names first, then the others of each upstream.
fn of_tools(all: &SinceStart) -> Vec<([&str; 3], &Totals)> {
    let named = all
        .tools
        .iter()
        .map(|(shown, (tool, totals))| ([&**shown, &*tool.upstream.name, &*tool.category], totals));
    let others = all.others.iter().map(|(upstream, totals)| ([OTHER, &**upstream, OTHER], totals));
    named.chain(others).collect()
}

fn tools(all: &SinceStart, sink: &mut dyn Sink) {
    let tools = of_tools(all);
    for (metric, sum) in OF_TOOLS {
        for (labels, totals) in &tools {
            sink.whole(metric, labels, sum(totals));
        }
    }
    for ([tool, upstream, category], totals) in &tools {
        for kind in ErrorKind::ALL {
            let count = totals.errors_of(kind);
            if count > 0 {
                sink.whole(&list::TOOL_ERRORS, &[tool, upstream, category, kind.as_str()], count);
            }
        }
    }
    for (labels, totals) in &tools {
        sink.histogram(&list::TOOL_DURATION, labels, &totals.latency);
    }
    // By upstream: for each tool they would be most of the text.
    for (upstream, totals) in &all.upstreams {
        sink.histogram(&list::UPSTREAM_DURATION, &[upstream], &totals.upstream);
    }
    for (upstream, totals) in &all.upstreams {
        sink.histogram(&list::OVERHEAD_DURATION, &[upstream], &totals.overhead);
    }
}

/// What clients are shown.
fn definitions(gateway: &Gateway, sink: &mut dyn Sink) {
    let catalog = gateway.catalog();
    let list = catalog.tools.list().len() as u64;
    sink.whole(&list::LIST_BYTES, &[], list);
    sink.whole(&list::LIST_TOKENS, &[], estimate(list));
    let mut upstreams = std::collections::BTreeMap::<&str, (u64, u64)>::new();
    for tool in catalog.tools.tools() {
        let (count, bytes) = upstreams.entry(&tool.upstream.name).or_default();
        *count += 1;
        *bytes += tool.definition.len() as u64;
    }
    for (upstream, (count, _)) in &upstreams {
        sink.whole(&list::DEFINITIONS, &[upstream], *count);
    }
    for (upstream, (_, bytes)) in &upstreams {
        sink.whole(&list::DEFINITION_BYTES, &[upstream], *bytes);
    }
}
