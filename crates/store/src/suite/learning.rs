//! Promises of [`LearningStore`].

mod tasks;

use crate::contract::{LearningStore, WorkStore};
use crate::learning::{
    Extent, Learned, Observation, Observed, Outcomes, Pattern, PatternId, Polarity, Rule, State, Subject,
    Tally, Texts, Trials, Which,
};
use crate::{StoreError, UnixMillis, limits};

/// A moment in 2026, so that nothing is near zero.
const T0: UnixMillis = 1_790_000_000_000;
const DAY: UnixMillis = 86_400_000;

/// Half-lives of ten days; a pattern with ten of ten is active, one that fails is retired.
pub const RULE: Rule = Rule { half_life_ms: 10.0 * DAY as f64, back_off_below: 3.0, decide };

fn decide(was: State, tally: &Tally, measured: &Tally) -> State {
    match was {
        State::Active if measured.successes > 19.5 => State::Promoted,
        State::Candidate if tally.successes > 9.5 => State::Active,
        _ if tally.failures > tally.successes + 5.0 => State::Retired,
        other => other,
    }
}

/// Trials of a pattern by its title, seen by our own tools.
pub fn of(title: &str, successes: u32, failures: u32) -> Observation {
    Observation {
        pattern: Subject::Titled { polarity: Polarity::Do, title: title.into(), texts: Texts::default() },
        levels: Vec::new(),
        trials: Trials { successes, failures, at: T0, ..Trials::default() },
        used: None,
    }
}

impl Observation {
    /// The same with other trials.
    fn with(mut self, change: impl FnOnce(&mut Trials)) -> Self {
        change(&mut self.trials);
        self
    }
}

async fn observe(store: &dyn LearningStore, one: Observation) -> Observed {
    store.observe("alice".into(), vec![one], RULE).await.unwrap().pop().unwrap()
}

async fn all(store: &dyn LearningStore, who: &str) -> Vec<Pattern> {
    let which = Which { most: u32::MAX, texts: Extent::Whole, ..Which::default() };
    store.patterns(who.into(), which).await.unwrap()
}

/// All that is promised.
pub async fn holds<S: LearningStore + WorkStore, F: AsyncFn() -> S>(empty: F) {
    tallies_are_those_of_all_observations(&empty().await).await;
    evidence_counts_once(&empty().await).await;
    what_is_foretold_is_kept_beside_what_came(&empty().await).await;
    narrow_contexts_are_asked_first(&empty().await).await;
    merged_patterns_count_together(&empty().await).await;
    what_somebody_retired_stays_so_until_it_is_told_anew(&empty().await).await;
    principals_and_polarities_are_apart(&empty().await).await;
    a_batch_counts_whole_or_not_at_all(&empty().await).await;
    what_is_asserted_is_no_measurement(&empty().await).await;
    a_suggestion_is_used_once_and_for_a_while(&empty().await).await;
    texts_that_are_told_anew_are_seen_to_be(&empty().await).await;
    bounds_are_kept(&empty().await).await;
    tasks::each_attempt_teaches_once(&empty().await).await;
    tasks::tasks_leave_room_for_others(&empty().await).await;
}

async fn tallies_are_those_of_all_observations(store: &dyn LearningStore) {
    // Out of order, with infrastructure failures, which say nothing.
    let ages = [(0, 3, 1), (20, 2, 2), (5, 1, 0), (10, 0, 4)];
    for (days, successes, failures) in ages {
        let one = of("p", successes, failures).with(|trials| {
            trials.infrastructure = 2;
            trials.reward = Some(0.5);
            trials.asserted_by = (days == 5).then(|| "model".into());
            trials.at = T0 + days * DAY;
        });
        observe(store, one).await;
    }
    let [pattern] = &all(store, "alice").await[..] else { panic!("one pattern") };
    let sum = |pick: fn((i64, u32, u32)) -> u32| -> f64 {
        let weigh = |one: (i64, u32, u32)| f64::from(pick(one)) * 0.5_f64.powf((20 - one.0) as f64 / 10.0);
        ages.into_iter().map(weigh).sum()
    };
    assert!((pattern.tally.successes - sum(|one| one.1)).abs() < 1e-12);
    assert!((pattern.tally.failures - sum(|one| one.2)).abs() < 1e-12);
    assert_eq!((pattern.tally.at, pattern.last), (T0 + 20 * DAY, Some(T0 + 20 * DAY)));
    let seen = pattern.seen;
    assert_eq!((seen.successes, seen.failures, seen.infrastructure, seen.asserted), (6, 7, 8, 3));
    assert_eq!((seen.rewards, seen.reward_sum.to_bits()), (4, 2.0_f64.to_bits()));
    let learned = store.learned("alice".into()).await.unwrap();
    assert_eq!((learned.patterns, learned.kept, learned.seen, learned.last), (1, 4, seen, pattern.last));
    let kept = store.observations("alice".into(), pattern.id, 2).await.unwrap();
    assert_eq!(kept.iter().map(|one| one.trials.at).collect::<Vec<_>>(), [T0 + 10 * DAY, T0 + 5 * DAY]);
    assert_eq!(kept[1].trials.asserted_by.as_deref(), Some("model"));
}

