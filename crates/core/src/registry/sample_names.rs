//! Realistic tool names from a fixed seed, and typing errors, for tests and benchmarks.
//!
//! Built as real servers build theirs: a server has a few objects that it is about, and for each of them a choice of
//! verbs, some with a qualifier.

// Benchmarks include this file by its path, and need from it what no test does, and the other way round.
#![allow(unreachable_pub, dead_code)]

/// A small generator (SplitMix64), so that samples are the same everywhere and for ever.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// One of `words`.
    pub fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.below(words.len())]
    }
}

const SERVERS: &[&str] = &[
    "github",
    "gitlab",
    "slack",
    "notion",
    "linear",
    "jira",
    "confluence",
    "stripe",
    "sentry",
    "datadog",
    "grafana",
    "postgres",
    "mysql",
    "mongodb",
    "redis",
    "elastic",
    "files",
    "memory",
    "browser",
    "playwright",
    "figma",
    "asana",
    "trello",
    "discord",
    "gmail",
    "calendar",
    "drive",
    "sheets",
    "dropbox",
    "shopify",
    "hubspot",
    "salesforce",
    "zendesk",
    "intercom",
    "twilio",
    "sendgrid",
    "cloudflare",
    "vercel",
    "netlify",
    "supabase",
    "firebase",
    "aws",
    "azure",
    "gcloud",
    "kubernetes",
    "docker",
    "terraform",
    "jenkins",
    "circleci",
    "snyk",
    "sonar",
    "pagerduty",
    "airtable",
    "monday",
    "clickup",
    "miro",
    "zoom",
    "weather",
    "maps",
    "search",
    "arxiv",
    "wikipedia",
    "youtube",
    "spotify",
    "reddit",
    "news",
    "finance",
    "crypto",
    "time",
    "fetch",
    "sqlite",
    "neo4j",
    "qdrant",
    "pinecone",
    "chroma",
    "weaviate",
    "obsidian",
    "todoist",
    "evernote",
    "pocket",
    "raindrop",
    "bitbucket",
    "gitea",
    "sourcegraph",
    "semgrep",
    "codeql",
    "ghidra",
    "blender",
    "unity",
    "godot",
    "home_assistant",
    "mqtt",
    "influx",
    "prometheus",
    "loki",
    "tempo",
    "opsgenie",
    "statuspage",
    "segment",
    "mixpanel",
];

const VERBS: &[&str] = &[
    "get", "list", "create", "update", "delete", "search", "add", "remove", "set", "read", "write", "run",
    "find", "fetch", "send", "move", "copy", "rename", "archive", "restore", "enable", "disable", "start",
    "stop", "cancel", "approve", "reject", "assign", "close", "reopen", "merge", "sync", "export", "import",
    "validate", "query", "describe", "upload", "download", "publish",
];

const OBJECTS: &[&str] = &[
    "issue",
    "issues",
    "pull_request",
    "repository",
    "branch",
    "commit",
    "file",
    "files",
    "directory",
    "page",
    "pages",
    "comment",
    "comments",
    "user",
    "users",
    "team",
    "member",
    "project",
    "task",
    "tasks",
    "ticket",
    "message",
    "channel",
    "thread",
    "event",
    "calendar",
    "document",
    "folder",
    "sheet",
    "row",
    "column",
    "table",
    "schema",
    "query",
    "index",
    "record",
    "records",
    "invoice",
    "customer",
    "payment",
    "subscription",
    "product",
    "order",
    "refund",
    "webhook",
    "token",
    "secret",
    "key",
    "role",
    "policy",
    "deployment",
    "build",
    "pipeline",
    "workflow",
    "job",
    "artifact",
    "release",
    "tag",
    "label",
    "milestone",
    "alert",
    "incident",
    "dashboard",
    "metric",
    "metrics",
    "log",
    "logs",
    "trace",
    "span",
    "container",
    "image",
    "volume",
    "network",
    "cluster",
    "node",
    "pod",
    "service",
    "namespace",
    "bucket",
    "object",
    "queue",
    "topic",
    "function",
    "domain",
    "record_set",
    "certificate",
    "template",
    "form",
    "field",
    "view",
    "report",
    "export",
    "snapshot",
    "backup",
    "session",
    "screenshot",
    "element",
    "tab",
    "cookie",
    "note",
    "entity",
    "relation",
    "observation",
    "graph",
];

const QUALIFIERS: &[&str] = &[
    "by_id",
    "by_name",
    "status",
    "details",
    "history",
    "batch",
    "all",
    "metadata",
    "permissions",
    "settings",
    "summary",
    "count",
    "content",
    "links",
    "async",
];

/// One plausible name of a tool of `server`.
fn name_of(server: &str, dice: &mut Dice) -> String {
    let mut name = format!("{server}__{}_{}", dice.pick(VERBS), dice.pick(OBJECTS));
    if dice.below(3) == 0 {
        name.push('_');
        name.push_str(dice.pick(QUALIFIERS));
    }
    name
}

/// `present + absent` different names, spread over as many servers as such a registry would have; the first part is
/// to be registered and the second is not.
pub fn sample(present: usize, absent: usize, seed: u64) -> (Vec<String>, Vec<String>) {
    let mut dice = Dice(seed);
    // About a hundred tools a server; beyond the known servers, numbered ones.
    let servers: Vec<String> = (0..(present / 100).max(5))
        .map(|index| match index / SERVERS.len() {
            0 => SERVERS[index].to_owned(),
            round => format!("{}{}", SERVERS[index % SERVERS.len()], round + 1),
        })
        .collect();
    let mut names = std::collections::BTreeSet::new();
    let mut drawn = Vec::new();
    while drawn.len() < present + absent {
        let server = dice.below(servers.len());
        let name = name_of(&servers[server], &mut dice);
        if names.insert(name.clone()) {
            drawn.push(name);
        }
    }
    let absent = drawn.split_off(present);
    (drawn, absent)
}

/// `name` after one typing error: a letter left out, doubled or wrong, another put in, or two swapped.
pub fn mistyped(name: &str, dice: &mut Dice) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
    let mut text = name.as_bytes().to_vec();
    let place = dice.below(text.len() - 1);
    let letter = LETTERS[dice.below(LETTERS.len())];
    match dice.below(5) {
        0 => drop(text.remove(place)),
        1 => text.insert(place, text[place]),
        2 => text[place] = letter,
        3 => text.insert(place, letter),
        _ => text.swap(place, place + 1),
    }
    String::from_utf8_lossy(&text).into_owned()
}
