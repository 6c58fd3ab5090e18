//! A server that a user named, opened: the era found out, its tools listed, and clients that are ready to call.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::check::{Checker, Expect};
use crate::http::{REPLY, Server};
use crate::load::{Client, Done, Load, Until};
use crate::message::{Call, Era, LEGACY, MODERN};
use crate::pipe::{Pace, Talk};
use crate::tree::Tree;
use crate::{Result, load, open_loop};

/// How long a stdio server may take to answer `server/discover`, which a legacy one may leave unanswered.
const DISCOVER: Duration = Duration::from_secs(5);
/// Most pages of a list of tools.
const PAGES: usize = 1_000;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At an `http://` or `https://` URL.
    Url(String),
    /// A command that speaks MCP on standard input and output: program and arguments.
    Command(Vec<String>),
}

impl Place {
    /// Its name in tables: the URL, or the command line.
    pub fn name(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Command(words) => words.join(" "),
        }
    }

    /// `http` or `stdio`.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Url(_) => "http",
            Self::Command(_) => "stdio",
        }
    }
}

/// A tool, as far as the choice of one needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Whether it says that it changes nothing.
    pub is_read_only: bool,
    /// Whether it can be called without arguments.
    pub needs_nothing: bool,
}

impl Tool {
    fn of(definition: &Value) -> Option<Self> {
        let required = definition["inputSchema"]["required"].as_array();
        Some(Self {
            name: definition["name"].as_str()?.to_owned(),
            is_read_only: definition["annotations"]["readOnlyHint"] == true,
            needs_nothing: required.is_none_or(Vec::is_empty),
        })
    }

    /// Whether it can be called by somebody who knows nothing about it.
    pub fn is_harmless(&self) -> bool {
        self.is_read_only && self.needs_nothing
    }
}

/// The tools that all servers list and that are harmless on each, in the order of the first list.
fn candidates(lists: &[&[Tool]]) -> Vec<String> {
    let Some((first, others)) = lists.split_first() else { return Vec::new() };
    let everywhere = |tool: &&Tool| {
        others.iter().all(|list| list.iter().any(|other| other.name == tool.name && other.is_harmless()))
    };
    let harmless = first.iter().filter(|tool| tool.is_harmless());
    harmless.filter(everywhere).map(|tool| tool.name.clone()).collect()
}

/// Tools that are tried before a choice is given up.
const TRIED: usize = 20;

/// The first tool that all servers list, that is harmless on each, and that each answers without an error when it is called
/// without arguments; `None` if there is none. A tool that needs no argument may still need something else, such as a
/// file that is not there.
///
/// # Errors
/// If a server does not answer at all.
pub fn choose(targets: &mut [Target]) -> Result<Option<String>> {
    let lists: Vec<&[Tool]> = targets.iter().map(|target| target.tools.as_slice()).collect();
    'next: for tool in candidates(&lists).into_iter().take(TRIED) {
        for target in targets.iter_mut() {
            if !target.succeeds(&tool)? {
                continue 'next;
            }
        }
        return Ok(Some(tool));
    }
    Ok(None)
}

/// How a target is to be opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The era; without one the modern era is tried first.
    pub era: Option<Era>,
    /// Further headers for URLs.
    pub headers: Vec<(String, String)>,
    /// A PEM file of authorities that are trusted beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// How long each answer may take; [`REPLY`] if nothing is said.
    pub patience: Option<Duration>,
    /// Whether a server at a URL that is said to be modern is taken at that word, and not asked: some do not know
    /// `server/discover`, which the revision demands of them.
    pub asks_nothing: bool,
}

/// A server with which one can talk.
#[derive(Debug)]
pub struct Target {
    /// Where it is.
    pub place: Place,
    /// How it is spoken to.
    pub era: Era,
    /// The revision that was agreed upon.
    pub revision: String,
    /// Name and version that the server gives itself; null if none.
    pub server: Value,
    /// What it offers.
    pub tools: Vec<Tool>,
    /// Its processes, or why they are not known.
    pub tree: std::result::Result<Tree, String>,
    patience: Duration,
    link: Link,
}

#[derive(Debug)]
enum Link {
    /// One conversation for all that is not measured, and one for each client that is.
    Http {
        server: Box<Server>,
        clients: Vec<Server>,
    },
    Stdio(Box<Talk>),
}

/// How the calls of one round are sent.
#[derive(Debug, Clone, Copy)]
pub struct Drive {
    /// HTTP connections, or requests in flight over stdio; at a fixed rate the most of them.
    pub connections: usize,
    /// Requests a second; without it each connection sends the next request after the answer.
    pub rate: Option<f64>,
    /// What replies must be.
    pub expect: Expect,
}

