//! Values to call Go with: what is at the borders of a type, what the package names, and what its functions make.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

/// Values of one parameter, and how deep objects are made of objects.
const VALUES_MAX: usize = 36;
const DEPTH_MAX: usize = 2;
/// Objects that one function makes inside of others.
const INNER_MAX: usize = 3;
/// Fields and elements that are written out.
const FIELDS_MAX: usize = 8;
const ELEMENTS_MAX: usize = 32;
const LITERAL_BYTES_MAX: usize = 60;

/// What a type of the package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// Names and types of its fields.
    Struct(Vec<(String, String)>),
    /// The type that it is made of.
    Of(String),
}

/// A function that returns an object.
#[derive(Debug, Clone)]
pub(super) struct Maker {
    pub(super) name: String,
    pub(super) parameters: Vec<String>,
    /// It returns an error, too.
    pub(super) may_fail: bool,
}

/// What a package names: literals, types, and what makes objects.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    pub(super) types: BTreeMap<String, Type>,
    /// By the type that they return, as it is written.
    pub(super) makers: BTreeMap<String, Vec<Maker>>,
    /// By type, the function that takes an object and an error and returns the object.
    pub(super) must: BTreeMap<String, String>,
    strings: Vec<String>,
    integers: Vec<i64>,
    runes: Vec<String>,
    /// Texts in comments and documents.
    shown: Vec<String>,
}

/// What makes an object where a function may fail, as an expression of one value; [`fallible`] reads it again.
fn unfailing(kind: &str, call: &str) -> String {
    format!("func() {kind} {{ made, err := {call}; if err != nil {{ panic(err) }}; return made }}()")
}

/// The call in what [`unfailing`] wrote.
pub(super) fn fallible(value: &str) -> Option<&str> {
    let (_, rest) = value.strip_prefix("func() ")?.split_once("{ made, err := ")?;
    rest.strip_suffix("; if err != nil { panic(err) }; return made }()")
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|one| (*one).to_owned()).collect()
}

impl Vocabulary {
    /// Adds the literals of a file, and what its comments quote.
    pub(super) fn learn(&mut self, root: Node<'_>, source: &str) {
        self.collect(root, source, 0);
    }

    /// Adds what a document quotes.
    pub(super) fn read(&mut self, text: &str) {
        for line in text.lines() {
            let quoted = line.split('"').skip(1).step_by(2);
            let plain = quoted.filter(|one| {
                (1..=LITERAL_BYTES_MAX).contains(&one.len())
                    && !one.contains(['\\', '`'])
                    && !one.contains(char::is_control)
            });
            self.shown.extend(plain.map(|one| format!("\"{one}\"")));
        }
    }

