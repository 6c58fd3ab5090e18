//! Rust: a recorder that calls the public functions of one file, compiled with Cargo in the copy, and tests of what it saw,
//! compiled and run as Cargo runs them.
//!
//! The copy of the file has a probe before each statement and faults that can be switched on, so that one build tells
//! what each call reaches and which faults it notices. Tests are confirmed against the file as it is.

mod cargo;
mod confirm;
mod functions;
mod instrument;
mod items;
mod judge;
mod manifest;
mod package;
mod recorder;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tree_sitter::Parser;

use super::arguments::Arguments;
use super::candidates::{Block, Fate, Found};
use super::files;
use super::kept::{Emission, Evidence, Status};
use super::native::{self, BUILDS_MAX, CANDIDATES_MAX, CASES_PER_MS};
use super::probes::Probes;
use super::recording::{self, Recording, different};
use super::scratch::Scratch;
use super::target::Target;
use crate::reply::Refusal;
use crate::stop::Stop;
use cargo::{Built, Cargo};
use items::File;
pub(super) use judge::judge;
use package::Package;
use recorder::{Case, Said};
use values::Literals;

/// Functions that are searched in one call.
const CASES_MAX: usize = 160;
/// Files of a library in which is looked for what makes objects, and bytes of each.
const FILES_MAX: usize = 80;
const SOURCE_BYTES_MAX: usize = 512 * 1024;

/// Searches one file and tries what was found in fresh processes.
pub(super) fn evidence<'a>(
    scratch: &'a Scratch,
    target: &'a Target,
    arguments: &'a Arguments,
    stop: &'a Stop,
) -> Result<Evidence<'a>, Refusal> {
    let package = Package::of(&scratch.project(), &target.file)?;
    let source = String::from_utf8(target.source.clone())
        .map_err(|_| Refusal(format!("{}: it is not UTF-8", target.file)))?;
    let files = library(scratch, target, &source, &package);
    let Some(own) = files.first() else {
        return Err(Refusal(format!("{}: it cannot be parsed", target.file)));
    };
    let items = items::of(&files, &|name| target.wants(name), arguments.allow_effects);
    target.has_all("public function or type", items.all.iter().map(String::as_str))?;
    let literals = Literals::of(&source, arguments.seed);
    let mut fates = items.fates.clone();
    let mut cases = Vec::new();
    for call in &items.calls {
        match Case::of(call, &items, &literals) {
            Ok(case) if cases.len() < CASES_MAX => cases.push(case),
            Ok(_) => fates.push(fate(call, "not searched", "more functions than are searched in one call")),
            Err(reason) => fates.push(fate(call, "not searched", &reason)),
        }
    }
    if cases.is_empty() {
        return Err(Refusal(format!(
            "{}: plan only: no public function of it can be called: {}",
            target.file,
            fates.first().map_or("it has none", |fate| fate.reason.as_deref().unwrap_or_default())
        )));
    }
    let probes = instrument::probes(&source, own.tree.root_node(), arguments.mutants as usize);
    let mut search =
        Search { scratch, target, package: &package, source: &source, cases, probes, fates, arguments, stop };
    let cargo = Cargo::of(scratch, &package, stop)?;
    search.build(&cargo)?;
    let recorded = search.record(&cargo)?;
    let (found, blocks_uses) = search.found(recorded, cargo.version());
    search.restore()?;
    let runs = search.confirm(&cargo, &found.blocks, &blocks_uses)?;
    drop(search);
    let stem = target.file.rsplit_once('.').map_or(target.file.as_str(), |(stem, _)| stem);
    let inside = stem.strip_prefix(&format!("{}/", package.folder)).unwrap_or(stem);
    let name =
        format!("{}_characterization", inside.trim_start_matches("src/").replace(['/', '-', '.'], "_"));
    let folder = if package.folder.is_empty() { String::new() } else { format!("{}/", package.folder) };
    let (uses, edition, head) = (blocks_uses, package.edition.clone(), package.head());
    Ok(Evidence {
        found,
        runs,
        framework: "cargo",
        tool: "Rust",
        status: Status::Kept,
        cached: false,
        mutation_reason: "no faults were planted",
        emission: Emission {
            wanted: format!("{folder}tests/{name}.rs"),
            title: Box::new(str::to_owned),
            text: Box::new(move |kept, _| {
                cargo::formatted(scratch, &edition, file(kept, target, &head, &uses, arguments.seed), stop)
            }),
            commands: Box::new(move |path| {
                let test = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
                let at = if package.folder.is_empty() {
                    String::new()
                } else {
                    format!(" --manifest-path {}/Cargo.toml", package.folder)
                };
                let mut lines = Vec::new();
                if !package.finds_tests {
                    lines.push(format!(
                        "# Cargo.toml says autotests = false: add [[test]] name = \"{test}\", path = \"tests/{test}.rs\""
                    ));
                }
                lines.push(format!("cargo test --test {test}{at}"));
                lines
            }),
        },
    })
}

