//! How well spelling, meaning and both find the text that says the same in other words.
//!
//! `python interop/qe/likeness.py > FILE` writes questions and answers from the documentation of two linters; then
//! `AQE_LIKENESS=FILE cargo test --release -p aqe-qe --lib likeness_is_measured -- --ignored --nocapture`.

use serde::Deserialize;

use crate::learn::similarity::Sketch;
use crate::learn::tests::{margin, mean};

/// Texts, and questions that one of them answers, by its place.
#[derive(Deserialize)]
struct Collection {
    title: String,
    texts: Vec<String>,
    questions: Vec<(String, usize)>,
}

/// Each question's discounted gain among the first ten; with one right answer the ideal is 1 (nDCG@10).
fn gains(collection: &Collection, alike: &dyn Fn(&Sketch, &Sketch) -> f64) -> Vec<f64> {
    let texts: Vec<Sketch> = collection.texts.iter().map(|text| Sketch::of(text)).collect();
    let gain = |(question, right): &(String, usize)| {
        let asked = Sketch::of(question);
        let scores: Vec<f64> = texts.iter().map(|text| alike(&asked, text)).collect();
        let before = (0..scores.len())
            .filter(|&place| {
                scores[place] > scores[*right] || (scores[place] >= scores[*right] && place < *right)
            })
            .count();
        if before < 10 { 1.0 / (before as f64 + 2.0).log2() } else { 0.0 }
    };
    collection.questions.iter().map(gain).collect()
}

#[test]
#[ignore = "needs a file that a script makes"]
fn likeness_is_measured() {
    let file = std::env::var("AQE_LIKENESS").expect("AQE_LIKENESS names the file");
    let collections: Vec<Collection> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for collection in collections {
        println!(
            "{}: {} texts, {} questions",
            collection.title,
            collection.texts.len(),
            collection.questions.len()
        );
        let spelling = gains(&collection, &Sketch::spelled_alike);
        for share in [1.0, 0.7, 0.5, 0.3, 0.0] {
            let mixed = |one: &Sketch, other: &Sketch| {
                share * one.spelled_alike(other) + (1.0 - share) * one.meant_alike(other).unwrap_or(0.0)
            };
            let found = gains(&collection, &mixed);
            let more: Vec<f64> = found.iter().zip(&spelling).map(|(one, other)| one - other).collect();
            println!(
                "  {:>3.0} % spelling  nDCG@10 {:.4}  more than spelling alone: {:+.4} \u{b1} {:.4}",
                100.0 * share,
                mean(&found),
                mean(&more),
                margin(&more)
            );
        }
        let mut unlike: Vec<f64> = Vec::new();
        for (place, (question, right)) in collection.questions.iter().enumerate() {
            let other = (right + 1 + place * 7) % collection.texts.len();
            if other != *right {
                unlike.push(Sketch::of(question).likeness(&Sketch::of(&collection.texts[other])));
            }
        }
        unlike.sort_by(f64::total_cmp);
        let alike = |(question, right): &(String, usize)| {
            Sketch::of(question).likeness(&Sketch::of(&collection.texts[*right]))
        };
        let mut alike: Vec<f64> = collection.questions.iter().map(alike).collect();
        alike.sort_by(f64::total_cmp);
        let at = |all: &[f64], share: f64| all[((all.len() - 1) as f64 * share) as usize];
        println!(
            "  likeness of texts that have nothing to do with each other: half below {:.2}, 95 % below {:.2}; of answers: 95 % above {:.2}",
            at(&unlike, 0.5),
            at(&unlike, 0.95),
            at(&alike, 0.05)
        );
    }
}