    fn collect(&mut self, node: Node<'_>, source: &str, depth: usize) {
        let text = source.get(node.byte_range()).unwrap_or_default();
        match node.kind() {
            "import_declaration" => return,
            "comment" => self.read(text),
            "interpreted_string_literal" if text.len() <= LITERAL_BYTES_MAX => {
                self.strings.push(text.to_owned());
            }
            "rune_literal" => self.runes.push(text.to_owned()),
            "int_literal" => {
                if let Ok(value) = text.parse::<i64>() {
                    self.integers.extend([value, value.saturating_add(1), value.saturating_sub(1)]);
                }
            }
            _ => {}
        }
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).filter(|_| depth < 200) {
            self.collect(child, source, depth + 1);
        }
    }

    /// Expressions of a type; `None`: nothing is known of it.
    pub(super) fn of(&self, kind: &str) -> Option<Vec<String>> {
        self.made(kind, 0)
    }

    fn made(&self, kind: &str, depth: usize) -> Option<Vec<String>> {
        if depth > DEPTH_MAX {
            return None;
        }
        let all = match kind {
            "string" => self.texts(),
            "bool" => words(&["true", "false"]),
            "int" | "int64" => self.numbers(kind, i64::MIN, i64::MAX),
            "int32" => self.numbers(kind, i32::MIN.into(), i32::MAX.into()),
            "int16" => self.numbers(kind, i16::MIN.into(), i16::MAX.into()),
            "int8" => self.numbers(kind, i8::MIN.into(), i8::MAX.into()),
            "uint" | "uint64" | "uint32" | "uintptr" => self.numbers(kind, 0, u32::MAX.into()),
            "uint16" => self.numbers(kind, 0, u16::MAX.into()),
            "uint8" | "byte" => self.numbers(kind, 0, 255),
            "rune" => {
                let mut all = words(&["'a'", "' '", "'0'", "'Z'", "'\u{e9}'", "'_'"]);
                all.extend(self.runes.iter().take(10).cloned());
                all
            }
            "float64" | "float32" => {
                ["0", "1", "-1.5", "0.1", "1e10", "100"].map(|one| format!("{kind}({one})")).to_vec()
            }
            "error" => words(&["error(nil)", "fmt.Errorf(\"boom\")"]),
            "interface{}" | "any" => words(&["1", "\"a\"", "nil", "[]int{1, 2}", "true"]),
            "[]byte" => {
                let mut all: Vec<String> = self.texts().iter().map(|one| format!("[]byte({one})")).collect();
                all.push("[]byte(nil)".into());
                all
            }
            _ => library(kind).or_else(|| self.composed(kind, depth))?,
        };
        let mut seen = BTreeSet::new();
        let all: Vec<String> =
            all.into_iter().filter(|one| seen.insert(one.clone())).take(VALUES_MAX).collect();
        (!all.is_empty()).then_some(all)
    }

    fn texts(&self) -> Vec<String> {
        let mut all = words(&["\"hello world\"", "\"\"", "\"a\""]);
        all.extend(self.strings.iter().take(9).cloned());
        all.extend(self.shown.iter().take(6).cloned());
        all.extend(self.with_operators());
        all.extend(words(&[
            "\"1.2.3\"",
            "\"1.2.0-beta.2+meta\"",
            "\"42\"",
            "\"fooBarBaz\"",
            "\"  padded  \"",
            "\"h\u{e9}llo \u{df}\"",
            "\"a,b;c=d\"",
            "\"FOO_BAR\"",
            "\"line1\\nline2\"",
            "\"2020-02-29\"",
            "\"https://example.org/a?b=c#d\"",
            "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"",
        ]));
        all
    }

    /// Operators that the package names, before something: by themselves they are rarely a whole input.
    fn with_operators(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let operators = self.strings.iter().map(|one| one.trim_matches('"')).filter(|one| {
            (1..=2).contains(&one.len())
                && one.bytes().all(|byte| b"<>=!~^+-*|&%#@".contains(&byte))
                && seen.insert(*one)
        });
        let mut all: Vec<String> = operators.take(8).map(|one| format!("\"{one}1.2.3\"")).collect();
        if let [first, second, ..] = &all[..] {
            let both = format!("{}, {}", first.trim_end_matches('"'), second.trim_start_matches('"'));
            all.push(both);
        }
        all
    }

    fn numbers(&self, kind: &str, least: i64, most: i64) -> Vec<String> {
        let all = [1, 0, 2, -1, 10, 100, 1_000]
            .into_iter()
            .chain(self.integers.iter().copied().take(14))
            .chain([most, least]);
        all.filter(|one| (least..=most).contains(one)).map(|one| format!("{kind}({one})")).collect()
    }

    /// Of types that are made of others, and of those of the package.
    fn composed(&self, kind: &str, depth: usize) -> Option<Vec<String>> {
        if let Some(inner) = kind.strip_prefix("...") {
            return self.made(inner, depth);
        }
        if let Some(inner) = kind.strip_prefix("[]") {
            let each = self.made(inner, depth + 1)?;
            let list = |parts: &[&String]| {
                let parts: Vec<&str> = parts.iter().map(|one| one.as_str()).collect();
                format!("{kind}{{{}}}", parts.join(", "))
            };
            let (first, last) = (&each[0], each.last()?);
            let three: Vec<&String> = each.iter().take(3).collect();
            let nil = format!("{kind}(nil)");
            return Some(vec![
                list(&three),
                nil,
                list(&[first]),
                list(&[last, first]),
                list(&[first, first]),
            ]);
        }
        if let Some((size, inner)) = kind.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let each = self.made(inner, depth + 1)?;
            let size = size.parse::<usize>().ok().filter(|size| *size <= ELEMENTS_MAX)?;
            let turned = |by: usize| {
                let parts: Vec<&str> = each.iter().cycle().skip(by).take(size).map(String::as_str).collect();
                format!("{kind}{{{}}}", parts.join(", "))
            };
            return Some(vec![turned(0), format!("{kind}{{}}"), turned(3), turned(each.len() - 1)]);
        }
        if let Some((key, value)) = kind.strip_prefix("map[").and_then(|rest| rest.split_once(']')) {
            let mut all = vec![format!("{kind}{{}}"), format!("{kind}(nil)")];
            if let (Some(keys), Some(values)) = (self.made(key, depth + 1), self.made(value, depth + 1)) {
                all.insert(0, format!("{kind}{{{}: {}}}", keys[0], values[0]));
            }
            return Some(all);
        }
        Some(self.objects(kind, depth))
    }

    /// Objects of a type of the package: by what makes them, then by their parts.
    fn objects(&self, kind: &str, depth: usize) -> Vec<String> {
        let mut all = self.by_makers(kind, depth);
        let (bare, sign) = kind.strip_prefix('*').map_or((kind, ""), |bare| (bare, "&"));
        if sign.is_empty() {
            all.extend(self.by_makers(&format!("*{bare}"), depth).into_iter().map(|one| format!("*{one}")));
        } else {
            let made = self.by_makers(bare, depth).into_iter();
            all.extend(made.map(|one| format!("func() {kind} {{ made := {one}; return &made }}()")));
        }
        match self.types.get(bare) {
            Some(Type::Struct(fields)) => {
                let values: Option<Vec<Vec<String>>> =
                    fields.iter().map(|(_, kind)| self.made(kind, depth + 1)).collect();
                let values = values.filter(|values| (1..=FIELDS_MAX).contains(&values.len()));
                for turn in 0..values.as_ref().map_or(0, |_| 2) {
                    let parts = fields
                        .iter()
                        .zip(values.iter().flatten())
                        .map(|((name, _), values)| format!("{name}: {}", values[turn * 2 % values.len()]));
                    all.push(format!("{sign}{bare}{{{}}}", parts.collect::<Vec<_>>().join(", ")));
                }
                all.push(format!("{sign}{bare}{{}}"));
            }
            Some(Type::Of(under)) if sign.is_empty() && under != bare => {
                let inner = self.made(under, depth).unwrap_or_default();
                // What is written with its type needs no other.
                all.extend(inner.into_iter().map(|one| match one.strip_prefix(under.as_str()) {
                    Some(rest) if rest.starts_with('{') => format!("{bare}{rest}"),
                    _ => format!("{bare}({one})"),
                }));
            }
            _ => {}
        }
        all
    }

    fn by_makers(&self, kind: &str, depth: usize) -> Vec<String> {
        let mut all = Vec::new();
        for maker in self.makers.get(kind).into_iter().flatten() {
            let each: Option<Vec<Vec<String>>> =
                maker.parameters.iter().map(|one| self.made(one, depth + 1)).collect();
            let Some(each) = each else { continue };
            let longest = each.iter().map(Vec::len).max().unwrap_or(1);
            // Of one that may fail, the first few may all fail.
            let most = if depth == 0 || maker.may_fail { longest } else { INNER_MAX.min(longest) };
            for turn in 0..most {
                let parts: Vec<&str> = each.iter().map(|one| one[turn % one.len()].as_str()).collect();
                let call = format!("{}({})", maker.name, parts.join(", "));
                all.push(match (maker.may_fail, self.must.get(kind)) {
                    (false, _) => call,
                    (true, Some(must)) => format!("{must}({call})"),
                    (true, None) => unfailing(kind, &call),
                });
            }
        }
        all
    }
}

