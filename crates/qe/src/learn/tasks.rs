//! What tasks of fleets teach: each attempt that is over is a trial of what it ran.

use aqe_core::work::Failure;
use aqe_store::learning::{Ended, Lesson, Lessons, Observation, Polarity, Subject, Texts, Trials};
use aqe_store::limits::{LESSONS_MAX, PATTERN_TITLE_MAX_BYTES};
use aqe_store::work::AttemptOutcome;
use aqe_store::{Store, StoreError, StoreFuture};
use serde_json::{Map, Value};

use super::context::Surroundings;
use super::posterior::RULE;
use crate::memory::secrets;

/// Arguments that are longer belong to no title: a prompt is no name of what is run. In bytes.
const ARGUMENTS_MAX: usize = 120;

/// Learns from attempts that are over, a bounded number at a time; whether there are more.
pub(crate) async fn from_tasks(store: &dyn Store) -> Result<bool, StoreError> {
    let learnt: StoreFuture<'_, Lessons> = store.learn_from_tasks(lesson, RULE);
    let Lessons { attempts, lost } = learnt.await?;
    if lost > 0 {
        tracing::warn!(lost, "learning: there is no room for what tasks have taught");
    }
    Ok(attempts >= LESSONS_MAX)
}

/// What one attempt teaches.
fn lesson(ended: &Ended) -> Option<Lesson> {
    let (successes, failures, infrastructure) = match ended.outcome {
        AttemptOutcome::Done => (1, 0, 0),
        // Somebody wanted it ended: that is no outcome.
        AttemptOutcome::Failed(Failure::Cancelled) => return None,
        AttemptOutcome::Failed(Failure::ExitCode) => (0, 1, 0),
        // A tool said that it went wrong. What was never begun has no result, and says nothing of what was to be run.
        AttemptOutcome::Failed(Failure::Permanent | Failure::Child) if ended.has_result => (0, 1, 0),
        // Its time, its agent or the machine ended it.
        AttemptOutcome::Failed(_) => (0, 0, 1),
    };
    let shared = ["task ", &ended.profile].concat();
    let title = what(&ended.payload).map(|what| [&shared, ": ", &what].concat());
    let title =
        title.filter(|title| title.len() <= PATTERN_TITLE_MAX_BYTES).unwrap_or_else(|| shared.clone());
    let (language, framework) = match ended.profile.as_str() {
        "pytest" => (Some("python"), "pytest"),
        "nextest" => (Some("rust"), "nextest"),
        "cargo-test" => (Some("rust"), "cargo test"),
        "npm-test" => (Some("javascript"), "npm test"),
        profile => (None, profile),
    };
    let surroundings = Surroundings {
        language: language.map(str::to_owned),
        framework: Some(framework.to_owned()),
        task_kind: Some("task".to_owned()),
        ..Surroundings::default()
    };
    let texts = Texts {
        description: "Success: the attempt of a task ended well. Infrastructure: its time, its agent or the machine ended it."
            .to_owned(),
        content: String::new(),
        tags: vec!["task".to_owned()],
    };
    let observation = Observation {
        pattern: Subject::Titled { polarity: Polarity::Do, title, texts },
        levels: surroundings
            .normal()
            .unwrap_or_default()
            .levels()
            .into_iter()
            .map(|(name, _)| name)
            .collect(),
        trials: Trials {
            successes,
            failures,
            infrastructure,
            flaky: u32::from(successes > 0 && ended.failed_before),
            evidence: Some(format!("task {}#{}", ended.task, ended.token)),
            at: ended.at,
            ..Trials::default()
        },
        used: None,
    };
    Some(Lesson { observation, shared })
}

