//! What the kernel holds a program to: files by landlock(7), so that code that no interpreter watches writes nothing elsewhere.
//!
//! A thread that is restricted stays so, and what it starts is restricted with it. So a program is started by a thread of
//! its own, and neither it needs a wrapper nor this process loses anything.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};

/// The newest version of the kernel's rules that is asked for; of older ones what they know.
const VERSION: ABI = ABI::V6;

/// Where a program may write, and what it may read besides. It opens no TCP connection and signals no other program, where the
/// kernel knows how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confinement {
    pub(crate) writable: Vec<PathBuf>,
    pub(crate) readable: Vec<PathBuf>,
}

impl Confinement {
    /// Holds this thread, and all that it starts, to it; whether the kernel does. It cannot be undone.
    pub(crate) fn enter(&self) -> Result<bool, RulesetError> {
        let all = AccessFs::from_all(VERSION);
        let status = Ruleset::default()
            .handle_access(all)?
            .handle_access(AccessNet::from_all(VERSION))?
            .scope(Scope::from_all(VERSION))?
            .create()?
            .add_rules(path_beneath_rules(&self.writable, all))?
            .add_rules(path_beneath_rules([Path::new("/dev/null")], AccessFs::from_file(VERSION)))?
            .add_rules(path_beneath_rules(&self.readable, AccessFs::from_read(VERSION)))?
            .restrict_self()?;
        Ok(status.ruleset != RulesetStatus::NotEnforced)
    }
}

/// Whether the kernel has such rules; asked once, by a thread that is over then.
pub(crate) fn works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let asked = thread::spawn(|| Confinement::default().enter().unwrap_or(false));
        asked.join().unwrap_or(false)
    })
}
