//! Random histories: what is found must be what was kept, for whom it was kept, while it counts.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Somebody asks; where nothing is found, the answer that comes takes so long to come.
    Ask {
        upstream: usize,
        tool: usize,
        arguments: usize,
        principal: usize,
        takes_ms: u64,
        result: usize,
    },
    /// Time passes.
    Wait(u64),
    Invalidate(usize),
    InvalidateKind(usize, Kind),
    InvalidateName(usize, usize),
    /// `mcp cache clear --upstream`.
    Clear(usize),
}

const TOOLS: [&str; 3] = ["one", "two", "three"];
const ARGUMENTS: [&str; 4] = ["{}", r#"{"a":1,"b":2}"#, r#"{ "b":2.0, "a":1 }"#, ""];
/// Which of the arguments are one question.
const QUESTIONS: [usize; 4] = [0, 1, 1, 2];
const PRINCIPALS: [&str; 3] = ["ann", "bob", ""];
/// What a server answers: `N` is the number of the answer.
const RESULTS: [&str; 5] = [
    r#"{"n":N}"#,
    r#"{"n":N,"isError":true}"#,
    r#"{"n":N,"cacheScope":"public"}"#,
    r#"{"n":N,"cacheScope":"private","_meta":{"k":1}}"#,
    r#"{"n":N,"resultType":"input_required"}"#,
];
const TTL_MS: u64 = 1_000;
const STALE_MS: u64 = 500;
const ERROR_MS: u64 = 200;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..3_usize, 0..3_usize, 0..4_usize, 0..3_usize, 0..200_u64, 0..5_usize).prop_map(
            |(upstream, tool, arguments, principal, takes_ms, result)| {
                Step::Ask { upstream, tool, arguments, principal, takes_ms, result }
            }
        ),
        3 => (0..700_u64).prop_map(Step::Wait),
        1 => (0..3_usize).prop_map(Step::Invalidate),
        1 => (0..3_usize, prop::sample::select(vec![Kind::Tools, Kind::Resources]))
            .prop_map(|(upstream, kind)| Step::InvalidateKind(upstream, kind)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(upstream, tool)| Step::InvalidateName(upstream, tool)),
        1 => (0..3_usize).prop_map(Step::Clear),
    ];
    prop::collection::vec(step, 1..120)
}

/// One answer in the model.
#[derive(Debug, Clone)]
struct Kept {
    number: u64,
    made_ms: u64,
    fresh_ms: u64,
    stale_ms: u64,
}

#[derive(Default)]
struct Model {
    /// By upstream, tool, question and, unless it is everybody's, principal.
    kept: HashMap<(usize, usize, usize, Option<usize>), Kept>,
    /// Answers by number: for whom each was made.
    made_for: Vec<usize>,
}

impl Model {
    fn find(
        &self,
        upstream: usize,
        tool: usize,
        question: usize,
        principal: usize,
        now: u64,
    ) -> Option<&Kept> {
        [Some(principal), None].into_iter().find_map(|whose| {
            let kept = self.kept.get(&(upstream, tool, question, whose))?;
            (now < kept.made_ms + kept.fresh_ms + kept.stale_ms).then_some(kept)
        })
    }

    fn forget(&mut self, gone: impl Fn(usize, usize) -> bool) {
        self.kept.retain(|(upstream, tool, ..), _| !gone(*upstream, *tool));
    }
}

