//! `[qe]`: the quality tools that are built in.

use std::path::{Path, PathBuf};

use super::keys::{SectionKeys, Texts};
use super::paths;
use super::section::Section;

/// `[qe]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qe {
    /// Folders that the tools may read.
    pub roots: Vec<PathBuf>,
}

static ROOTS: Texts = Texts {
    name: "roots",
    kind: "a list of paths",
    absent: "the folder in which the server was started, if it is neither the home folder nor `/`",
    meaning: "Folders that the built-in tools may look at, with all that is below them: projects, or folders of projects. A tool's \
              `root` is relative to the first. Nothing outside of them is read or written, through no link either.",
};

pub(super) static KEYS: SectionKeys =
    SectionKeys { path: "qe", repeated: false, meaning: "The built-in quality tools.", keys: &[&ROOTS] };

impl Qe {
    /// `started_in`: the folder that is meant if none is named.
    pub(super) fn read(section: &Section<'_, '_>, started_in: &Path) -> Self {
        let cx = &section.cx;
        if section.key_at(ROOTS.name).is_none() {
            // Agents start servers anywhere; all that a user has is not a project.
            let is_project =
                started_in.parent().is_some() && cx.env.home().is_none_or(|home| home != started_in);
            return Self { roots: is_project.then(|| started_in.to_owned()).into_iter().collect() };
        }
        let roots = section.texts(&ROOTS).into_iter();
        Self {
            roots: roots.filter_map(|root| paths::resolve(cx, ROOTS.name, root.value, &root.at)).collect(),
        }
    }
}
