use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cache::{Caching, Kind, Namespace, Source, UpstreamRules};
use crate::registry::{Annotations, Glob};

fn source(upstream: &str, identity: u8, shared: bool) -> Source {
    let tools = vec![(Glob::new("*"), Duration::from_secs(1))];
    Source {
        rules: UpstreamRules { tools, shared, ..UpstreamRules::default() },
        namespace: Arc::new(Namespace::new(upstream)),
        identity: [identity; 32],
        hints: true,
    }
}

fn tool(source: &Source, name: &str, definition: &str) -> Arc<Place> {
    match source.of_tool(name, Annotations::default(), definition.as_bytes()) {
        Caching::Keeps(place) => place,
        other => panic!("{other:?}"),
    }
}

fn question<'a>(place: &'a Place, name: &'a str, arguments: &'a str, principal: &'a str) -> Question<'a> {
    let arguments = arguments.as_bytes();
    Question { place, era: Era::Legacy, name, arguments, capabilities: b"", principal }
}

fn key(question: &Question<'_>) -> Key {
    question.keys().unwrap().of(Scope::Private)
}

#[test]
fn whatever_can_change_the_answer_changes_the_key() {
    let up = source("up", 1, false);
    let place = tool(&up, "t", "{}");
    let base = question(&place, "t", r#"{"a":1}"#, "p");
    let places = [
        tool(&source("other", 1, false), "t", "{}"),
        tool(&source("up", 2, false), "t", "{}"),
        tool(&source("up", 1, true), "t", "{}"),
        tool(&up, "u", "{}"),
        tool(&up, "t", r#"{"x":1}"#),
        up.hinted(Kind::Resources).unwrap(),
        up.hinted(Kind::Prompts).unwrap(),
    ];
    let mut keys: Vec<Key> = places.iter().map(|place| key(&Question { place, ..base })).collect();
    keys.push(key(&base));
    keys.push(key(&Question { era: Era::Modern, ..base }));
    keys.push(key(&Question { name: "u", ..base }));
    keys.push(key(&Question { arguments: br#"{"a":2}"#, ..base }));
    keys.push(key(&Question { arguments: b"", ..base }));
    keys.push(key(&Question { arguments: b"{}", ..base }));
    keys.push(key(&Question { capabilities: b"{}", ..base }));
    keys.push(key(&Question { principal: "q", ..base }));
    keys.push(base.keys().unwrap().of(Scope::Public));
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }
}

#[test]
fn what_cannot_change_the_answer_does_not_change_the_key() {
    let up = source("up", 1, false);
    let (place, again) = (tool(&up, "t", "{}"), tool(&up, "t", "{}"));
    let one = question(&place, "t", r#"{"a":1.0,"b":"\u0041"}"#, "p");
    let other = Question { place: &again, arguments: br#" { "b":"A", "a":1e0 } "#, ..one };
    assert_eq!(key(&one), key(&other));
    let everybody = |principal| Question { principal, ..one }.keys().unwrap().of(Scope::Public);
    assert_eq!(everybody("p"), everybody("q"));
}

#[test]
fn params_with_more_than_a_plain_question_are_not_looked_up() {
    let read = |params: &'static str| Asked::read(params.as_bytes());
    let plain = read(
        r#"{"_meta":{"progressToken":1,"x":2,"io.modelcontextprotocol/clientCapabilities":{"a":{}}},"name":"t","arguments":{"inputResponses":1}}"#,
    );
    assert_eq!(plain, Some(Asked { arguments: br#"{"inputResponses":1}"#, capabilities: br#"{"a":{}}"# }));
    assert_eq!(read(r#"{"uri":"a://b"}"#), Some(Asked::default()));
    for more in ["inputResponses", "requestState", "task", "input\\u0052esponses", "_Meta", ""] {
        let params = format!(r#"{{"name":"t","{more}":{{}}}}"#);
        assert_eq!(Asked::read(params.as_bytes()), None, "{params}");
    }
    assert_eq!(read(r#"{"name":"t","_meta":1}"#), None);
    assert_eq!(read("null"), None);
}

#[test]
fn a_question_that_is_too_long_has_no_key() {
    let up = source("up", 1, false);
    let place = tool(&up, "t", "{}");
    let long = format!("\"{}\"", "x".repeat(MAX_KEY_BYTES));
    assert!(question(&place, "t", &long, "p").keys().is_none());
}

proptest! {
    /// The key is the question: no two questions of two principals share one, whatever stands in them.
    #[test]
    fn two_principals_never_share_a_private_key(
        names in prop::array::uniform2("[a-c=*\u{0}]{0,4}"),
        arguments in prop::array::uniform2("\"[a-c=*]{0,4}\""),
        principals in prop::array::uniform2("[a-c=*\u{0}]{0,4}"),
    ) {
        let up = source("up", 1, false);
        let place = tool(&up, "t", "{}");
        let [one, other] = [0, 1].map(|at| question(&place, &names[at], &arguments[at], &principals[at]));
        let same = names[0] == names[1] && arguments[0] == arguments[1] && principals[0] == principals[1];
        prop_assert_eq!(key(&one) == key(&other), same);
        let public = one.keys().unwrap().of(Scope::Public);
        prop_assert_ne!(&public, &key(&one));
        prop_assert_ne!(public, key(&other));
    }
}
