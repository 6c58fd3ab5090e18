//! How fast coverage reports are read, format by format, and beside public parsers; how long the coverage tools take, called
//! as the gateway calls them, when they see a report first and when they know it; what a report of 200 MB takes.
//!
//! `cargo bench -p aqe-qe --bench coverage`; with `-- --write FOLDER` it writes the reports instead, for parsers in other
//! languages (`interop/qe/parsers.py`).

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod reports;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs};

use aqe_core::inprocess::{Caller, InProcess};
use aqe_store::{SqliteOptions, SqliteStore};

const MB: usize = 1_000_000;

fn main() {
    let mut args = env::args().skip_while(|arg| arg != "--write").skip(1);
    if let Some(folder) = args.next() {
        for (name, text) in reports::all(20) {
            fs::write(Path::new(&folder).join(name), text).unwrap();
        }
        return;
    }
    parsers();
    println!(
        "\n{:<40} {:>9} {:>9} {:>9} {:>9}",
        "ms (CPU: of all threads, mean)", "cold", "CPU", "known", "CPU"
    );
    tool(300, 5 * MB, "qe_coverage_analyze");
    tool(3_000, 50 * MB, "qe_coverage_analyze");
    // About 100,000 lines of source.
    tool(300, 7 * MB / 10, "qe_coverage_gaps");
    large();
}

/// Bytes for each second of the clock and of the processor, and the same of a public parser: of lcov's format the crate `lcov`;
/// of XML and JSON a tree of the whole, which says nothing of coverage yet.
fn parsers() {
    println!(
        "{:<12} {:>6} {:>8} {:>9} {:<18} {:>8} {:>6}",
        "format", "MB", "MB/s", "MB/CPU-s", "beside", "MB/CPU-s", "times"
    );
    for (name, text) in reports::all(20) {
        let megabytes = text.len() as f64 / MB as f64;
        let (wall, cpu) = best(|| {
            let summary = aqe_qe::summarize(text.as_bytes(), Duration::from_secs(60)).unwrap();
            assert_eq!(summary.format.name(), name);
            assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
        });
        print!("{name:<12} {megabytes:>6.1} {:>8.0} {:>9.0}", megabytes / wall, megabytes / cpu);
        let (beside, other): (_, fn(&str)) = match text.as_bytes()[0] {
            b'<' => ("roxmltree", |text| drop(roxmltree::Document::parse(text).unwrap())),
            b'{' => {
                ("serde_json::Value", |text| drop(serde_json::from_str::<serde_json::Value>(text).unwrap()))
            }
            b'S' => {
                ("lcov", |text| drop(lcov::Report::from_reader(lcov::Reader::new(text.as_bytes())).unwrap()))
            }
            _ => {
                println!();
                continue;
            }
        };
        let (_, theirs) = best(|| other(&text));
        println!(" {beside:<18} {:>8.0} {:>6.1}", megabytes / theirs, theirs / cpu);
    }
}

/// The least of some runs: seconds of the clock, and of the processor.
fn best(run: impl Fn()) -> (f64, f64) {
    (0..7).fold((f64::MAX, f64::MAX), |(wall, used), _| {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        run();
        (wall.min(began.elapsed().as_secs_f64()), used.min(cpu_seconds() - cpu))
    })
}

/// A report of 200 MB: the time of its first reading and of the next, and the most memory that the process had.
fn large() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = reports::lcov(1_000, 200 * MB);
    let megabytes = text.len() as f64 / MB as f64;
    for path in text.lines().filter_map(|line| line.strip_prefix("SF:")) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "\n".repeat(60_000)).unwrap();
        age(&path);
    }
    fs::write(folder.path().join("lcov.info"), &text).unwrap();
    drop(text);
    age(&folder.path().join("lcov.info"));
    let set = tools(folder.path());
    // From here on the most is counted anew.
    let is_reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = memory("VmRSS:");
    let cold = runtime.block_on(call(Arc::clone(&set), "qe_coverage_analyze"));
    let most = if is_reset { memory("VmHWM:") - before } else { f64::NAN };
    let next = runtime.block_on(call(set, "qe_coverage_analyze"));
    println!(
        "\nlcov of {megabytes:.0} MB: {cold:.0} ms, again {next:.0} ms; {most:.0} MB of memory more than before at most"
    );
}

