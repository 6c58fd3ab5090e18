//! Cobertura's XML, as by Cobertura, coverage.py, gcovr, coverlet, Istanbul, grcov and others.
//!
//! It says of a decision how many of its outcomes were taken, not which: the taken ones are counted from the first. Two
//! reports merged give the least that may have been taken then.

use super::count::{digits, times};
use super::xml::{Element, Visit, attributes, walk};
use super::{Draft, MOST_OUTCOMES, ReadError};
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    walk(bytes, &mut Cobertura::default(), draft)
}

#[derive(Default)]
struct Cobertura {
    /// The `<class>` that is open.
    file: Option<FileCoverage>,
    /// The `<method>` that is open: its name, and its lines as they come.
    method: Option<(String, Vec<Line>)>,
    /// Lines that stand in methods. The class has them too, but for some tools.
    of_methods: Vec<Line>,
    /// The text of the `<source>` that is open.
    source: Option<String>,
}

impl Visit for Cobertura {
    fn open(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        match element.name() {
            "line" => self.line(element, draft)?,
            "class" => {
                let [filename] = attributes(element, ["filename"], draft)?;
                self.file = Some(FileCoverage::new(filename.unwrap_or_default()));
            }
            "method" => {
                let [name, signature] = attributes(element, ["name", "signature"], draft)?;
                let name = name.unwrap_or_default().into_owned() + signature.as_deref().unwrap_or_default();
                self.method = Some((name, Vec::new()));
            }
            "source" => self.source = Some(String::new()),
            "coverage" => {
                let [version, timestamp] = attributes(element, ["version", "timestamp"], draft)?;
                draft.tool = version.filter(|version| !version.is_empty()).map(std::borrow::Cow::into_owned);
                draft.generated = timestamp.and_then(|text| moment(&text));
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        match name {
            "method" => self.end_of_method(),
            "class" => {
                let methods = std::mem::take(&mut self.of_methods);
                if let Some(mut file) = self.file.take() {
                    file.lines.get_or_insert(methods);
                    draft.file(file);
                }
            }
            "source" => {
                let source = self.source.take().unwrap_or_default();
                draft.sources.extend(Some(source.trim().to_owned()).filter(|source| !source.is_empty()));
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(source) = &mut self.source {
            source.push_str(text);
        }
    }
}

impl Cobertura {
    fn line(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        let names = ["number", "hits", "condition-coverage", "branch"];
        let [number, hits, conditions, branch] = attributes(element, names, draft)?;
        let number = number.as_deref().and_then(|text| digits(text.as_bytes()));
        let hits = hits.as_deref().and_then(|text| times(text.as_bytes()));
        let (Some((number, [])), Some(hits)) = (number, hits) else {
            draft.skip("lines without number and hits", || element.place());
            return Ok(());
        };
        let Some(number) = draft.line(number) else { return Ok(()) };
        let line = Line { number, hits };
        if let Some((_, lines)) = &mut self.method {
            lines.push(line);
            self.of_methods.push(line);
            return Ok(());
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.lines.get_or_insert_default().push(line);
        match conditions.as_deref().map(taken_of) {
            Some(Some((taken, of))) => {
                draft.take(of.into())?;
                file.branches.get_or_insert_default().extend(outcomes(line, 0, taken, of));
            }
            Some(None) => draft.skip("outcomes that cannot be counted", || element.place()),
            None if branch.as_deref() == Some("true") => {
                draft.skip("decisions without outcomes", || element.place());
            }
            None => {}
        }
        Ok(())
    }

    fn end_of_method(&mut self) {
        let (Some((name, lines)), Some(file)) = (self.method.take(), &mut self.file) else { return };
        let Some(first) = lines.iter().min_by_key(|line| line.number) else { return };
        let has_run = lines.iter().any(|line| line.hits > 0);
        file.functions.get_or_insert_default().push(Function {
            start: first.number,
            name,
            end: lines.iter().map(|line| line.number).max(),
            hits: first.hits.max(has_run.into()),
        });
    }
}

/// `50% (1/2)`.
fn taken_of(text: &str) -> Option<(u32, u32)> {
    let (taken, of) = text.split_once('(')?.1.trim_end().strip_suffix(')')?.split_once('/')?;
    let (taken, of) = (taken.trim().parse().ok()?, of.trim().parse().ok()?);
    (taken <= of && of <= MOST_OUTCOMES).then_some((taken, of))
}

/// So many outcomes, of which so many were taken. Nobody says how often.
pub(super) fn outcomes(line: Line, block: u32, taken: u32, of: u32) -> impl Iterator<Item = Branch> {
    let not_taken = (line.hits > 0).then_some(0);
    (0..of).map(move |number| Branch {
        line: line.number,
        block,
        outcome: Outcome::Number(number),
        taken: if number < taken { Some(1) } else { not_taken },
    })
}

/// Seconds or milliseconds since the Unix epoch: tools disagree. What is before 1973 in milliseconds are seconds.
pub(super) fn moment(text: &str) -> Option<i64> {
    let number: i64 = text.trim().parse().ok().filter(|number| *number > 0)?;
    if number < 100_000_000_000 { number.checked_mul(1_000) } else { Some(number) }
}
