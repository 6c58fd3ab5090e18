//! What was measured of projects, kept as long as their files stay the same.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use sha2::{Digest as _, Sha256};

use super::churn::{self, History};
use super::files::{self, SourceFile, Stamp};
use super::measure::{ContentHash, Measured, Unmeasured, content_hash, measure};
use crate::builtin::Request;
use crate::duplication::{self, Duplication, Words};
use crate::project::Project;
use crate::project::git::Git;
use crate::reply::Refusal;
use crate::stop::Stop;
use crate::syntax::{SOURCE_MAX_BYTES, SyntaxError};

/// A file that changed less than this before it was read may change again without a new time: clocks of file systems tick,
/// the coarsest every two seconds.
const TICK_NANOS: i128 = 2_000_000_000;
/// Words of sources that are kept of all projects, 12 bytes each. The projects not used for longest go.
const MOST_WORDS: usize = 16_000_000;
const MOST_PROJECTS: usize = 16;
/// Threads that measure. More would take the processor from everything else that runs here.
const MOST_THREADS: usize = 4;

/// The projects that were measured of late.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    /// The one used last stands last.
    projects: Mutex<Vec<(PathBuf, Arc<Mutex<Kept>>)>>,
}

/// What is kept of a project.
#[derive(Debug, Default)]
struct Kept {
    files: HashMap<String, Entry>,
    /// With what it was made of: whether tests are in it, and the contents.
    duplication: Vec<(ContentHash, Arc<Duplication>)>,
    /// Of a commit, since a moment.
    history: Option<(String, i64, Arc<History>)>,
}

#[derive(Debug, Clone)]
struct Entry {
    stamp: Stamp,
    /// Whether no change can have gone by without a change of the stamp.
    is_settled: bool,
    hash: ContentHash,
    result: Result<Arc<Measured>, Unmeasured>,
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
        let stop = &request.stop;
        let kept = self.project(project);
        let mut kept = locked(&kept, stop)?;
        let found = files::find(project, stop)?;
        let mut warnings = found.warnings;
        let excluded = found.files.len();
        let paths: HashSet<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
        if kept.files.len() > paths.len() {
            kept.files.retain(|path, _| paths.contains(path.as_str()));
        }
        let looked_at: Vec<_> = found.files.iter().filter(|file| wanted(file)).collect();
        let excluded = excluded - looked_at.len();
        let computed = kept.refresh(project, &looked_at, request)?;
        let mut sources = Vec::with_capacity(looked_at.len());
        let mut unmeasured = Vec::new();
        let mut all = Sha256::new();
        for file in looked_at {
            let Some(entry) = kept.files.get(&file.path) else { continue };
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
        let duplication =
            if with_duplicates { kept.duplication(fingerprint, &sources, stop)? } else { Arc::default() };
        let (head, history) = kept.history(project, request)?;
        drop(kept);
        self.bound();
        let newest = found.files.iter().max_by_key(|file| file.written);
        Ok(Snapshot {
            cached: sources.len().saturating_sub(computed),
            newest: newest.map(|file| (file.written, file.path.clone())),
            files: sources,
            duplication,
            history,
            head,
            computed,
            excluded,
            fingerprint,
            warnings,
        })
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
            .map(|entry| entry.result.as_ref().map_or(0, |measured| measured.tokens.len()))
            .sum()
    }

    /// Brings the entries up to date; how many files were measured.
    fn refresh(
        &mut self,
        project: &Project,
        files: &[&SourceFile],
        request: &Request,
    ) -> Result<usize, Refusal> {
        let stale: Vec<&SourceFile> = files
            .iter()
            .copied()
            .filter(|file| {
                !self.files.get(&file.path).is_some_and(|entry| entry.is_settled && entry.stamp == file.stamp)
            })
            .collect();
        let entries = read_all(project, &stale, &self.files, request)?;
        let mut computed = 0;
        for (file, entry) in stale.into_iter().zip(entries) {
            match entry {
                Some((entry, is_new)) => {
                    computed += usize::from(is_new);
                    self.files.insert(file.path.clone(), entry);
                }
                // It went while it was looked at.
                None => drop(self.files.remove(&file.path)),
            }
        }
        Ok(computed)
    }

