//! A copy of a project in a temporary folder, so that what its code writes meets nothing of it.

mod left;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

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
    /// Says that it is in use, until the process ends.
    _held: fs::File,
    /// Files of the copy, relative to the project, in order.
    pub(super) files: Vec<String>,
}

/// What of a project is copied.
#[derive(Debug)]
pub(super) struct Listing {
    root: PathBuf,
    /// Relative to the project, in order.
    pub(super) files: Vec<String>,
    /// What is left out that might be missed.
    pub(super) warnings: Vec<String>,
}

impl Listing {
    /// All of the project or, where that is too much, what is below each of `less`.
    pub(super) fn of(project: &Project, less: &[&str], stop: &Stop) -> Result<Self, Refusal> {
        let mut walk =
            Walk { from: &project.root, left: (FILES_MAX, BYTES_MAX), files: Vec::new(), stop, big: 0 };
        let mut warnings = Vec::new();
        if walk.below(Path::new(""), 0)? == Whole::No {
            walk.left = (FILES_MAX, BYTES_MAX);
            walk.files.clear();
            for part in less {
                if walk.below(Path::new(part), 0)? == Whole::No {
                    return Err(Refusal(format!(
                        "{part}: more than {FILES_MAX} files or {BYTES_MAX} bytes; give a smaller folder as `root`"
                    )));
                }
            }
            warnings.push("the project is large: only the packages of the targets were copied to run".into());
        }
        if walk.big > 0 {
            warnings.push(format!(
                "{} files of more than {FILE_BYTES_MAX} bytes were not copied to run",
                walk.big
            ));
        }
        let mut files = walk.files;
        files.sort_unstable();
        Ok(Self { root: project.root.clone(), files, warnings })
    }

    /// The SHA-256 of all names and contents; `None` if some cannot be read.
    pub(super) fn digest(&self, stop: &Stop) -> Result<Option<[u8; 32]>, Refusal> {
        let mut hash = Sha256::new();
        for file in &self.files {
            stop.check()?;
            let Ok(content) = fs::read(self.root.join(file)) else { return Ok(None) };
            hash.update((file.len() as u64).to_le_bytes());
            hash.update(file);
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(content);
        }
        Ok(Some(hash.finalize().into()))
    }
}

impl Scratch {
    /// Copies what is listed.
    pub(super) fn of(listing: &Listing, stop: &Stop) -> Result<Self, Refusal> {
        left::remove_once();
        let folder = tempfile::Builder::new()
            .prefix(left::PREFIX)
            // What is copied may be nobody else's to read.
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| Refusal(format!("no temporary folder: {error}")))?;
        let held = left::hold(folder.path()).map_err(failed)?;
        let mut scratch = Self { folder, _held: held, files: Vec::with_capacity(listing.files.len()) };
        for inside in ["project", "home", "tmp"] {
            fs::create_dir(scratch.folder.path().join(inside)).map_err(failed)?;
        }
        let to = scratch.project();
        let mut made = PathBuf::new();
        for file in &listing.files {
            stop.check()?;
            if let Some(parent) = Path::new(file).parent().filter(|parent| *parent != made) {
                fs::create_dir_all(to.join(parent)).map_err(failed)?;
                parent.clone_into(&mut made);
            }
            match fs::copy(listing.root.join(file), to.join(file)) {
                Ok(_) => scratch.files.push(file.clone()),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {}
                Err(error) => return Err(failed(error)),
            }
        }
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

struct Walk<'a> {
    from: &'a Path,
    left: (usize, u64),
    files: Vec<String>,
    stop: &'a Stop,
    big: usize,
}

impl Walk<'_> {
    fn below(&mut self, inside: &Path, depth: usize) -> Result<Whole, Refusal> {
        self.stop.check()?;
        if depth > DEPTH_MAX {
            return Ok(Whole::Yes);
        }
        let from = self.from.join(inside);
        if from.is_file() {
            return Ok(self.file(inside));
        }
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
                if self.file(&path) == Whole::No {
                    return Ok(Whole::No);
                }
            }
        }
        Ok(Whole::Yes)
    }

    fn file(&mut self, inside: &Path) -> Whole {
        let bytes = fs::metadata(self.from.join(inside)).map_or(0, |is| is.len());
        if bytes > FILE_BYTES_MAX {
            self.big += 1;
            return Whole::Yes;
        }
        if self.left.0 == 0 || self.left.1 < bytes {
            return Whole::No;
        }
        self.left = (self.left.0 - 1, self.left.1 - bytes);
        self.files.push(inside.display().to_string());
        Whole::Yes
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
