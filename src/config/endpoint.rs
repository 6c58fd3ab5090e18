//! Where an upstream is: a command to start or a URL to call. Both file formats come together here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri};

use super::address::{is_loopback, port_is_sound};
use super::env::{Environment, clip};
use super::paths;
use super::place::Severity;
use super::secret::{Expanded, Secret};
use super::section::{Context, Spot};
use super::tree::Span;

/// Headers that the gateway writes itself, beside all that begin with `mcp-`.
const OWN_HEADERS: &[&str] = &[
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where an upstream is.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A child process that speaks over its standard input and output.
    Child(Child),
    /// A server that speaks streamable HTTP.
    Http(HttpServer),
}

/// A child process.
#[derive(Clone, Debug)]
pub struct Child {
    /// The program: an absolute path, or a name to look up in `PATH`.
    pub program: PathBuf,
    /// The program as the file has it.
    pub command: String,
    /// Its arguments.
    pub args: Vec<Expanded>,
    /// The folder that it starts in; `None`: that of the gateway.
    pub cwd: Option<PathBuf>,
    /// Variables of its own.
    pub env: BTreeMap<String, Secret>,
    /// Variables of ours that it gets beside the short list that every child gets.
    pub inherit_env: Vec<String>,
}

impl Child {
    /// The whole environment of the child: a short list of ours, what `inherit_env` names, and its own.
    pub fn environment(&self, ours: &Environment) -> BTreeMap<OsString, OsString> {
        let mut variables = ours.for_child(&self.inherit_env);
        variables.extend(self.env.iter().map(|(name, value)| (name.into(), value.expose().into())));
        variables
    }
}

/// A server behind a URL.
#[derive(Clone)]
pub struct HttpServer {
    /// The URL, checked: http or https, with a host, without credentials or fragment.
    pub url: Expanded,
    /// Headers to send with every request; lower-case names.
    pub headers: Vec<(String, Secret)>,
    /// A PEM file with further root certificates; absolute.
    pub ca_file: Option<PathBuf>,
    /// Whether HTTP/2 may be spoken with it.
    pub http2: bool,
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query of the URL may hold a key.
        f.debug_struct("HttpServer")
            .field("url", &self.shown_url())
            .field("headers", &self.headers)
            .field("ca_file", &self.ca_file)
            .field("http2", &self.http2)
            .finish()
    }
}

impl HttpServer {
    /// The URL for a person's eyes: as written, and without the values of its query.
    pub fn shown_url(&self) -> String {
        let written = self.url.written();
        let Some((start, query)) = written.split_once('?') else { return written.to_owned() };
        let names = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=***"),
            None => "***".to_owned(),
        });
        format!("{start}?{}", names.collect::<Vec<_>>().join("&"))
    }
}

/// The pieces of an endpoint as a file has them, before anything is expanded.
#[derive(Debug, Default)]
pub(super) struct Draft<'t> {
    pub(super) command: Option<Spot<&'t str>>,
    pub(super) args: Vec<Spot<&'t str>>,
    pub(super) env: Vec<(Spot<&'t str>, Spot<&'t str>)>,
    pub(super) inherit_env: Vec<String>,
    pub(super) cwd: Option<Spot<&'t str>>,
    pub(super) url: Option<Spot<&'t str>>,
    pub(super) headers: Vec<(Spot<&'t str>, Spot<&'t str>)>,
    pub(super) ca_file: Option<Spot<&'t str>>,
    pub(super) http1_only: bool,
}

