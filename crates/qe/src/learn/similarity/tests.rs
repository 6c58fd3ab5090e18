mod measured;

use super::*;

fn spelled(one: &str, other: &str) -> f64 {
    Sketch::of(one).spelled_alike(&Sketch::of(other))
}

fn alike(one: &str, other: &str) -> f64 {
    Sketch::of(one).likeness(&Sketch::of(other))
}

#[test]
fn alike_is_what_shares_words_and_spelling() {
    let query = "retry flaky network tests";
    let near = spelled(query, "Retry the network test that is flaky");
    let far = spelled(query, "Split long functions before adding branches");
    assert!((alike(query, query) - 1.0).abs() < 1e-6);
    assert!(near > 0.5 && far < 0.2, "{near} {far}");
    assert!(spelled("", query).abs() < f64::EPSILON && alike("", query).abs() < f64::EPSILON);
}

#[test]
fn alike_is_what_means_the_same_in_other_words() {
    let query = "the car broke down";
    let (near, far) = (alike(query, "an automobile failed"), alike(query, "a recipe for soup"));
    assert!(near > far, "{near} {far}");
    // A text without a known token has its spelling.
    assert!((alike("\u{4e00}\u{e000}", "\u{4e00}\u{e000}") - 1.0).abs() < 1e-6);
}

#[test]
fn duplicates_differ_in_neither_numbers_nor_negations() {
    let duplicates = |one: &str, other: &str| are_duplicates(one, other, spelled(one, other));
    let text = "Run the whole test suite of the package with a fixed seed before each commit";
    assert!(duplicates(
        text,
        "run the whole test suite of the package, with a fixed seed, before every commit"
    ));
    assert!(!duplicates(&format!("{text}, 3 times"), &format!("{text}, 5 times")));
    assert!(!duplicates(text, &format!("Do not {text}")));
    assert!(!duplicates(text, "Run one test of the package"));
}

#[test]
fn what_means_the_same_in_other_words_is_no_duplicate() {
    // Opposites are near by meaning; only words that are the same make one pattern of two.
    let pairs =
        [("Enable the cache", "Disable the cache"), ("Retry failed tests", "Repeat tests that did not pass")];
    for (one, other) in pairs {
        assert!(!are_duplicates(one, other, spelled(one, other)), "{one} {other}");
    }
}
