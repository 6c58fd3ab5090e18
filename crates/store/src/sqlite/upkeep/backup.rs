//! A copy of the whole file, made while it is used.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::super::{open, schema};
use super::{StoreFile, beside, check};
use crate::StoreError;

/// Between the name of a copy and the number of the process that makes it.
const PARTIAL: &str = ".partial-";

/// What the engine may leave beside a copy.
const JOURNAL: &str = "-journal";

impl StoreFile {
    /// Copies the store, as it is at one moment, into a file that is not there yet; answers with its size in bytes. The copy
    /// is made under another name (`.partial-` and our process's id), checked whole, written to the disk, and only then given its name. It has no
    /// room in it that was freed, so nothing that was removed.
    ///
    /// # Errors
    /// [`StoreError::FileExists`] if there is such a file, [`StoreError::Corrupt`] if the copy has faults (the store has them,
    /// then), or what the media do.
    pub fn backup(&self, to: &Path) -> Result<u64, StoreError> {
        let taken = || StoreError::FileExists { path: to.to_owned() };
        // Of a link too, wherever it leads.
        if fs::symlink_metadata(to).is_ok() {
            return Err(taken());
        }
        let source = self.reader()?;
        let partial = Partial::make(to)?;
        // It writes the copy.
        source.pragma_update(None, "query_only", false).map_err(|error| self.fault(error.into()))?;
        source.execute("VACUUM INTO ?1", [partial.text()?]).map_err(|error| self.fault(error.into()))?;
        drop(source);
        let copy = open::connect(&partial.0, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::recognise(&copy, &partial.0)?;
        let fault =
            check::file(&copy).map_err(|error| open::classify(&partial.0, &error))?.into_iter().next();
        copy.close().map_err(|(_, error)| open::classify(&partial.0, &error))?;
        if let Some(detail) = fault {
            return Err(StoreError::Corrupt { path: self.path.clone(), detail });
        }
        let file = |error: io::Error| open::io(to, &error);
        let copy = File::open(&partial.0).map_err(file)?;
        copy.sync_all().map_err(file)?;
        let bytes = copy.metadata().map_err(file)?.len();
        let named = rustix::fs::renameat_with(CWD, &partial.0, CWD, to, RenameFlags::NOREPLACE);
        match named {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(taken()),
            Err(error) => return Err(file(error.into())),
        }
        // The name is on disk too when the folder is.
        File::open(folder_of(to)).and_then(|folder| folder.sync_all()).map_err(file)?;
        Ok(bytes)
    }
}

/// The copy until it is done. It goes with this; that of a process that was killed goes with the next.
struct Partial(PathBuf);

impl Partial {
    fn make(to: &Path) -> Result<Self, StoreError> {
        let fail = |error: io::Error| open::io(to, &error);
        let prefix = beside(to, PARTIAL);
        remove_left(&prefix).map_err(fail)?;
        let path = beside(&prefix, &std::process::id().to_string());
        // Empty and private; the engine fills it.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
        Ok(Self(path))
    }

    fn text(&self) -> Result<&str, StoreError> {
        let detail = || "the engine takes names in UTF-8 only".to_owned();
        self.0.to_str().ok_or_else(|| StoreError::Io { path: self.0.clone(), detail: detail() })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Renamed, or half: neither is of use under this name.
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes the copies of processes that are no more. One that lives elsewhere (in another container) and is taken for dead
/// finds its copy gone and fails; it never takes another's for its own.
fn remove_left(prefix: &Path) -> io::Result<()> {
    let Some(name) = prefix.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    for entry in fs::read_dir(folder_of(prefix))?.flatten() {
        let left = entry.file_name();
        let pid = left
            .to_str()
            .and_then(|left| left.strip_prefix(name)?.trim_end_matches(JOURNAL).parse().ok())
            .and_then(Pid::from_raw);
        let is_over = |pid| matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH));
        if pid.is_some_and(is_over) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
