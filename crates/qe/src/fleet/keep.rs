//! What is kept of a program's output: its beginning and its end, and a digest of the whole.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

use super::wire::Kept;

/// Bytes of the beginning, and as many of the end. Two outputs of twice this, with every byte escaped in JSON, fit into a
/// result of the store.
const SIDE_BYTES: usize = 8 << 10;

/// Characters of the last line that are told of.
const LINE_CHARS: usize = 120;

/// An output as it comes.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    bytes: u64,
    lines: u64,
    digest: Sha256,
}

impl Keeping {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let to_head = bytes.len().min(SIDE_BYTES - self.head.len());
        let (head, rest) = bytes.split_at(to_head);
        self.head.extend_from_slice(head);
        self.tail.extend(&rest[rest.len().saturating_sub(SIDE_BYTES)..]);
        self.tail.drain(..self.tail.len().saturating_sub(SIDE_BYTES));
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// The last line that is not empty, cut.
    pub(crate) fn last_line(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(if tail.is_empty() { &self.head } else { &tail }).into_owned();
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        last.trim().chars().take(LINE_CHARS).collect()
    }

    pub(crate) fn kept(&self) -> Kept {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let omitted = self.bytes - (self.head.len() + tail.len()) as u64;
        let sha256 = hexadecimal(&self.digest.clone().finalize());
        if omitted == 0 {
            let whole = [&self.head[..], &tail].concat();
            let head = String::from_utf8_lossy(&whole).into_owned();
            return Kept { head, tail: String::new(), bytes: self.bytes, omitted, sha256 };
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Kept { head: text(&self.head), tail: text(&tail), bytes: self.bytes, omitted, sha256 }
    }
}

/// Bytes as two digits each.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn head_and_tail_are_those_of_the_whole_however_it_comes(
            pieces in proptest::collection::vec(proptest::collection::vec(b'a'..=b'z', 0..9_000), 0..6),
        ) {
            let mut keeping = Keeping::default();
            for piece in &pieces {
                keeping.take(piece);
            }
            let (whole, kept) = (String::from_utf8(pieces.concat()).unwrap(), keeping.kept());
            prop_assert_eq!(kept.bytes, whole.len() as u64);
            prop_assert!(whole.starts_with(&kept.head) && whole.ends_with(&kept.tail));
            prop_assert_eq!(kept.omitted, whole.len() as u64 - (kept.head.len() + kept.tail.len()) as u64);
        }
    }
}