/// The target, and what else of its library may make what it takes.
fn library(scratch: &Scratch, target: &Target, source: &str, package: &Package) -> Vec<File> {
    let mut parser = Parser::new();
    if parser.set_language(&tree_sitter_rust::LANGUAGE.into()).is_err() {
        return Vec::new();
    }
    let mut parse = |text: &str| parser.parse(text, None);
    let project = scratch.project();
    let Ok(own) = Package::of(&project, &target.file) else { return Vec::new() };
    let Some(tree) = parse(source) else { return Vec::new() };
    let mut files = vec![File { text: source.to_owned(), tree, package: own, is_target: true }];
    let folder = package.root.parent().map(Path::to_path_buf).unwrap_or_default();
    let others = scratch.files.iter().filter(|file| {
        Path::new(file).extension().is_some_and(|ending| ending == "rs")
            && **file != target.file
            && project.join(file).starts_with(&folder)
    });
    for file in others.take(FILES_MAX) {
        let Ok(package) = Package::of(&project, file) else { continue };
        let Some(text) =
            fs::read_to_string(project.join(file)).ok().filter(|text| text.len() < SOURCE_BYTES_MAX)
        else {
            continue;
        };
        if let Some(tree) = parse(&text) {
            files.push(File { text, tree, package, is_target: false });
        }
    }
    files
}

fn fate(call: &items::Call, status: &str, reason: &str) -> Fate {
    Fate { target: call.target.clone(), status: status.into(), reason: Some(reason.into()) }
}

/// A whole test file.
fn file(kept: &[Block], target: &Target, head: &str, uses: &str, seed: u64) -> String {
    let mut text = format!(
        "//! Characterization tests of {}: they pin what it does, which need not be right.\n//! Generated by qe_test_generate (seed {seed}).\n",
        target.file
    );
    if !head.is_empty() {
        let _ = write!(text, "\n{head}");
    }
    let needed: Vec<&str> =
        kept.iter().flat_map(|block| &block.imports).map(|(path, _)| path.as_str()).collect();
    let mut lines: Vec<&str> = uses
        .lines()
        .filter(|line| needed.iter().any(|path| line.contains(&format!("use {path} as"))))
        .collect();
    lines.dedup();
    if !lines.is_empty() {
        let _ = write!(text, "\n{}\n", lines.join("\n"));
    }
    for (_, test) in files::named(kept) {
        text.push('\n');
        text.push_str(&test);
    }
    text
}

struct Search<'a> {
    scratch: &'a Scratch,
    target: &'a Target,
    package: &'a Package,
    source: &'a str,
    cases: Vec<Case>,
    probes: Probes,
    fates: Vec<Fate>,
    arguments: &'a Arguments,
    stop: &'a Stop,
}

const RECORDER: &str = "aqe_recorder";
const CONFIRMER: &str = "aqe_confirmer";

