//! A shelf as bytes, and back: what is read in a fraction of the time that reading the entries takes.
//!
//! Only what counts is in it: documents that were replaced are left out, and terms that no other has. Whether an image is
//! whole, and of what, is for those to know who keep it; what cannot be an image is no shelf, and never a panic.

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::{Kept, NAME_BYTES, Numbers, POSTING_BYTES, Postings, Shelf};
use crate::UnixMillis;

/// To be raised whenever texts are read in another way, or images written in another.
pub(crate) const FORMAT: &str = "1: words, stems, parts of camel case; postcard";

#[derive(Serialize, Deserialize)]
struct Image {
    change: i64,
    read_at: UnixMillis,
    dims: usize,
    documents: Vec<Kept>,
    terms: Vec<(String, Vec<u32>, Vec<u8>)>,
    vectors: Vec<i8>,
    /// In the order of their numbers, which begin with 1.
    names: Vec<String>,
}

impl Shelf {
    /// What [`Shelf::from_image`] makes an equal shelf of.
    pub(crate) fn image(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(&Image::of(self)).ok()
    }

    /// The shelf of an image for vectors of so many coordinates.
    pub(crate) fn from_image(image: &[u8], dims: usize) -> Option<Self> {
        postcard::from_bytes::<Image>(image).ok()?.shelf(dims)
    }

    /// The same without what was replaced.
    pub(crate) fn compacted(&self) -> Option<Self> {
        Image::of(self).shelf(self.dims)
    }
}

impl Image {
    fn of(shelf: &Shelf) -> Self {
        // Where each document stands in the image.
        let mut places = vec![None; shelf.documents.len()];
        let mut documents = Vec::with_capacity(shelf.documents.len() - shelf.replaced);
        let mut vectors = Vec::with_capacity(documents.capacity() * shelf.dims);
        for (at, kept) in shelf.documents.iter().enumerate() {
            if kept.until != UnixMillis::MIN {
                places[at] = Some(documents.len() as u32);
                documents.push(kept.clone());
                vectors.extend_from_slice(&shelf.vectors[at * shelf.dims..][..shelf.dims]);
            }
        }
        let terms = shelf.terms.iter().filter_map(|(term, &number)| {
            let postings = &shelf.postings[number as usize];
            let all = postings.documents.iter().zip(&postings.counts);
            let (documents, counts): (Vec<u32>, Vec<u8>) =
                all.filter_map(|(&document, &count)| Some((places[document as usize]?, count))).unzip();
            (!documents.is_empty()).then(|| (term.to_string(), documents, counts))
        });
        let mut names: Vec<(u32, String)> =
            shelf.names.iter().map(|(name, &number)| (number, name.to_string())).collect();
        names.sort_unstable();
        Self {
            change: shelf.change,
            read_at: shelf.read_at,
            dims: shelf.dims,
            terms: terms.collect(),
            documents,
            vectors,
            names: names.into_iter().map(|(_, name)| name).collect(),
        }
    }

