//! The environment: read once, passed in, and put into values that say `${VAR}`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::secret::Expanded;

/// Longest text that an expansion may yield: Linux takes no longer argument or variable
/// (`MAX_ARG_STRLEN`, 32 pages).
const MAX_EXPANDED_BYTES: usize = 128 * 1024;

/// What a child gets of our environment beside its own `env`: what programs need to find their files
/// and to speak the user's language, and nothing that may hold a secret.
const CHILD_ENV: &[&str] = &[
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    // Without these most programs do not start on Windows.
    "APPDATA",
    "COMSPEC",
    "LOCALAPPDATA",
    "PATHEXT",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "USERPROFILE",
];

/// The environment variables that a load sees.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl Environment {
    /// The environment of this process, as it is now.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The user's home directory.
    pub(super) fn home(&self) -> Option<PathBuf> {
        let set = |name| self.get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        set("HOME").or_else(|| set("USERPROFILE"))
    }

    /// A base directory of the XDG specification: the variable where it is absolute (others must be
    /// ignored, says the specification), else the folder below the home directory.
    fn base_dir(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let named = self.get(variable).map(PathBuf::from).filter(|p| p.is_absolute());
        named.or_else(|| self.home().map(|home| home.join(below_home)))
    }

    /// Where the user's configuration lives: `$XDG_CONFIG_HOME/aqe-v3`.
    pub(super) fn config_dir(&self) -> Option<PathBuf> {
        self.base_dir("XDG_CONFIG_HOME", ".config").map(|p| p.join("aqe-v3"))
    }

    /// Where the user's data lives: `$XDG_DATA_HOME/aqe-v3`.
    pub(super) fn data_dir(&self) -> Option<PathBuf> {
        self.base_dir("XDG_DATA_HOME", ".local/share").map(|p| p.join("aqe-v3"))
    }

    /// Where what can be made again lives: `$XDG_CACHE_HOME/aqe-v3`.
    pub(super) fn cache_dir(&self) -> Option<PathBuf> {
        self.base_dir("XDG_CACHE_HOME", ".cache").map(|p| p.join("aqe-v3"))
    }

    /// What a child inherits: a short list of harmless variables and those that `also` names.
    pub(super) fn for_child(&self, also: &[String]) -> BTreeMap<OsString, OsString> {
        let names = CHILD_ENV.iter().copied().chain(also.iter().map(String::as_str));
        names.filter_map(|name| self.get(name).map(|value| (name.into(), value.to_owned()))).collect()
    }
}

/// Whose rules of expansion apply.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dialect<'a> {
    /// Ours: `${VAR}`, `${VAR:-default}`, and `$${` for a literal `${`.
    Toml,
    /// That of the agents' files: the same without an escape, and `${env:VAR}`, `${userHome}` and
    /// `${workspaceFolder}` (the folder given here), which editors write.
    Foreign(&'a Path),
}

/// Why a text could not be expanded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    #[error("the environment variable {0} is not set; set it, or write ${{{0}:-default}}")]
    Missing(String),
    #[error("the environment variable {0} is not valid UTF-8")]
    NotUnicode(String),
    #[error("\"${{\" without its \"}}\"")]
    Unclosed,
    #[error("\"${{{0}}}\" is not a variable; write ${{VAR}} or ${{VAR:-default}}")]
    NotAName(String),
    #[error("a default cannot hold another ${{…}}")]
    Nested,
    #[error("\"${{{0}}}\" asks the editor, which does not run here; write ${{VAR}} and set the variable")]
    AsksEditor(String),
    #[error("longer than {MAX_EXPANDED_BYTES} bytes after expansion")]
    TooLong,
}

/// Replaces every `${…}` of `text`, reporting all that cannot be.
pub(super) fn expand(
    text: &str,
    env: &Environment,
    dialect: Dialect<'_>,
) -> Result<Expanded, Vec<ExpandError>> {
    let mut value = String::with_capacity(text.len());
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let before = &rest[..start];
        if matches!(dialect, Dialect::Toml) && before.ends_with('$') {
            value.push_str(before);
            value.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        value.push_str(before);
        let inside = &rest[start + 2..];
        let Some(end) = inside.find('}') else {
            errors.push(ExpandError::Unclosed);
            rest = "";
            break;
        };
        match reference(&inside[..end], env, dialect) {
            Ok(replacement) => value.push_str(&replacement),
            Err(error) => errors.push(error),
        }
        rest = &inside[end + 1..];
        if value.len() > MAX_EXPANDED_BYTES {
            break;
        }
    }
    value.push_str(rest);
    if value.len() > MAX_EXPANDED_BYTES {
        errors.push(ExpandError::TooLong);
    }
    if errors.is_empty() { Ok(Expanded::new(value, text.to_owned())) } else { Err(errors) }
}

/// The replacement of one `${…}`, given what stands between the braces.
fn reference(inside: &str, env: &Environment, dialect: Dialect<'_>) -> Result<String, ExpandError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if default.is_some_and(|d| d.contains("${")) {
        return Err(ExpandError::Nested);
    }
    let mut name = name;
    if let Dialect::Foreign(folder) = dialect {
        match name {
            "workspaceFolder" => return Ok(folder.display().to_string()),
            "userHome" => {
                return env
                    .home()
                    .map(|home| home.display().to_string())
                    .ok_or_else(|| ExpandError::Missing("HOME".to_owned()));
            }
            _ if name.starts_with("input:") || name.starts_with("command:") => {
                return Err(ExpandError::AsksEditor(clip(name)));
            }
            _ => name = name.strip_prefix("env:").unwrap_or(name),
        }
    }
    if !is_variable_name(name) {
        return Err(ExpandError::NotAName(clip(name)));
    }
    match (env.get(name), default) {
        // As in a shell, `:-` also replaces a variable that is set to nothing.
        (Some(set), Some(default)) if set.is_empty() => Ok(default.to_owned()),
        (Some(set), _) => set.to_str().map(str::to_owned).ok_or_else(|| ExpandError::NotUnicode(clip(name))),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(ExpandError::Missing(clip(name))),
    }
}

/// Whether text can name a variable that a shell could set.
pub(super) fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Text short enough, and free enough of control characters, for a message.
pub(super) fn clip(text: &str) -> String {
    const LIMIT: usize = 40;
    let mut short = String::new();
    for c in text.chars().take(LIMIT) {
        if c == '\'' { short.push(c) } else { short.extend(c.escape_debug()) }
    }
    if text.chars().nth(LIMIT).is_some() {
        short.push('…');
    }
    short
}
