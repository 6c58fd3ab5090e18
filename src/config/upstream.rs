//! `[[upstream]]`: the servers behind the gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use super::endpoint::{Draft, Endpoint};
use super::env::clip;
use super::glob::Glob;
use super::keys::{Choice, Flag, Group, Int, Map, OptInt, SectionKeys, Text, Texts};
use super::place::Place;
use super::registry::{CATEGORY, is_category, is_name_character};
use super::section::{Section, Spot};
use super::server::{DAY_MS, REQUEST_TIMEOUT_MS, Server, checked, idle_timeout, inherited};

/// Longest name, so that at least half of a tool's 64 characters are left for its own name.
pub(super) const MAX_NAME: usize = 32;

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
    /// Where it is.
    pub endpoint: Endpoint,
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
    /// Which of its tools are served.
    pub tools: ToolFilter,
}

static NAME: Text = Text {
    name: "name",
    kind: "1 to 32 characters of A-Z a-z 0-9 _ . -",
    absent: "required",
    meaning: "What it is called. Begins and ends with a letter or digit, does not hold the separator, and \
              differs from every other name by more than case.",
};
static COMMAND: Text = Text {
    name: "command",
    kind: "a program",
    absent: "this or `url`",
    meaning: "The program to start: a name in `PATH` or a path. It speaks MCP over stdio. No shell reads it.",
};
static ARGS: Texts =
    Texts { name: "args", kind: "a list of strings", absent: "`[]`", meaning: "Its arguments." };
static ENV: Map = Map {
    name: "env",
    kind: "a table of strings",
    meaning: "Its environment variables, beside `PATH`, `HOME`, the locale and their like.",
};
static INHERIT_ENV: Texts = Texts {
    name: "inherit_env",
    kind: "a list of variable names",
    absent: "`[]`",
    meaning: "Further variables of the server's environment that it gets.",
};
static CWD: Text = Text {
    name: "cwd",
    kind: "a path",
    absent: "that of the server",
    meaning: "The folder that it starts in.",
};
static URL: Text = Text {
    name: "url",
    kind: "an http or https URL",
    absent: "this or `command`",
    meaning: "Where it serves streamable HTTP.",
};
static HEADERS: Map = Map {
    name: "headers",
    kind: "a table of strings",
    meaning: "Headers for every request to it, such as `Authorization`.",
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
    meaning: "Longest line, event or body that it may send.",
};
static TOOLS: Group = Group { name: "tools", meaning: "Which of its tools are served." };
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
        &CATEGORY_KEY,
        &TRUSTED,
        &ENABLED,
        &ERA,
        &CONNECT_TIMEOUT_MS,
        &REQUEST_TIMEOUT,
        &IDLE_TIMEOUT,
        &TOOL_TIMEOUT_MS,
        &MAX_LINE_BYTES,
        &TOOLS,
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
        let endpoint = endpoint(section, server);
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
        let tools = section.group(&TOOLS, &TOOLS_KEYS);
        let tools =
            ToolFilter { allow: checked(&tools, &ALLOW, Glob::new), deny: checked(&tools, &DENY, Glob::new) };
        let (name, endpoint) = (name?, endpoint?);
        Some(Self {
            name: name.value,
            place: section.cx.place(&name.at),
            endpoint,
            category,
            trusted,
            enabled,
            era,
            connect_timeout,
            request_timeout,
            idle_timeout: idle.or(server.idle_timeout),
            tool_timeouts,
            max_line,
            tools,
        })
    }

    /// An upstream of which nothing is known but where it is; all else is by default.
    pub(super) fn new(name: String, place: Place, endpoint: Endpoint, server: &Server) -> Self {
        Self {
            name,
            place,
            endpoint,
            category: None,
            trusted: TRUSTED.default,
            enabled: ENABLED.default,
            era: Era::Auto,
            connect_timeout: Duration::from_millis(CONNECT_TIMEOUT_MS.default),
            request_timeout: server.request_timeout,
            idle_timeout: server.idle_timeout,
            tool_timeouts: BTreeMap::new(),
            max_line: server.max_line,
            tools: ToolFilter::default(),
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

fn endpoint(section: &Section<'_, '_>, server: &Server) -> Option<Endpoint> {
    let command = section.text(&COMMAND);
    let url = section.text(&URL);
    let own = inherited(section, &INHERIT_ENV);
    let draft = Draft {
        args: section.texts(&ARGS),
        env: section.text_map(&ENV),
        inherit_env: server.inherit_env.iter().cloned().chain(own).collect(),
        cwd: section.text(&CWD),
        headers: section.text_map(&HEADERS),
        command,
        url,
    };
    let written = |name: &str| section.key_at(name).is_some();
    let (has_command, has_url) = (written(COMMAND.name), written(URL.name));
    // A key that would do nothing is a mistake: the user meant something by it.
    let foreign: &[&str] = match (has_command, has_url) {
        (true, false) => &["headers"],
        (false, true) => &["args", "env", "cwd", "inherit_env"],
        _ => &[],
    };
    for key in foreign {
        if let Some(at) = section.key_at(key) {
            let (kind, other) = if has_url { ("url", "command") } else { ("command", "url") };
            section
                .cx
                .fault(&at, format!("\"{key}\" has no effect with \"{kind}\"; it belongs to \"{other}\""));
        }
    }
    // A wrong type was reported where it stands: "neither is given" would be a second, false report.
    if (has_command && draft.command.is_none()) || (has_url && draft.url.is_none()) {
        return None;
    }
    draft.finish(&section.cx, &section.at)
}
