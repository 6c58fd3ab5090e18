//! A project that is made of a seed: sources in six languages, their history, and reports of their tests.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use tempfile::TempDir;

use super::git;
use crate::Result;

/// Functions of a file, and lines of a function, the empty one behind it with them.
const FUNCTIONS: usize = 20;
const LINES: usize = 10;
/// Commits in the last 90 days, and files that each of them changes.
const COMMITS: u32 = 30;
const CHANGED: usize = 10;
/// Files with a new function that is not committed.
const NEW: usize = 30;
/// Tests and mutants of the reports.
const TESTS: usize = 2_000;
const MUTANTS: usize = 2_000;

/// How a function is written.
type Write = fn(&Function) -> [String; LINES];

/// Endings of the sources, each with how a function of it is written.
const LANGUAGES: [(&str, Write); 6] =
    [("py", python), ("js", javascript), ("ts", typescript), ("rs", rust), ("go", go), ("java", java)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// 100,000 lines with history, all reports, and 5 MB of coverage.
    Small,
    /// 50 MB of coverage and its sources, and nothing else.
    Large,
}

/// A project on the disk; gone with this value.
#[derive(Debug)]
pub(super) struct Scene {
    folder: TempDir,
    files: usize,
    lines: usize,
    report: u64,
}

/// A function as it is in any language.
struct Function {
    name: String,
    /// Words that no other function has: so that nothing is a duplicate by chance.
    words: [String; 2],
    numbers: [u32; 5],
}

/// A source: its path and functions.
struct File {
    path: String,
    write: Write,
    functions: Vec<Function>,
}

impl Scene {
    /// A module with a few small functions.
    pub(super) const MODULE: &str = "small.py";

