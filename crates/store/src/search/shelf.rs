//! The documents of one namespace in memory: an inverted index over their terms, and their vectors in one block.
//!
//! A document is one version of an entry, with the span of time in which it is in effect. A document that was replaced is
//! marked and stays until the shelf is compacted. `image`: a shelf as bytes, and back.

mod image;

pub(crate) use image::FORMAT;

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::UnixMillis;
use crate::memory::EntryId;
use crate::search::Filters;
use crate::search::terms::Reader;

/// What a shelf is told about a version.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) id: EntryId,
    pub(crate) version: u64,
    /// In effect from here …
    pub(crate) from: UnixMillis,
    /// … to before here.
    pub(crate) until: UnixMillis,
    pub(crate) updated: UnixMillis,
    pub(crate) importance: Option<f64>,
    pub(crate) kind: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) source_file: Option<String>,
    /// What it is found by.
    pub(crate) text: String,
    pub(crate) vector: Option<Vec<i8>>,
}

#[cfg(test)]
impl Document {
    /// In effect for ever, and nothing but a text.
    pub(crate) fn plain(id: i64, text: &str) -> Self {
        Self {
            id: EntryId(id),
            version: 1,
            from: 0,
            until: UnixMillis::MAX,
            updated: id,
            importance: None,
            kind: None,
            tags: Vec::new(),
            source_file: None,
            text: text.to_owned(),
            vector: None,
        }
    }
}

/// What is kept of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: EntryId,
    pub(crate) version: u64,
    from: UnixMillis,
    /// Set to the beginning of time when the document is replaced.
    until: UnixMillis,
    pub(crate) updated: UnixMillis,
    pub(crate) importance: Option<f64>,
    kind: u32,
    source_file: u32,
    tags: Box<[u32]>,
    /// Terms that it has, counted as often as they stand there.
    pub(crate) length: u32,
    has_vector: bool,
    /// `1 / |vector|`.
    inverse_norm: f32,
}

/// Where a term stands: documents in rising order, and how often in each (255 stands for more as well).
#[derive(Debug, Default)]
pub(crate) struct Postings {
    pub(crate) documents: Vec<u32>,
    pub(crate) counts: Vec<u8>,
}

type Numbers = HashMap<Box<str>, u32, RandomState>;

#[derive(Debug)]
pub(crate) struct Shelf {
    /// The namespace's counter when this was read.
    pub(crate) change: i64,
    /// When this was read: what had been superseded by then is not here.
    pub(crate) read_at: UnixMillis,
    dims: usize,
    pub(crate) documents: Vec<Kept>,
    /// Terms as numbers, in the order in which they were first met.
    terms: Numbers,
    /// Where each term stands, by its number.
    postings: Vec<Postings>,
    /// `dims` coordinates of each document, zeros where it has no vector.
    vectors: Vec<i8>,
    /// Names of kinds, tags and files as numbers; 0 is none.
    names: Numbers,
    /// Places of an entry's documents that count.
    entries: HashMap<EntryId, Vec<u32>, RandomState>,
    replaced: usize,
    bytes: usize,
    /// The terms of the document that is added, in their order; empty between two.
    read: Vec<u32>,
}

/// What a posting, and what a document beside its parts, takes; growing vectors have room to spare.
const POSTING_BYTES: usize = 8;
const DOCUMENT_BYTES: usize = size_of::<Kept>() + 64;
/// What a name or term takes beside its letters.
const NAME_BYTES: usize = 112;

impl Shelf {
    /// An empty one for vectors of so many coordinates (0: none are kept).
    pub(crate) fn new(dims: usize) -> Self {
        Self {
            change: 0,
            read_at: UnixMillis::MIN,
            dims,
            documents: Vec::new(),
            terms: HashMap::default(),
            postings: Vec::new(),
            vectors: Vec::new(),
            names: HashMap::default(),
            entries: HashMap::default(),
            replaced: 0,
            bytes: 0,
            read: Vec::new(),
        }
    }

    /// Estimate of the memory taken.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether so much of it was replaced that it should be compacted.
    pub(crate) fn is_worn(&self) -> bool {
        self.replaced > 1_000 && self.replaced * 2 > self.documents.len()
    }

    /// Entries that it has, those not in effect among them.
    pub(crate) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Puts an entry's documents in the place of those that were there.
    pub(crate) fn replace(&mut self, id: EntryId, documents: Vec<Document>, reader: &mut Reader) {
        self.remove(id);
        for document in documents {
            let at = self.documents.len() as u32;
            self.add(at, document, reader);
            self.entries.entry(id).or_default().push(at);
        }
    }

