//! Small reports of all formats, with what is hard in each.

mod every;
mod whole;

use std::time::{Duration, Instant};

use super::*;

fn read_text(text: &str) -> Result<Parsed, ReadError> {
    let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(600));
    read(text.as_bytes(), &stop)
}

/// A report as a few words: for each file its lines `number:hits`, branches `line/block outcome:taken` and functions.
fn told(text: &str) -> (Format, String) {
    let parsed = read_text(text).unwrap();
    assert_eq!(parsed.warnings, [""; 0]);
    (parsed.format, words(&parsed.report))
}

fn words(report: &Report) -> String {
    let part = |kind: &str, words: Option<Vec<String>>| match words {
        Some(words) => [vec![format!("|{kind}")], words].concat(),
        None => Vec::new(),
    };
    let files = report.files().iter().map(|file| {
        let lines = file.lines.as_ref();
        let lines =
            lines.map(|all| all.iter().map(|line| format!("{}:{}", line.number, line.hits)).collect());
        let branches = file.branches.as_ref().map(|all| {
            let each = all.iter().map(|branch| {
                let taken = branch.taken.map_or("-".to_owned(), |taken| taken.to_string());
                format!("{}/{} {}:{taken}", branch.line, branch.block, branch.outcome)
            });
            each.collect()
        });
        let functions = file.functions.as_ref().map(|all| {
            let each = all.iter().map(|function| {
                let end = function.end.map(|end| format!("-{end}")).unwrap_or_default();
                format!("{}@{}{end}:{}", function.name, function.start, function.hits)
            });
            each.collect()
        });
        let parts = [part("L", lines), part("B", branches), part("F", functions)];
        [vec![file.path.clone()], parts.concat()].concat().join(" ")
    });
    files.collect::<Vec<_>>().join("\n")
}

#[test]
fn lcov_of_both_generations_is_read() {
    let text = "TN:\nSF:a.py\nFN:12,26,f\nFN:30,g,h\nFNDA:2,f\nFNDA:0,g,h\nDA:1,5\nDA:2,0,checksum==\nDA:3,-4\nDA:4,1e3\r\nBRDA:2,0,0,-\nBRDA:2,0,jump to line 4, or 5,0\nBRDA:4,e1,1,7\nLF:4\nLH:1\nend_of_record\nSF:b\nBRF:0\nFNL:0,3,9\nFNA:0,4,one\nFNA:0,0,two\nend_of_record\nSF:a.py\nDA:2,3\nend_of_record\n";
    let wanted = "a.py |L 1:5 2:3 3:0 4:1000 |B 2/0 0:- 2/0 jump to line 4, or 5:0 4/1 1:7 |F f@12-26:2 g,h@30:0\nb |L |B |F one@3-9:4 two@3-9:0";
    assert_eq!(told(text), (Format::Lcov, wanted.into()));
}

#[test]
fn functions_of_one_name_keep_their_own_hits() {
    let text = "SF:a.js\nFN:1,(anonymous)\nFN:5,(anonymous)\nFNDA:0,(anonymous)\nFNDA:3,(anonymous)\nFNDA:1,nowhere\nend_of_record\n";
    assert_eq!(told(text).1, "a.js |L |F nowhere@0:1 (anonymous)@1:0 (anonymous)@5:3");
}

#[test]
fn what_is_left_out_of_lcov_is_said() {
    let parsed = read_text("SF:a\nDA:1,1\nDA:x,1\nDA:99999999999,1\nXX:1\nSF:b\nDA:1,0\n").unwrap();
    assert_eq!(words(&parsed.report), "a |L 1:1\nb |L 1:0");
    let warnings = parsed.warnings.join("\n");
    for said in ["not understood (2 times", "no file has", "not whole: it ends within the record of a"] {
        assert!(warnings.contains(said), "{said}: {warnings}");
    }
}

/// One small report of each format: its name and text.
fn samples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/coverage");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut samples: Vec<_> = files
        .map(|file| {
            let text = std::fs::read_to_string(file.path()).unwrap();
            // The first byte is the fuzzer's: with a line break nothing is put before the rest.
            let text = text.strip_prefix('\n').unwrap_or_else(|| panic!("{file:?}"));
            (file.file_name().into_string().unwrap(), text.to_owned())
        })
        .collect();
    samples.sort();
    samples
}

