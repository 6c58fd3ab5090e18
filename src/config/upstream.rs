//! `[[upstream]]`: the servers behind the gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use aqe_core::balancer::Strategy;
use aqe_core::cache::UpstreamRules;
use aqe_gateway::settings::SessionScope;

use super::balancer::STRATEGIES;
use super::cache;
use super::endpoint::Endpoint;
use super::env::clip;
use super::glob::Glob;
use super::keys::{Choice, Flag, Group, Int, Key, Map, OptChoice, OptInt, SectionKeys, Tables, Text, Texts};
use super::place::{Place, Severity};
use super::pool::MOST_CONNECTIONS;
use super::registry::{CATEGORY, is_category, is_name_character};
use super::replica::{self, ARGS, CA_FILE, COMMAND, CWD, ENV, HEADERS, HTTP2, INHERIT_ENV, Replica, URL};
use super::section::{Section, Spot};
use super::server::{DAY_MS, REQUEST_TIMEOUT_MS, Server, checked, idle_timeout};

/// Longest name, so that at least half of a tool's 64 characters are left for its own name.
pub(super) const MAX_NAME: usize = 32;

/// The form of a name, in words.
pub(super) const NAME_FORM: &str = "1 to 32 characters of A-Z a-z 0-9 _ . -";

/// Which era's protocol an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Found out by asking it.
    Auto,
    /// Revisions up to 2025-11-25: handshake and sessions.
    Legacy,
    /// Revision 2026-07-28: stateless.
    Modern,
}

/// Which of an upstream's tools are served.
#[derive(Clone, Debug, Default)]
pub struct ToolFilter {
    /// Patterns of which a tool's own name must fit one; empty: every name fits.
    pub allow: Vec<Glob>,
    /// Patterns of which it may fit none.
    pub deny: Vec<Glob>,
}

impl ToolFilter {
    /// Whether the tool that the upstream calls `name` is served.
    pub fn admits(&self, name: &str) -> bool {
        let fits = |globs: &[Glob]| globs.iter().any(|g| g.matches(name));
        (self.allow.is_empty() || fits(&self.allow)) && !fits(&self.deny)
    }
}

/// One server behind the gateway.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name, unique without regard to case.
    pub name: String,
    /// Where it is configured.
    pub place: Place,
    /// Where it runs; at least one.
    pub replicas: Vec<Replica>,
    /// Most processes of each replica that is a command.
    pub workers: u32,
    /// Most connections to each replica that is a URL; `None`: as many as the pool may have.
    pub max_connections: Option<u32>,
    /// Connections or processes that are kept for each replica; `None`: see [`crate::config::Pool`].
    pub min_connections: Option<u32>,
    /// Calls that one connection carries at once; `None`: as many as come.
    pub max_calls: Option<u32>,
    /// Who shares a connection; `None`: what is safe for its era.
    pub session_scope: Option<SessionScope>,
    /// How a replica is chosen; `None`: as `[balancer]` says.
    pub strategy: Option<Strategy>,
    /// The category of its tools, unless `[registry] categories` knows better.
    pub category: Option<String>,
    /// Whether the user vouches for it; its annotations are believed then.
    pub trusted: bool,
    /// Whether it is served at all.
    pub enabled: bool,
    /// Which era's protocol it speaks.
    pub era: Era,
    /// Time for it to start and to answer its first request.
    pub connect_timeout: Duration,
    /// Deadline of a call to it.
    pub request_timeout: Duration,
    /// Longest silence of a call to it. `None`: only the deadline counts.
    pub idle_timeout: Option<Duration>,
    /// Deadlines of single tools, by the upstream's name for them.
    pub tool_timeouts: BTreeMap<String, Duration>,
    /// Longest line, event or body that it may send, bytes.
    pub max_line: usize,
    /// Longest result that is passed on while it comes, bytes; 0: none is.
    pub max_result: u64,
    /// Which of its tools are served.
    pub tools: ToolFilter,
    /// Which of its answers are kept.
    pub cache: UpstreamRules,
}

