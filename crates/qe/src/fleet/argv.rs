//! From a profile's arguments and a task's to those of a program: each value is one argument or a part of one, never an
//! option that the profile does not allow, never text for a shell.

use std::path::{Component, Path};

use aqe_core::registry::Glob;
use serde_json::{Map, Value};

use super::profile::Command;

/// Values that one `{name}` may stand for.
const VALUES_MAX: usize = 1_000;

/// Bytes of all arguments together: far below what systems take (128 KiB for one, 2 MiB for all on Linux).
const BYTES_MAX: usize = 96 << 10;

/// Why a task's arguments are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// The profile has no such argument.
    #[error("the profile has no argument `{name}`; it has: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that it has.
        known: String,
    },
    /// It is neither a text nor a number nor a list of those.
    #[error("argument `{name}` must be a text, a number or a list of those")]
    Kind {
        /// The name.
        name: String,
    },
    /// A list stands where one value must stand.
    #[error("argument `{name}` is a part of `{arg}` and must be one value, not a list")]
    List {
        /// The name.
        name: String,
        /// The profile's argument.
        arg: String,
    },
    /// It could be read as an option.
    #[error("argument `{name}` begins with `-`, which the profile does not allow")]
    Option {
        /// The name.
        name: String,
    },
    /// It is not one of the values that the profile allows.
    #[error("argument `{name}` is not allowed by the profile; allowed are: {allowed}")]
    NotAllowed {
        /// The name.
        name: String,
        /// What is allowed.
        allowed: String,
    },
    /// There is too much.
    #[error("the arguments are too many or too long")]
    TooMuch,
}

impl Command {
    /// Program and arguments. An argument of the profile that names a `{name}` for which the task has no value is left out; one
    /// that is nothing but a `{name}` becomes as many arguments as the task has values for it. `folder` is where the
    /// program runs.
    ///
    /// # Errors
    /// [`ArgumentError`].
    pub fn argv(&self, given: &Map<String, Value>, folder: &Path) -> Result<Vec<String>, ArgumentError> {
        let known: Vec<&str> =
            self.args.iter().filter_map(|arg| placeholder(arg)).map(|(_, name, _)| name).collect();
        for name in given.keys() {
            if !known.contains(&name.as_str()) {
                return Err(ArgumentError::Unknown { name: name.clone(), known: known.join(", ") });
            }
        }
        let mut argv = vec![self.program.clone()];
        for arg in &self.args {
            let Some((before, name, after)) = placeholder(arg) else {
                argv.push(arg.clone());
                continue;
            };
            let values = given.get(name).map_or_else(|| Ok(Vec::new()), |value| texts(name, value))?;
            let is_whole = before.is_empty() && after.is_empty();
            if values.len() > 1 && !is_whole {
                return Err(ArgumentError::List { name: name.to_owned(), arg: arg.clone() });
            }
            for value in values {
                self.check(name, &value, folder)?;
                argv.push(format!("{before}{value}{after}"));
            }
        }
        let bytes: usize = argv.iter().map(|arg| arg.len() + 1).sum();
        if bytes > BYTES_MAX { Err(ArgumentError::TooMuch) } else { Ok(argv) }
    }

    fn check(&self, name: &str, value: &str, folder: &Path) -> Result<(), ArgumentError> {
        let none = Vec::new();
        let allowed = self.params.get(name).unwrap_or(&none);
        if value.starts_with('-') && !allowed.iter().any(|pattern| pattern.starts_with('-')) {
            return Err(ArgumentError::Option { name: name.to_owned() });
        }
        let fits = |pattern: &String| match pattern.as_str() {
            "<path>" => is_below(folder, value),
            // An option is allowed by a pattern that is one itself.
            pattern if value.starts_with('-') && !pattern.starts_with('-') => false,
            pattern => Glob::new(pattern).matches(value),
        };
        // No program can be given a NUL.
        if value.contains('\0') || !allowed.iter().any(fits) {
            let allowed = allowed.join(", ");
            return Err(ArgumentError::NotAllowed { name: name.to_owned(), allowed });
        }
        Ok(())
    }
}