#[test]
fn a_real_report_of_each_format_is_read_as_a_whole() {
    let mut formats = Vec::new();
    for (name, text) in samples() {
        let parsed = read_text(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((parsed.warnings, parsed.is_whole), (Vec::new(), true), "{name}");
        assert!(parsed.report.totals().line.is_some_and(|counts| counts.covered > 0), "{name}");
        formats.push(parsed.format);
    }
    formats.sort_unstable();
    formats.dedup();
    assert_eq!(formats.len(), 9, "{formats:?}");
}

#[test]
fn a_report_that_was_cut_off_is_never_taken_for_a_whole_one() {
    for (name, text) in samples() {
        let is_go = text.starts_with("mode: ");
        // The line break at the end is no loss, but with Go, where nothing else ends a number.
        let all = if is_go { text.as_str() } else { text.trim_end() };
        for cut in (0..all.len()).step_by(3) {
            let Some(part) = all.get(..cut) else { continue };
            // Nothing shows that there was one more.
            if part.trim_end().ends_with("end_of_record") || (is_go && part.ends_with('\n')) {
                continue;
            }
            let parsed = read_text(part);
            assert!(parsed.is_err() || parsed.is_ok_and(|parsed| !parsed.is_whole), "{name}: {part}");
        }
    }
    let joined = read_text("SF:a\nDA:1,1\nSF:b\nDA:1,0\nend_of_record\n").unwrap();
    assert!(!joined.is_whole, "one that was cut off, and another one behind it");
}

#[test]
fn reports_in_utf_16_are_read() {
    let text = r#"<coverage line-rate="1"><class filename="é.cs"><lines><line number="1" hits="1"/></lines></class></coverage>"#;
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(units).collect();
    let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(60));
    assert_eq!(words(&read(&wide, &stop).unwrap().report), "é.cs |L 1:1");
}

#[test]
fn cobertura_is_read() {
    let text = r#"<?xml version="1.0"?><!DOCTYPE coverage SYSTEM "http://127.0.0.1:1/c.dtd">
<coverage line-rate="0.5" version="7.1" timestamp="1700000000"><sources><source>/src &amp; more</source></sources><packages><package><classes>
<class filename="a&amp;b.cs" name="A"><methods><method name="M" signature="()"><lines><line number="2" hits="0"/><line number="3" hits="1"/></lines></method></methods>
<lines><line number="2" hits="0" branch="true" condition-coverage="0% (0/2)"/><line number="3" hits="1" branch="True" condition-coverage="50% (1/2)"><conditions><condition number="0" coverage="50%"/></conditions></line></lines></class>
<class filename="b.cs"><methods/><lines><line number="1" hits="1" branch="false"/></lines></class></classes></package></packages></coverage>"#;
    let wanted = "a&b.cs |L 2:0 3:1 |B 2/0 0:- 2/0 1:- 3/0 0:1 3/0 1:0 |F M()@2-3:1\nb.cs |L 1:1";
    assert_eq!(told(text), (Format::Cobertura, wanted.into()));
    let parsed = read_text(text).unwrap();
    assert_eq!((parsed.sources, parsed.generated), (vec!["/src & more".to_owned()], Some(1_700_000_000_000)));
}

#[test]
fn jacoco_is_read() {
    let text = r#"<?xml version="1.0"?><!DOCTYPE report PUBLIC "-//JACOCO//DTD Report 1.1//EN" "report.dtd"><report name="x"><sessioninfo id="s" start="1" dump="1700000000000"/>
<group name="g"><package name="com/x"><class name="com/x/A$B" sourcefilename="A.java"><method name="m" desc="(I)V" line="4"><counter type="INSTRUCTION" missed="0" covered="3"/><counter type="METHOD" missed="0" covered="1"/></method><counter type="METHOD" missed="9" covered="0"/></class>
<sourcefile name="A.java"><line nr="4" mi="1" ci="2" mb="1" cb="3"/><line nr="5" mi="3" ci="0" mb="0" cb="0"/></sourcefile></package></group></report>"#;
    let wanted = "com/x/A.java |L 4:1 5:0 |B 4/0 0:1 4/0 1:1 4/0 2:1 4/0 3:0 |F A$B.m(I)V@4:1";
    assert_eq!(told(text), (Format::Jacoco, wanted.into()));
}

