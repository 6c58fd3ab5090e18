//! How alike two texts are.

use std::collections::BTreeSet;

/// Texts as points on a sphere: the nearer, the more alike.
pub(crate) trait Similarity {
    /// What it is, for whoever reads the figure.
    fn name(&self) -> &'static str;

    /// The text as a vector of length one, or of nought if there is nothing in it.
    fn sketch(&self, text: &str) -> Vec<f32>;
}

/// Words and groups of three letters, hashed into a vector. It knows spelling and no meaning: "car" and "automobile" are
/// not alike, "test" and "tests" are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lexical;

const DIMENSIONS: usize = 512;

impl Similarity for Lexical {
    fn name(&self) -> &'static str {
        "lexical: hashed words and trigrams"
    }

    fn sketch(&self, text: &str) -> Vec<f32> {
        let mut sketch = vec![0.0_f32; DIMENSIONS];
        let mut add = |bytes: &[u8], weight: f32| {
            let hash = fnv(bytes);
            let sign = if hash >> 63 == 0 { weight } else { -weight };
            sketch[hash as usize % DIMENSIONS] += sign;
        };
        let (text, mut padded) = (text.to_lowercase(), String::new());
        for word in words(&text) {
            padded.clear();
            padded.extend(["^", word, "$"]);
            // A word weighs as much as its letter groups together do, so that long words do not decide alone.
            let groups = padded.as_bytes().windows(3);
            let weight = 1.0 / (groups.len().max(1) as f32).sqrt();
            add(word.as_bytes(), 1.0);
            groups.for_each(|group| add(group, weight));
        }
        let length = sketch.iter().map(|one| one * one).sum::<f32>().sqrt();
        if length > 0.0 {
            for one in &mut sketch {
                *one /= length;
            }
        }
        sketch
    }
}

/// The cosine of two sketches; unlike is nought.
pub(crate) fn cosine(one: &[f32], other: &[f32]) -> f64 {
    f64::from(one.iter().zip(other).map(|(one, other)| one * other).sum::<f32>()).clamp(0.0, 1.0)
}

/// Whether two texts say the same in nearly the same words. A different number, or a "not", is a different text however
/// alike the rest.
pub(crate) fn are_duplicates(one: &str, other: &str, cosine: f64) -> bool {
    if cosine < 0.9 {
        return false;
    }
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let (one, other): (BTreeSet<&str>, BTreeSet<&str>) = (words(&one).collect(), words(&other).collect());
    let decides =
        |word: &&&str| word.contains(|letter: char| letter.is_ascii_digit()) || NEGATIONS.contains(word);
    if one.symmetric_difference(&other).any(|word| decides(&word)) {
        return false;
    }
    let shared = one.intersection(&other).count();
    shared as f64 >= 0.6 * (one.len() + other.len() - shared) as f64
}

const NEGATIONS: [&str; 8] = ["not", "no", "never", "without", "don", "avoid", "except", "unless"];

/// Words in their order.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// FNV-1a with a final mixing: the same on every machine, and quick for short keys.
fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(one: &str, other: &str) -> f64 {
        cosine(&Lexical.sketch(one), &Lexical.sketch(other))
    }

    #[test]
    fn alike_is_what_shares_words_and_spelling() {
        let query = "retry flaky network tests";
        let near = between(query, "Retry the network test that is flaky");
        let far = between(query, "Split long functions before adding branches");
        assert!((between(query, query) - 1.0).abs() < 1e-6);
        assert!(near > 0.5 && far < 0.2, "{near} {far}");
        assert!(between("", query).abs() < f64::EPSILON);
    }

    #[test]
    fn duplicates_differ_in_neither_numbers_nor_negations() {
        let duplicates = |one: &str, other: &str| are_duplicates(one, other, between(one, other));
        let text = "Run the whole test suite of the package with a fixed seed before each commit";
        assert!(duplicates(
            text,
            "run the whole test suite of the package, with a fixed seed, before every commit"
        ));
        assert!(!duplicates(&format!("{text}, 3 times"), &format!("{text}, 5 times")));
        assert!(!duplicates(text, &format!("Do not {text}")));
        assert!(!duplicates(text, "Run one test of the package"));
    }
}
