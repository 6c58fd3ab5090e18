//! A table of bad files (`bad_toml.txt`), each with every line that it must be answered with.

use super::{lines, toml};

const CASES: &str = include_str!("bad_toml.txt");

#[test]
fn every_bad_file_is_answered_with_all_its_faults_by_line() {
    let mut count = 0;
    for case in CASES.split("### file\n").skip(1) {
        let (text, expected) = case.split_once("### faults\n").unwrap();
        let faults = toml(text).expect_err(text);
        assert_eq!(lines(&faults), expected.trim_end().lines().collect::<Vec<_>>(), "in\n{text}");
        assert_eq!(faults.to_string(), expected.trim_end());
        count += 1;
    }
    assert!(count >= 100, "the table lost cases: {count}");
}

#[test]
fn a_hostile_file_gets_a_short_answer_and_a_count() {
    let text = (0..5000).fold(String::from("[server]\n"), |text, i| text + &format!("x{i} = 1\n"));
    let answer = toml(&text).unwrap_err().to_string();
    assert_eq!(answer.lines().count(), 101);
    assert!(answer.ends_with("\nand 4900 more"), "{answer}");
}

#[test]
fn control_characters_and_length_of_a_name_do_not_reach_the_terminal() {
    let text = format!("\"\\u001b[31m{}\" = 1\n", "x".repeat(10_000));
    let answer = toml(&text).unwrap_err().to_string();
    assert!(answer.starts_with("aqe.toml:1:1: unknown section or key \"\\u{1b}[31mxxx"), "{answer}");
    assert!(answer.len() < 300 && !answer.contains('\u{1b}'), "{answer}");
}

#[test]
fn lists_are_bounded() {
    let many = |text: &str| text.repeat(1001);
    let upstreams = (0..1001)
        .fold(String::new(), |t, i| t + &format!("[[upstream]]\nname = \"u{i}\"\ncommand = \"x\"\n"));
    for (text, expected) in [
        (format!("[server]\ninherit_env = [{}]\n", many("\"TOKEN\",")), "aqe.toml:2:15: \"inherit_env\""),
        (
            format!("[[upstream]]\nname = \"a\"\ncommand = \"x\"\nargs = [{}]\n", many("\"\",")),
            "aqe.toml:4:8: \"args\"",
        ),
        (upstreams, "aqe.toml:1:3: \"upstream\""),
    ] {
        let expected = format!("{expected} has 1001 entries; 1000 are allowed");
        assert_eq!(lines(&toml(&text).unwrap_err()), [expected]);
    }
}
