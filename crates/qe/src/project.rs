//! The projects that the tools may look at: files below configured roots, and what Git knows of them.

pub(crate) mod child;
pub(crate) mod confine;
pub(crate) mod git;

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use crate::reply::Refusal;

/// Folders that may be read, and everything below them. Nothing outside is read or written, through no link either.
#[derive(Debug, Clone)]
pub(crate) struct Roots(Vec<PathBuf>);

impl Roots {
    /// Those of `folders` that exist.
    pub(crate) fn new(folders: &[PathBuf]) -> Self {
        Self(folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect())
    }

    /// The first of them, which paths are relative to.
    pub(crate) fn first(&self) -> Option<&Path> {
        self.0.first().map(PathBuf::as_path)
    }

    /// The project at `root`: an absolute path, or one relative to the first of the roots; that one if nothing is said.
    pub(crate) fn project(&self, root: Option<&str>) -> Result<Project, Refusal> {
        let first = self.0.first().ok_or_else(|| {
            Refusal("no folder may be read: set `roots` in [qe] to the projects' folders".into())
        })?;
        let asked = root.map_or_else(|| first.clone(), |root| first.join(root));
        let root =
            asked.canonicalize().map_err(|error| Refusal(format!("`root`: {}: {error}", asked.display())))?;
        if !root.is_dir() {
            return Err(Refusal(format!("`root`: {} is no folder", root.display())));
        }
        if !self.0.iter().any(|allowed| root.starts_with(allowed)) {
            return Err(self.outside(&root));
        }
        Ok(Project { root })
    }

    fn outside(&self, path: &Path) -> Refusal {
        let roots: Vec<_> = self.0.iter().map(|root| root.display().to_string()).collect();
        Refusal(format!(
            "{} is outside of the folders that may be read ({}); the operator can add it to `roots` in [qe]",
            path.display(),
            roots.join(", ")
        ))
    }
}

/// A folder below one of the roots.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Project {
    /// Absolute, without links.
    pub(crate) root: PathBuf,
}

impl Project {
    /// The real path of something that exists in the project. `path` is relative to the project, or absolute.
    pub(crate) fn find(&self, path: impl AsRef<Path>) -> Result<PathBuf, Refusal> {
        let path = path.as_ref();
        let real = self
            .root
            .join(path)
            .canonicalize()
            .map_err(|error| Refusal(format!("{}: {error}", path.display())))?;
        if real.starts_with(&self.root) { Ok(real) } else { Err(self.outside(path)) }
    }

    /// Where something that need not exist would be. No part of the way may lead out, be it by a link.
    pub(crate) fn place(&self, path: impl AsRef<Path>) -> Result<PathBuf, Refusal> {
        let path = path.as_ref();
        let inside = path.strip_prefix(&self.root).unwrap_or(path);
        if inside.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(self.outside(path));
        }
        let place = self.root.join(inside);
        let parent = place.ancestors().skip(1).find(|folder| folder.exists());
        let real = parent.and_then(|folder| folder.canonicalize().ok());
        let is_link = place.symlink_metadata().is_ok_and(|is| is.is_symlink());
        if is_link || !real.is_some_and(|real| real.starts_with(&self.root)) {
            return Err(self.outside(path));
        }
        Ok(place)
    }

    /// The text or bytes of a file of the project, if it has at most `most` bytes.
    pub(crate) fn read(&self, path: impl AsRef<Path>, most: u64) -> Result<Vec<u8>, Refusal> {
        let path = path.as_ref();
        let failed = |error: std::io::Error| Refusal(format!("{}: {error}", path.display()));
        let real = self.find(path)?;
        // A pipe would never end.
        if !real.is_file() {
            return Err(Refusal(format!("{} is no file", path.display())));
        }
        let mut file = File::open(real).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        if bytes > most {
            return Err(Refusal(format!(
                "{}: {bytes} bytes are more than the {most} that are read",
                path.display()
            )));
        }
        let mut content = Vec::with_capacity(bytes as usize);
        // It may be growing.
        file.by_ref().take(most).read_to_end(&mut content).map_err(failed)?;
        Ok(content)
    }

    /// A path as it is shown: relative to the project, with `/`.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    fn outside(&self, path: &Path) -> Refusal {
        Refusal(format!("{} is outside of the project {}", path.display(), self.root.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn project() -> (tempfile::TempDir, Roots, Project) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("in/project");
        fs::create_dir_all(root.join("src")).unwrap();
        fs::write(root.join("src/a.py"), "a").unwrap();
        fs::write(folder.path().join("secret"), "s").unwrap();
        symlink(folder.path().join("secret"), root.join("link")).unwrap();
        symlink(folder.path(), root.join("out")).unwrap();
        let roots = Roots::new(&[folder.path().join("in")]);
        let project = roots.project(Some("project")).unwrap();
        (folder, roots, project)
    }

    #[test]
    fn what_is_below_a_root_is_a_project_and_nothing_else() {
        let (folder, roots, project) = project();
        assert_eq!(roots.project(None).unwrap().root, folder.path().canonicalize().unwrap().join("in"));
        assert_eq!(roots.project(project.root.to_str()).unwrap(), project);
        for outside in ["..", "project/out", "/", folder.path().to_str().unwrap()] {
            let refusal = roots.project(Some(outside)).unwrap_err().0;
            assert!(refusal.contains("[qe]"), "{outside}: {refusal}");
        }
        assert!(roots.project(Some("none")).is_err() && roots.project(Some("project/src/a.py")).is_err());
        assert!(Roots::new(&[]).project(None).unwrap_err().0.contains("[qe]"));
    }

    #[test]
    fn nothing_outside_of_a_project_is_read() {
        let (folder, _, project) = project();
        assert_eq!(project.read("src/a.py", 10).unwrap(), b"a");
        assert_eq!(project.read(project.root.join("src/a.py"), 10).unwrap(), b"a");
        let secret = folder.path().join("secret");
        for outside in ["../../secret", "link", "out/secret", secret.to_str().unwrap()] {
            assert!(project.read(outside, 10).unwrap_err().0.contains("outside"), "{outside}");
        }
        assert!(project.read("src/a.py", 0).unwrap_err().0.contains("more than"));
        assert!(project.read("src", 10).unwrap_err().0.contains("no file"));
    }

    #[test]
    fn nothing_outside_of_a_project_is_a_place_to_write() {
        let (_folder, _, project) = project();
        assert_eq!(project.place("new/b.py").unwrap(), project.root.join("new/b.py"));
        assert_eq!(project.place(project.root.join("src/b.py")).unwrap(), project.root.join("src/b.py"));
        for outside in ["../b.py", "link", "out/b.py", "/etc/b.py", "src/../../b.py"] {
            assert!(project.place(outside).is_err(), "{outside}");
        }
    }
}
