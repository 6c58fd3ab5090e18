//! The result cache: shown and cleared.

use aqe_core::cache::{DiskReading, Forget, Level, LevelReading, Reading};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Refused;
use super::changes::Changes;
use crate::cache::ResultCache;
use crate::proxy::Gateway;

fn cache(gateway: &Gateway) -> Result<&ResultCache, Refused> {
    gateway.cache.as_ref().ok_or_else(|| Refused {
        status: StatusCode::NOT_FOUND,
        message: "there is no result cache: it is switched off ([cache] enabled, --optimized)".into(),
    })
}

/// `GET /admin/cache`.
pub(super) fn status(gateway: &Gateway) -> Result<Value, Refused> {
    let reading = cache(gateway)?.read();
    let mut levels: Vec<Value> = reading.memory.iter().map(memory).collect();
    levels.extend(reading.disk.as_ref().map(disk));
    Ok(json!({
        "levels": levels,
        "calls_under_way": reading.under_way,
        "calls_joined": reading.joined,
        "refreshed": reading.refreshed,
    }))
}

/// `POST /admin/cache/clear`.
pub(super) fn clear(gateway: &Gateway, body: &Bytes) -> Result<Value, Refused> {
    let cache = cache(gateway)?;
    // An empty body says that nothing is left out.
    let (upstream, tool) = if body.trim_ascii().is_empty() || body.trim_ascii() == b"{}" {
        (None, None)
    } else {
        let mut changes = Changes::read(body, &["upstream", "tool"])?;
        (changes.text("upstream")?, changes.text("tool")?)
    };
    let what = meant(gateway, upstream, tool)?;
    let entries = cache.clear(&what);
    tracing::info!(?what, entries, "result cache cleared");
    Ok(json!({ "cleared": entries }))
}

/// What is to be forgotten. A tool is named as clients see it, or with its upstream as that calls it.
fn meant(gateway: &Gateway, upstream: Option<String>, tool: Option<String>) -> Result<Forget, Refused> {
    let catalog = gateway.catalog();
    if let Some(name) = &upstream
        && catalog.upstreams.iter().all(|known| known.name() != name)
    {
        let known: Vec<&str> = catalog.upstreams.iter().map(|upstream| upstream.name()).collect();
        return Err(Refused::bad(format!("no upstream is called {name:?}; there are: {}", known.join(", "))));
    }
    let Some(tool) = tool else {
        return Ok(upstream.map_or(Forget::All, |name| Forget::Upstream(name.into())));
    };
    let is_of = |of: &str| upstream.as_deref().is_none_or(|name| name == of);
    let shown = catalog.tools.get(&tool).filter(|entry| is_of(&entry.upstream.name));
    let own = || {
        let mut own = catalog.tools.tools().iter().filter(|entry| *entry.original == *tool);
        own.find(|entry| upstream.is_some() && is_of(&entry.upstream.name))
    };
    match shown.or_else(own) {
        Some(entry) => Ok(Forget::Name(entry.upstream.name.clone(), entry.original.clone())),
        None => Err(Refused::bad(format!("no tool is called {tool:?}; aqe-v3 mcp tools list shows them"))),
    }
}

fn memory(level: &LevelReading) -> Value {
    let mut value = counts(level.level, &level.counts);
    value["entries"] = level.entries.into();
    value["max_entries"] = level.max_entries.into();
    value["bytes"] = level.bytes.into();
    value["max_bytes"] = level.max_bytes.into();
    value
}

fn disk(level: &DiskReading) -> Value {
    let mut value = counts(Level::Disk, &level.counts);
    value["entries"] = level.entries.into();
    value["max_entries"] = Value::Null;
    value["bytes"] = level.bytes.into();
    value["max_bytes"] = level.max_bytes.into();
    value["damaged"] = level.damaged.into();
    value["dropped"] = level.dropped.into();
    value["off"] = level.off.clone().into();
    value
}

fn counts(level: Level, counts: &Reading) -> Value {
    json!({
        "level": level.as_str(),
        "hits": counts.hits,
        "misses": counts.misses,
        "hit_rate": counts.hit_rate(),
        "stale": counts.stale,
        "expired": counts.expired,
        "invalid": counts.invalid,
        "inserted": counts.inserted,
        "evicted": counts.evicted,
    })
}
