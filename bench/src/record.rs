//! Everything measured in one run, kept in a file with the machine and the versions.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::calls::Plan;
use crate::peers::Named;
use crate::place::processors;
use crate::report::Section;
use crate::results::{Recording, folder, to_json};
use crate::subject::Subject;
use crate::{
    Result, callgrind, calls, claims, compression, flat, latency, memory, optimized, pipes, pool, start,
    strategies, syscalls, threads, workers,
};

/// What a recording is besides its sections.
#[derive(Debug)]
pub(crate) struct Notes {
    /// When it began.
    pub(crate) begun: Instant,
    /// How it was measured: rounds, seconds, connections.
    pub(crate) method: Value,
    /// Why the figures are not final, if they are not.
    pub(crate) provisional: Option<String>,
    /// Where it is written, instead of `results/` under today's date.
    pub(crate) file: Option<PathBuf>,
}

/// Starts of the process.
const STARTS: usize = 40;

/// A measurement of the gateway's own.
type Part = fn(&Subject, &Plan) -> Result<Section>;

/// Their names in the result file.
const PARTS: [(&str, Part); 12] = [
    ("calls", calls::times),
    ("latency", latency::measure),
    ("stdio", |subject, plan| pipes::times(subject, &in_flight(plan))),
    ("flat", flat::times),
    ("instructions", |subject, plan| calls::instructions(subject, plan, tempfile::tempdir()?.path())),
    ("stdio-instructions", |subject, plan| pipes::instructions(subject, plan, tempfile::tempdir()?.path())),
    ("flat-instructions", |subject, _| flat::instructions(subject, tempfile::tempdir()?.path())),
    ("start", |subject, _| start::measure(subject, STARTS)),
    ("memory", |subject, _| memory::measure(subject)),
    ("pool", pool::measure),
    ("workers", workers::measure),
    ("optimized", optimized::measure),
];

/// Those that are measured only when they are asked for: together with the others they take too long.
const FURTHER: [(&str, Part); 4] = [
    ("threads", |subject, plan| threads::measure(subject, std::slice::from_ref(plan))),
    ("strategies", strategies::measure),
    ("syscalls", |subject, _| syscalls::measure(subject)),
    ("compression", compression::measure),
];

/// With as many requests as are in flight over stdio where nothing is said.
fn in_flight(plan: &Plan) -> Plan {
    Plan { connections: pipes::IN_FLIGHT, ..plan.clone() }
}

/// The gateway's own figures, each section with its name: the usual parts or `only` some, and `also` others.
pub(crate) fn parts(subject: &Subject, plan: &Plan, only: &[String], also: &[String]) -> Result<Vec<Named>> {
    let mut sections = Vec::new();
    let names = |names: &[String], key: &str| names.iter().any(|name| name == key);
    let usual = PARTS.into_iter().filter(|(key, _)| only.is_empty() || names(only, key));
    let further = FURTHER.into_iter().filter(|(key, _)| names(only, key) || names(also, key));
    for (key, part) in usual.chain(further) {
        if key.contains("instructions") && !callgrind::is_installed() {
            eprintln!("  valgrind is not installed: no {key} are counted");
            continue;
        }
        eprintln!("{key}");
        sections.push((key.to_owned(), part(subject, plan)?));
    }
    Ok(sections)
}

/// Writes the file, and the pages' tables and figures if it is the one that they are made from.
pub(crate) fn write(subject: &std::path::Path, sections: &[Named], notes: &Notes) -> Result<PathBuf> {
    let now = jiff::Timestamp::now().to_string();
    let date = now.split('T').next().unwrap_or_default();
    let minutes = (notes.begun.elapsed().as_secs_f64() / 6.0).round() / 10.0;
    let all = json!({
        "recorded": date,
        "provisional": notes.provisional,
        "minutes": minutes,
        "machine": machine(),
        "versions": versions(subject),
        "method": notes.method,
        "sections": sections.iter().map(|(key, section)| to_json(key, section)).collect::<Vec<_>>(),
    });
    let own = folder().join("results").join(format!("{date}.json"));
    let path = notes.file.clone().unwrap_or_else(|| own.clone());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, serde_json::to_string_pretty(&all)? + "\n")?;
    if path == own {
        pages()?;
    }
    Ok(path)
}

/// Makes the generated parts of the pages anew from the latest file, and the marked figures.
pub(crate) fn pages() -> Result<()> {
    let recording = Recording::latest()?;
    let own = folder().join("README.md");
    fs::write(&own, recording.fill(&fs::read_to_string(&own)?)?)?;
    let readme = folder().join("../README.md");
    let page = claims::fill(&recording.fill(&fs::read_to_string(&readme)?)?, &recording)?;
    for fault in claims::faults(&page, &recording) {
        eprintln!("  README.md: {fault}");
    }
    Ok(fs::write(readme, page)?)
}

fn machine() -> Value {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let member = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| line.split_once(':').map(|(_, value)| value.trim().to_owned()))
    };
    let kib = member(&file("/proc/meminfo"), "MemTotal");
    let kib = kib.and_then(|text| text.trim_end_matches("kB").trim().parse::<f64>().ok());
    json!({
        "cpu": member(&file("/proc/cpuinfo"), "model name"),
        "processors": processors().len(),
        "kernel": file("/proc/sys/kernel/osrelease").trim(),
        "memory_gib": kib.map(|kib| (kib / 1024.0 / 1024.0 * 10.0).round() / 10.0),
    })
}

fn versions(subject: &std::path::Path) -> Value {
    let said = |program: &std::path::Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(folder()).output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !said.is_empty()).then_some(said)
    };
    let of = |program: &str, arguments: &[&str]| said(program.as_ref(), arguments);
    let last = |text: Option<String>| text.and_then(|text| text.split_whitespace().last().map(str::to_owned));
    json!({
        "aqe-v3": last(said(subject, &["--version"])),
        "commit": of("git", &["rev-parse", "--short", "HEAD"]),
        "changed": of("git", &["status", "--porcelain", "--untracked-files=no"]).is_some(),
        "rustc": of("rustc", &["--version"]),
        "node": of("node", &["--version"]),
        "python": last(of("python3", &["--version"])),
    })
}
