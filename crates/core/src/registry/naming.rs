//! How tools of many upstreams share one space of names.
//!
//! Guarantees: shown names are unique even when case is ignored, have 1 to 64 characters of `[A-Za-z0-9_.-]`, and
//! depend on nothing but the names, their order and the settings. A collision is settled by the upstream's prefix
//! (for all tools involved, so that none takes a plain name from another) and where that does not help by a hash
//! of the tool's origin; nobody shadows a built-in tool. Whatever was changed is reported.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};
use sha2::{Digest, Sha256};

use super::config::RegistryConfigError;

/// Most characters of a shown name: what the MCP conformance suite and several model providers accept.
pub const MAX_SHOWN_NAME: usize = 64;
/// Most characters of a separator, so that it leaves room for the names.
pub const MAX_SEPARATOR: usize = 8;
/// Names that only built-in tools may begin with, as soon as there are built-in tools.
pub const BUILTIN_NAMESPACE: &str = "qe_";

/// Hexadecimal digits of the hash in a shortened or twice-taken name.
const TAG_DIGITS: usize = 8;
/// Shown for a name of which nothing remains.
const UNNAMED: &str = "unnamed";

/// When shown names begin with the name of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrefixPolicy {
    /// As soon as there are two upstreams beside the built-in one.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Only where names would collide.
    Never,
}

/// What stands between the upstream's and the tool's name: 1 to [`MAX_SEPARATOR`] characters of `[A-Za-z0-9_.-]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Separator(Box<str>);

impl Separator {
    /// A separator.
    ///
    /// # Errors
    /// [`RegistryConfigError::Separator`] for an empty or too long one, or one of other characters.
    pub fn new(text: &str) -> Result<Self, RegistryConfigError> {
        if text.is_empty() || text.len() > MAX_SEPARATOR || !text.bytes().all(is_name_byte) {
            return Err(RegistryConfigError::Separator { given: text.into() });
        }
        Ok(Self(text.into()))
    }

    /// The separator as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Separator {
    fn default() -> Self {
        Self("__".into())
    }
}

/// How names are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamingRule {
    /// When the upstream's name is put in front.
    pub prefix: PrefixPolicy,
    /// What stands between.
    pub separator: Separator,
}

/// Something about a name that its users should know; never a reason to refuse the tool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameIssue {
    /// Name of the upstream in the configuration.
    pub upstream: Box<str>,
    /// The upstream's name for the tool.
    pub original: Box<str>,
    /// The name that is shown instead, or `None` where the tool is not shown.
    pub shown: Option<Box<str>>,
    /// What happened.
    pub kind: NameIssueKind,
}

/// What happened to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameIssueKind {
    /// Characters outside of `[A-Za-z0-9_.-]` were replaced by `_`, or removed if they are invisible.
    Mapped,
    /// The name began like a built-in tool's and got the upstream's prefix.
    Reserved,
    /// The name would have been that of another tool, and was settled by prefix or hash.
    Collision {
        /// In what way the two were the same.
        how: Collision,
        /// Upstream and name of the other tool (of the first, if there are several).
        with: (Box<str>, Box<str>),
    },
    /// The name was longer than 64 characters: its head and a hash are shown.
    Shortened,
    /// The upstream lists the same name twice. The later one is not shown: a call could not reach it.
    Duplicate,
}

/// In what way two names were the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collision {
    /// Character by character.
    Exact,
    /// But for upper and lower case.
    CaseFolded,
    /// But for characters that are invisible or not allowed, or beyond the length that is shown.
    Confusable,
}

impl fmt::Display for NameIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tool {:?} of upstream {:?} ", self.original, self.upstream)?;
        match &self.shown {
            Some(shown) => write!(f, "is shown as {shown:?}: ")?,
            None => f.write_str("is not shown: ")?,
        }
        match &self.kind {
            NameIssueKind::Mapped => f.write_str("the name has characters that are not allowed"),
            NameIssueKind::Reserved => f.write_str("the name begins like a built-in tool's"),
            NameIssueKind::Shortened => write!(f, "the name is longer than {MAX_SHOWN_NAME} characters"),
            NameIssueKind::Duplicate => f.write_str("the upstream lists the name twice"),
            NameIssueKind::Collision { how, with: (upstream, name) } => {
                let how = match how {
                    Collision::Exact => "the same as",
                    Collision::CaseFolded => "but for case the same as",
                    Collision::Confusable => "easily taken for",
                };
                write!(f, "the name is {how} that of {name:?} of upstream {upstream:?}")
            }
        }
    }
}

