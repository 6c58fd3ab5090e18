//! What was measured of projects, kept as long as their files stay the same.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use aqe_store::{Derived, DerivedKey};
use hashbrown::{HashMap, HashSet};
use sha2::{Digest as _, Sha256};

use super::churn::{self, History};
use super::files::{self, SourceFile};
use super::kept;
use super::measure::{ContentHash, Measured, Unmeasured};
use super::reading::{Entry, read_all};
use crate::builtin::Request;
use crate::duplication::{self, Duplication, Words};
use crate::each::{each, joined};
use crate::project::Project;
use crate::project::git::Git;
use crate::reply::Refusal;
use crate::stop::Stop;
use crate::syntax::Token;

/// Words of sources that are kept of all projects, some two bytes each. The projects not used for longest go.
const MOST_WORDS: usize = 64_000_000;
const MOST_PROJECTS: usize = 16;
/// Sources whose words are worth a thread.
const UNPACKED_BY_ONE: usize = 64;

/// The projects that were measured of late.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    /// The one used last stands last.
    projects: Mutex<Vec<(PathBuf, Arc<Mutex<Kept>>)>>,
    /// Where other processes find what was measured.
    disk: Option<Arc<Derived>>,
}

/// What is kept of a project.
#[derive(Debug, Default)]
struct Kept {
    files: HashMap<String, Entry>,
    /// With what it was made of: whether tests are in it, and the contents.
    duplication: Vec<(ContentHash, Arc<Duplication>)>,
    /// With what it was read of.
    history: Option<(DerivedKey, Arc<History>)>,
}

/// A project as it is now.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// In the order of their paths.
    pub(crate) files: Vec<Source>,
    /// Duplicates among the files, by their places in the list; none if they were not searched for.
    pub(crate) duplication: Arc<Duplication>,
    /// Changes of late; or why they are not known.
    pub(crate) history: Result<Arc<History>, String>,
    /// The commit that is checked out.
    pub(crate) head: Option<String>,
    /// Files that were measured for this answer, and those that were known.
    pub(crate) computed: usize,
    pub(crate) cached: usize,
    /// Sources that were not wanted.
    pub(crate) excluded: usize,
    /// The source that was written last, wanted or not, with its time in nanoseconds since the epoch.
    pub(crate) newest: Option<(i128, String)>,
    /// Of all paths and contents.
    pub(crate) fingerprint: ContentHash,
    pub(crate) warnings: Vec<String>,
}

/// A source that was measured.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) file: SourceFile,
    pub(crate) measured: Arc<Measured>,
}

impl Measurements {
    /// None yet. `disk` is where other processes find what was measured.
    pub(crate) fn new(disk: Option<Arc<Derived>>) -> Self {
        Self { projects: Mutex::default(), disk }
    }

    /// Measures what has changed in a project. `wanted` says which of its sources are looked at.
    pub(crate) fn snapshot(
        &self,
        project: &Project,
        wanted: impl Fn(&SourceFile) -> bool,
        request: &Request,
    ) -> Result<Snapshot, Refusal> {
        self.look(project, wanted, true, request)
    }

    /// As [`Self::snapshot`] of all sources, for those who do not ask for duplicates: none is searched for.
    pub(crate) fn sources(&self, project: &Project, request: &Request) -> Result<Snapshot, Refusal> {
        self.look(project, |_| true, false, request)
    }

