//! How each condition of a gate went, told to learning.

use sha2::{Digest as _, Sha256};

use super::Judge;
use super::condition::Status;
use super::verdict::Judged;
use crate::learn::{self, Seen, Surroundings};

/// Tells of one verdict. The same verdict on the same figures counts once, however often it is asked for.
pub(super) fn tell(judge: &Judge<'_>, judged: &[Judged]) {
    let mut figures = Sha256::new();
    figures.update(judge.project.root.as_os_str().as_encoded_bytes());
    for one in judged {
        figures.update(format!("{} {:?} {:?} ", title(one), one.actual, one.status));
    }
    let digest = figures.finalize();
    let digest = u128::from_be_bytes(digest[..16].try_into().unwrap_or_default());
    let evidence = format!("qe_quality_gate:{digest:032x}");
    let seen = judged.iter().filter(|one| one.status != Status::Ignored).map(|one| Seen {
        title: title(one),
        description: "Success: the condition of the quality gate held. Infrastructure: its metric was not known.",
        tag: "qe_quality_gate",
        surroundings: Surroundings { task_kind: Some("quality_gate".to_owned()), ..Surroundings::default() },
        successes: u32::from(one.status == Status::Passed),
        failures: u32::from(one.status == Status::Failed),
        infrastructure: u32::from(one.status == Status::NoData),
        reward: None,
        evidence: evidence.clone(),
        used: None,
    });
    learn::observe(judge.context, judge.request, seen.collect());
}

fn title(one: &Judged) -> String {
    format!("quality gate: {} {} {}", one.metric, one.op, one.threshold)
}