/// A tool that wants a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) upstream: &'a str,
    pub(super) builtin: bool,
    pub(super) name: &'a str,
}

/// The outcome for one [`Origin`].
#[derive(Debug)]
pub(super) struct Named {
    pub(super) shown: Box<str>,
    /// The part of `shown` that stands for the tool alone, where a prefix stands before it.
    pub(super) after_prefix: Option<Box<str>>,
}

/// Names all tools. `upstreams` counts the configured upstreams without the built-in one, also those without tools,
/// so that names do not change when an upstream is away. Origins must differ in upstream or name.
pub(super) fn assign(
    origins: &[Origin<'_>],
    upstreams: usize,
    rule: &NamingRule,
) -> (Vec<Named>, Vec<NameIssue>) {
    let prefix_all = match rule.prefix {
        PrefixPolicy::Always => true,
        PrefixPolicy::Auto => upstreams > 1,
        PrefixPolicy::Never => false,
    };
    let has_builtin = origins.iter().any(|origin| origin.builtin);
    let mut drafts: Vec<Draft<'_>> = origins
        .iter()
        .map(|&origin| {
            let bare = mapped(origin.name);
            let reserved = has_builtin && !origin.builtin && !prefix_all && in_builtin_namespace(&bare);
            let prefixed = !origin.builtin && (prefix_all || reserved);
            Draft::new(origin, bare, prefixed, reserved, rule)
        })
        .collect();
    let leftover = settle_by_prefix(&mut drafts, rule);
    settle_by_hash(&mut drafts, leftover);
    let issues = drafts.iter().flat_map(|draft| draft.issues(origins)).collect();
    (drafts.into_iter().map(Draft::finish).collect(), issues)
}

/// Groups of drafts that share a name, by position.
type Groups = BTreeMap<usize, Vec<usize>>;

/// Puts prefixes before colliding names until no prefix is left to put; returns the groups that still collide.
fn settle_by_prefix(drafts: &mut [Draft<'_>], rule: &NamingRule) -> Groups {
    // A prefixed name collides anew only with a longer plain name, so there are at most as many rounds as prefixes
    // fit into a name.
    loop {
        let groups = collisions(drafts);
        let mut changed = false;
        let spanning = groups.values().filter(|members| !of_one_upstream(drafts, members));
        for index in spanning.flatten().copied().collect::<Vec<_>>() {
            if !drafts[index].prefixed && !drafts[index].origin.builtin {
                drafts[index].put_prefix(rule);
                changed = true;
            }
        }
        if !changed {
            return groups;
        }
    }
}

/// Whether a prefix would change nothing between these.
fn of_one_upstream(drafts: &[Draft<'_>], members: &[usize]) -> bool {
    members.iter().all(|&index| drafts[index].origin.upstream == drafts[members[0]].origin.upstream)
}

/// Finds the drafts with the same name but for case, and notes with each which other one it met first.
fn collisions(drafts: &mut [Draft<'_>]) -> Groups {
    let mut first_of: HashMap<String, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut groups = Groups::new();
    for index in 0..drafts.len() {
        match first_of.entry(drafts[index].shown.to_ascii_lowercase()) {
            Entry::Vacant(free) => {
                free.insert(index);
            }
            Entry::Occupied(taken) => {
                let first = *taken.get();
                groups.entry(first).or_insert_with(|| vec![first]).push(index);
                let how = how_same(&drafts[first].written, &drafts[index].written);
                drafts[first].met.get_or_insert((how, index));
                drafts[index].met.get_or_insert((how, first));
            }
        }
    }
    groups
}

fn how_same(one: &str, other: &str) -> Collision {
    if one == other {
        Collision::Exact
    } else if one.to_lowercase() == other.to_lowercase() {
        Collision::CaseFolded
    } else {
        Collision::Confusable
    }
}

/// Gives the members of a group hashed names, all but one where it is safe that one keeps the plain name: a built-in
/// tool, or in a group of one upstream the tool whose name needed no mapping.
fn settle_by_hash(drafts: &mut [Draft<'_>], groups: Groups) {
    let mut contested: Vec<usize> = Vec::new();
    for members in groups.into_values() {
        let builtin = members.iter().copied().find(|&index| drafts[index].origin.builtin);
        let keeps = builtin.or_else(|| {
            let plainest =
                |&index: &usize| (drafts[index].bare != drafts[index].origin.name, drafts[index].origin.name);
            members.iter().copied().filter(|_| of_one_upstream(drafts, &members)).min_by_key(plainest)
        });
        contested.extend(members.into_iter().filter(|&index| Some(index) != keeps));
    }
    if contested.is_empty() {
        return;
    }
    contested.sort_unstable();
    let is_contested: HashSet<usize> = contested.iter().copied().collect();
    let mut taken: HashSet<String> = (0..drafts.len())
        .filter(|index| !is_contested.contains(index))
        .map(|index| drafts[index].shown.to_ascii_lowercase())
        .collect();
    for index in contested {
        // Ends: each salt draws one of 2^32 tags, and fewer names than that are taken.
        for salt in 0_u64.. {
            let shown = drafts[index].tagged(salt);
            if taken.insert(shown.to_ascii_lowercase()) {
                drafts[index].shown = shown;
                break;
            }
        }
    }
}

/// A name on its way.
struct Draft<'a> {
    origin: Origin<'a>,
    /// The tool's name in allowed characters.
    bare: String,
    prefixed: bool,
    reserved: bool,
    /// The whole name in allowed characters, of any length.
    full: String,
    /// The whole name as the upstream writes it, to tell in what way two are the same.
    written: String,
    shown: String,
    met: Option<(Collision, usize)>,
}

impl<'a> Draft<'a> {
    fn new(origin: Origin<'a>, bare: String, prefixed: bool, reserved: bool, rule: &NamingRule) -> Self {
        let mut draft = Self {
            origin,
            full: bare.clone(),
            written: origin.name.to_owned(),
            bare,
            prefixed: false,
            reserved,
            shown: String::new(),
            met: None,
        };
        if prefixed {
            draft.put_prefix(rule);
        } else {
            draft.fit();
        }
        draft
    }

    fn put_prefix(&mut self, rule: &NamingRule) {
        let separator = rule.separator.as_str();
        self.prefixed = true;
        self.full = format!("{}{separator}{}", mapped(self.origin.upstream), self.bare);
        self.written = format!("{}{separator}{}", self.origin.upstream, self.origin.name);
        self.fit();
    }

    fn fit(&mut self) {
        self.shown = if self.too_long() { self.tagged(0) } else { self.full.clone() };
    }

    fn too_long(&self) -> bool {
        self.full.len() > MAX_SHOWN_NAME
    }

    /// The head of the name and a hash of where the tool comes from.
    fn tagged(&self, salt: u64) -> String {
        let hash = Sha256::new()
            .chain_update(salt.to_le_bytes())
            .chain_update((self.origin.upstream.len() as u64).to_le_bytes())
            .chain_update(self.origin.upstream)
            .chain_update(self.origin.name)
            .finalize();
        let head = self.full.len().min(MAX_SHOWN_NAME - 1 - TAG_DIGITS);
        let mut name = self.full[..head].to_owned();
        name.push('_');
        for byte in hash.iter().take(TAG_DIGITS / 2) {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    fn issues(&self, origins: &[Origin<'_>]) -> impl Iterator<Item = NameIssue> {
        let upstream_mapped = self.prefixed && !self.origin.upstream.bytes().all(is_name_byte);
        let mapped = upstream_mapped || self.bare != self.origin.name;
        let met = self.met.map(|(how, other)| {
            let with = (origins[other].upstream.into(), origins[other].name.into());
            NameIssueKind::Collision { how, with }
        });
        [
            mapped.then_some(NameIssueKind::Mapped),
            self.reserved.then_some(NameIssueKind::Reserved),
            met,
            self.too_long().then_some(NameIssueKind::Shortened),
        ]
        .into_iter()
        .flatten()
        .map(|kind| NameIssue {
            upstream: self.origin.upstream.into(),
            original: self.origin.name.into(),
            shown: Some(self.shown.as_str().into()),
            kind,
        })
    }

    fn finish(self) -> Named {
        Named { after_prefix: self.prefixed.then(|| self.bare.into()), shown: self.shown.into() }
    }
}

fn in_builtin_namespace(bare: &str) -> bool {
    bare.get(..BUILTIN_NAMESPACE.len()).is_some_and(|head| head.eq_ignore_ascii_case(BUILTIN_NAMESPACE))
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// A name in allowed characters, not empty: invisible characters removed, all others that are not allowed as `_`.
pub(super) fn mapped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for char in name.chars() {
        if char.is_ascii() && is_name_byte(char as u8) {
            out.push(char);
        } else if !is_invisible(char) {
            out.push('_');
        }
    }
    if out.is_empty() { UNNAMED.to_owned() } else { out }
}

/// Control characters and those of Unicode's default-ignorable ones that stand within words or change their
/// direction (Unicode 16, DerivedCoreProperties).
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}')
}
