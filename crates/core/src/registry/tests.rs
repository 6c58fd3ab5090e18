//! What the registry as a whole promises.

mod naming;
mod near_names;
mod public_names;
mod snapshots;

use std::time::SystemTime;

use bytes::Bytes;

use super::*;

/// A tool with a minimal definition.
fn tool(name: &str) -> RawTool {
    let quoted = json_string(name);
    let definition = format!(r#"{{"title":"t","name":{quoted},"inputSchema":{{"type":"object"}}}}"#);
    let start = r#"{"title":"t","name":"#.len();
    RawTool::new(Bytes::from(definition), start..start + quoted.len(), name).unwrap()
}

fn json_string(text: &str) -> String {
    let escaped = text.chars().map(|char| match char {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        char if char.is_control() => format!("\\u{:04x}", u32::from(char)),
        char => char.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fn reading_tool(name: &str) -> RawTool {
    tool(name).with_annotations(Annotations { read_only: Some(true), ..Annotations::default() })
}

fn upstream(name: &str, order: u32, tools: &[&str]) -> UpstreamTools {
    UpstreamTools {
        name: name.into(),
        order,
        tools: tools.iter().map(|name| reading_tool(name)).collect(),
        ..UpstreamTools::default()
    }
}

fn builtin(tools: &[&str]) -> UpstreamTools {
    UpstreamTools { builtin: true, ..upstream("builtin", 0, tools) }
}

fn config(prefix: PrefixPolicy) -> RegistryConfig {
    RegistryConfig { naming: NamingRule { prefix, ..NamingRule::default() }, ..RegistryConfig::default() }
}

fn build(config: RegistryConfig, upstreams: &[UpstreamTools]) -> Snapshot {
    upstreams
        .iter()
        .fold(SnapshotBuilder::new(config), SnapshotBuilder::upstream)
        .build(SystemTime::UNIX_EPOCH)
}

fn shown(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.tools().iter().map(|entry| &*entry.shown).collect()
}
