//! What a search gets to.

use super::*;

#[tokio::test]
async fn context_managers_enumerations_dataclasses_and_returned_functions_are_tested() {
    let source = r#"
import contextlib
import dataclasses
import enum


class Level(enum.Enum):
    LOW = 1
    HIGH = 2

    def next(self):
        return Level.HIGH if self is Level.LOW else Level.LOW


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0

    @property
    def size(self):
        if self.x > 99:
            return "far"
        return "near"


class Door:
    def __init__(self):
        self.state = "shut"

    def __enter__(self):
        self.state = "open"
        return self

    def __exit__(self, *error):
        self.state = "shut again"


@contextlib.contextmanager
def scaled(n: int):
    yield n * 3


def adder(n: int):
    def add(m):
        if m == 1:
            return n + 1
        return n + m

    return add


STYLES = {"plain": "{}", "starred": "*{}*"}


def shown(text: str, style="plain"):
    form = STYLES.get(style)
    if form is None:
        raise LookupError(style)
    if style == "starred":
        return form.format(text).upper()
    return form.format(text)
"#;
    let folder = folder_of(&[("kinds.py", source)]);
    let answer = generate(folder.path(), "kinds.py", json!({})).await;
    let text = content(&answer);
    assert_eq!(answer["results"][0]["after"]["line"]["pct"], 100.0, "{answer}");
    for part in ["with obj:", "as entered:", "obj.next()", "'starred'", "adder(1)(1)"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    fs::write(folder.path().join("t.py"), text).unwrap();
    assert!(passes(folder.path(), "t.py"), "{text}");
}

#[tokio::test]
async fn names_that_promise_a_property_are_taken_at_their_word_if_it_holds() {
    let source = r#"
import re


def normalize_name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def clean(text: str) -> str:
    return text[1:] if text[:1] == "a" else text


def encode_text(text: str) -> list:
    return [ord(one) + 1 for one in text]


def decode_text(codes: list) -> str:
    return "".join(chr(one - 1) for one in codes)


def distance(one: int, other: int) -> int:
    return abs(one - other)
"#;
    let folder = folder_of(&[("names.py", source)]);
    let answer = generate(folder.path(), "names.py", json!({})).await;
    let tests = answer["results"][0]["tests"].as_array().unwrap();
    let properties: Vec<_> = tests
        .iter()
        .filter(|test| test["oracle"] == "property")
        .map(|test| test["name"].as_str().unwrap())
        .collect();
    // `clean` takes one letter at a time: twice is not as once.
    assert_eq!(
        properties,
        ["test_normalize_name_is_idempotent", "test_encode_text_and_back", "test_distance_is_commutative"],
        "{}",
        content(&answer)
    );
    fs::write(folder.path().join("t.py"), content(&answer)).unwrap();
    assert!(passes(folder.path(), "t.py"));
    let wrong = source.replace("chr(one - 1)", "chr(one - 2)");
    fs::write(folder.path().join("names.py"), wrong).unwrap();
    assert!(!passes(folder.path(), "t.py"));
}

#[tokio::test]
async fn what_a_doctest_prepares_is_used() {
    let source = "import operator\n\n\ndef fold(function, items, start):\n    \"\"\"\n    >>> from operator import mul\n    >>> numbers = [3, 5, 7]\n    >>> fold(mul, numbers, 2)\n    210\n    \"\"\"\n    for item in items:\n        start = function(start, item)\n    if start == 210:\n        return 'found'\n    return start\n";
    let folder = folder_of(&[("fold.py", source)]);
    let answer = generate(folder.path(), "fold.py", json!({})).await;
    assert!(content(&answer).contains("fold(operator.mul, [3, 5, 7], 2)"), "{}", content(&answer));
}
