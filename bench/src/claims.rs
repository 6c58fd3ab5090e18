//! The project's README against the latest result file: every figure that it gives was measured, and is so still.
//!
//! Marks in the page, which a reader does not see (`KEY | ROW | COLUMN` names a cell of the result file):
//!
//! - `12.3 µs<!-- figure KEY | ROW | COLUMN -->`: the number before it is that of the cell, as far as it is written out.
//! - `<!-- holds KEY | ROW | COLUMN <= 0.5 -->`: what is said in words; `<=` or `>=`.
//! - `<!-- goal KEY | ROW | COLUMN -->`: a goal that is met.
//! - `60 s<!-- setting -->`: nothing measured, but a limit or a default.

use crate::report::Cell;
use crate::results::Recording;

/// Units after which a number is a figure.
const UNITS: [&str; 26] = [
    "ns",
    "µs",
    "us",
    "ms",
    "s",
    "seconds",
    "minutes",
    "B",
    "KB",
    "MB",
    "GB",
    "KiB",
    "MiB",
    "GiB",
    "bytes",
    "×",
    "x",
    "%",
    "percent",
    "times",
    "calls/s",
    "requests/s",
    "calls",
    "requests",
    "tokens",
    "instructions",
];
/// Words that compare.
const WORDS: [&str; 8] = ["faster", "fastest", "slower", "slowest", "cheaper", "twice", "half", "tenth"];

/// A mark in a page.
#[derive(Debug, PartialEq)]
enum Mark<'a> {
    Figure(&'a str),
    Holds(&'a str),
    Goal(&'a str),
    Setting,
}

/// What is wrong with a page, each in a line; nothing if all is as measured.
pub(crate) fn faults(page: &str, recording: &Recording) -> Vec<String> {
    let mut faults = Vec::new();
    let prose = prose(page);
    for paragraph in prose.split("\n\n") {
        for (at, mark) in marks(paragraph) {
            let before = &paragraph[..at];
            let fault = match mark {
                Mark::Figure(path) => figure(before, path, recording).err(),
                Mark::Holds(claim) => holds(claim, recording).err(),
                Mark::Goal(path) => goal(path, recording).err(),
                Mark::Setting => None,
            };
            faults.extend(fault.map(|fault| format!("{fault}: {}", end_of(before))));
        }
        faults.extend(unsourced(paragraph));
    }
    faults
}

/// The page with each marked figure as it is in the recording.
///
/// # Errors
/// If a mark names what is not there.
pub(crate) fn fill(page: &str, recording: &Recording) -> Result<String, String> {
    let mut out = String::new();
    let mut done = 0;
    for (at, mark) in marks(page) {
        let Mark::Figure(path) = mark else { continue };
        let (start, number) = last_number(&page[done..at]).ok_or(format!("no number before {path}"))?;
        out += &page[done..done + start];
        out += &like(number, value(path, recording)?);
        done += start + number.len();
    }
    Ok(out + &page[done..])
}

/// The page without code and without generated tables.
fn prose(page: &str) -> String {
    let mut prose = String::new();
    let (mut in_code, mut in_table) = (false, false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            continue;
        }
        in_table = (in_table || line.starts_with("<!-- table ")) && !line.starts_with("<!-- end -->");
        if !in_code && !in_table && !line.starts_with("<!-- end -->") {
            prose += line;
        }
        prose.push('\n');
    }
    prose
}

/// All marks, and where they begin.
fn marks(text: &str) -> Vec<(usize, Mark<'_>)> {
    let starts = text.match_indices("<!-- ").map(|(at, _)| at);
    let marks = starts.filter_map(|at| {
        let inside = text[at + 5..].split("-->").next()?.trim();
        let mark = match inside.split_once(' ') {
            Some(("figure", rest)) => Mark::Figure(rest),
            Some(("holds", rest)) => Mark::Holds(rest),
            Some(("goal", rest)) => Mark::Goal(rest),
            None if inside == "setting" => Mark::Setting,
            _ => return None,
        };
        Some((at, mark))
    });
    marks.collect()
}

fn cell(path: &str, recording: &Recording) -> Result<Cell, String> {
    let parts: Vec<&str> = path.split('|').map(str::trim).collect();
    let [key, row, column] = parts[..] else { return Err(format!("{path:?} is not KEY | ROW | COLUMN")) };
    recording.cell(key, row, column)
}

fn value(path: &str, recording: &Recording) -> Result<f64, String> {
    match cell(path, recording)? {
        Cell::Figure(spread, _) => Ok(spread.median),
        Cell::Ratio(ratio, _) => Ok(ratio.ratio),
        other => Err(format!("{path} is no figure: {:?}", other.print())),
    }
}

fn figure(before: &str, path: &str, recording: &Recording) -> Result<(), String> {
    let (_, said) = last_number(before).ok_or(format!("no number before {path}"))?;
    let measured = like(said, value(path, recording)?);
    if said == measured { Ok(()) } else { Err(format!("says {said}, {path} is {measured}")) }
}

fn holds(claim: &str, recording: &Recording) -> Result<(), String> {
    let (path, limit, at_most) = match (claim.split_once("<="), claim.split_once(">=")) {
        (Some((path, limit)), _) => (path, limit, true),
        (_, Some((path, limit))) => (path, limit, false),
        _ => return Err(format!("{claim:?} compares nothing")),
    };
    let measured = value(path.trim(), recording)?;
    let limit: f64 = limit.trim().parse().map_err(|_| format!("{limit:?} is no number"))?;
    let is_so = if at_most { measured <= limit } else { measured >= limit };
    if is_so { Ok(()) } else { Err(format!("{claim} does not hold: it is {measured}")) }
}

fn goal(path: &str, recording: &Recording) -> Result<(), String> {
    match cell(path, recording)? {
        Cell::Goal(Some(goal)) if goal.is_met() => Ok(()),
        Cell::Goal(Some(_)) => Err(format!("the goal {path} is missed")),
        _ => Err(format!("{path} is no goal")),
    }
}

/// The last number of a text that is not part of a word, and where it begins.
fn last_number(text: &str) -> Option<(usize, &str)> {
    numbers(text).pop()
}

/// Numbers as they are written: digits with points and commas between them.
fn numbers(text: &str) -> Vec<(usize, &str)> {
    let is_part = |at: usize| {
        let bytes = text.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        digit(at) || (matches!(bytes[at], b'.' | b',') && at > 0 && digit(at - 1) && digit(at + 1))
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if !is_part(at) {
            at += 1;
            continue;
        }
        let start = at;
        while at < text.len() && is_part(at) {
            at += 1;
        }
        let is_in_word = text[..start]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !is_in_word {
            found.push((start, &text[start..at]));
        }
    }
    found
}

/// A number written like another: with as many digits after the point, and with commas if that has them.
fn like(said: &str, value: f64) -> String {
    let digits = said.split_once('.').map_or(0, |(_, digits)| digits.len());
    let plain = format!("{value:.digits$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    if whole.len() < 4 || (!said.contains(',') && said.len() > 3) {
        return plain;
    }
    let grouped: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|chunk| std::str::from_utf8(chunk).unwrap_or_default())
        .collect();
    grouped.join(",") + rest
}

