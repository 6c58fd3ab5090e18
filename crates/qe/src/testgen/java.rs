//! Java: a recorder in the package of the file calls its methods, compiled with `javac` in the copy, and JUnit tests of what it
//! saw, compiled against JUnit where that is installed and run method by method.

mod cases;
mod emit;
mod instrument;
mod items;
mod javac;
mod judge;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::candidates::{Block, Fate, Found, Verdict, Verdicts};
use super::kept::{Emission, Evidence, Status};
use super::native::{self, BUILDS_MAX, CANDIDATES_MAX, CASES_PER_MS, Source};
use super::probes::Probes;
use super::recording::{self, Recording, different};
use super::scratch::Scratch;
use super::target::Target;
use crate::reply::Refusal;
use crate::stop::Stop;
use cases::{Cases, Flavour, Line};
use emit::Writing;
use items::{Class, Items};
use javac::{Errors, Javac};
pub(super) use judge::judge;
use values::Literals;

const RUNTIME: &str = include_str!("java/recorder.txt");
const RUNNER: &str = include_str!("java/runner.txt");
const ASSERTIONS: &str = include_str!("java/assertions.txt");
/// Methods that are searched in one call, and other files in which is looked for what makes objects.
const CASES_MAX: usize = 200;
const FILES_MAX: usize = 120;
const SOURCE_BYTES_MAX: u64 = 512 * 1024;
const CLASSES: &str = "classes";
/// What a recorder may use in values.
const USUAL: [&str; 9] = [
    "java.util",
    "java.util.regex",
    "java.util.function",
    "java.util.concurrent",
    "java.math",
    "java.time",
    "java.io",
    "java.nio.charset",
    "java.net",
];

/// Searches one file and tries what was found in fresh processes.
pub(super) fn evidence<'a>(
    scratch: &Scratch,
    target: &'a Target,
    arguments: &'a Arguments,
    stop: &Stop,
) -> Result<Evidence<'a>, Refusal> {
    let source = Source::of(target, &tree_sitter_java::LANGUAGE.into())?;
    let root = source.tree.root_node();
    let items = items::of(source.text, root, &|name| target.wants(name), arguments.allow_effects);
    target.has_all("method or class", items.all.iter().map(String::as_str))?;
    let javac = Javac::of(scratch, &target.file, &items.package, stop)?;
    let classes = classes(&javac, &items, &scratch.project().join(&target.file));
    let literals = Literals::of(root, source.text);
    let Items { package, imports, calls, mut fates, .. } = items;
    let mut cases = Cases::default();
    cases.imports.clone_from(&imports);
    cases.imports.extend(USUAL.map(|package| format!("import {package}.*;")));
    for call in calls {
        let name = call.target.clone();
        let said = if cases.all.len() < CASES_MAX {
            cases.add(call, &classes, &literals)
        } else {
            Err("more methods than are searched in one call".into())
        };
        if let Err(reason) = said {
            fates.push(Fate { target: name, status: "not searched".into(), reason: Some(reason) });
        }
    }
    if cases.all.is_empty() {
        return Err(Refusal(format!(
            "{}: plan only: no method of it can be called: {}",
            target.file,
            fates.first().map_or("it has none that tests can reach", |fate| fate
                .reason
                .as_deref()
                .unwrap_or_default())
        )));
    }
    let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
    let (flavour, has_junit) = (javac.flavour, javac.has_junit());
    let mut search = Search {
        scratch,
        target,
        source: source.text,
        cases,
        fates,
        probes: instrument::probes(source.text, root, arguments.mutants as usize),
        writing: Writing { package, imports, names, flavour },
        arguments,
        stop,
        javac,
    };
    search.build()?;
    let recorded = search.record()?;
    let found = search.found(recorded);
    let runs = search.confirm(&found.blocks)?;
    let Search { writing, javac, .. } = search;
    let wanted = wanted(scratch, target, &javac, &writing.package);
    let build_file = javac.build_file;
    let package = writing.package.clone();
    Ok(Evidence {
        found,
        runs,
        framework: if flavour == Flavour::Five { "junit5" } else { "junit4" },
        tool: "Java",
        status: if has_junit {
            Status::Kept
        } else {
            Status::Emitted("JUnit's jars are neither in the project, in ~/.m2 nor in /usr/share/java: the tests were compiled and run against a stand-in of its assertions, not against JUnit".into())
        },
        cached: false,
        mutation_reason: "no faults were planted",
        emission: Emission {
            wanted,
            title: Box::new(emit::title),
            text: Box::new(move |kept, path| writing.file(kept, path, target, arguments.seed)),
            commands: Box::new(move |path| {
                let class = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".java").to_owned();
                vec![match build_file {
                    Some("pom.xml") => format!("mvn -q test -Dtest={class}"),
                    Some(_) if package.is_empty() => format!("gradle test --tests {class}"),
                    Some(_) => format!("gradle test --tests {package}.{class}"),
                    None => format!("# compile {path} with JUnit and run the class {class}"),
                }]
            }),
        },
    })
}

