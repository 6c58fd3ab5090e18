//! Whatever the bytes of a source are, each language's reading of it ends, and says nothing impossible.
#![no_main]

const NAMES: [&str; 7] = ["a.go", "a.java", "a.js", "a.py", "a.rs", "a.tsx", "a.ts"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The first byte chooses the language.
    let Some((first, source)) = data.split_first() else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    if let Some(survey) = aqe_qe::survey(source, name) {
        let breaks = source.iter().filter(|&&byte| byte == b'\n').count();
        assert!(survey.lines as usize <= breaks + 1 && survey.ncloc <= survey.lines);
        assert!(survey.cyclomatic >= survey.functions as u64 && survey.tokens <= source.len());
    }
});
