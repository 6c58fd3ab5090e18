//! The declarations, the parser, the page and the examples say one thing.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::config::keys::SectionKeys;
use crate::config::reference::{SECTIONS, markdown};

use super::{json, lines, request, toml};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file in which `key` of the section has this value.
fn with_value(section: &str, key: &str, value: &str) -> String {
    match section {
        "upstream" => format!("[[upstream]]\n{key} = {value}\n"),
        "upstream.tools" => format!("[[upstream]]\ntools = {{ {key} = {value} }}\n"),
        "upstream.cache" => format!("[[upstream]]\ncache = {{ {key} = {value} }}\n"),
        "upstream.replicas" => format!("[[upstream]]\nreplicas = [{{ {key} = {value} }}]\n"),
        "fleet.profile" | "monitoring.alert" | "monitoring.webhook" | "monitoring.command" => {
            format!("[[{section}]]\n{key} = {value}\n")
        }
        "monitoring.alert.burn_rate" => format!("[[monitoring.alert]]\nburn_rate = {{ {key} = {value} }}\n"),
        _ => format!("[{section}]\n{key} = {value}\n"),
    }
}

/// A file in which `key` of the section has a value that no key of its kind takes.
fn with_wrong_type(section: &str, key: &str, kind: &str) -> String {
    with_value(section, key, if kind == "true or false" { "1" } else { "false" })
}

/// Values that a key of this kind takes, and values that are only nearly so.
fn edges(kind: &str) -> (Vec<String>, Vec<String>) {
    if kind.starts_with('"') {
        let words: Vec<&str> = kind.split('"').skip(1).step_by(2).collect();
        let quoted = |text: String| format!("\"{text}\"");
        let near = |word: &&str| [word.to_uppercase(), format!(" {word}"), format!("{word}x")].map(quoted);
        let refused = words.iter().flat_map(near).chain(["\"\"".into(), "0".into()]).collect();
        return (words.into_iter().map(|word| quoted(word.into())).collect(), refused);
    }
    let bounds = kind.rsplit_once(" from ").filter(|(kind, _)| kind.starts_with("a whole number"));
    let Some((min, max)) = bounds.and_then(|(_, bounds)| bounds.split_once(" to ")) else {
        return <_>::default();
    };
    let (least, most): (i128, i128) = (min.parse().unwrap(), max.parse().unwrap());
    let refused =
        [(least - 1).to_string(), (most + 1).to_string(), format!("{min}.0"), "-1".into(), "nan".into()];
    let beyond = ["9223372036854775807", "9223372036854775808", "-9223372036854775808"].map(str::to_owned);
    (vec![min.into(), max.into()], refused.into_iter().chain(beyond).collect())
}

#[test]
fn every_declared_key_is_read_and_checked() {
    for section in SECTIONS {
        for key in section.keys {
            let text = with_wrong_type(section.path, key.name(), &key.kind());
            let faults = lines(&toml(&text).expect_err(&text));
            let reads = |line: &String| line.starts_with("aqe.toml:2:") && line.contains(" must be ");
            assert!(faults.iter().any(reads), "{text}: {faults:?}");
            assert!(!faults.iter().any(|line| line.contains("unknown")), "{text}: {faults:?}");
        }
    }
}

#[test]
fn every_word_and_bound_of_a_key_is_taken_and_nothing_beyond() {
    let mut values = 0;
    for section in SECTIONS {
        for key in section.keys {
            let (taken, refused) = edges(&key.kind());
            let fault = format!("\"{}\" must be {}", key.name(), key.kind());
            let is_refused = |value: &String| {
                let text = with_value(section.path, key.name(), value);
                toml(&text).is_err_and(|faults| lines(&faults).iter().any(|line| line.contains(&fault)))
            };
            values += taken.len() + refused.len();
            for value in &taken {
                assert!(!is_refused(value), "{} {} = {value}", section.path, key.name());
            }
            for value in &refused {
                assert!(is_refused(value), "{} {} = {value}", section.path, key.name());
            }
        }
    }
    assert!(values >= 150, "the kinds are no longer understood: {values}");
}

#[test]
fn the_full_example_has_every_declared_key() {
    let full: toml::Table = include_str!("full.toml").parse().unwrap();
    let full = toml::Value::Table(full);
    for section in SECTIONS {
        let mut tables = vec![&full];
        for part in section.path.split('.') {
            let found = tables.into_iter().filter_map(|table| table.get(part));
            tables = found
                .flat_map(|found| found.as_array().map_or(vec![found], |all| all.iter().collect()))
                .collect();
        }
        for key in section.keys {
            let found = tables.iter().any(|table| table.get(key.name()).is_some());
            assert!(found, "{} {}", section.heading(), key.name());
        }
    }
}

