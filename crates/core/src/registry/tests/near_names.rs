use proptest::prelude::*;

use super::super::config::FuzzyRule;
use super::super::osa::reference::distance;
use super::super::sample_names::{Dice, mistyped, sample};
use super::public_names::PUBLIC;
use super::*;

fn trusted(names: &[&str]) -> UpstreamTools {
    UpstreamTools { trusted: true, ..upstream("t", 1, names) }
}

fn everyone(_: &ToolEntry) -> bool {
    true
}

fn suggested(lookup: Lookup<'_>) -> Vec<String> {
    match lookup {
        Lookup::Unknown { suggestions } => suggestions.iter().map(|s| s.entry.shown.to_string()).collect(),
        other => panic!("expected Unknown, got {other:?}"),
    }
}

fn resolves(snapshot: &Snapshot, name: &str) -> Option<(String, Variant)> {
    match snapshot.lookup(name, &ResolvedNames::new(0), everyone) {
        Lookup::Resolved { entry, variant, .. } => Some((entry.shown.to_string(), variant)),
        _ => None,
    }
}

#[test]
fn a_misspelt_name_of_a_trusted_reading_tool_is_resolved_and_says_how() {
    let snapshot = build(RegistryConfig::default(), &[trusted(&["read_file", "write_table"])]);
    match snapshot.lookup("raed_file", &ResolvedNames::default(), everyone) {
        Lookup::Resolved { entry, similarity, edits, variant } => {
            assert_eq!((&*entry.shown, edits, variant), ("read_file", 1, Variant::Spelling));
            assert!((similarity - 8.0 / 9.0).abs() < 1e-12);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        snapshot.lookup("read_file", &ResolvedNames::default(), everyone),
        Lookup::Exact(entry) if &*entry.shown == "read_file"
    ));
}

#[test]
fn all_variants_of_a_name_are_found() {
    let snapshot = build(RegistryConfig::default(), &[trusted(&["read_text_file", "delete"])]);
    let found = |variant| Some(("read_text_file".to_owned(), variant));
    assert_eq!(resolves(&snapshot, "Read_Text_FILE"), found(Variant::Case));
    assert_eq!(resolves(&snapshot, "read_txet_file"), found(Variant::Spelling));
    assert_eq!(resolves(&snapshot, "r-e-a-dTextFile"), found(Variant::Separators));
    assert_eq!(resolves(&snapshot, "rd_txt_fl"), found(Variant::Vowels));
    assert_eq!(resolves(&snapshot, "dlt"), None, "too short to be sure of");
}

#[test]
fn nothing_is_resolved_unless_it_is_safe() {
    let stranger = [upstream("t", 1, &["read_file_info"])];
    let writing = [UpstreamTools { tools: vec![tool("read_file_info")], ..trusted(&[]) }];
    let both = Annotations { read_only: Some(true), destructive: Some(true), ..Annotations::default() };
    let contradictory =
        [UpstreamTools { tools: vec![tool("read_file_info").with_annotations(both)], ..trusted(&[]) }];
    for upstreams in [stranger, writing, contradictory] {
        let snapshot = build(RegistryConfig::default(), &upstreams);
        let lookup = snapshot.lookup("read_file_inof", &ResolvedNames::default(), everyone);
        assert_eq!(suggested(lookup), ["read_file_info"]);
    }
    let own = build(RegistryConfig::default(), &[builtin(&["read_file_info"])]);
    assert!(resolves(&own, "read_file_inof").is_some(), "built-in tools are trusted");
}

#[test]
fn a_look_alike_of_a_stranger_contests_the_lead_and_never_runs() {
    let upstreams = [trusted(&["read_file_a"]), upstream("x", 2, &["read_file_b"])];
    let snapshot = build(config(PrefixPolicy::Never), &upstreams);
    assert_eq!(resolves(&snapshot, "read_file_c"), None);
    assert_eq!(resolves(&snapshot, "raed_file_a"), Some(("read_file_a".to_owned(), Variant::Spelling)));
}

#[test]
fn what_the_caller_may_not_see_is_neither_run_nor_named() {
    let snapshot = build(RegistryConfig::default(), &[trusted(&["read_file_one", "list_table_two"])]);
    let lookup =
        snapshot.lookup("read_file_oen", &ResolvedNames::default(), |entry| &*entry.shown != "read_file_one");
    assert!(suggested(lookup).is_empty());
}

