//! A document of a server, for tests: every member that the admin API names, and a history.

use serde_json::{Value, json};

/// A time of calls: all percentiles from the median.
fn times(p50: f64) -> Value {
    json!({ "count": 120, "mean": p50 * 1.2, "p50": p50, "p90": p50 * 2.0, "p95": p50 * 3.0, "p99": p50 * 8.0,
            "max": p50 * 20.0 })
}

/// Calls: with these members, and then the others of the admin API.
fn calls(mut members: Value, requests: u64, errors: u64, p50: f64) -> Value {
    members["requests"] = requests.into();
    members["per_s"] = (requests as f64 / 60.0).into();
    members["errors"] = errors.into();
    members["error_rate"] =
        if requests == 0 { Value::Null } else { (errors as f64 / requests as f64).into() };
    members["errors_by_kind"] =
        if errors == 0 { json!({}) } else { json!({ "timeout": 1, "tool_error": errors - 1 }) };
    members["cancelled"] = 1.into();
    members["from_cache"] = (requests / 4).into();
    members["latency_ms"] = times(p50);
    members["upstream_ms"] = times(p50 * 0.9);
    members["overhead_ms"] = times(0.02);
    members["request_bytes"] = (requests * 120).into();
    members["response_bytes"] = (requests * 2_400).into();
    members["estimated_tokens"] = (requests * 600).into();
    members
}

fn tool(name: &str, upstream: &str, requests: u64, errors: u64, p50: f64) -> Value {
    let members = json!({ "name": name, "upstream": upstream, "category": upstream, "total_requests": requests * 9,
                          "definition_bytes": 840, "definition_tokens": 210 });
    calls(members, requests, errors, p50)
}

/// A server with an error or two, an upstream with two replicas of which one is out, a call and an alert.
pub(super) fn document() -> Value {
    let mut all = calls(json!({}), 1_230, 4, 1.5);
    all["in_flight"] = 3.into();
    let mut document = json!({
        "at": "2026-11-22T12:34:56.789Z", "version": "0.1.0", "pid": 4711, "uptime_ms": 11_520_000.0,
        "startup_ms": 8.1,
        "window": { "name": "1m", "covers_ms": 61_000.0 },
        "histogram_error": 0.0079, "token_estimator": "bytes / 4", "monitoring": true,
        "health": { "status": "warning", "reasons": [
            { "signal": "pool_hit_rate", "value": 0.64, "threshold": 0.7, "status": "warning",
              "text": "64 % of the calls found a connection (less than 70 %)" }] },
        "all": all,
        "categories": [calls(json!({ "name": "files" }), 930, 4, 1.2), calls(json!({ "name": "search" }), 300, 0, 12.0)],
        "upstreams": [calls(json!({ "name": "files" }), 930, 4, 1.2), calls(json!({ "name": "search" }), 300, 0, 12.0)],
        "tools": [
            tool("files__read_text_file", "files", 800, 0, 1.1), tool("files__write_file", "files", 130, 4, 2.4),
            tool("search__query", "search", 300, 0, 12.0), tool("search__suggest", "search", 0, 0, 3.0),
        ],
        "methods": [calls(json!({ "name": "tools/list" }), 12, 0, 0.1), calls(json!({ "name": "initialize" }), 2, 0, 0.3)],
        "refused": { "parse": 0, "unauthorized": 2, "origin": 0, "headers": 0, "session": 0, "too_large": 0 },
        "lookups": { "exact": 1_229, "resolved": 1, "unknown": 2, "per_s": 20.5 },
        "lists": { "tools": { "entries": 42, "bytes": 30_720, "estimated_tokens": 7_680 } },
    });
    let others = [
        (
            "pool",
            json!({
                "settings": { "max_connections": 50 },
                "all": { "available": 4, "idle": 3, "in_use": 5, "opening": 1, "waiting": 2, "hits": 787, "misses": 443,
                         "hit_rate": 0.64, "wait_ms": { "p99": 0.02 } },
            }),
        ),
        ("balance", json!({ "upstreams": [] })),
        (
            "cache",
            json!({ "levels": [
            { "level": "l1", "hits": 300, "misses": 930, "hit_rate": 0.244 },
            { "level": "l2", "hits": 7, "misses": 923, "hit_rate": 0.0075 },
            { "level": "l3", "hits": 0, "misses": 0, "hit_rate": null }],
            "calls_joined": 5, "calls_under_way": 0, "refreshed": 0 }),
        ),
        (
            "replicas",
            json!([
                calls(
                    json!({ "upstream": "files", "replica": "files", "state": "closed", "error": null, "in_flight": 1,
                          "reason": null, "picks": 930, "ejections": 0, "restarts": 1, "last_lines": ["ready", "watching /home"],
                          "children": [{ "pid": 812, "cpu_percent": 3.1, "rss_bytes": 52_428_800, "uptime_ms": 90_000.0 }] }),
                    930,
                    4,
                    1.2
                ),
                calls(
                    json!({ "upstream": "search", "replica": "two", "state": "open", "error": "connection refused",
                          "in_flight": 0, "reason": "3 failures in a row", "picks": 12, "ejections": 1, "restarts": 0, "last_lines": [], "children": [] }),
                    12,
                    12,
                    40.0
                ),
            ]),
        ),
        (
            "process",
            json!({ "rss_bytes": 14_680_064, "cpu_seconds": 3.2, "cpu_percent": 4.2, "threads": 5, "open_files": 31 }),
        ),
        ("sessions", json!(2)),
        (
            "calls",
            json!([{ "call": "c-1f", "method": "tools/call", "tool": "search__query", "upstream": "search",
                    "era": "legacy", "principal": "local", "task": null, "running_ms": 2_412.0 }]),
        ),
        (
            "alerts",
            json!([{ "name": "pool-hit-rate", "state": "firing", "severity": "warning", "signal": "pool_hit_rate",
                     "unit": "share", "scope": { "kind": "all", "name": null }, "comparison": "below", "value": 0.64,
                     "threshold": 0.7, "window": null, "for_ms": 600_000.0, "since": "2026-11-22T12:30:00.000Z",
                     "started": "2026-11-22T12:30:00.000Z", "peak": 0.61, "ack": null,
                     "text": "the pool's hit rate is 64.0 %, below 70 %" }]),
        ),
    ];
    for (name, member) in others {
        document[name] = member;
    }
    document
}