#[test]
fn clover_is_read_in_its_dialects() {
    let text = r#"<coverage generated="1700000000" clover="4.4.1"><project timestamp="1"><file name="A.java" path="/p/A.java"><line num="1" type="method" count="2" signature="m()"/><line num="2" type="cond" truecount="3" falsecount="0"/><line num="3" type="stmt" count="0"/></file></project></coverage>"#;
    assert_eq!(
        told(text),
        (Format::Clover, "/p/A.java |L 2:3 3:0 |B 2/0 false:0 2/0 true:3 |F m()@1:2".into())
    );
    let istanbul = text.replace("4.4.1", "3.2.0").replace("truecount=\"3\"", "count=\"5\" truecount=\"1\"");
    let istanbul = istanbul.replace("falsecount=\"0\"", "falsecount=\"2\"");
    assert_eq!(told(&istanbul).1, "/p/A.java |L 2:5 3:0 |B 2/0 0:1 2/0 1:0 2/0 2:0 |F m()@1:2");
    let phpunit = r#"<coverage generated="1"><project timestamp="1"><package name="x"><file name="/p/a.php"><line num="3" type="stmt" count="1"/></file></package></project></coverage>"#;
    assert_eq!(told(phpunit).1, "/p/a.php |L 3:1");
}

#[test]
fn istanbul_is_read() {
    let text = r#"{"/p/a.js":{"path":"/p/a.js","statementMap":{"0":{"start":{"line":1,"column":0},"end":{"line":1,"column":null}},"1":{"start":{"line":1,"column":9},"end":{"line":3,"column":1}}},"fnMap":{"0":{"name":"f","decl":{"start":{"line":2,"column":1},"end":{"line":2,"column":3}},"loc":{"start":{"line":2,"column":1},"end":{"line":4,"column":3}},"line":2}},"branchMap":{"0":{"type":"if","loc":{"start":{"line":1,"column":0},"end":{"line":1,"column":9}},"locations":[{},{"start":{},"end":{}}],"line":1},"1":{"type":"switch","line":1,"locations":[{},{},{}]}},"s":{"1":5,"0":2},"f":{"0":0},"b":{"0":[2,0],"1":[0,0,0]},"hash":"x"},"/p/b.js":{"data":{"path":"/p/b.js","statementMap":{},"fnMap":{},"branchMap":{},"s":{},"f":{},"b":{}}}}"#;
    let wanted =
        "/p/a.js |L 1:5 |B 1/0 false:0 1/0 true:2 1/1 0:- 1/1 1:- 1/1 2:- |F f@2-4:0\n/p/b.js |L |B |F";
    assert_eq!(told(text), (Format::Istanbul, wanted.into()));
}

#[test]
fn coverage_py_is_read() {
    let text = r#"{"meta":{"format":3,"version":"7.17.3"},"files":{"m.py":{"executed_lines":[1,3],"missing_lines":[2,4],"excluded_lines":[9],"executed_branches":[[3,4]],"missing_branches":[[3,-1],[4,5]],"functions":{"f":{"executed_lines":[3],"missing_lines":[4],"start_line":2},"":{"executed_lines":[1],"missing_lines":[2]}}}},"totals":{}}"#;
    let wanted = "m.py |L 1:1 2:0 3:1 4:0 |B 3/0 exit:0 3/0 jump to line 4:1 4/0 jump to line 5:- |F f@2-4:1";
    assert_eq!(told(text), (Format::CoveragePy, wanted.into()));
    let second = r#"{"meta":{"version":"5.0"},"files":{"m.py":{"executed_lines":[1],"missing_lines":[],"summary":{}}}}"#;
    assert_eq!(told(second).1, "m.py |L 1:1");
}

#[test]
fn llvm_is_read_with_its_own_rules_for_lines() {
    // From line 1 runs once; a region that never runs from 2 to 4, in which a gap begins; 3 has two entries; 5 is skipped.
    let text = r#"{"data":[{"files":[{"filename":"/p/a.rs","segments":[[1,1,1,true,true,false],[2,9,0,true,true,false],[3,1,7,true,true,false],[3,9,0,true,false,false],[4,2,1,true,false,false],[5,1,0,false,true,false],[6,2,0,false,false,false]],"branches":[[2,1,2,5,3,0,0,0,4],[2,1,2,5,1,0,0,0,4],[2,7,2,9,0,0,0,0,4]]}],"functions":[{"name":"_RNvCs1234_7mycrate3foo","count":0,"filenames":["/p/a.rs"],"regions":[[1,1,4,2,0,0,0,0]]},{"name":"_RNvCs1234_7mycrate3foo","count":3,"filenames":["/p/a.rs"],"regions":[[1,1,4,2,3,0,0,0],[9,1,9,2,1,1,0,0]]}]}],"type":"llvm.coverage.json.export","version":"3.1.0"}"#;
    let wanted = "/p/a.rs |L 1:1 2:1 3:7 4:0 |B 2/0 false:0 2/0 true:4 2/1 false:- 2/1 true:- |F foo@1-4:3";
    assert_eq!(told(text), (Format::Llvm, wanted.into()));
    let summary = r#"{"data":[{"files":[{"filename":"a.rs","summary":{}}]}],"type":"llvm.coverage.json.export","version":"3.1.0"}"#;
    assert_eq!(read_text(summary), Err(ReadError::Empty(Format::Llvm)));
}

