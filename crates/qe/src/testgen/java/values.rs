//! Values to call Java with: what is at the borders of a type, and what the file itself names.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::items::{Class, bare};

/// Values of one parameter, and how deep objects are made of objects.
const VALUES_MAX: usize = 26;
const DEPTH_MAX: usize = 2;
const LITERAL_BYTES_MAX: usize = 60;

/// What a file names.
#[derive(Debug, Default)]
pub(super) struct Literals {
    strings: Vec<String>,
    characters: Vec<String>,
    integers: Vec<i64>,
    decimals: Vec<String>,
}

impl Literals {
    pub(super) fn of(root: Node<'_>, source: &str) -> Self {
        let mut found = Self::default();
        found.collect(root, source, 0);
        found
    }

    fn collect(&mut self, node: Node<'_>, source: &str, depth: usize) {
        let text = source.get(node.byte_range()).unwrap_or_default();
        match node.kind() {
            "import_declaration" | "annotation" => return,
            "string_literal" if text.len() <= LITERAL_BYTES_MAX && !text.starts_with("\"\"\"") => {
                self.strings.push(text.to_owned());
            }
            "character_literal" => self.characters.push(text.to_owned()),
            "decimal_floating_point_literal" => {
                self.decimals.push(text.trim_end_matches(['f', 'F', 'd', 'D']).to_owned());
            }
            "decimal_integer_literal" | "hex_integer_literal" => {
                let text = text.trim_end_matches(['l', 'L']).replace('_', "");
                let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                    Some(digits) => i64::from_str_radix(digits, 16),
                    None => text.parse(),
                };
                if let Ok(value) = value {
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
}

/// Where values come from.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) classes: &'a [Class],
    pub(super) literals: &'a Literals,
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|one| (*one).to_owned()).collect()
}

impl Values<'_> {
    /// Expressions of a type; `null` is among them where the type has it. `None`: nothing is known of the type.
    pub(super) fn of(&self, kind: &str) -> Option<Vec<String>> {
        let mut all = self.made(kind, 0)?;
        all.truncate(VALUES_MAX - 1);
        let is_primitive =
            matches!(kind, "int" | "long" | "short" | "byte" | "char" | "boolean" | "double" | "float");
        if !is_primitive {
            // Overloads are told apart by it.
            all.push(format!("({kind}) null"));
        }
        Some(all)
    }

    /// Objects to call methods of.
    pub(super) fn objects(&self, kind: &str) -> Option<Vec<String>> {
        let mut all = self.made(kind, 0)?;
        all.truncate(VALUES_MAX);
        Some(all)
    }

    fn made(&self, kind: &str, depth: usize) -> Option<Vec<String>> {
        if depth > DEPTH_MAX {
            return None;
        }
        let all = match kind {
            _ if kind.ends_with("[]") => self.array(kind, depth)?,
            "boolean" | "Boolean" => words(&["true", "false"]),
            "int" | "Integer" => self.integers("", i32::MIN.into(), i32::MAX.into(), ""),
            "long" | "Long" => self.integers("", i64::MIN, i64::MAX, "L"),
            "short" | "Short" => self.integers("(short) ", i16::MIN.into(), i16::MAX.into(), ""),
            "byte" | "Byte" => self.integers("(byte) ", i8::MIN.into(), i8::MAX.into(), ""),
            "char" | "Character" => {
                let mut all = words(&["'a'", "' '", "'0'", "'Z'", "'\\u00e9'", "'_'"]);
                all.extend(self.literals.characters.iter().take(12).cloned());
                all
            }
            "double" | "Double" => self.decimals(""),
            "float" | "Float" => self.decimals("f"),
            "Number" => words(&["1", "-2.5", "0L"]),
            "String" | "CharSequence" | "java.lang.String" => self.strings(),
            "Object" | "Comparable" => words(&["\"a\"", "1", "\"\"", "true", "2.5"]),
            "Iterable" | "Collection" | "List" => {
                words(&["Arrays.asList(\"a\", \"b\")", "new ArrayList<>()"])
            }
            "Map" => words(&["new HashMap<>()", "Collections.singletonMap(\"a\", \"b\")"]),
            _ => self.known(kind, depth)?,
        };
        let mut seen = BTreeSet::new();
        let all: Vec<String> = all.into_iter().filter(|one| seen.insert(one.clone())).collect();
        (!all.is_empty()).then_some(all)
    }

