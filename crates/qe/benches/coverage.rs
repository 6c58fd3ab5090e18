//! How fast coverage reports are read, format by format; how long the coverage tools take, called as the gateway calls
//! them, when they see a report first and when they know it.
//!
//! `cargo bench -p aqe-qe --bench coverage`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aqe_core::inprocess::{Caller, InProcess};
use aqe_store::{SqliteOptions, SqliteStore};

const MB: usize = 1_000_000;

fn main() {
    println!("{:<14} {:>8} {:>8} {:>8} {:>12}", "format", "MB", "ms", "MB/s", "MB/CPU-s");
    for (name, text) in [
        ("lcov", lcov(300, 20 * MB)),
        ("cobertura", cobertura(20 * MB)),
        ("jacoco", jacoco(20 * MB)),
        ("clover", clover(20 * MB)),
        ("istanbul", istanbul(20 * MB)),
        ("coverage-py", coverage_py(20 * MB)),
        ("llvm", llvm(20 * MB)),
        ("go", go(20 * MB)),
        ("simplecov", simplecov(20 * MB)),
    ] {
        let (mut best, mut best_cpu) = (f64::MAX, f64::MAX);
        for _ in 0..10 {
            let (began, cpu) = (Instant::now(), cpu_seconds());
            let summary = aqe_qe::summarize(text.as_bytes(), Duration::from_secs(60)).unwrap();
            best = best.min(began.elapsed().as_secs_f64());
            best_cpu = best_cpu.min(cpu_seconds() - cpu);
            assert_eq!(summary.format.name(), name);
            assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
        }
        let megabytes = text.len() as f64 / MB as f64;
        let (wall, cpu) = (megabytes / best, megabytes / best_cpu);
        println!("{name:<14} {megabytes:>8.1} {:>8.1} {wall:>8.0} {cpu:>12.0}", best * 1e3);
    }
    println!("\n{:<46} {:>9} {:>9}", "ms", "cold", "known p50");
    tool(300, 5 * MB, "qe_coverage_analyze");
    tool(3_000, 50 * MB, "qe_coverage_analyze");
    // About 100,000 lines of source.
    tool(300, 7 * MB / 10, "qe_coverage_gaps");
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
    let text = lcov(files, bytes);
    for section in text.split("end_of_record\n").filter(|section| !section.is_empty()) {
        let path = section.lines().find_map(|line| line.strip_prefix("SF:")).unwrap();
        let last = section.lines().filter_map(|line| line.strip_prefix("DA:")).next_back().unwrap();
        let last: u32 = last.split(',').next().unwrap().parse().unwrap();
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), source(last)).unwrap();
        age(&root.join(path));
    }
    fs::write(root.join("lcov.info"), &text).unwrap();
    age(&root.join("lcov.info"));
    let mut cold = Vec::new();
    let mut known = Vec::new();
    for _ in 0..5 {
        let set = tools(root);
        cold.push(runtime.block_on(call(Arc::clone(&set), tool)));
        known.extend((0..10).map(|_| runtime.block_on(call(Arc::clone(&set), tool))));
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let what = format!("{tool}, lcov of {:.1} MB", text.len() as f64 / MB as f64);
    println!("{what:<46} {:>9.1} {:>9.1}", median(&mut cold), median(&mut known));
}

