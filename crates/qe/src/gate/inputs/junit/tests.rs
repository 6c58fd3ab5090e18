use proptest::prelude::*;

use super::*;

fn counts(text: &str) -> (u64, u64, u64, u64) {
    let tests = parse(text).unwrap();
    assert_eq!(tests.warnings, [""; 0], "{text}");
    (tests.total, tests.failed, tests.skipped, tests.flaky)
}

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/samples/gate/", $name))
    };
}

/// What each tool said on its terminal of the same run.
#[test]
fn reports_of_real_runs_are_counted_as_their_tools_counted() {
    assert_eq!(counts(sample!("pytest.xml")), (9, 2, 2, 0));
    assert_eq!(counts(sample!("jest.xml")), (5, 1, 1, 0));
    assert_eq!(counts(sample!("nextest.xml")), (3, 1, 0, 1));
    assert_eq!(counts(sample!("surefire.xml")), (4, 1, 1, 1));
}

#[test]
fn a_failure_is_named_with_its_message() {
    let tests = parse(sample!("pytest.xml")).unwrap();
    let bad = &tests.named[0];
    assert_eq!(
        (bad.id.as_str(), bad.message.as_deref()),
        ("test_sample::test_bad", Some("AssertionError: one is not two"))
    );
    let tests = parse(sample!("jest.xml")).unwrap();
    assert_eq!(tests.named[0].id, "sum fails", "a name that is there twice is said once");
    let message = tests.named[0].message.as_deref().unwrap();
    assert!(message.starts_with("Error: expect(received)"), "{message}");
    let tests = parse(sample!("surefire.xml")).unwrap();
    let flaky = &tests.named[0];
    assert_eq!((flaky.outcome, flaky.message.as_deref()), (Outcome::Flaky, Some("expected:<1> but was:<2>")));
}

#[test]
fn dialects_that_say_it_in_an_attribute_are_understood() {
    let gtest = r#"<testsuites tests="2" failures="0" disabled="1" errors="0"><testsuite name="S" tests="2" failures="0"><testcase name="A" status="run" result="completed" classname="S" file="a.cc" line="7"/><testcase name="B" status="notrun" result="suppressed" classname="S"/></testsuite></testsuites>"#;
    assert_eq!(counts(gtest), (2, 0, 1, 0));
    assert_eq!(counts(r#"<testsuite><testcase name="a" status="fail"/></testsuite>"#), (1, 1, 0, 0));
    assert_eq!(counts("<testsuites/>"), (0, 0, 0, 0));
    let nested = r#"<testsuites><testsuite name="p" tests="2" failures="1" errors="0"><testsuite name="q" tests="2" failures="1" errors="0"><testcase name="a"><failure/></testcase><testcase name="b"/></testsuite></testsuite></testsuites>"#;
    assert_eq!(counts(nested), (2, 1, 0, 0));
}

#[test]
fn failures_that_no_test_tells_of_count() {
    let text = r#"<testsuites><testsuite name="cannot be loaded" tests="1" errors="1" failures="0"/><testsuite tests="1" errors="0" failures="0"><testcase name="a"/></testsuite></testsuites>"#;
    let tests = parse(text).unwrap();
    assert_eq!((tests.failed, tests.total, tests.warnings.len()), (1, 2, 1));
}

#[test]
fn of_two_runs_of_one_test_the_worse_counts() {
    let text = r#"<testsuite><testcase name="a"><failure/></testcase><testcase name="a"/></testsuite>"#;
    let tests = parse(text).unwrap();
    assert_eq!((tests.failed, tests.warnings.len()), (1, 1));
}

#[test]
fn runs_of_one_test_are_known_by_suite_name_and_file() {
    let of = |suite: &str, inside: &str| {
        let text = format!(
            r#"<testsuites><testsuite name="outer"><testsuite name="{suite}"><testcase name="a" classname="t" file="t.py">{inside}</testcase></testsuite></testsuite></testsuites>"#
        );
        parse(&text).unwrap().ends
    };
    let (passed, failed, other) = (of("s", ""), of("s", "<failure/>"), of("r", ""));
    let key = |ends: &HashMap<u64, Ends>| *ends.keys().next().unwrap();
    assert_eq!(key(&passed), key(&failed));
    assert_ne!(key(&passed), key(&other));
    let mut both = passed[&key(&passed)];
    assert!(!both.disagree());
    both.merge(failed[&key(&failed)]);
    assert!(both.disagree());
    let flaky = of("s", "<flakyFailure/>");
    both.merge(flaky[&key(&flaky)]);
    assert!(!both.disagree(), "its own tool has counted it");
}

#[test]
fn times_are_added_up_where_there_are_some() {
    let seconds = |text: &str| parse(text).unwrap().seconds;
    let some = r#"<testsuite><testcase name="a" time="1,000.5"/><testcase name="b"/><testcase name="c" time="NaN"/></testsuite>"#;
    assert_eq!(seconds(some), Some(1000.5));
    assert_eq!(seconds(r#"<testsuite time="3"><testcase name="a"/></testsuite>"#), None);
}

#[test]
fn what_is_no_test_report_is_refused() {
    for bad in ["<html></html>", "{}", "", "<testsuite><testcase name='a'>", "<coverage line-rate='1'/>"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_test_is_counted_once_as_what_it_is(outcomes in proptest::collection::vec(0_usize..5, 0..40)) {
        let inside = ["", "<failure message='m'/>", "<error/>", "<skipped/>", "<flakyFailure/>"];
        let cases: Vec<_> = outcomes
            .iter()
            .enumerate()
            .map(|(at, outcome)| format!("<testcase name='t{at}'>{}</testcase>", inside[*outcome]))
            .collect();
        let count = |of: &[usize]| outcomes.iter().filter(|outcome| of.contains(outcome)).count() as u64;
        let wanted = (outcomes.len() as u64, count(&[1, 2]), count(&[3]), count(&[4]));
        assert_eq!(counts(&format!("<testsuite>{}</testsuite>", cases.concat())), wanted);
    }

    #[test]
    fn no_bytes_are_too_strange(text in "(<|>|/|testsuite|testcase|failure| name='a'|&lt;|&x;|<!\\[CDATA\\[|\\]\\]>|\\PC){0,60}") {
        let _ = parse(&text);
        let _ = parse(&format!("<testsuite>{text}"));
    }
}
