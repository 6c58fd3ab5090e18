//! Texts that are made up: words of a vocabulary, as often as words of a language are.

use fastrand::Rng;

/// Words that there are.
const VOCABULARY: f64 = 20_000.0;

/// A text of so many words. The n-th word of the vocabulary comes in proportion to 1/n.
pub(super) fn text(rng: &mut Rng, words: usize) -> String {
    let word = |_| format!("w{}", VOCABULARY.powf(rng.f64()) as u64);
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}
