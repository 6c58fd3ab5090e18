//! Which candidates notice which planted fault.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::arguments::Arguments;
use super::super::candidates::Found;
use super::super::faults;
use super::super::harness::Asked;
use super::super::scratch::Scratch;
use super::super::target::Target;
use super::{GRACE, RESTARTS_MAX, WALL_FACTOR, WALL_LEAST, ask};
use crate::reply::Refusal;
use crate::stop::Stop;

#[derive(Debug, Deserialize)]
struct Noticed {
    kills: Vec<Vec<u32>>,
    tried: usize,
}

/// Plants faults and adds to the candidates which of them they notice.
pub(super) fn plant(
    scratch: &Scratch,
    target: &Target,
    arguments: &Arguments,
    found: &mut Found,
    stop: &Stop,
) -> Result<(), Refusal> {
    let mut faults = faults::of(target, arguments.mutants as usize);
    if !target.functions.is_empty() {
        let is_wanted =
            |name: &str| target.functions.iter().any(|one| one.split('.').any(|part| part == name));
        faults.retain(|fault| is_wanted(&fault.mutant.target));
    }
    if faults.is_empty() || found.blocks.is_empty() {
        return Ok(());
    }
    let wall = Duration::from_millis(arguments.budget().into()).saturating_mul(WALL_FACTOR).max(WALL_LEAST);
    let mut skip: Vec<usize> = Vec::new();
    let status = scratch.beside("status");
    let texts: Vec<Value> =
        found.blocks.iter().map(|block| json!({"text": block.strong, "lines": block.lines})).collect();
    let planted: Vec<Value> = faults
        .iter()
        .map(|fault| json!({"from": fault.from, "to": fault.to, "text": fault.text, "line": fault.mutant.line}))
        .collect();
    for _ in 0..=RESTARTS_MAX {
        let request = json!({
            "mode": "faults", "scratch": scratch.project(), "file": target.file, "blocks": texts, "faults": planted,
            "skip": skip, "import_lines": found.import.lines, "wall_ms": wall.as_millis() as u64, "status": status,
            "allow_effects": arguments.allow_effects,
        });
        let _ = std::fs::remove_file(&status);
        match ask::<Noticed>(scratch, &request, "UTC", &stop.within(wall + GRACE)) {
            Ok(noticed) => {
                // Those that ended the process are not known to be noticed by a test of ours, and are left out.
                let is_in = |place: usize| place < noticed.tried && !skip.contains(&place);
                let numbers: BTreeMap<usize, u32> =
                    (0..faults.len()).filter(|place| is_in(*place)).zip(0..).collect();
                found.late |= noticed.tried < faults.len();
                for (block, kills) in found.blocks.iter_mut().zip(noticed.kills) {
                    block.kills =
                        kills.iter().filter_map(|place| numbers.get(&(*place as usize)).copied()).collect();
                }
                let mutants = faults.into_iter().enumerate().filter(|(place, _)| is_in(*place));
                found.mutants = Some(mutants.map(|(_, fault)| fault.mutant).collect());
                return Ok(());
            }
            Err(Asked::Refused(refusal)) => return Err(refusal),
            Err(Asked::Died(_)) => {
                stop.check()?;
                let text = std::fs::read_to_string(&status).unwrap_or_default();
                let Ok(place) = text.trim().parse() else { return Ok(()) };
                skip.push(place);
            }
        }
    }
    // Their tests are worth more than their faults.
    Ok(())
}
