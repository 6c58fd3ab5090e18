//! `[server]`: what clients meet.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::address::{DEFAULT_PORT, check_host, check_origin, parse_listen};
use super::env::{clip, is_variable_name};
use super::keys::{Choice, Flag, Int, OptInt, SectionKeys, Text, Texts, one_of};
use super::paths;
use super::place::Severity;
use super::secret::Secret;
use super::section::{Section, Spot};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
/// Longest time limit; whoever wants none is better served by a day than by an overflow.
pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Which transports the server offers to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Stdio when standard input is a pipe (an agent started us), HTTP when it is a terminal.
    Auto,
    /// Standard input and output only.
    Stdio,
    /// Streamable HTTP only.
    Http,
    /// Both at once.
    Both,
}

impl Transport {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("stdio", Self::Stdio), ("http", Self::Http), ("both", Self::Both)];
}

impl std::str::FromStr for Transport {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::WORDS.iter().find(|(w, _)| *w == word).map(|(_, transport)| *transport);
        found.ok_or_else(|| format!("must be {}", one_of(Self::WORDS.iter().map(|(w, _)| *w))))
    }
}

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Transports towards clients.
    pub transport: Transport,
    /// Address of the HTTP listener; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Path of a Unix socket that also serves MCP.
    pub unix_socket: Option<PathBuf>,
    /// Token that HTTP clients must present.
    pub bearer_token: Option<Secret>,
    /// `Host` values accepted beside loopback names and the listening address; lower case.
    pub allowed_hosts: Vec<String>,
    /// `Origin` values accepted beside those of loopback; lower case.
    pub allowed_origins: Vec<String>,
    /// Most client connections at once.
    pub max_connections: usize,
    /// Longest HTTP body, bytes.
    pub max_body: usize,
    /// Longest line on stdio and the Unix socket, bytes.
    pub max_line: usize,
    /// Longest result that is passed on while it comes, bytes; 0: none is.
    pub max_result: u64,
    /// Deepest nesting of JSON.
    pub max_json_depth: usize,
    /// Time for an HTTP head to arrive.
    pub header_timeout: Duration,
    /// How long an HTTP connection may be silent between two requests.
    pub keep_alive_timeout: Duration,
    /// Time for an HTTP body to arrive.
    pub body_timeout: Duration,
    /// Deadline of a call.
    pub request_timeout: Duration,
    /// Longest silence of a call; progress resets it. `None`: only the deadline counts.
    pub idle_timeout: Option<Duration>,
    /// How long running calls may take to end when the server stops.
    pub drain_timeout: Duration,
    /// Most sessions of legacy clients at once.
    pub max_sessions: usize,
    /// When a session without a call is forgotten.
    pub session_idle_timeout: Duration,
    /// Threads that serve; `None`: one for stdio alone, else one per processor, at most 4.
    pub worker_threads: Option<usize>,
    /// Whether the built-in tools are served.
    pub builtin: bool,
    /// Entries per page of a list; `None`: one page holds all.
    pub page_size: Option<usize>,
    /// Variables of our environment that every child gets.
    pub inherit_env: Vec<String>,
}

