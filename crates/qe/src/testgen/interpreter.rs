//! Which Python runs a project, and the harness compiled for it.
//!
//! A name on the path may be a script that looks for the real interpreter each time, which takes longer than many a
//! search. So it is asked once who it is, and believed for a while.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::sandbox::{Job, Places};
use crate::project::Project;
use crate::project::child::RunError;
use crate::reply::Refusal;
use crate::stop::Stop;

const PROBE: &str = include_str!("python/probe.py");
const BOOT: &str = include_str!("python/boot.py");
const HARNESS: [(&str, &str); 21] = [
    ("aqe_testgen", include_str!("python/__init__.py")),
    ("aqe_testgen.cases", include_str!("python/cases.py")),
    ("aqe_testgen.clock", include_str!("python/clock.py")),
    ("aqe_testgen.confine", include_str!("python/confine.py")),
    ("aqe_testgen.discover", include_str!("python/discover.py")),
    ("aqe_testgen.emit", include_str!("python/emit.py")),
    ("aqe_testgen.examples", include_str!("python/examples.py")),
    ("aqe_testgen.fresh", include_str!("python/fresh.py")),
    ("aqe_testgen.generate", include_str!("python/generate.py")),
    ("aqe_testgen.guard", include_str!("python/guard.py")),
    ("aqe_testgen.judge", include_str!("python/judge.py")),
    ("aqe_testgen.main", include_str!("python/main.py")),
    ("aqe_testgen.mutate", include_str!("python/mutate.py")),
    ("aqe_testgen.order", include_str!("python/order.py")),
    ("aqe_testgen.outcome", include_str!("python/outcome.py")),
    ("aqe_testgen.properties", include_str!("python/properties.py")),
    ("aqe_testgen.search", include_str!("python/search.py")),
    ("aqe_testgen.strings", include_str!("python/strings.py")),
    ("aqe_testgen.tracer", include_str!("python/tracer.py")),
    ("aqe_testgen.values", include_str!("python/values.py")),
    ("aqe_testgen.vocabulary", include_str!("python/vocabulary.py")),
];

/// How long it is believed that a name stands for the same interpreter, and how many are known.
const BELIEVED: Duration = Duration::from_secs(60);
const KNOWN_MAX: usize = 16;
const PROBE_TIME: Duration = Duration::from_secs(20);

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    bytes: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let is = fs::metadata(path).ok()?;
        Some(Self {
            bytes: is.len(),
            inode: is.ino(),
            modified: (is.mtime(), is.mtime_nsec()),
            changed: (is.ctime(), is.ctime_nsec()),
        })
    }

    /// Whether the file has been as it is for a while: written once more, it would have another stamp.
    pub(super) fn is_settled(&self, now_seconds: i64) -> bool {
        self.modified.0.max(self.changed.0) < now_seconds - 2
    }
}

/// An interpreter.
#[derive(Debug)]
pub(super) struct Interpreter {
    pub(super) executable: String,
    pub(super) stamp: Stamp,
    /// The harness for it, with its length before it, as `boot.py` reads it.
    code: Vec<u8>,
}

impl Interpreter {
    /// Arguments that start the harness.
    pub(super) const ARGS: [&'static str; 5] = ["-I", "-X", "utf8", "-c", BOOT];

    /// What the harness reads: its code, then the request.
    pub(super) fn input(&self, request: &str) -> Vec<u8> {
        [&self.code, request.as_bytes()].concat()
    }
}

/// The name that was asked for, the project, and the content of the file by which version managers choose among theirs.
type Asked = (String, PathBuf, Vec<u8>);

/// Interpreters that were asked who they are, and when.
#[derive(Debug, Default)]
pub(super) struct Interpreters(Mutex<HashMap<Asked, (Instant, Arc<Interpreter>)>>);

impl Interpreters {
    /// The interpreter of the virtual environment nearest above a file of the project, or the one on the path.
    pub(super) fn of(
        &self,
        project: &Project,
        file: &Path,
        stop: &Stop,
    ) -> Result<Arc<Interpreter>, Refusal> {
        let name = name(project, file);
        let chosen = fs::read(project.root.join(".python-version")).unwrap_or_default();
        let key = (name, project.root.clone(), chosen);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, interpreter)) = known.get(&key) {
            let is_same = Stamp::of(Path::new(&interpreter.executable)) == Some(interpreter.stamp);
            if since.elapsed() < BELIEVED && is_same {
                return Ok(Arc::clone(interpreter));
            }
        }
        // Others wait: they are about to ask the same.
        let interpreter = Arc::new(probe(&key.0, project, stop)?);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key, (Instant::now(), Arc::clone(&interpreter)));
        Ok(interpreter)
    }
}

fn name(project: &Project, file: &Path) -> String {
    let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(&project.root));
    for folder in folders {
        for name in [".venv", "venv", "env"] {
            let python = folder.join(name).join("bin/python");
            if folder.join(name).join("pyvenv.cfg").is_file() && python.exists() {
                return python.display().to_string();
            }
        }
    }
    "python3".into()
}

fn probe(name: &str, project: &Project, stop: &Stop) -> Result<Interpreter, Refusal> {
    let sources: HashMap<&str, &str> = HARNESS.into_iter().collect();
    let sources =
        serde_json::to_vec(&sources).map_err(|error| Refusal(format!("this is a fault of ours: {error}")))?;
    let folder = tempfile::tempdir().map_err(|error| Refusal(format!("no temporary folder: {error}")))?;
    let args = ["-I", "-S", "-X", "utf8", "-c", PROBE];
    let places = Places { folder: &project.root, home: folder.path(), tmp: folder.path() };
    let job = Job { input: sources, ..Job::of(name, &args) };
    let output = job.run_at(places, &stop.within(PROBE_TIME)).map_err(|error| match error {
        RunError::Stopped { .. } => Refusal(format!("{name} did not answer in time")),
        error => Refusal(error.to_string()),
    })?;
    let last = output.stderr.trim_end().lines().next_back().unwrap_or_default();
    if output.status.code() == Some(127) {
        return Err(Refusal(format!("{name} is not installed")));
    }
    let end = output.stdout.iter().position(|byte| *byte == b'\n').filter(|_| output.status.success());
    let (executable, code) = end
        .map(|end| (&output.stdout[..end], &output.stdout[end + 1..]))
        .ok_or_else(|| Refusal(format!("{name} cannot run tests: {last}")))?;
    let executable = String::from_utf8_lossy(executable).into_owned();
    let stamp = Stamp::of(Path::new(&executable))
        .ok_or_else(|| Refusal(format!("{name} says that it is {executable}, which is not there")))?;
    let size = code.len() as u64;
    Ok(Interpreter { executable, stamp, code: [&size.to_le_bytes()[..], code].concat() })
}
