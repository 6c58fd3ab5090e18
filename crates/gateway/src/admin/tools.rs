//! The tools: listed, looked up, counted.

use std::sync::Arc;

use aqe_core::registry::{Lookup, MAX_SUGGESTIONS, Suggestion, ToolEntry};
use serde_json::{Value, json};

use super::query::Query;
use super::{Refused, millis, moment, status};
use crate::proxy::Gateway;
use crate::upstream::Upstream;

/// Tools named in `most_used`.
const MOST_USED: usize = 10;
/// Name issues told; the rest are counted.
const MAX_ISSUES: usize = 100;

/// `GET /admin/tools`.
pub(super) fn list(gateway: &Gateway, query: &Query) -> Value {
    let catalog = gateway.catalog();
    let category = query.get("category");
    let upstream = query.get("upstream");
    let fits = |tool: &ToolEntry| {
        category.is_none_or(|category| &*tool.category == category)
            && upstream.is_none_or(|upstream| &*tool.upstream.name == upstream)
    };
    let tools: Vec<Value> = match query.get("prefix") {
        Some(prefix) => catalog
            .tools
            .with_prefix(prefix)
            .into_iter()
            .filter(|tool| fits(tool))
            .map(|tool| one(tool))
            .collect(),
        None => catalog.tools.tools().iter().filter(|tool| fits(tool)).map(|tool| one(tool)).collect(),
    };
    json!({ "total": tools.len(), "tools": tools, "not_listed": not_listed(&gateway.upstreams()) })
}

/// `GET /admin/tools/lookup`.
pub(super) fn lookup(gateway: &Gateway, query: &Query) -> Result<Value, Refused> {
    let name = query.get("name").ok_or_else(|| Refused::bad("\"name\" is missing"))?;
    let catalog = gateway.catalog();
    Ok(match catalog.tools.lookup(name, &gateway.resolved, |_| true) {
        Lookup::Exact(tool) => json!({ "name": name, "match": "exact", "tool": whole(tool) }),
        Lookup::Resolved { entry, similarity, edits, variant } => json!({
            "name": name,
            "match": "resolved",
            "tool": whole(entry),
            "similarity": similarity,
            "edits": edits,
            "variant": variant.as_str(),
        }),
        // Asked for by a person, the nearest are named whatever the policy for calls is.
        Lookup::Unknown { .. } => {
            let near = catalog.tools.nearest(name, MAX_SUGGESTIONS, |_| true);
            let near: Vec<Value> = near
                .iter()
                .map(|Suggestion { entry, similarity, variant, .. }| {
                    json!({ "name": entry.shown, "similarity": similarity, "variant": variant.as_str() })
                })
                .collect();
            json!({
                "name": name,
                "match": "unknown",
                "tool": null,
                "suggestions": near,
                "not_listed": not_listed(&gateway.upstreams()),
            })
        }
    })
}

/// `GET /admin/tools/stats`.
pub(super) fn stats(gateway: &Gateway) -> Value {
    let catalog = gateway.catalog();
    let stats = catalog.tools.stats(&gateway.resolved);
    let searches = stats.fuzzy.hits + stats.fuzzy.misses;
    let categories: Vec<Value> =
        stats.categories.iter().map(|(name, tools)| json!({ "name": **name, "tools": tools })).collect();
    let most_used: Vec<Value> =
        catalog.tools.most_used(MOST_USED).into_iter().map(|tool| one(tool)).collect();
    let issues: Vec<String> =
        catalog.tools.issues().iter().take(MAX_ISSUES).map(ToString::to_string).collect();
    json!({
        "total_tools": stats.total_tools,
        "denied_tools": stats.denied_tools,
        "compiled_at": moment(stats.compiled_at),
        "build_time_ms": stats.build_time.map(millis),
        "categories": categories,
        "fuzzy_cache": {
            "entries": stats.fuzzy.entries,
            "hits": stats.fuzzy.hits,
            "misses": stats.fuzzy.misses,
            "resolved_calls_and_lookups": stats.fuzzy.resolved,
            // Nobody has searched yet: there is no rate.
            "hit_rate": (searches > 0).then(|| stats.fuzzy.hits as f64 / searches as f64),
        },
        "most_used": most_used,
        "name_issues": { "total": stats.name_issues, "first": issues },
        "not_listed": not_listed(&gateway.upstreams()),
    })
}

/// Upstreams whose tools are not known: not connected yet, or never reached.
fn not_listed(upstreams: &[Arc<Upstream>]) -> Vec<&str> {
    let unknown = upstreams.iter().filter(|upstream| !status::is_listed(upstream));
    unknown.map(|upstream| upstream.name()).collect()
}

fn one(tool: &ToolEntry) -> Value {
    let usage = tool.usage.series.totals();
    json!({
        "name": tool.shown,
        "original": tool.original,
        "upstream": tool.upstream.name,
        "category": *tool.category,
        "annotations": {
            "readOnlyHint": tool.annotations.read_only,
            "idempotentHint": tool.annotations.idempotent,
            "destructiveHint": tool.annotations.destructive,
            "openWorldHint": tool.annotations.open_world,
        },
        "calls": usage.requests(),
        "from_cache": usage.from_cache(),
        "errors": usage.errors(),
        "mean_ms": usage.latency.mean().map(millis),
        "p95_ms": usage.latency.quantile(0.95).map(millis),
    })
}

/// The same with the definition that clients get.
fn whole(tool: &ToolEntry) -> Value {
    let mut value = one(tool);
    // Deeper nesting than serde_json reads is possible within the configured limit; then there is none to show.
    value["definition"] = serde_json::from_slice(&tool.definition).unwrap_or_default();
    value
}
