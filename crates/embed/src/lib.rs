//! Texts as vectors, without a network: a static embedding.
//!
//! Each token of a vocabulary has a vector; a text's vector is the mean of its tokens'. The model is potion-base-2M (64
//! coordinates; Model2Vec, distilled from bge-base-en-v1.5), which the build takes out of a package of the registry (see
//! `build.rs` and `NOTICE`). It costs microseconds, knows English best, and finds what is said in related words; of the
//! order of words it knows nothing.
//!
//! # Layout
//! - [`embed`], [`Vector`], [`key`]: what is offered.
//! - `wordpiece`: from a text to tokens.

mod wordpiece;

use std::sync::LazyLock;

use wordpiece::WordPiece;

/// Coordinates of a vector.
pub const DIMS: usize = 64;

/// Tokens of a text that count: what follows is not read. (The model's authors cut there as well.)
pub const TOKENS_MAX: usize = 512;

/// Rows of scale and coordinates, in the order of the vocabulary; `build.rs` says how.
static ROWS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rows.bin"));
static VOCABULARY: &str = include_str!(concat!(env!("OUT_DIR"), "/vocabulary.txt"));
const ROW_BYTES: usize = 4 + DIMS;

static WORD_PIECE: LazyLock<WordPiece> = LazyLock::new(|| WordPiece::new(VOCABULARY));

/// What vectors must have in common to be compared: SHA-256 of weights, vocabulary and the way of reading, in hexadecimal.
pub fn key() -> &'static str {
    include_str!(concat!(env!("OUT_DIR"), "/key.txt"))
}

/// Where a text stands among meanings. Only its direction means something; the longest coordinate is ±127.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vector(pub [i8; DIMS]);

impl Vector {
    /// The cosine of the angle between two vectors: 1 for the same direction.
    pub fn cosine(&self, other: &Self) -> f64 {
        let dot = |a: &[i8; DIMS], b: &[i8; DIMS]| -> f64 {
            f64::from(a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>())
        };
        dot(&self.0, &other.0) / (dot(&self.0, &self.0) * dot(&other.0, &other.0)).sqrt()
    }
}

/// The vector of a text; `None` for one without any known token, and should all of them cancel out.
pub fn embed(text: &str) -> Option<Vector> {
    let mut sum = [0_f32; DIMS];
    WORD_PIECE.tokens(text, TOKENS_MAX, |token| {
        let row = &ROWS[token as usize * ROW_BYTES..][..ROW_BYTES];
        let (scale, coordinates) = row.split_at(4);
        let scale = f32::from_le_bytes([scale[0], scale[1], scale[2], scale[3]]);
        for (sum, coordinate) in sum.iter_mut().zip(coordinates) {
            *sum += scale * f32::from(coordinate.cast_signed());
        }
    });
    let longest = sum.iter().fold(0_f32, |most, value| most.max(value.abs()));
    (longest > 0.0).then(|| Vector(sum.map(|value| (value / longest * 127.0).round() as i8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f64 {
        embed(a).unwrap().cosine(&embed(b).unwrap())
    }

    #[test]
    fn related_words_are_nearer_than_others() {
        assert!(
            cosine("the car broke down", "an automobile failed")
                > cosine("the car broke down", "a recipe for soup")
        );
        assert!(
            cosine("log in with a password", "authentication")
                > cosine("log in with a password", "colour of the sea")
        );
        assert!((cosine("Same Words", "same words") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_has_no_known_token_has_no_vector() {
        for text in ["", " \t\n", "\u{e000}", "\u{0}"] {
            assert_eq!(embed(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_the_first_tokens_of_a_long_text_count() {
        let long = "word ".repeat(TOKENS_MAX);
        assert_eq!(embed(&format!("{long} something else")), embed(&long));
    }

    #[test]
    fn the_key_is_a_digest() {
        assert_eq!(key().len(), 64);
        assert!(key().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