async fn evidence_counts_once(store: &dyn LearningStore) {
    let evident =
        |title: &str, text: &str| of(title, 1, 0).with(|trials| trials.evidence = Some(text.into()));
    let with = |text: &str| evident("p", text);
    assert!(observe(store, with("run 1")).await.counted);
    assert!(!observe(store, with("run 1")).await.counted);
    assert!(observe(store, with("run 2")).await.counted);
    assert!(observe(store, evident("q", "run 1")).await.counted);
    assert_eq!(all(store, "alice").await[0].seen.successes, 2);
}

async fn what_is_foretold_is_kept_beside_what_came(store: &dyn LearningStore) {
    let first = observe(store, of("p", 1, 0)).await;
    assert!((first.predicted - 0.5).abs() < 1e-12 && first.created && first.counted);
    let second = observe(store, of("p", 1, 2)).await;
    assert!((second.predicted - 2.0 / 3.0).abs() < 1e-12 && !second.created);
    // An infrastructure failure is no outcome.
    observe(store, of("p", 0, 0).with(|trials| trials.infrastructure = 1)).await;
    let bins = store.learned("alice".into()).await.unwrap().calibration;
    assert_eq!((bins[5].trials, bins[5].successes), (1, 1));
    assert!((bins[5].squared - 0.25).abs() < 1e-12);
    assert_eq!((bins[6].trials, bins[6].successes), (3, 1));
    assert!((bins[6].squared - (1.0 / 9.0 + 2.0 * 4.0 / 9.0)).abs() < 1e-12);
    assert!((bins[6].predicted - 2.0).abs() < 1e-12);
}

async fn narrow_contexts_are_asked_first(store: &dyn LearningStore) {
    let within = |levels: &[&str], successes, failures| Observation {
        levels: levels.iter().map(|&level| level.into()).collect(),
        ..of("p", successes, failures)
    };
    observe(store, within(&["python pytest", "python"], 0, 4)).await;
    observe(store, within(&["python unittest", "python"], 4, 0)).await;
    let narrow = observe(store, within(&["python pytest", "python"], 0, 0)).await;
    assert!((narrow.predicted - 1.0 / 6.0).abs() < 1e-12, "{narrow:?}");
    let wider = observe(store, within(&["python nose", "python"], 0, 0)).await;
    assert!((wider.predicted - 0.5).abs() < 1e-12);
    let which = Which {
        most: 9,
        levels: vec!["python pytest".into(), "none".into(), "python".into()],
        ..Which::default()
    };
    let found = store.patterns("alice".into(), which).await.unwrap();
    let sums: Vec<_> = found[0]
        .levels
        .iter()
        .map(|(place, tally)| (*place, tally.successes as u32, tally.failures as u32))
        .collect();
    assert_eq!(sums, [(0, 0, 4), (2, 4, 4)]);
    assert!(found[0].texts.is_none());
}

async fn merged_patterns_count_together(store: &dyn LearningStore) {
    let level = |title: &str, successes, evidence: &str, at| {
        let one = Observation { levels: vec!["python".into()], ..of(title, successes, 0) };
        one.with(|trials| {
            trials.evidence = Some(evidence.into());
            trials.at = at;
        })
    };
    let whole = observe(store, level("whole", 4, "one", T0 + 10 * DAY)).await.id;
    let part = observe(store, level("part", 8, "one", T0)).await.id;
    observe(store, level("part", 8, "two", T0)).await;
    store.merge("alice".into(), part, whole, RULE).await.unwrap();
    let [pattern] = &all(store, "alice").await[..] else { panic!("one pattern is left") };
    assert!((pattern.tally.successes - 12.0).abs() < 1e-12);
    assert_eq!((pattern.seen.successes, pattern.state), (20, State::Active));
    assert_eq!(store.learned("alice".into()).await.unwrap().kept, 2, "the same evidence is kept once");
    // What comes under the old name counts for the whole.
    let later = observe(store, level("part", 1, "three", T0 + 10 * DAY)).await;
    assert_eq!((later.id, later.created), (whole, false));
    let refused = async |part, whole| store.merge("alice".into(), part, whole, RULE).await.unwrap_err();
    assert!(matches!(refused(part, whole).await, StoreError::Pattern { .. }), "it is a part already");
    assert!(matches!(refused(whole, PatternId(77)).await, StoreError::Pattern { id: 77, .. }));
    let avoid = Subject::Titled { polarity: Polarity::Avoid, title: "whole".into(), texts: Texts::default() };
    let avoid = observe(store, Observation { pattern: avoid, ..of("", 1, 0) }).await;
    assert!(avoid.created);
    assert!(matches!(refused(avoid.id, whole).await, StoreError::Pattern { .. }), "polarities differ");
}

