//! Where an upstream runs: its own command or URL, and its further replicas.

use super::endpoint::{Draft, Endpoint};
use super::env::clip;
use super::keys::{Flag, Map, Real, SectionKeys, Text, Texts};
use super::registry::{CATEGORY, is_category};
use super::section::{Section, Spot};
use super::server::{Server, checked, inherited};
use super::upstream::{NAME_FORM, is_name};

/// One replica of an upstream.
#[derive(Clone, Debug)]
pub struct Replica {
    /// What tables and errors call it; unique within the upstream.
    pub name: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Share of the calls relative to the others, above 0.
    pub weight: f64,
    /// Categories of tools that it is meant for.
    pub categories: Vec<String>,
}

pub(super) static COMMAND: Text = Text {
    name: "command",
    kind: "a program",
    absent: "this or `url`",
    meaning: "The program to start: a name in `PATH` or a path. It speaks MCP over stdio. No shell reads it.",
};
pub(super) static ARGS: Texts =
    Texts { name: "args", kind: "a list of strings", absent: "`[]`", meaning: "Its arguments." };
pub(super) static ENV: Map = Map {
    name: "env",
    kind: "a table of strings",
    meaning: "Its environment variables, beside `PATH`, `HOME`, the locale and their like.",
};
pub(super) static INHERIT_ENV: Texts = Texts {
    name: "inherit_env",
    kind: "a list of variable names",
    absent: "`[]`",
    meaning: "Further variables of the server's environment that it gets.",
};
pub(super) static CWD: Text = Text {
    name: "cwd",
    kind: "a path",
    absent: "that of the server",
    meaning: "The folder that it starts in.",
};
pub(super) static URL: Text = Text {
    name: "url",
    kind: "an http or https URL",
    absent: "this or `command`",
    meaning: "Where it serves streamable HTTP.",
};
pub(super) static HEADERS: Map = Map {
    name: "headers",
    kind: "a table of strings",
    meaning: "Headers for every request to it, such as `Authorization`.",
};
pub(super) static CA_FILE: Text = Text {
    name: "ca_file",
    kind: "a path",
    absent: "the public ones alone",
    meaning: "A PEM file with further root certificates to trust when it serves https.",
};
pub(super) static HTTP2: Flag = Flag {
    name: "http2",
    default: true,
    meaning: "Whether to speak HTTP/2 with it when it serves https and offers that.",
};
static NAME: Text = Text {
    name: "name",
    kind: NAME_FORM,
    absent: "its host and path, or its program",
    meaning: "What tables and errors call it; differs from that of the other replicas of the upstream.",
};
static WEIGHT: Real = Real {
    name: "weight",
    default: 1.0,
    min: 0.001,
    max: 1000.0,
    meaning: "Its share of the calls, relative to the other replicas.",
};
static CATEGORIES: Texts = Texts {
    name: "categories",
    kind: "a list of categories",
    absent: "`[]`",
    meaning: "Categories of tools that it is meant for; the strategy `weighted` prefers it for them.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "upstream.replicas",
    repeated: true,
    meaning: "Further places where an upstream runs, each offering the same tools; also written \
              `replicas = [{ url = \"…\" }, { command = \"…\", args = [\"…\"] }]` in the `[[upstream]]` above.",
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
        &WEIGHT,
        &CATEGORIES,
    ],
};

/// Keys that say something of a child process, and of an HTTP server.
const OF_CHILD: &[&str] = &["args", "env", "cwd", "inherit_env"];
const OF_URL: &[&str] = &["headers", "ca_file", "http2"];

impl Replica {
    /// The one place of an upstream that has no other.
    pub(super) fn only(upstream: &str, endpoint: Endpoint) -> Self {
        Self { name: upstream.to_owned(), endpoint, weight: WEIGHT.default, categories: Vec::new() }
    }
}

/// A replica that is read but has no name yet, unless it was given one.
struct Unnamed {
    name: Option<Spot<String>>,
    replica: Replica,
}

impl Unnamed {
    fn read(section: &Section<'_, '_>, server: &Server) -> Option<Self> {
        let name = section.text(&NAME).and_then(|Spot { value, at }| {
            if is_name(value) {
                return Some(Spot { value: value.to_owned(), at });
            }
            section.cx.fault(&at, format!("\"name\" must be {NAME_FORM}; found \"{}\"", clip(value)));
            None
        });
        let weight = section.real(&WEIGHT);
        let category = |name: &str| {
            let fits = is_category(name).then(|| name.to_owned());
            fits.ok_or_else(|| format!("must be {CATEGORY}"))
        };
        let categories = checked(section, &CATEGORIES, category);
        let endpoint = endpoint(section, server, "a replica")?;
        Some(Self { name, replica: Replica { name: String::new(), endpoint, weight, categories } })
    }
}