static TRANSPORT: Choice<Transport> = Choice {
    name: "transport",
    options: Transport::WORDS,
    meaning: "What clients connect over. `auto` is stdio when standard input is a pipe (an agent started \
              the server) and HTTP when it is a terminal.",
};
static LISTEN: Text = Text {
    name: "listen",
    kind: "an address and port",
    absent: "`\"127.0.0.1:8765\"`",
    meaning: "Where HTTP listens; port 0 takes a free one. Beyond loopback only with `bearer_token`.",
};
static UNIX_SOCKET: Text = Text {
    name: "unix_socket",
    kind: "a path",
    absent: "none",
    meaning: "A Unix socket that serves MCP as well.",
};
static BEARER_TOKEN: Text = Text {
    name: "bearer_token",
    kind: "16 or more letters, digits or -._~+/=",
    absent: "none",
    meaning: "The token that HTTP clients must present. Write `\"${NAME}\"` and keep the token in the \
              environment.",
};
static ALLOWED_HOSTS: Texts = Texts {
    name: "allowed_hosts",
    kind: "a list of `host` or `host:port`",
    absent: "`[]`",
    meaning: "Values of the `Host` header accepted beside loopback names and the listening address.",
};
static ALLOWED_ORIGINS: Texts = Texts {
    name: "allowed_origins",
    kind: "a list of `scheme://host` or `scheme://host:port`",
    absent: "`[]`",
    meaning: "Values of the `Origin` header accepted beside those of loopback.",
};
static MAX_CONNECTIONS: Int = Int {
    name: "max_connections",
    default: 1024,
    min: 1,
    max: 100_000,
    meaning: "Most client connections at once.",
};
static MAX_BODY_BYTES: Int = Int {
    name: "max_body_bytes",
    default: 16 * MIB,
    min: KIB,
    max: GIB,
    meaning: "Longest HTTP body that a client may send.",
};
static MAX_LINE_BYTES: Int = Int {
    name: "max_line_bytes",
    default: 16 * MIB,
    min: KIB,
    max: GIB,
    meaning: "Longest line on stdio and the Unix socket, and the default for upstreams.",
};
static MAX_RESULT_BYTES: Int = Int {
    name: "max_result_bytes",
    default: GIB,
    min: 0,
    max: 1024 * GIB,
    meaning: "Longest result of a call, which may be beyond `max_line_bytes`: what is longer than 1 MiB (or half of \
              `max_line_bytes`) is passed on while it comes and never held whole. 0 turns that off. The default for \
              upstreams.",
};
static MAX_JSON_DEPTH: Int = Int {
    name: "max_json_depth",
    default: 128,
    min: 8,
    max: 1024,
    meaning: "Deepest nesting of lists and objects in a message.",
};
static HEADER_TIMEOUT_MS: Int = Int {
    name: "header_timeout_ms",
    default: 5_000,
    min: 1,
    max: DAY_MS,
    meaning: "Time for an HTTP head to arrive, from the connection or the first byte of a later request on.",
};
static KEEP_ALIVE_TIMEOUT_MS: Int = Int {
    name: "keep_alive_timeout_ms",
    default: 120_000,
    min: 1,
    max: DAY_MS,
    meaning: "How long an HTTP connection may be silent between two requests; `header_timeout_ms` while there is no \
              place for more connections.",
};
static BODY_TIMEOUT_MS: Int = Int {
    name: "body_timeout_ms",
    default: 10_000,
    min: 1,
    max: DAY_MS,
    meaning: "Time for an HTTP body to arrive.",
};
pub(super) static REQUEST_TIMEOUT_MS: Int = Int {
    name: "request_timeout_ms",
    default: 60_000,
    min: 1,
    max: DAY_MS,
    meaning: "Deadline of a call, from its arrival to its answer.",
};
static IDLE_TIMEOUT_MS: OptInt = OptInt {
    name: "idle_timeout_ms",
    absent: "none: only the deadline counts",
    min: 1,
    max: DAY_MS,
    meaning: "Longest silence of a call; progress resets it. Must be shorter than `request_timeout_ms`.",
};
static DRAIN_TIMEOUT_MS: Int = Int {
    name: "drain_timeout_ms",
    default: 30_000,
    min: 0,
    max: DAY_MS,
    meaning: "How long running calls may take to end when the server stops.",
};
static MAX_SESSIONS: Int = Int {
    name: "max_sessions",
    default: 1024,
    min: 1,
    max: 1_000_000,
    meaning: "Most sessions of legacy HTTP clients at once.",
};
static SESSION_IDLE_TIMEOUT_S: Int = Int {
    name: "session_idle_timeout_s",
    default: 3600,
    min: 1,
    max: 30 * 24 * 3600,
    meaning: "When a session without a call is forgotten; never while a call runs.",
};
static WORKER_THREADS: OptInt = OptInt {
    name: "worker_threads",
    absent: "1 for stdio alone, else one per processor, at most 4",
    min: 1,
    max: 512,
    meaning: "Threads that serve.",
};
static BUILTIN: Flag =
    Flag { name: "builtin", default: true, meaning: "Whether the built-in `qe_…` tools are served." };
static PAGE_SIZE: OptInt = OptInt {
    name: "page_size",
    absent: "none: one page holds all",
    min: 1,
    max: 100_000,
    meaning: "Entries per page of a list. Some clients read the first page only.",
};
static INHERIT_ENV: Texts = Texts {
    name: "inherit_env",
    kind: "a list of variable names",
    absent: "`[]`",
    meaning: "Variables of the server's environment that every child gets beside `PATH`, `HOME`, the \
              locale and their like: `HTTPS_PROXY`, for instance.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "server",
    repeated: false,
    meaning: "What clients meet: transports, limits, sessions.",
    keys: &[
        &TRANSPORT,
        &LISTEN,
        &UNIX_SOCKET,
        &BEARER_TOKEN,
        &ALLOWED_HOSTS,
        &ALLOWED_ORIGINS,
        &MAX_CONNECTIONS,
        &MAX_BODY_BYTES,
        &MAX_LINE_BYTES,
        &MAX_RESULT_BYTES,
        &MAX_JSON_DEPTH,
        &HEADER_TIMEOUT_MS,
        &KEEP_ALIVE_TIMEOUT_MS,
        &BODY_TIMEOUT_MS,
        &REQUEST_TIMEOUT_MS,
        &IDLE_TIMEOUT_MS,
        &DRAIN_TIMEOUT_MS,
        &MAX_SESSIONS,
        &SESSION_IDLE_TIMEOUT_S,
        &WORKER_THREADS,
        &BUILTIN,
        &PAGE_SIZE,
        &INHERIT_ENV,
    ],
};

