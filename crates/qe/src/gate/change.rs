//! New code: what the working tree has that the base has not.

use std::time::SystemTime;

use super::settings::Gate;
use crate::coverage::patch;
use crate::project::Project;
use crate::project::git::{Git, Lines};
use crate::reply::Refusal;
use crate::stop::Stop;

/// The lines that are new or changed since the base, in the files as they are now.
#[derive(Debug)]
pub(crate) struct Change {
    /// What it is compared with, in the caller's or the gate's words, or found.
    pub(crate) base: String,
    /// All files that changed, but for those that the gate excludes.
    pub(crate) patch: patch::Change,
    /// The source that was written last.
    newest: Option<(SystemTime, String)>,
}

/// Where a project's main line is, the likeliest first.
const MAIN_LINES: [&str; 5] = [
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
];

/// What is code: a change of a text needs no test.
const SOURCES: [&str; 38] = [
    "c", "cc", "cjs", "clj", "cpp", "cs", "cts", "cxx", "dart", "ex", "exs", "fs", "go", "groovy", "h",
    "hpp", "hs", "java", "jl", "js", "jsx", "kt", "kts", "lua", "mjs", "mts", "php", "pl", "py", "rb", "rs",
    "scala", "sh", "sql", "svelte", "swift", "ts", "tsx",
];

/// Whether a file is code by its name.
pub(crate) fn is_source(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| SOURCES.binary_search(&extension).is_ok() || extension == "vue")
}

impl Change {
    /// What changed since `asked`, or since the main line. `Err` in the inner result: why that is not known.
    pub(crate) fn of(
        project: &Project,
        gate: &Gate,
        asked: Option<&str>,
        stop: &Stop,
    ) -> Result<Result<Self, String>, Refusal> {
        let Some(git) = Git::of(project, stop)? else {
            return Ok(Err("the project is in no Git working tree, or git is not installed".into()));
        };
        if git.head().is_none() {
            return Ok(Err("the repository has no commit yet".into()));
        }
        let (base, commit) = match base(&git, asked.or(gate.base.as_deref()))? {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut patch = patch::Change::between(project, &git, commit, None, stop)?;
        patch.added.retain(|path, _| !gate.excludes(path));
        patch.files.retain(|file| !gate.excludes(&file.path));
        let written = |path: &String| {
            let modified = project.find(path).ok()?.metadata().ok()?.modified().ok()?;
            Some((modified, path.clone()))
        };
        let sources = patch.added.keys().filter(|path| is_source(path));
        let newest = sources.filter_map(written).max();
        Ok(Ok(Self { base, patch, newest }))
    }

    /// Source files with new or changed lines.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&String, &Vec<Lines>)> {
        self.patch.added.iter().filter(|(path, lines)| is_source(path) && !lines.is_empty())
    }

    /// Lines of source files that are new or changed.
    pub(crate) fn lines(&self) -> u64 {
        self.sources().flat_map(|(_, lines)| lines).map(|lines| u64::from(lines.end - lines.start) + 1).sum()
    }

    /// Whether something at these lines is new; of a file as a whole if there are none.
    pub(crate) fn touches(&self, file: &str, lines: Option<Lines>) -> bool {
        match lines {
            Some(lines) => self.patch.has(file, lines),
            None => self.patch.added.contains_key(file),
        }
    }

    /// A source that was written after a report; then the report may no longer be true.
    pub(crate) fn newer_than(&self, report: SystemTime) -> Option<&str> {
        self.newest.as_ref().filter(|(written, _)| *written > report).map(|(_, path)| path.as_str())
    }
}

/// The base's name and the commit in which it and the working tree parted.
fn base(git: &Git<'_>, asked: Option<&str>) -> Result<Result<(String, String), String>, Refusal> {
    let found = match asked {
        Some(name) => git.commit(name)?.map(|commit| (name.to_owned(), commit)),
        None => main_line(git)?,
    };
    let Some((name, commit)) = found else {
        return Ok(Err(match asked {
            Some(name) => {
                format!("there is no commit `{name}` to compare with: fetch it, or give another `base`")
            }
            None => {
                format!("there is none of {} to compare with: give `base`", MAIN_LINES.map(short).join(", "))
            }
        }));
    };
    if git.head() == Some(&commit) {
        return Ok(Ok((name, commit)));
    }
    Ok(match git.merge_base(&commit, "HEAD")? {
        Some(parted) => Ok((name, parted)),
        None => Err(format!("`{name}` and HEAD have no commit in common (is the clone shallow?)")),
    })
}

/// The main line's name and its last commit.
fn main_line(git: &Git<'_>) -> Result<Option<(String, String)>, Refusal> {
    // One question for all of them.
    let question = [&["for-each-ref", "--format=%(objectname) %(refname)"][..], &MAIN_LINES].concat();
    let answer = git.said(&question)?;
    let answer = String::from_utf8_lossy(&answer);
    let known: Vec<_> = answer.lines().filter_map(|line| line.split_once(' ')).collect();
    let first = MAIN_LINES.iter().find_map(|name| known.iter().find(|(_, known)| known == name));
    Ok(first.map(|(commit, name)| (short(name).to_owned(), (*commit).to_owned())))
}

fn short(name: &str) -> &str {
    name.strip_prefix("refs/remotes/").or_else(|| name.strip_prefix("refs/heads/")).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_text_by_its_name() {
        assert!(SOURCES.is_sorted());
        for (path, is) in [
            ("a/b.py", true),
            ("a.vue", true),
            ("README.md", false),
            ("Makefile", false),
            ("a.rs.orig", false),
        ] {
            assert_eq!(is_source(path), is, "{path}");
        }
    }
}
