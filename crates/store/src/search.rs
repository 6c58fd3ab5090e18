//! Finding memory entries: what is asked, what is answered, and what is decided without a file.
//!
//! # Layout
//! - [`Search`], [`Filters`], [`Candidates`]: question and answer. [`Embedder`]: who makes vectors.
//! - `text`: the words of an entry; `terms`: from words to what is looked up.
//! - `shelf`: the documents of one namespace in memory; `rank`: which of them fit best.
//!
//! Filters come before ranking: what they leave out has no influence on any score.

pub(crate) mod rank;
pub(crate) mod shelf;
pub(crate) mod terms;
pub(crate) mod text;

use std::fmt;

use crate::UnixMillis;
use crate::memory::EntryId;

/// Makes vectors of texts. Texts with vectors of the same direction mean the same to it.
pub trait Embedder: Send + Sync + fmt::Debug {
    /// Names the model: only vectors of one model are compared.
    fn key(&self) -> &str;
    /// Coordinates of a vector.
    fn dims(&self) -> usize;
    /// The vector of a text; `None` if it has no word that the model knows.
    fn embed(&self, text: &str) -> Option<Vec<i8>>;
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Who asks; only what is this principal's is looked at.
    pub principal: String,
    /// In which namespaces; empty: in all of the principal's.
    pub namespaces: Vec<String>,
    /// What is looked for, in words.
    pub query: String,
    /// What else an entry must be.
    pub filters: Filters,
    /// The best so many by words, and the best so many by vector, are candidates.
    pub most: usize,
    /// The versions in effect at this moment are searched. One before `now` costs the reading of all that was in effect
    /// then, since only what is in effect now, or will be, is kept in memory.
    pub at: UnixMillis,
    /// The time of the question.
    pub now: UnixMillis,
}

/// What an entry must be to be looked at. Empty lists and `None` leave it open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// Has all of these tags.
    pub tags: Vec<String>,
    /// Is of this kind.
    pub kind: Option<String>,
    /// Was written at this moment or later.
    pub since: Option<UnixMillis>,
    /// Names this file as its source.
    pub source_file: Option<String>,
}

/// A version of an entry that fits, with both of its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The entry.
    pub id: EntryId,
    /// Its namespace.
    pub namespace: String,
    /// The version in effect at the moment that was asked for.
    pub version: u64,
    /// When that version was written.
    pub updated: UnixMillis,
    /// Its importance, if the writer gave one.
    pub importance: Option<f64>,
    /// BM25 over the entry's words; 0 if it has none of the query's.
    pub bm25: f64,
    /// Cosine with the query's vector; `None` if one of the two has no vector.
    pub cosine: Option<f64>,
}

/// The answer to a [`Search`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Candidates {
    /// In no order.
    pub candidates: Vec<Candidate>,
    /// Entries that the filters let through.
    pub searched: u64,
    /// Those among them that have a word of the query.
    pub matched: u64,
    /// The model of the vectors; `None` if there is none, and all cosines are `None` then.
    pub model: Option<String>,
    /// Changes whenever one of the namespaces that were searched is written to.
    pub change: u64,
}
