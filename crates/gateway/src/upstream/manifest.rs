//! What an upstream offers: fetched over its connection, kept across restarts.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::envelope::{
    Field, Kind, MAX_FRAGMENT_DEPTH, Message, Scanner, decode_quoted, encode_string, open_object,
};
use aqe_core::revision::Era;
use bytes::Bytes;

use super::handshake::{self, Peer};
use super::{Connection, Outgoing};

/// Entries of one list and pages of it, so that an upstream that pages for ever is stopped.
const MAX_ENTRIES: usize = 100_000;
const MAX_PAGES: usize = 2_000;
/// How long one page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time for which the word of a server is taken: a day.
const LONGEST_HINT: Duration = Duration::from_secs(24 * 3600);
/// The form that [`Manifest::to_json`] writes.
const VERSION: &str = "1";

/// The four kinds of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListKind {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    Templates,
}

impl ListKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The method that lists it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of the result that holds the entries.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The same as a field of a scanned message.
    pub fn field(self) -> Field {
        match self {
            Self::Tools => Field::Tools,
            Self::Prompts => Field::Prompts,
            Self::Resources => Field::Resources,
            Self::Templates => Field::ResourceTemplates,
        }
    }

    /// The capability without which a server has no such list.
    fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }
}

/// One upstream's declaration and lists. Entries are raw JSON objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What the handshake told.
    pub peer: Peer,
    /// The entries, indexed by [`ListKind`].
    pub lists: [Arc<[Bytes]>; 4],
    /// How long each may be kept; `None` where its server has not said it to this process.
    pub hints: [Option<ListHint>; 4],
}

/// How long a list may be kept and by whom, as its server has said (2026-07-28, "Caching").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListHint {
    /// Until when it is fresh.
    pub until: Instant,
    /// It is everybody's.
    pub public: bool,
}

/// A list as it was fetched.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The entries, raw JSON objects.
    pub entries: Vec<Bytes>,
    /// How long it may be kept.
    pub hint: Option<ListHint>,
}

impl Manifest {
    /// A manifest without entries.
    pub fn new(peer: Peer) -> Self {
        Self { peer, lists: std::array::from_fn(|_| Arc::from([])), hints: [None; 4] }
    }

    /// The entries of one list.
    pub fn list(&self, kind: ListKind) -> &Arc<[Bytes]> {
        &self.lists[kind as usize]
    }

    /// Takes a list in the place of the one before.
    pub(super) fn take(&mut self, kind: ListKind, listed: Listed) {
        self.lists[kind as usize] = listed.entries.into();
        self.hints[kind as usize] = listed.hint;
    }

    /// Whether the server says by itself when this list has changed.
    pub fn announces(&self, kind: ListKind) -> bool {
        let declared = self.capability(kind.capability());
        declared.is_some_and(|declared| memchr::memmem::find(declared, b"\"listChanged\":true").is_some())
    }

