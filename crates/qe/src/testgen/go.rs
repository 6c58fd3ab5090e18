//! Go: a recorder in the package of the file calls its exported functions, compiled with `go test -c` in the copy, and tests
//! of what it saw, compiled and run as `go test` does.

mod calls;
mod instrument;
mod items;
mod judge;
mod table;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tree_sitter::Tree;

use super::arguments::Arguments;
use super::candidates::{Block, Fate, Found, Verdict, Verdicts};
use super::files;
use super::kept::{Emission, Evidence, Status};
use super::native::{self, BUILD, BUILDS_MAX, CANDIDATES_MAX, CASES_PER_MS, FORMAT, Source};
use super::probes::Probes;
use super::recording::{self, Recording, different};
use super::sandbox::Job;
use super::scratch::Scratch;
use super::target::Target;
use crate::reply::Refusal;
use crate::stop::Stop;
use calls::Line;
use items::{Call, File};
pub(super) use judge::judge;
use table::{Row, Rows};

const RECORDER: &str = "aqe_recorder_test.go";
const CONFIRMER: &str = "aqe_confirmer_test.go";
const PROBE: &str = "aqe_probe.go";
/// In the names of all tests.
const WORD: &str = "Characterization";
/// Other files of the package that are read, and bytes of each.
const FILES_MAX: usize = 40;
const SOURCE_BYTES_MAX: u64 = 512 * 1024;

/// Searches one file and tries what was found in fresh processes.
pub(super) fn evidence<'a>(
    scratch: &'a Scratch,
    target: &'a Target,
    arguments: &'a Arguments,
    stop: &'a Stop,
) -> Result<Evidence<'a>, Refusal> {
    let Source { text: source, tree } = Source::of(target, &tree_sitter_go::LANGUAGE.into())?;
    let folder = scratch.project().join(&target.file).parent().map(PathBuf::from).unwrap_or_default();
    let (others, documents) = around(&folder, target);
    let files: Vec<File<'_>> = [File { text: source, tree: &tree }]
        .into_iter()
        .chain(others.iter().map(|(text, tree)| File { text, tree }))
        .collect();
    let items = items::of(&files, &documents, |name| target.wants(name), arguments.allow_effects);
    target.has_all("exported function or type", items.all.iter().map(String::as_str))?;
    if items.calls.is_empty() {
        return Err(Refusal(format!(
            "{}: plan only: no exported function of it can be called: {}",
            target.file,
            items.fates.first().map_or("it has none", |fate| fate.reason.as_deref().unwrap_or_default())
        )));
    }
    let titles = Titles::beside(&folder);
    let mut search = Search {
        scratch,
        target,
        titles,
        folder,
        source,
        package: items.package,
        calls: items.calls,
        fates: items.fates,
        probes: instrument::probes(source, tree.root_node(), arguments.mutants as usize),
        arguments,
        stop,
    };
    let version = search.prepare()?;
    search.build()?;
    let recorded = search.record()?;
    let (found, rows) = search.found(recorded, version);
    let runs = search.confirm(&found.blocks)?;
    let stem = target.file.strip_suffix(".go").unwrap_or(&target.file);
    let inside =
        target.file.rsplit_once('/').map_or_else(|| ".".to_owned(), |(folder, _)| format!("./{folder}"));
    Ok(Evidence {
        found,
        runs,
        framework: "go",
        tool: "Go",
        status: Status::Kept,
        cached: false,
        mutation_reason: "no faults were planted",
        emission: Emission {
            wanted: format!("{stem}_characterization_test.go"),
            title: Box::new(move |name| titles.title(name)),
            text: Box::new(move |kept, path| search.file(kept, &rows, path)),
            commands: Box::new(move |_| vec![format!("go test {inside} -run Characterization")]),
        },
    })
}