impl Server {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        let request_timeout = section.int(&REQUEST_TIMEOUT_MS);
        Self {
            transport: section.choice(&TRANSPORT),
            listen: listen(section).unwrap_or_else(default_listen),
            unix_socket: unix_socket(section),
            bearer_token: bearer_token(section),
            allowed_hosts: checked(section, &ALLOWED_HOSTS, check_host),
            allowed_origins: checked(section, &ALLOWED_ORIGINS, check_origin),
            max_connections: section.int(&MAX_CONNECTIONS) as usize,
            max_body: section.int(&MAX_BODY_BYTES) as usize,
            max_line: section.int(&MAX_LINE_BYTES) as usize,
            max_result: section.int(&MAX_RESULT_BYTES),
            max_json_depth: section.int(&MAX_JSON_DEPTH) as usize,
            header_timeout: Duration::from_millis(section.int(&HEADER_TIMEOUT_MS)),
            keep_alive_timeout: Duration::from_millis(section.int(&KEEP_ALIVE_TIMEOUT_MS)),
            body_timeout: Duration::from_millis(section.int(&BODY_TIMEOUT_MS)),
            request_timeout: Duration::from_millis(request_timeout),
            idle_timeout: idle_timeout(section, &IDLE_TIMEOUT_MS, request_timeout),
            drain_timeout: Duration::from_millis(section.int(&DRAIN_TIMEOUT_MS)),
            max_sessions: section.int(&MAX_SESSIONS) as usize,
            session_idle_timeout: Duration::from_secs(section.int(&SESSION_IDLE_TIMEOUT_S)),
            worker_threads: section.opt_int(&WORKER_THREADS).map(|n| n as usize),
            builtin: section.flag(&BUILTIN),
            page_size: section.opt_int(&PAGE_SIZE).map(|n| n as usize),
            inherit_env: inherited(section, &INHERIT_ENV),
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT))
}

fn listen(section: &Section<'_, '_>) -> Option<SocketAddr> {
    let Spot { value, at } = section.text(&LISTEN)?;
    parse_listen(value).map_err(|fault| section.cx.fault(&at, format!("\"listen\": {fault}"))).ok()
}

fn unix_socket(section: &Section<'_, '_>) -> Option<PathBuf> {
    /// Room for a path in `sockaddr_un`, without its final NUL: 108 bytes on Linux, 104 elsewhere.
    const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
    let Spot { value, at } = section.expanded(&UNIX_SOCKET)?;
    let path = paths::resolve(&section.cx, "unix_socket", value.value(), &at)?;
    let bytes = path.as_os_str().len();
    if bytes > LONGEST {
        let fault = format!("\"unix_socket\" is {bytes} bytes long; the system allows {LONGEST}");
        section.cx.fault(&at, fault);
        return None;
    }
    Some(path)
}

/// Reads the token: the characters of RFC 6750 section 2.1 (`b64token`), and enough of them that
/// guessing is hopeless.
fn bearer_token(section: &Section<'_, '_>) -> Option<Secret> {
    const SHORTEST: usize = 16;
    let Spot { value, at } = section.expanded(&BEARER_TOKEN)?;
    let token = value.value();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if token.len() < SHORTEST || !token.chars().all(fits) {
        section.cx.fault(&at, "\"bearer_token\" must be 16 or more letters, digits or -._~+/=");
        return None;
    }
    if token == value.written() {
        let advice = "the token is written in the file; \"${NAME}\" would keep it in the environment";
        section.cx.note(Severity::Info, &at, advice);
    }
    Some(Secret::new(token))
}

/// Reads an idle limit, which acts only when it is shorter than the deadline that stands beside it.
pub(super) fn idle_timeout(section: &Section<'_, '_>, key: &OptInt, request_ms: u64) -> Option<Duration> {
    let idle = section.opt_int(key)?;
    if idle >= request_ms {
        let at = section.key_at(key.name).unwrap_or_else(|| section.at.clone());
        section.cx.fault(
            &at,
            format!(
                "\"{}\" ({idle}) must be shorter than \"request_timeout_ms\" ({request_ms}), \
                 or it never acts",
                key.name
            ),
        );
    }
    Some(Duration::from_millis(idle))
}

/// Reads the variables that children inherit, and says which of them are not there.
pub(super) fn inherited(section: &Section<'_, '_>, key: &Texts) -> Vec<String> {
    let names = checked(section, key, |name| {
        if is_variable_name(name) {
            Ok(name.to_owned())
        } else {
            Err("is not the name of an environment variable".to_owned())
        }
    });
    let at = section.key_at(key.name).unwrap_or_default();
    for name in names.iter().filter(|name| section.cx.env.get(name).is_none()) {
        section.cx.note(Severity::Info, &at, format!("\"{}\": {name} is not set", key.name));
    }
    names
}

/// Reads a list whose every item must pass a check; the check may normalise it.
pub(super) fn checked<T>(
    section: &Section<'_, '_>,
    key: &Texts,
    check: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let spots = section.texts(key).into_iter();
    spots
        .filter_map(|Spot { value, at }| {
            let report =
                |fault| section.cx.fault(&at, format!("\"{}\": \"{}\" {fault}", key.name, clip(value)));
            check(value).map_err(report).ok()
        })
        .collect()
}