impl Search<'_> {
    fn failed(&self, error: &std::io::Error) -> Refusal {
        Refusal(format!("{}: the copy cannot be written: {error}", self.target.file))
    }

    /// Puts the probes and the recorder into the copy and builds it, without what the compiler does not take.
    fn build(&mut self, cargo: &Cargo<'_>) -> Result<(), Refusal> {
        let place = self.scratch.project().join(&self.target.file);
        let root_text = fs::read_to_string(&self.package.root).map_err(|error| self.failed(&error))?;
        let is_root = place == self.package.root;
        for _ in 0..BUILDS_MAX {
            let module = instrument::module(&root_text, self.probes.count());
            let mut text = self.probes.put(self.source);
            if is_root {
                text.push_str(&module);
            } else {
                fs::write(&self.package.root, format!("{root_text}{module}"))
                    .map_err(|error| self.failed(&error))?;
            }
            fs::write(&place, text).map_err(|error| self.failed(&error))?;
            let (recorder, first) = recorder::source(&self.cases, self.package);
            match cargo.build(RECORDER, &recorder)? {
                Built::Done => {
                    if !is_root {
                        // For what is confirmed later.
                        fs::write(self.scratch.beside("root.rs"), &root_text)
                            .map_err(|error| self.failed(&error))?;
                    }
                    return Ok(());
                }
                Built::Errors(errors) => {
                    let lines = |file: &str| -> BTreeSet<u32> {
                        errors
                            .iter()
                            .filter(|error| error.file.ends_with(file))
                            .map(|error| error.line)
                            .collect()
                    };
                    let inside = self
                        .target
                        .file
                        .strip_prefix(&format!("{}/", self.package.folder))
                        .unwrap_or(&self.target.file);
                    let own = lines(inside);
                    let mut is_better = !own.is_empty() && self.probes.drop_on(&own);
                    for line in lines(&format!("{RECORDER}.rs")) {
                        let at = (line as usize).wrapping_sub(first);
                        if let Some(case) = self.cases.get_mut(at).filter(|case| !case.is_out) {
                            case.is_out = true;
                            is_better = true;
                            let reason = errors
                                .iter()
                                .find(|error| {
                                    error.line == line && error.file.ends_with(&format!("{RECORDER}.rs"))
                                })
                                .map_or("", |error| error.text.as_str());
                            self.fates.push(fate(
                                &case.call,
                                "not searched",
                                &format!("a call of it does not compile: {reason}"),
                            ));
                        }
                    }
                    if !is_better {
                        let first = errors.first();
                        return Err(Refusal(format!(
                            "{}: it does not compile: {}:{}: {}",
                            self.target.file,
                            first.map_or("", |error| error.file.as_str()),
                            first.map_or(0, |error| error.line),
                            first.map_or("", |error| error.text.as_str())
                        )));
                    }
                }
            }
        }
        Err(Refusal(format!("{}: calls of it do not compile", self.target.file)))
    }

    /// The source as it is.
    fn restore(&self) -> Result<(), Refusal> {
        let place = self.scratch.project().join(&self.target.file);
        fs::write(&place, self.source).map_err(|error| self.failed(&error))?;
        if let Ok(text) = fs::read_to_string(self.scratch.beside("root.rs")) {
            fs::write(&self.package.root, text).map_err(|error| self.failed(&error))?;
            let _ = fs::remove_file(self.scratch.beside("root.rs"));
        }
        Ok(())
    }

    /// Runs the recorder.
    fn record(&self, cargo: &Cargo<'_>) -> Result<Recording, Refusal> {
        let asked = recording::Asked {
            scratch: self.scratch,
            file: &self.target.file,
            faults: self.probes.faults().into_iter().map(|(number, _)| number).collect(),
            seed: self.arguments.seed,
            cases: self.arguments.budget().saturating_mul(CASES_PER_MS),
            stop: self.stop,
        };
        let shown =
            |case: usize, at: &[usize]| self.cases.get(case).map(|case| case.shown(at)).unwrap_or_default();
        recording::of(asked, &shown, &|env| cargo.run(RECORDER, &["--test-threads=1"], env))
    }

    /// In the form of all languages; and the lines that bring traits into scope.
    fn found(&mut self, recording: Recording, version: String) -> (Found, String) {
        let mut blocks = Vec::new();
        let mut outcomes: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for one in recording.chosen(CANDIDATES_MAX) {
            let Some(case) = self.cases.get(one.case) else { continue };
            let said = Said { kind: one.kind, text: &one.text, state: &one.state };
            let (strong, weak, oracle) = case.test(&one.at, said);
            let base: String =
                case.call.target.chars().map(|one| if one.is_alphanumeric() { one } else { '_' }).collect();
            let base = base.replace("__", "_").to_lowercase();
            let costs = match oracle {
                "value" => 0,
                "debug" => 25,
                "panic" => 50,
                _ => 60,
            };
            blocks.push(Block {
                name: format!("test_{base}{}", if oracle == "panic" { "_panics" } else { "" }),
                cost: u32::try_from(strong.len() / 2 + costs).unwrap_or(u32::MAX),
                strong,
                weak,
                imports: case.call.uses.iter().map(|path| (path.clone(), None)).collect(),
                target: case.call.target.clone(),
                oracle: oracle.into(),
                kills: one.kills.clone(),
                lines: self.probes.lines(&one.hits),
                branches: different(one, &mut outcomes),
            });
        }
        let mut fates = std::mem::take(&mut self.fates);
        for case in self.cases.iter().filter(|case| !case.is_out) {
            fates.push(Fate { target: case.call.target.clone(), status: "searched".into(), reason: None });
        }
        let found = native::found(blocks, fates, recording, &self.probes, self.arguments, version);
        (found, recorder::uses(self.cases.iter()))
    }
}
