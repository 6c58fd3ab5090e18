use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn kinds(snapshot: &Snapshot) -> Vec<(&str, &str, &NameIssueKind)> {
    snapshot.issues().iter().map(|issue| (&*issue.upstream, &*issue.original, &issue.kind)).collect()
}

fn collision(how: Collision, upstream: &str, name: &str) -> NameIssueKind {
    NameIssueKind::Collision { how, with: (upstream.into(), name.into()) }
}

#[test]
fn one_upstream_alone_shows_bare_names() {
    let one = [builtin(&["qe_test"]), upstream("files", 1, &["read", "write"])];
    let snapshot = build(config(PrefixPolicy::Auto), &one);
    assert_eq!(shown(&snapshot), ["qe_test", "read", "write"]);
}

#[test]
fn two_upstreams_show_prefixes_and_builtin_tools_do_not() {
    let two = [builtin(&["qe_test"]), upstream("git", 2, &["log"]), upstream("files", 1, &["read"])];
    let snapshot = build(config(PrefixPolicy::Auto), &two);
    assert_eq!(shown(&snapshot), ["qe_test", "files__read", "git__log"]);
    assert!(snapshot.issues().is_empty());
}

#[test]
fn an_upstream_that_is_away_does_not_change_the_names_of_the_others() {
    let with = build(config(PrefixPolicy::Auto), &[upstream("a", 1, &["x"]), upstream("b", 2, &["y"])]);
    let without = build(config(PrefixPolicy::Auto), &[upstream("a", 1, &["x"]), upstream("b", 2, &[])]);
    assert_eq!(shown(&with)[0], shown(&without)[0]);
}

#[test]
fn without_prefixes_only_colliding_names_get_one() {
    let both = [upstream("a", 1, &["read", "x"]), upstream("b", 2, &["Read", "y"])];
    let snapshot = build(config(PrefixPolicy::Never), &both);
    assert_eq!(shown(&snapshot), ["a__read", "x", "b__Read", "y"]);
    assert_eq!(
        kinds(&snapshot),
        [
            ("a", "read", &collision(Collision::CaseFolded, "b", "Read")),
            ("b", "Read", &collision(Collision::CaseFolded, "a", "read")),
        ]
    );
}

#[test]
fn a_prefix_that_makes_a_new_collision_is_settled_too() {
    let three = [upstream("a", 1, &["read"]), upstream("b", 2, &["read"]), upstream("c", 3, &["a__read"])];
    let snapshot = build(config(PrefixPolicy::Never), &three);
    assert_eq!(shown(&snapshot), ["a__read", "b__read", "c__a__read"].map(|name| name));
}

#[test]
fn names_that_a_prefix_cannot_tell_apart_get_a_hash() {
    let both = [upstream("a", 1, &["b__c"]), upstream("a__b", 2, &["c"])];
    let snapshot = build(config(PrefixPolicy::Always), &both);
    let names = shown(&snapshot);
    assert_ne!(names[0], names[1]);
    assert!(names.iter().all(|name| name.starts_with("a__b__c_") && name.len() == 16), "{names:?}");
    assert_eq!(snapshot.issues().len(), 2);
}

#[test]
fn an_invisible_character_does_not_make_another_name() {
    let both = [upstream("a", 1, &["read"]), upstream("b", 2, &["re\u{200b}ad"])];
    let snapshot = build(config(PrefixPolicy::Never), &both);
    assert_eq!(shown(&snapshot), ["a__read", "b__read"]);
    assert!(kinds(&snapshot).contains(&(
        "a",
        "read",
        &collision(Collision::Confusable, "b", "re\u{200b}ad")
    )));
}

#[test]
fn look_alikes_within_one_upstream_leave_the_plain_name_alone() {
    let one = [upstream("a", 1, &["re\u{200b}ad", "read"])];
    let snapshot = build(config(PrefixPolicy::Auto), &one);
    let names = shown(&snapshot);
    assert_eq!(names[1], "read");
    assert!(names[0].starts_with("read_"), "{names:?}");
}

#[test]
fn nobody_takes_a_builtin_name_or_one_like_it() {
    let both = [
        builtin(&["qe_test_generate", "status"]),
        upstream("evil", 1, &["qe_test_generat", "QE_test_generate", "status"]),
    ];
    let snapshot = build(config(PrefixPolicy::Never), &both);
    assert_eq!(
        shown(&snapshot)[..2],
        ["qe_test_generate", "status"],
        "built-in names stay as they are, whatever others are called"
    );
    assert_eq!(shown(&snapshot)[2..], ["evil__qe_test_generat", "evil__QE_test_generate", "evil__status"]);
    assert!(kinds(&snapshot).contains(&("evil", "qe_test_generat", &NameIssueKind::Reserved)));
}

#[test]
fn without_builtin_tools_their_namespace_is_free() {
    let snapshot = build(config(PrefixPolicy::Auto), &[upstream("qe", 1, &["qe_x"])]);
    assert_eq!(shown(&snapshot), ["qe_x"]);
}

