use proptest::prelude::*;

use super::*;
use crate::memory::EntryId;
use crate::search::shelf::Document;
use crate::search::terms::Reader;

fn shelf(texts: &[&str]) -> Shelf {
    let mut reader = Reader::default();
    let mut shelf = Shelf::new(2);
    for (text, id) in texts.iter().zip(0..) {
        shelf.replace(EntryId(id), vec![Document::plain(id, text)], &mut reader);
    }
    shelf
}

fn wanted<'a>(terms: &'a [(String, u32)], filters: &'a Filters) -> Wanted<'a> {
    Wanted { terms, vector: None, filters, at: 10, most: 100 }
}

/// BM25 as the formula has it, over words that are terms already.
fn expected(texts: &[String], query: &[(String, u32)]) -> Vec<f64> {
    let documents: Vec<Vec<&str>> = texts.iter().map(|text| text.split_whitespace().collect()).collect();
    let n = documents.len() as f64;
    let mean = (documents.iter().map(Vec::len).sum::<usize>() as f64 / n).max(1.0);
    documents
        .iter()
        .map(|document| {
            query
                .iter()
                .map(|(term, times)| {
                    let df = documents.iter().filter(|other| other.contains(&term.as_str())).count() as f64;
                    let tf = document.iter().filter(|word| *word == term).count() as f64;
                    let idf = ((n - df + 0.5) / (df + 0.5) + 1.0).ln();
                    f64::from(*times) * idf * tf * 2.2
                        / (tf + 1.2 * (0.25 + 0.75 * document.len() as f64 / mean))
                })
                .sum()
        })
        .collect()
}

proptest! {
    #[test]
    fn scores_are_those_of_the_formula_however_the_documents_are_shelved(
        texts in prop::collection::vec(prop::collection::vec("[a-d]", 0..12), 1..20),
        query in prop::collection::hash_map("[a-e]", 1..4_u32, 1..4),
        cut in 0_usize..20,
    ) {
        let texts: Vec<String> = texts.iter().map(|words| words.join(" ")).collect();
        let query: Vec<(String, u32)> = query.into_iter().collect();
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (one, two) = borrowed.split_at(cut.min(texts.len()));
        let shelves = [shelf(one), shelf(two)];
        let named = [("one", &shelves[0]), ("two", &shelves[1])];
        let ranked = rank(&named, &wanted(&query, &Filters::default()));
        prop_assert_eq!(ranked.searched, texts.len() as u64);
        let mut scores = vec![0.0; texts.len()];
        for candidate in &ranked.candidates {
            let at = candidate.id.0 as usize + if candidate.namespace == "two" { one.len() } else { 0 };
            scores[at] = candidate.bm25;
        }
        for (score, expected) in scores.iter().zip(expected(&texts, &query)) {
            prop_assert!((score - expected).abs() < 1e-4, "{score} {expected}");
        }
    }

    #[test]
    fn the_best_are_kept_whatever_their_order(scores in prop::collection::vec(0_u8..20, 0..50), most in 1_usize..10) {
        let mut best = Best::new(most);
        for (at, &score) in scores.iter().enumerate() {
            best.show(score.into(), (0, at));
        }
        let mut kept: Vec<usize> = best.places().map(|(_, at)| at).collect();
        kept.sort_unstable();
        let mut expected: Vec<usize> = (0..scores.len()).collect();
        expected.sort_by_key(|&at| (Reverse(scores[at]), at));
        expected.truncate(most);
        expected.sort_unstable();
        prop_assert_eq!(kept, expected);
    }
}

#[test]
fn what_the_filters_leave_out_changes_no_score() {
    let alone = shelf(&["appl pie", "plum"]);
    let filters = Filters { kind: Some("fact".into()), ..Filters::default() };
    let mut crowded = Shelf::new(2);
    let mut reader = Reader::default();
    for (id, (text, kind)) in
        (0..).zip([("appl pie", "fact"), ("plum", "fact"), ("apple apple", "snippet"), ("other", "snippet")])
    {
        let document = Document { kind: Some(kind.into()), ..Document::plain(id, text) };
        crowded.replace(EntryId(id), vec![document], &mut reader);
    }
    let terms = Reader::default().of_query("apple");
    let one = rank(&[("n", &alone)], &wanted(&terms, &Filters::default()));
    let other = rank(&[("n", &crowded)], &wanted(&terms, &filters));
    assert_eq!(one.candidates, other.candidates);
    assert_eq!((other.searched, other.matched), (2, 1));
}

#[test]
fn the_nearest_by_vector_are_candidates_without_any_common_word() {
    let mut near = Shelf::new(2);
    let mut reader = Reader::default();
    for (id, vector) in (0..).zip([[127, 0], [100, 100], [-127, 0], [0, 0]]) {
        let document = Document { vector: Some(vector.into()), ..Document::plain(id, "text") };
        near.replace(EntryId(id), vec![document], &mut reader);
    }
    let filters = Filters::default();
    let wanted = Wanted { vector: Some(&[10, 0]), most: 2, ..wanted(&[], &filters) };
    let ranked = rank(&[("n", &near)], &wanted);
    let cosines: Vec<_> = ranked.candidates.iter().map(|one| (one.id.0, one.cosine.unwrap())).collect();
    assert!((cosines[0].1 - 1.0).abs() < 1e-6 && (cosines[1].1 - 0.5_f64.sqrt()).abs() < 1e-6, "{cosines:?}");
    assert_eq!((cosines[0].0, cosines[1].0, cosines.len()), (0, 1, 2));
}

#[test]
fn a_replaced_document_is_gone_at_once() {
    let mut one = shelf(&["old words"]);
    let mut reader = Reader::default();
    one.replace(EntryId(0), vec![Document::plain(0, "new text")], &mut reader);
    let filters = Filters::default();
    let terms = |text| Reader::default().of_query(text);
    assert!(rank(&[("n", &one)], &wanted(&terms("words"), &filters)).candidates.is_empty());
    assert_eq!(rank(&[("n", &one)], &wanted(&terms("text"), &filters)).candidates.len(), 1);
}
