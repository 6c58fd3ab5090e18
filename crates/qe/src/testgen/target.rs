//! What tests are wanted for: files of the project, by language.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::arguments::Wanted;
use crate::gap_id::GapId;
use crate::project::Project;
use crate::project::git::Lines;
use crate::reply::Refusal;

/// Bytes of a source file that are read.
pub(super) const SOURCE_BYTES_MAX: u64 = 2 << 20;

/// Names of functions that an error lists.
const NAMES_MAX: usize = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    Python,
    JavaScript,
    TypeScript,
    Rust,
    Go,
    Java,
}

/// A file and the functions of it that are wanted; all that are public if none is named.
#[derive(Debug)]
pub(crate) struct Target {
    /// Relative to the project, with `/`.
    pub(super) file: String,
    pub(super) path: PathBuf,
    pub(super) language: Language,
    pub(super) functions: Vec<String>,
    /// Lines that are to be reached, if not all are.
    pub(super) lines: Option<Vec<Lines>>,
    pub(super) source: Vec<u8>,
}

impl Target {
    /// Whether tests of this function are wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.functions.is_empty() || self.functions.iter().any(|wanted| is(name, wanted))
    }

    /// That each function that is wanted is there; `all` is what there is, `kind` what that is called.
    ///
    /// # Errors
    /// What is not there, and what is.
    pub(super) fn has_all<'a>(
        &self,
        kind: &str,
        all: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), Refusal> {
        self.has_last(kind, &self.functions, all)
    }

    /// The same of these names.
    pub(super) fn has_last<'a>(
        &self,
        kind: &str,
        wanted: &[String],
        all: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), Refusal> {
        match wanted.iter().find(|wanted| !all.clone().any(|name| is(name, wanted))) {
            Some(wanted) => {
                Err(Refusal(format!("there is no {kind} {wanted} in {}{}", self.file, listed(all))))
            }
            None => Ok(()),
        }
    }
}

/// Whether a name is what is wanted, of a type that is, or a method that is called so. Both ways of writing paths will do.
fn is(name: &str, wanted: &str) -> bool {
    let (name, wanted) = (name.replace("::", "."), wanted.replace("::", "."));
    name == wanted || name.starts_with(&format!("{wanted}.")) || name.ends_with(&format!(".{wanted}"))
}

/// What there is instead, as the end of a sentence.
fn listed<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: BTreeSet<&str> = all.collect();
    let shown: Vec<&str> = all.iter().copied().take(NAMES_MAX).collect();
    match all.len() - shown.len() {
        _ if shown.is_empty() => ", which has none".to_owned(),
        0 => format!("; it has {}", shown.join(", ")),
        more => format!("; it has {} and {more} more", shown.join(", ")),
    }
}

/// The files, each once, in the order in which they were named.
pub(super) fn of(project: &Project, wanted: &[Wanted]) -> Result<Vec<Target>, Refusal> {
    let mut targets: Vec<Target> = Vec::new();
    for one in wanted {
        let gap = one.gap_id.as_deref().map(GapId::parse).transpose()?;
        let named = match (&one.file, &gap) {
            (Some(file), None) => file,
            (None, Some(gap)) => &gap.file,
            _ => return Err(Refusal("`targets`: each has either a `file` or a `gap_id`".into())),
        };
        let path = project.find(named)?;
        let file = project.shown(&path);
        let language = language(&file).ok_or_else(|| {
            Refusal(format!(
                "{file}: tests are generated for Python (.py), JavaScript (.js, .mjs, .cjs), TypeScript (.ts), Rust (.rs), Go (.go) and Java (.java)"
            ))
        })?;
        let place = targets.iter().position(|target| target.path == path);
        if let Some(target) = place.and_then(|place| targets.get_mut(place)) {
            if let Some(gap) = &gap {
                gap.check(&target.source)?;
            }
            // What is wanted whole is wanted whole.
            target.lines = target.lines.take().zip(gap).map(|(lines, gap)| [lines, gap.lines].concat());
            match &one.function {
                // The whole file is more than a function of it.
                None => target.functions.clear(),
                Some(function) if !target.functions.is_empty() => target.functions.push(function.clone()),
                Some(_) => {}
            }
            continue;
        }
        let source = project.read(&path, SOURCE_BYTES_MAX)?;
        if let Some(gap) = &gap {
            gap.check(&source)?;
        }
        targets.push(Target {
            file,
            path,
            language,
            functions: one.function.iter().cloned().collect(),
            lines: gap.map(|gap| gap.lines),
            source,
        });
    }
    Ok(targets)
}

fn language(file: &str) -> Option<Language> {
    Some(match file.rsplit_once('.')?.1 {
        "py" => Language::Python,
        "js" | "mjs" | "cjs" => Language::JavaScript,
        "ts" | "mts" | "cts" => Language::TypeScript,
        "rs" => Language::Rust,
        "go" => Language::Go,
        "java" => Language::Java,
        _ => return None,
    })
}