async fn what_somebody_retired_stays_so_until_it_is_told_anew(store: &dyn LearningStore) {
    let id = observe(store, of("p", 1, 0)).await.id;
    store.retire("alice".into(), id, T0 + 1).await.unwrap();
    observe(store, of("p", 20, 0)).await;
    assert_eq!(all(store, "alice").await[0].retired, Some(T0 + 1));
    let texts = Texts { description: "d".into(), content: "c".into(), tags: vec!["t".into()] };
    let told = Subject::Titled { polarity: Polarity::Do, title: "p".into(), texts: texts.clone() };
    assert!(!observe(store, Observation { pattern: told, ..of("", 0, 0) }).await.counted);
    let pattern = all(store, "alice").await.remove(0);
    assert_eq!((pattern.retired, pattern.texts, pattern.seen.successes), (None, Some(texts), 21));
}

async fn principals_and_polarities_are_apart(store: &dyn LearningStore) {
    let id = observe(store, of("p", 1, 0)).await.id;
    assert!(all(store, "bob").await.is_empty());
    let by_id = Which { ids: Some(vec![id]), most: 9, ..Which::default() };
    assert!(store.patterns("bob".into(), by_id.clone()).await.unwrap().is_empty());
    assert_eq!(store.patterns("alice".into(), by_id).await.unwrap().len(), 1);
    assert!(store.observations("bob".into(), id, 9).await.unwrap().is_empty());
    assert_eq!(store.learned("bob".into()).await.unwrap().patterns, 0);
    let his = Observation { pattern: Subject::Id(id), ..of("", 0, 9) };
    assert!(matches!(store.observe("bob".into(), vec![his], RULE).await, Err(StoreError::Pattern { .. })));
    assert!(store.retire("bob".into(), id, T0).await.is_err());
    assert!(store.merge("bob".into(), id, id, RULE).await.is_err());
    assert_eq!((all(store, "alice").await[0].seen.failures, all(store, "bob").await.len()), (0, 0));
}

async fn what_is_asserted_is_no_measurement(store: &dyn LearningStore) {
    let asserted = |successes| of("p", successes, 0).with(|trials| trials.asserted_by = Some("model".into()));
    observe(store, asserted(12)).await;
    observe(store, asserted(30)).await;
    let pattern = all(store, "alice").await.remove(0);
    assert_eq!((pattern.state, pattern.measured.n_eff().to_bits()), (State::Active, 0.0_f64.to_bits()));
    assert!((pattern.tally.successes - 42.0).abs() < 1e-12, "it is an outcome all the same");
    // What is measured loses weight with age, whoever speaks meanwhile.
    observe(store, of("p", 10, 0)).await;
    observe(store, asserted(1).with(|trials| trials.at = T0 + 10 * DAY)).await;
    let pattern = all(store, "alice").await.remove(0);
    assert!((pattern.measured.successes - 5.0).abs() < 1e-12, "{pattern:?}");
    observe(store, of("p", 30, 0)).await;
    let pattern = all(store, "alice").await.remove(0);
    assert_eq!(pattern.state, State::Promoted);
    let other = observe(store, of("q", 8, 0)).await.id;
    store.merge("alice".into(), pattern.id, other, RULE).await.unwrap();
    let whole = all(store, "alice").await.remove(0);
    assert!((whole.measured.successes - 24.0).abs() < 1e-12, "measured parts are merged, too: {whole:?}");
}