/// What is run, as far as the arguments say it in few words; nothing with a credential in it.
fn what(payload: &str) -> Option<String> {
    let payload: Map<String, Value> = serde_json::from_str(payload).ok()?;
    let args = payload.get("args")?.as_object()?;
    let mut words: Vec<String> =
        args.iter().filter_map(|(name, value)| Some(format!("{name}={}", word(value)?))).collect();
    words.sort_unstable();
    let what = words.join(" ");
    let is_name = !what.is_empty() && what.len() <= ARGUMENTS_MAX && !what.chars().any(char::is_control);
    (is_name && secrets::find(&what).is_none()).then_some(what)
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) => {
            items.iter().map(word).collect::<Option<Vec<_>>>().map(|words| words.join(","))
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use aqe_store::work::TaskId;

    use super::*;

    fn ended(profile: &str, payload: &str, outcome: AttemptOutcome) -> Ended {
        Ended {
            task: TaskId { run: "run-1".into(), number: 3 },
            token: 2,
            profile: profile.into(),
            payload: payload.into(),
            outcome,
            has_result: true,
            failed_before: true,
            at: 1,
        }
    }

    fn title(profile: &str, payload: &str) -> String {
        let Subject::Titled { title, .. } =
            lesson(&ended(profile, payload, AttemptOutcome::Done)).unwrap().observation.pattern
        else {
            panic!("by title")
        };
        title
    }

    #[test]
    fn the_pattern_is_the_profile_and_what_is_run() {
        assert_eq!(
            title("pytest", r#"{"args":{"paths":["tests","unit"],"k":"not slow"}}"#),
            "task pytest: k=not slow paths=tests,unit"
        );
        assert_eq!(
            title("tool", r#"{"args":{"tool":"files__read","arguments":{"p":1}}}"#),
            "task tool: tool=files__read"
        );
        assert_eq!(title("builtin:qe_quality_gate", "{}"), "task builtin:qe_quality_gate");
        let prompt = format!(r#"{{"args":{{"prompt":"{}"}}}}"#, "x".repeat(200));
        assert_eq!(title("agent", &prompt), "task agent");
        let secret = format!(r#"{{"args":{{"token":"ghp_{}"}}}}"#, "aB3d".repeat(9));
        for odd in [secret.as_str(), r#"{"args":{"k":"a\u0000b"}}"#, "[", r#"{"args":[]}"#] {
            assert_eq!(title("x", odd), "task x", "{odd}");
        }
    }

    #[test]
    fn an_attempt_counts_by_what_ended_it() {
        let counts = |outcome, has_result| {
            let trials = lesson(&Ended { has_result, ..ended("x", "{}", outcome) })?.observation.trials;
            Some((trials.successes, trials.failures, trials.infrastructure, trials.flaky))
        };
        let failed = AttemptOutcome::Failed;
        assert_eq!(counts(AttemptOutcome::Done, true), Some((1, 0, 0, 1)));
        assert_eq!(counts(failed(Failure::ExitCode), true), Some((0, 1, 0, 0)));
        assert_eq!(counts(failed(Failure::Permanent), true), Some((0, 1, 0, 0)));
        assert_eq!(counts(failed(Failure::Permanent), false), Some((0, 0, 1, 0)), "it was never begun");
        for failure in [Failure::Transient, Failure::Timeout, Failure::Lost] {
            assert_eq!(counts(failed(failure), true), Some((0, 0, 1, 0)), "{failure:?}");
        }
        assert_eq!(counts(failed(Failure::Cancelled), true), None);
        let trials = lesson(&ended("x", "{}", AttemptOutcome::Done)).unwrap().observation.trials;
        assert_eq!(trials.evidence.as_deref(), Some("task run-1.3#2"));
    }

    #[test]
    fn every_lesson_can_be_kept() {
        for profile in ["pytest", &"p".repeat(aqe_store::limits::PROFILE_MAX_BYTES)] {
            let payload = format!(r#"{{"args":{{"k":"{}"}}}}"#, "x".repeat(ARGUMENTS_MAX - 2));
            let lesson = lesson(&ended(profile, &payload, AttemptOutcome::Done)).unwrap();
            lesson.observation.validate().unwrap();
        }
    }
}