/// Reads all places of an upstream: its own, if it has one, and those of the `others`. `None` when one cannot be used;
/// why is reported.
pub(super) fn read_all(
    section: &Section<'_, '_>,
    upstream: &str,
    others: &[Section<'_, '_>],
    server: &Server,
) -> Option<Vec<Replica>> {
    let has_own = section.key_at(COMMAND.name).or(section.key_at(URL.name)).is_some();
    let mut sound = true;
    let mut found = Vec::new();
    if has_own || others.is_empty() {
        match endpoint(section, server, "an upstream") {
            Some(endpoint) if others.is_empty() => return Some(vec![Replica::only(upstream, endpoint)]),
            Some(endpoint) => found.push(Unnamed { name: None, replica: Replica::only("", endpoint) }),
            None => sound = false,
        }
    } else {
        refuse_foreign(section, OF_CHILD, "has no effect without \"command\" beside it");
        refuse_foreign(section, OF_URL, "has no effect without \"url\" beside it");
    }
    for other in others {
        match Unnamed::read(other, server) {
            Some(replica) => found.push(replica),
            None => sound = false,
        }
    }
    let replicas = named(section, found);
    sound.then_some(replicas)
}

/// Gives each replica a name of its own: the one that was given, else where it is, with a number if need be.
fn named(section: &Section<'_, '_>, found: Vec<Unnamed>) -> Vec<Replica> {
    let mut taken: Vec<String> = Vec::new();
    for Spot { value, at } in found.iter().filter_map(|replica| replica.name.as_ref()) {
        if taken.contains(value) {
            section.cx.fault(at, format!("another replica is called \"{value}\""));
        }
        taken.push(value.clone());
    }
    let name = |Unnamed { name, mut replica }: Unnamed| {
        replica.name = name.map_or_else(|| free(&label(&replica.endpoint), &mut taken), |name| name.value);
        replica
    };
    found.into_iter().map(name).collect()
}

/// The label, or the label with the first number that makes it new.
fn free(label: &str, taken: &mut Vec<String>) -> String {
    let numbered = (2..).map(|number| format!("{label} #{number}"));
    let mut names = std::iter::once(label.to_owned()).chain(numbered);
    let name = names.find(|name| !taken.contains(name)).unwrap_or_default();
    taken.push(name.clone());
    name
}

/// Where a replica is, in short and as written: without scheme and query, or the program without its folder.
fn label(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Child(child) => {
            let program = std::path::Path::new(&child.command).file_name();
            program.map_or_else(|| child.command.clone(), |name| name.to_string_lossy().into_owned())
        }
        Endpoint::Http(server) => {
            let url = server.shown_url();
            let place = url.split_once("://").map_or(url.as_str(), |(_, place)| place);
            place.split('?').next().unwrap_or(place).to_owned()
        }
    }
}

fn refuse_foreign(section: &Section<'_, '_>, keys: &[&str], why: &str) {
    for key in keys {
        if let Some(at) = section.key_at(key) {
            section.cx.fault(&at, format!("\"{key}\" {why}"));
        }
    }
}

/// Reads the command or URL of `whose`: "an upstream" or "a replica".
fn endpoint(section: &Section<'_, '_>, server: &Server, whose: &str) -> Option<Endpoint> {
    let command = section.text(&COMMAND);
    let url = section.text(&URL);
    let own = inherited(section, &INHERIT_ENV);
    let draft = Draft {
        args: section.texts(&ARGS),
        env: section.text_map(&ENV),
        inherit_env: server.inherit_env.iter().cloned().chain(own).collect(),
        cwd: section.text(&CWD),
        headers: section.text_map(&HEADERS),
        ca_file: section.text(&CA_FILE),
        http1_only: !section.flag(&HTTP2),
        command,
        url,
    };
    let written = |name: &str| section.key_at(name).is_some();
    let (has_command, has_url) = (written(COMMAND.name), written(URL.name));
    // A key that would do nothing is a mistake: the user meant something by it.
    match (has_command, has_url) {
        (true, false) => {
            refuse_foreign(section, OF_URL, "has no effect with \"command\"; it belongs to \"url\"");
        }
        (false, true) => {
            refuse_foreign(section, OF_CHILD, "has no effect with \"url\"; it belongs to \"command\"");
        }
        _ => {}
    }
    // A wrong type was reported where it stands: "neither is given" would be a second, false report.
    if (has_command && draft.command.is_none()) || (has_url && draft.url.is_none()) {
        return None;
    }
    draft.finish(&section.cx, &section.at, whose)
}
