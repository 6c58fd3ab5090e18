//! Which documents fit best: BM25 over their terms (Robertson and Zaragoza, 2009; the form of the inverse document
//! frequency that is never negative), and the cosine of vectors.
//!
//! Numbers of documents, mean length and frequency of terms are those of the documents that pass the filters, over all
//! shelves that are searched: no other document, and no other principal's, can be felt in a score.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::shelf::{Shelf, dot};
use super::{Candidate, Filters};
use crate::UnixMillis;

/// How soon a term's repetitions stop to count, and how much a document's length does: the customary values.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// A question, read.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// Each with the times that the question has it.
    pub(crate) terms: &'a [(String, u32)],
    pub(crate) vector: Option<&'a [i8]>,
    pub(crate) filters: &'a Filters,
    pub(crate) at: UnixMillis,
    /// The best of each kind that are candidates.
    pub(crate) most: usize,
}

/// What ranking comes to.
#[derive(Debug, Default)]
pub(crate) struct Ranked {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) searched: u64,
    pub(crate) matched: u64,
}

/// A score that can be put in order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Score(f32);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A shelf and a document on it.
type Place = (usize, usize);

/// Of equal scores the earlier place stands higher.
type Shown = (Score, Reverse<Place>);

/// Keeps the best of what it is shown; of equals the earlier.
struct Best {
    most: usize,
    heap: BinaryHeap<Reverse<Shown>>,
}

impl Best {
    fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::with_capacity(most + 1) }
    }

    fn show(&mut self, score: f32, place: Place) {
        if self.heap.len() == self.most && self.heap.peek().is_none_or(|Reverse((least, _))| score <= least.0)
        {
            return;
        }
        self.heap.push(Reverse((Score(score), Reverse(place))));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    fn places(self) -> impl Iterator<Item = Place> {
        self.heap.into_iter().map(|Reverse((_, Reverse(place)))| place)
    }
}

/// The candidates among the documents of named shelves.
pub(crate) fn rank(shelves: &[(&str, &Shelf)], wanted: &Wanted<'_>) -> Ranked {
    let admitted: Vec<Vec<bool>> =
        shelves.iter().map(|(_, shelf)| shelf.admitted(wanted.filters, wanted.at)).collect();
    let mut searched = 0_u64;
    let mut length = 0_u64;
    for ((_, shelf), admitted) in shelves.iter().zip(&admitted) {
        for (document, _) in shelf.documents.iter().zip(admitted).filter(|(_, admitted)| **admitted) {
            searched += 1;
            length += u64::from(document.length);
        }
    }
    if searched == 0 {
        return Ranked::default();
    }
    let mean_length = (length as f32 / searched as f32).max(1.0);
    let bm25 = bm25(shelves, &admitted, wanted.terms, (searched as f32, mean_length));

    let mut lexical = Best::new(wanted.most);
    let mut matched = 0;
    for (shelf, scores) in bm25.iter().enumerate() {
        for (document, &score) in scores.iter().enumerate().filter(|(_, score)| **score > 0.0) {
            matched += 1;
            lexical.show(score, (shelf, document));
        }
    }
    let mut similar = Best::new(wanted.most);
    let vector = wanted.vector.map(|vector| (vector, 1.0 / f64::from(dot(vector, vector)).sqrt()));
    if let Some((vector, inverse_norm)) = vector {
        for (at, ((_, shelf), admitted)) in shelves.iter().zip(&admitted).enumerate() {
            for (document, _) in admitted.iter().enumerate().filter(|(_, admitted)| **admitted) {
                if let Some(cosine) = shelf.cosine(document, vector, inverse_norm as f32) {
                    similar.show(cosine, (at, document));
                }
            }
        }
    }
    let places: BTreeSet<Place> = lexical.places().chain(similar.places()).collect();
    let candidates = places.into_iter().map(|(at, place)| {
        let (namespace, shelf) = shelves[at];
        let document = &shelf.documents[place];
        Candidate {
            id: document.id,
            namespace: namespace.to_owned(),
            version: document.version,
            updated: document.updated,
            importance: document.importance,
            bm25: bm25[at].get(place).copied().unwrap_or_default().into(),
            cosine: vector.and_then(|(vector, norm)| shelf.cosine(place, vector, norm as f32)).map(f64::from),
        }
    });
    Ranked { candidates: candidates.collect(), searched, matched }
}

/// The score of each document of each shelf; 0 for those that are not admitted.
fn bm25(
    shelves: &[(&str, &Shelf)],
    admitted: &[Vec<bool>],
    terms: &[(String, u32)],
    (searched, mean_length): (f32, f32),
) -> Vec<Vec<f32>> {
    let mut scores: Vec<Vec<f32>> = shelves.iter().map(|_| Vec::new()).collect();
    for (term, times) in terms {
        let found: Vec<_> = shelves
            .iter()
            .enumerate()
            .filter_map(|(at, (_, shelf))| Some((at, *shelf, shelf.postings(term)?)))
            .collect();
        let has_it = |&(at, _, postings): &(usize, _, &super::shelf::Postings)| {
            postings.documents.iter().filter(|&&document| admitted[at][document as usize]).count()
        };
        let frequency = found.iter().map(has_it).sum::<usize>() as f32;
        let weight = *times as f32 * (1.0 + (searched - frequency + 0.5) / (frequency + 0.5)).ln();
        for (at, shelf, postings) in found {
            let scores = &mut scores[at];
            scores.resize(shelf.documents.len(), 0.0);
            for (&document, &count) in postings.documents.iter().zip(&postings.counts) {
                let document = document as usize;
                if admitted[at][document] {
                    let length = shelf.documents[document].length as f32 / mean_length;
                    let count = f32::from(count);
                    scores[document] += weight * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
                }
            }
        }
    }
    scores
}

#[cfg(test)]
mod tests;
