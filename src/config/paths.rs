//! Paths as a configuration writes them.

use std::path::{Path, PathBuf};

use super::section::Context;
use super::tree::Span;

/// Makes a path absolute: `~/` is the user's home, anything else relative starts at the folder of the
/// file that says it.
pub(super) fn resolve(cx: &Context<'_>, key: &str, text: &str, at: &Span) -> Option<PathBuf> {
    if text.is_empty() {
        cx.fault(at, format!("\"{key}\" is empty"));
        return None;
    }
    if text == "~" || text.starts_with("~/") {
        let Some(home) = cx.env.home() else {
            cx.fault(at, format!("\"{key}\": \"~\" needs the environment variable HOME"));
            return None;
        };
        return Some(home.join(text.trim_start_matches('~').trim_start_matches('/')));
    }
    Some(join(cx.folder, Path::new(text)))
}

/// `folder` and `path`, without the `./` that a user writes to say "beside this file".
pub(super) fn join(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path).components().collect()
}
