//! Actions `record` and `feedback`.

use aqe_store::learning::{Extent, Observation, Observed, Subject, Texts, Trials};
use serde::Serialize;

use super::super::posterior::RULE;
use super::super::told::Standing;
use super::super::{NOTE, shown, wait};
use super::{Action, Call, How, Outcome, Told};
use crate::memory::secrets;
use crate::reply::{Refusal, structured};

#[derive(Debug, Serialize)]
struct Recorded {
    action: Action,
    pattern_id: String,
    /// Whether the pattern was not there before.
    new: bool,
    /// Whether the outcome counts; `reason` says why not.
    counted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The pattern that says the same already and was taken instead of a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_into: Option<String>,
    /// The chance of success that was foretold before this outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted: Option<f64>,
    /// Whether `suggest` had handed the pattern out before; only with an outcome of what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<bool>,
    #[serde(flatten)]
    standing: Standing,
    note: &'static str,
}

/// Who says so if nobody is named.
const CALLER: &str = "caller";

impl Call<'_> {
    pub(super) fn record(&self) -> Result<Vec<u8>, Refusal> {
        let arguments = self.arguments;
        let is_feedback = arguments.action == Action::Feedback;
        if is_feedback {
            self.needed("outcome", arguments.outcome.as_ref())?;
        }
        let (subject, merged_into) = match &arguments.pattern {
            Some(told) if !is_feedback && arguments.pattern_id.is_none() => self.subject(told)?,
            Some(_) => {
                return Err(Refusal(
                    "give `pattern` to record one, or `pattern_id` for a known one, not both".into(),
                ));
            }
            None => {
                self.needed("outcome", arguments.outcome.as_ref())?;
                (Subject::Id(self.pattern_id()?), None)
            }
        };
        let surroundings = arguments.context.clone().unwrap_or_default().normal()?;
        let mut observation = Observation {
            pattern: subject,
            levels: surroundings.levels().into_iter().map(|(name, _)| name).collect(),
            trials: Trials {
                asserted_by: Some(CALLER.to_owned()),
                at: self.request.now,
                ..Trials::default()
            },
            used: None,
        };
        if let Some(outcome) = &arguments.outcome {
            assert(&mut observation.trials, outcome)?;
        }
        let observed = wait(self.context.durable.observe(self.principal(), vec![observation], RULE))?;
        let [Observed { id, created, counted, predicted, used }] = observed[..] else {
            return Err(Refusal("this is a fault of ours: one observation, several answers".into()));
        };
        let pattern = self.one(id, Extent::Nothing)?;
        let is_outcome = arguments.outcome.is_some();
        structured(&Recorded {
            action: arguments.action,
            pattern_id: shown(id),
            new: created,
            counted,
            reason: (!counted).then_some(if is_outcome {
                "this evidence was counted before"
            } else {
                "no outcome was sent: the pattern is only told"
            }),
            merged_into,
            predicted: counted.then_some(predicted),
            used,
            standing: Standing::of(&pattern, self.request.now),
            note: NOTE,
        })
    }

    /// A pattern that is told: by its title, or one that says the same already.
    fn subject(&self, told: &Told) -> Result<(Subject, Option<String>), Refusal> {
        let texts = Texts {
            description: told.description.clone().unwrap_or_default(),
            content: told.content.clone().unwrap_or_default(),
            tags: told.tags.clone(),
        };
        let all = [&told.title, &texts.description, &texts.content];
        if let Some(secret) = all.into_iter().chain(&texts.tags).find_map(|text| secrets::find(text)) {
            return Err(Refusal(format!("not stored: the pattern contains {secret}; leave it out")));
        }
        let title = told.title.trim().to_owned();
        let text = [&title, " ", &texts.description].concat();
        let titled = Subject::Titled { polarity: told.polarity, title: title.clone(), texts };
        let Some(alike) = self.duplicates(&text, told.polarity)?.first().copied() else {
            return Ok((titled, None));
        };
        if self.one(alike, Extent::Nothing)?.title == title || self.arguments.outcome.is_none() {
            // The same by name; or nothing happened yet, and its texts are the caller's.
            return Ok((titled, None));
        }
        Ok((Subject::Id(alike), Some(shown(alike))))
    }
}

fn assert(trials: &mut Trials, outcome: &Outcome) -> Result<(), Refusal> {
    match outcome.result {
        How::Success => trials.successes = 1,
        How::Failure => trials.failures = 1,
        How::Infrastructure => trials.infrastructure = 1,
    }
    if outcome.reward.is_some_and(|reward| !(-1e9..=1e9).contains(&reward)) {
        return Err(Refusal("`outcome.reward` must be between -1e9 and 1e9".into()));
    }
    trials.reward = outcome.reward;
    let texts = [&outcome.evidence, &outcome.asserted_by];
    if let Some(secret) = texts.into_iter().flatten().find_map(|text| secrets::find(text)) {
        return Err(Refusal(format!("not stored: the outcome contains {secret}; leave it out")));
    }
    trials.evidence.clone_from(&outcome.evidence);
    if let Some(who) = &outcome.asserted_by {
        trials.asserted_by = Some(who.clone());
    }
    Ok(())
}