fn run(steps: Vec<Step>, hot_entries: usize) -> Result<(), TestCaseError> {
    let rules =
        UpstreamRules { errors: Some(Duration::from_millis(ERROR_MS)), ..all_tools(TTL_MS, STALE_MS) };
    let sources = sources(&rules);
    let places: Vec<Vec<Arc<Place>>> =
        sources.iter().map(|source| TOOLS.map(|tool| place(source, tool)).into()).collect();
    // Two names that share a counter would make the model claim too much.
    let apart = sources[0].namespace.stamp(Kind::Tools, "one");
    sources[0].namespace.invalidate_name("two");
    sources[0].namespace.invalidate_name("three");
    assert_eq!(sources[0].namespace.stamp(Kind::Tools, "one"), apart);
    let memory = Memory::new(MemoryConfig { hot_entries, ..MemoryConfig::default() });
    let mut model = Model::default();
    let start = Instant::now();
    let mut now_ms = 0;
    for step in steps {
        match step {
            Step::Wait(ms) => now_ms += ms,
            Step::Invalidate(upstream) => {
                sources[upstream].namespace.invalidate();
                model.forget(|of, _| of == upstream);
            }
            Step::InvalidateKind(upstream, kind) => {
                sources[upstream].namespace.invalidate_kind(kind);
                model.forget(|of, _| of == upstream && kind == Kind::Tools);
            }
            Step::InvalidateName(upstream, tool) => {
                sources[upstream].namespace.invalidate_name(TOOLS[tool]);
                model.forget(|of, which| of == upstream && which == tool);
            }
            Step::Clear(upstream) => {
                let name = sources[upstream].namespace.name();
                memory.retain(|entry| entry.upstream() != name);
                model.forget(|of, _| of == upstream);
            }
            Step::Ask { upstream, tool, arguments, principal, takes_ms, result } => {
                let place = &places[upstream][tool];
                let question = question(place, TOOLS[tool], ARGUMENTS[arguments], PRINCIPALS[principal]);
                let now = start + Duration::from_millis(now_ms);
                let stamp = sources[upstream].namespace.stamp(Kind::Tools, TOOLS[tool]);
                let found = ask(&memory, &question, now);
                let expected = model.find(upstream, tool, QUESTIONS[arguments], principal, now_ms);
                if let Some((reply, _)) = found {
                    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
                    let expected = expected.expect("nothing was kept that this could be");
                    let result = &reply["result"];
                    prop_assert_eq!(result["n"].as_u64(), Some(expected.number));
                    let mark = &result["_meta"][MARK];
                    prop_assert_eq!(mark["ageMs"].as_u64(), Some(now_ms - expected.made_ms));
                    let stale = now_ms >= expected.made_ms + expected.fresh_ms;
                    prop_assert_eq!(mark["stale"].as_bool(), stale.then_some(true));
                    // Whatever is told to one principal was made for it, or is said to be everybody's.
                    let made_for = model.made_for[expected.number as usize];
                    prop_assert!(
                        made_for == principal || result["cacheScope"] == "public" || upstream == 2,
                        "{} got the answer to {}",
                        PRINCIPALS[principal],
                        PRINCIPALS[made_for]
                    );
                    continue;
                }
                prop_assert!(expected.is_none(), "not found: {:?}", expected);
                now_ms += takes_ms;
                let number = model.made_for.len() as u64;
                model.made_for.push(principal);
                let text = RESULTS[result].replace('N', &number.to_string());
                let now = start + Duration::from_millis(now_ms);
                let kept = keep(&memory, &question, &text, stamp, now);
                prop_assert_eq!(kept, result != 4);
                if kept {
                    let public = result == 2 || (upstream == 2 && result != 3);
                    let (fresh_ms, stale_ms) = if result == 1 { (ERROR_MS, 0) } else { (TTL_MS, STALE_MS) };
                    let whose = (!public).then_some(principal);
                    let at = (upstream, tool, QUESTIONS[arguments], whose);
                    model.kept.insert(at, Kept { number, made_ms: now_ms, fresh_ms, stale_ms });
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn with_both_levels_memory_does_what_the_model_does(steps in steps()) {
        run(steps, 64)?;
    }

    #[test]
    fn without_the_first_level_memory_does_what_the_model_does(steps in steps()) {
        run(steps, 0)?;
    }

    #[test]
    fn with_a_first_level_that_is_too_small_memory_does_what_the_model_does(steps in steps()) {
        run(steps, 2)?;
    }

    /// What was under way when something changed does not count when it comes.
    #[test]
    fn an_answer_that_was_asked_for_before_a_change_is_not_given_after_it(which in 0..3_usize, tool in 0..3_usize) {
        let source = &sources(&all_tools(TTL_MS, STALE_MS))[0];
        let place = place(source, TOOLS[tool]);
        let memory = Memory::new(MemoryConfig::default());
        let question = question(&place, TOOLS[tool], "{}", "p");
        let now = Instant::now();
        let stamp = source.namespace.stamp(Kind::Tools, TOOLS[tool]);
        match which {
            0 => source.namespace.invalidate(),
            1 => source.namespace.invalidate_kind(Kind::Tools),
            _ => source.namespace.invalidate_name(TOOLS[tool]),
        }
        let kept = keep(&memory, &question, "{}", stamp, now);
        prop_assert!(!kept);
        prop_assert!(ask(&memory, &question, now).is_none());
    }
}