static NAME: Text = Text {
    name: "name",
    kind: NAME_FORM,
    absent: "required",
    meaning: "What it is called. Begins and ends with a letter or digit, does not hold the separator, and \
              differs from every other name by more than case.",
};
static REPLICAS: Tables = Tables {
    name: "replicas",
    meaning: "Further places where it runs, besides or instead of a `command` or `url` of its own.",
};
static WORKERS: Int = Int {
    name: "workers",
    default: 1,
    min: 1,
    max: 1000,
    meaning: "Most processes of a `command`; of one that speaks both eras, in each of them. With several, one more is \
              started when each of them has a call, and those that are idle are stopped again.",
};
static MAX_CONNECTIONS: OptInt = OptInt {
    name: "max_connections",
    absent: "that of `[pool]`",
    min: 1,
    max: MOST_CONNECTIONS,
    meaning: "Most connections to a `url`: sessions of a legacy server.",
};
static MIN_CONNECTIONS: OptInt = OptInt {
    name: "min_connections",
    absent: "1 of several `workers`, else that of `[pool]`",
    min: 0,
    max: MOST_CONNECTIONS,
    meaning: "Connections, or processes of a `command`, that are kept open to each replica.",
};
static EXCLUSIVE: Flag = Flag {
    name: "exclusive",
    default: false,
    meaning: "Whether a connection carries one call at a time, for servers that cannot answer several at once.",
};
static MAX_CONCURRENT_CALLS: OptInt = OptInt {
    name: "max_concurrent_calls",
    absent: "1000; 1 if `exclusive`",
    min: 1,
    max: 1_000_000,
    meaning: "Calls that one connection carries at once.",
};
static SESSION_SCOPE: OptChoice<SessionScope> = OptChoice {
    name: "session_scope",
    options: &[
        ("shared", SessionScope::Shared),
        ("per_principal", SessionScope::PerPrincipal),
        ("per_client_session", SessionScope::PerClientSession),
        ("per_request", SessionScope::PerRequest),
    ],
    absent: "`\"shared\"` in the modern era, `\"per_principal\"` in the legacy one",
    meaning: "Who shares a connection, and with it what the server keeps in it: everybody, the calls of one user, \
              those of one session of a client, or nobody.",
};
static STRATEGY: OptChoice<Strategy> = OptChoice {
    name: "strategy",
    options: STRATEGIES,
    absent: "that of `[balancer]`",
    meaning: "How one of its replicas is chosen.",
};
static CATEGORY_KEY: Text = Text {
    name: "category",
    kind: CATEGORY,
    absent: "from annotations or its name",
    meaning: "The category of its tools.",
};
static TRUSTED: Flag = Flag {
    name: "trusted",
    default: false,
    meaning: "Whether what it says of its tools (read-only, idempotent) is believed.",
};
static ENABLED: Flag = Flag { name: "enabled", default: true, meaning: "Whether it is served at all." };
static ERA: Choice<Era> = Choice {
    name: "era",
    options: &[("auto", Era::Auto), ("legacy", Era::Legacy), ("modern", Era::Modern)],
    meaning: "Which protocol it speaks: `legacy` is up to 2025-11-25, `modern` is 2026-07-28; `auto` asks it.",
};
static CONNECT_TIMEOUT_MS: Int = Int {
    name: "connect_timeout_ms",
    default: 30_000,
    min: 1,
    max: DAY_MS,
    meaning: "Time for it to start and to answer its first request.",
};
static REQUEST_TIMEOUT: OptInt = OptInt {
    name: REQUEST_TIMEOUT_MS.name,
    absent: "that of `[server]`",
    min: 1,
    max: DAY_MS,
    meaning: "Deadline of a call to it.",
};
static IDLE_TIMEOUT: OptInt = OptInt {
    name: "idle_timeout_ms",
    absent: "that of `[server]`",
    min: 1,
    max: DAY_MS,
    meaning: "Longest silence of a call to it; progress resets it. Must be shorter than its \
              `request_timeout_ms`.",
};
static TOOL_TIMEOUT_MS: Map = Map {
    name: "tool_timeout_ms",
    kind: "a table of whole numbers of milliseconds",
    meaning: "Deadlines of single tools, by its own names for them: `{ crawl = 300000 }`.",
};
static MAX_LINE_BYTES: OptInt = OptInt {
    name: "max_line_bytes",
    absent: "that of `[server]`",
    min: 1024,
    max: 1 << 30,
    meaning: "Longest line, event or body that it may send, but for results that are passed on.",
};
static MAX_RESULT_BYTES: OptInt = OptInt {
    name: "max_result_bytes",
    absent: "that of `[server]`",
    min: 0,
    max: 1 << 40,
    meaning: "Longest result of a call that is passed on while it comes; 0 turns that off.",
};
static TOOLS: Group = Group { name: "tools", meaning: "Which of its tools are served." };
static CACHE: Group = Group { name: "cache", meaning: "Which of its answers are kept, and for how long." };
static ALLOW: Texts = Texts {
    name: "allow",
    kind: "a list of patterns",
    absent: "`[\"*\"]`",
    meaning: "Tools that are served, by its own names for them. `*` stands for any characters, `?` for one.",
};
static DENY: Texts = Texts {
    name: "deny",
    kind: "a list of patterns",
    absent: "`[]`",
    meaning: "Tools that are not served even if `allow` has them.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "upstream",
    repeated: true,
    meaning: "A server behind the gateway; one table for each.",
    keys: &[
        &NAME,
        &COMMAND,
        &ARGS,
        &ENV,
        &INHERIT_ENV,
        &CWD,
        &URL,
        &HEADERS,
        &CA_FILE,
        &HTTP2,
        &REPLICAS,
        &WORKERS,
        &MAX_CONNECTIONS,
        &MIN_CONNECTIONS,
        &EXCLUSIVE,
        &MAX_CONCURRENT_CALLS,
        &SESSION_SCOPE,
        &STRATEGY,
        &CATEGORY_KEY,
        &TRUSTED,
        &ENABLED,
        &ERA,
        &CONNECT_TIMEOUT_MS,
        &REQUEST_TIMEOUT,
        &IDLE_TIMEOUT,
        &TOOL_TIMEOUT_MS,
        &MAX_LINE_BYTES,
        &MAX_RESULT_BYTES,
        &TOOLS,
        &CACHE,
    ],
};

