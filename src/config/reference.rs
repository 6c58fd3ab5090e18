//! The reference page, printed from the declarations that the parser reads with.

use std::fmt::Write as _;

use super::keys::SectionKeys;
use super::{
    alert_sinks, alerts, balancer, cache, fleet, monitoring, otlp, pool, qe, registry, replica, server,
    store, transport, upstream,
};

pub use super::keys::{Key, SectionKeys as Section};

/// The sections, in the order of the page.
pub static SECTIONS: &[&SectionKeys] = &[
    &server::KEYS,
    &registry::KEYS,
    &pool::KEYS,
    &balancer::KEYS,
    &transport::KEYS,
    &cache::KEYS,
    &cache::L1_KEYS,
    &cache::L2_KEYS,
    &cache::L3_KEYS,
    &monitoring::KEYS,
    &otlp::KEYS,
    &qe::KEYS,
    &fleet::KEYS,
    &fleet::PROFILE_KEYS,
    &store::KEYS,
    &upstream::KEYS,
    &replica::KEYS,
    &upstream::TOOLS_KEYS,
    &cache::UPSTREAM_KEYS,
    &alerts::ALERTING_KEYS,
    &alerts::THRESHOLDS_KEYS,
    &alerts::ALERT_KEYS,
    &alerts::BURN_RATE_KEYS,
    &alert_sinks::WEBHOOK_KEYS,
    &alert_sinks::COMMAND_KEYS,
];

const INTRODUCTION: &str = "\
# Configuration

This page is printed from the source: change it there (`src/config/`), then run
`UPDATE_REFERENCE=1 cargo test reference`.

## Files

`aqe-v3` reads one TOML file: the one that `--config` names, else `aqe.toml` in the current folder, else
`$XDG_CONFIG_HOME/aqe-v3/aqe.toml` (`~/.config/aqe-v3/aqe.toml`). It also reads the MCP servers of an agent's
JSON file: those that `--mcp-config` names, else `.mcp.json` in the current folder. Naming any file switches
the search for the others off. Without any file all defaults hold.

A file has at most 1 MiB of UTF-8. On Unix it must belong to you or to root, and nobody else may be able to
write it, since it says which commands run.

`aqe-v3 mcp config check` says what was read and what is wrong with it, all faults at once, by file and line.
A key that is not listed here is a fault.

## Variables

`${VAR}` is replaced by the environment variable, `${VAR:-default}` by the default where it is unset or empty;
`$${` is a literal `${`. This holds in `command`, `args`, `env`, `cwd`, `url`, `headers`, `ca_file`, `bearer_token`,
`secret`, `unix_socket`, `access_log`, the `endpoint` of OTLP and the `path` of store and cache. A variable that is not set and has no default is a fault. Paths may begin
with `~/`; others that are relative start at the folder of the file.

## Agents' files

Objects under `mcpServers` (Claude Code, Cursor and others) or `servers` (VS Code) become upstreams, with the
defaults of `[[upstream]]`. Understood are `type` (`stdio`, `http`, `streamable-http`), `command`, `args`, `env`,
`cwd`, `url` (also `httpUrl`, `serverUrl`), `headers`, `disabled` and `enabled`, comments and trailing commas;
`${env:VAR}`, `${userHome}` and `${workspaceFolder}` beside the forms above. Other keys are ignored and named in
a note. A server that cannot be used (the old `sse` transport, a variable that is not set, `${input:…}`) is left
out with a warning; so is an entry that is this server itself. An upstream of the same name in the TOML file
stands before one in JSON. Names that may not be used here are changed, and a note says so.
";

/// The whole page, in Markdown.
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for section in SECTIONS {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## `{}`\n\n{}\n\n", section.heading(), section.meaning);
        page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in section.keys {
            let cells = [key.kind(), key.default(), key.meaning().to_owned()].map(|c| c.replace('|', "\\|"));
            let _ = writeln!(page, "| `{}` | {} |", key.name(), cells.join(" | "));
        }
    }
    page
}
