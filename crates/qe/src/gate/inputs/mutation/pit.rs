//! PIT's `mutations.xml`.

use super::{Fate, Mutants, Survivor};
use crate::project::git::Lines;
use crate::xml::{Item, Xml};

#[derive(Default)]
struct Mutation {
    status: String,
    source: String,
    class: String,
    line: Option<u32>,
    mutator: String,
}

pub(super) fn parse(text: &str) -> Result<Mutants, String> {
    let mut xml = Xml::new(text);
    let mut mutants = Mutants { tool: "PIT".into(), ..Mutants::default() };
    let mut open: Option<Mutation> = None;
    let mut inside = String::new();
    while let Some(item) = xml.next()? {
        match (item, xml.depth()) {
            (Item::Start(element), 1) if element.name() != "mutations" => {
                return Err(format!("no mutation report: its root is <{}>", element.name()));
            }
            (Item::Start(element), 2) if element.name() == "mutation" => {
                let status = element.attribute("status").unwrap_or_default();
                open = Some(Mutation { status, ..Mutation::default() });
            }
            (Item::Start(element), 3) => element.name().clone_into(&mut inside),
            (Item::Text(text), 3) => {
                let Some(mutation) = &mut open else { continue };
                match inside.as_str() {
                    "sourceFile" => mutation.source = text.into_owned(),
                    "mutatedClass" => mutation.class = text.into_owned(),
                    "lineNumber" => mutation.line = text.trim().parse().ok(),
                    "mutator" => mutation.mutator = text.into_owned(),
                    _ => {}
                }
            }
            (Item::End(_), 1) => {
                if let Some(mutation) = open.take() {
                    mutants.add(mutation.fate()?, || mutation.survivor());
                }
            }
            _ => {}
        }
    }
    Ok(mutants)
}

impl Mutation {
    fn fate(&self) -> Result<Fate, String> {
        Ok(match self.status.as_str() {
            "KILLED" => Fate::Killed,
            "TIMED_OUT" | "MEMORY_ERROR" | "RUN_ERROR" => Fate::Timeout,
            "SURVIVED" => Fate::Survived,
            "NO_COVERAGE" => Fate::NoCoverage,
            "NOT_STARTED" | "STARTED" => Fate::Pending,
            "NON_VIABLE" => Fate::Invalid,
            other => return Err(format!("PIT's report: `{other}` is no status")),
        })
    }

    /// The file is named as below a source root: the report knows packages only.
    fn survivor(&self) -> Survivor {
        let package = self.class.rsplit_once('.').map(|(package, _)| package.replace('.', "/") + "/");
        let file = (!self.source.is_empty()).then(|| package.unwrap_or_default() + &self.source);
        let id = self.mutator.rsplit('.').next().unwrap_or_default().to_owned();
        let lines = self.line.filter(|line| *line > 0).map(|line| Lines { start: line, end: line });
        Survivor { id, file, lines }
    }
}