    fn strings(&self) -> Vec<String> {
        let mut all = words(&["\"hello world\"", "\"\"", "\"a\""]);
        all.extend(self.literals.strings.iter().take(10).cloned());
        all.extend(words(&[
            "\"42\"",
            "\"fooBarBaz\"",
            "\"  padded  \"",
            "\"h\\u00e9llo \\u00df\"",
            "\"a,b;c=d\"",
            "\"FOO_BAR\"",
            "\"-1.5\"",
            "\"line1\\nline2\"",
            "\"(a [b] {c})\"",
            "\"2020-02-29\"",
            "\"0x1F\"",
            "\"true\"",
        ]));
        all
    }

    fn integers(&self, cast: &str, least: i64, most: i64, ending: &str) -> Vec<String> {
        let all = [1, 0, 2, -1, 10, 100, 1_000]
            .into_iter()
            .chain(self.literals.integers.iter().copied().take(15))
            .chain([most, least]);
        all.filter(|one| (least..=most).contains(one)).map(|one| format!("{cast}{one}{ending}")).collect()
    }

    fn decimals(&self, ending: &str) -> Vec<String> {
        let mut all: Vec<String> = ["1.0", "0.0", "-1.5", "0.1", "1e10", "100.0"]
            .into_iter()
            .map(str::to_owned)
            .chain(self.literals.decimals.iter().take(8).cloned())
            .map(|one| format!("{one}{ending}"))
            .collect();
        let class = if ending.is_empty() { "Double" } else { "Float" };
        all.extend(["NaN", "POSITIVE_INFINITY"].map(|one| format!("{class}.{one}")));
        all
    }

    fn array(&self, kind: &str, depth: usize) -> Option<Vec<String>> {
        let each = self.made(kind.strip_suffix("[]")?, depth + 1)?;
        // Arrays cannot be of types with parameters.
        let of = bare(kind);
        let of = if of.ends_with("[]") { of } else { format!("{of}[]") };
        Some(lists(&each).into_iter().map(|list| format!("new {of} {{{list}}}")).collect())
    }

