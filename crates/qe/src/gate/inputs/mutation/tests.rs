use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Mutants, String> {
    parse(text.as_bytes())
}

/// killed, timeout, survived, no coverage, pending
fn counts(mutants: &Mutants) -> [u64; 5] {
    [mutants.killed, mutants.timeout, mutants.survived, mutants.no_coverage, mutants.pending]
}

fn survivor(id: &str, file: &str, start: u32, end: u32) -> Survivor {
    Survivor { id: id.into(), file: Some(file.into()), lines: Some(Lines { start, end }) }
}

fn stryker(statuses: &[&str]) -> String {
    let mutants: Vec<_> = statuses
        .iter()
        .enumerate()
        .map(|(id, status)| {
            json!({ "id": id.to_string(), "mutatorName": "Equality", "status": status,
            "location": { "start": { "line": 3, "column": 1 }, "end": { "line": 4, "column": 9 } } })
        })
        .collect();
    json!({ "schemaVersion": "2", "thresholds": { "high": 80, "low": 60 }, "framework": { "name": "StrykerJS", "version": "10.1.1" },
        "files": { "src/a.js": { "language": "javascript", "source": "", "mutants": mutants } } })
    .to_string()
}

#[test]
fn strykers_schema_is_read() {
    let all =
        ["Killed", "Killed", "Survived", "NoCoverage", "Timeout", "CompileError", "RuntimeError", "Ignored"];
    let mutants = read(&stryker(&all)).unwrap();
    assert_eq!(counts(&mutants), [2, 1, 1, 1, 0]);
    assert_eq!(mutants.score(), Ok(60.0));
    assert_eq!(mutants.survivors[0], survivor("Equality", "src/a.js", 3, 4));
    assert_eq!(mutants.tool, "StrykerJS 10.1.1");
    assert!(read(&stryker(&["Slain"])).unwrap_err().contains("Slain"));
}

#[test]
fn mutants_are_placed_in_files_of_the_project_or_counted_as_not_placed() {
    let mut mutants = read(&stryker(&["Killed", "Survived", "Pending", "Ignored"])).unwrap();
    let noticed: Vec<_> = mutants.places["src/a.js"].iter().map(|place| place.is_noticed).collect();
    assert_eq!(noticed, [Some(true), Some(false), None]);
    mutants.place(|file| Some(format!("web/{file}")));
    assert_eq!((mutants.places["web/src/a.js"].len(), mutants.unplaced), (3, 0));
    assert_eq!(mutants.survivors[0].file.as_deref(), Some("web/src/a.js"));
    mutants.place(|_| None);
    assert_eq!((mutants.places.len(), mutants.unplaced), (0, 3));
    assert_eq!(mutants.survivors[0].id, "Equality in web/src/a.js");
}

fn cargo(baseline: &str, total: u64) -> String {
    let mutant = |summary: &str| {
        let mutant = json!({ "package": "p", "file": "src/lib.rs", "replacement": "true", "genre": "FnValue", "name": "replace f with true",
            "span": { "start": { "line": 7, "column": 5 }, "end": { "line": 9, "column": 2 } } });
        json!({ "scenario": { "Mutant": mutant }, "summary": summary, "log_path": "log/a.log" })
    };
    let outcomes = [
        json!({ "scenario": "Baseline", "summary": baseline }),
        mutant("CaughtMutant"),
        mutant("MissedMutant"),
        mutant("Timeout"),
        mutant("Unviable"),
    ];
    json!({ "outcomes": outcomes, "total_mutants": total, "missed": 1, "caught": 1, "timeout": 1, "unviable": 1, "cargo_mutants_version": "27.1.0" })
        .to_string()
}

