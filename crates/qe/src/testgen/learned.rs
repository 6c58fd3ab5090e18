//! How each way of asserting did, told to learning: whether candidates held in fresh processes, as they were first written.
//! `order` says what is told of inputs.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::arguments::Arguments;
use super::call::Call;
use super::candidates::Block;
use super::files::hexadecimal;
use super::kept::Tests;
use super::order;
use super::target::Target;
use crate::learn::{self, Seen};

/// Candidates of one file are alike, so however many there are, they are no more than so many trials.
const TRIALS: u32 = 10;

/// Candidates by what they assert.
#[derive(Debug, Default)]
pub(super) struct Tried(BTreeMap<String, Count>);

#[derive(Debug, Default)]
struct Count {
    candidates: u32,
    held: u32,
    kept: u32,
}

impl Tried {
    pub(super) fn of(candidates: &[Block]) -> Self {
        let mut tried = Self::default();
        for block in candidates {
            tried.0.entry(block.oracle.clone()).or_default().candidates += 1;
        }
        tried
    }

    /// One that holds only with less asserted is not among those of its first assertion any more.
    pub(super) fn confirmed(&mut self, held: &[Block]) {
        for block in held {
            if let Some(count) = self.0.get_mut(&block.oracle) {
                count.held += 1;
            }
        }
    }

    pub(super) fn kept(&mut self, kept: &[Block]) {
        for block in kept {
            if let Some(count) = self.0.get_mut(&block.oracle) {
                count.kept += 1;
            }
        }
    }
}

/// Tells of one search. The same search of the same source counts once.
pub(super) fn tell(call: &Call<'_>, target: &Target, framework: &str, tests: &Tests) {
    let mut run = Sha256::new();
    run.update(target.file.as_bytes());
    run.update(&target.source);
    let Arguments { seed, mutants, max_tests, .. } = call.arguments;
    let is_learned = order::is_learned(tests.order.as_ref());
    run.update(format!("{seed} {mutants} {max_tests} {is_learned}"));
    let run = hexadecimal(&run.finalize());
    let evidence = format!("qe_test_generate:{}", &run[..32]);
    let seen = tests.tried.0.iter().map(|(oracle, count)| {
        let held = count.held.min(count.candidates);
        let trials = count.candidates.min(TRIALS);
        let successes = (f64::from(held * trials) / f64::from(count.candidates)).round() as u32;
        Seen {
            title: format!("generated tests that assert: {oracle}"),
            description: "Success: a candidate of qe_test_generate passed in fresh processes as first written. \
                          Reward: the share of candidates that were kept.",
            tag: "qe_test_generate",
            surroundings: order::surroundings(target, framework),
            successes,
            failures: trials - successes,
            infrastructure: 0,
            reward: Some(f64::from(count.kept) / f64::from(count.candidates)),
            evidence: evidence.clone(),
            used: None,
        }
    });
    let inputs = order::lessons(target, framework, &tests.sources, tests.order.as_ref(), &evidence);
    learn::observe(call.context, call.request, seen.chain(inputs).collect());
}