#[test]
fn hidden_tools_do_not_take_the_places_of_visible_suggestions() {
    let names: Vec<String> = (0..9).map(|digit| format!("read_file_{digit}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let snapshot = build(RegistryConfig::default(), &[trusted(&names)]);
    let lookup =
        snapshot.lookup("read_file_x", &ResolvedNames::default(), |entry| entry.shown.ends_with(['7', '8']));
    assert_eq!(suggested(lookup), ["read_file_7", "read_file_8"]);
    let lookup = snapshot.lookup("read_file_x", &ResolvedNames::default(), everyone);
    assert_eq!(suggested(lookup), ["read_file_0", "read_file_1", "read_file_2"]);
}

#[test]
fn a_forgotten_prefix_is_suggested_but_not_resolved() {
    let upstreams = [trusted(&["read_file"]), upstream("x", 2, &["other"])];
    let snapshot = build(RegistryConfig::default(), &upstreams);
    let lookup = snapshot.lookup("read_file", &ResolvedNames::default(), everyone);
    assert_eq!(suggested(lookup), ["t__read_file"]);
}

#[test]
fn the_policy_is_kept() {
    let with =
        |fuzzy| build(RegistryConfig { fuzzy, ..RegistryConfig::default() }, &[trusted(&["read_file_info"])]);
    let (suggest, off) = (with(FuzzyPolicy::Suggest), with(FuzzyPolicy::Off));
    let resolved = ResolvedNames::default();
    assert_eq!(suggested(suggest.lookup("raed_file_info", &resolved, everyone)), ["read_file_info"]);
    assert!(suggested(off.lookup("raed_file_info", &resolved, everyone)).is_empty());
    assert_eq!(
        off.nearest("raed_file_info", 1, everyone).len(),
        1,
        "asked for outright, the nearest is shown"
    );
}

#[test]
fn the_cache_answers_again_and_never_for_another_snapshot() {
    let resolved = ResolvedNames::default();
    let first = build(RegistryConfig::default(), &[trusted(&["read_file_info"])]);
    for _ in 0..3 {
        assert!(matches!(first.lookup("raed_file_info", &resolved, everyone), Lookup::Resolved { .. }));
    }
    let read = resolved.read();
    assert_eq!((read.entries, read.hits, read.misses, read.resolved), (1, 2, 1, 3));
    assert_eq!(read.hit_rate(), Some(2.0 / 3.0));

    let other = build(RegistryConfig::default(), &[trusted(&["x", "raed_file_inof"])]);
    match other.lookup("raed_file_info", &resolved, everyone) {
        Lookup::Resolved { entry, .. } => assert_eq!(&*entry.shown, "raed_file_inof"),
        lookup => panic!("{lookup:?}"),
    }
    let rule = FuzzyRule::with_threshold(1.0).unwrap();
    let strict = build(RegistryConfig { rule, ..RegistryConfig::default() }, &[trusted(&["read_file_info"])]);
    assert!(matches!(strict.lookup("raed_file_info", &resolved, everyone), Lookup::Unknown { .. }));
    let stranger = build(RegistryConfig::default(), &[upstream("t", 1, &["read_file_info"])]);
    assert!(matches!(stranger.lookup("raed_file_info", &resolved, everyone), Lookup::Unknown { .. }));
}

#[test]
fn the_cache_stays_within_its_capacity() {
    let resolved = ResolvedNames::new(50);
    let (present, _) = sample(1_000, 0, 3);
    let names: Vec<&str> = present.iter().map(String::as_str).collect();
    let snapshot = build(RegistryConfig::default(), &[trusted(&names)]);
    for name in &present {
        snapshot.lookup(&name.to_uppercase(), &resolved, everyone);
    }
    assert_eq!(resolved.read().resolved, 1_000);
    assert!((1..=50).contains(&resolved.read().entries), "{:?}", resolved.read());
}

#[test]
fn huge_and_foreign_names_are_answered() {
    let snapshot = build(RegistryConfig::default(), &[trusted(&["read_file"]), upstream("u", 2, &[])]);
    let long = "x".repeat(1 << 20);
    for name in ["", "\u{200b}", "日本語", long.as_str()] {
        assert!(suggested(snapshot.lookup(name, &ResolvedNames::default(), everyone)).is_empty());
    }
    // One foreign character is one edit, however many bytes it has.
    assert!(resolves(&snapshot, "t__read\u{1f980}_file").is_some());
}

/// The rule by brute force over all names: unique best of at most two edits, at least 0.8 alike, no other as near.
/// And some word of the query must be new.
fn brute_force(names: &[&str], written: &str) -> Option<String> {
    let query = written.to_ascii_lowercase();
    let strip = |text: &str, out: &[char]| text.replace(out, "");
    let (separators, vowels) = (['-', '_', '.'], ['a', 'e', 'i', 'o', 'u']);
    let mut scored: Vec<(usize, bool, &str)> = names
        .iter()
        .map(|&name| {
            let lower = name.to_ascii_lowercase();
            let bare = strip(&query, &separators);
            let same = !bare.is_empty() && strip(&lower, &separators) == bare
                || query.len() >= 5 && strip(&query, &vowels) == query && strip(&lower, &vowels) == query;
            let edits = distance(lower.as_bytes(), query.as_bytes());
            let longer = lower.len().max(query.len()) as f64;
            let alike = (longer - edits as f64) / longer >= 0.8;
            if same { (0, true, name) } else { (edits, alike, name) }
        })
        .collect();
    scored.sort_unstable();
    let &(edits, alike, name) = scored.first()?;
    let ahead = scored.get(1).is_none_or(|second| second.0 > edits);
    let known: Vec<String> = names.iter().flat_map(|name| words(name)).collect();
    let misspelt = edits == 0 || words(written).iter().any(|word| !known.contains(word));
    (edits <= 2 && ahead && alike && misspelt).then(|| name.to_owned())
}

fn words(name: &str) -> Vec<String> {
    let mut spaced = String::new();
    for char in name.chars() {
        if char.is_uppercase() && spaced.ends_with(char::is_lowercase) {
            spaced.push(' ');
        }
        spaced.push(if "-_.".contains(char) { ' ' } else { char });
    }
    spaced.split_whitespace().map(str::to_lowercase).collect()
}

proptest! {
    #[test]
    fn resolving_agrees_with_brute_force(
        names in proptest::collection::btree_set("[abt_-]{3,12}", 1..25), query in "[abtA_-]{1,13}",
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let snapshot = build(RegistryConfig::default(), &[trusted(&names)]);
        prop_assume!(snapshot.get(&query).is_none());
        let shown = shown(&snapshot);
        prop_assert_eq!(resolves(&snapshot, &query).map(|(name, _)| name), brute_force(&shown, &query));
    }

    #[test]
    fn the_nearest_are_those_of_brute_force(
        names in proptest::collection::btree_set("[abt]{3,12}", 1..25), query in "[abt]{1,80}",
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let snapshot = build(RegistryConfig::default(), &[trusted(&names)]);
        let mut wanted: Vec<f64> = names
            .iter()
            .map(|name| {
                let longer = name.len().max(query.len()) as f64;
                let edits = distance(name.as_bytes(), query.as_bytes()) as f64;
                let short_form = query.len() >= 5 && !query.contains('a') && name.replace('a', "") == query;
                if short_form { 1.0 } else { (longer - edits) / longer }
            })
            .filter(|similarity| *similarity >= 0.6)
            .collect();
        wanted.sort_by(|one, other| other.total_cmp(one));
        wanted.truncate(3);
        let got: Vec<f64> = snapshot.nearest(&query, 3, everyone).iter().map(|s| s.similarity).collect();
        prop_assert_eq!(got, wanted);
    }
}

/// Of generated names, as one registry of trusted reading tools.
fn large(names: &[String]) -> Snapshot {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    build(config(PrefixPolicy::Never), &[trusted(&names)])
}

#[test]
fn nearly_all_names_with_one_or_two_typing_errors_are_resolved_rightly() {
    for (size, seed) in [(213, 11), (1_000, 12), (10_000, 13)] {
        let (present, _) = sample(size, 0, seed);
        let snapshot = large(&present);
        let mut dice = Dice(seed);
        for errors in 1..=2 {
            let (mut right, mut wrong, mut tried) = (0, 0, 0);
            while tried < 1_000 {
                let meant = &present[dice.below(present.len())];
                let typed = (0..errors).fold(meant.clone(), |name, _| mistyped(&name, &mut dice));
                if snapshot.get(&typed).is_some() {
                    continue;
                }
                tried += 1;
                match resolves(&snapshot, &typed) {
                    Some((name, _)) if name == *meant => right += 1,
                    Some(_) => wrong += 1,
                    None => {}
                }
            }
            println!("{size} tools, {errors} errors: {right} right, {wrong} wrong of {tried}");
            assert!(right * 100 >= tried * 99, "{size} tools, {errors} errors: {right} of {tried}");
        }
    }
}

#[test]
fn hardly_any_name_of_an_absent_tool_is_resolved() {
    for (size, seed) in [(213, 21), (1_000, 22), (10_000, 23)] {
        let (present, absent) = sample(size, 3_000, seed);
        let snapshot = large(&present);
        let accepted: Vec<_> =
            absent.iter().filter_map(|name| Some((name, resolves(&snapshot, name)?))).collect();
        println!(
            "{size} tools: {} of {}: {:?}",
            accepted.len(),
            absent.len(),
            &accepted[..accepted.len().min(9)]
        );
        assert!(accepted.len() * 100 <= absent.len(), "{size} tools: {} accepted", accepted.len());
    }
}

/// Each public name in turn is the absent one, asked for among all others: real servers have `get_issue` beside
/// `get_issues`, which generated absent names seldom come so near to.
#[test]
fn hardly_any_public_name_is_resolved_to_another() {
    let all: Vec<String> = PUBLIC
        .iter()
        .flat_map(|(server, tools)| tools.iter().map(move |tool| format!("{server}__{tool}")))
        .collect();
    let mut accepted = Vec::new();
    for (place, absent) in all.iter().enumerate() {
        let mut others = all.clone();
        others.remove(place);
        if let Some((name, _)) = resolves(&large(&others), absent) {
            accepted.push((absent, name));
        }
    }
    println!("{} of {}: {accepted:?}", accepted.len(), all.len());
    assert!(accepted.len() * 100 <= all.len(), "{accepted:?}");
}