    /// Drops all entries but these.
    pub(crate) fn retain(&mut self, ids: &HashSet<EntryId>) {
        let gone: Vec<EntryId> = self.entries.keys().filter(|id| !ids.contains(id)).copied().collect();
        for id in gone {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: EntryId) {
        for at in self.entries.remove(&id).unwrap_or_default() {
            self.documents[at as usize].until = UnixMillis::MIN;
            self.replaced += 1;
        }
    }

    fn add(&mut self, at: u32, document: Document, reader: &mut Reader) {
        let mut read = std::mem::take(&mut self.read);
        reader.terms(&document.text, |term| read.push(self.term(term)));
        let length = read.len() as u32;
        read.sort_unstable();
        for same in read.chunk_by(|a, b| a == b) {
            let postings = &mut self.postings[same[0] as usize];
            postings.documents.push(at);
            postings.counts.push(u8::try_from(same.len()).unwrap_or(u8::MAX));
            self.bytes += POSTING_BYTES;
        }
        read.clear();
        self.read = read;
        self.bytes += self.document_bytes(document.tags.len());
        let vector = document.vector.filter(|vector| vector.len() == self.dims);
        let norm = vector.as_deref().map_or(0.0, |vector| f64::from(dot(vector, vector)).sqrt());
        match &vector {
            Some(vector) => self.vectors.extend(vector),
            None => self.vectors.resize(self.vectors.len() + self.dims, 0),
        }
        let kept = Kept {
            id: document.id,
            version: document.version,
            from: document.from,
            until: document.until,
            updated: document.updated,
            importance: document.importance,
            kind: self.number(document.kind.as_deref()),
            source_file: self.number(document.source_file.as_deref()),
            tags: document.tags.iter().map(|tag| self.number(Some(tag))).collect(),
            length,
            has_vector: norm > 0.0,
            inverse_norm: if norm > 0.0 { (1.0 / norm) as f32 } else { 0.0 },
        };
        self.documents.push(kept);
    }

    /// What a document takes beside its postings.
    fn document_bytes(&self, tags: usize) -> usize {
        DOCUMENT_BYTES + self.dims + 4 * tags
    }

    /// The number of a term, a new one if it has none.
    fn term(&mut self, term: &str) -> u32 {
        if let Some(&number) = self.terms.get(term) {
            return number;
        }
        let number = self.postings.len() as u32;
        self.bytes += term.len() + NAME_BYTES;
        self.terms.insert(term.into(), number);
        self.postings.push(Postings::default());
        number
    }

    /// The number of a name, a new one if it has none.
    fn number(&mut self, name: Option<&str>) -> u32 {
        let Some(name) = name else { return 0 };
        if let Some(&number) = self.names.get(name) {
            return number;
        }
        let number = self.names.len() as u32 + 1;
        self.bytes += name.len() + NAME_BYTES;
        self.names.insert(name.into(), number);
        number
    }

    /// Which documents are in effect at a moment and pass the filters, by their places.
    pub(crate) fn admitted(&self, filters: &Filters, at: UnixMillis) -> Vec<bool> {
        let wanted = |name: &Option<String>| {
            name.as_deref().map(|name| self.names.get(name).copied().unwrap_or(u32::MAX))
        };
        let (kind, source_file) = (wanted(&filters.kind), wanted(&filters.source_file));
        let tags: Vec<u32> = filters
            .tags
            .iter()
            .map(|tag| self.names.get(tag.as_str()).copied().unwrap_or(u32::MAX))
            .collect();
        self.documents
            .iter()
            .map(|document| {
                document.from <= at
                    && at < document.until
                    && kind.is_none_or(|kind| document.kind == kind)
                    && source_file.is_none_or(|file| document.source_file == file)
                    && filters.since.is_none_or(|since| document.updated >= since)
                    && tags.iter().all(|tag| document.tags.contains(tag))
            })
            .collect()
    }

    /// Where a term stands.
    pub(crate) fn postings(&self, term: &str) -> Option<&Postings> {
        self.terms.get(term).map(|&number| &self.postings[number as usize])
    }

    /// The cosine of a document's vector and another, whose length is given; `None` if it has no vector.
    pub(crate) fn cosine(&self, document: usize, vector: &[i8], inverse_norm: f32) -> Option<f32> {
        let kept = &self.documents[document];
        let own = &self.vectors[document * self.dims..][..self.dims];
        kept.has_vector.then(|| dot(own, vector) as f32 * kept.inverse_norm * inverse_norm)
    }
}

/// The scalar product. Written so that the compiler makes vector instructions of it.
pub(crate) fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(i16::from(a) * i16::from(b))).sum()
}