    fn duplication(
        &mut self,
        fingerprint: ContentHash,
        sources: &[Source],
        stop: &Stop,
    ) -> Result<Arc<Duplication>, Refusal> {
        if let Some((_, known)) = self.duplication.iter().find(|(of, _)| *of == fingerprint) {
            return Ok(Arc::clone(known));
        }
        let words: Vec<_> = sources
            .iter()
            .map(|source| Words { language: source.file.language, tokens: &source.measured.tokens })
            .collect();
        let found = Arc::new(duplication::search(&words, stop)?);
        // With tests, without them, and tests alone.
        self.duplication.truncate(2);
        self.duplication.insert(0, (fingerprint, Arc::clone(&found)));
        Ok(found)
    }

    /// The commit that is checked out, and the changes before it.
    #[allow(clippy::type_complexity)]
    fn history(
        &mut self,
        project: &Project,
        request: &Request,
    ) -> Result<(Option<String>, Result<Arc<History>, String>), Refusal> {
        let none = |why: &str| Ok((None, Err(why.to_owned())));
        let Some(git) = Git::of(project, &request.stop)? else {
            return none("the project is not in a Git repository, or Git is not installed");
        };
        let Some(head) = git.commit("HEAD")? else { return none("the Git repository has no commit") };
        let since = churn::since(request.now);
        if let Some((commit, from, known)) = &self.history
            && *commit == head
            && *from == since
        {
            return Ok((Some(head), Ok(Arc::clone(known))));
        }
        let read = match churn::read(&git, &head, since) {
            Ok(history) => {
                let history = Arc::new(history);
                self.history = Some((head.clone(), since, Arc::clone(&history)));
                Ok(history)
            }
            Err(Refusal(why)) => {
                request.stop.check()?;
                Err(why)
            }
        };
        Ok((Some(head), read))
    }
}

/// An entry, and whether it was measured anew; `None` for a file that cannot be read.
type Read = Option<(Entry, bool)>;

/// Reads files, and measures those whose content is not known, on several threads; what was read of each, in order.
fn read_all(
    project: &Project,
    stale: &[&SourceFile],
    known: &HashMap<String, Entry>,
    request: &Request,
) -> Result<Vec<Read>, Refusal> {
    let threads =
        thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS).min(stale.len() / 8 + 1);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Read)>, Refusal> {
        let mut done = Vec::new();
        while let Some(file) = stale.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            request.stop.check()?;
            // The places in `stale` are in the order of the paths, each once.
            let at = stale.partition_point(|other| other.path < file.path);
            done.push((at, read_one(project, file, known.get(&file.path), request)?));
        }
        Ok(done)
    };
    let mut entries = vec![None; stale.len()];
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = vec![work()];
        all.extend(others.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Refusal("this is a fault of ours: a thread has panicked".into())))
        }));
        for done in all {
            for (at, entry) in done? {
                entries[at] = entry;
            }
        }
        Ok(())
    })?;
    Ok(entries)
}

fn read_one(
    project: &Project,
    file: &SourceFile,
    known: Option<&Entry>,
    request: &Request,
) -> Result<Read, Refusal> {
    let stamp = file.stamp;
    let is_settled = stamp.changed + TICK_NANOS < i128::from(request.now) * 1_000_000;
    let bytes = usize::try_from(stamp.bytes).unwrap_or(usize::MAX);
    if bytes > SOURCE_MAX_BYTES {
        let result = Err(Unmeasured::Syntax(SyntaxError::TooLong { bytes }));
        return Ok(Some((Entry { stamp, is_settled, hash: ContentHash::default(), result }, false)));
    }
    let Ok(content) = project.read(&file.path, SOURCE_MAX_BYTES as u64) else { return Ok(None) };
    let hash = content_hash(&content);
    if let Some(known) = known.filter(|known| known.hash == hash) {
        return Ok(Some((Entry { stamp, is_settled, ..known.clone() }, false)));
    }
    let result = measure(&content, file.language, &request.stop).map(Arc::new);
    if result == Err(Unmeasured::Syntax(SyntaxError::Stopped)) {
        request.stop.check()?;
    }
    Ok(Some((Entry { stamp, is_settled, hash, result }, true)))
}