impl Draft<'_> {
    /// Checks and expands the pieces; `at` is where the upstream or replica stands, `whose` which of both it is.
    pub(super) fn finish(self, cx: &Context<'_>, at: &Span, whose: &str) -> Option<Endpoint> {
        match (&self.command, &self.url) {
            (Some(_), Some(url)) => {
                let message = format!("\"command\" and \"url\" are both given; {whose} is one or the other");
                cx.fault(&url.at, message);
                None
            }
            (None, None) => {
                cx.fault(at, format!("neither \"command\" nor \"url\" is given; {whose} needs one of them"));
                None
            }
            (Some(command), None) => self.child(cx, command).map(Endpoint::Child),
            (None, Some(url)) => self.http(cx, url).map(Endpoint::Http),
        }
    }

    fn child(&self, cx: &Context<'_>, command: &Spot<&str>) -> Option<Child> {
        let program = program(cx, command);
        let args = self.args.iter().filter_map(|arg| cx.expand("args", arg.value, &arg.at)).collect();
        let mut env = BTreeMap::new();
        for (name, value) in &self.env {
            if name.value.is_empty() || name.value.contains(['=', '\0']) {
                let message = format!("\"env\": \"{}\" cannot name a variable", clip(name.value));
                cx.fault(&name.at, message);
            } else if let Some(expanded) = cx.expand("env", value.value, &value.at) {
                env.insert(name.value.to_owned(), Secret::new(expanded.value()));
            }
        }
        let cwd = self.cwd.as_ref().and_then(|cwd| {
            let expanded = cx.expand("cwd", cwd.value, &cwd.at)?;
            paths::resolve(cx, "cwd", expanded.value(), &cwd.at)
        });
        Some(Child {
            program: program?,
            command: command.value.to_owned(),
            args,
            cwd,
            env,
            inherit_env: self.inherit_env.clone(),
        })
    }

    fn http(&self, cx: &Context<'_>, url: &Spot<&str>) -> Option<HttpServer> {
        let checked = cx.expand("url", url.value, &url.at).and_then(|expanded| {
            let report = |fault: &str| cx.fault(&url.at, format!("\"url\" {fault}"));
            let in_clear = check_url(expanded.value()).map_err(report).ok()?;
            Some((expanded, in_clear))
        });
        let mut headers: Vec<(String, Secret)> = Vec::new();
        for (name, value) in &self.headers {
            match header(cx, name, value) {
                Some((name, _)) if headers.iter().any(|(known, _)| *known == name) => {
                    cx.fault(&value.at, format!("\"headers\": {name} is given twice"));
                }
                Some(header) => headers.push(header),
                None => {}
            }
        }
        let (expanded, in_clear) = checked?;
        if in_clear && headers.iter().any(|(name, _)| name == "authorization") {
            let advice = "the credentials in \"headers\" travel unencrypted; use https";
            cx.note(Severity::Warning, &url.at, advice);
        }
        let ca_file = self.ca_file.as_ref().and_then(|file| {
            let written = cx.expand("ca_file", file.value, &file.at)?;
            paths::resolve(cx, "ca_file", written.value(), &file.at)
        });
        Some(HttpServer { url: expanded, headers, ca_file, http2: !self.http1_only })
    }
}

/// Reads the program. A path is made absolute, for what a relative one means to a child that starts in
/// another folder differs between systems.
fn program(cx: &Context<'_>, command: &Spot<&str>) -> Option<PathBuf> {
    let expanded = cx.expand("command", command.value, &command.at)?;
    let value = expanded.value();
    if value.trim().is_empty() {
        cx.fault(&command.at, "\"command\" is empty");
        return None;
    }
    let first_word = value.split_whitespace().next().unwrap_or_default();
    if first_word.len() < value.len() && !value.contains(std::path::MAIN_SEPARATOR) {
        let message = format!(
            "\"command\" is one program, \"{}\"; put the rest into \"args\": no shell splits it",
            clip(first_word)
        );
        cx.fault(&command.at, message);
        return None;
    }
    let is_path = value.starts_with("~/") || Path::new(value).components().count() > 1;
    if is_path { paths::resolve(cx, "command", value, &command.at) } else { Some(PathBuf::from(value)) }
}

/// Checks a URL; says whether it goes unencrypted to another machine.
pub(super) fn check_url(url: &str) -> Result<bool, &'static str> {
    if url.contains('#') {
        return Err("must not have a fragment (#…)");
    }
    let uri: Uri =
        url.parse().map_err(|_| "is not a URL; write http://host/path or https://host/path, in ASCII")?;
    let plain = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => false,
        Some(scheme) if *scheme == Scheme::HTTP => true,
        _ => return Err("must begin with http:// or https://"),
    };
    let Some(authority) = uri.authority() else { return Err("lacks a host") };
    if authority.as_str().contains('@') {
        return Err("must not hold credentials; put them into \"headers\"");
    }
    if authority.host().is_empty() {
        return Err("lacks a host");
    }
    if !port_is_sound(authority) {
        return Err("has a port that is not a number from 0 to 65535");
    }
    Ok(plain && !is_loopback(authority))
}

pub(super) fn header(cx: &Context<'_>, name: &Spot<&str>, value: &Spot<&str>) -> Option<(String, Secret)> {
    let fault = |at: &Span, why: &str| {
        cx.fault(at, format!("\"headers\": \"{}\" {why}", clip(name.value)));
        None
    };
    let Ok(parsed) = HeaderName::from_bytes(name.value.as_bytes()) else {
        return fault(&name.at, "is not the name of a header");
    };
    if OWN_HEADERS.contains(&parsed.as_str()) || parsed.as_str().starts_with("mcp-") {
        return fault(&name.at, "is set by the gateway itself");
    }
    let expanded = cx.expand("headers", value.value, &value.at)?;
    if HeaderValue::from_str(expanded.value()).is_err() {
        return fault(&value.at, "has a value with characters that no header may have");
    }
    Some((parsed.as_str().to_owned(), Secret::new(expanded.value())))
}