/// What is read beside a file: the other files of its package, and what documents it.
fn around(folder: &Path, target: &Target) -> (Vec<(String, Tree)>, Vec<String>) {
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort();
    let (mut files, mut documents) = (Vec::new(), Vec::new());
    for path in names {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_code = path.extension().is_some_and(|ending| ending == "go")
            && !name.ends_with("_test.go")
            && !target.file.ends_with(&name);
        let is_document = name.to_ascii_lowercase().starts_with("readme") && documents.is_empty();
        let is_small = fs::metadata(&path).is_ok_and(|is| is.is_file() && is.len() <= SOURCE_BYTES_MAX);
        if !(is_code && files.len() < FILES_MAX || is_document) || !is_small {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if is_document {
            documents.push(text);
        } else if let Some(tree) = native::parsed(&text, &tree_sitter_go::LANGUAGE.into()) {
            files.push((text, tree));
        }
    }
    (files, documents)
}

/// How tests are called, so that none is called as one that is there already: all tests of a package are in one space.
#[derive(Debug, Clone, Copy)]
struct Titles(Option<char>);

impl Titles {
    /// Beside the tests in a folder.
    fn beside(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let tests = entries.filter(|path| path.to_string_lossy().ends_with("_test.go"));
        let texts: String = tests.filter_map(|path| fs::read_to_string(path).ok()).collect();
        let is_free = |letter: &Option<char>| {
            let word = letter.map_or_else(|| WORD.to_owned(), |letter| format!("{WORD}{letter}"));
            !texts.contains(&word)
        };
        Self(std::iter::once(None).chain(('B'..='Z').map(Some)).find(is_free).flatten())
    }

    /// `test_basket_add_2` as Go names a test.
    fn title(self, name: &str) -> String {
        let parts = name.trim_start_matches("test_").split('_').filter(|part| !part.is_empty());
        let mut camel = String::new();
        for part in parts {
            let (first, rest) = part.split_at(part.chars().next().map_or(0, char::len_utf8));
            camel.extend(first.chars().flat_map(char::to_uppercase));
            camel.push_str(rest);
        }
        let stem = camel.trim_end_matches(|one: char| one.is_ascii_digit());
        let letter = self.0.map_or_else(String::new, String::from);
        format!("Test{stem}{WORD}{letter}{}", &camel[stem.len()..])
    }
}

/// The import lines of tests.
fn imports(tests: &[String]) -> String {
    let mut paths = values::packages(tests.iter().map(String::as_str));
    paths.insert("testing");
    let lines: Vec<String> = paths.into_iter().map(|path| format!("\t\"{path}\"\n")).collect();
    match &lines[..] {
        [only] => format!("import {}", only.trim_start()),
        lines => format!("import (\n{})\n", lines.concat()),
    }
}

/// File, line and text.
type Errors = Vec<(String, u32, String)>;

struct Search<'a> {
    scratch: &'a Scratch,
    target: &'a Target,
    titles: Titles,
    folder: PathBuf,
    source: &'a str,
    package: String,
    calls: Vec<Call>,
    fates: Vec<Fate>,
    probes: Probes,
    arguments: &'a Arguments,
    stop: &'a Stop,
}