/// Where the test file goes: beside the sources as Maven and Gradle have it, else beside the file.
fn wanted(scratch: &Scratch, target: &Target, javac: &Javac<'_>, package: &str) -> String {
    let stem = target.file.strip_suffix(".java").unwrap_or(&target.file);
    let name = stem.rsplit('/').next().unwrap_or(stem);
    let root = javac.roots.first().and_then(|root| root.strip_prefix(scratch.project()).ok());
    let root = root.map(|root| root.display().to_string()).unwrap_or_default();
    let tests = if let Some(before) = root.strip_suffix("src/main/java") {
        format!("{before}src/test/java")
    } else {
        let above = Path::new(&root).parent().unwrap_or(Path::new(""));
        let beside = above.join("test").display().to_string();
        if scratch.project().join(&beside).is_dir() { beside } else { root }
    };
    let parts = [tests, package.replace('.', "/"), format!("{name}CharacterizationTest.java")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// Those of the file, of its package, and those that it imports from the project.
fn classes(javac: &Javac<'_>, items: &Items, place: &Path) -> Vec<Class> {
    let mut found = items.classes.clone();
    let mut files: Vec<PathBuf> = Vec::new();
    let folder = items.package.replace('.', "/");
    for root in &javac.roots {
        let Ok(entries) = fs::read_dir(root.join(&folder)) else { continue };
        let mut own: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        own.sort();
        files.extend(own);
    }
    for import in &items.imports {
        let name = import.trim_start_matches("import").trim_end_matches(';').trim();
        let inside = format!("{}.java", name.replace('.', "/"));
        files.extend(javac.roots.iter().map(|root| root.join(&inside)));
    }
    files.retain(|path| {
        path != place && path.extension().is_some_and(|ending| ending == "java") && path.is_file()
    });
    for path in files.into_iter().take(FILES_MAX) {
        let is_small = fs::metadata(&path).is_ok_and(|is| is.len() <= SOURCE_BYTES_MAX);
        let text = is_small.then(|| fs::read_to_string(&path).ok()).flatten();
        if let Some((text, tree)) = text
            .and_then(|text| Some((native::parsed(&text, &tree_sitter_java::LANGUAGE.into())?, text)))
            .map(|(tree, text)| (text, tree))
        {
            found.extend(items::of(&text, tree.root_node(), &|_| true, true).classes);
        }
    }
    found
}

struct Search<'a> {
    scratch: &'a Scratch,
    target: &'a Target,
    source: &'a str,
    cases: Cases,
    fates: Vec<Fate>,
    probes: Probes,
    writing: Writing,
    arguments: &'a Arguments,
    stop: &'a Stop,
    javac: Javac<'a>,
}

/// Writes a source beside the copy.
fn put(scratch: &Scratch, name: &str, text: &str) -> Result<PathBuf, Refusal> {
    let folder = scratch.put("aqe-java", &[(name, text)])?;
    Ok(folder.join(name))
}

/// The runner, over probes or without them.
fn runner(has_probes: bool) -> String {
    let (hits, plant) = if has_probes {
        ("aqeprobe.Probe.HITS", "aqeprobe.Probe.planted = n;")
    } else {
        ("new boolean[0]", "")
    };
    RUNNER.replacen(
        "  static volatile long began;",
        &format!("  static volatile long began;\n  static final boolean[] HITS = {hits};\n  static void plant(int n) {{ {plant} }}"),
        1,
    )
}

/// What stands in for JUnit where it is not installed.
fn stand_in(scratch: &Scratch) -> Result<Vec<PathBuf>, Refusal> {
    let test = "@java.lang.annotation.Retention(java.lang.annotation.RetentionPolicy.RUNTIME) public @interface Test {";
    let four = ASSERTIONS
        .replace("package org.junit.jupiter.api", "package org.junit")
        .replace("class Assertions", "class Assert")
        .replace(
            "  public static void assertTrue",
            "  public static void assertEquals(double wanted, double got, double delta) { check(Double.compare(wanted, got) == 0, wanted, got); }\n  \
             public static void assertArrayEquals(double[] wanted, double[] got, double delta) { assertArrayEquals(wanted, got); }\n  \
             public static void assertArrayEquals(float[] wanted, float[] got, float delta) { assertArrayEquals(wanted, got); }\n  \
             public static void assertTrue",
        );
    let none = "class None extends Throwable { private None() { } } Class<? extends Throwable> expected() default None.class;";
    let mut found = Vec::new();
    for (folder, name, text) in [
        ("aqe-junit5", "Assertions.java", ASSERTIONS.to_owned()),
        ("aqe-junit5", "Test.java", format!("package org.junit.jupiter.api; {test} }}")),
        ("aqe-junit4", "Assert.java", four),
        ("aqe-junit4", "Test.java", format!("package org.junit; {test} {none} }}")),
    ] {
        found.push(scratch.put(folder, &[(name, &text)])?.join(name));
    }
    Ok(found)
}

impl Search<'_> {
    fn failed(&self, error: &std::io::Error) -> Refusal {
        Refusal(format!("{}: the copy cannot be written: {error}", self.target.file))
    }

    fn place(&self) -> PathBuf {
        self.scratch.project().join(&self.target.file)
    }

    /// Puts the probes and the recorder into the copy and builds them, without what the compiler does not take.
    fn build(&mut self) -> Result<(), Refusal> {
        let place = self.place();
        for _ in 0..BUILDS_MAX * 2 {
            fs::write(&place, self.probes.put(self.source)).map_err(|error| self.failed(&error))?;
            let (text, lines) = self.cases.source(&self.writing.package, RUNTIME);
            let recorder = put(self.scratch, "AqeRecorder.java", &text)?;
            let probe = put(self.scratch, "Probe.java", &instrument::class(self.probes.count()))?;
            let Err(errors) = self.javac.compile(CLASSES, &[place.clone(), recorder.clone(), probe])? else {
                return Ok(());
            };
            if !self.drop(&errors, &recorder, &lines) {
                let other = errors.iter().find(|(file, ..)| *file != recorder.display().to_string());
                let (file, line, text) = other.unwrap_or(&errors[0]);
                let file = Path::new(file).strip_prefix(self.scratch.project()).unwrap_or(Path::new(file));
                return Err(Refusal(format!(
                    "{}: plan only: javac cannot build it here: {}:{line}: {text}",
                    self.target.file,
                    file.display()
                )));
            }
        }
        Err(Refusal(format!("{}: plan only: calls of it do not compile", self.target.file)))
    }

    /// Leaves out what the errors name; whether there was anything.
    fn drop(&mut self, errors: &Errors, recorder: &Path, lines: &BTreeMap<u32, Line>) -> bool {
        let (recorder, own) = (recorder.display().to_string(), self.place().display().to_string());
        let rows: BTreeSet<u32> =
            errors.iter().filter(|(file, ..)| *file == own).map(|(_, line, _)| *line).collect();
        let mut is_better = !rows.is_empty() && self.probes.drop_on(&rows);
        for (_, line, reason) in errors.iter().filter(|(file, ..)| *file == recorder) {
            let Some(what) = lines.get(line) else { continue };
            let (is_new, call) = self.cases.drop(*what);
            is_better |= is_new;
            if let Some(call) = call {
                self.fates.push(Fate {
                    target: call.target.clone(),
                    status: "not searched".into(),
                    reason: Some(format!("a call of it does not compile: {reason}")),
                });
            }
        }
        is_better
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
        let package = &self.writing.package;
        let class = if package.is_empty() { "AqeRecorder".into() } else { format!("{package}.AqeRecorder") };
        recording::of(asked, &|case, at| self.cases.shown(case, at), &|env| {
            self.javac.run(CLASSES, &class, &[], env)
        })
    }

    fn found(&mut self, recording: Recording) -> Found {
        let mut outcomes = BTreeMap::new();
        let mut blocks = Vec::new();
        for one in recording.chosen(CANDIDATES_MAX) {
            let Some((test, oracle)) = self.cases.test(one, self.javac.flavour) else { continue };
            let Some(case) = self.cases.all.get(one.case) else { continue };
            let base = case.call.target.replace('.', "_");
            let costs = match oracle {
                "value" => 0,
                "debug" => 25,
                "exception" => 40,
                _ => 60,
            };
            blocks.push(Block {
                name: format!("test_{base}{}", if oracle == "exception" { "_throws" } else { "" }),
                cost: u32::try_from(test.len() / 2 + costs).unwrap_or(u32::MAX),
                strong: self.writing.shortened(&test),
                weak: None,
                imports: Vec::new(),
                target: case.call.target.clone(),
                oracle: oracle.into(),
                kills: one.kills.clone(),
                lines: self.probes.lines(&one.hits),
                branches: different(one, &mut outcomes),
            });
        }
        let mut fates = std::mem::take(&mut self.fates);
        for case in self.cases.all.iter().filter(|case| !case.is_out) {
            fates.push(Fate { target: case.call.target.clone(), status: "searched".into(), reason: None });
        }
        native::found(blocks, fates, recording, &self.probes, self.arguments, self.javac.version.clone())
    }

    /// Against the file as it is: all tests in one process, then all in another in the other order and another place.
    fn confirm(&self, blocks: &[Block]) -> Result<Vec<Vec<Verdicts>>, Refusal> {
        fs::write(self.place(), self.source).map_err(|error| self.failed(&error))?;
        let mut files = if self.javac.has_junit() { Vec::new() } else { stand_in(self.scratch)? };
        files.push(put(self.scratch, "AqeRunner.java", &runner(false))?);
        let mut broken: BTreeSet<usize> = BTreeSet::new();
        let name = |place: usize| format!("t{place}");
        let mut is_built = false;
        for _ in 0..BUILDS_MAX {
            let (text, lines) = self.writing.confirmer(blocks, &broken, name);
            let confirmer = put(self.scratch, "AqeConfirmer.java", &text)?;
            let mut all = files.clone();
            all.push(confirmer.clone());
            let Err(errors) = self.javac.compile(CLASSES, &all)? else {
                is_built = true;
                break;
            };
            let before = broken.len();
            let confirmer = confirmer.display().to_string();
            for (_, line, _) in errors.iter().filter(|(file, ..)| *file == confirmer) {
                broken.extend(lines.range(..=line).next_back().map(|(_, place)| *place));
            }
            if broken.len() == before {
                let (file, line, text) = &errors[0];
                return Err(Refusal(format!(
                    "{}: its tests do not compile: {file}:{line}: {text}",
                    self.target.file
                )));
            }
        }
        if !is_built {
            return Err(Refusal(format!("{}: its tests do not compile", self.target.file)));
        }
        let package = &self.writing.package;
        let class =
            if package.is_empty() { "AqeConfirmer".into() } else { format!("{package}.AqeConfirmer") };
        let mut runs = Vec::new();
        for (backwards, zone) in [("0", "Asia/Tokyo"), ("1", "America/New_York")] {
            let run = self.tried(&class, backwards, zone)?;
            let of = |place: usize| {
                let strong = Verdict::of(broken.contains(&place), run.contains(&name(place)));
                Verdicts { strong, weak: None }
            };
            runs.push((0..blocks.len()).map(of).collect());
        }
        Ok(runs)
    }

    /// Names of the tests of a class that pass.
    fn tried(&self, class: &str, backwards: &str, zone: &str) -> Result<BTreeSet<String>, Refusal> {
        let asked = recording::Asked {
            scratch: self.scratch,
            file: &self.target.file,
            faults: Vec::new(),
            seed: 0,
            cases: 0,
            stop: self.stop,
        };
        let run = recording::of(asked, &|_, _| class.to_owned(), &|env| {
            let mut env = env.to_vec();
            env.extend([("AQE_BACKWARDS", backwards.to_owned()), ("TZ", zone.to_owned())]);
            self.javac.run(CLASSES, "AqeRunner", &[class], &env)
        })?;
        let passed = run.kept.iter().filter(|one| one.kind == 'v');
        Ok(passed.filter_map(|one| one.text.split_once('#')).map(|(_, name)| name.to_owned()).collect())
    }
}
