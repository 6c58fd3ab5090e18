//! The order in which sources of values have their turn, by what earlier searches have learnt of them; and what a search
//! teaches. Only Python's search has such an order.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::arguments::{Arguments, Order};
use super::call::Call;
use super::target::{Language, Target};
use crate::learn::{self, Seen, Surroundings};
use crate::reply::Refusal;

/// Before the name of a source in the title of its pattern.
const PREFIX: &str = "test inputs from: ";

/// Values of one search are alike, so however many there are, they are no more than so many trials of their source. More than
/// assertions have, because few inputs reach something new.
const TRIALS: u32 = 50;

/// The mean of each source's chance that a value of it reaches something new; empty where nothing was learnt.
pub(super) type Means = BTreeMap<String, f64>;

/// Sources of values in one search.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Sources {
    /// How many of each were tried as the only change of a call, and how many of these reached something new.
    pub(super) tried: BTreeMap<String, (u32, u32)>,
    /// What was known before, if the order was to be the learned one.
    #[serde(skip)]
    pub(super) order: Option<Means>,
}

/// # Errors
/// If an order is asked for that the language's search does not have.
pub(super) fn check(arguments: &Arguments, target: &Target) -> Result<(), Refusal> {
    if arguments.order == Order::Learned && target.language != Language::Python {
        return Err(Refusal(format!("{}: `order` can be \"learned\" for Python alone", target.file)));
    }
    Ok(())
}

/// What was learnt, if the call asks for it.
pub(super) fn of(call: &Call<'_>, target: &Target, framework: &str) -> Option<Means> {
    let is_learned = call.arguments.order == Order::Learned;
    let known = || learn::known(call.context, call.request, PREFIX, surroundings(target, framework));
    is_learned.then(|| known().into_iter().collect())
}

/// Whether the order was another than the fixed one: without any knowledge it is not.
pub(super) fn is_learned(order: Option<&Means>) -> bool {
    order.is_some_and(|means| !means.is_empty())
}

/// Where assertions and inputs are tried.
pub(super) fn surroundings(target: &Target, framework: &str) -> Surroundings {
    Surroundings {
        language: Some(format!("{:?}", target.language)),
        framework: Some(framework.to_owned()),
        task_kind: Some("test_generation".to_owned()),
        ..Surroundings::default()
    }
}

/// What a search teaches of its sources. `evidence` names the search.
pub(super) fn lessons(
    target: &Target,
    framework: &str,
    sources: &BTreeMap<String, (u32, u32)>,
    order: Option<&Means>,
    evidence: &str,
) -> Vec<Seen> {
    let tried = sources.iter().filter(|(_, (tried, _))| *tried > 0);
    let lesson = |(name, &(tried, gained)): (&String, &(u32, u32))| {
        let trials = tried.min(TRIALS);
        let successes = (f64::from(gained.min(tried)) * f64::from(trials) / f64::from(tried)).round() as u32;
        Seen {
            title: [PREFIX, name].concat(),
            description: "Success: a value that qe_test_generate took from there, as the only change of a call, reached a line \
                          or a branch that none before had.",
            tag: "qe_test_generate",
            surroundings: surroundings(target, framework),
            successes,
            failures: trials - successes,
            infrastructure: 0,
            reward: None,
            evidence: evidence.to_owned(),
            used: Some(is_learned(order)),
        }
    };
    tried.map(lesson).collect()
}
