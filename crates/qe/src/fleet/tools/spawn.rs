//! `qe_agent_spawn`: more agents, before tasks ask for them.

use std::time::Duration;

use aqe_core::inprocess::Caller;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::super::Fleets;
use super::super::engine::{AgentShown, Event, Spawn};
use super::super::plan::AGENTS_MAX;
use super::{find, init, there};
use crate::arguments;
use crate::reply::{Refusal, structured};

/// The tool as it is listed.
pub(crate) const DEFINITION: &str = r#"{"name":"qe_agent_spawn","title":"Start agents","description":"Start agents of a profile in a fleet before tasks need them, within the profile's `max`. Idle ones beyond `min` end after `ttl_s`.","inputSchema":{"type":"object","properties":{"fleet_id":{"type":"string"},"profile":{"type":"string"},"count":{"type":"integer","default":1},"ttl_s":{"type":"integer","default":60}},"required":["profile"]},"outputSchema":{"type":"object","required":["agents"]},"annotations":{"destructiveHint":false,"openWorldHint":false}}"#;

/// Longest time that an idle agent is kept: a day.
const TTL_MAX_S: u64 = 24 * 3600;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    fleet_id: Option<String>,
    profile: String,
    count: Option<u32>,
    ttl_s: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Reply {
    fleet_id: String,
    asked: u32,
    agents: Vec<AgentShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Value>,
}

pub(super) async fn run(
    fleets: Option<&Fleets>,
    arguments: &str,
    caller: Caller<'_>,
) -> Result<Vec<u8>, Refusal> {
    let asked: Arguments = arguments::parse(arguments)?;
    let fleets = there(fleets)?;
    let (fleet, plan) = find(fleets, caller.principal, asked.fleet_id.as_deref()).await?;
    init::enabled(fleets, &asked.profile)?;
    if plan.worker(&asked.profile).is_none() {
        let known: Vec<&str> = plan.workers.iter().map(|worker| worker.profile.as_str()).collect();
        let text = format!("the fleet has no workers of `{}`; it has: {}", asked.profile, known.join(", "));
        return Err(Refusal(text));
    }
    let count = asked.count.unwrap_or(1);
    if !(1..=AGENTS_MAX).contains(&count) {
        return Err(Refusal(format!("`count` must be from 1 to {AGENTS_MAX}")));
    }
    if asked.ttl_s.is_some_and(|ttl| !(1..=TTL_MAX_S).contains(&ttl)) {
        return Err(Refusal(format!("`ttl_s` must be from 1 to {TTL_MAX_S}")));
    }
    let (reply, made) = oneshot::channel();
    fleets.tell(Event::Fleet(Box::new(fleet.clone())))?;
    fleets.tell(Event::Spawn(Spawn {
        fleet: fleet.id.clone(),
        profile: asked.profile,
        count,
        ttl: asked.ttl_s.map(Duration::from_secs),
        reply,
    }))?;
    let made = made.await.map_err(|_| Refusal("the fleets' engine has stopped".into()))?;
    let (mut agents, mut reasons) = (Vec::new(), Vec::new());
    for one in made {
        match one {
            Ok(agent) => agents.push(agent),
            Err(reason) => reasons.push(reason),
        }
    }
    let refused = reasons.first().map(|reason| json!({ "count": reasons.len(), "reason": reason }));
    structured(&Reply { fleet_id: fleet.id, asked: count, agents, refused })
}