async fn a_suggestion_is_used_once_and_for_a_while(store: &dyn LearningStore) {
    let asserted = |successes, failures, at| {
        of("p", successes, failures).with(|trials| {
            trials.asserted_by = Some("model".into());
            trials.at = at;
        })
    };
    let first = observe(store, asserted(1, 0, T0)).await;
    assert_eq!(first.used, Some(false), "nobody has suggested it");
    let suggest =
        async |at| store.suggested("alice".into(), vec![first.id, PatternId(77)], at).await.unwrap();
    suggest(T0).await;
    store.suggested("bob".into(), vec![first.id], T0 + limits::SUGGESTION_COUNTS_MS).await.unwrap();
    assert_eq!(observe(store, of("p", 1, 0)).await.used, None, "our own tools did not ask");
    assert_eq!(observe(store, asserted(0, 1, T0 + DAY)).await.used, Some(true));
    assert_eq!(observe(store, asserted(1, 0, T0 + DAY)).await.used, Some(false), "once");
    suggest(T0).await;
    assert_eq!(observe(store, asserted(0, 0, T0).with(|trials| trials.infrastructure = 1)).await.used, None);
    assert_eq!(observe(store, asserted(1, 0, T0 + limits::SUGGESTION_COUNTS_MS)).await.used, Some(true));
    suggest(T0).await;
    assert_eq!(observe(store, asserted(1, 0, T0 + limits::SUGGESTION_COUNTS_MS + 1)).await.used, Some(false));
    observe(store, Observation { used: Some(true), ..of("tool", 3, 4) }).await;
    observe(store, Observation { used: Some(false), ..of("tool", 1, 2) }).await;
    let learned = store.learned("alice".into()).await.unwrap();
    let pair = |of: Outcomes| (of.successes, of.failures);
    assert_eq!((pair(learned.suggestions.used), pair(learned.suggestions.unused)), ((1, 1), (3, 0)));
    assert_eq!((pair(learned.tools.used), pair(learned.tools.unused)), ((3, 4), (1, 2)));
    assert_eq!(store.learned("bob".into()).await.unwrap(), Learned::default());
}

async fn texts_that_are_told_anew_are_seen_to_be(store: &dyn LearningStore) {
    observe(store, of("p", 1, 0)).await;
    let first = all(store, "alice").await.remove(0);
    observe(store, of("p", 1, 0)).await;
    assert_eq!(all(store, "alice").await[0].told, first.told);
    observe(store, of("p", 0, 0)).await;
    assert!(all(store, "alice").await[0].told > first.told);
}

async fn a_batch_counts_whole_or_not_at_all(store: &dyn LearningStore) {
    let unknown = Observation { pattern: Subject::Id(PatternId(9)), ..of("", 1, 0) };
    let batch = vec![of("p", 1, 0), unknown];
    assert!(store.observe("alice".into(), batch, RULE).await.is_err());
    assert!(all(store, "alice").await.is_empty());
    let batch = vec![of("p", 1, 0), of("p", 0, 1), of("q", 1, 0)];
    let counted = store.observe("alice".into(), batch, RULE).await.unwrap();
    assert_eq!(counted.iter().map(|one| one.created).collect::<Vec<_>>(), [true, false, true]);
    assert!((counted[1].predicted - 2.0 / 3.0).abs() < 1e-12, "in their order");
}

async fn bounds_are_kept(store: &dyn LearningStore) {
    let refused = async |one| store.observe("alice".into(), vec![one], RULE).await.unwrap_err();
    for title in ["", "a\u{0}b"] {
        assert!(matches!(refused(of(title, 1, 0)).await, StoreError::BadName { .. }));
    }
    let long = "x".repeat(limits::PATTERN_TITLE_MAX_BYTES + 1);
    assert!(matches!(refused(of(&long, 1, 0)).await, StoreError::Limit { .. }));
    // Contexts beyond the bound count in the wider ones.
    for number in 0..=limits::CONTEXTS_PER_PATTERN {
        let levels = vec!["python".into(), format!("python {number}")];
        observe(store, Observation { levels, ..of("contexts", 1, 0) }).await;
    }
    let last = format!("python {}", limits::CONTEXTS_PER_PATTERN);
    let which = Which { most: 9, levels: vec![last, "python".into()], ..Which::default() };
    let found = store.patterns("alice".into(), which).await.unwrap();
    assert!(matches!(found[0].levels[..], [(1, tally)] if tally.successes > 64.0), "{found:?}");
    // Patterns beyond the bound push out those that are retired, and no others.
    let titles = 1..limits::PATTERNS_PER_PRINCIPAL;
    let mut batch: Vec<_> = titles.map(|number| of(&format!("p{number}"), 0, 0)).collect();
    batch[0].trials.failures = 20;
    store.observe("alice".into(), batch, RULE).await.unwrap();
    observe(store, of("one more", 0, 0)).await;
    let patterns = all(store, "alice").await;
    assert_eq!(patterns.len() as u64, limits::PATTERNS_PER_PRINCIPAL);
    assert!(!patterns.iter().any(|pattern| pattern.title == "p1"));
    assert!(matches!(refused(of("yet one more", 0, 0)).await, StoreError::Limit { .. }));
    assert_eq!(store.learned("alice".into()).await.unwrap().patterns, limits::PATTERNS_PER_PRINCIPAL);
}
