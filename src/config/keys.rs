//! The kinds of key that a TOML section may have.
//!
//! A key is declared once, with its default, range and meaning; the parser reads with that
//! declaration and the reference page is printed from it, so neither can drift from the other.

use std::fmt::Debug;

/// What the reference page and the search for a misspelt key need to know of any key.
pub trait Key: Debug + Sync {
    /// The key as it is written. A unit, where there is one, ends it: `_ms`, `_s`, `_bytes`.
    fn name(&self) -> &'static str;
    /// The values that it takes, in words.
    fn kind(&self) -> String;
    /// What holds when it is absent.
    fn default(&self) -> String;
    /// What it does.
    fn meaning(&self) -> &'static str;
}

/// The unit that a key's name ends with.
fn unit(name: &str) -> Option<&'static str> {
    [("_ms", "milliseconds"), ("_s", "seconds"), ("_bytes", "bytes")]
        .into_iter()
        .find_map(|(suffix, unit)| name.ends_with(suffix).then_some(unit))
}

fn of_unit(name: &str) -> String {
    unit(name).map(|unit| format!(" of {unit}")).unwrap_or_default()
}

/// `a whole number of milliseconds from 1 to 1000`.
pub(super) fn whole_number(name: &str, min: u64, max: u64) -> String {
    format!("a whole number{} from {min} to {max}", of_unit(name))
}

macro_rules! key {
    ($type:ident $(<$t:ident>)?, $kind:expr, $default:expr) => {
        impl $(<$t: Debug + Sync>)? Key for $type $(<$t>)? {
            fn name(&self) -> &'static str {
                self.name
            }
            fn kind(&self) -> String {
                let kind: fn(&Self) -> String = $kind;
                kind(self)
            }
            fn default(&self) -> String {
                let default: fn(&Self) -> String = $default;
                default(self)
            }
            fn meaning(&self) -> &'static str {
                self.meaning
            }
        }
    };
}

/// A whole number with a default.
#[derive(Debug)]
pub(super) struct Int {
    pub(super) name: &'static str,
    pub(super) default: u64,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) meaning: &'static str,
}
key!(Int, |k| whole_number(k.name, k.min, k.max), |k| format!("`{}`", k.default));

/// A whole number without which something else holds.
#[derive(Debug)]
pub(super) struct OptInt {
    pub(super) name: &'static str,
    pub(super) absent: &'static str,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) meaning: &'static str,
}
key!(OptInt, |k| whole_number(k.name, k.min, k.max), |k| k.absent.to_owned());

/// A number with a fraction.
#[derive(Debug)]
pub(super) struct Real {
    pub(super) name: &'static str,
    pub(super) default: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) meaning: &'static str,
}
key!(Real, |k| format!("a number{} from {} to {}", of_unit(k.name), k.min, k.max), |k| format!(
    "`{}`",
    k.default
));

/// A number with a fraction, without which something else holds.
#[derive(Debug)]
pub(super) struct OptReal {
    pub(super) name: &'static str,
    pub(super) absent: &'static str,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) meaning: &'static str,
}
key!(OptReal, |k| format!("a number{} from {} to {}", of_unit(k.name), k.min, k.max), |k| k
    .absent
    .to_owned());

/// `true` or `false`.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) default: bool,
    pub(super) meaning: &'static str,
}
key!(Flag, |_| "true or false".to_owned(), |k| format!("`{}`", k.default));

/// One of a few words, each with its value; the first is the default.
#[derive(Debug)]
pub(super) struct Choice<T: 'static> {
    pub(super) name: &'static str,
    pub(super) options: &'static [(&'static str, T)],
    pub(super) meaning: &'static str,
}
key!(Choice<T>, |k| one_of(k.options.iter().map(|(word, _)| *word)), |k| k
    .options
    .first()
    .map(|(word, _)| format!("`\"{word}\"`"))
    .unwrap_or_default());

/// One of a few words, without which something else holds.
#[derive(Debug)]
pub(super) struct OptChoice<T: 'static> {
    pub(super) name: &'static str,
    pub(super) options: &'static [(&'static str, T)],
    pub(super) absent: &'static str,
    pub(super) meaning: &'static str,
}
key!(OptChoice<T>, |k| one_of(k.options.iter().map(|(word, _)| *word)), |k| k.absent.to_owned());

/// `"a", "b" or "c"`.
pub(super) fn one_of(words: impl Iterator<Item = &'static str>) -> String {
    let mut quoted: Vec<String> = words.map(|w| format!("\"{w}\"")).collect();
    match quoted.pop() {
        Some(last) if quoted.is_empty() => last,
        Some(last) => format!("{} or {last}", quoted.join(", ")),
        None => String::new(),
    }
}

/// Text; `kind` says of which form, `absent` what holds without it.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) absent: &'static str,
    pub(super) meaning: &'static str,
}
key!(Text, |k| k.kind.to_owned(), |k| k.absent.to_owned());

/// A list of texts.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) absent: &'static str,
    pub(super) meaning: &'static str,
}
key!(Texts, |k| k.kind.to_owned(), |k| k.absent.to_owned());

/// A list of exit codes.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) name: &'static str,
    pub(super) absent: &'static str,
    pub(super) meaning: &'static str,
}
key!(Codes, |_| "a list of exit codes".to_owned(), |k| k.absent.to_owned());

/// A table whose keys the user chooses; `kind` says what its values are.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) meaning: &'static str,
}
key!(Map, |k| k.kind.to_owned(), |_| "`{}`".to_owned());

/// A table with keys of its own, documented under its own heading.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
}
key!(Group, |_| "a table; see below".to_owned(), |_| "`{}`".to_owned());

/// A list of tables, each with the same keys, documented under a heading of their own.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
}
key!(Tables, |_| "a list of tables; see below".to_owned(), |_| "`[]`".to_owned());

/// A section of the file: its keys are all that may stand in it.
#[derive(Debug)]
pub struct SectionKeys {
    /// The path of the table: `server`, `upstream.tools`.
    pub path: &'static str,
    /// Whether it is written `[[path]]`, as often as needed.
    pub repeated: bool,
    /// What it is about.
    pub meaning: &'static str,
    /// The keys.
    pub keys: &'static [&'static dyn Key],
}

impl SectionKeys {
    /// The heading as it is written in the file.
    pub fn heading(&self) -> String {
        if self.repeated { format!("[[{}]]", self.path) } else { format!("[{}]", self.path) }
    }
}
