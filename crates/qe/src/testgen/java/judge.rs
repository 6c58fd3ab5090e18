//! Mode `verify` for Java: the candidates compiled with the file that tells what of it runs, and run method by method.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::super::call::Call;
use super::super::candidates::Reach;
use super::super::judge::{Broken, MUTANTS_MAX, Ran, Run};
use super::super::native::{self, BUILDS_MAX};
use super::super::recording;
use super::super::target::Target;
use super::cases::Flavour;
use super::javac::Javac;
use super::{CLASSES, Source, instrument, items, put, runner, stand_in};
use crate::reply::Refusal;

/// A file of candidates: its path, and its class as the machine names it.
struct Candidate {
    path: String,
    class: String,
    place: PathBuf,
}

/// Runs the candidates twice.
pub(in super::super) fn judge(call: &Call<'_>, target: &Target) -> Result<(Run, Run), Refusal> {
    let (arguments, stop, scratch) = (call.arguments, call.stop(), call.scratch()?);
    let source = Source::of(target, &tree_sitter_java::LANGUAGE.into())?;
    let root = source.tree.root_node();
    let package = items::of(source.text, root, &|_| false, true).package;
    let mut javac = Javac::of(scratch, &target.file, &package, stop)?;
    let is_new = arguments.candidates.iter().any(|one| one.content.contains("org.junit.jupiter"));
    javac.is_for(if is_new { Flavour::Five } else { Flavour::Four });
    let mut candidates = Vec::new();
    for one in &arguments.candidates {
        let stem = one.path.rsplit('/').next().unwrap_or(&one.path);
        let Some(stem) = stem.strip_suffix(".java") else {
            return Err(Refusal(format!("{}: tests of Java are in files that end in .java", one.path)));
        };
        let package = one.content.lines().find_map(|line| line.trim().strip_prefix("package "));
        let package = package.map(|rest| rest.trim_end_matches(';').trim());
        candidates.push(Candidate {
            class: package.map_or_else(|| stem.to_owned(), |package| format!("{package}.{stem}")),
            place: scratch.project().join(&one.path),
            path: one.path.clone(),
        });
    }
    let mut probes = instrument::probes(source.text, root, arguments.mutants.min(MUTANTS_MAX) as usize);
    let place = scratch.project().join(&target.file);
    let mut broken: Vec<Broken> = Vec::new();
    let mut is_built = false;
    for _ in 0..BUILDS_MAX * 2 {
        let failed = |error: std::io::Error| Refusal(format!("the copy cannot be written: {error}"));
        fs::write(&place, probes.put(source.text)).map_err(failed)?;
        let mut files = if javac.has_junit() { Vec::new() } else { stand_in(scratch)? };
        files.push(place.clone());
        files.push(put(scratch, "Probe.java", &instrument::class(probes.count()))?);
        files.push(put(scratch, "AqeRunner.java", &runner(true))?);
        files.extend(candidates.iter().map(|one| one.place.clone()));
        let Err(errors) = javac.compile(CLASSES, &files)? else {
            is_built = true;
            break;
        };
        let own = place.display().to_string();
        let rows = errors.iter().filter(|(file, ..)| *file == own).map(|(_, line, _)| *line).collect();
        let mut is_better = probes.drop_on(&rows);
        candidates.retain(|one| {
            let file = one.place.display().to_string();
            let Some((_, line, text)) = errors.iter().find(|(other, ..)| *other == file) else { return true };
            broken.push(Broken { path: one.path.clone(), error: format!("{}:{line}: {text}", one.path) });
            is_better = true;
            false
        });
        if !is_better {
            let (_, line, text) = &errors[0];
            return Err(Refusal(format!("{}: javac cannot build it here: {line}: {text}", target.file)));
        }
    }
    if !is_built {
        return Err(Refusal(format!("{}: javac cannot build it with the candidates", target.file)));
    }
    let faults = probes.faults();
    let numbers: BTreeMap<u32, u32> = faults.iter().map(|(number, _)| *number).zip(0..).collect();
    let classes: Vec<&str> = candidates.iter().map(|one| one.class.as_str()).collect();
    let run = |backwards: bool| -> Result<Run, Refusal> {
        let asked = recording::Asked {
            scratch,
            file: &target.file,
            faults: if backwards { Vec::new() } else { numbers.keys().copied().collect() },
            seed: 0,
            cases: 0,
            stop,
        };
        let recorded = recording::of(asked, &|_, _| "a candidate".into(), &|env| {
            let mut env = env.to_vec();
            let (turn, zone) = if backwards { ("1", "Asia/Tokyo") } else { ("0", "UTC") };
            env.extend([("AQE_BACKWARDS", turn.to_owned()), ("TZ", zone.to_owned())]);
            javac.run(CLASSES, "AqeRunner", &classes, &env)
        })?;
        let mut tests: Vec<Ran> = Vec::new();
        for one in &recorded.kept {
            let Some((class, method)) = one.text.split_once('#') else { continue };
            let Some(file) = candidates.iter().find(|other| other.class == class) else { continue };
            tests.push(Ran {
                name: format!("{}::{method}", file.path),
                outcome: if one.kind == 'v' { "passed" } else { "failed" }.into(),
                error: (!one.state.is_empty()).then(|| one.state.clone()),
                lines: probes.lines(&one.hits),
                branches: Vec::new(),
                kills: one.kills.iter().filter_map(|fault| numbers.get(fault).copied()).collect(),
            });
        }
        Ok(Run {
            tests,
            broken: broken.clone(),
            by: if javac.has_junit() { "JUnit's assertions" } else { "a stand-in of JUnit's assertions" }
                .into(),
            mutants: (!faults.is_empty() && !recorded.cut)
                .then(|| faults.iter().map(|(_, mutant)| mutant.clone()).collect()),
            universe: Reach { lines: probes.universe(), branches: Vec::new() },
            import: Reach::default(),
            version: javac.version.clone(),
            held: native::held(),
        })
    };
    Ok((run(false)?, run(true)?))
}