fn source(lines: u32) -> String {
    let lines = (1..=lines).map(|line| match line % 40 {
        1 => format!("def function_{line}(a, b):\n"),
        2 => format!("    if a > {line}:\n"),
        _ => format!("        value_{} = a + {line}\n", line % 17),
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
    let settings = aqe_qe::Settings { roots: vec![root.to_owned()] };
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

/// Lines of a file: number and hits, with gaps as real ones have.
fn lines(count: u32) -> impl Iterator<Item = (u32, u32)> {
    (1..=count).map(|line| (line * 2 + line % 3, (line * 7) % 5))
}

fn lcov(files: usize, bytes: usize) -> String {
    let mut text = String::new();
    let per_file = bytes / files;
    for file in 0..files {
        writeln!(text, "SF:src/package{}/file{file}.py", file % 20).unwrap();
        for function in 0..10 {
            writeln!(
                text,
                "FN:{},function{function}\nFNDA:{},function{function}",
                function * 20 + 1,
                function % 3
            )
            .unwrap();
        }
        let start = text.len();
        for (line, hits) in lines(per_file as u32 / 8) {
            writeln!(text, "DA:{line},{hits}").unwrap();
            if line % 16 == 0 {
                writeln!(text, "BRDA:{line},0,0,{hits}\nBRDA:{line},0,1,-").unwrap();
            }
            if text.len() - start > per_file {
                break;
            }
        }
        text.push_str("end_of_record\n");
    }
    text
}

fn cobertura(bytes: usize) -> String {
    let mut text =
        "<?xml version=\"1.0\" ?>\n<coverage line-rate=\"0.5\" version=\"7\"><packages><package><classes>"
            .to_owned();
    for file in 0.. {
        writeln!(text, "<class name=\"f{file}\" filename=\"src/f{file}.py\"><methods/><lines>").unwrap();
        for (line, hits) in lines(1_000) {
            if line % 8 == 0 {
                writeln!(text, "\t\t<line number=\"{line}\" hits=\"{hits}\" branch=\"true\" condition-coverage=\"50% (1/2)\"/>").unwrap();
            } else {
                writeln!(text, "\t\t<line number=\"{line}\" hits=\"{hits}\"/>").unwrap();
            }
        }
        text.push_str("</lines></class>\n");
        if text.len() > bytes {
            break;
        }
    }
    text + "</classes></package></packages></coverage>"
}

fn jacoco(bytes: usize) -> String {
    let mut text = "<report name=\"x\"><sessioninfo id=\"a\" start=\"1\" dump=\"2\"/>".to_owned();
    for file in 0.. {
        write!(text, "<package name=\"com/x/p{file}\"><class name=\"com/x/p{file}/A\" sourcefilename=\"A.java\"><method name=\"m\" desc=\"()V\" line=\"3\"><counter type=\"METHOD\" missed=\"0\" covered=\"1\"/></method></class><sourcefile name=\"A.java\">").unwrap();
        for (line, hits) in lines(1_000) {
            write!(text, "<line nr=\"{line}\" mi=\"0\" ci=\"{hits}\" mb=\"0\" cb=\"0\"/>").unwrap();
        }
        text.push_str("</sourcefile></package>");
        if text.len() > bytes {
            break;
        }
    }
    text + "</report>"
}

fn clover(bytes: usize) -> String {
    let mut text = "<coverage generated=\"1\" clover=\"4.4.1\"><project timestamp=\"1\">".to_owned();
    for file in 0.. {
        write!(text, "<file name=\"A.java\" path=\"/p/f{file}.java\">").unwrap();
        for (line, hits) in lines(1_000) {
            write!(text, "<line num=\"{line}\" type=\"stmt\" count=\"{hits}\"/>").unwrap();
        }
        text.push_str("</file>");
        if text.len() > bytes {
            break;
        }
    }
    text + "</project></coverage>"
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn istanbul(bytes: usize) -> String {
    let place = |line: u32| {
        format!("{{\"start\":{{\"line\":{line},\"column\":2}},\"end\":{{\"line\":{line},\"column\":40}}}}")
    };
    let map = joined(lines(1_000).enumerate().map(|(at, (line, _))| format!("\"{at}\":{}", place(line))));
    let hits = joined(lines(1_000).enumerate().map(|(at, (_, hits))| format!("\"{at}\":{hits}")));
    let file = |file: usize| {
        format!(
            "\"/p/f{file}.js\":{{\"path\":\"/p/f{file}.js\",\"statementMap\":{{{map}}},\"fnMap\":{{}},\"branchMap\":{{}},\"s\":{{{hits}}},\"f\":{{}},\"b\":{{}}}}"
        )
    };
    format!("{{{}}}", joined((0..bytes / file(0).len()).map(file)))
}

fn coverage_py(bytes: usize) -> String {
    let ran = joined(lines(1_000).filter(|(_, hits)| *hits > 0).map(|(line, _)| line.to_string()));
    let missing = joined(lines(1_000).filter(|(_, hits)| *hits == 0).map(|(line, _)| line.to_string()));
    let file = |file: usize| {
        format!(
            "\"f{file}.py\":{{\"executed_lines\":[{ran}],\"missing_lines\":[{missing}],\"excluded_lines\":[],\"executed_branches\":[[2,4]],\"missing_branches\":[]}}"
        )
    };
    format!("{{\"meta\":{{\"format\":3}},\"files\":{{{}}}}}", joined((0..bytes / file(0).len()).map(file)))
}

fn llvm(bytes: usize) -> String {
    let segments =
        joined(lines(1_000).map(|(line, hits)| {
            format!("[{line},5,{hits},true,true,false],[{line},40,0,false,false,false]")
        }));
    let file =
        |file: usize| format!("{{\"filename\":\"/p/f{file}.rs\",\"segments\":[{segments}],\"branches\":[]}}");
    let files = joined((0..bytes / file(0).len()).map(file));
    format!(
        "{{\"data\":[{{\"files\":[{files}],\"functions\":[]}}],\"type\":\"llvm.coverage.json.export\",\"version\":\"3.1.0\"}}"
    )
}

fn go(bytes: usize) -> String {
    let mut text = "mode: count\n".to_owned();
    for file in 0.. {
        for (line, hits) in lines(1_000) {
            writeln!(text, "example.com/module/package/file{file}.go:{line}.12,{}.3 2 {hits}", line + 1)
                .unwrap();
        }
        if text.len() > bytes {
            break;
        }
    }
    text
}

fn simplecov(bytes: usize) -> String {
    let lines =
        joined((0..2_000).map(|line| if line % 3 == 0 { "null".into() } else { (line % 5).to_string() }));
    let file = |file: usize| format!("\"/p/f{file}.rb\":{{\"lines\":[{lines}]}}");
    format!("{{\"RSpec\":{{\"coverage\":{{{}}}}}}}", joined((0..bytes / file(0).len()).map(file)))
}
