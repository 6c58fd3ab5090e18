//! How alike two texts are: by their spelling, and by what they mean.
//!
//! Spelling finds what is said in the same words, meaning (the static embedding of `aqe-embed`) what is said in related ones.
//! On linters' descriptions both together find more than either alone; `similarity/tests/measured.rs` measures it.

use std::collections::BTreeSet;

/// What it is, for whoever reads the figure.
pub(crate) const NAME: &str = "spelling (hashed words and trigrams) and meaning (potion-base-2M), half each";

/// How much spelling counts, from 0 to 1; the rest is meaning.
const SPELLING: f64 = 0.5;

/// From here on two spellings may be one pattern's.
pub(crate) const DUPLICATE: f64 = 0.9;

/// Coordinates of a text's spelling.
const DIMENSIONS: usize = 512;

/// A text as two points on a sphere: the nearer, the more alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// Words and groups of three letters, hashed. "test" and "tests" are alike, "car" and "automobile" are not. Only the
    /// direction means something; the longest coordinate is ±127.
    spelling: Box<[i8; DIMENSIONS]>,
    /// `None`: no token of the text is known.
    meaning: Option<aqe_embed::Vector>,
}

impl Sketch {
    pub(crate) fn of(text: &str) -> Self {
        Self { spelling: spelling(text), meaning: aqe_embed::embed(text) }
    }

    /// From 0 to 1: 1 for the same text.
    pub(crate) fn likeness(&self, other: &Self) -> f64 {
        let spelling = self.spelled_alike(other);
        // Without a meaning, spelling is all that is known.
        self.meant_alike(other).map_or(spelling, |meaning| SPELLING * spelling + (1.0 - SPELLING) * meaning)
    }

    /// The cosine of the spellings; unlike is nought.
    pub(crate) fn spelled_alike(&self, other: &Self) -> f64 {
        let dot = |one: &[i8; DIMENSIONS], other: &[i8; DIMENSIONS]| -> f64 {
            f64::from(
                one.iter().zip(other).map(|(&one, &other)| i32::from(one) * i32::from(other)).sum::<i32>(),
            )
        };
        let lengths = dot(&self.spelling, &self.spelling) * dot(&other.spelling, &other.spelling);
        if lengths > 0.0 {
            (dot(&self.spelling, &other.spelling) / lengths.sqrt()).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// The cosine of the meanings; unlike is nought.
    fn meant_alike(&self, other: &Self) -> Option<f64> {
        Some(self.meaning.as_ref()?.cosine(other.meaning.as_ref()?).clamp(0.0, 1.0))
    }
}

fn spelling(text: &str) -> Box<[i8; DIMENSIONS]> {
    let mut sums = [0.0_f32; DIMENSIONS];
    let mut add = |bytes: &[u8], weight: f32| {
        let hash = fnv(bytes);
        let sign = if hash >> 63 == 0 { weight } else { -weight };
        sums[hash as usize % DIMENSIONS] += sign;
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
    let longest = sums.iter().fold(f32::MIN_POSITIVE, |most, sum| most.max(sum.abs()));
    Box::new(sums.map(|sum| (sum / longest * 127.0).round() as i8))
}

/// Whether two texts say the same in nearly the same words. A different number, or a "not", is a different text however
/// alike the rest. Meaning is not asked: by it, opposites are near.
pub(crate) fn are_duplicates(one: &str, other: &str, spelled_alike: f64) -> bool {
    if spelled_alike < DUPLICATE {
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
mod tests;
