//! From a text to tokens, as BERT's tokenizer does it: normalised, split at white space and punctuation, each word taken
//! apart into the longest pieces that the vocabulary has (J. Devlin et al., 2018; Wu et al., 2016, section 4.1).

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Characters of a word that is looked up; longer ones are no words.
const WORD_MAX_CHARS: usize = 100;

/// Bytes of the longest piece that any vocabulary of this kind has.
const PIECE_MAX_BYTES: usize = 64;

/// A vocabulary: pieces that start a word, and pieces that continue one (`##` before them in the list).
#[derive(Debug)]
pub(crate) struct WordPiece {
    first: HashMap<&'static str, u32, FixedState>,
    further: HashMap<&'static str, u32, FixedState>,
}

impl WordPiece {
    /// From tokens, one a line, numbered from 0.
    pub(crate) fn new(vocabulary: &'static str) -> Self {
        let (mut first, mut further) = (HashMap::default(), HashMap::default());
        for (token, number) in vocabulary.split('\n').zip(0..) {
            match token.strip_prefix("##") {
                Some(piece) if !piece.is_empty() => further.insert(piece, number),
                // What stands for no text, such as `[UNK]`, has no meaning to add.
                _ if token.len() > 2 && token.starts_with('[') && token.ends_with(']') => None,
                _ => first.insert(token, number),
            };
        }
        Self { first, further }
    }

    /// Hands out the numbers of the text's first `most` tokens, unknown words counted and left out.
    pub(crate) fn tokens(&self, text: &str, most: usize, mut token: impl FnMut(u32)) {
        let mut left = most;
        let mut pieces = Vec::new();
        words(text, |word| {
            pieces.clear();
            if !self.pieces(word, &mut pieces) {
                pieces.clear();
                left = left.saturating_sub(1);
            }
            pieces.truncate(left);
            left -= pieces.len();
            pieces.iter().copied().for_each(&mut token);
            left > 0
        });
    }

    /// Takes a word apart; answers whether that succeeded.
    fn pieces(&self, word: &str, pieces: &mut Vec<u32>) -> bool {
        if word.chars().nth(WORD_MAX_CHARS).is_some() {
            return false;
        }
        let mut rest = word;
        let mut known = &self.first;
        while !rest.is_empty() {
            let mut end = rest.len().min(PIECE_MAX_BYTES);
            let found = loop {
                while !rest.is_char_boundary(end) {
                    end -= 1;
                }
                if end == 0 {
                    return false;
                }
                if let Some(&number) = known.get(&rest[..end]) {
                    break number;
                }
                end -= 1;
            };
            pieces.push(found);
            rest = &rest[end..];
            known = &self.further;
        }
        true
    }
}

/// Hands out the words of a text in lower case without accents, each sign of punctuation and each Chinese character as a
/// word of its own, until told to stop.
fn words(text: &str, mut take: impl FnMut(&str) -> bool) {
    let mut word = String::new();
    let mut encoded = [0; 4];
    // Where nobody takes more, the rest of a long text is not looked at.
    for char in text.chars() {
        let go_on = if char.is_ascii() {
            match char {
                'a'..='z' | '0'..='9' => {
                    word.push(char);
                    true
                }
                'A'..='Z' => {
                    word.push(char.to_ascii_lowercase());
                    true
                }
                ' ' | '\t' | '\n' | '\r' => flush(&mut word, &mut take),
                '!'..='~' => flush(&mut word, &mut take) && take(char.encode_utf8(&mut encoded)),
                // Control characters are no text.
                _ => true,
            }
        } else {
            beyond_ascii(char, &mut word, &mut take)
        };
        if !go_on {
            return;
        }
    }
    flush(&mut word, &mut take);
}

/// Hands out the word that is finished, if there is one.
fn flush(word: &mut String, take: &mut impl FnMut(&str) -> bool) -> bool {
    if word.is_empty() {
        return true;
    }
    let go_on = take(word);
    word.clear();
    go_on
}

fn beyond_ascii(char: char, word: &mut String, take: &mut impl FnMut(&str) -> bool) -> bool {
    if char == '\u{fffd}' || char.general_category_group() == GeneralCategoryGroup::Other {
        return true;
    }
    if char.is_whitespace() {
        return flush(word, take);
    }
    let mut encoded = [0; 4];
    if is_chinese(char) {
        // Some of these stand for another character of the same kind, and are looked up as that.
        return std::iter::once(char)
            .nfd()
            .all(|char| flush(word, take) && take(char.encode_utf8(&mut encoded)));
    }
    for char in std::iter::once(char).nfd() {
        if char.general_category() == GeneralCategory::NonspacingMark {
            continue;
        }
        for char in char.to_lowercase() {
            let go_on = if char.is_ascii_punctuation()
                || char.general_category_group() == GeneralCategoryGroup::Punctuation
            {
                flush(word, take) && take(char.encode_utf8(&mut encoded))
            } else if char.is_whitespace() {
                flush(word, take)
            } else {
                word.push(char);
                true
            };
            if !go_on {
                return false;
            }
        }
    }
    true
}

/// Whether a character is in one of the blocks that BERT reads character by character.
fn is_chinese(char: char) -> bool {
    matches!(u32::from(char),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x2_0000..=0x2_A6DF | 0x2_A700..=0x2_B73F
        | 0x2_B740..=0x2_B81F | 0x2_B920..=0x2_CEAF | 0xF900..=0xFAFF | 0x2_F800..=0x2_FA1F)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VOCABULARY: &str = "[PAD]\n[UNK]\nun\n##aff\n##able\nthe\n!\n,\n中\ncafe\n##s\n[\n]";

    fn tokens(text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        WordPiece::new(VOCABULARY).tokens(text, 100, |token| tokens.push(token));
        tokens
    }

    fn split(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        words(text, |word| {
            all.push(word.to_owned());
            true
        });
        all
    }

    #[test]
    fn a_word_is_the_longest_pieces_that_are_known() {
        assert_eq!(tokens("UNAFFABLE the"), [2, 3, 4, 5]);
        assert_eq!(tokens("unaffablex the"), [5], "a word with an unknown rest is left out whole");
        assert_eq!(tokens("cafés, cafe\u{301}!"), [9, 10, 7, 9, 6]);
        assert_eq!(tokens("[PAD]"), [11, 12], "text is never taken for a sign of the vocabulary's own");
    }

    #[test]
    fn words_end_at_white_space_punctuation_and_chinese_characters() {
        assert_eq!(
            split("Don't\u{a0}stop—now\u{3000}中文x"),
            ["don", "'", "t", "stop", "—", "now", "中", "文", "x"]
        );
        assert_eq!(split("a\u{0}b\u{200b}c"), ["abc"], "what cannot be seen is no text");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_the_bound_holds(text in any::<String>(), most in 0_usize..20) {
            let mut count = 0;
            WordPiece::new(VOCABULARY).tokens(&text, most, |_| count += 1);
            prop_assert!(count <= most);
        }

        #[test]
        fn words_have_no_white_space_and_no_capitals_of_ascii(text in any::<String>()) {
            for word in split(&text) {
                prop_assert!(!word.is_empty() && !word.chars().any(|c| c.is_whitespace() || c.is_ascii_uppercase()));
            }
        }
    }
}
