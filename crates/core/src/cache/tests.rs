//! The levels in memory against a model with a simulated clock.

mod model;
mod rules;
mod zipf;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::registry::{Annotations, Glob};
use crate::revision::Era;

/// Three upstreams: two whose answers are each principal's own, and one whose answers are everybody's.
fn sources(rules: &UpstreamRules) -> Vec<Source> {
    ["a", "b", "shared"]
        .map(|name| Source {
            rules: UpstreamRules { shared: name == "shared", ..rules.clone() },
            namespace: Arc::new(Namespace::new(name)),
            identity: [7; 32],
            hints: true,
        })
        .into()
}

fn all_tools(ttl_ms: u64, stale_ms: u64) -> UpstreamRules {
    UpstreamRules {
        tools: vec![(Glob::new("*"), Duration::from_millis(ttl_ms))],
        stale: Duration::from_millis(stale_ms),
        ..UpstreamRules::default()
    }
}

fn place(source: &Source, tool: &str) -> Arc<Place> {
    match source.of_tool(tool, Annotations::default(), b"{}") {
        Caching::Keeps(place) => place,
        other => panic!("{other:?}"),
    }
}

fn question<'a>(place: &'a Place, tool: &'a str, arguments: &'a str, principal: &'a str) -> Question<'a> {
    let arguments = arguments.as_bytes();
    Question { place, era: Era::Modern, name: tool, arguments, capabilities: b"", principal }
}

