//! What is written as lcov is read as it was; parts of a report say together what the whole says.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Draft, Format, Parsed, ReadError, Stop, lcov as parser, read_text, words};
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome, Report};

/// Kept here and not in the product, which writes no lcov.
pub(super) fn lcov(report: &Report) -> String {
    let mut text = String::new();
    for file in report.files() {
        writeln!(text, "SF:{}", file.path).unwrap();
        for function in file.functions.iter().flatten() {
            let end = function.end.map(|end| format!("{end},")).unwrap_or_default();
            writeln!(
                text,
                "FN:{},{end}{}\nFNDA:{},{}",
                function.start, function.name, function.hits, function.name
            )
            .unwrap();
        }
        if let Some(functions) = &file.functions {
            writeln!(text, "FNF:{}", functions.len()).unwrap();
        }
        for branch in file.branches.iter().flatten() {
            let taken = branch.taken.map_or("-".to_owned(), |taken| taken.to_string());
            writeln!(text, "BRDA:{},{},{},{taken}", branch.line, branch.block, branch.outcome).unwrap();
        }
        if let Some(branches) = &file.branches {
            writeln!(text, "BRF:{}", branches.len()).unwrap();
        }
        for line in file.lines.iter().flatten() {
            writeln!(text, "DA:{},{}", line.number, line.hits).unwrap();
        }
        writeln!(text, "end_of_record").unwrap();
    }
    text
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![(0_u32..4).prop_map(Outcome::Number), "[a-z][a-z ,]{0,6}[a-z]".prop_map(Outcome::text)]
}

fn file() -> impl Strategy<Value = FileCoverage> {
    let line = (1_u32..60, 0_u32..3).prop_map(|(number, hits)| Line { number, hits });
    let branch = (1_u32..60, 0_u32..3, outcome(), proptest::option::of(0_u32..3));
    let branch = branch.prop_map(|(line, block, outcome, taken)| Branch { line, block, outcome, taken });
    // One name is one function here: lcov tells its hits by name.
    let functions = proptest::collection::btree_map(
        "[a-z:]{1,3}",
        (1_u32..60, proptest::option::of(60_u32..90), 0_u32..3),
        0..5,
    );
    let functions = functions.prop_map(|all| {
        let each = all.into_iter().map(|(name, (start, end, hits))| Function { start, name, end, hits });
        each.collect::<Vec<_>>()
    });
    let kinds = (vec(line, 0..20), proptest::option::of(vec(branch, 0..10)), proptest::option::of(functions));
    ("[a-d]{1,2}", kinds).prop_map(|(path, (lines, branches, functions))| FileCoverage {
        path,
        lines: Some(lines),
        branches,
        functions,
        ..FileCoverage::default()
    })
}

fn report() -> impl Strategy<Value = Report> {
    vec(file(), 1..6).prop_map(|files| Report::new(files.into_iter().map(FileCoverage::sorted)))
}

/// Lines as trace files have them, and as they should not: cut off, without a file, broken, ended in several ways.
fn trace() -> impl Strategy<Value = String> {
    const LINES: [&str; 24] = [
        "SF:a",
        "SF:b",
        "SF:",
        "TN:",
        "DA:1,2",
        "DA:3,0,sum==",
        "DA:0,1",
        "DA:2,x",
        "BRDA:1,0,0,-",
        "BRDA:3,0,1,2",
        "BRDA:3,e1,jump to line 4,0",
        "BRDA:3,0,1",
        "FN:1,f",
        "FN:2,9,g",
        "FNDA:1,g",
        "FNDA:3,f",
        "FNDA:1,no",
        "FNL:0,3,9",
        "FNA:0,4,one",
        "BRF:0",
        "junk",
        "",
        "end_of_records",
        "SF:end_of_record",
    ];
    let line = prop_oneof![
        4 => (0..LINES.len()).prop_map(|at| LINES[at]),
        1 => prop_oneof![Just("end_of_record"), Just("end_of_record\r"), Just(" end_of_record")],
    ];
    let mark = prop_oneof![9 => Just(""), 1 => Just("\u{feff}")];
    (mark, vec(line, 0..60), any::<bool>()).prop_map(|(mark, lines, is_whole)| {
        [mark, &lines.join("\n"), if is_whole { "\n" } else { "" }].concat()
    })
}

fn in_parts(text: &str, part_bytes: usize) -> Result<Parsed, ReadError> {
    let (stop, _call) = Stop::at(std::time::Instant::now() + std::time::Duration::from_secs(600));
    let mut draft = Draft::new(Format::Lcov, &stop);
    parser::read_parts(text.as_bytes(), part_bytes, &mut draft)?;
    draft.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_as_lcov_is_read_as_it_was(report in report()) {
        let again = read_text(&lcov(&report)).unwrap();
        prop_assert_eq!(words(&again.report), words(&report));
        prop_assert_eq!(&again.report, &report);
        prop_assert_eq!(again.warnings, Vec::<String>::new());
        prop_assert_eq!(again.report.totals(), report.totals());
    }

    #[test]
    fn parts_say_together_what_the_whole_says(one in report(), other in report(), third in report()) {
        let text = [lcov(&one), lcov(&other), lcov(&third)].concat();
        let whole = read_text(&text).unwrap().report;
        prop_assert_eq!(&one.clone().merge(other.clone()).merge(third.clone()), &whole);
        prop_assert_eq!(&third.merge(one.merge(other)), &whole, "in any order");
    }

    #[test]
    fn what_threads_read_in_parts_is_what_one_reads(text in trace(), part_bytes in 0..80_usize) {
        prop_assert_eq!(in_parts(&text, part_bytes), in_parts(&text, usize::MAX));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), mark in 0..6_usize) {
        let mark = ["SF:", "mode: set\n", "<coverage line-rate=", "<report><package", "{\"statementMap\"", "{\"segments\""][mark];
        let (stop, _call) = crate::stop::Stop::at(std::time::Instant::now() + std::time::Duration::from_secs(9));
        let _ = super::read(&[mark.as_bytes(), &bytes].concat(), &stop);
    }
}
