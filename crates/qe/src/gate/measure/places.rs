//! Where the files that reports name are in the project.

use std::collections::HashMap;
use std::path::Path;

use crate::project::Project;

/// Where the files of reports are in the project.
pub(super) struct Places<'a> {
    project: &'a Project,
    known: HashMap<String, Option<String>>,
}

impl<'a> Places<'a> {
    pub(super) fn of(project: &'a Project) -> Self {
        Self { project, known: HashMap::new() }
    }

    /// Relative to the project; `None` if it is not in it. A report of another checkout is read by the end of its paths.
    pub(super) fn find(&mut self, path: &str) -> Option<String> {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let below = Path::new(path).strip_prefix(&self.project.root).unwrap_or(Path::new(path));
        let is_whole = below.is_absolute();
        let below = below.strip_prefix("/").unwrap_or(below).to_path_buf();
        let mut rest = below.as_path();
        let found = loop {
            if rest.as_os_str().is_empty() {
                break None;
            }
            if let Some(real) = self.project.find(rest).ok().filter(|real| real.is_file()) {
                break Some(self.project.shown(&real));
            }
            let mut parts = rest.components();
            parts.next();
            // A path that is relative is what it says.
            if !is_whole {
                break None;
            }
            rest = parts.as_path();
        };
        self.known.insert(path.to_owned(), found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Roots;

    #[test]
    fn files_of_other_checkouts_are_found_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(folder.path().join("src/a.py"), "").unwrap();
        let project = Roots::new(&[folder.path().to_owned()]).project(None).unwrap();
        let here = project.root.join("src/a.py").display().to_string();
        let mut places = Places::of(&project);
        for path in ["src/a.py", "./src/a.py", "/build/checkout/src/a.py", here.as_str()] {
            assert_eq!(places.find(path).as_deref(), Some("src/a.py"), "{path}");
        }
        for path in ["a.py", "other/src/a.py", "../src/a.py", "/etc/passwd", "src", "", "/"] {
            assert_eq!(places.find(path), None, "{path}");
        }
    }
}
