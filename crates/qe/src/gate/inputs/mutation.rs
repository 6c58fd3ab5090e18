//! Results of mutation tests: faults that were put into the code, and whether a test noticed.

mod cargo_mutants;
mod mutmut;
mod pit;
mod stryker;

use std::collections::BTreeMap;

use crate::project::git::Lines;

/// Mutants that are named; the others are only counted.
const NAMED_MAX: usize = 500;

/// What a report says. Mutants that could not be built or were not to be run are in none of the counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mutants {
    pub(crate) killed: u64,
    /// Noticed by a test that did not end, or by the end of the program.
    pub(crate) timeout: u64,
    pub(crate) survived: u64,
    /// No test runs the code; they survive.
    pub(crate) no_coverage: u64,
    /// Not decided: the run was not whole.
    pub(crate) pending: u64,
    /// Survivors, as many as are named.
    pub(crate) survivors: Vec<Survivor>,
    /// Where each of them is, by file.
    pub(crate) places: BTreeMap<String, Vec<Place>>,
    /// Those of which that is not known.
    pub(crate) unplaced: u64,
    /// Which tool's report this is, with its version where it says.
    pub(crate) tool: String,
}

/// The lines of one mutant, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) lines: Lines,
    /// `None`: not decided.
    pub(crate) is_noticed: Option<bool>,
}

/// A fault that no test noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survivor {
    pub(crate) id: String,
    pub(crate) file: Option<String>,
    pub(crate) lines: Option<Lines>,
}

/// What became of one mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Killed,
    Timeout,
    Survived,
    NoCoverage,
    Pending,
    /// No mutant: it does not build, or was left out.
    Invalid,
}

impl Mutants {
    /// Counts a mutant. `survivor` says where it is, and how it is called if it survived.
    fn add(&mut self, fate: Fate, survivor: impl FnOnce() -> Survivor) {
        let count = match fate {
            Fate::Killed => &mut self.killed,
            Fate::Timeout => &mut self.timeout,
            Fate::Survived => &mut self.survived,
            Fate::NoCoverage => &mut self.no_coverage,
            Fate::Pending => &mut self.pending,
            Fate::Invalid => return,
        };
        *count = count.saturating_add(1);
        let is_noticed = match fate {
            Fate::Killed | Fate::Timeout => Some(true),
            Fate::Survived | Fate::NoCoverage => Some(false),
            Fate::Pending | Fate::Invalid => None,
        };
        let survivor = survivor();
        match (&survivor.file, survivor.lines) {
            (Some(file), Some(lines)) => {
                let place = Place { lines, is_noticed };
                match self.places.get_mut(file) {
                    Some(places) => places.push(place),
                    None => drop(self.places.insert(file.clone(), vec![place])),
                }
            }
            _ => self.unplaced = self.unplaced.saturating_add(1),
        }
        if is_noticed == Some(false) && self.survivors.len() < NAMED_MAX {
            self.survivors.push(survivor);
        }
    }

    /// Names the files as the project does. Mutants of a file that is none of its are not placed.
    pub(crate) fn place(&mut self, mut find: impl FnMut(&str) -> Option<String>) {
        for (file, places) in std::mem::take(&mut self.places) {
            match find(&file) {
                Some(found) => self.places.entry(found).or_default().extend(places),
                None => self.unplaced = self.unplaced.saturating_add(places.len() as u64),
            }
        }
        for survivor in &mut self.survivors {
            let Some(file) = survivor.file.take() else { continue };
            survivor.file = find(&file);
            if survivor.file.is_none() {
                survivor.id = format!("{} in {file}", survivor.id);
            }
        }
    }

    /// Adds what another report says of other mutants.
    pub(crate) fn merge(&mut self, other: Self) {
        for (ours, theirs) in [
            (&mut self.killed, other.killed),
            (&mut self.timeout, other.timeout),
            (&mut self.survived, other.survived),
            (&mut self.no_coverage, other.no_coverage),
            (&mut self.pending, other.pending),
            (&mut self.unplaced, other.unplaced),
        ] {
            *ours = ours.saturating_add(theirs);
        }
        for (file, places) in other.places {
            self.places.entry(file).or_default().extend(places);
        }
        self.survivors.extend(other.survivors);
        self.survivors.truncate(NAMED_MAX);
    }

    pub(crate) fn noticed(&self) -> u64 {
        self.killed.saturating_add(self.timeout)
    }

    pub(crate) fn unnoticed(&self) -> u64 {
        self.survived.saturating_add(self.no_coverage)
    }

    /// Percent of the mutants that a test noticed, rounded down to two decimals.
    ///
    /// # Errors
    /// If there is none, or some are not decided.
    pub(crate) fn score(&self) -> Result<f64, String> {
        if self.pending > 0 {
            return Err(format!("the run was not whole: {} mutants are not decided", self.pending));
        }
        score(self.noticed(), self.unnoticed()).ok_or_else(|| "there is no mutant that could be built".into())
    }
}

/// In percent, rounded down to two decimals; `None` of nothing.
pub(crate) fn score(noticed: u64, unnoticed: u64) -> Option<f64> {
    let all = u128::from(noticed) + u128::from(unnoticed);
    (all > 0).then(|| (u128::from(noticed) * 10_000 / all) as f64 / 100.0)
}

/// Reads a report of any of the formats.
///
/// # Errors
/// If it is of none of them, or not whole, or its tests failed without a mutant.
pub(crate) fn parse(bytes: &[u8]) -> Result<Mutants, String> {
    let text = crate::xml::text(bytes);
    let text = text.trim_start();
    if text.starts_with('<') {
        return pit::parse(text);
    }
    // Each of the three has a member that the others have not.
    let keys: Keys = serde_json::from_str(text).map_err(|error| format!("no mutation report: {error}"))?;
    if keys.files.is_some() {
        stryker::parse(text)
    } else if keys.outcomes.is_some() {
        cargo_mutants::parse(text)
    } else if keys.survived.is_some() {
        mutmut::parse(text)
    } else {
        Err("no mutation report: neither Stryker's schema, nor cargo-mutants' outcomes.json, nor mutmut's statistics, nor PIT's XML".into())
    }
}

#[derive(serde::Deserialize)]
struct Keys {
    files: Option<serde::de::IgnoredAny>,
    outcomes: Option<serde::de::IgnoredAny>,
    survived: Option<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests;