/// What stands before, in and after the braces of the first `{name}`.
fn placeholder(arg: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = arg.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    let is_name = !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
    is_name.then_some((before, name, after))
}

fn texts(name: &str, value: &Value) -> Result<Vec<String>, ArgumentError> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(ArgumentError::Kind { name: name.to_owned() }),
    };
    match value {
        Value::Array(values) if values.len() > VALUES_MAX => Err(ArgumentError::TooMuch),
        Value::Array(values) => values.iter().map(text).collect(),
        Value::Null => Ok(Vec::new()),
        value => Ok(vec![text(value)?]),
    }
}

/// Whether a path, which need not exist, is below the folder and no link on the way leads out. What follows `::` names
/// something in the file, as test runners have it.
fn is_below(folder: &Path, value: &str) -> bool {
    let path = Path::new(value.split("::").next().unwrap_or_default());
    let Ok(folder) = folder.canonicalize() else { return false };
    let inside = path.strip_prefix(&folder).unwrap_or(path);
    if inside.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return false;
    }
    let place = folder.join(inside);
    // A link that leads nowhere has no real path, and is not followed either.
    place
        .ancestors()
        .find(|place| place.symlink_metadata().is_ok())
        .is_some_and(|there| there.canonicalize().is_ok_and(|real| real.starts_with(&folder)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn profile() -> Command {
        let allow =
            |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
        Command {
            program: "run".into(),
            args: ["-q", "-k={k}", "{paths}", "{level}", "{flag}"].map(str::to_owned).into(),
            params: [
                allow("k", &["*"]),
                allow("paths", &["<path>"]),
                allow("level", &["low", "high"]),
                allow("flag", &["--fast*"]),
            ]
            .into(),
            ..Command::default()
        }
    }

    fn argv(given: &Value) -> Result<Vec<String>, ArgumentError> {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("out")).unwrap();
        profile().argv(given.as_object().unwrap(), folder.path())
    }

    #[test]
    fn a_value_is_one_argument_and_what_has_no_value_is_left_out() {
        assert_eq!(argv(&json!({})).unwrap(), ["run", "-q"]);
        let given = json!({ "k": "a; rm -rf / $(x) `y`", "paths": ["a.py", "b.py::t"], "level": "low" });
        let wanted = ["run", "-q", "-k=a; rm -rf / $(x) `y`", "a.py", "b.py::t", "low"];
        assert_eq!(argv(&given).unwrap(), wanted);
        assert_eq!(argv(&json!({ "k": 3 })).unwrap(), ["run", "-q", "-k=3"]);
    }

    #[test]
    fn what_the_profile_does_not_allow_is_refused() {
        for given in [
            json!({ "paths": "../x" }),
            json!({ "paths": "/etc/passwd" }),
            json!({ "paths": "out/passwd" }),
            json!({ "paths": "-x" }),
            json!({ "k": "-x" }),
            json!({ "k": ["a", "b"] }),
            json!({ "k": {} }),
            json!({ "k": "a\u{0}b" }),
            json!({ "level": "middle" }),
            json!({ "flag": "--slow" }),
            json!({ "argv": "sh" }),
            json!({ "k": "x".repeat(200_000) }),
        ] {
            assert!(argv(&given).is_err(), "{given}");
        }
        assert_eq!(argv(&json!({ "flag": "--fast=1" })).unwrap(), ["run", "-q", "--fast=1"]);
    }

    proptest! {
        #[test]
        fn no_value_becomes_an_option_or_more_than_one_argument(value in "[-a-z ;|&$`'\"\\\\{}=/.\n]{0,12}") {
            let folder = Path::new("/");
            for name in ["k", "level"] {
                let mut command = profile();
                command.args = vec![format!("{{{name}}}")];
                let given = json!({ name: value });
                if let Ok(argv) = command.argv(given.as_object().unwrap(), folder) {
                    prop_assert_eq!(argv.len(), 2);
                    prop_assert!(argv[1] == value && !value.starts_with('-'));
                }
            }
        }
    }
}
