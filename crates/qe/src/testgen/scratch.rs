//! A copy of a project in a temporary folder, so that what its code writes meets nothing of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Files and bytes that are copied.
const FILES_MAX: usize = 6_000;
const BYTES_MAX: u64 = 96 << 20;
const FILE_BYTES_MAX: u64 = 8 << 20;
const DEPTH_MAX: usize = 24;

/// What neither is source nor is needed to run it.
const LEFT_OUT: [&str; 14] = [
    "node_modules",
    "target",
    "__pycache__",
    "venv",
    "env",
    "build",
    "dist",
    "coverage",
    "htmlcov",
    "vendor",
    "out",
    "bower_components",
    "site-packages",
    "Pods",
];

/// A temporary folder: the copy, a home, a place for temporary files. It goes with this.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: tempfile::TempDir,
    /// Files of the copy, relative to the project, in order.
    pub(super) files: Vec<String>,
    /// What was left out that might be missed.
    pub(super) warnings: Vec<String>,
}

impl Scratch {
    /// Copies what is below `top` (relative to the project) or, where that is too much, below each of `less`.
    pub(super) fn of(project: &Project, less: &[&str], stop: &Stop) -> Result<Self, Refusal> {
        let folder = tempfile::Builder::new()
            .prefix("aqe-testgen-")
            .tempdir()
            .map_err(|error| Refusal(format!("no temporary folder: {error}")))?;
        let mut scratch = Self { folder, files: Vec::new(), warnings: Vec::new() };
        for inside in ["project", "home", "tmp"] {
            fs::create_dir(scratch.folder.path().join(inside)).map_err(failed)?;
        }
        let mut copy = Copy {
            from: &project.root,
            to: scratch.project(),
            left: (FILES_MAX, BYTES_MAX),
            files: Vec::new(),
            stop,
            big: 0,
        };
        if copy.below(Path::new(""), 0)? == Whole::No {
            fs::remove_dir_all(scratch.project()).map_err(failed)?;
            fs::create_dir(scratch.project()).map_err(failed)?;
            copy.left = (FILES_MAX, BYTES_MAX);
            copy.files.clear();
            for part in less {
                if copy.below(Path::new(part), 0)? == Whole::No {
                    return Err(Refusal(format!(
                        "{part}: more than {FILES_MAX} files or {BYTES_MAX} bytes; give a smaller folder as `root`"
                    )));
                }
            }
            scratch
                .warnings
                .push("the project is large: only the packages of the targets were copied to run".into());
        }
        if copy.big > 0 {
            scratch.warnings.push(format!(
                "{} files of more than {FILE_BYTES_MAX} bytes were not copied to run",
                copy.big
            ));
        }
        scratch.files = copy.files;
        scratch.files.sort_unstable();
        Ok(scratch)
    }

    /// The copy of the project.
    pub(super) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// A place beside it.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the project's tests, or what it is usually called.
    pub(super) fn tests<'a>(&self, usual: &'a str) -> &'a str {
        let folders = ["tests", "test", "__tests__"];
        folders.into_iter().find(|name| self.project().join(name).is_dir()).unwrap_or(usual)
    }

    /// Puts files into a folder beside the copy.
    pub(super) fn put(&self, folder: &str, files: &[(&str, &str)]) -> Result<PathBuf, Refusal> {
        let place = self.beside(folder);
        fs::create_dir_all(&place).map_err(failed)?;
        for (name, content) in files {
            fs::write(place.join(name), content).map_err(failed)?;
        }
        Ok(place)
    }
}

#[derive(PartialEq)]
enum Whole {
    Yes,
    No,
}

struct Copy<'a> {
    from: &'a Path,
    to: PathBuf,
    left: (usize, u64),
    files: Vec<String>,
    stop: &'a Stop,
    big: usize,
}

impl Copy<'_> {
    fn below(&mut self, inside: &Path, depth: usize) -> Result<Whole, Refusal> {
        self.stop.check()?;
        if depth > DEPTH_MAX {
            return Ok(Whole::Yes);
        }
        let from = self.from.join(inside);
        if from.is_file() {
            return self.file(inside);
        }
        fs::create_dir_all(self.to.join(inside)).map_err(failed)?;
        // What cannot be read is not needed, or is missed by who needs it.
        let Ok(entries) = fs::read_dir(&from) else { return Ok(Whole::Yes) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(text) = name.to_str() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let path = inside.join(&name);
            if kind.is_dir() {
                let is_environment = entry.path().join("pyvenv.cfg").exists();
                if text.starts_with('.')
                    || LEFT_OUT.contains(&text) && !is_package(&entry.path())
                    || is_environment
                {
                    continue;
                }
                if self.below(&path, depth + 1)? == Whole::No {
                    return Ok(Whole::No);
                }
            } else if kind.is_file() && path.extension().is_none_or(|ending| ending != "pyc") {
                // Links are not followed: they may lead anywhere.
                if self.file(&path)? == Whole::No {
                    return Ok(Whole::No);
                }
            }
        }
        Ok(Whole::Yes)
    }

    fn file(&mut self, inside: &Path) -> Result<Whole, Refusal> {
        let from = self.from.join(inside);
        let bytes = fs::metadata(&from).map_or(0, |is| is.len());
        if bytes > FILE_BYTES_MAX {
            self.big += 1;
            return Ok(Whole::Yes);
        }
        if self.left.0 == 0 || self.left.1 < bytes {
            return Ok(Whole::No);
        }
        self.left = (self.left.0 - 1, self.left.1 - bytes);
        let to = self.to.join(inside);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        match fs::copy(&from, &to) {
            Ok(_) => self.files.push(inside.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(Whole::Yes)
    }
}

/// A folder called `build` or `dist` may be a package of the project all the same.
fn is_package(folder: &Path) -> bool {
    folder.join("__init__.py").exists()
}

#[allow(clippy::needless_pass_by_value)]
fn failed(error: io::Error) -> Refusal {
    Refusal(format!("the project cannot be copied to a temporary folder: {error}"))
}