impl Target {
    /// Connects, finds out the era, shakes hands if it is the legacy one, and lists the tools.
    ///
    /// # Errors
    /// If it cannot be reached or speaks no MCP; with what a command has written to standard error.
    pub fn open(place: Place, options: &Options) -> Result<Self> {
        let (era, answer, link) = match &place {
            Place::Url(url) => over_http(url, options)?,
            Place::Command(words) => over_stdio(words, options)?,
        };
        let tree = match &link {
            Link::Http { server, .. } => {
                Tree::listening_at(server.address).map_err(|error| error.to_string())
            }
            Link::Stdio(talk) => Ok(Tree::of(talk.id())),
        };
        let result = &answer["result"];
        let revision = match era {
            Era::Modern => MODERN,
            Era::Legacy => result["protocolVersion"].as_str().unwrap_or(LEGACY),
        };
        let server = match era {
            Era::Modern => &result["_meta"]["io.modelcontextprotocol/serverInfo"],
            Era::Legacy => &result["serverInfo"],
        };
        let (revision, server) = (revision.to_owned(), server.clone());
        let patience = options.patience.unwrap_or(REPLY);
        let mut target = Self { place, era, revision, server, tools: Vec::new(), tree, patience, link };
        target.tools = target.list()?;
        Ok(target)
    }

