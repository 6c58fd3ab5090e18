//! Test files of Java: what they import, and their text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::super::candidates::Block;
use super::super::files;
use super::super::target::Target;
use super::cases::Flavour;

/// Where the names are from that values and results are written with.
const NAMES: [(&str, &[&str]); 8] = [
    (
        "java.util",
        &[
            "ArrayDeque",
            "ArrayList",
            "Arrays",
            "Collection",
            "Collections",
            "Comparator",
            "Date",
            "Deque",
            "HashMap",
            "HashSet",
            "Iterator",
            "LinkedHashMap",
            "LinkedHashSet",
            "LinkedList",
            "List",
            "Locale",
            "Map",
            "Optional",
            "Queue",
            "Random",
            "Set",
            "SortedMap",
            "SortedSet",
            "TreeMap",
            "TreeSet",
            "UUID",
        ],
    ),
    ("java.util.regex", &["Pattern"]),
    (
        "java.util.function",
        &[
            "BiFunction",
            "BiPredicate",
            "BinaryOperator",
            "Consumer",
            "Function",
            "IntFunction",
            "IntPredicate",
            "IntUnaryOperator",
            "Predicate",
            "Supplier",
            "ToIntFunction",
            "UnaryOperator",
        ],
    ),
    ("java.util.concurrent", &["Callable", "TimeUnit"]),
    ("java.math", &["BigDecimal", "BigInteger"]),
    ("java.time", &["Duration", "Instant", "LocalDate", "LocalDateTime", "LocalTime"]),
    (
        "java.io",
        &[
            "ByteArrayInputStream",
            "ByteArrayOutputStream",
            "InputStream",
            "OutputStream",
            "Reader",
            "StringReader",
            "StringWriter",
            "Writer",
        ],
    ),
    ("java.nio.charset", &["Charset", "StandardCharsets"]),
];

/// How the tests of one file are written.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) package: String,
    /// Of the file that is tested.
    pub(super) imports: Vec<String>,
    /// Classes of the project that the tests see.
    pub(super) names: Vec<String>,
    pub(super) flavour: Flavour,
}

/// `test_Till_price_2` as a method of Java is named.
pub(super) fn title(name: &str) -> String {
    let name = name.trim_start_matches("test_");
    let mut parts: Vec<&str> = name.split('_').collect();
    // Of `Till.price` the class is the file's.
    if parts.len() > 1
        && parts[0].starts_with(char::is_uppercase)
        && !parts[1].starts_with(|one: char| one.is_ascii_digit())
    {
        parts.remove(0);
    }
    let name = parts.join("_");
    let name = if parts[0] == "new" { name.replacen("new", "constructor", 1) } else { name };
    let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", first.to_lowercase())
}

impl Writing {
    /// With names of the library as they are imported.
    pub(super) fn shortened(&self, test: &str) -> String {
        let mut text = test.to_owned();
        for (package, names) in NAMES {
            for name in names.iter().filter(|name| !self.is_taken(name)) {
                let long = format!("{package}.{name}");
                if text.contains(&long) {
                    text = text.replace(&long, name);
                }
            }
        }
        text
    }

    /// Whether a name means another class here.
    fn is_taken(&self, name: &str) -> bool {
        self.names.iter().any(|one| one == name)
            || self.imports.iter().any(|line| {
                let imported = line.trim_end_matches(';').rsplit(['.', ' ']).next();
                imported == Some(name)
                    && !NAMES.iter().any(|(package, names)| {
                        names.contains(&name) && line.ends_with(&format!(" {package}.{name};"))
                    })
            })
    }