#[test]
fn a_default_on_the_page_is_the_default_in_force() {
    // Tables that are written several times have no default as a whole.
    let is_single = |section: &&&SectionKeys| {
        SECTIONS.iter().all(|other| !other.repeated || !section.path.starts_with(other.path))
    };
    for section in SECTIONS.iter().filter(is_single) {
        for key in section.keys {
            let default = key.default();
            // Defaults in words, and the one that depends on the home, are tested where they are read.
            let Some(literal) = default.strip_prefix('`').and_then(|d| d.strip_suffix('`')) else { continue };
            if literal.starts_with('$') || literal.contains('`') {
                continue;
            }
            let text = format!("[{}]\n{} = {literal}\n", section.path, key.name());
            let config = |text: &str| format!("{:?}", toml(text).unwrap().config);
            assert_eq!(config(&text), config(""), "{text}");
        }
    }
}

#[test]
fn the_committed_reference_is_the_printed_one() {
    let path = root("docs/reference/config.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, markdown()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == markdown(), "run: UPDATE_REFERENCE=1 cargo test reference");
}

#[test]
fn the_examples_are_sound_and_without_remarks() {
    let text = std::fs::read_to_string(root("examples/aqe.toml")).unwrap();
    let loaded = toml(&text).unwrap();
    assert_eq!((loaded.config.upstreams.len(), loaded.notes), (3, Vec::new()));
    let text = std::fs::read_to_string(root("examples/mcp.json")).unwrap();
    let loaded = json(&text, None).unwrap();
    assert_eq!((loaded.config.upstreams.len(), loaded.notes), (3, Vec::new()));
}

/// Text that is nearly a configuration: what random text hardly ever is.
fn nearly_toml() -> impl Strategy<Value = String> {
    let pieces: Vec<String> = include_str!("full.toml").lines().map(|line| format!("{line}\n")).collect();
    let piece = prop_oneof![
        4 => prop::sample::select(pieces),
        1 => prop::sample::select(vec!["[", "]", "=", "\"", "{", "}", "${", "\n", ".", "'''", "-1", "é"]).prop_map(str::to_owned),
        1 => ".{0,8}",
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn nearly_json() -> impl Strategy<Value = String> {
    let pieces = vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"mcpServers\":",
        "\"servers\":",
        "\"a\":",
        "\"command\":",
        "\"npx\"",
        "\"args\":",
        "\"env\":",
        "\"url\":",
        "\"https://example.org/\"",
        "\"${X}\"",
        "\"${X:-y}\"",
        "\"type\":",
        "\"sse\"",
        "null",
        "1e999",
        "-",
        "//",
        "/*",
        "*/",
        "\\u",
        "\"",
        "{\"mcpServers\":{\"é a\":{\"command\":\"x\"}}}",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

/// Loads text as both formats; every fault must have a place within it.
fn load_both(text: &str) {
    for faults in [toml(text).err(), json(text, None).err()].into_iter().flatten() {
        assert!(!faults.faults.is_empty());
        for fault in &faults.faults {
            let (line, column) = fault.place.position.unwrap_or((1, 1));
            assert!((1..=text.matches('\n').count() + 1).contains(&(line as usize)), "{fault}");
            assert!((1..=text.chars().count() + 1).contains(&(column as usize)), "{fault}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        load_both(&text);
    }

    #[test]
    fn nothing_that_looks_like_a_file_makes_the_parser_panic(toml in nearly_toml(), json in nearly_json()) {
        load_both(&toml);
        load_both(&json);
    }

    #[test]
    fn expansion_leaves_text_without_references_alone(text in "[^$]{0,200}") {
        let dialect = crate::config::env::Dialect::Toml;
        let expanded = crate::config::env::expand(&text, &request().env, dialect).unwrap();
        prop_assert_eq!(expanded.value(), text);
    }
}

#[test]
fn nesting_to_any_depth_is_answered() {
    for open in ["[", "{\"a\":", "a = [", "a = {b=", "[[", "a."] {
        load_both(&open.repeat(100_000));
        load_both(&format!("{{\"mcpServers\": {}", open.repeat(100_000)));
    }
}

#[test]
fn expansion_cannot_grow_without_bound() {
    let large = "x".repeat(100_000);
    let env = [("HOME", "/h"), ("BIG", large.as_str())].into_iter().collect();
    let text =
        format!("[[upstream]]\nname = \"a\"\ncommand = \"x\"\nargs = [\"{}\"]\n", "${BIG}".repeat(100_000));
    let faults = crate::config::load_toml(&text, &crate::config::Request { env, ..request() }).unwrap_err();
    assert_eq!(lines(&faults), ["aqe.toml:4:9: \"args\": longer than 131072 bytes after expansion"]);
}
