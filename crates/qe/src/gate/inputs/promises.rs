//! What the readers promise of any bytes. Fuzzed by `fuzz/fuzz_targets/gate_report.rs`.

use super::{junit, mutation, sarif};
use crate::xml;

/// Checks every promise on one input.
pub(crate) fn check(bytes: &[u8]) {
    if let Ok(tests) = junit::parse(&xml::text(bytes)) {
        // Each test is one thing only, and those that are named are counted.
        let told = tests.failed.saturating_add(tests.skipped).saturating_add(tests.flaky);
        assert!(told <= tests.total || !tests.warnings.is_empty());
        assert!(tests.named.len() as u64 <= tests.failed.saturating_add(tests.flaky));
        assert!(tests.ends.len() as u64 <= tests.total);
        assert!(tests.seconds.is_none_or(|seconds| seconds >= 0.0));
        assert!(
            tests
                .named
                .iter()
                .flat_map(|test| &test.places)
                .all(|(path, line)| !path.is_empty() && *line > 0)
        );
    }
    if let Ok(findings) = sarif::parse(bytes) {
        let mut prints: Vec<_> = findings.issues.iter().map(|issue| &issue.fingerprint).collect();
        prints.sort_unstable();
        prints.dedup();
        assert_eq!(prints.len(), findings.issues.len(), "each finding has a fingerprint of its own");
        let ordered = |issue: &sarif::Issue| {
            issue.lines.is_none_or(|lines| 0 < lines.start && lines.start <= lines.end)
        };
        assert!(findings.issues.iter().all(ordered));
    }
    if let Ok(mutants) = mutation::parse(bytes) {
        assert!(mutants.survivors.len() as u64 <= mutants.unnoticed());
        if let Ok(score) = mutants.score() {
            assert!((0.0..=100.0).contains(&score) && (score < 100.0 || mutants.unnoticed() == 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_hold_of_samples_and_all_their_parts() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/gate_report");
        let mut samples = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            samples += 1;
            check(&bytes);
            for cut in (0..bytes.len()).step_by(7) {
                check(&bytes[..cut]);
                let mut changed = bytes.clone();
                changed[cut] ^= 0x11;
                check(&changed);
            }
        }
        assert!(samples >= 6);
    }
}