    fn look(
        &self,
        project: &Project,
        wanted: impl Fn(&SourceFile) -> bool,
        with_duplicates: bool,
        request: &Request,
    ) -> Result<Snapshot, Refusal> {
        let kept = self.project(project);
        let mut locked = locked(&kept, &request.stop)?;
        let Kept { files, duplication, history: known } = &mut *locked;
        let disk = self.disk.as_deref();
        // Git is asked beside the reading of the sources.
        let (sources, past) = thread::scope(|scope| {
            let past = scope.spawn(|| history(known, project, disk, request));
            let sources = gather(files, project, wanted, disk, request).and_then(|mut snapshot| {
                if with_duplicates {
                    snapshot.duplication = duplicates(duplication, &snapshot, &request.stop)?;
                }
                Ok(snapshot)
            });
            (sources, joined(past))
        });
        let (head, history) = past?;
        drop(locked);
        self.bound();
        Ok(Snapshot { history, head, ..sources? })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(PathBuf, Arc<Mutex<Kept>>)>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn project(&self, project: &Project) -> Arc<Mutex<Kept>> {
        let mut projects = self.lock();
        let known = projects.iter().position(|(root, _)| *root == project.root);
        let entry = known.map_or_else(|| (project.root.clone(), Arc::default()), |at| projects.remove(at));
        let kept = Arc::clone(&entry.1);
        projects.push(entry);
        kept
    }

    /// Forgets the projects that are too many. Who is at work on one keeps it for himself.
    fn bound(&self) {
        let mut projects = self.lock();
        let words = |kept: &Arc<Mutex<Kept>>| kept.try_lock().map_or(0, |kept| kept.words());
        let mut all: usize = projects.iter().map(|(_, kept)| words(kept)).sum();
        while projects.len() > MOST_PROJECTS || (all > MOST_WORDS && !projects.is_empty()) {
            let (_, kept) = projects.remove(0);
            all = all.saturating_sub(words(&kept));
        }
    }
}

/// Waits for its turn as long as somebody waits for the answer.
fn locked<'a>(kept: &'a Mutex<Kept>, stop: &Stop) -> Result<MutexGuard<'a, Kept>, Refusal> {
    loop {
        match kept.try_lock() {
            Ok(kept) => return Ok(kept),
            Err(TryLockError::Poisoned(poisoned)) => {
                let mut kept = poisoned.into_inner();
                *kept = Kept::default();
                return Ok(kept);
            }
            Err(TryLockError::WouldBlock) => {
                stop.check()?;
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Says which files were not measured, and which not wholly understood.
fn warn(unmeasured: &[(String, Unmeasured)], sources: &[Source], warnings: &mut Vec<String>) {
    let names = |names: Vec<&str>| {
        let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
    };
    let of = |wanted: &dyn Fn(&Unmeasured) -> bool| -> Vec<&str> {
        unmeasured.iter().filter(|(_, why)| wanted(why)).map(|(path, _)| path.as_str()).collect()
    };
    let generated = of(&|why| *why == Unmeasured::Generated);
    if !generated.is_empty() {
        warnings.push(format!("left out, their lines are too long for people: {}", names(generated)));
    }
    for (path, why) in unmeasured {
        if let Unmeasured::Syntax(error) = why
            && warnings.len() < 20
        {
            warnings.push(format!("{path}: {error}"));
        }
    }
    let broken: Vec<_> = sources.iter().filter(|source| source.measured.has_errors).collect();
    if !broken.is_empty() {
        let broken = broken.iter().map(|source| source.file.path.as_str()).collect();
        warnings.push(format!("parsed with errors, so figures may be off: {}", names(broken)));
    }
}

impl Kept {
    fn words(&self) -> usize {
        self.files
            .values()
            .map(|entry| entry.result.as_ref().map_or(0, |measured| measured.wording.len()))
            .sum()
    }
}

/// The sources as they are now, without duplicates and history.
fn gather(
    known: &mut HashMap<String, Entry>,
    project: &Project,
    wanted: impl Fn(&SourceFile) -> bool,
    disk: Option<&Derived>,
    request: &Request,
) -> Result<Snapshot, Refusal> {
    let found = files::find(project, &request.stop)?;
    let mut warnings = found.warnings;
    let paths: HashSet<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
    if known.len() > paths.len() {
        known.retain(|path, _| paths.contains(path.as_str()));
    }
    let looked_at: Vec<_> = found.files.iter().filter(|file| wanted(file)).collect();
    let excluded = found.files.len() - looked_at.len();
    let computed = refresh(known, project, &looked_at, disk, request)?;
    let mut sources = Vec::with_capacity(looked_at.len());
    let mut unmeasured = Vec::new();
    let mut all = Sha256::new();
    for file in looked_at {
        let Some(entry) = known.get(&file.path) else { continue };
        all.update(file.path.as_bytes());
        all.update([0]);
        all.update(entry.hash);
        match &entry.result {
            Ok(measured) => sources.push(Source { file: file.clone(), measured: Arc::clone(measured) }),
            Err(why) => unmeasured.push((file.path.clone(), why.clone())),
        }
    }
    warn(&unmeasured, &sources, &mut warnings);
    let mut fingerprint = ContentHash::default();
    fingerprint.copy_from_slice(&all.finalize()[..16]);
    let newest = found.files.iter().max_by_key(|file| file.written);
    Ok(Snapshot {
        cached: sources.len().saturating_sub(computed),
        newest: newest.map(|file| (file.written, file.path.clone())),
        files: sources,
        duplication: Arc::default(),
        history: Err(String::new()),
        head: None,
        computed,
        excluded,
        fingerprint,
        warnings,
    })
}

/// Brings the entries up to date; how many files were measured.
fn refresh(
    known: &mut HashMap<String, Entry>,
    project: &Project,
    files: &[&SourceFile],
    disk: Option<&Derived>,
    request: &Request,
) -> Result<usize, Refusal> {
    let is_current = |file: &&SourceFile| {
        known.get(&file.path).is_some_and(|entry| entry.is_settled && entry.stamp == file.stamp)
    };
    let stale: Vec<&SourceFile> = files.iter().copied().filter(|file| !is_current(file)).collect();
    let entries = read_all(project, &stale, known, disk, request)?;
    let mut computed = 0;
    for (file, entry) in stale.into_iter().zip(entries) {
        match entry {
            Some((entry, is_new)) => {
                computed += usize::from(is_new);
                known.insert(file.path.clone(), entry);
            }
            // It went while it was looked at.
            None => drop(known.remove(&file.path)),
        }
    }
    Ok(computed)
}

/// The duplicates among sources, searched for if these sources are not known.
fn duplicates(
    known: &mut Vec<(ContentHash, Arc<Duplication>)>,
    snapshot: &Snapshot,
    stop: &Stop,
) -> Result<Arc<Duplication>, Refusal> {
    let fingerprint = snapshot.fingerprint;
    if let Some((_, known)) = known.iter().find(|(of, _)| *of == fingerprint) {
        return Ok(Arc::clone(known));
    }
    let tokens = each(&snapshot.files, UNPACKED_BY_ONE, stop, |source| {
        let mut tokens: Vec<Token> = Vec::with_capacity(source.measured.wording.len());
        tokens.extend(source.measured.wording.tokens());
        Ok(tokens)
    })?;
    let words: Vec<_> = snapshot
        .files
        .iter()
        .zip(&tokens)
        .map(|(source, tokens)| Words { language: source.file.language, tokens })
        .collect();
    let found = Arc::new(duplication::search(&words, stop)?);
    // With tests, without them, and tests alone.
    known.truncate(2);
    known.insert(0, (fingerprint, Arc::clone(&found)));
    Ok(found)
}

/// The commit that is checked out, and the changes before it or why they are not known.
type Past = (Option<String>, Result<Arc<History>, String>);

fn history(
    known: &mut Option<(DerivedKey, Arc<History>)>,
    project: &Project,
    disk: Option<&Derived>,
    request: &Request,
) -> Result<Past, Refusal> {
    let none = |why: &str| Ok((None, Err(why.to_owned())));
    let Some(git) = Git::of(project, &request.stop)? else {
        return none("the project is not in a Git repository, or Git is not installed");
    };
    let Some(head) = git.head() else { return none("the Git repository has no commit") };
    let since = churn::since(request.now);
    let key = kept::of_history(project, &git, head, since, request.now);
    if let Some((_, history)) = known.as_ref().filter(|(of, _)| Some(*of) == key) {
        return Ok((Some(head.to_owned()), Ok(Arc::clone(history))));
    }
    // More of a shallow history may be fetched.
    let place = disk.filter(|_| !git.is_shallow()).zip(key);
    let found = place.and_then(|(disk, key)| kept::find_history(disk, key, request.now));
    let is_found = found.is_some();
    let read = found.map_or_else(|| churn::read(&git, head, since), Ok);
    let read = match read {
        Ok(history) => {
            if let Some((disk, key)) = place.filter(|_| !is_found) {
                kept::keep_history(disk, key, &history, request.now);
            }
            let history = Arc::new(history);
            *known = key.map(|key| (key, Arc::clone(&history)));
            Ok(history)
        }
        Err(Refusal(why)) => {
            request.stop.check()?;
            Err(why)
        }
    };
    Ok((Some(head.to_owned()), read))
}
