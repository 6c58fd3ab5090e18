//! Mode `verify` for Rust: each file of candidates built by Cargo as a test target, and each test run as a process.

use std::collections::BTreeSet;
use std::fs;

use super::super::call::Call;
use super::super::judge::{Broken, MUTANTS_MAX, Run};
use super::super::native::{BUILDS_MAX, Source};
use super::super::target::Target;
use super::super::trial::Trial;
use super::cargo::{Built, Cargo};
use super::instrument;
use super::package::Package;
use crate::reply::Refusal;

/// Runs the candidates twice.
pub(in super::super) fn judge(call: &Call<'_>, target: &Target) -> Result<(Run, Run), Refusal> {
    let (arguments, stop, scratch) = (call.arguments, call.stop(), call.scratch()?);
    let package = Package::of(&scratch.project(), &target.file)?;
    let Source { text: source, tree } = Source::of(target, &tree_sitter_rust::LANGUAGE.into())?;
    let folder =
        if package.folder.is_empty() { "tests/".into() } else { format!("{}/tests/", package.folder) };
    let mut candidates = Vec::new();
    for one in &arguments.candidates {
        let name = one.path.strip_prefix(&folder).and_then(|rest| rest.strip_suffix(".rs"));
        let name = name.filter(|name| !name.contains('/')).ok_or_else(|| {
            Refusal(format!("{}: tests of {} are judged as files {folder}*.rs", one.path, target.file))
        })?;
        candidates.push((one, name));
    }
    let failed = |error: std::io::Error| Refusal(format!("the copy cannot be written: {error}"));
    let place = scratch.project().join(&target.file);
    let root = fs::read_to_string(&package.root).map_err(failed)?;
    let mut probes =
        instrument::probes(source, tree.root_node(), arguments.mutants.min(MUTANTS_MAX) as usize);
    let cargo = Cargo::of(scratch, &package, stop)?;
    let inside = target.file.strip_prefix(&format!("{}/", package.folder)).unwrap_or(&target.file);
    let mut broken: Vec<Broken> = Vec::new();
    let mut turn = 0;
    // What is dropped from the file for one candidate changes it for all, so that all are built again.
    'again: loop {
        turn += 1;
        if turn > BUILDS_MAX {
            return Err(Refusal(format!("{}: it does not compile with the candidates", target.file)));
        }
        let mut text = probes.put(source);
        let module = instrument::told(probes.count());
        if place == package.root {
            text.push_str(&module);
        } else {
            fs::write(&package.root, format!("{root}{module}")).map_err(failed)?;
        }
        fs::write(&place, text).map_err(failed)?;
        for (one, name) in &candidates {
            if broken.iter().any(|other| other.path == one.path) {
                continue;
            }
            let Built::Errors(errors) = cargo.build(name, &one.content)? else { continue };
            let rows: BTreeSet<u32> =
                errors.iter().filter(|error| error.file.ends_with(inside)).map(|error| error.line).collect();
            if probes.drop_on(&rows) {
                continue 'again;
            }
            let file = format!("tests/{name}.rs");
            let Some(error) = errors.iter().find(|error| error.file.ends_with(&file)) else {
                let text = errors.first().map_or("", |error| error.text.as_str());
                return Err(Refusal(format!("{}: it does not compile: {text}", target.file)));
            };
            broken.push(Broken {
                path: one.path.clone(),
                error: format!("{}:{}: {}", one.path, error.line, error.text),
            });
        }
        break;
    }
    let mut tests = Vec::new();
    for (one, name) in candidates.iter().filter(|(one, _)| !broken.iter().any(|other| other.path == one.path))
    {
        let (_, printed) = cargo.output(name, &["--list"], &[])?;
        let names = printed.lines().filter_map(|line| line.strip_suffix(": test"));
        tests.extend(names.map(|test| (one.path.clone(), test.to_owned())));
    }
    let programs: Vec<(&str, &str)> =
        candidates.iter().map(|(one, name)| (one.path.as_str(), *name)).collect();
    let trial = Trial {
        scratch,
        probes: &probes,
        tests: tests.clone(),
        broken,
        by: "cargo test",
        version: cargo.version(),
        stop,
    };
    trial.runs(&|place, env| {
        let Some((path, test)) = place.and_then(|place| tests.get(place)) else {
            return Ok((true, String::new()));
        };
        let program = programs.iter().find(|(other, _)| other == path).map_or("", |(_, name)| *name);
        let (how, printed) = cargo.output(program, &[test, "--exact", "--test-threads=1"], env)?;
        let is_passed = printed.lines().any(|line| line.starts_with("test ") && line.ends_with("... ok"));
        Ok((is_passed, format!("{how} {printed}")))
    })
}
