//! Folders that a killed process has left behind: each is locked while it is in use, and the kernel lets go of a lock
//! whatever ends its holder.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Once;

/// What the names of the folders begin with.
pub(super) const PREFIX: &str = "aqe-testgen-";
/// The file in each of them that is locked.
const LOCK: &str = "held";

/// Locks a new folder for as long as the file is open.
pub(super) fn hold(folder: &Path) -> io::Result<File> {
    // Not under its name before it is locked, or it could be taken for one that was left.
    let unnamed = folder.join("holding");
    let file = File::create(&unnamed)?;
    file.lock()?;
    fs::rename(unnamed, folder.join(LOCK))?;
    Ok(file)
}

/// Removes what was left, the first time that this process asks.
pub(super) fn remove_once() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| remove(&std::env::temp_dir()));
}

/// Removes the folders in `place` that nobody holds. What cannot be removed (another user's) stays.
fn remove(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX))
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_ours && is_left(&entry.path()) {
            tracing::debug!(folder = %entry.path().display(), "removes what a killed process has left");
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_left(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(LOCK)) else { return false };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_any_more_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = place.path().join(name);
            fs::create_dir_all(folder.join("project/src")).unwrap();
            folder
        };
        let [left, held, new, other] =
            ["aqe-testgen-left", "aqe-testgen-held", "aqe-testgen-new", "others"].map(folder);
        drop(hold(&left).unwrap());
        drop(hold(&other).unwrap());
        let _held = hold(&held).unwrap();
        remove(place.path());
        assert_eq!([left, held, new, other].map(|folder| folder.exists()), [false, true, true, true]);
    }
}