pub(super) static TOOLS_KEYS: SectionKeys = SectionKeys {
    path: "upstream.tools",
    repeated: false,
    meaning: "Which tools of an upstream are served; belongs to the `[[upstream]]` above it.",
    keys: &[&ALLOW, &DENY],
};

impl Upstream {
    /// Reads one table, the whole of it whatever is wrong. `None` when it cannot be used; why is reported.
    pub(super) fn read(section: &Section<'_, '_>, server: &Server) -> Option<Self> {
        let name = name(section);
        let others: Vec<Section<'_, '_>> = section
            .tables(&REPLICAS)
            .into_iter()
            .map(|node| Section::open(section.cx, &replica::KEYS, Some(node)))
            .collect();
        let of = name.as_ref().map_or("", |name| &name.value);
        let replicas = replica::read_all(section, of, &others, server);
        let limits = Limits::read(section);
        let session_scope = section.opt_choice(&SESSION_SCOPE);
        let strategy = section.opt_choice(&STRATEGY);
        let category = category(section);
        let trusted = section.flag(&TRUSTED);
        let enabled = section.flag(&ENABLED);
        let era = section.choice(&ERA);
        let connect_timeout = Duration::from_millis(section.int(&CONNECT_TIMEOUT_MS));
        let request_timeout =
            section.opt_int(&REQUEST_TIMEOUT).map_or(server.request_timeout, Duration::from_millis);
        let idle = idle_timeout(section, &IDLE_TIMEOUT, request_timeout.as_millis() as u64);
        let timeouts = section.int_map(&TOOL_TIMEOUT_MS, 1, DAY_MS).into_iter();
        let tool_timeouts = timeouts.map(|(tool, ms)| (tool.to_owned(), Duration::from_millis(ms))).collect();
        let max_line = section.opt_int(&MAX_LINE_BYTES).map_or(server.max_line, |n| n as usize);
        let max_result = section.opt_int(&MAX_RESULT_BYTES).unwrap_or(server.max_result);
        let tools = section.group(&TOOLS, &TOOLS_KEYS);
        let tools =
            ToolFilter { allow: checked(&tools, &ALLOW, Glob::new), deny: checked(&tools, &DENY, Glob::new) };
        let cache = cache::rules(&section.group(&CACHE, &cache::UPSTREAM_KEYS));
        if let Some(at) =
            section.key_at(CACHE.name).filter(|_| session_scope == Some(SessionScope::PerClientSession))
        {
            let advice = "\"cache\" has no effect with \"session_scope\" = \"per_client_session\"";
            section.cx.note(Severity::Warning, &at, advice);
        }
        let (name, replicas) = (name?, replicas?);
        limits.check(section, &replicas);
        if let Some(at) = section.key_at(STRATEGY.name).filter(|_| replicas.len() == 1) {
            let advice = "\"strategy\" has no effect with one replica";
            section.cx.note(Severity::Warning, &at, advice);
        }
        Some(Self {
            name: name.value,
            place: section.cx.place(&name.at),
            replicas,
            workers: limits.workers,
            max_connections: limits.max_connections,
            min_connections: limits.min_connections,
            max_calls: limits.max_calls,
            session_scope,
            strategy,
            category,
            trusted,
            enabled,
            era,
            connect_timeout,
            request_timeout,
            idle_timeout: idle.or(server.idle_timeout),
            tool_timeouts,
            max_line,
            max_result,
            tools,
            cache,
        })
    }

