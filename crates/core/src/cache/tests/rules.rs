//! What may be kept.

use super::*;

fn says(read_only: Option<bool>, idempotent: Option<bool>, destructive: Option<bool>) -> Annotations {
    Annotations { read_only, idempotent, destructive, ..Annotations::default() }
}

fn of_tool(rules: UpstreamRules, name: &str, says: Annotations) -> Caching {
    let source = Source { rules, namespace: Arc::new(Namespace::new("up")), identity: [0; 32], hints: false };
    source.of_tool(name, says, b"{}")
}

fn ttl(rules: &UpstreamRules, name: &str, says: Annotations) -> Option<u64> {
    match of_tool(rules.clone(), name, says) {
        Caching::Keeps(place) => place.rule.ttl.map(|ttl| ttl.as_millis() as u64),
        Caching::None | Caching::Invalidates(_) => None,
    }
}

#[test]
fn no_answer_of_a_tool_is_kept_unless_the_configuration_says_so() {
    let safe = says(Some(true), Some(true), Some(false));
    assert_eq!(ttl(&UpstreamRules::default(), "t", safe), None);
    let rules = UpstreamRules {
        tools: vec![
            (Glob::new("get_secret"), Duration::ZERO),
            (Glob::new("get_*"), Duration::from_millis(5)),
        ],
        annotated: Some(Duration::from_millis(9)),
        ..UpstreamRules::default()
    };
    let nothing = Annotations::default();
    assert_eq!(ttl(&rules, "get_a", nothing), Some(5));
    assert_eq!(ttl(&rules, "get_a", says(Some(false), None, None)), Some(5), "the user knows better");
    assert_eq!(ttl(&rules, "get_secret", safe), None);
    assert_eq!(ttl(&rules, "other", safe), Some(9));
    for not_safe in [
        nothing,
        says(Some(true), None, None),
        says(None, Some(true), None),
        says(Some(true), Some(false), None),
        says(Some(true), Some(true), Some(true)),
    ] {
        assert_eq!(ttl(&rules, "other", not_safe), None, "{not_safe:?}");
    }
}

#[test]
fn a_call_that_may_write_makes_what_is_kept_invalid_as_the_configuration_says() {
    let rules = |on_write| UpstreamRules {
        tools: vec![(Glob::new("get_*"), Duration::from_millis(5))],
        on_write,
        ..UpstreamRules::default()
    };
    let invalidates = |on_write, says| matches!(of_tool(rules(on_write), "t", says), Caching::Invalidates(_));
    for (annotations, expected) in [
        (Annotations::default(), [true, false, false]),
        (says(Some(false), None, None), [true, true, false]),
        (says(Some(true), None, None), [false, false, false]),
        (says(Some(true), None, Some(true)), [true, true, false]),
    ] {
        let each = [OnWrite::NotReadOnly, OnWrite::Declared, OnWrite::Never];
        assert_eq!(each.map(|on_write| invalidates(on_write, annotations)), expected, "{annotations:?}");
    }
    // Where nothing can be kept a call means nothing.
    assert!(matches!(of_tool(UpstreamRules::default(), "t", Annotations::default()), Caching::None));
    assert!(matches!(of_tool(UpstreamRules::off(), "t", Annotations::default()), Caching::None));
}

#[test]
fn errors_unfinished_results_and_what_says_nothing_are_not_kept() {
    let life = |rule: Rule, result: &str| Life::of(&rule, &body(result));
    let ms = Duration::from_millis;
    let hinted = Rule::default();
    let tool = Rule { ttl: Some(ms(50)), stale: ms(7), ..Rule::default() };
    let negative = Rule { errors: Some(ms(3)), ..tool };
    let private = |fresh, stale| Some(Life { fresh: ms(fresh), stale: ms(stale), scope: Scope::Private });
    for (rule, result, expected) in [
        (tool, r#"{"content":[]}"#, private(50, 7)),
        (tool, r#"{"resultType":"complete","ttlMs":9}"#, private(50, 7)),
        (tool, r#"{"isError":true}"#, None),
        (negative, r#"{"isError":true}"#, private(3, 0)),
        (negative, r#"{"resultType":"input_required","inputRequests":{}}"#, None),
        (tool, r#"{"resultType":"task","taskId":"1"}"#, None),
        (tool, r#"{"task":{}}"#, None),
        (tool, r#"{"resultType":"what-comes-next"}"#, None),
        (hinted, r#"{"contents":[]}"#, None),
        (hinted, r#"{"ttlMs":0,"cacheScope":"public"}"#, None),
        (hinted, r#"{"ttlMs":8,"cacheScope":"private"}"#, private(8, 0)),
        (hinted, r#"{"ttlMs":8}"#, private(8, 0)),
    ] {
        assert_eq!(life(rule, result), expected, "{result}");
    }
    let scope = |rule, result| life(rule, result).map(|life| life.scope);
    let shared = Rule { shared: true, ..tool };
    assert_eq!(scope(hinted, r#"{"ttlMs":8,"cacheScope":"public"}"#), Some(Scope::Public));
    assert_eq!(scope(shared, "{}"), Some(Scope::Public));
    assert_eq!(scope(shared, r#"{"cacheScope":"private"}"#), Some(Scope::Private));
}
