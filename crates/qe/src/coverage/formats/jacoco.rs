//! JaCoCo's XML (report.dtd 1.1).
//!
//! It counts instructions, so a line's hits are 1 or 0. Of branches it says how many were taken: as with Cobertura, the
//! taken ones are counted from the first.

use super::cobertura::{moment, outcomes};
use super::count::digits;
use super::xml::{Element, Visit, attributes, walk};
use super::{Draft, MOST_OUTCOMES, ReadError};
use crate::coverage::model::{FileCoverage, Function, Line};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    draft.tool = Some("JaCoCo".into());
    walk(bytes, &mut Jacoco::default(), draft)
}

#[derive(Default)]
struct Jacoco {
    package: String,
    /// The `<class>` that is open: its name without the package, and its file.
    class: Option<(String, String)>,
    method: Option<Function>,
    /// Functions of the package that is open, with their files: those come after the classes.
    functions: Vec<(String, Function)>,
    file: Option<FileCoverage>,
}

impl Visit for Jacoco {
    fn open(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        match element.name() {
            "line" => self.line(element, draft)?,
            "counter" => {
                let [kind, covered] = attributes(element, ["type", "covered"], draft)?;
                if let (Some(method), Some("METHOD")) = (&mut self.method, kind.as_deref()) {
                    method.hits = u32::from(covered.is_some_and(|covered| covered != "0"));
                }
            }
            "package" => {
                let [name] = attributes(element, ["name"], draft)?;
                self.package = name.unwrap_or_default().into_owned();
            }
            "class" => {
                let [name, file] = attributes(element, ["name", "sourcefilename"], draft)?;
                let name = name.unwrap_or_default();
                let simple = name.rsplit_once('/').map_or(&*name, |(_, simple)| simple).to_owned();
                self.class = file.map(|file| (simple, file.into_owned()));
            }
            "method" => {
                let [name, desc, line] = attributes(element, ["name", "desc", "line"], draft)?;
                let class = self.class.as_ref().map_or("", |(class, _)| class);
                let (name, desc) = (name.unwrap_or_default(), desc.unwrap_or_default());
                let start = line.and_then(|line| line.parse().ok()).unwrap_or(0);
                let name = format!("{class}.{name}{desc}");
                self.method = Some(Function { start, name, end: None, hits: 0 });
            }
            "sourcefile" => {
                let [name] = attributes(element, ["name"], draft)?;
                let name = name.unwrap_or_default();
                let path = if self.package.is_empty() {
                    name.into_owned()
                } else {
                    format!("{}/{name}", self.package)
                };
                let file = FileCoverage::new(path);
                self.file = Some(FileCoverage { lines: Some(Vec::new()), ..file });
            }
            "sessioninfo" => {
                let [dump] = attributes(element, ["dump"], draft)?;
                draft.generated = draft.generated.max(dump.and_then(|dump| moment(&dump)));
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        match name {
            "method" => {
                if let (Some(method), Some((_, file))) = (self.method.take(), &self.class) {
                    self.functions.push((file.clone(), method));
                }
            }
            "class" => self.class = None,
            "sourcefile" => {
                let Some(mut file) = self.file.take() else { return Ok(()) };
                let name = file.path.rsplit_once('/').map_or(file.path.as_str(), |(_, name)| name);
                let of_file = self.functions.iter().filter(|(file, _)| file == name);
                file.functions = Some(of_file.map(|(_, function)| function.clone()).collect());
                draft.file(file);
            }
            "package" => self.functions.clear(),
            _ => {}
        }
        Ok(())
    }
}

impl Jacoco {
    fn line(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<(), ReadError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let values = attributes(element, ["nr", "mi", "ci", "mb", "cb"], draft)?;
        let [number, missed, ran, not_taken, taken] = values.map(|value| {
            let value = value.as_deref().and_then(|text| digits(text.as_bytes()));
            value.filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number)
        });
        let (Some(number), Some(ran), Some(_)) = (number, ran, missed) else {
            draft.skip("lines without number and instructions", || element.place());
            return Ok(());
        };
        let Some(number) = draft.line(number) else { return Ok(()) };
        let line = Line { number, hits: u32::from(ran > 0) };
        file.lines.get_or_insert_default().push(line);
        // Files of a report all have the attributes or none has.
        let (Some(not_taken), Some(taken)) = (not_taken, taken) else { return Ok(()) };
        let branches = file.branches.get_or_insert_default();
        let of = not_taken.saturating_add(taken);
        if of > MOST_OUTCOMES.into() {
            draft.skip("outcomes that cannot be counted", || element.place());
            return Ok(());
        }
        draft.take(of)?;
        branches.extend(outcomes(line, 0, taken as u32, of as u32));
        Ok(())
    }
}
