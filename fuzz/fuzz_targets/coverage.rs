//! Coverage reports: whatever the bytes are, they are read or refused, soon and the same way each time, and nothing is
//! covered more often than it is there. The first byte picks a beginning, so that all formats are reached.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;

const BEGINNINGS: [&str; 10] = [
    "",
    "SF:a\n",
    "mode: set\n",
    "<coverage line-rate=\"1\"><packages>",
    "<report name=\"a\"><package name=\"p\">",
    "<coverage clover=\"4\"><project>",
    "{\"a\":{\"path\":\"a\",\"statementMap\":{",
    "{\"meta\":{},\"files\":{\"a\":{\"executed_lines\":[",
    "{\"type\":\"llvm.coverage.json.export\",\"data\":[{\"files\":[{\"filename\":\"a\",\"segments\":[",
    "{\"RSpec\":{\"coverage\":{\"a\":",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let report = [BEGINNINGS[usize::from(*first) % BEGINNINGS.len()].as_bytes(), rest].concat();
    let read = || aqe_qe::summarize(&report, Duration::from_secs(20));
    let once = read();
    assert_eq!(once, read());
    if let Ok(summary) = once {
        assert!(summary.files > 0);
        for (covered, total) in [summary.line, summary.branch, summary.function].into_iter().flatten() {
            assert!(covered <= total);
        }
    }
});
