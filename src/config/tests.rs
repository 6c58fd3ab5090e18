//! Tests of the configuration as a whole.

mod alerts;
mod bad_toml;
mod files;
mod good;
mod json;
mod otlp;
mod reference;

use std::path::PathBuf;

use super::file::{File, SourceKind};
use super::place::Sink;
use super::{Faults, Flags, Loaded, Request, load_toml, merge};

/// A request that sees no real file and no real environment.
fn request() -> Request {
    let env = [
        ("HOME", "/home/ann"),
        ("TOKEN", "0123456789abcdef"),
        ("EMPTY", ""),
        ("PATH", "/usr/bin"),
        ("SPACED", "a b"),
        ("NEWLINE", "a\nb"),
    ];
    Request {
        folder: PathBuf::from("/project"),
        config: None,
        mcp_config: Vec::new(),
        flags: Flags::default(),
        env: env.into_iter().collect(),
    }
}

fn toml(text: &str) -> Result<Loaded, Faults> {
    load_toml(text, &request())
}

/// Loads an agent's file, beside one of ours where there is one.
fn json(text: &str, toml: Option<&str>) -> Result<Loaded, Faults> {
    json_at("/project/.mcp.json", text, toml)
}

fn json_at(path: &str, text: &str, toml: Option<&str>) -> Result<Loaded, Faults> {
    let toml = toml.map(|text| {
        let path = "/project/aqe.toml".into();
        File::new("aqe.toml".into(), path, SourceKind::Toml, "in memory", text.to_owned())
    });
    let json = File::new(".mcp.json".into(), path.into(), SourceKind::McpJson, "in memory", text.to_owned());
    let files: Vec<File> = toml.into_iter().chain([json]).collect();
    merge::merge(&files, &request(), Sink::default())
}

fn lines(faults: &Faults) -> Vec<String> {
    faults.faults.iter().map(ToString::to_string).collect()
}

fn notes(loaded: &Loaded) -> Vec<String> {
    loaded.notes.iter().map(ToString::to_string).collect()
}
