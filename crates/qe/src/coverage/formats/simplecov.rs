//! SimpleCov's `.resultset.json`: suites of tests, each with files as arrays with one entry for each line.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::count::Count;
use super::json::{self, Members};
use super::{Draft, ReadError};
use crate::arguments::Text;
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let suites: Members<'_, Suite<'_>> = json::read(bytes, draft)?;
    draft.tool = Some("SimpleCov".into());
    for (_, suite) in suites.0 {
        draft.generated = draft.generated.max(suite.timestamp.map(|seconds| i64::from(seconds.0) * 1_000));
        for (path, measured) in suite.coverage.0 {
            let file = measured.file(&path, draft)?;
            draft.file(file);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Suite<'a> {
    #[serde(borrow)]
    coverage: Members<'a, Measured<'a>>,
    timestamp: Option<Count>,
}

/// What is known of a file: before SimpleCov 0.18 only the array of lines.
#[derive(Default)]
struct Measured<'a> {
    lines: Vec<Entry>,
    branches: Option<Members<'a, Members<'a, Count>>>,
    methods: Option<Members<'a, Count>>,
}

/// A line's count; `None` of a line without code, or one that is to be ignored.
struct Entry(Option<u32>);

impl Measured<'_> {
    fn file(&self, path: &str, draft: &mut Draft<'_>) -> Result<FileCoverage, ReadError> {
        draft.take(self.lines.len() as u64)?;
        let mut file = FileCoverage::new(path);
        let numbered = (1_u64..).zip(&self.lines);
        let with_code = numbered.filter_map(|(number, Entry(hits))| Some((number, (*hits)?)));
        let lines = with_code.filter_map(|(number, hits)| Some(Line { number: draft.line(number)?, hits }));
        file.lines = Some(lines.collect());
        if let Some(decisions) = &self.branches {
            let mut branches = Vec::new();
            let mut of_line: HashMap<u32, u32> = HashMap::new();
            for (decision, outcomes) in &decisions.0 {
                draft.take(outcomes.0.len() as u64)?;
                let Some(line) = place(decision).and_then(|(_, line)| draft.line(line.into())) else {
                    draft.skip("decisions without a place", || decision.to_string());
                    continue;
                };
                let block = of_line.entry(line).or_insert(0);
                let is_reached = outcomes.0.iter().any(|(_, taken)| taken.0 > 0);
                branches.extend(outcomes.0.iter().map(|(outcome, taken)| Branch {
                    line,
                    block: *block,
                    // A `case` may have several outcomes of one kind: the place tells them apart.
                    outcome: match place(outcome) {
                        Some((kind, at)) if kind == "then" || kind == "else" || at == 0 => {
                            Outcome::text(kind)
                        }
                        Some((kind, at)) => Outcome::text(format!("{kind} on line {at}")),
                        None => Outcome::text(&**outcome),
                    },
                    taken: is_reached.then_some(taken.0),
                }));
                *block += 1;
            }
            file.branches = Some(branches);
        }
        if let Some(methods) = &self.methods {
            file.functions = Some(methods.0.iter().map(|(name, hits)| method(name, hits.0)).collect());
        }
        Ok(file)
    }
}

/// `[:if, 0, 3, 4, 7, 7]`: the kind and the first line.
fn place(text: &str) -> Option<(&str, u32)> {
    let mut fields = text.trim_matches(['[', ']']).split(", ");
    let kind = fields.next()?.trim_start_matches(':');
    Some((kind, fields.nth(1)?.parse().ok()?))
}

/// `["Foo", :bar, 3, 4, 7, 7]`: class, name, lines and columns.
fn method(text: &str, hits: u32) -> Function {
    let mut fields = text.trim_matches(['[', ']']).rsplit(", ").map(str::trim);
    let numbers: Vec<_> = fields.by_ref().take(4).map(|field| field.parse().ok()).collect();
    let [_, end, _, start] = numbers[..] else {
        return Function { start: 0, name: text.into(), end: None, hits };
    };
    let mut names: Vec<_> = fields.map(|field| field.trim_matches(['"', ':'])).collect();
    names.reverse();
    Function { start: start.unwrap_or(0), name: names.join("#"), end, hits }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl Visitor<'_> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number or null")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Entry, E> {
        Ok(Entry(Some(u32::try_from(number).unwrap_or(u32::MAX))))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Entry, E> {
        self.visit_u64(u64::try_from(number).unwrap_or(0))
    }

    /// "ignored"
    fn visit_str<E: Error>(self, _: &str) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Entry, E> {
        Ok(Entry(None))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Measured<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MeasuredVisitor)
    }
}

struct MeasuredVisitor;

impl<'de> Visitor<'de> for MeasuredVisitor {
    type Value = Measured<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of lines, or an object with one")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut measured = Measured::default();
        while let Some(entry) = seq.next_element()? {
            measured.lines.push(entry);
        }
        Ok(measured)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut measured = Measured::default();
        while let Some(Text(kind)) = map.next_key()? {
            match &*kind {
                "lines" => measured.lines = map.next_value()?,
                "branches" => measured.branches = map.next_value()?,
                "methods" => measured.methods = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(measured)
    }
}