/// Figures and comparisons without a mark.
fn unsourced(paragraph: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (start, number) in numbers(paragraph) {
        if paragraph[..start].rfind("<!--") > paragraph[..start].rfind("-->") {
            continue;
        }
        let after = &paragraph[start + number.len()..];
        let unit = after.trim_start_matches([' ', '\u{a0}']);
        let word: String =
            unit.chars().take_while(|c| c.is_alphabetic() || matches!(c, '/' | '×' | '%')).collect();
        if !UNITS.contains(&word.as_str()) {
            continue;
        }
        let rest = unit[word.len()..].trim_start_matches(['*', ')']);
        if !rest.starts_with("<!-- figure ") && !rest.starts_with("<!-- setting -->") {
            faults
                .push(format!("a figure without a source: {number} {word}: {}", end_of(&paragraph[..start])));
        }
    }
    let claims = paragraph.contains("<!-- holds ") || paragraph.contains("<!-- goal ");
    let mut words = paragraph.split(|c: char| !c.is_alphabetic());
    if let Some(word) = words.find(|word| WORDS.contains(word)).filter(|_| !claims) {
        faults.push(format!("a comparison without a source: {word:?}: {}", end_of(paragraph)));
    }
    faults
}

fn end_of(text: &str) -> &str {
    let start = text.char_indices().rev().nth(60).map_or(0, |(at, _)| at);
    text[start..].trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::folder;
    use crate::results::tests::recording;

    #[test]
    fn a_figure_must_have_a_source_and_its_value() {
        for good in [
            "costs 1.25 ×<!-- figure calls | ping | ratio --> as much, 1.2×<!-- figure calls | ping | ratio -->",
            "4 times<!-- figure calls | ping | times --> ours",
            "meets its goal<!-- goal calls | ping | goal -->",
            "is faster<!-- holds calls | ping | ratio <= 1.3 -->",
            "waits 60 s<!-- setting -->",
            "revision 2025-11-25, 3 servers, `a2x`, step 1.",
            "```\nsleep 5 s\n```",
            "<!-- table calls: case -->\n| 5 ms |\n<!-- end -->",
        ] {
            assert_eq!(faults(good, &recording()), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "costs 1.26 ×<!-- figure calls | ping | ratio -->",
            "costs 1.25 ×<!-- figure calls | pong | ratio -->",
            "costs 1.25 ×<!-- figure calls | ping | goal -->",
            "answers in 5 ms",
            "answers in 5\u{a0}ms and more",
            "uses 3% of it",
            "is twice as good",
            "meets its goal<!-- goal calls | a/b | goal -->",
            "is faster<!-- holds calls | ping | ratio <= 1.2 -->",
            "is faster<!-- holds calls | ping | ratio >= 1.3 -->",
        ] {
            assert_eq!(faults(bad, &recording()).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_goal_that_is_claimed_but_missed_is_a_fault() {
        let mut recording = recording();
        recording.all["sections"][0]["rows"][0]["goal"]["met"] = false.into();
        let found = faults("fast<!-- goal calls | ping | goal -->", &recording);
        assert!(found[0].contains("missed"), "{found:?}");
    }

    #[test]
    fn marked_figures_follow_the_latest_result_in_the_form_that_they_have() {
        let page = "1.0 ×<!-- figure calls | ping | ratio -->, 9<!-- figure calls | ping | times --> and 7 s";
        let filled = fill(page, &recording()).unwrap();
        assert_eq!(
            filled,
            "1.2 ×<!-- figure calls | ping | ratio -->, 4<!-- figure calls | ping | times --> and 7 s"
        );
        assert_eq!(like("9,999", 12_345.4), "12,345");
        assert_eq!(like("9999", 12_345.4), "12345");
        assert_eq!(like("1.00", 0.456), "0.46");
    }

    #[test]
    fn every_figure_in_the_projects_readme_is_that_of_the_latest_result() {
        let readme = std::fs::read_to_string(folder().join("../README.md")).unwrap();
        let recording = Recording::latest().unwrap();
        let found = faults(&readme, &recording);
        assert!(found.is_empty(), "{}", found.join("\n"));
        let tables = recording.fill(&readme).unwrap();
        assert!(tables == readme, "run: cargo run --release -p aqe-bench -- tables");
    }
}
