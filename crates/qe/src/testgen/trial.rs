//! Mode `verify` for languages of which each test is a process: Go and Rust. The file under test says what of it runs, and
//! which fault is in, by variables of the process.

use std::collections::BTreeSet;
use std::fs;

use super::candidates::Reach;
use super::judge::{Broken, Ran, Run};
use super::native;
use super::probes::Probes;
use super::scratch::Scratch;
use crate::reply::Refusal;
use crate::stop::Stop;

/// The file that probes add their numbers to, and the number of the fault that is in.
pub(super) const HITS: &str = "AQE_HITS";
pub(super) const PLANTED: &str = "AQE_PLANTED";
/// Characters of what a failed test printed.
const EXCERPT: usize = 300;

/// Variables of a process.
pub(super) type Env<'a> = &'a [(&'a str, String)];

/// What is tried.
pub(super) struct Trial<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) probes: &'a Probes,
    /// Of each test its file and its name there.
    pub(super) tests: Vec<(String, String)>,
    pub(super) broken: Vec<Broken>,
    pub(super) by: &'a str,
    pub(super) version: String,
    pub(super) stop: &'a Stop,
}

/// Runs one test, or none at all; whether it passed, and what it printed.
type One<'a> = dyn Fn(Option<usize>, Env<'_>) -> Result<(bool, String), Refusal> + 'a;

impl Trial<'_> {
    /// Runs all in one order and in the other, and those that reach a fault once more with it.
    pub(super) fn runs(&self, one: &One<'_>) -> Result<(Run, Run), Refusal> {
        let (_, import) = self.run(None, 0, "UTC", one)?;
        let faults = self.probes.faults();
        let all = |zone: &str, places: &mut dyn Iterator<Item = usize>| -> Result<Vec<Ran>, Refusal> {
            places.map(|place| Ok(self.run(Some(place), 0, zone, one)?.0)).collect()
        };
        let mut first = all("UTC", &mut (0..self.tests.len()))?;
        let second = all("Asia/Tokyo", &mut (0..self.tests.len()).rev())?;
        for (place, test) in first.iter_mut().enumerate().filter(|(_, test)| test.outcome == "passed") {
            for (number, (fault, mutant)) in (0_u32..).zip(&faults) {
                if test.lines.contains(&mutant.line)
                    && self.run(Some(place), *fault, "UTC", one)?.0.outcome != "passed"
                {
                    test.kills.push(number);
                }
            }
        }
        let run = |tests: Vec<Ran>| Run {
            tests,
            broken: self.broken.clone(),
            by: self.by.to_owned(),
            mutants: (!faults.is_empty()).then(|| faults.iter().map(|(_, mutant)| mutant.clone()).collect()),
            universe: Reach { lines: self.probes.universe(), branches: Vec::new() },
            import: Reach { lines: import.clone(), branches: Vec::new() },
            version: self.version.clone(),
            held: native::held(),
        };
        Ok((run(first), run(second)))
    }

    fn run(
        &self,
        place: Option<usize>,
        fault: u32,
        zone: &str,
        one: &One<'_>,
    ) -> Result<(Ran, Vec<u32>), Refusal> {
        self.stop.check()?;
        let hits = self.scratch.beside("hits");
        let _ = fs::remove_file(&hits);
        let env = [(HITS, hits.display().to_string()), (PLANTED, fault.to_string()), ("TZ", zone.to_owned())];
        let (is_passed, printed) = one(place, &env)?;
        let text = fs::read_to_string(&hits).unwrap_or_default();
        let hits: BTreeSet<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let lines = self.probes.lines(&hits);
        let name = place.and_then(|place| self.tests.get(place));
        let excerpt: String =
            printed.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(EXCERPT).collect();
        let ran = Ran {
            name: name.map(|(path, test)| format!("{path}::{test}")).unwrap_or_default(),
            outcome: if is_passed { "passed" } else { "failed" }.into(),
            error: (!is_passed).then_some(excerpt),
            lines: lines.clone(),
            branches: Vec::new(),
            kills: Vec::new(),
        };
        Ok((ran, lines))
    }
}
