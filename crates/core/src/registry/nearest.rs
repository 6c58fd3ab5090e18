//! The index of near names: which tools a misspelt name may mean.
//!
//! Names are compared in four forms. As written (in lower case) by optimal string alignment: names of one length
//! lie together, and a bag of letters per name rules out most without looking at them. And by equality without
//! separators, without vowels and without the upstream's prefix, through tables computed beforehand.

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::config::FuzzyRule;
use super::lookup::Variant;
use super::naming::MAX_SHOWN_NAME;
use super::osa::Pattern;
use super::table::NameTable;

/// Longest name, in characters, that is compared at all.
const MAX_QUERY: usize = 2 * MAX_SHOWN_NAME;
/// Least length of a name without vowels that stands for a tool: shorter ones stand for too many words.
const MIN_CONSONANTS: usize = 5;
/// Least similarity of a suggestion: below, names share little more than the prefix of their upstream.
const MIN_SUGGESTED: f64 = 0.6;
/// Stands for any character that names do not have.
const FOREIGN: u8 = 0xff;

/// A tool near a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Position in the list of tools.
    pub(super) id: u32,
    /// Edits between the two names in the form that matched.
    pub(super) edits: u8,
    /// One minus the edits over the longer length, in the form that matched.
    pub(super) similarity: f64,
    pub(super) variant: Variant,
}

impl Candidate {
    fn as_written(id: u32, edits: usize, longer: usize) -> Self {
        let variant = if edits == 0 { Variant::Case } else { Variant::Spelling };
        Self { id, edits: edits as u8, similarity: (longer - edits) as f64 / longer as f64, variant }
    }

    fn in_form(id: u32, variant: Variant) -> Self {
        Self { id, edits: 0, similarity: 1.0, variant }
    }
}

/// The names of one snapshot, prepared.
#[derive(Debug)]
pub(super) struct NearestNames {
    /// By length of the name.
    buckets: Vec<Bucket>,
    without_separators: NameTable,
    without_vowels: NameTable,
    without_prefix: NameTable,
    /// Every word of every name, in lower case.
    words: HashSet<Box<[u8]>, RandomState>,
}

/// All names of one length, in lower case, one after the other.
#[derive(Debug, Default)]
struct Bucket {
    text: Vec<u8>,
    bags: Vec<u64>,
    ids: Vec<u32>,
}