    fn list(&mut self) -> Result<Vec<Tool>> {
        let (mut tools, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES {
            let call = Call { cursor, ..Call::method(self.era, "tools/list") };
            let page = self.ask(&call)?;
            let Some(found) = page["result"]["tools"].as_array() else {
                // A server without tools may refuse.
                return Ok(tools);
            };
            tools.extend(found.iter().filter_map(Tool::of));
            cursor = page["result"]["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(tools);
            }
        }
        Err(format!("{}: the list of tools has no end", self.place.name()).into())
    }

    /// Whether a tool does what it is asked without arguments.
    fn succeeds(&mut self, tool: &str) -> Result<bool> {
        let answer = self.ask(&Call::tool(self.era, tool, "{}"))?;
        Ok(answer["result"].is_object() && answer["result"]["isError"] != true)
    }

    fn ask(&mut self, call: &Call) -> Result<Value> {
        let answer = match &mut self.link {
            Link::Http { server, .. } => server.ask_raw(call),
            Link::Stdio(talk) => talk.ask(call.line().fresh()),
        };
        Ok(serde_json::from_slice(&answer.map_err(|error| format!("{}: {error}", self.place.name()))?)?)
    }

    /// Sends calls for a time or up to a number of them, numbered from `number` on, and waits for all answers. Each HTTP connection is opened
    /// before the time begins, and is a client with a session of its own where the server gives out sessions.
    ///
    /// # Errors
    /// If the load itself cannot run or a session cannot be opened; what the server does wrong is counted.
    pub fn run(
        &mut self,
        call: &Call,
        drive: Drive,
        checker: Checker,
        number: u64,
        until: Until,
    ) -> Result<(Done, Checker)> {
        let mut checker = checker;
        match &mut self.link {
            Link::Http { server, clients } => {
                while clients.len() < drive.connections {
                    let mut client = Server::clone(server);
                    if self.era == Era::Legacy && !clients.is_empty() {
                        client.initialize()?;
                    }
                    clients.push(client);
                }
                let clients = clients.iter().take(drive.connections).map(|client| {
                    let call = Call { era: self.era, ..call.clone() };
                    Client { endpoint: client.endpoint().clone(), request: client.request(&call) }
                });
                let load = Load::patient(clients.collect(), checker, number, self.patience)?;
                let done = match drive.rate {
                    Some(rate) => open_loop::run(&load, rate, until.at_rate(rate))?,
                    None => load::run(&load, until)?,
                };
                Ok((done, load.take_checker()))
            }
            Link::Stdio(talk) => {
                let request = Call { era: self.era, ..call.clone() }.line();
                let pace = match drive.rate {
                    Some(rate) => Pace::Rate(rate, until.at_rate(rate), drive.connections),
                    None => Pace::InFlight(drive.connections, until),
                };
                let done = talk.run(&request, &mut checker, number, pace)?;
                Ok((done, checker))
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Link::Http { server, clients } = &mut self.link {
            // The first client shares the server's own session.
            for client in clients.iter_mut().skip(1).chain([&mut **server]) {
                client.leave();
            }
        }
    }
}

fn discovers(answer: &Value) -> bool {
    let versions = answer["result"]["supportedVersions"].as_array();
    versions.is_some_and(|versions| versions.iter().any(|version| version == MODERN))
}

fn over_http(url: &str, options: &Options) -> Result<(Era, Value, Link)> {
    let mut server = Server::trusting(url, options.ca_file.as_deref())?;
    server.set_patience(options.patience.unwrap_or(REPLY));
    for (name, value) in &options.headers {
        server.add_header(name, value)?;
    }
    let at = |error| format!("{url}: {error}");
    if options.era == Some(Era::Modern) && options.asks_nothing {
        return Ok((Era::Modern, Value::Null, Link::Http { server: Box::new(server), clients: Vec::new() }));
    }
    if options.era != Some(Era::Legacy) {
        let answer = server.ask(&Call::method(Era::Modern, "server/discover"));
        match answer {
            Ok(answer) if discovers(&answer) => {
                return Ok((
                    Era::Modern,
                    answer,
                    Link::Http { server: Box::new(server), clients: Vec::new() },
                ));
            }
            answer if options.era.is_some() => return Err(not_modern(url, answer)),
            _ => {}
        }
    }
    let answer = server.initialize().map_err(at)?;
    if !answer["result"].is_object() {
        return Err(format!("{url}: initialize is refused: {}", answer["error"]).into());
    }
    Ok((Era::Legacy, answer, Link::Http { server: Box::new(server), clients: Vec::new() }))
}

fn not_modern(name: &str, answer: Result<Value>) -> crate::Error {
    let said = answer.map_or_else(|error| error.to_string(), |answer| answer.to_string());
    format!("{name} does not speak {MODERN}: {}", said.chars().take(300).collect::<String>()).into()
}

fn over_stdio(words: &[String], options: &Options) -> Result<(Era, Value, Link)> {
    let name = words.join(" ");
    let start = || {
        let (program, arguments) = words.split_first().ok_or("a command is empty")?;
        let mut command = Command::new(program);
        command.args(arguments).stderr(Stdio::piped());
        let mut talk =
            Talk::start(command).map_err(|error| crate::Error::from(format!("{name}: {error}")))?;
        talk.set_patience(options.patience.unwrap_or(REPLY));
        Result::Ok(talk)
    };
    if options.era != Some(Era::Legacy) {
        let mut talk = start()?;
        let discover = Call::method(Era::Modern, "server/discover").line().fresh().to_vec();
        let answer = talk.ask_within(&discover, DISCOVER).and_then(|line| Ok(serde_json::from_slice(&line)?));
        match answer {
            Ok(answer) if discovers(&answer) => {
                return Ok((Era::Modern, answer, Link::Stdio(Box::new(talk))));
            }
            answer if options.era.is_some() => return Err(not_modern(&name, answer)),
            // A fresh process follows: a legacy server need not bear a request before the handshake.
            _ => {}
        }
    }
    let mut talk = start()?;
    let answer: Value = match talk.initialize().and_then(|line| Ok(serde_json::from_slice(&line)?)) {
        Ok(answer) => answer,
        Err(error) => {
            let said = talk.said();
            let said = said.trim();
            let said = if said.is_empty() { String::new() } else { format!("; it has written:\n{said}") };
            return Err(format!("{name}: {error}{said}").into());
        }
    };
    if !answer["result"].is_object() {
        return Err(format!("{name}: initialize is refused: {}", answer["error"]).into());
    }
    Ok((Era::Legacy, answer, Link::Stdio(Box::new(talk))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tools(definitions: &Value) -> Vec<Tool> {
        definitions.as_array().unwrap().iter().filter_map(Tool::of).collect()
    }

    #[test]
    fn only_tools_that_read_need_nothing_and_are_everywhere_are_tried() {
        let read = json!({ "readOnlyHint": true });
        let all = tools(&json!([
            { "name": "writes", "inputSchema": {} },
            { "name": "asks", "annotations": read, "inputSchema": { "required": ["path"] } },
            { "name": "first", "annotations": read, "inputSchema": { "required": [] } },
            { "name": "second", "annotations": read },
        ]));
        assert_eq!(candidates(&[&all]), ["first", "second"]);
        assert_eq!(candidates(&[&all, &all[3..]]), ["second"]);
        assert_eq!(candidates(&[&all, &all[..2]]), [""; 0]);
        assert_eq!(candidates(&[]), [""; 0]);
    }
}
