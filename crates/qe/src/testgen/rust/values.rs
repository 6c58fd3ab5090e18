//! Values to call Rust functions with, by type: borders of numbers, literals of the file and its documentation, objects made
//! by what the file has for it.

use std::collections::{BTreeMap, BTreeSet};

use super::items::{Call, Items, Maker, Receiver, split};

/// Values of one parameter, and of one that is inside of another.
const VALUES_MAX: usize = 28;
const INNER_MAX: usize = 5;
const DEPTH_MAX: usize = 3;

/// One value: as an owned value that a variable holds, and how it is passed on. In tests both are one expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    /// Expressions of one type.
    pub(super) made: Vec<String>,
    /// Before and after the variable.
    pub(super) passed: (&'static str, &'static str),
}

impl Values {
    fn of(
        made: impl IntoIterator<Item = impl Into<String>>,
        passed: (&'static str, &'static str),
    ) -> Option<Self> {
        let mut seen = BTreeSet::new();
        let made: Vec<String> = made
            .into_iter()
            .map(Into::into)
            .filter(|one| seen.insert(one.clone()))
            .take(VALUES_MAX)
            .collect();
        (!made.is_empty()).then_some(Self { made, passed })
    }

    /// The whole expression, as tests write it.
    pub(super) fn written(&self, place: usize) -> String {
        let made = &self.made[place];
        match self.passed {
            // Borrowed for good, so that an object may be made of it.
            ("&", "[..]") => match (made.strip_suffix(".to_vec()"), made.strip_prefix("vec!")) {
                (Some(bytes), _) => bytes.to_owned(),
                (_, Some(list)) => format!("&{list}"),
                _ => format!("&{made}[..]"),
            },
            ("&", "") if made.starts_with('"') => made.clone(),
            (before, after) => format!("{before}{made}{after}"),
        }
    }
}

/// Literals of a file.
#[derive(Debug, Default)]
pub(super) struct Literals {
    strings: Vec<String>,
    characters: Vec<String>,
    integers: Vec<i128>,
}

impl Literals {
    /// Of code and documentation, in the order of their first appearance, and neighbours of what they are.
    pub(super) fn of(source: &str, seed: u64) -> Self {
        let mut found = Self::default();
        let bytes = source.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    let end = (at + 1..bytes.len()).scan(false, |escaped, place| {
                        let is_end = bytes[place] == b'"' && !*escaped;
                        *escaped = bytes[place] == b'\\' && !*escaped;
                        Some((place, is_end))
                    });
                    let Some((end, _)) = end.take(200).find(|(_, is_end)| *is_end) else {
                        at += 1;
                        continue;
                    };
                    let text = &source[at..=end];
                    if text.len() <= 60 && !text.contains(['\n', '{']) && has_known_escapes(text) {
                        found.strings.push(text.to_owned());
                    }
                    at = end;
                }
                // A quote as a character begins no string.
                b'\'' if bytes.get(at + 1) == Some(&b'\\') && bytes.get(at + 3) == Some(&b'\'') => at += 3,
                b'\''
                    if bytes.get(at + 2) == Some(&b'\'')
                        && bytes[at + 1] != b'\\'
                        && bytes[at + 1].is_ascii() =>
                {
                    found.characters.push(source[at..at + 3].to_owned());
                    at += 2;
                }
                one if one.is_ascii_digit()
                    && (at == 0
                        || !(bytes[at - 1].is_ascii_alphanumeric()
                            || matches!(bytes[at - 1], b'_' | b'.'))) =>
                {
                    let end = (at..bytes.len())
                        .find(|place| !(bytes[*place].is_ascii_alphanumeric() || bytes[*place] == b'_'))
                        .unwrap_or(bytes.len());
                    let plain = source[at..end].replace('_', "");
                    let digits = plain.trim_end_matches(|one: char| !one.is_ascii_digit());
                    let value = match plain.strip_prefix("0x") {
                        Some(digits) => i128::from_str_radix(digits, 16).ok(),
                        None => digits.parse().ok(),
                    };
                    if let Some(value) = value.filter(|value: &i128| *value < i128::MAX / 2) {
                        found.integers.extend([value, value + 1, value - 1]);
                    }
                    at = end - 1;
                }
                _ => {}
            }
            at += 1;
        }
        let neighbours = neighbours(&found.strings, seed);
        found.strings.extend(neighbours);
        found
    }

    fn strings(&self) -> Vec<String> {
        let fixed = ["\"hello world\"", "\"\"", "\"a\""];
        let more = [
            "\"1.2.3\"",
            "\"42\"",
            "\"-3.5\"",
            "\"fooBarBaz\"",
            "\"FOO_BAR-baz\"",
            "\"  padded  \"",
            "\"h\u{e9}llo \u{df}\u{1F600}\"",
            "\"line1\\nline2\"",
            "\"a,b;c=d\"",
            "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
        ];
        let own = self.strings.iter().map(String::as_str);
        fixed.into_iter().chain(own.take(18)).chain(more).map(str::to_owned).collect()
    }
}

