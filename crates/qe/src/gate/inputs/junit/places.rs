//! Places in files that the text of a failure speaks of: `src/lib.rs:10:5`, `tests/test_a.py:12: AssertionError`,
//! `File "a.py", line 3`.

/// Lines of a failure that are looked at: what comes later is mostly what was printed.
const LINES: usize = 500;
/// Bytes of a path.
const PATH_BYTES: usize = 512;

/// Paths and line numbers, in order.
#[derive(Debug)]
pub(super) struct Places<'a> {
    lines: std::iter::Take<std::str::Lines<'a>>,
    line: &'a str,
}

impl<'a> Places<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { lines: text.lines().take(LINES), line: "" }
    }
}

impl<'a> Iterator for Places<'a> {
    type Item = (&'a str, u32);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(at) = self.line.find([':', ',']) {
                let line = self.line;
                let (before, after) = (&line[..at], &line[at + 1..]);
                let is_colon = line.as_bytes()[at] == b':';
                let place = if is_colon {
                    last_word(before).zip(number(after))
                } else {
                    // As Python's own tracebacks have it.
                    let path = before.trim_end_matches('"').rsplit_once("File \"").map(|(_, path)| path);
                    path.zip(after.strip_prefix(" line ").and_then(number))
                };
                self.line = after;
                if let Some(place) = place.filter(|(path, _)| is_file(path)) {
                    return Some(place);
                }
            }
            self.line = self.lines.next()?;
        }
    }
}

/// What stands before a colon, back to the first character that paths do not have.
fn last_word(text: &str) -> Option<&str> {
    let is_of_path = |c: char| c.is_alphanumeric() || "_-./\\@+".contains(c);
    let start = text.char_indices().rev().take_while(|(_, c)| is_of_path(*c)).last()?.0;
    text.get(start..)
}

/// The number that a text begins with.
fn number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok().filter(|line| *line > 0)
}

/// Whether it ends as files of sources do.
fn is_file(path: &str) -> bool {
    path.len() <= PATH_BYTES
        && path.rsplit_once('.').is_some_and(|(stem, extension)| {
            !stem.is_empty()
                && extension.starts_with(|c: char| c.is_ascii_alphabetic())
                && extension.chars().all(|c| c.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runners_write_of_a_failure_is_understood() {
        let of = |text| Places::of(text).collect::<Vec<_>>();
        let pytest = "    def test_a():\n>       assert half(3) == 1\n\ntests/test_a.py:5: \n_ _ _\nsrc/half.py:3: ValueError: 2:1";
        assert_eq!(of(pytest), [("tests/test_a.py", 5), ("src/half.py", 3)]);
        let rust = "thread 'a' panicked at crates/x/src/lib.rs:10:5:\nassertion `left == right` failed\n  left: 1\n right: 2";
        assert_eq!(of(rust), [("crates/x/src/lib.rs", 10)]);
        let jest = "Error: expect(received)\n    at Object.<anonymous> (/home/me/app/src/sum.test.js:5:10)\n    at new Promise (<anonymous>)";
        assert_eq!(of(jest), [("/home/me/app/src/sum.test.js", 5)]);
        let python = "Traceback (most recent call last):\n  File \"tests/test_b.py\", line 12, in test_b\n    self.assertEqual(1, 2)";
        assert_eq!(of(python), [("tests/test_b.py", 12)]);
        let java = "at com.x.FooTest.bar(FooTest.java:12)\nwin C:\\a\\b.cs:7";
        assert_eq!(of(java), [("FooTest.java", 12), ("\\a\\b.cs", 7)]);
        for nothing in
            ["", ":", "12:30:59", "a.py:", "a.py:0", "a.py:x", "time: 3, line 4", "é:1", ".py:1", "x.é:3"]
        {
            assert_eq!(of(nothing), [], "{nothing}");
        }
    }
}
