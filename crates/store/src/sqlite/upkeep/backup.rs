//! A copy of the whole file, made while it is used.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::super::{open, schema};
use super::{StoreFile, beside, check};
use crate::StoreError;

impl StoreFile {
    /// Copies the store, as it is at one moment, into a file that is not there yet; answers with its size in bytes. The copy
    /// is made under another name (`.partial`), checked whole, written to the disk, and only then given its name. It has no
    /// room in it that was freed, so nothing that was removed.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if there is such a file, [`StoreError::Corrupt`] if the copy has faults (the store has them,
    /// then), or what the media do.
    pub fn backup(&self, to: &Path) -> Result<u64, StoreError> {
        let taken = || StoreError::Taken { path: to.to_owned() };
        // Of a link too, wherever it leads.
        if fs::symlink_metadata(to).is_ok() {
            return Err(taken());
        }
        let partial = Partial::make(to)?;
        let source = self.reader()?;
        source.execute("VACUUM INTO ?1", [partial.text()?]).map_err(|error| self.fault(error.into()))?;
        drop(source);
        let copy = open::connect(&partial.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::recognise(&copy, &partial.path)?;
        let fault =
            check::file(&copy).map_err(|error| open::classify(&partial.path, &error))?.into_iter().next();
        copy.close().map_err(|(_, error)| open::classify(&partial.path, &error))?;
        if let Some(detail) = fault {
            return Err(StoreError::Corrupt { path: self.path.clone(), detail });
        }
        let file = |error: io::Error| open::io(to, &error);
        let copy = File::open(&partial.path).map_err(file)?;
        copy.sync_all().map_err(file)?;
        let bytes = copy.metadata().map_err(file)?.len();
        let named = rustix::fs::renameat_with(
            rustix::fs::CWD,
            &partial.path,
            rustix::fs::CWD,
            to,
            rustix::fs::RenameFlags::NOREPLACE,
        );
        match named {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(taken()),
            Err(error) => return Err(file(error.into())),
        }
        // The name is on disk too when the folder is.
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(file)?;
        Ok(bytes)
    }
}

/// The copy until it is done. It goes with this; that of a process that was killed goes with the next.
struct Partial {
    path: PathBuf,
    /// Locked for as long as it is being made.
    _lock: File,
}

impl Partial {
    fn make(to: &Path) -> Result<Self, StoreError> {
        let (path, lock) = (beside(to, ".partial"), beside(to, ".lock"));
        let fail = |error: io::Error| open::io(to, &error);
        let lock_file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock)
            .map_err(fail)?;
        let held = rustix::fs::flock(&lock_file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        held.map_err(|_| StoreError::Locked { path: lock })?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        // Empty and private; the engine fills it.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
        Ok(Self { path, _lock: lock_file })
    }

    fn text(&self) -> Result<&str, StoreError> {
        let detail = || "the engine takes names in UTF-8 only".to_owned();
        self.path.to_str().ok_or_else(|| StoreError::Io { path: self.path.clone(), detail: detail() })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Renamed, or half: neither is of use under this name.
        let _ = fs::remove_file(&self.path);
        if let Some(text) = self.path.to_str().and_then(|text| text.strip_suffix(".partial")) {
            let _ = fs::remove_file(beside(Path::new(text), ".lock"));
        }
    }
}