#[test]
fn the_outcomes_of_cargo_mutants_are_read() {
    let mutants = read(&cargo("Success", 4)).unwrap();
    assert_eq!(counts(&mutants), [1, 1, 1, 0, 0]);
    assert_eq!(mutants.survivors, [survivor("replace f with true", "src/lib.rs", 7, 9)]);
    assert_eq!((mutants.score(), mutants.tool.as_str()), (Ok(66.66), "cargo-mutants 27.1.0"));
    assert!(read(&cargo("Success", 9)).unwrap().score().unwrap_err().contains("5 mutants are not decided"));
    assert!(read(&cargo("Failure", 4)).unwrap_err().contains("without a mutant"));
}

#[test]
fn the_statistics_of_mutmut_are_read() {
    let stats = |total: u64, interrupted: u64| {
        json!({ "killed": 6, "survived": 2, "total": total, "no_tests": 1, "skipped": 1, "suspicious": 0, "timeout": 1,
            "check_was_interrupted_by_user": interrupted, "segfault": 0 })
        .to_string()
    };
    let mutants = read(&stats(11, 0)).unwrap();
    assert_eq!((counts(&mutants), mutants.score()), ([6, 1, 2, 1, 0], Ok(70.0)));
    assert!(read(&stats(15, 0)).unwrap().score().unwrap_err().contains("4 mutants"));
    assert!(read(&stats(11, 1)).unwrap().score().is_err());
}

#[test]
fn the_xml_of_pit_is_read() {
    let mutation = |status: &str| {
        format!(
            "<mutation detected='false' status='{status}' numberOfTestsRun='1'><sourceFile>A.java</sourceFile><mutatedClass>com.x.A$B</mutatedClass><mutatedMethod>f</mutatedMethod><methodDescription>()V</methodDescription><lineNumber>12</lineNumber><mutator>org.pitest.mutators.MathMutator</mutator><blocks><block>3</block></blocks></mutation>"
        )
    };
    let all = ["KILLED", "SURVIVED", "NO_COVERAGE", "TIMED_OUT", "MEMORY_ERROR", "NON_VIABLE"]
        .map(mutation)
        .concat();
    let mutants =
        read(&format!("<?xml version=\"1.0\"?>\n<mutations partial=\"true\">{all}</mutations>")).unwrap();
    assert_eq!(counts(&mutants), [1, 2, 1, 1, 0]);
    assert_eq!(mutants.survivors[0], survivor("MathMutator", "com/x/A.java", 12, 12));
    assert!(read("<mutations><mutation status='KILLED'>").unwrap_err().contains("ends before"));
    assert!(read("<testsuite/>").is_err());
}

#[test]
fn of_nothing_there_is_no_score() {
    assert!(read(&stryker(&["CompileError"])).unwrap().score().is_err());
    assert!(read(&stryker(&["Killed", "Pending"])).unwrap().score().is_err());
    for bad in ["{}", "", "[]", "null", r#"{"files":{"a":{}}}"#, r#"{"outcomes":1}"#] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn two_halves_of_a_run_are_the_whole(fates in proptest::collection::vec(0_usize..6, 0..40), cut in 0_usize..40) {
        let names = ["Killed", "Survived", "NoCoverage", "Timeout", "Pending", "Ignored"];
        let all: Vec<_> = fates.iter().map(|fate| names[*fate]).collect();
        let (one, other) = all.split_at(cut.min(all.len()));
        let mut halves = read(&stryker(one)).unwrap();
        halves.merge(read(&stryker(other)).unwrap());
        assert_eq!(halves, read(&stryker(&all)).unwrap());
        // A survivor more never makes it better.
        let more = read(&stryker(&[&all[..], &["Survived"]].concat())).unwrap();
        assert!(halves.score().is_err() || more.score().unwrap() <= halves.score().unwrap());
    }

    #[test]
    fn no_bytes_are_too_strange(text in "\\PC{0,60}|(<|>|/|mutation|mutations|status='KILLED'|lineNumber|\\{|\\}|\"files\":|\"outcomes\":|\\[|\\]){0,40}") {
        let _ = read(&text);
    }
}
