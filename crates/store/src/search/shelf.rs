//! The documents of one namespace in memory: an inverted index over their terms, and their vectors in one block.
//!
//! A document is one version of an entry, with the span of time in which it is in effect. A document that was replaced is
//! marked and stays until the shelf is read anew.

use std::collections::HashMap;

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

/// What is kept of a version.
#[derive(Debug)]
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

#[derive(Debug)]
pub(crate) struct Shelf {
    /// The namespace's counter when this was read.
    pub(crate) change: i64,
    dims: usize,
    pub(crate) documents: Vec<Kept>,
    terms: HashMap<Box<str>, Postings>,
    /// `dims` coordinates of each document, zeros where it has no vector.
    vectors: Vec<i8>,
    /// Names of kinds, tags and files as numbers; 0 is none.
    names: HashMap<Box<str>, u32>,
    /// Places of an entry's documents that count.
    entries: HashMap<EntryId, Vec<u32>>,
    replaced: usize,
    bytes: usize,
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
            dims,
            documents: Vec::new(),
            terms: HashMap::new(),
            vectors: Vec::new(),
            names: HashMap::new(),
            entries: HashMap::new(),
            replaced: 0,
            bytes: 0,
        }
    }

    /// Estimate of the memory taken.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether so much of it is out of date that it should be read anew.
    pub(crate) fn is_worn(&self) -> bool {
        self.replaced > 1_000 && self.replaced * 2 > self.documents.len()
    }

    /// Puts an entry's documents in the place of those that were there.
    pub(crate) fn replace(&mut self, id: EntryId, documents: Vec<Document>, reader: &mut Reader) {
        for at in self.entries.remove(&id).unwrap_or_default() {
            self.documents[at as usize].until = UnixMillis::MIN;
            self.replaced += 1;
        }
        for document in documents {
            let at = self.documents.len() as u32;
            self.add(at, document, reader);
            self.entries.entry(id).or_default().push(at);
        }
    }

    fn add(&mut self, at: u32, document: Document, reader: &mut Reader) {
        let mut counts: HashMap<String, u32> = HashMap::new();
        let mut length = 0_u32;
        reader.terms(&document.text, |term| {
            length += 1;
            match counts.get_mut(term) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(term.to_owned(), 1);
                }
            }
        });
        self.bytes += counts.len() * POSTING_BYTES + DOCUMENT_BYTES + self.dims + 4 * document.tags.len();
        for (term, count) in counts {
            if !self.terms.contains_key(term.as_str()) {
                self.bytes += term.len() + NAME_BYTES;
            }
            let postings = self.terms.entry(term.into()).or_default();
            postings.documents.push(at);
            postings.counts.push(u8::try_from(count).unwrap_or(u8::MAX));
        }
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
        self.terms.get(term)
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