#[test]
fn a_function_that_two_shards_have_for_other_types_is_one() {
    let shard = |name: &str, count: u32| {
        let text = format!(
            r#"{{"data":[{{"files":[{{"filename":"/p/a.rs","segments":[[1,1,{count},true,true,false],[3,2,0,false,false,false]]}}],"functions":[{{"name":"{name}","count":{count},"filenames":["/p/a.rs"],"regions":[[1,1,3,2,{count},0,0,0]]}}]}}],"type":"llvm.coverage.json.export","version":"3.1.0"}}"#
        );
        read_text(&text).unwrap().report
    };
    let merged =
        shard("_RINvCs32gj3y4fnmh_4main8smallestdEB2_", 2).merge(shard("_RINvCs1_5other8smallestlEB2_", 3));
    assert_eq!(words(&merged), "/p/a.rs |L 1:5 2:5 3:5 |F smallest@1-3:5");
}

#[test]
fn go_blocks_become_lines() {
    let text = "mode: set\nexample.com/m/a b.go:3.14,5.2 2 0\nexample.com/m/a b.go:4.1,4.9 1 1\nexample.com/m/a b.go:8.1,8.2 0 1\nmode: set\nexample.com/m/a b.go:3.14,5.2 2 0\nexample.com/m/a b.go:5.2,6.3 1 4\n";
    assert_eq!(told(text), (Format::Go, "example.com/m/a b.go |L 3:0 4:1 5:4 6:4".into()));
}

#[test]
fn simplecov_is_read_and_suites_are_merged() {
    let text = r#"{"RSpec":{"coverage":{"/p/a.rb":{"lines":[null,1,0,"ignored"],"branches":{"[:if, 0, 2, 4, 7, 7]":{"[:then, 1, 3, 6, 3, 10]":0,"[:else, 2, 5, 6, 5, 10]":2},"[:case, 3, 3, 4, 7, 7]":{"[:when, 4, 5, 1, 5, 2]":0}},"methods":{"[\"Foo\", :bar, 2, 4, 7, 7]":1}}},"timestamp":1700000000},"Cucumber":{"coverage":{"/p/a.rb":[null,1,2]}}}"#;
    let wanted = "/p/a.rb |L 2:2 3:2 |B 2/0 else:2 2/0 then:0 3/0 when on line 5:- |F Foo#bar@2-7:1";
    assert_eq!(told(text), (Format::Simplecov, wanted.into()));
}

#[test]
fn what_is_no_report_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "empty"),
        ("hello", "none of the formats"),
        ("<html></html>", "neither Cobertura"),
        (r#"{"total":{"lines":{"pct":1}}}"#, "only totals"),
        ("SQLite format 3\0", "coverage json"),
        ("mode: set\n", "no file in it"),
        ("<coverage line-rate=\"1\"><packages></coverage>", "broken cobertura"),
        ("<coverage line-rate=\"1\"><packages>", "ends before"),
        ("{\"a\":{\"statementMap\":{\"0\":[}}", "broken istanbul"),
    ] {
        let error = read_text(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn small_reports_cannot_ask_for_much() {
    let bomb = r#"<!DOCTYPE c [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><coverage line-rate="1"><packages><class filename="&b;"/></packages></coverage>"#;
    assert!(read_text(bomb).unwrap_err().to_string().contains("broken cobertura"));
    let deep = format!("<coverage line-rate=\"1\">{}", "<packages>".repeat(100_000));
    assert!(read_text(&deep).unwrap_err().to_string().contains("too deep"));
    let lines = "mode: set\na.go:1.1,4000000000.1 1 1\n";
    assert!(read_text(lines).unwrap().warnings[0].contains("line numbers"));
    let many: String = (0..40).map(|n| format!("f{n}.go:1.1,5000000.1 1 1\n")).collect::<Vec<_>>().concat();
    let error = read_text(&format!("mode: set\n{many}")).unwrap_err();
    assert!(matches!(error, ReadError::TooMuch { .. }), "{error}");
    let outcomes = r#"<coverage line-rate="1"><class filename="a"><lines><line number="1" hits="1" condition-coverage="0% (0/99999999)"/></lines></class></coverage>"#;
    assert!(read_text(outcomes).unwrap().warnings[0].contains("outcomes"));
    let json = format!("{{\"executed_lines\":{}", "[".repeat(100_000));
    assert!(read_text(&json).is_err());
}
