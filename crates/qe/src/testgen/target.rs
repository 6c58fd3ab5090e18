//! What tests are wanted for: files of the project, by language.

use std::path::PathBuf;

use serde::Serialize;

use super::arguments::Wanted;
use crate::gap_id::GapId;
use crate::project::Project;
use crate::project::git::Lines;
use crate::reply::Refusal;

/// Bytes of a source file that are read.
pub(super) const SOURCE_BYTES_MAX: u64 = 2 << 20;

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
