//! The folder of the control sockets: one socket per running server, named after its process.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::Environment;

/// Longest path of a Unix socket: `sockaddr_un` has room for 108 bytes on Linux and 104 elsewhere, with a final NUL.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Where the sockets of this user's servers are: `$XDG_RUNTIME_DIR/aqe-v3`, or `aqe-v3-UID` in the folder for
/// temporary files.
pub fn path(env: &Environment) -> PathBuf {
    let named = env.get("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(folder) = named.filter(|path| path.is_absolute() && path.is_dir()) {
        return folder.join("aqe-v3");
    }
    let temporary = env.get("TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let temporary = temporary.unwrap_or_else(|| PathBuf::from("/tmp"));
    temporary.join(format!("aqe-v3-{}", rustix::process::geteuid().as_raw()))
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirError {
    /// It belongs to somebody else, or is no folder. In a folder that all may write, anybody can make it first.
    #[error("{} is not a folder of this user", .0.display())]
    Foreign(PathBuf),
    /// The socket's path would not fit into an address.
    #[error("{} is longer than the {MAX_PATH} bytes that the system allows for a socket", .0.display())]
    TooLong(PathBuf),
    /// What the system says.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// The socket of this process in the folder, which is made if need be.
pub(super) fn own_socket(env: &Environment) -> Result<PathBuf, RuntimeDirError> {
    let folder = path(env);
    let socket = folder.join(format!("{}.sock", std::process::id()));
    if socket.as_os_str().len() > MAX_PATH {
        return Err(RuntimeDirError::TooLong(socket));
    }
    make(&folder)?;
    Ok(socket)
}

fn make(folder: &Path) -> Result<(), RuntimeDirError> {
    let fault = |source| RuntimeDirError::Io { path: folder.to_owned(), source };
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fault(error)),
    }
    is_ours(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(fault)
}

/// Checks that the folder is one and is this user's, so that nobody else can have put a socket there.
pub fn is_ours(folder: &Path) -> Result<(), RuntimeDirError> {
    let metadata = fs::symlink_metadata(folder)
        .map_err(|source| RuntimeDirError::Io { path: folder.to_owned(), source })?;
    if metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(RuntimeDirError::Foreign(folder.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_a_link_to_another_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let env: Environment = [("XDG_RUNTIME_DIR", home.path())].into_iter().collect();
        let socket = own_socket(&env).unwrap();
        let folder = socket.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        own_socket(&env).unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::remove_dir(folder).unwrap();
        std::os::unix::fs::symlink(home.path(), folder).unwrap();
        assert!(matches!(own_socket(&env), Err(RuntimeDirError::Foreign(_))));
    }

    #[test]
    fn without_a_runtime_folder_the_users_number_is_in_the_name() {
        let env: Environment = [("TMPDIR", "/var/tmp")].into_iter().collect();
        assert_eq!(
            path(&env),
            PathBuf::from(format!("/var/tmp/aqe-v3-{}", rustix::process::geteuid().as_raw()))
        );
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_said_to_be_so() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("x".repeat(100));
        fs::create_dir(&deep).unwrap();
        let env: Environment = [("XDG_RUNTIME_DIR", deep)].into_iter().collect();
        assert!(matches!(own_socket(&env), Err(RuntimeDirError::TooLong(_))));
    }
}