    /// An upstream of which nothing is known but where it is; all else is by default.
    pub(super) fn new(name: String, place: Place, endpoint: Endpoint, server: &Server) -> Self {
        Self {
            replicas: vec![Replica::only(&name, endpoint)],
            name,
            place,
            workers: WORKERS.default as u32,
            max_connections: None,
            min_connections: None,
            max_calls: None,
            session_scope: None,
            strategy: None,
            category: None,
            trusted: TRUSTED.default,
            enabled: ENABLED.default,
            era: Era::Auto,
            connect_timeout: Duration::from_millis(CONNECT_TIMEOUT_MS.default),
            request_timeout: server.request_timeout,
            idle_timeout: server.idle_timeout,
            tool_timeouts: BTreeMap::new(),
            max_line: server.max_line,
            max_result: server.max_result,
            tools: ToolFilter::default(),
            cache: UpstreamRules::default(),
        }
    }
}

/// How many connections and calls there may be.
struct Limits {
    workers: u32,
    max_connections: Option<u32>,
    min_connections: Option<u32>,
    max_calls: Option<u32>,
}

impl Limits {
    fn read(section: &Section<'_, '_>) -> Self {
        let limit = |key| section.opt_int(key).map(|number| number as u32);
        let exclusive = section.flag(&EXCLUSIVE);
        let max_calls = limit(&MAX_CONCURRENT_CALLS);
        if let Some(at) = section.key_at(MAX_CONCURRENT_CALLS.name).filter(|_| exclusive) {
            section.cx.fault(&at, "\"max_concurrent_calls\" has no effect with \"exclusive\", which means 1");
        }
        Self {
            workers: section.int(&WORKERS) as u32,
            max_connections: limit(&MAX_CONNECTIONS),
            min_connections: limit(&MIN_CONNECTIONS),
            max_calls: if exclusive { Some(1) } else { max_calls },
        }
    }

    /// Reports limits that no replica has, or that contradict each other.
    fn check(&self, section: &Section<'_, '_>, replicas: &[Replica]) {
        let is_child = |replica: &Replica| matches!(replica.endpoint, Endpoint::Child(_));
        let (commands, urls) = (replicas.iter().any(is_child), !replicas.iter().all(is_child));
        let idle = |key: &dyn Key, used: bool| section.key_at(key.name()).filter(|_| !used);
        if let Some(at) = idle(&WORKERS, commands) {
            section.cx.fault(&at, "\"workers\" has no effect with \"url\"; it belongs to \"command\"");
        }
        if let Some(at) = idle(&MAX_CONNECTIONS, urls) {
            let message = "\"max_connections\" has no effect with \"command\"; \"workers\" is what it has";
            section.cx.fault(&at, message);
        }
        // The larger limit where there are both kinds: each replica keeps no more than its own.
        let of_urls = if urls { self.max_connections.unwrap_or(u32::MAX) } else { 0 };
        let most = of_urls.max(if commands { self.workers } else { 0 });
        if let Some(min) = self.min_connections.filter(|min| *min > most) {
            let at = section.key_at(MIN_CONNECTIONS.name).unwrap_or_else(|| section.at.clone());
            let limit = if urls { "max_connections" } else { "workers" };
            section.cx.fault(&at, format!("\"min_connections\" ({min}) is above \"{limit}\" ({most})"));
        }
    }
}

/// Whether text can name an upstream; the separator is another matter.
pub(super) fn is_name(name: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    (1..=MAX_NAME).contains(&name.len())
        && name.chars().all(is_name_character)
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
}

fn name(section: &Section<'_, '_>) -> Option<Spot<String>> {
    if section.key_at(NAME.name).is_none() {
        section.cx.fault(&section.at, "this [[upstream]] has no \"name\"");
        return None;
    }
    let Spot { value, at } = section.text(&NAME)?;
    if !is_name(value) {
        let message = format!(
            "\"name\" must be {}, beginning and ending with a letter or digit; found \"{}\"",
            NAME.kind,
            clip(value)
        );
        section.cx.fault(&at, message);
        return None;
    }
    Some(Spot { value: value.to_owned(), at })
}

fn category(section: &Section<'_, '_>) -> Option<String> {
    let Spot { value, at } = section.text(&CATEGORY_KEY)?;
    if !is_category(value) {
        section.cx.fault(&at, format!("\"category\" must be {CATEGORY}; found \"{}\"", clip(value)));
    }
    Some(value.to_owned())
}
