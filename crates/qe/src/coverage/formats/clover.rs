//! Clover's XML, as by OpenClover, PHPUnit and Istanbul.

use super::cobertura::{moment, outcomes};
use super::count::{digits, times};
use super::xml::{Element, Visit, attributes, walk};
use super::{Draft, MOST_OUTCOMES, ReadError};
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    walk(bytes, &mut Clover::default(), draft)
}

/// The version that Istanbul claims to be of. Its `truecount` and `falsecount` are the outcomes that were taken and
/// those that were not; elsewhere they say how often the condition was true and false.
const ISTANBUL: &str = "3.2.0";

#[derive(Default)]
struct Clover {
    is_istanbul: bool,
    file: Option<FileCoverage>,
}

impl Visit for Clover {
    fn open(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        match element.name() {
            "line" => self.line(element, draft)?,
            "coverage" => {
                let [clover, generated] = attributes(element, ["clover", "generated"], draft)?;
                self.is_istanbul = clover.as_deref() == Some(ISTANBUL);
                draft.generated = generated.and_then(|text| moment(&text));
                draft.tool = clover.filter(|_| !self.is_istanbul).map(|version| format!("Clover {version}"));
            }
            "file" => {
                // The path is the whole one; `name` is it too with PHPUnit, and the last part of it elsewhere.
                let [path, name] = attributes(element, ["path", "name"], draft)?;
                let file = FileCoverage::new(path.or(name).unwrap_or_default());
                self.file = Some(FileCoverage { lines: Some(Vec::new()), ..file });
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        if name == "file"
            && let Some(file) = self.file.take()
        {
            draft.file(file);
        }
        Ok(())
    }
}

impl Clover {
    fn line(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let names = ["num", "type", "count", "truecount", "falsecount", "name", "signature"];
        let [number, kind, count, yes, no, name, signature] = attributes(element, names, draft)?;
        let number = number.as_deref().and_then(|text| digits(text.as_bytes()));
        let count = count.as_deref().and_then(|text| times(text.as_bytes()));
        let (yes, no) = (
            yes.as_deref().and_then(|text| times(text.as_bytes())),
            no.as_deref().and_then(|text| times(text.as_bytes())),
        );
        let hits = count.or_else(|| Some(yes?.saturating_add(no?)));
        let (Some((number, [])), Some(hits)) = (number, hits) else {
            draft.skip("lines without number and count", || element.place());
            return Ok(());
        };
        let Some(number) = draft.line(number) else { return Ok(()) };
        if kind.as_deref() == Some("method") {
            let name = name.or(signature).unwrap_or_default().into_owned();
            let functions = file.functions.get_or_insert_default();
            functions.push(Function { start: number, name, end: None, hits });
            return Ok(());
        }
        let line = Line { number, hits };
        file.lines.get_or_insert_default().push(line);
        let (Some("cond"), Some(yes), Some(no)) = (kind.as_deref(), yes, no) else { return Ok(()) };
        let branches = file.branches.get_or_insert_default();
        if !self.is_istanbul {
            let is_reached = yes > 0 || no > 0;
            for (words, taken) in [("true", yes), ("false", no)] {
                let taken = is_reached.then_some(taken);
                branches.push(Branch { line: number, block: 0, outcome: Outcome::text(words), taken });
            }
            return Ok(());
        }
        let of = yes.saturating_add(no);
        if of > MOST_OUTCOMES {
            draft.skip("outcomes that cannot be counted", || element.place());
            return Ok(());
        }
        draft.take(of.into())?;
        branches.extend(outcomes(line, 0, yes, of));
        Ok(())
    }
}