/// Whether a literal is one of text: raw strings and bytes have backslashes that mean something else.
fn has_known_escapes(text: &str) -> bool {
    let mut letters = text.chars();
    while let Some(one) = letters.next() {
        if one == '\\'
            && !letters.next().is_some_and(|next| matches!(next, 'n' | 't' | 'r' | '0' | '"' | '\'' | '\\'))
        {
            return false;
        }
    }
    true
}

/// Strings that differ a little from those there are. The same seed gives the same.
fn neighbours(strings: &[String], seed: u64) -> Vec<String> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491_4f6c_dd1d);
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let plain: Vec<&String> =
        strings.iter().filter(|one| one.len() > 4 && !one.contains('\\') && one.is_ascii()).collect();
    (0..plain.len().min(8))
        .map(|_| {
            let inner = plain[next(plain.len())].trim_matches('"').to_owned();
            let at = next(inner.len());
            match next(4) {
                0 => format!("\"{}{}\"", &inner[..at], &inner[at + 1..]),
                1 => format!("\"{}-{}\"", &inner[..at], &inner[at..]),
                2 => format!("\"{}\"", inner.to_uppercase()),
                _ => format!("\"{inner} {}\"", plain[next(plain.len())].trim_matches('"')),
            }
        })
        .collect()
}

/// Where values come from.
#[derive(Debug)]
pub(super) struct Pools<'a> {
    pub(super) literals: &'a Literals,
    pub(super) items: &'a Items,
}

