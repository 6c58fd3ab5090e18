//! Which file of the working tree a path in a report means.
//!
//! Reports come from other machines, name packages instead of folders, or are relative to folders that they do not name.
//! What `path_map` says of a path is so, and nothing else is tried. Any other is matched only where one file alone can be
//! meant:
//! 1. absolute and below the project; or relative to one of the folders that the report names, to the folder that the
//!    report lies in, or to one around that, whichever holds most of the report's files;
//! 2. after the module's own name, as `go.mod` has it;
//! 3. without the first part of an absolute path, if at least half of the report's files below that part are found so;
//! 4. as the end of a path in the tree that is the end of no other.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::formats::{Format, Parsed};
use super::load::Stamp;
use super::path_map::PathMap;
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Entries of folders that are looked at to find the files whose paths end as the report says.
const MOST_ENTRIES: usize = 200_000;
/// Bytes of a `go.mod` that are read.
const GO_MOD_BYTES: u64 = 1 << 20;

/// A file of the working tree.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Relative to the project, without links.
    pub(super) path: String,
    pub(super) stamp: Stamp,
}

/// Why a path is none of the project's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// There is no such file.
    Missing,
    /// There is no such file where `path_map` says that it is.
    Mapped(String),
    /// It is outside of the project.
    Outside,
    /// Several files end so: some of them.
    Ambiguous(Vec<String>),
}

impl std::fmt::Display for Unmatched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mapped(place) => write!(f, "`path_map` leads to {place}, and there is no such file"),
            Self::Missing => f.write_str("no such file in the project"),
            Self::Outside => f.write_str("outside of the project"),
            Self::Ambiguous(files) => write!(f, "may be {}", files.join(" or ")),
        }
    }
}

/// A folder of the project.
#[derive(Debug)]
struct Folder {
    /// Without links.
    real: PathBuf,
    /// What the paths of its files begin with, relative to the project.
    shown: String,
}

/// Finds the files of reports in one project.
pub(super) struct Mapper<'a> {
    project: &'a Project,
    stop: &'a Stop,
    map: &'a PathMap,
    /// Which of the map's beginnings some path has.
    used: Vec<bool>,
    /// Folders as they were asked for, and where they really are, if that is in the project.
    folders: HashMap<PathBuf, Option<Folder>>,
    /// Files of the tree by their last part; made when it is first needed.
    by_name: Option<HashMap<String, Vec<String>>>,
}

impl<'a> Mapper<'a> {
    pub(super) fn new(project: &'a Project, map: &'a PathMap, stop: &'a Stop) -> Self {
        let used = vec![false; map.beginnings().count()];
        Self { project, stop, map, used, folders: HashMap::new(), by_name: None }
    }

