use std::time::Duration;

use proptest::prelude::*;

use super::super::sample_names::sample;
use super::*;
use crate::monitor::{ErrorKind, Finished};

fn of_names(index: IndexKind, names: &[String]) -> Snapshot {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    build(RegistryConfig { index, ..RegistryConfig::default() }, &[upstream("all", 1, &names)])
}

#[test]
fn the_list_holds_every_definition_byte_for_byte_but_for_the_name() {
    let snapshot = build(
        config(PrefixPolicy::Auto),
        &[upstream("b", 2, &["r\u{e9}ad\n"]), upstream("a", 1, &["x", "y"])],
    );
    let rest = r#""inputSchema":{"type":"object"}}"#;
    assert_eq!(
        std::str::from_utf8(snapshot.list()).unwrap(),
        format!(
            r#"[{{"title":"t","name":"a__x",{rest},{{"title":"t","name":"a__y",{rest},{{"title":"t","name":"b__r_ad",{rest}]"#
        )
    );
    assert_eq!(&*snapshot.tools()[2].original, "r\u{e9}ad\n");
    assert_eq!(snapshot.tools()[1].definition, format!(r#"{{"title":"t","name":"a__y",{rest}"#));
}

#[test]
fn a_registry_without_tools_lists_an_empty_array() {
    let snapshot = build(RegistryConfig::default(), &[]);
    assert_eq!(&snapshot.list()[..], b"[]");
    assert_eq!(snapshot.total_tools(), 0);
    assert!(snapshot.get("").is_none());
}

#[test]
fn the_entity_tag_changes_with_the_list_and_only_with_it() {
    let tag = |tools: &[&str], order| {
        build(RegistryConfig::default(), &[upstream("a", order, tools)]).etag().to_owned()
    };
    assert_eq!(tag(&["x", "y"], 1), tag(&["x", "y"], 2));
    assert_ne!(tag(&["x", "y"], 1), tag(&["y", "x"], 1));
    assert!(tag(&[], 1).starts_with('"') && tag(&[], 1).ends_with('"'));
}

#[test]
fn usage_survives_a_rebuild_and_a_new_shown_name() {
    let alone = [upstream("a", 1, &["x", "y"])];
    let first = build(RegistryConfig::default(), &alone);
    let failed = Finished { error: Some(ErrorKind::Tool), ..Finished::default() };
    first.get("x").unwrap().usage.series.finished(&failed);
    let more = [upstream("a", 1, &["y", "x"]), upstream("b", 2, &["x"])];
    let second = SnapshotBuilder::new(RegistryConfig::default())
        .upstream(&more[0])
        .upstream(&more[1])
        .previous(&first)
        .build(SystemTime::UNIX_EPOCH);
    assert_eq!(second.get("a__x").unwrap().usage.series.totals().errors(), 1);
    assert_eq!(second.get("b__x").unwrap().usage.calls(), 0);
    // A call that began in the old snapshot still counts.
    first.get("x").unwrap().usage.series.finished(&Finished::default());
    assert_eq!(second.get("a__x").unwrap().usage.calls(), 2);
}

#[test]
fn categories_come_from_configuration_then_from_the_tool_then_from_the_upstream() {
    let tools = || vec![reading_tool("x").with_category("own"), reading_tool("y")];
    let plain = UpstreamTools { tools: tools(), ..upstream("a", 1, &[]) };
    let set = UpstreamTools { tools: tools(), category: Some("set".into()), ..upstream("b", 2, &[]) };
    let snapshot = build(RegistryConfig::default(), &[plain, set]);
    let stats = snapshot.stats(&ResolvedNames::default());
    let categories: Vec<_> = stats.categories.iter().map(|(name, tools)| (&**name, *tools)).collect();
    assert_eq!(categories, [("a", 1), ("own", 1), ("set", 2)]);
    let set: Vec<_> = snapshot.in_category("set").map(|entry| &*entry.shown).collect();
    assert_eq!(set, ["b__x", "b__y"]);
    assert_eq!(snapshot.in_category("none").count(), 0);
}

#[test]
fn allow_and_deny_lists_hold_and_an_invisible_character_does_not_pass_them() {
    let filtered = UpstreamTools {
        allow: vec![Glob::new("read*"), Glob::new("del*")],
        deny: vec![Glob::new("delete")],
        ..upstream("a", 1, &["read", "read_all", "write", "delete", "de\u{200b}lete", "delta"])
    };
    let snapshot = build(RegistryConfig::default(), &[filtered]);
    assert_eq!(shown(&snapshot), ["read", "read_all", "delta"]);
    assert_eq!(snapshot.stats(&ResolvedNames::default()).denied_tools, 3);
}

#[test]
fn most_used_counts_calls_and_leaves_out_what_was_never_called() {
    let snapshot = build(RegistryConfig::default(), &[upstream("a", 1, &["x", "y", "z", "w"])]);
    for (name, calls) in [("x", 1), ("z", 3), ("y", 1)] {
        for _ in 0..calls {
            snapshot.get(name).unwrap().usage.series.finished(&Finished::default());
        }
    }
    let names = |count| {
        snapshot.most_used(count).into_iter().map(|entry| entry.shown.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(10), ["z", "x", "y"]);
    assert_eq!(names(1), ["z"]);
}

#[test]
fn stats_state_the_times_that_the_caller_gave() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let snapshot = SnapshotBuilder::new(RegistryConfig::default()).build(at);
    let resolved = ResolvedNames::default();
    assert_eq!(snapshot.stats(&resolved).build_time, None);
    let snapshot = snapshot.with_build_time(Duration::from_millis(2));
    let stats = snapshot.stats(&resolved);
    assert_eq!((stats.compiled_at, stats.build_time), (at, Some(Duration::from_millis(2))));
    assert_eq!(stats.fuzzy.hit_rate(), None);
}

#[test]
fn trie_and_hash_agree_on_a_large_registry() {
    let (present, absent) = sample(5_000, 500, 1);
    let (hash, trie) = (of_names(IndexKind::Hash, &present), of_names(IndexKind::Trie, &present));
    for name in present.iter().chain(&absent) {
        assert_eq!(hash.get(name).map(|e| &e.shown), trie.get(name).map(|e| &e.shown));
        let namespace = &name[..name.find("__").unwrap() + 2];
        let names = |snapshot: &Snapshot, prefix: &str| {
            snapshot.with_prefix(prefix).into_iter().map(|e| e.shown.clone()).collect::<Vec<_>>()
        };
        if absent.contains(name) {
            assert_eq!(names(&hash, namespace), names(&trie, namespace));
            assert_eq!(names(&hash, &name[..name.len() / 2]), names(&trie, &name[..name.len() / 2]));
        }
    }
}

proptest! {
    #[test]
    fn trie_and_hash_agree(
        names in proptest::collection::btree_set("[a-c_]{1,5}", 0..30), query in "[a-c_]{0,6}",
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let (hash, trie) = (of_names(IndexKind::Hash, &names), of_names(IndexKind::Trie, &names));
        prop_assert_eq!(hash.get(&query).map(|e| &e.shown), trie.get(&query).map(|e| &e.shown));
        let list = |snapshot: &Snapshot| {
            snapshot.with_prefix(&query).into_iter().map(|e| e.shown.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(list(&hash), list(&trie));
    }
}

#[test]
fn a_configured_category_stands_before_the_upstreams_and_the_first_that_fits_counts() {
    let categories =
        vec![("reading".into(), vec![Glob::new("a__read*")]), ("all".into(), vec![Glob::new("a__*")])];
    let config = RegistryConfig { categories, ..config(PrefixPolicy::Always) };
    let set = |name, order| UpstreamTools {
        category: Some("stated".into()),
        ..upstream(name, order, &["read_file", "write_file"])
    };
    let snapshot = build(config, &[set("a", 1), set("b", 2)]);
    let of = |name: &str| &*snapshot.get(name).unwrap().category;
    assert_eq!(of("a__read_file"), "reading");
    assert_eq!(of("a__write_file"), "all");
    assert_eq!(of("b__read_file"), "stated");
}