#[test]
fn long_names_keep_their_head_and_stay_apart() {
    let long = "a".repeat(70);
    let (one, other) = (format!("{long}1"), format!("{long}2"));
    let snapshot = build(config(PrefixPolicy::Always), &[upstream("files", 1, &[&one, &other])]);
    for name in shown(&snapshot) {
        assert_eq!(name.len(), MAX_SHOWN_NAME);
        assert!(name.starts_with("files__aaaa"));
    }
    assert_eq!(snapshot.issues().iter().filter(|i| i.kind == NameIssueKind::Shortened).count(), 2);
    assert_eq!(&*snapshot.tools()[1].original, other);
}

#[test]
fn a_name_listed_twice_is_shown_once_and_reported() {
    let snapshot = build(config(PrefixPolicy::Auto), &[upstream("a", 1, &["x", "x"])]);
    assert_eq!(shown(&snapshot), ["x"]);
    assert_eq!(snapshot.issues()[0].kind, NameIssueKind::Duplicate);
    assert_eq!(
        snapshot.issues()[0].to_string(),
        r#"tool "x" of upstream "a" is not shown: the upstream lists the name twice"#
    );
}

#[test]
fn a_separator_of_other_characters_is_refused() {
    for bad in ["", "/", " ", "__________", "é"] {
        assert!(Separator::new(bad).is_err(), "{bad:?}");
    }
    let naming = NamingRule { prefix: PrefixPolicy::Always, separator: Separator::new(".").unwrap() };
    let snapshot = build(RegistryConfig { naming, ..RegistryConfig::default() }, &[upstream("a", 1, &["x"])]);
    assert_eq!(shown(&snapshot), ["a.x"]);
}

fn manifests() -> impl Strategy<Value = Vec<UpstreamTools>> {
    // Few letters, so that names collide in every way.
    let name = prop_oneof![
        8 => "[aA_b\u{200b}/é]{0,4}",
        1 => "[aAb]{60,70}",
        1 => "(a__|qe_)[aA]{0,2}",
    ];
    let upstream_tools =
        (proptest::collection::vec(name, 0..8), any::<u32>(), 0..4_u8).prop_map(|(names, order, kind)| {
            UpstreamTools {
                order: order % 3,
                builtin: kind == 0,
                tools: names.iter().map(|name| tool(name)).collect(),
                ..UpstreamTools::default()
            }
        });
    proptest::collection::btree_map("(a|A|a__a|b c|[ab]{30,70})", upstream_tools, 1..5).prop_map(|map| {
        map.into_iter().map(|(name, tools)| UpstreamTools { name: name.into(), ..tools }).collect()
    })
}

fn any_prefix() -> impl Strategy<Value = PrefixPolicy> {
    prop_oneof![Just(PrefixPolicy::Auto), Just(PrefixPolicy::Always), Just(PrefixPolicy::Never)]
}

proptest! {
    #[test]
    fn shown_names_are_unique_short_and_of_allowed_characters(upstreams in manifests(), prefix in any_prefix()) {
        let snapshot = build(config(prefix), &upstreams);
        let mut lower = BTreeSet::new();
        for name in shown(&snapshot) {
            prop_assert!((1..=MAX_SHOWN_NAME).contains(&name.len()), "{name:?}");
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)), "{name:?}");
            prop_assert!(lower.insert(name.to_ascii_lowercase()), "{name:?} twice");
        }
    }

    #[test]
    fn every_tool_is_reached_by_its_shown_name_or_reported(upstreams in manifests(), prefix in any_prefix()) {
        for index in [IndexKind::Hash, IndexKind::Trie] {
            let snapshot = build(RegistryConfig { index, ..config(prefix) }, &upstreams);
            for entry in snapshot.tools() {
                let found = snapshot.get(&entry.shown).unwrap();
                prop_assert_eq!((&found.upstream, &found.original), (&entry.upstream, &entry.original));
            }
            let dropped = snapshot.issues().iter().filter(|issue| issue.shown.is_none()).count();
            let all: usize = upstreams.iter().map(|upstream| upstream.tools.len()).sum();
            prop_assert_eq!(snapshot.total_tools() + dropped, all);
        }
    }

    #[test]
    fn every_name_that_is_not_the_plain_one_is_reported(upstreams in manifests()) {
        let snapshot = build(config(PrefixPolicy::Never), &upstreams);
        for entry in snapshot.tools() {
            let reported = snapshot.issues().iter().any(|issue| {
                issue.upstream == entry.upstream.name && issue.original == entry.original
            });
            prop_assert!(reported || entry.shown == entry.original, "{entry:?}");
        }
    }

    #[test]
    fn the_order_in_which_upstreams_are_added_changes_nothing(upstreams in manifests(), prefix in any_prefix()) {
        let snapshot = build(config(prefix), &upstreams);
        let reversed: Vec<_> = upstreams.into_iter().rev().collect();
        let other = build(config(prefix), &reversed);
        prop_assert_eq!(snapshot.list(), other.list());
        prop_assert_eq!(snapshot.etag(), other.etag());
        prop_assert_eq!(snapshot.issues(), other.issues());
    }
}