/// What `/admin/fleets` tells of one fleet, and `/admin/fleets/tasks/…` of one of its tasks.
pub(super) fn fleets() -> (Value, Value) {
    let task = |number: u32, key: &str, state: &str, error: Value, ended: Value| {
        json!({ "task_id": format!("run-0a.{number}"), "key": key, "profile": "pytest", "state": state, "priority": 4,
                "attempts": 1, "max_attempts": 2, "waits_for": 0, "parent": null, "open_children": 0,
                "progress": null, "error": error, "cancel_wanted": null, "created": "2026-11-22T12:30:00Z",
                "started": "2026-11-22T12:30:01Z", "ended": ended, "due": null })
    };
    let told = json!({ "total": 1, "next_cursor": null, "fleets": [{
        "fleet_id": "fleet-1", "name": "default", "principal": "local", "throughput_1m": 3, "restarts": {},
        "degraded": ["pytest: 1 of 2 agents"], "effective": { "topology": "pool", "max_concurrency": 2 },
        "queue": { "blocked": 1, "scheduled": 0, "ready": 2, "running": 1, "retrying": 0, "waiting": 0, "done": 12,
                   "failed": 0, "dead": 1, "cancelled": 0, "skipped": 0, "oldest_age_ms": 1200 },
        "agents": [{ "id": "a1", "profile": "pytest", "kind": "process", "pid": 4712, "state": "busy", "uptime_ms": 90_000,
                     "rss_kb": 46_080, "cpu_ms": 900, "current_task": "run-0a.1", "done": 12, "failed": 1 }],
        "tasks": [task(1, "unit", "running", Value::Null, Value::Null),
                  task(0, "lint", "dead", json!("exit code 1"), json!("2026-11-22T12:30:05.5Z"))],
    }] });
    let detail = json!({ "task_id": "run-0a.0", "attempts": [{ "attempt": 1, "outcome": "exit_code", "error": "exit code 1",
        "result": { "ms": 4500, "stdout": { "head": "first\n", "tail": "last\u{1b}[31m\n", "bytes": 90_000, "omitted": 73_000 },
                    "stderr": { "head": "", "tail": "", "bytes": 0, "omitted": 0 } } }] });
    (told, detail)
}

/// Five minutes of requests that come in waves.
pub(super) fn history() -> Value {
    let points: Vec<Value> = (0..300_u64)
        .map(|second| {
            let wave = 20.0 + 15.0 * (second as f64 / 9.0).sin();
            json!({ "at": 1_795_000_000_000_u64 + second * 1000, "requests": wave.round() as u64,
                    "errors": u64::from(second % 40 == 0), "p50_ms": 1.5, "p95_ms": 3.0 + wave / 8.0, "p99_ms": 12.0,
                    "in_flight": 3, "pool_in_use": 5, "pool_total": 9, "pool_max": 50, "pool_hits": 12, "pool_misses": 8,
                    "rss_bytes": 12_000_000 + second * 9_000, "cache_hits": { "hot": 4, "memory": 0, "disk": 0 },
                    "cache_misses": 9, "lookups": 20 })
        })
        .collect();
    json!({ "step_ms": 1000, "points": points })
}