/// Megabytes of this process.
fn memory(kind: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(kind));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .map_or(f64::NAN, |kb| kb / 1e3)
}

/// What this thread has run: on a machine with other work, more telling than what has passed.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).map_or(0.0, |nanos| nanos / 1e9)
}

/// A tool on a project of so many files, whose report has so many bytes; the sources are as long as it says.
fn tool(files: usize, bytes: usize, tool: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let text = reports::lcov(files, bytes);
    for (number, section) in (0..).zip(text.split("end_of_record\n").filter(|section| !section.is_empty())) {
        let path = section.lines().find_map(|line| line.strip_prefix("SF:")).unwrap();
        let last = section.lines().filter_map(|line| line.strip_prefix("DA:")).next_back().unwrap();
        let last: u32 = last.split(',').next().unwrap().parse().unwrap();
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), source(number, last)).unwrap();
        age(&root.join(path));
    }
    fs::write(root.join("lcov.info"), &text).unwrap();
    age(&root.join("lcov.info"));
    let mut cold = Vec::new();
    let mut known = Vec::new();
    let (mut cold_cpu, mut known_cpu) = (0.0, 0.0);
    for _ in 0..5 {
        let set = tools(root);
        let began = process_seconds();
        cold.push(runtime.block_on(call(Arc::clone(&set), tool)));
        let between = process_seconds();
        known.extend((0..10).map(|_| runtime.block_on(call(Arc::clone(&set), tool))));
        (cold_cpu, known_cpu) = (cold_cpu + between - began, known_cpu + process_seconds() - between);
    }
    let (cold_cpu, known_cpu) = (cold_cpu * 1e3 / cold.len() as f64, known_cpu * 1e3 / known.len() as f64);
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let what = format!("{tool}, lcov of {:.1} MB", text.len() as f64 / MB as f64);
    let (cold, known) = (median(&mut cold), median(&mut known));
    println!("{what:<40} {cold:>9.1} {cold_cpu:>9.1} {known:>9.1} {known_cpu:>9.1}");
}

/// What all threads have run, those too that have ended; in hundredths of a second (proc_pid_stat(5), `utime` and `stime`).
fn process_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Functions of 40 lines; no two files are the same.
fn source(file: u32, lines: u32) -> String {
    let lines = (1..=lines).map(|line| match line % 40 {
        1 => format!("def function_{line}_of_{file}(a, b):\n"),
        2 => format!("    if a > {line}:\n"),
        _ => format!("        value_{} = a + {}\n", line % 17, line * (file + 1)),
    });
    lines.collect::<Vec<_>>().concat()
}

/// What was written long ago is believed not to change unseen.
fn age(path: &Path) {
    let time = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn tools(root: &Path) -> Arc<dyn InProcess> {
    let store = SqliteStore::open(&root.join("store.db"), &SqliteOptions::default()).unwrap();
    let settings = aqe_qe::Settings { roots: vec![root.to_owned()], ..Default::default() };
    // The times of entries cannot be set back: the clock is put forward.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(60);
    aqe_qe::builtin(Arc::new(store), &settings, move || i64::try_from(now.as_millis()).unwrap())
}

async fn call(set: Arc<dyn InProcess>, tool: &str) -> f64 {
    let tool = tool.to_owned();
    let call = tokio::spawn(async move {
        let began = Instant::now();
        let caller =
            Caller { principal: "bench", deadline: Instant::now() + Duration::from_secs(60), progress: None };
        let reply = set.call(&tool, "{}", caller).await.unwrap();
        assert!(!reply.is_error, "{}", String::from_utf8_lossy(&reply.json));
        began.elapsed().as_secs_f64() * 1e3
    });
    call.await.unwrap()
}