    /// Types of the library, and of the project.
    fn known(&self, kind: &str, depth: usize) -> Option<Vec<String>> {
        let own = self.own(kind, depth);
        if own.is_some() {
            return own;
        }
        let (name, inner) = parts(kind);
        let name = name.rsplit('.').next().unwrap_or(name);
        let of = |at: usize| -> Option<Vec<String>> {
            let kind = inner.get(at).map_or("String", String::as_str);
            self.made(kind, depth + 1)
        };
        Some(match name {
            "List" | "Collection" | "Iterable" => {
                let mut all: Vec<String> =
                    lists(&of(0)?).into_iter().map(|list| format!("Arrays.asList({list})")).collect();
                all.push("new ArrayList<>()".into());
                all.retain(|one| one != "Arrays.asList()");
                all
            }
            "ArrayList" | "LinkedList" | "HashSet" | "LinkedHashSet" | "TreeSet" | "ArrayDeque" => {
                let all = lists(&of(0)?);
                all.into_iter().map(|list| format!("new {name}<>(Arrays.asList({list}))")).collect()
            }
            "Set" | "SortedSet" => {
                let class = if name == "Set" { "LinkedHashSet" } else { "TreeSet" };
                lists(&of(0)?)
                    .into_iter()
                    .map(|list| format!("new {class}<>(Arrays.asList({list}))"))
                    .collect()
            }
            "Queue" | "Deque" => lists(&of(0)?)
                .into_iter()
                .map(|list| format!("new ArrayDeque<>(Arrays.asList({list}))"))
                .collect(),
            "Iterator" => {
                lists(&of(0)?).into_iter().map(|list| format!("Arrays.asList({list}).iterator()")).collect()
            }
            "Map" | "HashMap" | "TreeMap" | "LinkedHashMap" | "SortedMap" => {
                let class = match name {
                    "Map" => "LinkedHashMap",
                    "SortedMap" => "TreeMap",
                    name => name,
                };
                let (keys, values) = (of(0)?, of(1)?);
                let mut all = vec![format!("new {class}<>()")];
                for (key, value) in keys.iter().zip(&values).take(3) {
                    all.push(format!("new {class}<>(Collections.singletonMap({key}, {value}))"));
                }
                all
            }
            "Optional" => {
                let mut all = vec!["Optional.empty()".to_owned()];
                all.extend(of(0)?.iter().take(3).map(|one| format!("Optional.of({one})")));
                all
            }
            "Comparator" => words(&["Comparator.naturalOrder()", "Comparator.reverseOrder()"]),
            "Predicate" | "IntPredicate" => words(&["x -> true", "x -> false"]),
            "BiPredicate" => words(&["(x, y) -> true", "(x, y) -> false"]),
            "Runnable" => words(&["() -> { }"]),
            "Consumer" => words(&["x -> { }"]),
            "UnaryOperator" => words(&["x -> x"]),
            "BinaryOperator" => words(&["(x, y) -> x", "(x, y) -> y"]),
            "Function" => of(1)?.iter().take(3).map(|one| format!("x -> {one}")).collect(),
            "BiFunction" => of(2)?.iter().take(3).map(|one| format!("(x, y) -> {one}")).collect(),
            "Supplier" | "Callable" => of(0)?.iter().take(3).map(|one| format!("() -> {one}")).collect(),
            "IntUnaryOperator" => words(&["x -> x + 1"]),
            "IntFunction" | "ToIntFunction" => words(&["x -> 1", "x -> -1"]),
            "Locale" => words(&["Locale.ROOT", "Locale.GERMANY", "Locale.US"]),
            "Charset" => words(&["StandardCharsets.UTF_8", "StandardCharsets.ISO_8859_1"]),
            "StringBuilder" | "StringBuffer" => words(&["new X(\"hello\")", "new X()", "new X(\"a b\")"])
                .iter()
                .map(|one| one.replace('X', name))
                .collect(),
            "Appendable" => words(&["new StringBuilder(\"a\")"]),
            "BigDecimal" => words(&[
                "BigDecimal.ONE",
                "BigDecimal.ZERO",
                "new BigDecimal(\"-12.345\")",
                "new BigDecimal(\"1e20\")",
            ]),
            "BigInteger" => {
                words(&["BigInteger.ONE", "BigInteger.ZERO", "new BigInteger(\"-12345678901234567890\")"])
            }
            "LocalDate" => words(&["LocalDate.of(2020, 2, 29)", "LocalDate.of(1999, 12, 31)"]),
            "LocalDateTime" => words(&["LocalDateTime.of(2020, 2, 29, 12, 30)"]),
            "LocalTime" => words(&["LocalTime.of(12, 30)", "LocalTime.MIDNIGHT"]),
            "Instant" => words(&["Instant.EPOCH", "Instant.ofEpochSecond(1_600_000_000L)"]),
            "Duration" => words(&["Duration.ofSeconds(90)", "Duration.ZERO"]),
            "Date" => words(&["new Date(0L)", "new Date(1_600_000_000_000L)"]),
            "UUID" => words(&["new UUID(1L, 2L)"]),
            "Random" => words(&["new Random(42L)"]),
            "Pattern" => words(&["Pattern.compile(\"[a-z]+\")", "Pattern.compile(\"(\\\\d+)-(\\\\d+)\")"]),
            "Class" => words(&["String.class", "Integer.class"]),
            "TimeUnit" => words(&["TimeUnit.SECONDS", "TimeUnit.NANOSECONDS"]),
            "Throwable" | "Exception" => words(&["new IllegalStateException(\"boom\")"]),
            "InputStream" => words(&[
                "new ByteArrayInputStream(new byte[] {104, 105, 10})",
                "new ByteArrayInputStream(new byte[0])",
            ]),
            "OutputStream" | "ByteArrayOutputStream" => words(&["new ByteArrayOutputStream()"]),
            "Reader" | "StringReader" => {
                words(&["new StringReader(\"hi, there\\n\")", "new StringReader(\"\")"])
            }
            "Writer" | "StringWriter" => words(&["new StringWriter()"]),
            _ => return None,
        })
    }

