//! The house's rules that a compiler does not keep: which crate may know which, and what may happen where only.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust source below `folder`, with its path from the root.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "no sources in {folder}");
    let name = |path: &Path| path.strip_prefix(root()).unwrap().display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The part of a source that is not its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("sample_names.rs")
}

/// The workspace crates that a manifest names under `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let start = text.find("[dependencies]\n").map_or(text.len(), |at| at + "[dependencies]\n".len());
    let section = text[start..].split("\n[").next().unwrap_or_default();
    let mut names: Vec<String> = section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("aqe-"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

#[test]
fn crates_know_only_what_the_plan_allows() {
    for (manifest, allowed) in [
        ("crates/core/Cargo.toml", &[][..]),
        ("crates/store/Cargo.toml", &["aqe-core"]),
        ("crates/gateway/Cargo.toml", &["aqe-core"]),
        ("crates/embed/Cargo.toml", &[]),
        ("crates/qe/Cargo.toml", &["aqe-core", "aqe-embed", "aqe-store"]),
        ("crates/testkit/Cargo.toml", &["aqe-core"]),
        ("crates/load/Cargo.toml", &[]),
        ("bench/Cargo.toml", &["aqe-load"]),
        ("Cargo.toml", &["aqe-core", "aqe-gateway", "aqe-load", "aqe-qe", "aqe-store"]),
    ] {
        for name in dependencies(manifest) {
            assert!(allowed.contains(&name.as_str()), "{manifest} must not depend on {name}");
        }
    }
}

#[test]
fn what_happens_in_one_place_only_happens_nowhere_else() {
    let rules: &[(&str, &[&str])] = &[
        // Every task has a name, and a panic in one is seen.
        ("tokio::spawn(", &["crates/gateway/src/tasks.rs"]),
        // Every child is supervised; `cli/qe` declares commands of ours.
        (
            "Command::new(",
            &["crates/gateway/src/upstream/child.rs", "crates/qe/src/project/child.rs", "src/cli/qe"],
        ),
        // Every queue has an end.
        ("unbounded_channel", &[]),
        // Standard output is the protocol.
        ("println!(", &["src/cli"]),
        ("print!(", &["src/cli"]),
        // The official SDK is an oracle and never on the path.
        ("rmcp::", &[]),
    ];
    for folder in ["src", "crates/core/src", "crates/gateway/src", "crates/store/src", "crates/qe/src"] {
        for (path, text) in sources(folder) {
            for (word, places) in rules.iter().filter(|_| !is_test(&path)) {
                let found = code(&text).lines().any(|line| {
                    line.contains(word)
                        && !line.contains(&format!("e{word}"))
                        && !line.trim_start().starts_with("//")
                });
                let allowed = places.iter().any(|place| path.starts_with(place));
                assert!(allowed || !found, "{word} in {path}");
            }
        }
    }
}

#[test]
fn the_core_reads_no_clock_and_touches_nothing_outside() {
    let outside =
        ["Instant::now", "SystemTime::now", "std::env", "std::fs", "std::net", "std::process", "tokio"];
    for (path, text) in sources("crates/core/src") {
        for word in outside.iter().filter(|_| !is_test(&path)) {
            let found =
                code(&text).lines().any(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert!(!found, "{word} in {path}");
        }
    }
}

#[test]
fn files_stay_short() {
    for folder in ["src", "crates", "xtask", "bench"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= 500, "{path} has {lines} lines: does it say two things?");
        }
    }
}