    /// Beginnings of the map that no path had.
    pub(super) fn unused(&self) -> impl Iterator<Item = &'a str> {
        self.map.beginnings().zip(&self.used).filter(|(_, used)| !**used).map(|(from, _)| from)
    }

    /// For each file of a report that lies in `folder`, which it is.
    pub(super) fn map(
        &mut self,
        parsed: &Parsed,
        folder: &Path,
    ) -> Result<Vec<Result<Found, Unmatched>>, Refusal> {
        let mut paths: Vec<String> = parsed.report.files().iter().map(|file| normal(&file.path)).collect();
        let mapped: Vec<_> = paths.iter().map(|path| self.mapped(path)).collect();
        let mut is_open = mapped.iter().map(Option::is_none);
        paths.retain(|_| is_open.next() == Some(true));
        let mut others = self.guessed(&paths, parsed, folder)?.into_iter();
        // There are as many as paths without a rule.
        Ok(mapped.into_iter().filter_map(|mapped| mapped.or_else(|| others.next())).collect())
    }

    /// What the map says of a path; `None` if that is nothing.
    fn mapped(&mut self, path: &str) -> Option<Result<Found, Unmatched>> {
        let (rule, place) = self.map.place(path)?;
        if let Some(used) = self.used.get_mut(rule) {
            *used = true;
        }
        let missing = || Unmatched::Mapped(self.project.shown(&place));
        Some(self.file(&place).ok_or_else(missing))
    }

    /// For each path of which nobody has said it, which file it is.
    fn guessed(
        &mut self,
        paths: &[String],
        parsed: &Parsed,
        folder: &Path,
    ) -> Result<Vec<Result<Found, Unmatched>>, Refusal> {
        let module = if parsed.format == Format::Go { self.go_module(folder) } else { None };
        let mut found = self.based(paths, parsed, folder)?;
        for (path, found) in paths.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            self.stop.check()?;
            *found = self.direct(path, module.as_ref());
        }
        self.elsewhere(paths, &parsed.sources, &mut found);
        let mut matched = Vec::with_capacity(paths.len());
        for (path, found) in paths.iter().zip(found) {
            self.stop.check()?;
            matched.push(match found {
                Some(found) => Ok(found),
                None => self.ending(path)?,
            });
        }
        Ok(matched)
    }

    /// The files whose relative paths are relative to the folder that most of the report's are.
    fn based(
        &mut self,
        paths: &[String],
        parsed: &Parsed,
        folder: &Path,
    ) -> Result<Vec<Option<Found>>, Refusal> {
        let named = parsed
            .sources
            .iter()
            .map(|source| PathBuf::from(normal(source)))
            .filter(|path| path.is_absolute());
        let around = folder.ancestors().take_while(|around| around.starts_with(&self.project.root));
        let mut best = (0, vec![None; paths.len()]);
        for base in named.chain(around.map(Path::to_owned)) {
            let mut found = Vec::with_capacity(paths.len());
            for path in paths {
                self.stop.check()?;
                found.push(if path.starts_with('/') { None } else { self.file(&base.join(path)) });
            }
            let count = found.iter().flatten().count();
            // The first of those that hold as many: what the report names, then what is nearest.
            if count > best.0 {
                best = (count, found);
            }
            if count == paths.len() {
                break;
            }
        }
        Ok(best.1)
    }

    /// A file by its absolute path, or by its path in the module.
    fn direct(&mut self, path: &str, module: Option<&(String, PathBuf)>) -> Option<Found> {
        if path.starts_with('/') {
            return self.file(Path::new(path));
        }
        let (name, folder) = module?;
        let inside = path.strip_prefix(name.as_str())?.strip_prefix('/')?;
        self.file(&folder.join(inside))
    }

    /// Absolute paths of other machines: by the part before what is in this tree.
    fn elsewhere(&mut self, paths: &[String], sources: &[String], found: &mut [Option<Found>]) {
        // By first part: how many files are below it, and those that are found without it.
        let mut parts: BTreeMap<String, Vec<(usize, Found)>> = BTreeMap::new();
        let sources: Vec<_> =
            sources.iter().map(|source| normal(source)).filter(|path| path.starts_with('/')).collect();
        let whole = |path: &str| -> Vec<String> {
            if path.starts_with('/') {
                return vec![path.to_owned()];
            }
            sources.iter().map(|source| format!("{}/{path}", source.trim_end_matches('/'))).collect()
        };
        let missing: Vec<usize> = (0..paths.len()).filter(|at| found[*at].is_none()).collect();
        for &at in &missing {
            for path in whole(&paths[at]) {
                let mut inside = path.trim_start_matches('/');
                while !inside.is_empty() {
                    let target = self.project.root.join(inside);
                    if let Some(file) = self.file(&target) {
                        let part = path[..path.len() - inside.len()].to_owned();
                        parts.entry(part).or_default().push((at, file));
                        break;
                    }
                    inside = inside.split_once('/').map_or("", |(_, rest)| rest);
                }
            }
        }
        let mut below: HashMap<String, usize> = parts.keys().map(|part| (part.clone(), 0)).collect();
        for path in paths.iter().flat_map(|path| whole(path)) {
            for (at, _) in path.match_indices('/') {
                if let Some(count) = below.get_mut(&path[..=at]) {
                    *count += 1;
                }
            }
        }
        for (part, files) in parts {
            if files.len() * 2 < below.get(&part).copied().unwrap_or(0) {
                continue;
            }
            for (at, file) in files {
                found[at].get_or_insert(file);
            }
        }
    }

    /// The one file whose path ends with this one.
    fn ending(&mut self, path: &str) -> Result<Result<Found, Unmatched>, Refusal> {
        if path.starts_with('/') {
            return Ok(Err(Unmatched::Missing));
        }
        if path.split('/').any(|part| part == "..") {
            return Ok(Err(Unmatched::Outside));
        }
        if self.by_name.is_none() {
            self.by_name = Some(self.tree()?);
        }
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let same_name = self.by_name.as_ref().and_then(|tree| tree.get(name));
        let ends = |file: &&String| {
            file.strip_suffix(path).is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        let candidates: Vec<String> = same_name.into_iter().flatten().filter(ends).cloned().collect();
        Ok(match &candidates[..] {
            [] => Err(Unmatched::Missing),
            [one] => self.file(&self.project.root.join(one)).ok_or(Unmatched::Missing),
            several => Err(Unmatched::Ambiguous(several.iter().take(3).cloned().collect())),
        })
    }

    /// A file, if it is one of the project's.
    fn file(&mut self, path: &Path) -> Option<Found> {
        let (folder, name) = (path.parent()?, path.file_name()?);
        if !self.folders.contains_key(folder) {
            self.folders.insert(folder.to_owned(), self.folder(folder));
        }
        let Folder { real, shown } = self.folders.get(folder)?.as_ref()?;
        let mut path = real.join(name);
        let mut metadata = path.symlink_metadata().ok()?;
        let shown = if metadata.is_symlink() {
            path = self.project.find(&path).ok()?;
            metadata = path.symlink_metadata().ok()?;
            self.project.shown(&path)
        } else {
            [shown, &*name.to_string_lossy()].concat()
        };
        metadata.is_file().then(|| Found { path: shown, stamp: Stamp::of(&metadata) })
    }

    fn folder(&self, path: &Path) -> Option<Folder> {
        let real = path.canonicalize().ok().filter(|real| real.starts_with(&self.project.root))?;
        let shown = self.project.shown(&real);
        let shown = if shown.is_empty() { shown } else { shown + "/" };
        Some(Folder { real, shown })
    }

    fn tree(&self) -> Result<HashMap<String, Vec<String>>, Refusal> {
        let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
        for (looked_at, entry) in super::discover::walk(WalkBuilder::new(&self.project.root)).enumerate() {
            if looked_at % 64 == 0 {
                self.stop.check()?;
            }
            if looked_at >= MOST_ENTRIES {
                break;
            }
            let Ok(entry) = entry else { continue };
            if entry.file_type().is_some_and(|kind| kind.is_file()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                by_name.entry(name).or_default().push(self.project.shown(entry.path()));
            }
        }
        Ok(by_name)
    }

    /// The module that a report in `folder` is of, and its folder.
    fn go_module(&self, folder: &Path) -> Option<(String, PathBuf)> {
        let mut around = folder.ancestors().take_while(|around| around.starts_with(&self.project.root));
        around.find_map(|around| {
            let text = self.project.read(around.join("go.mod"), GO_MOD_BYTES).ok()?;
            let text = String::from_utf8_lossy(&text);
            let name = text.lines().find_map(|line| line.trim().strip_prefix("module "))?;
            let name = name.split("//").next().unwrap_or(name).trim().trim_matches('"');
            Some((name.to_owned(), around.to_owned()))
        })
    }
}

/// A path with `/`, without `file://`, a drive, and a `./` at the beginning.
pub(super) fn normal(path: &str) -> String {
    let path = path.trim().strip_prefix("file://").unwrap_or(path.trim());
    let is_windows = path.as_bytes().get(1) == Some(&b':') || (path.contains('\\') && !path.contains('/'));
    let mut path = if is_windows { path.replace('\\', "/") } else { path.to_owned() };
    if path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic() {
        path.drain(..2);
    }
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.to_owned();
    }
    path
}