    /// Enums, and what constructors and factories make.
    fn own(&self, kind: &str, depth: usize) -> Option<Vec<String>> {
        let name = bare(kind);
        let class = self.classes.iter().find(|class| {
            class.name == name || class.name.rsplit('.').next() == Some(name.as_str()) && !name.contains('.')
        })?;
        let mut all: Vec<String> = class.constants.iter().take(12).cloned().collect();
        for (head, parameters) in &class.makers {
            // What is made of itself would be made without end.
            if parameters.iter().any(|one| bare(one) == class.name) {
                continue;
            }
            let each: Option<Vec<Vec<String>>> =
                parameters.iter().map(|one| self.made(one, depth + 1)).collect();
            let Some(each) = each else { continue };
            let turns = if parameters.is_empty() { 1 } else { 5 };
            for turn in 0..turns {
                // Different places move at different speeds, so that not all are at their first value at once.
                let parts: Vec<&str> = each
                    .iter()
                    .enumerate()
                    .filter_map(|(at, one)| one.get((turn * (at + 1)) % one.len()).map(String::as_str))
                    .collect();
                all.push(format!("{head}({})", parts.join(", ")));
            }
        }
        (!all.is_empty()).then_some(all)
    }
}

/// What is put into lists: some, one, two in the other order, two alike, and none.
fn lists(each: &[String]) -> Vec<String> {
    let (Some(first), Some(last)) = (each.first(), each.last()) else { return Vec::new() };
    let three: Vec<&str> = each.iter().take(3).map(String::as_str).collect();
    vec![
        three.join(", "),
        first.clone(),
        format!("{last}, {first}"),
        String::new(),
        format!("{first}, {first}"),
        each.iter().skip(1).take(4).cloned().collect::<Vec<_>>().join(", "),
    ]
}

/// `Map<String, List<X>>` as its name and what is between the brackets.
fn parts(kind: &str) -> (&str, Vec<String>) {
    let Some((name, rest)) = kind.split_once('<') else { return (kind, Vec::new()) };
    let inside = rest.strip_suffix('>').unwrap_or(rest);
    let (mut found, mut depth, mut one) = (Vec::new(), 0_i32, String::new());
    for letter in inside.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            ',' if depth == 0 => {
                found.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(letter);
    }
    found.push(one.trim().to_owned());
    (name.trim(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_type_and_objects_of_what_makes_them() {
        let class = Class {
            kind: "Box<String>".into(),
            name: "Box".into(),
            constants: Vec::new(),
            makers: vec![("new Box<String>".into(), vec!["List<String>".into(), "int".into()])],
        };
        let literals = Literals { strings: vec!["\"own\"".into()], ..Literals::default() };
        let values = Values { classes: &[class], literals: &literals };
        let has = |kind: &str, value: &str| {
            let all = values.of(kind).unwrap_or_default();
            assert!(all.iter().any(|one| one == value), "{value} of {kind}: {all:?}");
        };
        has("String", "\"own\"");
        has("String", "(String) null");
        has("int[]", "new int[] {1, 0, 2}");
        has("Map<String, List<Integer>>", "new LinkedHashMap<>()");
        has("Box<String>", "new Box<String>(Arrays.asList(\"hello world\", \"\", \"a\"), 1)");
        assert!(!values.of("byte").unwrap().iter().any(|one| one.contains("1000")));
        assert_eq!(values.of("Socket"), None);
    }
}