    fn shelf(self, dims: usize) -> Option<Shelf> {
        let count = self.documents.len();
        if self.dims != dims || self.vectors.len() != count.checked_mul(dims)? {
            return None;
        }
        let mut shelf = Shelf {
            change: self.change,
            read_at: self.read_at,
            documents: self.documents,
            vectors: self.vectors,
            names: self.names.into_iter().map(String::into_boxed_str).zip(1..).collect(),
            terms: Numbers::with_capacity_and_hasher(self.terms.len(), RandomState::default()),
            ..Shelf::new(dims)
        };
        shelf.bytes = shelf.names.keys().map(|name| name.len() + NAME_BYTES).sum();
        for (number, (term, documents, counts)) in (0..).zip(self.terms) {
            if documents.len() != counts.len() || documents.iter().any(|&at| at as usize >= count) {
                return None;
            }
            shelf.bytes += documents.len() * POSTING_BYTES + term.len() + NAME_BYTES;
            shelf.terms.insert(term.into(), number);
            shelf.postings.push(Postings { documents, counts });
        }
        shelf.bytes +=
            shelf.documents.iter().map(|kept| shelf.document_bytes(kept.tags.len())).sum::<usize>();
        for (at, kept) in (0..).zip(&shelf.documents) {
            shelf.entries.entry(kept.id).or_default().push(at);
        }
        Some(shelf)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Document;
    use super::*;
    use crate::memory::EntryId;
    use crate::search::Filters;
    use crate::search::rank::{Wanted, rank};
    use crate::search::terms::Reader;

    fn document(id: i64, text: &str) -> Document {
        Document {
            importance: Some(0.25),
            kind: (id % 2 == 0).then(|| "fact".into()),
            tags: vec![format!("t{}", id % 3)],
            vector: (id % 4 != 0).then(|| vec![id as i8, 1]),
            ..Document::plain(id, text)
        }
    }

    proptest! {
        /// Whatever was written and replaced: the shelf of an image answers as the one that it was made of, now and after
        /// further writes.
        #[test]
        fn an_image_answers_as_its_shelf(
            writes in prop::collection::vec((0_i64..12, prop::collection::vec("[a-e]", 0..6)), 0..40),
            further in prop::collection::vec((0_i64..16, prop::collection::vec("[a-f]", 0..6)), 0..6),
            query in prop::collection::vec(("[a-f]", 1..3_u32), 1..4),
        ) {
            let mut reader = Reader::default();
            let mut shelf = Shelf::new(2);
            for (id, words) in writes {
                shelf.replace(EntryId(id), vec![document(id, &words.join(" "))], &mut reader);
            }
            shelf.change = 7;
            let mut back = Shelf::from_image(&shelf.image().unwrap(), 2).unwrap();
            prop_assert_eq!((back.change, back.entries(), back.replaced), (7, shelf.entries(), 0));
            for (id, words) in further {
                shelf.replace(EntryId(id), vec![document(id, &words.join(" "))], &mut reader);
                back.replace(EntryId(id), vec![document(id, &words.join(" "))], &mut reader);
            }
            let tidy = shelf.compacted().unwrap();
            prop_assert_eq!((tidy.change, tidy.entries(), tidy.replaced), (7, shelf.entries(), 0));
            for filters in [Filters::default(), Filters { tags: vec!["t1".into()], kind: Some("fact".into()), ..Filters::default() }] {
                let wanted = Wanted { terms: &query, vector: Some(&[3, 1]), filters: &filters, at: 10, most: 100 };
                let sorted = |shelf: &Shelf| {
                    let mut ranked = rank(&[("n", shelf)], &wanted);
                    ranked.candidates.sort_by_key(|one| one.id);
                    (ranked.candidates, ranked.searched, ranked.matched)
                };
                prop_assert_eq!(sorted(&shelf), sorted(&back));
                prop_assert_eq!(sorted(&shelf), sorted(&tidy));
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _ = Shelf::from_image(&bytes, 2);
            let mut shelf = Shelf::new(2);
            shelf.replace(EntryId(1), vec![document(1, "some words")], &mut Reader::default());
            let mut image = shelf.image().unwrap();
            let at = cut.index(image.len());
            let _ = Shelf::from_image(&image[..at], 2);
            image[at] = byte;
            if let Some(shelf) = Shelf::from_image(&image, 2) {
                let filters = Filters::default();
                rank(&[("n", &shelf)], &Wanted { terms: &[("word".into(), 1)], vector: Some(&[1, 1]), filters: &filters, at: 1, most: 9 });
            }
        }
    }

    #[test]
    fn an_image_for_vectors_of_another_length_is_none() {
        assert!(Shelf::from_image(&Shelf::new(2).image().unwrap(), 3).is_none());
    }

    #[test]
    fn what_was_replaced_leaves_no_word_behind() {
        let (mut shelf, mut reader) = (Shelf::new(2), Reader::default());
        shelf.replace(EntryId(1), vec![document(1, "zanzibar")], &mut reader);
        shelf.replace(EntryId(1), vec![document(1, "other")], &mut reader);
        let image = shelf.image().unwrap();
        assert!(!image.windows(8).any(|window| window == b"zanzibar"));
        assert!(image.windows(5).any(|window| window == b"other"));
    }
}
