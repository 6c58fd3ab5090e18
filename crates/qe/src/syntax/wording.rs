//! The words of a source, packed: they are kept of whole projects.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::Token;
use crate::project::git::Lines;

/// Words in order, one or two bytes each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Wording {
    /// The hash of each different word, the commonest first.
    different: Vec<u32>,
    /// For each word four times its place in `different`, and below that [`SAME`], [`NEXT`] or [`FAR`].
    coded: Vec<u8>,
    count: u32,
}

/// It is on the line on which the word before it begins.
const SAME: u64 = 0;
/// It is on the line after that.
const NEXT: u64 = 1;
/// Two more numbers follow: how many lines after that it begins, and how many lines after its own beginning it ends.
const FAR: u64 = 2;

impl Wording {
    pub(crate) fn new(tokens: &[Token]) -> Self {
        let mut times: HashMap<u32, u32, foldhash::fast::FixedState> = HashMap::default();
        for token in tokens {
            *times.entry(token.hash).or_default() += 1;
        }
        let mut different: Vec<(u32, u32)> = times.into_iter().map(|(hash, times)| (times, hash)).collect();
        different.sort_unstable_by(|one, other| other.cmp(one));
        let different: Vec<u32> = different.into_iter().map(|(_, hash)| hash).collect();
        let places: HashMap<u32, u64, foldhash::fast::FixedState> =
            different.iter().copied().zip(0..).collect();
        let mut coded = Vec::with_capacity(tokens.len() * 3 / 2);
        let mut line = 1;
        for token in tokens {
            let place = places.get(&token.hash).copied().unwrap_or_default() << 2;
            let Lines { start, end } = token.lines;
            match (start.wrapping_sub(line), end.wrapping_sub(start)) {
                (0, 0) => write(&mut coded, place | SAME),
                (1, 0) => write(&mut coded, place | NEXT),
                (after, long) => {
                    write(&mut coded, place | FAR);
                    write(&mut coded, after.into());
                    write(&mut coded, long.into());
                }
            }
            line = start;
        }
        coded.shrink_to_fit();
        Self { different, coded, count: u32::try_from(tokens.len()).unwrap_or(u32::MAX) }
    }

    /// How many words there are.
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// The hash of each different word.
    pub(crate) fn different(&self) -> &[u32] {
        &self.different
    }

    /// The words, in order.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        let mut rest = self.coded.as_slice();
        let mut line = 1_u32;
        std::iter::from_fn(move || {
            let code = read(&mut rest)?;
            let hash = *self.different.get(usize::try_from(code >> 2).ok()?)?;
            let (after, long) = match code & 3 {
                SAME => (0, 0),
                NEXT => (1, 0),
                _ => (read(&mut rest)? as u32, read(&mut rest)? as u32),
            };
            line = line.wrapping_add(after);
            Some(Token { hash, lines: Lines { start: line, end: line.wrapping_add(long) } })
        })
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow (LEB128).
fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_come_back_as_they_were(
            words in prop::collection::vec((0_u32..300, 0_u32..4, 0_u32..3, any::<bool>()), 0..500),
        ) {
            let mut line = 1;
            let tokens: Vec<Token> = words
                .into_iter()
                .map(|(word, after, long, is_far)| {
                    line += if is_far { after * 1_000 } else { after };
                    let hash = word.wrapping_mul(0x9e37_79b9);
                    Token { hash, lines: Lines { start: line, end: line + long } }
                })
                .collect();
            let packed = Wording::new(&tokens);
            prop_assert_eq!(packed.len(), tokens.len());
            prop_assert_eq!(packed.tokens().collect::<Vec<_>>(), tokens);
        }

        #[test]
        fn nonsense_is_read_to_its_end(coded in prop::collection::vec(any::<u8>(), 0..200)) {
            let packed = Wording { different: vec![1, 2, 3], coded, count: 1 };
            prop_assert!(packed.tokens().count() <= 200);
        }
    }
}