    /// Raw JSON of one declared capability, such as `tools`.
    pub fn capability(&self, name: &str) -> Option<&[u8]> {
        let members = open_object(&self.peer.capabilities).ok()?;
        members.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text that [`Manifest::from_json`] reads.
    pub fn to_json(&self) -> Vec<u8> {
        let era = if self.peer.era == Era::Modern { "modern" } else { "legacy" };
        let mut out = format!(
            r#"{{"version":{VERSION},"era":"{era}","dual":{},"revision":{},"capabilities":"#,
            self.peer.dual,
            encode_string(&self.peer.revision)
        );
        out.push_str(&String::from_utf8_lossy(&self.peer.capabilities));
        if let Some(instructions) = &self.peer.instructions {
            let _ = write!(out, r#","instructions":{}"#, encode_string(instructions));
        }
        if let Some(info) = &self.peer.server_info {
            let _ = write!(out, r#","serverInfo":{}"#, String::from_utf8_lossy(info));
        }
        let mut out = out.into_bytes();
        for kind in ListKind::ALL {
            out.extend_from_slice(format!(r#","{}":["#, kind.member()).as_bytes());
            out.extend_from_slice(&self.list(kind).join(&b","[..]));
            out.push(b']');
        }
        out.push(b'}');
        out
    }

    /// Reads what was kept; `None` if it is damaged or of another form. Then the upstream is asked anew.
    pub fn from_json(json: &Bytes) -> Option<Self> {
        let members = open_object(json).ok()?;
        let raw = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        let text = |name: &str| decode_quoted(raw(name)?).map(Cow::into_owned);
        if raw("version") != Some(VERSION.as_bytes()) {
            return None;
        }
        let peer = Peer {
            era: if text("era")? == "modern" { Era::Modern } else { Era::Legacy },
            dual: raw("dual")? == b"true",
            revision: text("revision")?,
            capabilities: json.slice_ref(raw("capabilities")?),
            instructions: text("instructions"),
            server_info: raw("serverInfo").map(|info| json.slice_ref(info)),
        };
        let mut manifest = Self::new(peer);
        for kind in ListKind::ALL {
            manifest.lists[kind as usize] = elements(&json.slice_ref(raw(kind.member())?))?.into();
        }
        Some(manifest)
    }
}

/// The elements of a JSON array, each sharing the array's memory; `None` if it is not an array.
pub fn elements(array: &Bytes) -> Option<Vec<Bytes>> {
    let mut scanner = Scanner::new(array, MAX_FRAGMENT_DEPTH).ok()?;
    let mut out = Vec::new();
    scanner
        .array(|scanner| {
            let span = scanner.value()?;
            out.push(array.slice(span.start as usize..span.end as usize));
            Ok(())
        })
        .ok()?;
    Some(out)
}

/// Fetches every page of one list. A server without the capability has an empty one.
///
/// # Errors
/// A text that says what the server did wrong.
pub async fn fetch_list(
    connection: &Arc<dyn Connection>,
    manifest: &Manifest,
    kind: ListKind,
) -> Result<Listed, String> {
    let mut listed = Listed { entries: Vec::new(), hint: None };
    if manifest.capability(kind.capability()).is_none() {
        return Ok(listed);
    }
    let asked = Instant::now();
    let entries = &mut listed.entries;
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let params = list_params(manifest.peer.era, cursor.as_deref());
        let answer = handshake::ask(connection, kind.method(), &params, Vec::new(), PAGE_TIMEOUT)
            .await
            .map_err(|error| format!("{}: {error}", kind.method()))?;
        if answer.kind() == Kind::Error {
            // Many servers declare `resources` and know no templates.
            if answer.raw(Field::Code) == Some("-32601") {
                return Ok(listed);
            }
            return Err(format!("{}: {}", kind.method(), handshake::error_text(&answer)));
        }
        let page = hint(&answer, asked);
        // The page that may be kept shortest decides.
        listed.hint = match (cursor.is_none(), listed.hint, page) {
            (true, _, page) => page,
            (false, Some(before), Some(page)) => {
                Some(ListHint { until: before.until.min(page.until), public: before.public && page.public })
            }
            (false, ..) => None,
        };
        let array = answer.raw_bytes(kind.field()).unwrap_or_else(|| Bytes::from_static(b"[]"));
        let page =
            elements(&array).ok_or_else(|| format!("{}: {} is no array", kind.method(), kind.member()))?;
        entries.extend(page.into_iter().filter(|entry| entry.first() == Some(&b'{')));
        if entries.len() > MAX_ENTRIES {
            return Err(format!("{}: more than {MAX_ENTRIES} entries", kind.method()));
        }
        // Only an absent cursor ends the list; an empty one is a cursor (2026-07-28, "Pagination").
        let next = answer.raw(Field::NextCursor).filter(|next| *next != "null").map(str::to_owned);
        if next.is_none() {
            return Ok(listed);
        }
        if next == cursor {
            return Err(format!("{}: the next cursor is the same as the last one", kind.method()));
        }
        cursor = next;
    }
    Err(format!("{}: more than {MAX_PAGES} pages", kind.method()))
}

/// What a page says of how long it may be kept, from the moment on at which it was asked for.
fn hint(answer: &Message, asked: Instant) -> Option<ListHint> {
    let ttl = Duration::from_millis(answer.integer(Field::TtlMs)?).min(LONGEST_HINT);
    // "Not at all" is what holds without a word, too.
    (!ttl.is_zero()).then_some(())?;
    Some(ListHint { until: asked + ttl, public: answer.raw(Field::CacheScope) == Some("\"public\"") })
}

/// Parameters of a list request of our own; `cursor` is raw JSON.
fn list_params(era: Era, cursor: Option<&str>) -> String {
    let cursor = cursor.map(|cursor| format!(r#""cursor":{cursor}"#));
    let meta = (era == Era::Modern).then(|| format!(r#""_meta":{{{}}}"#, handshake::own_meta()));
    let members: Vec<String> = cursor.into_iter().chain(meta).collect();
    format!("{{{}}}", members.join(","))
}

/// A notification of ours to a legacy server.
pub fn notification(method: &'static str) -> Outgoing {
    Outgoing {
        bytes: crate::wire::notification(method, None),
        method: method.into(),
        name: None,
        headers: Vec::new(),
        pass_from: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_survives_being_kept() {
        let mut manifest = Manifest::new(Peer {
            era: Era::Legacy,
            dual: false,
            revision: "2025-11-25".into(),
            capabilities: Bytes::from_static(br#"{"tools":{},"x":1e400}"#),
            instructions: Some("say \"hi\"\n".into()),
            server_info: Some(Bytes::from_static(br#"{"name":"n"}"#)),
        });
        manifest.lists[0] = Arc::from([Bytes::from_static(br#"{"name":"a","z":1.0}"#)]);
        let read = Manifest::from_json(&manifest.to_json().into()).unwrap();
        assert_eq!(read, manifest);
        assert_eq!(read.capability("x"), Some(&b"1e400"[..]));
    }

    #[test]
    fn a_damaged_manifest_is_none() {
        for text in ["", "{}", "[]", r#"{"version":2}"#, r#"{"version":1,"era":"legacy"}"#] {
            assert_eq!(Manifest::from_json(&Bytes::from_static(text.as_bytes())), None, "{text}");
        }
    }
}