impl NearestNames {
    /// Indexes shown names (ASCII, at most 64 bytes), each with the part after its prefix; positions count from 0.
    pub(super) fn build<'a>(names: impl ExactSizeIterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let mut index = Self {
            buckets: Vec::new(),
            without_separators: NameTable::with_capacity(names.len()),
            without_vowels: NameTable::with_capacity(names.len()),
            without_prefix: NameTable::default(),
            words: HashSet::default(),
        };
        index.buckets.resize_with(MAX_SHOWN_NAME + 1, Bucket::default);
        for (id, (shown, after_prefix)) in names.enumerate() {
            let (id, lower) = (id as u32, folded(shown));
            let bucket = &mut index.buckets[lower.len()];
            bucket.text.extend_from_slice(&lower);
            bucket.bags.push(letter_bag(&lower));
            bucket.ids.push(id);
            index.without_separators.add(&separators_removed(&lower), id);
            index.without_vowels.add(&vowels_removed(&lower), id);
            for word in words(shown) {
                index.words.get_or_insert_with(word.as_slice(), |word| word.into());
            }
            if let Some(after_prefix) = after_prefix {
                index.without_prefix.add(&folded(after_prefix), id);
            }
        }
        index
    }

    /// The one tool that `name` can be a misspelling of, by the rule; `None` if there is none or more than one.
    pub(super) fn best(&self, name: &str, rule: &FuzzyRule) -> Option<Candidate> {
        let query = Query::new(name)?;
        let mut lead = Lead { best: None, runner_up: u8::MAX };
        // How far behind the best another name still contests its lead.
        let contest = usize::from(rule.margin().max(1) - 1);
        let mut limit = usize::from(rule.max_edits()) + contest;
        for len in query.len().saturating_sub(limit)..=query.len() + limit {
            if len.abs_diff(query.len()) > limit {
                continue;
            }
            limit = self.scan(&query, len, limit, |candidate| {
                lead.offer(candidate);
                lead.best.map_or(limit, |best| limit.min(usize::from(best.edits) + contest))
            });
        }
        for candidate in self.equal_but_for_separators(&query).chain(self.equal_but_for_vowels(&query)) {
            lead.offer(candidate);
        }
        lead.best.filter(|best| {
            best.edits <= rule.max_edits()
                && best.similarity >= rule.threshold()
                && lead.runner_up >= best.edits.saturating_add(rule.margin())
                && (best.variant != Variant::Spelling || self.has_unknown_word(name))
        })
    }

    /// Whether some word of `name` is in no tool's name. A name of known words alone, such as `get_issues` beside
    /// `get_issue` and `list_issues`, is rather that of a tool that is not here than a misspelling.
    fn has_unknown_word(&self, name: &str) -> bool {
        words(name).any(|word| !self.words.contains(word.as_slice()))
    }

    /// The tools most like `name`, most alike first, in list order where alike; only those that `accept` lets pass.
    pub(super) fn ranked(&self, name: &str, count: usize, accept: impl FnMut(u32) -> bool) -> Vec<Candidate> {
        let Some(query) = Query::new(name) else { return Vec::new() };
        let mut top = Top { best: Vec::new(), count, accept };
        let equal = self.equal_but_for_separators(&query).chain(self.equal_but_for_vowels(&query));
        for candidate in equal.chain(self.equal_but_for_prefix(&query)) {
            top.offer(candidate);
        }
        // Names of about the same length first: the sooner good ones are found, the more others are ruled out.
        let mut lengths: Vec<usize> = (1..self.buckets.len()).collect();
        lengths.sort_by_key(|len| len.abs_diff(query.len()));
        for len in lengths {
            let longer = len.max(query.len());
            let limit = top.limit(longer);
            if len.abs_diff(query.len()) <= limit {
                self.scan(&query, len, limit, |candidate| {
                    top.offer(candidate);
                    top.limit(longer)
                });
            }
        }
        top.best
    }

    /// Shows `found` all names of a length within `limit` edits; `found` returns the limit from there on.
    fn scan(
        &self,
        query: &Query,
        len: usize,
        mut limit: usize,
        mut found: impl FnMut(Candidate) -> usize,
    ) -> usize {
        let Some(bucket) = self.buckets.get(len) else { return limit };
        for (place, &bag) in bucket.bags.iter().enumerate() {
            if !within(query.bag, bag, limit) {
                continue;
            }
            if let Some(edits) = query.distance(&bucket.text[place * len..][..len], limit) {
                limit = found(Candidate::as_written(bucket.ids[place], edits, len.max(query.len())));
            }
        }
        limit
    }

    fn equal_but_for_separators(&self, query: &Query) -> impl Iterator<Item = Candidate> {
        let form = separators_removed(&query.text);
        // Nothing but separators is no name.
        let table = (!form.is_empty()).then_some(&self.without_separators);
        let ids: Vec<u32> = table.into_iter().flat_map(|table| table.all(&form)).collect();
        ids.into_iter().map(|id| Candidate::in_form(id, Variant::Separators))
    }

    /// Only for a name that itself has no vowels: one that has is a word, not an abbreviation.
    fn equal_but_for_vowels(&self, query: &Query) -> impl Iterator<Item = Candidate> {
        let is_short_form = query.len() >= MIN_CONSONANTS && !query.text.iter().any(|&byte| is_vowel(byte));
        let table = is_short_form.then_some(&self.without_vowels);
        let ids = table.into_iter().flat_map(|table| table.all(&query.text));
        ids.map(|id| Candidate::in_form(id, Variant::Vowels))
    }

    fn equal_but_for_prefix(&self, query: &Query) -> impl Iterator<Item = Candidate> {
        self.without_prefix.all(&query.text).map(|id| Candidate::in_form(id, Variant::Prefix))
    }
}

/// A name to find others for.
struct Query {
    text: Vec<u8>,
    bag: u64,
    /// `None` where the name is too long to be one.
    pattern: Option<Pattern>,
}

impl Query {
    fn new(name: &str) -> Option<Self> {
        // No character has more than four bytes: do not even count those of a huge name.
        if name.is_empty() || name.len() > 4 * MAX_QUERY {
            return None;
        }
        let text = folded(name);
        (text.len() <= MAX_QUERY).then(|| Self { bag: letter_bag(&text), pattern: Pattern::new(&text), text })
    }

    fn len(&self) -> usize {
        self.text.len()
    }

    fn distance(&self, name: &[u8], limit: usize) -> Option<usize> {
        match &self.pattern {
            Some(pattern) => pattern.distance(name, limit),
            // The distance is the same both ways, and every shown name is short enough.
            None => Pattern::new(name)?.distance(&self.text, limit),
        }
    }
}

