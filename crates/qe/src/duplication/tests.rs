use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::syntax::Parsed;

fn tokens(source: &str) -> Vec<Token> {
    let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(20));
    Parsed::new(source.as_bytes(), Language::Python, &stop).unwrap().tokens(&stop).unwrap()
}

fn found(sources: &[Vec<Token>]) -> Duplication {
    let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(20));
    let words: Vec<_> = sources.iter().map(|tokens| Words { language: Language::Python, tokens }).collect();
    search(&words, &stop).unwrap()
}

/// `lines` lines of 6 words, each different from all others of another `seed`.
fn text(seed: u32, lines: u32) -> String {
    (0..lines)
        .fold(String::new(), |text, line| text + &format!("v{seed}_{line} = f{line}_{seed} + {line}\n    \n"))
}

fn lines(start: u32, end: u32) -> Lines {
    Lines { start, end }
}

#[test]
fn a_copy_is_found_in_both_places_whatever_stands_around_it() {
    let copy = text(7, 12);
    let one = format!("{}{copy}{}", text(1, 3), text(2, 3));
    let other = format!("# comment\n{copy}\n# another\n{}", text(3, 9));
    let result = found(&[tokens(&one), tokens(&other), tokens(&text(4, 40))]);
    assert_eq!(result.lines, [vec![lines(7, 29)], vec![lines(2, 24)], vec![]]);
    assert_eq!((result.count(0), result.blocks.len()), (23, 2));
    let block = result.blocks[0];
    assert_eq!(
        (block.file, block.lines, block.other_file, block.other_lines),
        (0, lines(7, 29), 1, lines(2, 24))
    );
    let new = [lines(1, 8), lines(20, 21), lines(29, 40)];
    assert_eq!(result.count_within(0, new), 2 + 2 + 1);
    assert_eq!(result.count_within(2, new), 0);
}

#[test]
fn a_short_copy_is_none_and_neither_is_what_overlaps_itself() {
    let short = text(7, 8);
    assert!(found(&[tokens(&short), tokens(&short)]).blocks.is_empty(), "48 words are too few");
    let long_line = format!("x = [{}]\n", (0..60).fold(String::new(), |text, at| text + &format!("{at},")));
    assert!(found(&[tokens(&long_line), tokens(&long_line)]).blocks.is_empty(), "one line is too few");
    let alike = format!("x = [\n{}]\n", "0,\n".repeat(40));
    assert!(found(&[tokens(&alike)]).blocks.is_empty(), "a row of equal words is no copy of itself");
}

#[test]
fn languages_are_not_compared_with_each_other() {
    let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(20));
    let tokens = tokens(&text(1, 40));
    let words = [Language::Python, Language::Rust].map(|language| Words { language, tokens: &tokens });
    assert!(search(&words, &stop).unwrap().blocks.is_empty());
}

#[test]
fn three_copies_in_one_file_are_three_places() {
    let source = format!("{}{}{}{}", text(7, 10), text(7, 10), text(1, 5), text(7, 10));
    let result = found(&[tokens(&source)]);
    assert_eq!(result.count(0), 3 * 19);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The definition, by comparing all places with all others.
    #[test]
    fn what_is_found_is_what_is_there(
        words in proptest::collection::vec((0_u32..3, 1_usize..90), 1..12),
        split in 0_usize..400,
    ) {
        // Runs of words that count up from one of three values: copies of different lengths, in order.
        let all: Vec<u32> = words.iter().flat_map(|&(seed, many)| (0..many as u32).map(move |at| seed * 1_000 + at)).collect();
        let token = |(at, &hash): (usize, &u32)| Token { hash, lines: lines(at as u32 + 1, at as u32 + 1) };
        let (one, other) = all.split_at(split.min(all.len()));
        let sources = [one, other].map(|part| part.iter().enumerate().map(token).collect::<Vec<_>>());
        let result = found(&sources);
        let windows = |file: usize| {
            let tokens = &sources[file];
            (0..tokens.len().saturating_sub(MIN_TOKENS - 1)).map(move |at| (file, at, tokens[at..at + MIN_TOKENS].iter().map(|token| token.hash).collect::<Vec<_>>()))
        };
        let every: Vec<_> = windows(0).chain(windows(1)).collect();
        let mut wanted = [vec![false; one.len() + 2], vec![false; other.len() + 2]];
        for (file, at, words) in &every {
            if every.iter().any(|(f, a, w)| w == words && (f != file || a.abs_diff(*at) >= MIN_TOKENS)) {
                wanted[*file][at + 1..=at + MIN_TOKENS].fill(true);
            }
        }
        for (file, wanted) in wanted.iter().enumerate() {
            let mut marked = vec![false; wanted.len()];
            for range in &result.lines[file] {
                marked[range.start as usize..=range.end as usize].fill(true);
            }
            prop_assert_eq!(&marked, wanted, "source {}", file);
        }
    }
}
