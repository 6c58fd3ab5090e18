//! Mode `verify` for Go: the candidates compiled with the package, and each test run as a process.

use std::fs;
use std::path::PathBuf;

use super::super::call::Call;
use super::super::judge::{Broken, MUTANTS_MAX, Run};
use super::super::native::{BUILDS_MAX, Source};
use super::super::target::Target;
use super::super::trial::Trial;
use super::items::File;
use super::{PROBE, Search, Titles, instrument, items};
use crate::reply::Refusal;

const PROGRAM: &str = "judge.test";

/// Runs the candidates twice.
pub(in super::super) fn judge(call: &Call<'_>, target: &Target) -> Result<(Run, Run), Refusal> {
    let (arguments, stop, scratch) = (call.arguments, call.stop(), call.scratch()?);
    let Source { text: source, tree } = Source::of(target, &tree_sitter_go::LANGUAGE.into())?;
    let place = scratch.project().join(&target.file);
    let mutants = arguments.mutants.min(MUTANTS_MAX) as usize;
    let mut search = Search {
        scratch,
        target,
        titles: Titles(None),
        folder: place.parent().map(PathBuf::from).unwrap_or_default(),
        source,
        package: items::of(&[File { text: source, tree: &tree }], &[], |_| false, true).package,
        calls: Vec::new(),
        fates: Vec::new(),
        probes: instrument::probes(source, tree.root_node(), mutants),
        arguments,
        stop,
    };
    // The tests of the package itself are left out: the candidates stand for themselves.
    let version = search.prepare()?;
    let inside = target.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut candidates = Vec::new();
    for one in &arguments.candidates {
        let (folder, name) = one.path.rsplit_once('/').unwrap_or(("", &one.path));
        if folder != inside || !name.ends_with("_test.go") {
            return Err(Refusal(format!(
                "{}: tests of {} are in its folder, in files that end in _test.go",
                one.path, target.file
            )));
        }
        fs::write(search.folder.join(name), &one.content).map_err(|error| search.failed(&error))?;
        candidates.push((one, name));
    }
    let own = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut broken: Vec<Broken> = Vec::new();
    let mut is_built = false;
    for _ in 0..BUILDS_MAX {
        let text = instrument::told(&search.package, search.probes.count());
        fs::write(search.folder.join(PROBE), text).map_err(|error| search.failed(&error))?;
        fs::write(&place, search.probes.put(source)).map_err(|error| search.failed(&error))?;
        let Err(errors) = search.compile(PROGRAM)? else {
            is_built = true;
            break;
        };
        let rows = errors.iter().filter(|(file, ..)| *file == own).map(|(_, line, _)| *line).collect();
        let mut is_better = search.probes.drop_on(&rows);
        for (one, name) in &candidates {
            let Some((_, line, text)) = errors.iter().find(|(file, ..)| file == name) else { continue };
            broken.push(Broken { path: one.path.clone(), error: format!("{}:{line}: {text}", one.path) });
            fs::remove_file(search.folder.join(name)).map_err(|error| search.failed(&error))?;
            is_better = true;
        }
        candidates.retain(|(one, _)| !broken.iter().any(|other| other.path == one.path));
        if !is_better {
            let (file, line, text) = &errors[0];
            return Err(Refusal(format!("{}: it does not compile: {file}:{line}: {text}", target.file)));
        }
    }
    if !is_built {
        return Err(Refusal(format!("{}: it does not compile with the candidates", target.file)));
    }
    let tests: Vec<(String, String)> = candidates
        .iter()
        .flat_map(|(one, _)| tests(&one.content).map(|test| (one.path.clone(), test)))
        .collect();
    let trial =
        Trial { scratch, probes: &search.probes, tests: tests.clone(), broken, by: "go test", version, stop };
    trial.runs(&|place, env| {
        let name = place.and_then(|place| tests.get(place)).map_or("", |(_, name)| name.as_str());
        let only = format!("-test.run=^{name}$");
        let (how, printed) = search.run(PROGRAM, &["-test.v", &only], env)?;
        let is_passed = printed.lines().any(|line| line.starts_with(&format!("--- PASS: {name} ")));
        Ok((is_passed, if printed.contains("--- FAIL") { printed } else { format!("{how} {printed}") }))
    })
}

/// Names of the tests of a file.
fn tests(content: &str) -> impl Iterator<Item = String> + '_ {
    content.lines().filter_map(|line| {
        let name = line.strip_prefix("func ")?.split('(').next()?;
        (name.starts_with("Test") && name != "TestMain").then(|| name.to_owned())
    })
}