/// The best candidate and the least edits of any other.
struct Lead {
    best: Option<Candidate>,
    runner_up: u8,
}

impl Lead {
    fn offer(&mut self, candidate: Candidate) {
        match self.best {
            Some(best) if best.id == candidate.id => {
                if candidate.edits < best.edits {
                    self.best = Some(candidate);
                }
            }
            Some(best) if candidate.edits >= best.edits => {
                self.runner_up = self.runner_up.min(candidate.edits);
            }
            before => {
                self.runner_up = before.map_or(self.runner_up, |before| before.edits);
                self.best = Some(candidate);
            }
        }
    }
}

/// The most similar candidates so far.
struct Top<F> {
    best: Vec<Candidate>,
    count: usize,
    accept: F,
}

impl<F: FnMut(u32) -> bool> Top<F> {
    fn offer(&mut self, candidate: Candidate) {
        let before = |other: &Candidate| {
            other.similarity > candidate.similarity
                || other.similarity >= candidate.similarity && other.id < candidate.id
        };
        let place = self.best.partition_point(before);
        let known = self.best.iter().any(|other| other.id == candidate.id);
        if place < self.count && !known && (self.accept)(candidate.id) {
            self.best.insert(place, candidate);
            self.best.truncate(self.count);
        }
    }

    /// Most edits with which a name still gets in, where the longer of the two names has `longer` characters.
    fn limit(&self, longer: usize) -> usize {
        let last = self.best.last().filter(|_| self.best.len() >= self.count);
        let least = last.map_or(MIN_SUGGESTED, |last| last.similarity);
        // A little is added so that rounding never rules out a name that is exactly as similar.
        ((1.0 - least) * longer as f64 + 1e-9) as usize
    }
}

/// A name in lower case, one byte per character.
fn folded(name: &str) -> Vec<u8> {
    name.chars().map(|char| if char.is_ascii() { char.to_ascii_lowercase() as u8 } else { FOREIGN }).collect()
}

/// The words of a name in lower case: what stands between separators, and from a capital letter that follows a small
/// one.
fn words(name: &str) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = name;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_separator);
        let mut small_before = false;
        let end = rest.find(|char: char| {
            let starts_anew = is_separator(char) || small_before && char.is_ascii_uppercase();
            small_before = char.is_ascii_lowercase();
            starts_anew
        });
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        (!word.is_empty()).then(|| folded(word))
    })
}

fn is_separator(char: char) -> bool {
    matches!(char, '-' | '_' | '.')
}

fn separators_removed(folded: &[u8]) -> Vec<u8> {
    folded.iter().copied().filter(|&byte| !is_separator(char::from(byte))).collect()
}

fn vowels_removed(folded: &[u8]) -> Vec<u8> {
    folded.iter().copied().filter(|&byte| !is_vowel(byte)).collect()
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u')
}

/// Which characters a name has, and of frequent ones whether twice or three times: the n-th occurrence of a
/// character sets the n-th of its bits.
fn letter_bag(folded: &[u8]) -> u64 {
    folded.iter().fold(0, |bag, &byte| {
        let free = BAG_BITS[usize::from(byte)] & !bag;
        bag | (free & free.wrapping_neg())
    })
}

/// Whether two bags allow so few edits: each edit takes at most one character away and puts at most one in.
fn within(one: u64, other: u64, edits: usize) -> bool {
    let edits = edits as u32;
    (one & !other).count_ones() <= edits && (other & !one).count_ones() <= edits
}

/// The bits of each byte value. All 64 are given out: 26 letters, 10 digits, 3 separators and one for the rest, then
/// second and third occurrences of what tool names have most of.
const BAG_BITS: [u64; 256] = {
    const TWICE: &[u8] = b"abcdefghilmnoprstu";
    const MORE: &[u8] = b"__erst";
    let mut bits = [0; 256];
    let mut next = 0;
    let mut byte = 0;
    while byte < 256 {
        if matches!(byte as u8, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.') {
            bits[byte] = 1 << next;
            next += 1;
        }
        byte += 1;
    }
    let rest = 1 << next;
    next += 1;
    byte = 0;
    while byte < 256 {
        if bits[byte] == 0 {
            bits[byte] = rest;
        }
        byte += 1;
    }
    let mut index = 0;
    while index < TWICE.len() + MORE.len() {
        let byte = if index < TWICE.len() { TWICE[index] } else { MORE[index - TWICE.len()] };
        bits[byte as usize] |= 1 << next;
        next += 1;
        index += 1;
    }
    assert!(next == 64);
    bits
};