    pub(super) fn new(size: Size, seed: u64) -> Result<Self> {
        let mut rng = Rng::with_seed(seed);
        let folder = tempfile::tempdir()?;
        let root = folder.path();
        let count = if size == Size::Small { 500 } else { 5_000 };
        let mut files: Vec<File> = (0..count).map(|number| File::new(number, &mut rng)).collect();
        files.iter().try_for_each(|file| file.write(root))?;
        if size == Size::Small {
            fs::write(root.join(Self::MODULE), SMALL)?;
            fs::write(root.join(".gitignore"), "/lcov.info\n/reports/\n")?;
            history(root, &mut files, &mut rng)?;
            reports(root, &files, &mut rng)?;
        }
        let report: String = files.iter().map(|file| file.coverage(&mut rng)).collect();
        fs::write(root.join("lcov.info"), &report)?;
        let lines = files.iter().map(|file| file.functions.len() * LINES).sum();
        Ok(Self { files: files.len(), lines, report: report.len() as u64, folder })
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn files(&self) -> usize {
        self.files
    }

    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    pub(super) fn report_bytes(&self) -> u64 {
        self.report
    }
}

/// Commits of the last 80 days on `main`, then a branch with new code in the working tree.
fn history(root: &Path, files: &mut [File], rng: &mut Rng) -> Result<()> {
    let begin = Timestamp::now().checked_sub((80 * 24).hours())?;
    let commit = |day: u32| -> Result<()> {
        let date = begin.checked_add((i64::from(day) * 24).hours())?.to_string();
        git(root, &date, &["add", "."])?;
        git(root, &date, &["commit", "-q", "-m", "a commit"])
    };
    git(root, "", &["init", "-q", "-b", "main"])?;
    commit(0)?;
    for day in 1..=COMMITS {
        for _ in 0..CHANGED {
            // Some files change more often than others.
            let file = &mut files[rng.usize(..500).min(rng.usize(..500))];
            let at = rng.usize(..file.functions.len());
            file.functions[at] = Function::new(rng);
            file.write(root)?;
        }
        commit(day)?;
    }
    git(root, "", &["checkout", "-q", "-b", "change"])?;
    for file in files.iter_mut().take(NEW) {
        file.functions.push(Function::new(rng));
        file.write(root)?;
    }
    Ok(())
}

/// What test runners, linters and mutation testers write.
fn reports(root: &Path, files: &[File], rng: &mut Rng) -> Result<()> {
    let folder = root.join("reports");
    fs::create_dir_all(folder.join("mutation"))?;
    let mut cases = String::new();
    for number in 0..TESTS {
        let file = &files[rng.usize(..files.len())];
        let inside = match rng.u32(..200) {
            0 => format!(r#"<failure message="no">{}:3: AssertionError</failure>"#, file.path),
            1 => "<skipped/>".to_owned(),
            _ => String::new(),
        };
        let (class, time) = (file.path.replace('/', "."), rng.f32());
        writeln!(
            cases,
            r#"<testcase name="test_{number}" classname="{class}" time="{time:.3}">{inside}</testcase>"#
        )?;
    }
    fs::write(
        folder.join("junit.xml"),
        format!("<testsuites><testsuite name=\"all\">\n{cases}</testsuite></testsuites>\n"),
    )?;
    let finding = |rng: &mut Rng| {
        let place = json!({ "artifactLocation": { "uri": files[rng.usize(..files.len())].path },
                            "region": { "startLine": rng.usize(1..=FUNCTIONS * LINES) } });
        json!({ "ruleId": format!("R{}", rng.u32(..50)), "level": "warning", "message": { "text": "unused" },
                "locations": [{ "physicalLocation": place }] })
    };
    let results: Vec<_> = (0..200).map(|_| finding(rng)).collect();
    let run = json!({ "tool": { "driver": { "name": "lint" } }, "results": results });
    fs::write(folder.join("lint.sarif"), json!({ "version": "2.1.0", "runs": [run] }).to_string())?;
    let mutant = |number: usize, rng: &mut Rng| {
        let line = rng.usize(1..=FUNCTIONS * LINES);
        json!({ "id": number.to_string(), "mutatorName": "EqualityOperator",
                "status": if rng.u32(..4) == 0 { "Survived" } else { "Killed" },
                "location": { "start": { "line": line, "column": 1 }, "end": { "line": line, "column": 9 } } })
    };
    let of_files = files.iter().enumerate().map(|(at, file)| {
        let each = MUTANTS / files.len();
        let mutants: Vec<_> = (0..each).map(|number| mutant(at * each + number, rng)).collect();
        (file.path.clone(), json!({ "language": "x", "source": "", "mutants": mutants }))
    });
    let of_files: serde_json::Map<_, _> = of_files.collect();
    let report = json!({ "schemaVersion": "2", "thresholds": { "high": 80, "low": 60 }, "files": of_files });
    fs::write(folder.join("mutation/mutation.json"), report.to_string())?;
    Ok(())
}

impl Function {
    fn new(rng: &mut Rng) -> Self {
        let mut word = |kind: &str| format!("{kind}_{:08x}", rng.u32(..));
        let (name, words) = (word("f"), [word("total"), word("step")]);
        Self { name, words, numbers: std::array::from_fn(|_| rng.u32(1..1_000)) }
    }
}

impl File {
    fn new(number: usize, rng: &mut Rng) -> Self {
        let (ending, write) = LANGUAGES[number % LANGUAGES.len()];
        let path = format!("src/{ending}/part_{:02}/unit_{number:04}.{ending}", number / 100);
        Self { path, write, functions: (0..FUNCTIONS).map(|_| Function::new(rng)).collect() }
    }

    fn write(&self, root: &Path) -> Result<()> {
        let path: PathBuf = root.join(&self.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut text = String::new();
        for line in self.functions.iter().flat_map(|function| (self.write)(function)) {
            text.push_str(&line);
            text.push('\n');
        }
        Ok(fs::write(path, text)?)
    }

    /// Its part of an lcov report, with checksums as `geninfo --checksum` writes them.
    fn coverage(&self, rng: &mut Rng) -> String {
        let mut text = format!("SF:{}\n", self.path);
        for (number, function) in self.functions.iter().enumerate() {
            let first = number * LINES + 1;
            let hits = if rng.u32(..3) == 0 { 0 } else { rng.u32(1..100) };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "FN:{first},{},{}\nFNDA:{hits},{}",
                first + LINES - 2,
                function.name,
                function.name
            );
            for line in 0..LINES - 1 {
                let ran = if rng.u32(..8) == 0 { 0 } else { hits };
                let _ = writeln!(
                    text,
                    "DA:{},{ran},{:016x}{:06x}==",
                    first + line,
                    rng.u64(..),
                    rng.u32(..1 << 24)
                );
            }
            for (line, outcome) in [(2, 0), (2, 1), (4, 0), (4, 1), (6, 0), (6, 1)] {
                let _ = writeln!(text, "BRDA:{},0,{outcome},{}", first + line, hits * rng.u32(..2));
            }
        }
        text + "end_of_record\n"
    }
}

fn python(f: &Function) -> [String; LINES] {
    let ([total, step], [factor, limit, rounds, weight, most]) = (&f.words, f.numbers);
    [
        format!("def {}(first, second):", f.name),
        format!("    {total} = first * {factor}"),
        format!("    if second > {limit} and first:"),
        format!("        {total} -= second"),
        format!("    for {step} in range({rounds}):"),
        format!("        {total} += {step} * {weight}"),
        format!("        if {total} > {most}:"),
        format!("            return {total}"),
        format!("    return {total} + {factor}"),
        String::new(),
    ]
}

/// The same body for languages with braces: the head, how a variable and a loop begin, and the end of statements.
fn braces(f: &Function, head: String, variable: &str, round: (String, &str)) -> [String; LINES] {
    let ([total, step], [factor, limit, _, weight, most]) = (&f.words, f.numbers);
    let (round, brace) = round;
    let (open, close) = if brace.is_empty() { ("(", ")") } else { ("", "") };
    [
        head,
        format!("    {variable} {total} = first * {factor};"),
        format!("    if {open}second > {limit} && first > 0{close} {{"),
        format!("        {total} -= second; }}"),
        format!("    {round} {{"),
        format!("        {total} += {step} * {weight};"),
        format!("        if {open}{total} > {most}{close} {{"),
        format!("            return {total}; }} }}"),
        format!("    return {total} + {factor}; }}"),
        String::new(),
    ]
}

fn javascript(f: &Function) -> [String; LINES] {
    let round = format!("for (let {0} = 0; {0} < {1}; {0}++)", f.words[1], f.numbers[2]);
    braces(f, format!("export function {}(first, second) {{", f.name), "let", (round, ""))
}

fn typescript(f: &Function) -> [String; LINES] {
    let round = format!("for (let {0} = 0; {0} < {1}; {0}++)", f.words[1], f.numbers[2]);
    let head = format!("export function {}(first: number, second: number): number {{", f.name);
    braces(f, head, "let", (round, ""))
}

fn rust(f: &Function) -> [String; LINES] {
    let round = format!("for {} in 0..{}", f.words[1], f.numbers[2]);
    braces(f, format!("pub fn {}(first: i64, second: i64) -> i64 {{", f.name), "let mut", (round, "none"))
}

fn go(f: &Function) -> [String; LINES] {
    let round = format!("for {0} := 0; {0} < {1}; {0}++", f.words[1], f.numbers[2]);
    let head = format!("func {}(first int, second int) int {{", f.name);
    braces(f, head, "var", (round, "none"))
}

fn java(f: &Function) -> [String; LINES] {
    let round = format!("for (int {0} = 0; {0} < {1}; {0}++)", f.words[1], f.numbers[2]);
    braces(f, format!("int {}(int first, int second) {{", f.name), "int", (round, ""))
}

/// For the generation of tests: branches, a refusal, and a loop.
const SMALL: &str = r#""""Small functions."""


def grade(points, most=100):
    """The grade for so many points."""
    if most <= 0:
        raise ValueError("most must be positive")
    share = points / most
    if share >= 0.9:
        return "A"
    if share >= 0.5:
        return "B"
    return "C"


def initials(name):
    """The first letters of the words of a name."""
    return "".join(word[0].upper() for word in name.split() if word)


def clamp(value, low=0, high=10):
    """The value, or the border that it is beyond."""
    if value < low:
        return low
    if value > high:
        return high
    return value
"#;
