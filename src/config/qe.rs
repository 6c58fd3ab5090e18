//! `[qe]`: the quality tools that are built in.

use std::path::{Path, PathBuf};

use super::keys::{Int, SectionKeys, Texts};
use super::paths;
use super::section::Section;

/// `[qe]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qe {
    /// Folders that the tools may read.
    pub roots: Vec<PathBuf>,
    /// The folder in which they keep what they have computed of sources, and bytes that its file may grow to.
    pub derived: Option<(PathBuf, u64)>,
}

const MIB: u64 = 1 << 20;

static ROOTS: Texts = Texts {
    name: "roots",
    kind: "a list of paths",
    absent: "the folder in which the server was started, if it is neither the home folder nor `/`",
    meaning: "Folders that the built-in tools may look at, with all that is below them: projects, or folders of projects. A tool's \
              `root` is relative to the first. Nothing outside of them is read or written, through no link either.",
};

static DERIVED_MAX_BYTES: Int = Int {
    name: "derived_max_bytes",
    default: 128 * MIB,
    min: 0,
    max: 1024 * 1024 * MIB,
    meaning: "Bytes that the file may grow to in which the tools keep what they have computed of sources, so that the next \
              process need not: `derived.db` in `$XDG_CACHE_HOME/aqe-v3`, without `XDG_CACHE_HOME` below `~/.cache`. It may \
              be deleted while nothing runs; what was not used for longest gives way. 0 keeps nothing.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "qe",
    repeated: false,
    meaning: "The built-in quality tools.",
    keys: &[&ROOTS, &DERIVED_MAX_BYTES],
};

impl Qe {
    /// `started_in`: the folder that is meant if none is named.
    pub(super) fn read(section: &Section<'_, '_>, started_in: &Path) -> Self {
        let cx = &section.cx;
        let max_bytes = section.int(&DERIVED_MAX_BYTES);
        // Who has no place for caches computes each time.
        let derived = cx.env.cache_dir().filter(|_| max_bytes > 0).map(|folder| (folder, max_bytes));
        if section.key_at(ROOTS.name).is_none() {
            // Agents start servers anywhere; all that a user has is not a project.
            let is_project =
                started_in.parent().is_some() && cx.env.home().is_none_or(|home| home != started_in);
            let roots = is_project.then(|| started_in.to_owned());
            return Self { roots: roots.into_iter().collect(), derived };
        }
        let roots = section.texts(&ROOTS).into_iter();
        let roots = roots.filter_map(|root| paths::resolve(cx, ROOTS.name, root.value, &root.at));
        Self { roots: roots.collect(), derived }
    }
}