fn body(text: &str) -> Body {
    Body::read(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

/// Keeps a result as the gateway does: `false` if it may not be kept, or was not.
fn keep(memory: &Memory, question: &Question<'_>, result: &str, stamp: Stamp, now: Instant) -> bool {
    let body = body(result);
    let Some(life) = Life::of(&question.place.rule, &body) else { return false };
    let key = question.keys().unwrap().of(life.scope);
    let parts = Parts { place: question.place, name: question.name, body, life, stamp, age: Duration::ZERO };
    memory.put(&key, Entry::new(parts, now), now).is_some()
}

/// Asks as the gateway does: the reply, and the level that it came from.
fn ask(memory: &Memory, question: &Question<'_>, now: Instant) -> Option<(String, Level)> {
    let text = |parts: [Bytes; 3]| String::from_utf8(parts.concat()).unwrap();
    if let Some(parts) = memory.hot(question, "1", now) {
        return Some((text(parts), Level::Hot));
    }
    let keys = question.keys()?;
    let hit = [Scope::Private, Scope::Public]
        .into_iter()
        .find_map(|scope| memory.get(&keys.of(scope), question, now))?;
    Some((text(hit.reply("1")), hit.level))
}

#[test]
fn what_is_asked_for_again_and_again_is_found_in_the_first_level() {
    let memory = Memory::new(MemoryConfig::default());
    let source = &sources(&all_tools(1_000, 0))[0];
    let place = place(source, "t");
    let question = question(&place, "t", r#"{"x":1}"#, "p");
    let now = Instant::now();
    assert!(ask(&memory, &question, now).is_none());
    assert!(keep(&memory, &question, r#"{"n":1}"#, Stamp::ORIGIN, now));
    let levels: Vec<Level> = (0..4).map(|_| ask(&memory, &question, now).unwrap().1).collect();
    assert_eq!(levels, [Level::Memory, Level::Memory, Level::Hot, Level::Hot]);
    // Another spelling is another text to the first level, and the same question to the second.
    let spelt = Question { arguments: br#"{ "x": 1.0 }"#, ..question };
    assert_eq!(ask(&memory, &spelt, now).unwrap().1, Level::Memory);
    let [hot, second] = memory.read();
    assert_eq!((hot.counts.hits, hot.counts.inserted, hot.entries), (2, 2, 2));
    assert_eq!((second.counts.hits, second.counts.misses, second.counts.inserted), (3, 2, 1));
    source.namespace.invalidate();
    assert!(ask(&memory, &question, now).is_none());
    assert_eq!(memory.read()[0].counts.invalid, 1);
}

#[test]
fn a_failure_is_never_in_the_first_level_however_often_it_is_asked_for() {
    let memory = Memory::new(MemoryConfig::default());
    let rules = UpstreamRules { errors: Some(Duration::from_secs(1)), ..all_tools(1_000, 0) };
    let place = place(&sources(&rules)[0], "t");
    let (question, now) = (question(&place, "t", "{}", "p"), Instant::now());
    assert!(keep(&memory, &question, r#"{"isError":true}"#, Stamp::ORIGIN, now));
    for _ in 0..4 {
        assert_eq!(ask(&memory, &question, now).unwrap().1, Level::Memory);
    }
    assert_eq!(memory.read()[0].counts.inserted, 0);
}

#[test]
fn memory_is_bounded_by_bytes_and_by_entries() {
    for (max_entries, max_bytes, length, most) in
        [(100, 1 << 20, 10, 100), (10_000, 1 << 20, 10_000, 104), (20, 1 << 20, 10, 20)]
    {
        let config =
            MemoryConfig { max_entries, max_bytes, max_entry_bytes: 64 * 1024, ..MemoryConfig::default() };
        let memory = Memory::new(config);
        let source = &sources(&all_tools(1_000_000, 0))[0];
        let (place, now) = (place(source, "t"), Instant::now());
        let result = format!(r#"{{"x":"{}"}}"#, "x".repeat(length));
        for n in 0..1_000 {
            let arguments = n.to_string();
            keep(&memory, &question(&place, "t", &arguments, "p"), &result, Stamp::ORIGIN, now);
        }
        let [_, second] = memory.read();
        assert!(second.entries <= most && second.entries * 2 >= most, "{} of {most}", second.entries);
        assert!(second.bytes.unwrap() <= max_bytes);
        assert_eq!(second.counts.inserted, second.entries as u64 + second.counts.evicted);
    }
}

#[test]
fn an_answer_that_is_too_large_is_not_kept() {
    let memory = Memory::new(MemoryConfig { max_entry_bytes: 2_000, ..MemoryConfig::default() });
    let source = &sources(&all_tools(1_000, 0))[0];
    let (place, now) = (place(source, "t"), Instant::now());
    let question = question(&place, "t", "{}", "p");
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(2_000));
    assert!(!keep(&memory, &question, &large, Stamp::ORIGIN, now));
    assert!(keep(&memory, &question, "{}", Stamp::ORIGIN, now));
}

#[test]
fn of_all_who_ask_for_a_stale_answer_one_refreshes_it() {
    let source = &sources(&all_tools(100, 10_000))[0];
    let place = place(source, "t");
    let parts = |body: Body| {
        let life = Life::of(&place.rule, &body).unwrap();
        Parts { place: &place, name: "t", body, life, stamp: Stamp::ORIGIN, age: Duration::ZERO }
    };
    let start = Instant::now();
    let entry = Entry::new(parts(body("{}")), start);
    let at = |ms| start + Duration::from_millis(ms);
    assert_eq!(
        [0, 99, 100, 10_099, 10_100].map(|ms| entry.state(at(ms))),
        [State::Fresh, State::Fresh, State::Stale, State::Stale, State::Expired]
    );
    let claims: Vec<bool> =
        [100, 101, 1_099, 1_100, 1_101].iter().map(|ms| entry.claim_refresh(at(*ms))).collect();
    assert_eq!(claims, [true, false, false, true, false]);
}

#[test]
fn many_threads_get_whole_answers_to_their_own_questions() {
    let memory = Memory::new(MemoryConfig { hot_entries: 8, max_entries: 40, ..MemoryConfig::default() });
    let source = &sources(&all_tools(1_000_000, 0))[0];
    let place = place(source, "t");
    let now = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (memory, place) = (&memory, &place);
            scope.spawn(move || {
                for n in 0..5_000_usize {
                    let asked = (n * 7 + thread) % 60;
                    let arguments = asked.to_string();
                    let question = question(place, "t", &arguments, "p");
                    match ask(memory, &question, now) {
                        Some((reply, _)) => assert!(reply.contains(&format!(r#""n":{asked}}}"#)), "{reply}"),
                        None => {
                            keep(memory, &question, &format!(r#"{{"n":{asked}}}"#), Stamp::ORIGIN, now);
                        }
                    }
                    if n % 1_000 == 999 {
                        memory.retain(|entry| entry.name.is_empty());
                    }
                }
            });
        }
    });
}
