//! Candidates as Cargo runs tests, against the file as it is: all in one process, and each in one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::super::candidates::{Block, Verdict, Verdicts};
use super::cargo::{Built, Cargo};
use super::{BUILDS_MAX, CONFIRMER, Search};
use crate::reply::Refusal;

/// Names of modules that hold one text each.
fn module(place: usize, is_weak: bool) -> String {
    format!("{}{place}", if is_weak { "weak" } else { "strong" })
}

impl Search<'_> {
    /// How each text did, in two runs.
    pub(super) fn confirm(
        &self,
        cargo: &Cargo<'_>,
        blocks: &[Block],
        uses: &str,
    ) -> Result<Vec<Vec<Verdicts>>, Refusal> {
        let mut broken: BTreeSet<String> = BTreeSet::new();
        let mut is_built = false;
        for _ in 0..BUILDS_MAX {
            let (text, lines) = source(blocks, &format!("{}{uses}", self.package.head()), &broken);
            match cargo.build(CONFIRMER, &text)? {
                Built::Done => {
                    is_built = true;
                    break;
                }
                Built::Errors(errors) => {
                    let own = errors.iter().filter(|error| error.file.ends_with(&format!("{CONFIRMER}.rs")));
                    let before = broken.len();
                    for error in own {
                        if let Some((_, name)) = lines.range(..=error.line).next_back() {
                            broken.insert(name.clone());
                        }
                    }
                    if broken.len() == before {
                        let text = errors.first().map_or("", |error| error.text.as_str());
                        return Err(Refusal(format!(
                            "{}: its tests do not compile: {text}",
                            self.target.file
                        )));
                    }
                }
            }
        }
        if !is_built {
            return Err(Refusal(format!("{}: its tests do not compile", self.target.file)));
        }
        let zone = |zone: &str| [("TZ", zone.to_owned())];
        let (_, printed) = cargo.output(CONFIRMER, &["--test-threads=1"], &zone("Asia/Tokyo"))?;
        let together = passed(&printed);
        let mut alone: BTreeSet<String> = BTreeSet::new();
        for place in (0..blocks.len()).rev() {
            self.stop.check()?;
            for is_weak in [false, true] {
                let name = module(place, is_weak);
                // A weak text matters only where the strong one fails.
                if !together.contains(&name) || is_weak && alone.contains(&module(place, false)) {
                    continue;
                }
                let test = format!("{name}::test_");
                let args = [test.as_str(), "--exact", "--test-threads=1"];
                let (_, printed) = cargo.output(CONFIRMER, &args, &zone("America/New_York"))?;
                alone.extend(passed(&printed));
            }
        }
        let verdict = |place: usize, is_weak: bool, passed: &BTreeSet<String>| {
            let name = module(place, is_weak);
            Verdict::of(broken.contains(&name), passed.contains(&name))
        };
        let run = |passed: &BTreeSet<String>| {
            let of = |(place, block): (usize, &Block)| Verdicts {
                strong: verdict(place, false, passed),
                weak: block.weak.as_ref().map(|_| verdict(place, true, passed)),
            };
            blocks.iter().enumerate().map(of).collect()
        };
        Ok(vec![run(&together), run(&alone)])
    }
}

/// All texts, each in a module of its own, and the first line of each module.
fn source(blocks: &[Block], head: &str, broken: &BTreeSet<String>) -> (String, BTreeMap<u32, String>) {
    let mut text = String::from("#![allow(warnings)]\n");
    text.push_str(head);
    let mut lines = BTreeMap::new();
    let mut line = u32::try_from(text.lines().count()).unwrap_or(u32::MAX) + 1;
    for (place, block) in blocks.iter().enumerate() {
        for (is_weak, test) in [(false, Some(&block.strong)), (true, block.weak.as_ref())] {
            let name = module(place, is_weak);
            let Some(test) = test.filter(|_| !broken.contains(&name)) else { continue };
            lines.insert(line, name.clone());
            let _ = write!(text, "mod {name} {{ use super::*;\n{test}}}\n");
            line += u32::try_from(test.lines().count()).unwrap_or(u32::MAX) + 2;
        }
    }
    (text, lines)
}

/// Modules whose test a run of libtest says is ok.
fn passed(printed: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in printed.lines() {
        let Some(rest) = line.strip_prefix("test ") else { continue };
        // `should panic` stands between the name and the verdict.
        if let Some((name, _)) = rest.split_once("::test_").filter(|_| rest.ends_with("... ok")) {
            found.insert(name.to_owned());
        }
    }
    found
}