impl Search<'_> {
    fn failed(&self, error: &std::io::Error) -> Refusal {
        Refusal(format!("{}: the copy cannot be written: {error}", self.target.file))
    }

    /// Whether Go is there, and a module around the file; tests of others would be compiled with ours, and are left out.
    fn prepare(&self) -> Result<String, Refusal> {
        let (is_there, said) = self.go(&["version"])?;
        if !is_there {
            return Err(Refusal(format!(
                "{}: plan only: go is not installed, or not where the server finds it",
                self.target.file
            )));
        }
        let root = self.scratch.project();
        let mut above = self.folder.ancestors().take_while(|folder| folder.starts_with(&root));
        if !above.any(|folder| folder.join("go.mod").is_file()) {
            fs::write(self.folder.join("go.mod"), "module example.invalid/copy\n")
                .map_err(|error| self.failed(&error))?;
        }
        for entry in fs::read_dir(&self.folder).map_err(|error| self.failed(&error))?.flatten() {
            if entry.file_name().to_string_lossy().ends_with("_test.go") {
                fs::remove_file(entry.path()).map_err(|error| self.failed(&error))?;
            }
        }
        Ok(said.trim().trim_start_matches("go version go").to_owned())
    }

    /// Runs `go` in the folder of the package; whether it did, and what it said.
    fn go(&self, args: &[&str]) -> Result<(bool, String), Refusal> {
        let text = |path: PathBuf| path.display().to_string();
        let folder = text(self.folder.clone());
        let mut all = vec!["-c", "cd \"$1\" && shift && exec go \"$@\"", "sh", &folder];
        all.extend(args);
        let (cache, path) = (text(self.scratch.beside("go-cache")), text(self.scratch.beside("go")));
        let modules = std::env::var_os("GOMODCACHE")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join("go/pkg/mod")))
            .filter(|place| place.is_dir())
            .map_or_else(|| text(self.scratch.beside("go/pkg/mod")), text);
        let env = [
            ("GOCACHE", cache.as_str()),
            ("GOPATH", path.as_str()),
            ("GOMODCACHE", modules.as_str()),
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
            ("GOFLAGS", ""),
            ("CGO_ENABLED", "0"),
        ];
        let job = Job { env: &env, ..Job::of("sh", &all) };
        let output = native::compiler(self.scratch, "go", job, BUILD, self.stop)?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), output.stderr);
        Ok((output.status.success(), said))
    }

    /// Compiles the tests of the package; or the lines of which files the compiler does not take.
    fn compile(&self, program: &str) -> Result<Result<(), Errors>, Refusal> {
        let out = self.scratch.beside(program).display().to_string();
        let (is_done, said) = self.go(&["test", "-c", "-vet=off", "-gcflags=-e", "-o", &out])?;
        if is_done {
            return Ok(Ok(()));
        }
        let errors: Vec<_> = said
            .lines()
            .filter_map(|line| {
                let mut parts = line.trim_start_matches("./").splitn(4, ':');
                let (file, number) = (parts.next()?, parts.next()?.parse().ok()?);
                parts.next();
                Some((file.to_owned(), number, parts.next().unwrap_or_default().trim().to_owned()))
            })
            .collect();
        if errors.is_empty() {
            let text: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
            let text: String = text.chars().take(400).collect();
            return Err(Refusal(format!("plan only: go cannot build it here: {text}")));
        }
        Ok(Err(errors))
    }

    /// Runs what was compiled; how it ended, and what it printed.
    fn run(&self, program: &str, args: &[&str], env: &[(&str, String)]) -> Result<(String, String), Refusal> {
        let program = self.scratch.beside(program).display().to_string();
        native::built(self.scratch, &program, args, env, &[], self.stop)
    }

    fn build(&mut self) -> Result<(), Refusal> {
        let place = self.scratch.project().join(&self.target.file);
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for _ in 0..BUILDS_MAX {
            let (text, lines) = calls::recorder(&self.package, &self.calls);
            let put = |name: &str, text: &str| fs::write(self.folder.join(name), text);
            put(RECORDER, &text).map_err(|error| self.failed(&error))?;
            put(PROBE, &instrument::module(&self.package, self.probes.count()))
                .map_err(|error| self.failed(&error))?;
            fs::write(&place, self.probes.put(self.source)).map_err(|error| self.failed(&error))?;
            let Err(errors) = self.compile("recorder.test")? else { return Ok(()) };
            let own: BTreeSet<u32> =
                errors.iter().filter(|(file, ..)| *file == name).map(|(_, line, _)| *line).collect();
            let mut is_better = !own.is_empty() && self.probes.drop_on(&own);
            for (_, line, reason) in errors.iter().filter(|(file, ..)| file == RECORDER) {
                let number = match lines.get(line) {
                    Some(Line::Value(number, at, place)) if self.calls[*number].drop_value(*at, *place) => {
                        is_better = true;
                        continue;
                    }
                    Some(Line::Value(number, ..) | Line::Call(number)) => *number,
                    None => continue,
                };
                if let Some(call) = self.calls.get_mut(number).filter(|call| !call.is_out) {
                    call.is_out = true;
                    is_better = true;
                    self.fates.push(Fate {
                        target: call.target.clone(),
                        status: "not searched".into(),
                        reason: Some(format!("a call of it does not compile: {reason}")),
                    });
                }
            }
            if !is_better {
                let (file, line, text) = &errors[0];
                return Err(Refusal(format!(
                    "{}: it does not compile: {file}:{line}: {text}",
                    self.target.file
                )));
            }
        }
        Err(Refusal(format!("{}: calls of it do not compile", self.target.file)))
    }

    fn record(&self) -> Result<Recording, Refusal> {
        let asked = recording::Asked {
            scratch: self.scratch,
            file: &self.target.file,
            faults: self.probes.faults().into_iter().map(|(number, _)| number).collect(),
            seed: self.arguments.seed,
            cases: self.arguments.budget().saturating_mul(CASES_PER_MS),
            stop: self.stop,
        };
        let shown = |case: usize, at: &[usize]| {
            self.calls.get(case).map(|call| call.called(&call.chosen(at), 'v').0).unwrap_or_default()
        };
        recording::of(asked, &shown, &|env| {
            self.run("recorder.test", &["-test.run=TestAqeRecord"], env).map(|(how, _)| how)
        })
    }

    /// The test file: with tables where that passes as the plain tests did, and as `gofmt` has it.
    fn file(&self, kept: &[Block], rows: &Rows, path: &str) -> String {
        let head = format!(
            "// Characterization tests of {}: they pin what it does, which need not be right.\n// Made by qe_test_generate (seed {}).",
            self.target.file, self.arguments.seed
        );
        let tables = self.formatted(table::whole(
            &head,
            &self.package,
            &table::tests(kept, &self.calls, rows, self.titles),
        ));
        if self.holds(&tables, path).unwrap_or(false) {
            return tables;
        }
        let plain: Vec<String> = files::named(kept)
            .into_iter()
            .map(|(name, test)| test.replacen(&name, &self.titles.title(&name), 1))
            .collect();
        self.formatted(table::whole(&head, &self.package, &plain))
    }

    fn formatted(&self, text: String) -> String {
        let job = Job { input: text.clone().into_bytes(), ..Job::of("gofmt", &[]) };
        let output = native::compiler(self.scratch, "gofmt", job, FORMAT, self.stop);
        let done = output.ok().filter(|output| output.status.success() && !output.stdout.is_empty());
        done.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or(text)
    }

    /// Whether the whole file compiles, passes, and `go vet` has nothing to say of it.
    fn holds(&self, text: &str, path: &str) -> Result<bool, Refusal> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let place = self.folder.join(name);
        let _ = fs::remove_file(self.folder.join(CONFIRMER));
        fs::write(&place, text).map_err(|error| self.failed(&error))?;
        let (_, said) = self.go(&["vet", "."])?;
        let is_clean = !said.lines().any(|line| line.contains(&format!("{name}:")));
        let is_built = is_clean && self.compile("whole.test")?.is_ok();
        let (how, _) = if is_built { self.run("whole.test", &[], &[])? } else { Default::default() };
        let _ = fs::remove_file(place);
        Ok(how == "exit 0")
    }

    /// What was found, and of the tests that may be rows of a table, the rows.
    fn found(&mut self, recording: Recording, version: String) -> (Found, Rows) {
        let mut rows = Rows::new();
        let mut outcomes = BTreeMap::new();
        let mut blocks = Vec::new();
        for one in recording.chosen(CANDIDATES_MAX) {
            let Some(call) = self.calls.get(one.case) else { continue };
            let (strong, oracle) = call.test(&one.at, one.kind, &one.text);
            if one.kind == 'v' && !call.results.is_empty() {
                let row = Row { call: one.case, values: call.chosen(&one.at), want: one.text.clone() };
                rows.insert(strong.clone(), row);
            }
            let base: String = call.target.chars().map(|one| if one == '.' { '_' } else { one }).collect();
            blocks.push(Block {
                name: format!("test_{base}{}", if oracle == "panic" { "_Panics" } else { "" }),
                cost: u32::try_from(strong.len() / 2 + usize::from(oracle != "value") * 50)
                    .unwrap_or(u32::MAX),
                strong,
                weak: None,
                imports: Vec::new(),
                target: call.target.clone(),
                oracle: oracle.into(),
                kills: one.kills.clone(),
                lines: self.probes.lines(&one.hits),
                branches: different(one, &mut outcomes),
            });
        }
        let mut fates = std::mem::take(&mut self.fates);
        for call in self.calls.iter().filter(|call| !call.is_out) {
            fates.push(Fate { target: call.target.clone(), status: "searched".into(), reason: None });
        }
        (native::found(blocks, fates, recording, &self.probes, self.arguments, version), rows)
    }

    /// Against the file as it is: all tests in one process, then each in one of its own.
    fn confirm(&self, blocks: &[Block]) -> Result<Vec<Vec<Verdicts>>, Refusal> {
        let place = self.scratch.project().join(&self.target.file);
        fs::write(&place, self.source).map_err(|error| self.failed(&error))?;
        for name in [RECORDER, PROBE] {
            fs::remove_file(self.folder.join(name)).map_err(|error| self.failed(&error))?;
        }
        let mut broken: BTreeSet<usize> = BTreeSet::new();
        let name = |place: usize| format!("TestAqe{place}");
        for turn in 0..=BUILDS_MAX {
            let mut lines: BTreeMap<u32, usize> = BTreeMap::new();
            let tests: Vec<String> = blocks.iter().map(|block| block.strong.clone()).collect();
            let whole: Vec<String> = (0_usize..)
                .zip(&tests)
                .filter(|(place, _)| !broken.contains(place))
                .map(|(_, test)| test.clone())
                .collect();
            let mut text = format!("package {}\n\n{}", self.package, imports(&whole));
            // Where all that used it is out.
            text.push_str("\nvar _ = testing.Short\n");
            for (place, test) in tests.iter().enumerate().filter(|(place, _)| !broken.contains(place)) {
                lines.insert(u32::try_from(text.lines().count()).unwrap_or(u32::MAX) + 1, place);
                text.push_str(&test.replacen("test_", &name(place), 1));
            }
            fs::write(self.folder.join(CONFIRMER), text).map_err(|error| self.failed(&error))?;
            let Err(errors) = self.compile("confirmer.test")? else { break };
            let before = broken.len();
            for (_, line, _) in errors.iter().filter(|(file, ..)| file == CONFIRMER) {
                broken.extend(lines.range(..=line).next_back().map(|(_, place)| *place));
            }
            if broken.len() == before || turn == BUILDS_MAX {
                let text = errors.first().map_or("", |(_, _, text)| text.as_str());
                return Err(Refusal(format!("{}: its tests do not compile: {text}", self.target.file)));
            }
        }
        let passed = |printed: &str| -> BTreeSet<String> {
            let lines = printed.lines().filter_map(|line| line.strip_prefix("--- PASS: "));
            lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
        };
        let zone = |zone: &str| [("TZ", zone.to_owned())];
        let (_, printed) = self.run("confirmer.test", &["-test.v"], &zone("Asia/Tokyo"))?;
        let together = passed(&printed);
        let mut alone = BTreeSet::new();
        for place in (0..blocks.len()).rev().filter(|place| together.contains(&name(*place))) {
            let only = format!("-test.run=^{}$", name(place));
            let (_, printed) = self.run("confirmer.test", &["-test.v", &only], &zone("America/New_York"))?;
            alone.extend(passed(&printed));
        }
        let run = |passed: &BTreeSet<String>| {
            let of = |place: usize| {
                let strong = Verdict::of(broken.contains(&place), passed.contains(&name(place)));
                Verdicts { strong, weak: None }
            };
            (0..blocks.len()).map(of).collect()
        };
        Ok(vec![run(&together), run(&alone)])
    }
}