/// Types of the standard library.
fn library(kind: &str) -> Option<Vec<String>> {
    Some(match kind {
        "time.Duration" => words(&[
            "90 * time.Minute",
            "time.Duration(0)",
            "-time.Hour",
            "1500 * time.Millisecond",
            "36 * time.Hour",
            "400 * 24 * time.Hour",
            "time.Duration(7)",
        ]),
        "time.Time" => words(&[
            "time.Date(2020, 2, 29, 12, 30, 15, 0, time.UTC)",
            "time.Unix(0, 0).UTC()",
            "time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)",
            "time.Date(2020, 2, 29, 12, 31, 0, 0, time.UTC)",
            "time.Time{}",
        ]),
        "time.Month" => words(&["time.January", "time.December"]),
        "io.Reader" => words(&["strings.NewReader(\"hello world\")", "strings.NewReader(\"\")"]),
        "io.Writer" => words(&["&bytes.Buffer{}"]),
        "*bytes.Buffer" => words(&["bytes.NewBufferString(\"hello world\")", "&bytes.Buffer{}"]),
        "context.Context" => words(&["context.Background()"]),
        "*regexp.Regexp" => words(&["regexp.MustCompile(\"[a-z]+\")"]),
        "*big.Int" => words(&["big.NewInt(1)", "big.NewInt(0)", "big.NewInt(-12345)", "big.NewInt(1<<62)"]),
        "*big.Float" => words(&["big.NewFloat(1.5)", "big.NewFloat(-12345.678)"]),
        _ => return None,
    })
}

