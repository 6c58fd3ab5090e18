//! Windows of words that occur more than once.

use super::{Block, MIN_TOKENS, Words};
use crate::project::git::Lines;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Windows between two looks at the clock.
const LOOK_EVERY: usize = 1 << 16;

/// A window: the hash of its words, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Window {
    hash: u64,
    file: u32,
    at: u32,
}

/// No counterpart.
const NONE: (u32, u32) = (u32::MAX, u32::MAX);

/// Tells `found` of each run of windows that stand elsewhere too, at one place after the other.
pub(super) fn matches(
    sources: &[Words<'_>],
    stop: &Stop,
    mut found: impl FnMut(Block),
) -> Result<(), Refusal> {
    // Most windows stand alone. They are left out before the rest is sorted, which costs most.
    let mut seen = Seen::for_at_most(sources.iter().map(|words| words.tokens.len()).sum());
    for words in sources {
        stop.check()?;
        hashes(words, |_, hash| seen.add(hash));
    }
    let mut windows = Vec::new();
    for (file, words) in sources.iter().enumerate() {
        stop.check()?;
        hashes(words, |at, hash| {
            if seen.may_have_twice(hash) {
                windows.push(Window { hash, file: file as u32, at });
            }
        });
    }
    stop.check()?;
    windows.sort_unstable();
    let mut counterparts: Vec<Vec<(u32, u32)>> = vec![Vec::new(); sources.len()];
    let mut since_look = 0;
    for group in windows.chunk_by(|one, other| one.hash == other.hash) {
        since_look += group.len();
        if since_look > LOOK_EVERY {
            since_look = 0;
            stop.check()?;
        }
        if group.len() > 1 {
            pair(group, sources, &mut counterparts);
        }
    }
    for (file, counterparts) in counterparts.iter().enumerate() {
        stop.check()?;
        runs(file, counterparts, sources, &mut found);
    }
    Ok(())
}

/// Hashes that were seen once and more than once, by their first bits: two that share them are taken for one.
struct Seen {
    /// Two bits for each.
    counts: Vec<u64>,
    shift: u32,
}

impl Seen {
    /// Eight places for each hash, and at most 32 MiB.
    fn for_at_most(hashes: usize) -> Self {
        let bits = (hashes * 8).clamp(1 << 6, 1 << 27).next_power_of_two().trailing_zeros();
        Self { counts: vec![0; 1 << (bits - 5)], shift: u64::BITS - bits }
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let place = hash >> self.shift;
        ((place >> 5) as usize, (place & 31) * 2)
    }

    fn add(&mut self, hash: u64) {
        let (at, bit) = self.place(hash);
        if let Some(counts) = self.counts.get_mut(at)
            && (*counts >> bit) & 3 < 2
        {
            *counts += 1 << bit;
        }
    }

    /// Never false of a hash that was added twice.
    fn may_have_twice(&self, hash: u64) -> bool {
        let (at, bit) = self.place(hash);
        self.counts.get(at).is_some_and(|counts| (counts >> bit) & 3 == 2)
    }
}

/// Rolls a polynomial hash (Rabin and Karp's) over the words of a source; tells `found` of each window's place and hash.
fn hashes(words: &Words<'_>, mut found: impl FnMut(u32, u64)) {
    /// Odd, so that no word is lost from the hash; the golden ratio's bits.
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    let leading = (0..MIN_TOKENS).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let seed = words.language as u64 + 1;
    let mut hash = 0_u64;
    for (at, token) in words.tokens.iter().enumerate() {
        hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(token.hash));
        if at >= MIN_TOKENS {
            hash = hash.wrapping_sub(u64::from(words.tokens[at - MIN_TOKENS].hash).wrapping_mul(leading));
        }
        if let Some(first) = (at + 1).checked_sub(MIN_TOKENS) {
            // Mixed, since the low bits of the polynomial depend on few bits of the words.
            let mixed = (hash ^ seed.rotate_left(56)).wrapping_mul(0xff51_afd7_ed55_8ccd);
            found(first as u32, mixed ^ (mixed >> 32));
        }
    }
}

/// Gives each window of a group the one before it as counterpart, and the first the one after; places that overlap are
/// none.
fn pair(group: &[Window], sources: &[Words<'_>], counterparts: &mut [Vec<(u32, u32)>]) {
    let apart = |one: &Window, other: &Window| {
        one.file != other.file || one.at.abs_diff(other.at) >= MIN_TOKENS as u32
    };
    let mut before: Option<&Window> = None;
    for (at, window) in group.iter().enumerate() {
        // Groups are in the order of file and place: what is apart from the window stands at either end.
        let other = before
            .filter(|before| apart(before, window))
            .or_else(|| group.first().filter(|first| apart(first, window)))
            .or_else(|| group[at + 1..].iter().find(|next| apart(next, window)));
        if let Some(other) = other {
            let file = &mut counterparts[window.file as usize];
            if file.is_empty() {
                file.resize(sources[window.file as usize].tokens.len(), NONE);
            }
            file[window.at as usize] = (other.file, other.at);
        }
        before = Some(window);
    }
}

/// Joins windows whose counterparts follow each other as they do.
fn runs(file: usize, counterparts: &[(u32, u32)], sources: &[Words<'_>], found: &mut impl FnMut(Block)) {
    let mut at = 0;
    while at < counterparts.len() {
        let (other_file, other_at) = counterparts[at];
        if (other_file, other_at) == NONE {
            at += 1;
            continue;
        }
        let follows = |&(ahead, &next): &(usize, &(u32, u32))| next == (other_file, other_at + ahead as u32);
        let windows = counterparts[at..].iter().enumerate().take_while(follows).count();
        let tokens = windows + MIN_TOKENS - 1;
        let lines = |file: usize, first: usize| {
            let words = sources[file].tokens;
            let last = (first + tokens - 1).min(words.len() - 1);
            Lines { start: words[first].lines.start, end: words[last].lines.end }
        };
        found(Block {
            file,
            lines: lines(file, at),
            other_file: other_file as usize,
            other_lines: lines(other_file as usize, other_at as usize),
            tokens: tokens as u32,
        });
        at += windows;
    }
}
