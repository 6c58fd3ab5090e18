//! Optimal string alignment: the least number of insertions, deletions, substitutions and swaps of neighbours that
//! turn one text into another, no part edited twice.
//!
//! Bit-parallel: one column of the matrix is held as bits of a word, after H. Hyyrö, "A Bit-Vector Algorithm for
//! Computing Levenshtein and Damerau Edit Distances", Nordic Journal of Computing 10 (2003).

/// Longest pattern: one bit per character.
pub(super) const MAX_PATTERN: usize = 64;

/// A text prepared to be compared with many others.
pub(super) struct Pattern {
    /// For each byte value the positions where it stands.
    places: [u64; 256],
    len: usize,
}

impl Pattern {
    /// `None` if the text is empty or longer than [`MAX_PATTERN`]. One byte is one character.
    pub(super) fn new(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_PATTERN {
            return None;
        }
        let mut places = [0_u64; 256];
        for (place, &byte) in text.iter().enumerate() {
            places[usize::from(byte)] |= 1 << place;
        }
        Some(Self { places, len: text.len() })
    }

    /// The distance to `text`, or `None` if it is greater than `limit`.
    pub(super) fn distance(&self, text: &[u8], limit: usize) -> Option<usize> {
        let last = 1_u64 << (self.len - 1);
        let mut score = self.len;
        // Vertical differences of +1 and -1, and the diagonals and places of the column before.
        let (mut plus, mut minus, mut diagonal, mut places_before) = (u64::MAX, 0_u64, 0_u64, 0_u64);
        for (done, &byte) in text.iter().enumerate() {
            let places = self.places[usize::from(byte)];
            let swap = ((!diagonal & places) << 1) & places_before;
            diagonal = ((places & plus).wrapping_add(plus) ^ plus) | places | minus | swap;
            let across_plus = minus | !(diagonal | plus);
            let across_minus = diagonal & plus;
            score += usize::from(across_plus & last != 0);
            score -= usize::from(across_minus & last != 0);
            // Each character still to come can lower the score by one at most.
            if score > limit + (text.len() - done - 1) {
                return None;
            }
            let across_plus = across_plus << 1 | 1;
            plus = across_minus << 1 | !(diagonal | across_plus);
            minus = across_plus & diagonal;
            places_before = places;
        }
        (score <= limit).then_some(score)
    }
}

#[cfg(test)]
pub(super) mod reference {
    /// The recurrence itself, over the full matrix.
    pub(in super::super) fn distance(one: &[u8], other: &[u8]) -> usize {
        let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
        for i in 0..=one.len() {
            for j in 0..=other.len() {
                rows[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    let changed = usize::from(one[i - 1] != other[j - 1]);
                    let mut best =
                        (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + changed);
                    if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                        best = best.min(rows[i - 2][j - 2] + 1);
                    }
                    best
                };
            }
        }
        rows[one.len()][other.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_distance_is_that_of_the_full_matrix(
            one in "[a-d]{1,64}", other in "[a-d]{0,70}", limit in 0..80_usize,
        ) {
            let wanted = reference::distance(one.as_bytes(), other.as_bytes());
            let got = Pattern::new(one.as_bytes()).unwrap().distance(other.as_bytes(), limit);
            prop_assert_eq!(got, (wanted <= limit).then_some(wanted));
        }

        #[test]
        fn near_texts_have_the_distance_of_the_full_matrix(one in "[a-c]{1,12}", other in "[a-c]{0,12}") {
            let wanted = reference::distance(one.as_bytes(), other.as_bytes());
            prop_assert_eq!(Pattern::new(one.as_bytes()).unwrap().distance(other.as_bytes(), 99), Some(wanted));
        }
    }

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        let pattern = Pattern::new(b"create").unwrap();
        assert_eq!(pattern.distance(b"craete", 2), Some(1));
        assert_eq!(pattern.distance(b"delete", 2), None);
    }

    #[test]
    fn texts_without_or_with_too_many_characters_make_no_pattern() {
        assert!(Pattern::new(b"").is_none());
        assert!(Pattern::new(&[b'a'; MAX_PATTERN + 1]).is_none());
    }
}