/// Packages that values may name, and where they lie.
const PACKAGES: [(&str, &str); 9] = [
    ("big", "math/big"),
    ("bytes", "bytes"),
    ("context", "context"),
    ("fmt", "fmt"),
    ("io", "io"),
    ("regexp", "regexp"),
    ("strings", "strings"),
    ("testing", "testing"),
    ("time", "time"),
];

/// Paths of the packages that a text uses, in order; what stands in literals is not code.
pub(super) fn packages<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for text in texts {
        let code = outside_of_literals(text);
        for (name, path) in PACKAGES {
            let wanted = format!("{name}.");
            let mut places = code.match_indices(&wanted);
            let is_word = |at: usize| {
                !code[..at].ends_with(|one: char| one.is_alphanumeric() || matches!(one, '_' | '.'))
            };
            if places.any(|(at, _)| is_word(at)) {
                found.insert(path);
            }
        }
    }
    found
}

/// A text without what stands between quotes.
fn outside_of_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(one) = letters.next() {
        if !matches!(one, '"' | '\'' | '`') {
            code.push(one);
            continue;
        }
        while let Some(next) = letters.next() {
            if next == '\\' && one != '`' {
                letters.next();
            } else if next == one {
                break;
            }
        }
        code.push(' ');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let mut known = Vocabulary::default();
        known.types.insert("Id".into(), Type::Of("[2]byte".into()));
        known
            .types
            .insert("Box".into(), Type::Struct(vec![("id".into(), "Id".into()), ("n".into(), "int".into())]));
        let maker = Maker { name: "NewBox".into(), parameters: vec!["int".into()], may_fail: true };
        known.makers.insert("*Box".into(), vec![maker]);
        known
    }

    #[test]
    fn objects_come_from_what_makes_them_though_it_may_fail() {
        let mut known = vocabulary();
        let all = known.of("*Box").unwrap();
        assert_eq!(fallible(&all[0]), Some("NewBox(int(1))"), "{all:?}");
        assert!(all.contains(&"&Box{id: Id{byte(1), byte(0)}, n: int(1)}".to_owned()), "{all:?}");
        known.must.insert("*Box".into(), "Must".into());
        assert_eq!(known.of("*Box").unwrap()[0], "Must(NewBox(int(1)))");
        assert_eq!(known.of("Box").unwrap()[0], "*Must(NewBox(int(1)))");
        assert_eq!(known.of("Unknown"), None);
    }

    #[test]
    fn packages_are_those_that_the_code_names() {
        let found = packages(["f(\"time.Now\", 'x', strings.NewReader(\"a\\\"io.\"), sometime.x)"]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["strings"]);
    }

    #[test]
    fn what_comments_quote_is_tried_and_operators_stand_before_something() {
        let mut known = vocabulary();
        known.read("// such as \">= 1.0, < 2\" or \"bad \\x\"");
        known.strings = words(&["\">=\"", "\"<\"", "\"word\""]);
        let all = known.of("string").unwrap();
        for wanted in ["\">= 1.0, < 2\"", "\">=1.2.3\"", "\">=1.2.3, <1.2.3\""] {
            assert!(all.iter().any(|one| one == wanted), "{wanted}: {all:?}");
        }
    }
}
