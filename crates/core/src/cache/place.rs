//! Where answers are kept: one place for each tool that may be cached, and one for the resources and one for the
//! prompts of an upstream. Places are made when a catalog is built, so that a call finds its own without searching.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::namespace::{Kind, Namespace};
use super::question::Scope;
use crate::registry::{Annotations, Glob};
use crate::revision::Era;

/// How long answers are kept, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    /// How long an answer is fresh; `None`: as long as it says itself (`ttlMs`), and not at all if it does not.
    pub ttl: Option<Duration>,
    /// How long after that it is still given, while a fresh one is fetched.
    pub stale: Duration,
    /// How long a result that says `isError` is kept; `None`: not at all.
    pub errors: Option<Duration>,
    /// The answers are the same for every principal. An answer that itself says `cacheScope` goes by that.
    pub shared: bool,
}

/// Which calls make what is kept of the same upstream invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnWrite {
    /// Those of every tool that is neither kept nor annotated as read-only.
    #[default]
    NotReadOnly,
    /// Those of tools that are annotated as not read-only, or as destructive.
    Declared,
    /// None.
    Never,
}

/// What the configuration says of the answers of one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamRules {
    /// Tools by their own names, with how long their answers are kept; zero: not at all. The first that fits counts.
    pub tools: Vec<(Glob, Duration)>,
    /// How long answers of other tools are kept that are annotated as read-only and idempotent.
    pub annotated: Option<Duration>,
    /// See [`Rule::stale`].
    pub stale: Duration,
    /// See [`Rule::errors`].
    pub errors: Option<Duration>,
    /// See [`Rule::shared`].
    pub shared: bool,
    /// Whether an answer of `resources/read` or `prompts/get` that says how long it may be kept is kept.
    pub hints: bool,
    /// Which calls make what is kept invalid.
    pub on_write: OnWrite,
}

impl Default for UpstreamRules {
    /// What a server says itself is honoured; no answer of a tool is kept.
    fn default() -> Self {
        Self {
            tools: Vec::new(),
            annotated: None,
            stale: Duration::ZERO,
            errors: None,
            shared: false,
            hints: true,
            on_write: OnWrite::NotReadOnly,
        }
    }
}

impl UpstreamRules {
    /// Rules under which nothing is kept.
    pub fn off() -> Self {
        Self { hints: false, on_write: OnWrite::Never, ..Self::default() }
    }

    /// How long the answers of a tool are kept, if they are.
    fn ttl_of(&self, tool: &str, says: Annotations) -> Option<Duration> {
        let named = self.tools.iter().find(|(glob, _)| glob.matches(tool)).map(|(_, ttl)| *ttl);
        let safe =
            says.read_only == Some(true) && says.idempotent == Some(true) && says.destructive != Some(true);
        named.or(self.annotated.filter(|_| safe)).filter(|ttl| !ttl.is_zero())
    }

    /// Whether answers of any tool may be kept.
    fn keeps_tools(&self) -> bool {
        self.annotated.is_some_and(|ttl| !ttl.is_zero()) || self.tools.iter().any(|(_, ttl)| !ttl.is_zero())
    }

    fn is_write(&self, says: Annotations) -> bool {
        let declared = says.read_only == Some(false) || says.destructive == Some(true);
        match self.on_write {
            OnWrite::NotReadOnly => says.read_only != Some(true) || says.destructive == Some(true),
            OnWrite::Declared => declared,
            OnWrite::Never => false,
        }
    }
}

/// One upstream as the cache knows it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its rules.
    pub rules: UpstreamRules,
    /// What makes its answers invalid.
    pub namespace: Arc<Namespace>,
    /// What the answers come from: text that changes with the server, its version or its credentials.
    pub identity: [u8; 32],
    /// Whether answers of other methods than `tools/call` may be kept, which it itself must say of each.
    pub hints: bool,
}

/// What a call of a tool means to the cache; decided when the catalog is built.
#[derive(Debug, Clone, Default)]
pub enum Caching {
    /// Nothing.
    #[default]
    None,
    /// It makes what is kept of the upstream invalid.
    Invalidates(Arc<Namespace>),
    /// Its answer may be kept here.
    Keeps(Arc<Place>),
}

impl Source {
    /// What a call of this tool means.
    pub fn of_tool(&self, name: &str, says: Annotations, definition: &[u8]) -> Caching {
        match self.rules.ttl_of(name, says) {
            Some(ttl) => {
                let rule = Rule {
                    ttl: Some(ttl),
                    stale: self.rules.stale,
                    errors: self.rules.errors,
                    shared: self.rules.shared,
                };
                Caching::Keeps(Arc::new(Place::new(self, Kind::Tools, name, definition, rule)))
            }
            // Where nothing can be kept, there is nothing to make invalid.
            None if (self.hints || self.rules.keeps_tools()) && self.rules.is_write(says) => {
                Caching::Invalidates(Arc::clone(&self.namespace))
            }
            None => Caching::None,
        }
    }

    /// Where the answers of a method are kept that itself says how long; `None` if they are not.
    pub fn hinted(&self, kind: Kind) -> Option<Arc<Place>> {
        let rule = Rule { stale: self.rules.stale, ..Rule::default() };
        self.hints.then(|| Arc::new(Place::new(self, kind, "", b"", rule)))
    }
}

/// Where the answers to one tool, or to `resources/read` or `prompts/get` of one upstream, are kept.
#[derive(Debug)]
pub struct Place {
    /// How long, and for whom.
    pub rule: Rule,
    /// What makes them invalid.
    pub namespace: Arc<Namespace>,
    /// What is asked.
    pub kind: Kind,
    /// By the era of the client, which decides the form of the answer: what tells this place from all others.
    digests: [[u8; 32]; 2],
}

impl Place {
    fn new(source: &Source, kind: Kind, name: &str, definition: &[u8], rule: Rule) -> Self {
        let digest = |era: u8| {
            let mut hash = Sha256::new();
            for part in [source.namespace.name().as_bytes(), &source.identity, name.as_bytes(), definition] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
            hash.update([kind as u8, era, u8::from(rule.shared)]);
            hash.finalize().into()
        };
        Self { rule, namespace: Arc::clone(&source.namespace), kind, digests: [digest(0), digest(1)] }
    }

    /// What tells this place from all others, for clients of an era.
    pub fn digest(&self, era: Era) -> &[u8; 32] {
        &self.digests[usize::from(era == Era::Modern)]
    }

    /// Whether an answer may be here: a rule keeps them, or one has said that it may be kept.
    pub fn is_used(&self) -> bool {
        self.rule.ttl.is_some() || self.namespace.keeps(self.kind, Scope::Private)
    }

    /// For whom answers are looked for in memory, the likelier first.
    pub fn scopes(&self) -> &'static [Scope] {
        match (self.rule.shared, self.namespace.keeps(self.kind, Scope::Public)) {
            (true, _) => &[Scope::Public, Scope::Private],
            (false, true) => &[Scope::Private, Scope::Public],
            (false, false) => &[Scope::Private],
        }
    }

    /// For whom answers are looked for that an earlier process may have kept.
    pub fn earlier_scopes(&self) -> &'static [Scope] {
        // Where a rule says how long, an answer that says for whom is rare; where the answer says both, it is not.
        if self.rule.ttl.is_none() { &[Scope::Private, Scope::Public] } else { self.scopes() }
    }
}
