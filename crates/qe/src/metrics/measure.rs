//! What is measured of one source.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::stop::Stop;
use crate::syntax::{Function, Language, LineCounts, Parsed, SyntaxError, Wording};

/// Mean bytes of a line above which nobody has written it by hand.
const HAND_WRITTEN_LINE_BYTES: usize = 300;

/// Identifies the content of a file: the first half of its SHA-256.
pub(crate) type ContentHash = [u8; 16];

pub(super) fn content_hash(content: &[u8]) -> ContentHash {
    let mut hash = ContentHash::default();
    hash.copy_from_slice(&Sha256::digest(content)[..16]);
    hash
}

/// What is measured of a source; depends on its content and language alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) lines: LineCounts,
    pub(crate) functions: Vec<Function>,
    /// Sum over the functions, and the decisions outside of them.
    pub(crate) cyclomatic: u32,
    pub(crate) cognitive: u32,
    /// 0 to 100; `None` for a source without code.
    pub(crate) maintainability: Option<f64>,
    /// Whether a part was not understood.
    pub(crate) has_errors: bool,
    /// For the search for duplicates, and for who uses a name.
    pub(crate) wording: Wording,
}

/// Why a source was not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unmeasured {
    /// Made by a program: its lines are too long for people.
    Generated,
    Syntax(SyntaxError),
}

pub(super) fn measure(source: &[u8], language: Language, stop: &Stop) -> Result<Measured, Unmeasured> {
    let breaks = memchr::memchr_iter(b'\n', source).count();
    if source.len() / (breaks + 1) > HAND_WRITTEN_LINE_BYTES {
        return Err(Unmeasured::Generated);
    }
    let parsed = Parsed::new(source, language, stop).map_err(Unmeasured::Syntax)?;
    let (outline, tokens) = parsed.outline_and_tokens(stop).map_err(Unmeasured::Syntax)?;
    let wording = Wording::new(&tokens);
    let sum = |each: fn(&Function) -> u32| outline.functions.iter().map(each).fold(0, u32::saturating_add);
    let cyclomatic = sum(|function| function.cyclomatic).saturating_add(outline.outside_cyclomatic);
    let cognitive = sum(|function| function.cognitive).saturating_add(outline.outside_cognitive);
    Ok(Measured {
        lines: outline.lines,
        cyclomatic,
        cognitive,
        maintainability: maintainability(&wording, cyclomatic, outline.lines.ncloc),
        has_errors: outline.has_errors,
        functions: outline.functions,
        wording,
    })
}

/// The maintainability index in Microsoft's form, 0 to 100: (171 - 5.2 ln V - 0.23 C - 16.2 ln L) / 1.71, where V is
/// Halstead's volume with each word of the source as an operator or operand, C the cyclomatic complexity and L the lines of
/// code.
fn maintainability(wording: &Wording, cyclomatic: u32, ncloc: u32) -> Option<f64> {
    let words = wording.len();
    if words == 0 || ncloc == 0 {
        return None;
    }
    let volume = (words as f64 * (wording.different().len() as f64).log2()).max(1.0);
    let index = 171.0 - 5.2 * volume.ln() - 0.23 * f64::from(cyclomatic) - 16.2 * f64::from(ncloc).ln();
    Some((index / 1.71).clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_source_is_measured_or_it_is_said_why_not() {
        let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(10));
        let measured =
            measure(b"# c\nif a:\n    x = 1\ndef f():\n    pass\n", Language::Python, &stop).unwrap();
        assert_eq!((measured.lines.ncloc, measured.lines.comment, measured.cyclomatic), (4, 1, 2));
        // 12 words (line breaks are none), 11 of them different; by hand: V = 41.5, C = 2, L = 4.
        let words = measured.wording.len() as f64;
        let index = (171.0 - 5.2 * (words * 11_f64.log2()).ln() - 0.46 - 16.2 * 4_f64.ln()) / 1.71;
        assert!((measured.maintainability.unwrap() - index).abs() < 1e-9, "{measured:?}");
        assert_eq!(measure(b"", Language::Python, &stop).unwrap().maintainability, None);
        let minified = "a();".repeat(1_000);
        assert_eq!(measure(minified.as_bytes(), Language::JavaScript, &stop), Err(Unmeasured::Generated));
    }
}