    /// The package, and what these tests import.
    fn head(&self, tests: &[String]) -> String {
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for test in tests {
            used.extend(test.split(|one: char| !one.is_alphanumeric() && one != '_'));
        }
        let mut lines: BTreeSet<String> = BTreeSet::new();
        let mut own: BTreeSet<String> = BTreeSet::new();
        for line in &self.imports {
            let last = line.trim_end_matches(';').rsplit('.').next().unwrap_or_default();
            if last == "*" || used.contains(last) {
                lines.insert(line.clone());
            }
        }
        for (package, names) in NAMES {
            for name in names.iter().filter(|name| used.contains(*name) && !self.is_taken(name)) {
                lines.insert(format!("import {package}.{name};"));
            }
        }
        let (test, all) = match self.flavour {
            Flavour::Five => ("org.junit.jupiter.api.Test", "org.junit.jupiter.api.Assertions"),
            Flavour::Four => ("org.junit.Test", "org.junit.Assert"),
        };
        lines.insert(format!("import {test};"));
        for name in used.iter().filter(|name| name.starts_with("assert")) {
            own.insert(format!("import static {all}.{name};"));
        }
        let mut text = String::new();
        if !self.package.is_empty() {
            let _ = writeln!(text, "package {};\n", self.package);
        }
        let statics: Vec<String> =
            lines.iter().filter(|line| line.starts_with("import static")).cloned().chain(own).collect();
        for line in &statics {
            let _ = writeln!(text, "{line}");
        }
        if !statics.is_empty() {
            text.push('\n');
        }
        for line in lines.iter().filter(|line| !line.starts_with("import static")) {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// A whole test file.
    pub(super) fn file(&self, kept: &[Block], path: &str, target: &Target, seed: u64) -> String {
        let tests: Vec<String> = files::named(kept)
            .into_iter()
            .map(|(name, test)| test.replacen(&name, &title(&name), 1))
            .collect();
        let class = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".java");
        let public = if self.flavour == Flavour::Four { "public " } else { "" };
        format!(
            "{}\n/**\n * Characterization tests of {}: they pin what it does, which need not be right.\n * Generated by qe_test_generate (seed {seed}).\n */\n{public}class {class} {{\n{}}}\n",
            self.head(&tests),
            target.file,
            tests.join("\n")
        )
    }

    /// All candidates that are not broken in one class, and the first line of each.
    pub(super) fn confirmer(
        &self,
        blocks: &[Block],
        broken: &BTreeSet<usize>,
        name: impl Fn(usize) -> String,
    ) -> (String, BTreeMap<u32, usize>) {
        let tests: Vec<String> = blocks.iter().map(|block| block.strong.clone()).collect();
        let public = if self.flavour == Flavour::Four { "public " } else { "" };
        let mut text = format!("{}{public}class AqeConfirmer {{\n", self.head(&tests));
        let mut lines = BTreeMap::new();
        for (place, test) in tests.iter().enumerate().filter(|(place, _)| !broken.contains(place)) {
            lines.insert(u32::try_from(text.lines().count()).unwrap_or(u32::MAX) + 1, place);
            text.push_str(&test.replacen("test_", &name(place), 1));
        }
        text.push_str("}\n");
        (text, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_have_names_as_java_has_them() {
        assert_eq!(title("test_Till_price_2"), "price_2");
        assert_eq!(title("test_Till_new_throws"), "constructor_throws");
        assert_eq!(title("test_Till_Basket_add"), "basket_add");
    }

    #[test]
    fn names_of_the_library_are_imported_unless_they_mean_something_else() {
        let writing = Writing {
            package: "a".into(),
            imports: vec!["import b.List;".into(), "import c.Unused;".into()],
            names: vec!["Optional".into()],
            flavour: Flavour::Five,
        };
        let test = writing.shortened(
            "assertEquals(java.util.Arrays.asList(1), java.util.Optional.of(java.util.List.of()))",
        );
        assert_eq!(test, "assertEquals(Arrays.asList(1), java.util.Optional.of(java.util.List.of()))");
        let head = writing.head(&[test]);
        assert!(head.contains("import java.util.Arrays;") && head.contains("import b.List;"), "{head}");
        assert!(!head.contains("Unused") && !head.contains("java.util.List;"), "{head}");
    }
}