impl Pools<'_> {
    /// For a parameter; `None` if no value of its type can be written.
    pub(super) fn of(&self, kind: &str, generics: &BTreeMap<String, String>, depth: usize) -> Option<Values> {
        if depth > DEPTH_MAX {
            return None;
        }
        let kind = kind.trim();
        if let Some(bounds) = generics.get(kind).map(String::as_str).or_else(|| kind.strip_prefix("impl ")) {
            return self.bounded(bounds, generics, depth);
        }
        if let Some(paths) = self.items.constants.get(kind)
            && (kind.starts_with('&') || self.items.types.contains_key(kind))
        {
            return Values::of(paths.clone(), ("", ""));
        }
        if let Some(inner) = kind.strip_prefix("&mut ") {
            if inner.starts_with('[') {
                let inner = self.shared(inner, generics, depth)?;
                return (inner.passed == ("&", "[..]"))
                    .then_some(Values { passed: ("&mut ", "[..]"), ..inner });
            }
            let inner = self.of(inner, generics, depth)?;
            return (inner.passed == ("", "")).then_some(Values { passed: ("&mut ", ""), ..inner });
        }
        if let Some(inner) = kind.strip_prefix('&') {
            return self.shared(inner.trim(), generics, depth);
        }
        let inside = |name: &str| {
            let inner = kind.strip_prefix(name)?.strip_prefix('<')?.strip_suffix('>')?;
            let inner = self.of(inner, generics, depth + 1)?;
            (inner.passed.0 != "&mut ")
                .then(|| (0..inner.made.len()).map(|at| inner.written(at)).collect::<Vec<_>>())
        };
        match kind {
            "String" => Values::of(
                self.literals.strings().into_iter().map(|one| format!("{one}.to_owned()")),
                ("", ""),
            ),
            "bool" => Values::of(["true", "false"], ("", "")),
            "char" => {
                let own = self.literals.characters.iter().map(String::as_str).take(12);
                Values::of(
                    ["'a'", "' '", "'0'", "'Z'", "'\u{e9}'", "'_'", "'\\n'"].into_iter().chain(own),
                    ("", ""),
                )
            }
            "f32" | "f64" => {
                let own = self.literals.integers.iter().take(8).map(|one| format!("{one}.0"));
                let fixed = ["0.0", "1.0", "-1.5", "0.1", "1e10", "-0.0"].map(str::to_owned).into_iter();
                let far =
                    ["NAN", "INFINITY", "MAX", "EPSILON"].into_iter().map(|one| format!("{kind}::{one}"));
                Values::of(fixed.chain(own).chain(far), ("", ""))
            }
            "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128"
            | "usize" => Values::of(self.integers(kind), ("", "")),
            "Duration" | "std::time::Duration" | "core::time::Duration" => {
                let made = [0, 1, 59, 60, 3_600, 86_400, 31_557_600]
                    .map(|one| format!("std::time::Duration::from_secs({one})"));
                let small = [
                    "std::time::Duration::new(1, 5)",
                    "std::time::Duration::from_millis(1500)",
                    "std::time::Duration::new(90061, 1_002_003)",
                ];
                Values::of(made.into_iter().chain(small.map(str::to_owned)), ("", ""))
            }
            "PathBuf" => Values::of(
                ["a/b.txt", "", "/x/../y"].map(|one| format!("std::path::PathBuf::from({one:?})")),
                ("", ""),
            ),
            "()" => Values::of(["()"], ("", "")),
            _ if kind.starts_with("Option<") => {
                let inner = inside("Option")?;
                Values::of(
                    inner.iter().take(12).map(|one| format!("Some({one})")).chain(["None".into()]),
                    ("", ""),
                )
            }
            _ if kind.starts_with("Box<") => {
                Values::of(inside("Box")?.iter().map(|one| format!("Box::new({one})")), ("", ""))
            }
            _ if kind.starts_with("Vec<") => Values::of(lists(&inside("Vec")?), ("", "")),
            _ if kind.starts_with("Cow<") => Values::of(
                self.literals.strings().into_iter().map(|one| format!("std::borrow::Cow::Borrowed({one})")),
                ("", ""),
            ),
            _ if kind.starts_with('(') => {
                let parts = split(kind.strip_prefix('(')?.strip_suffix(')')?);
                let parts: Option<Vec<Values>> =
                    parts.iter().map(|one| self.of(one, generics, depth + 1)).collect();
                let made = combined(&parts?, 10).into_iter().map(|one| format!("({one})"));
                Values::of(made, ("", ""))
            }
            _ => self.object(kind.split('<').next().unwrap_or(kind).trim(), depth),
        }
    }

    fn shared(&self, inner: &str, generics: &BTreeMap<String, String>, depth: usize) -> Option<Values> {
        match inner {
            "str" => Values::of(self.literals.strings(), ("", "")),
            "Path" | "std::path::Path" => Values::of(
                ["a/b.txt", "", "/x/../y"].map(|one| format!("std::path::Path::new({one:?})")),
                ("", ""),
            ),
            "[u8]" => {
                let strings = self.literals.strings();
                let made = strings.iter().filter(|one| one.is_ascii()).map(|one| format!("b{one}.to_vec()"));
                Values::of(made.chain(["vec![0, 255, 128, 10]".into()]), ("&", "[..]"))
            }
            _ if inner.starts_with('[') => {
                let of = inner.strip_prefix('[')?.strip_suffix(']')?;
                if of.contains(';') {
                    return None;
                }
                let values = self.of(of, generics, depth + 1)?;
                let each: Vec<String> = (0..values.made.len()).map(|at| values.written(at)).collect();
                Values::of(lists(&each), ("&", "[..]"))
            }
            _ => {
                let inner = self.of(inner, generics, depth)?;
                (inner.passed == ("", "")).then_some(Values { passed: ("&", ""), ..inner })
            }
        }
    }

    /// For a type parameter or `impl Trait`.
    fn bounded(&self, bounds: &str, generics: &BTreeMap<String, String>, depth: usize) -> Option<Values> {
        let has = |word: &str| bounds.contains(word);
        if has("AsRef<[u8]>") {
            return Values::of(
                self.literals
                    .strings()
                    .iter()
                    .filter(|one| one.is_ascii())
                    .map(|one| format!("b{one}.to_vec()")),
                ("", ""),
            );
        }
        if let Some((_, rest)) =
            bounds.split_once("Iterator<Item = ").or_else(|| bounds.split_once("Iterator<Item="))
        {
            let values = self.of(rest.strip_suffix('>').unwrap_or(rest), generics, depth + 1)?;
            let each: Vec<String> = (0..values.made.len()).map(|at| values.written(at)).collect();
            return Values::of(lists(&each).into_iter().map(|one| format!("{one}.into_iter()")), ("", ""));
        }
        if [
            "AsRef<str>",
            "Into<String>",
            "Display",
            "ToString",
            "Into<Cow<str>>",
            "AsRef<Path>",
            "AsRef<OsStr>",
        ]
        .into_iter()
        .any(has)
        {
            return self.shared("str", generics, depth);
        }
        if bounds.is_empty()
            || ["Copy", "Clone", "Ord", "Debug", "PartialEq", "Hash", "Into<i", "Into<u", "Into<f"]
                .into_iter()
                .any(has)
        {
            let known = bounds.contains("Fn") || bounds.contains("Read") || bounds.contains("Write");
            return if known { None } else { Values::of(self.integers("i32").into_iter().take(8), ("", "")) };
        }
        None
    }

    fn integers(&self, kind: &str) -> Vec<String> {
        let bits: u32 = kind[1..].parse().unwrap_or(64);
        let is_signed = kind.starts_with('i');
        let most =
            if is_signed { (1_i128 << (bits - 1).min(126)) - 1 } else { (1_i128 << bits.min(126)) - 1 };
        let least = if is_signed { -most - 1 } else { 0 };
        let fixed = [1, 0, 2, -1, 10, 100, 255, 1_000];
        let all = fixed.into_iter().chain(self.literals.integers.iter().copied().take(16));
        let fits = all.filter(|one| (least..=most).contains(one)).map(|one| one.to_string());
        let ends = ["MAX", "MIN"]
            .into_iter()
            .filter(|one| is_signed || *one == "MAX")
            .map(|one| format!("{kind}::{one}"));
        fits.chain(ends).collect()
    }

    /// An object of a type of the library.
    fn object(&self, name: &str, depth: usize) -> Option<Values> {
        let path = self.items.types.get(name.rsplit("::").next()?)?;
        let makers = self.items.makers.get(name.rsplit("::").next()?)?;
        let mut made = Vec::new();
        let few = if depth == 0 { 8 } else { 3 };
        for maker in makers {
            match maker {
                Maker::Plain(text) => made.push(text.clone()),
                Maker::Parse => made.extend(
                    self.literals
                        .strings()
                        .iter()
                        .take(few * 2)
                        .map(|one| format!("{one}.parse::<{path}>().unwrap()")),
                ),
                Maker::Function(call, ending) => {
                    let Some(arguments) = self.arguments(call, depth + 1) else { continue };
                    made.extend(
                        combined(&arguments, few)
                            .into_iter()
                            .map(|one| format!("{}({one}){ending}", call.path)),
                    );
                }
                Maker::Fields(path, fields) => {
                    let values: Option<Vec<Values>> =
                        fields.iter().map(|(_, kind)| self.of(kind, &BTreeMap::new(), depth + 1)).collect();
                    let Some(values) = values else { continue };
                    for turn in 0..few {
                        let parts =
                            fields.iter().zip(&values).enumerate().map(|(at, ((field, _), values))| {
                                let value =
                                    values.written((turn + at * usize::from(turn > 2)) % values.made.len());
                                if field.is_empty() { value } else { format!("{field}: {value}") }
                            });
                        let parts: Vec<String> = parts.collect();
                        let is_tuple = fields.iter().all(|(field, _)| field.is_empty());
                        let parts = parts.join(", ");
                        made.push(if is_tuple {
                            format!("{path}({parts})")
                        } else {
                            format!("{path} {{ {parts} }}")
                        });
                    }
                }
            }
        }
        // Objects to which something was done before.
        if depth == 0 {
            let first: Vec<String> = made.iter().take(2).cloned().collect();
            let changing = self.items.calls.iter().filter(|call| {
                call.receiver
                    .as_ref()
                    .is_some_and(|(way, of)| *way == Receiver::Unique && of.split('<').next() == Some(name))
            });
            for call in changing.take(4) {
                let Some(arguments) = self.arguments(call, depth + 2) else { continue };
                for (object, arguments) in first.iter().zip(combined(&arguments, 2)) {
                    made.push(format!(
                        "{{ let mut object = {object}; object.{}({arguments}); object }}",
                        call.path
                    ));
                }
            }
        }
        Values::of(made, ("", ""))
    }

    /// Values for all parameters of a call.
    pub(super) fn arguments(&self, call: &Call, depth: usize) -> Option<Vec<Values>> {
        call.parameters.iter().map(|kind| self.of(kind, &call.generics, depth)).collect()
    }
}

/// Vectors of values.
fn lists(each: &[String]) -> Vec<String> {
    let some = |from: usize, count: usize| {
        let parts: Vec<&str> = each.iter().cycle().skip(from).take(count).map(String::as_str).collect();
        format!("vec![{}]", parts.join(", "))
    };
    let few = each.len().min(INNER_MAX);
    vec![some(0, few.min(3)), "vec![]".into(), some(0, 1), some(1, few), format!("vec![{0}, {0}]", each[0])]
}

/// Lists of arguments: one after the other, then shifted against each other.
fn combined(parts: &[Values], most: usize) -> Vec<String> {
    if parts.is_empty() {
        return vec![String::new()];
    }
    let longest = parts.iter().map(|one| one.made.len()).max().unwrap_or(1);
    (0..most.min(longest))
        .map(|turn| {
            let each = parts.iter().enumerate();
            let each: Vec<String> = each
                .map(|(at, one)| one.written((turn + at * usize::from(turn > 2)) % one.made.len()))
                .collect();
            each.join(", ")
        })
        .collect()
}
