//! The steps of a ladder: which numbers of connections, with which payloads, and how long all of them take.

use std::time::Duration;

use aqe_load::contest::Plan;
use aqe_load::load::Until;

use super::super::Failure;

/// Most steps.
const STEPS: usize = 64;
/// Most bytes of payload that all connections together hold, each its own request.
const BYTES: usize = 1 << 30;

/// One step: connections, and bytes for each `{payload}`.
pub(super) type Step = (usize, Option<usize>);

/// Each payload with each number of connections.
///
/// # Errors
/// If they are too many, or one of them would take too much memory.
pub(super) fn steps(connections: &[u16], payloads: &[u32]) -> Result<Vec<Step>, Failure> {
    let mut sizes: Vec<Option<usize>> = payloads.iter().map(|bytes| Some(*bytes as usize)).collect();
    if sizes.is_empty() {
        sizes.push(None);
    }
    let steps: Vec<Step> = sizes
        .iter()
        .flat_map(|bytes| connections.iter().map(move |count| (usize::from(*count), *bytes)))
        .collect();
    if steps.len() > STEPS {
        return Err(Failure::Usage(format!("{} steps: at most {STEPS}", steps.len())));
    }
    if let Some((count, bytes)) =
        steps.iter().find(|(count, bytes)| count.saturating_mul(bytes.unwrap_or(0)) > BYTES)
    {
        return Err(Failure::Usage(format!(
            "{count} connections with payloads of {} bytes would take more than 1 GiB here",
            bytes.unwrap_or(0)
        )));
    }
    Ok(steps)
}

/// How long it takes; `None` if that depends on the targets.
pub(super) fn time(plan: &Plan, steps: usize, targets: usize) -> Option<Duration> {
    let round = match (plan.round, plan.drive.rate) {
        (Until::Elapsed(time), _) => time,
        (Until::Requests(_), Some(rate)) => plan.round.at_rate(rate),
        (Until::Requests(_), None) => return None,
    };
    let turns = u32::try_from(plan.rounds * steps * targets).unwrap_or(u32::MAX);
    Some(round.saturating_add(plan.warm_up).saturating_mul(turns))
}

/// A time as people say it.
pub(super) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_has_each_payload_with_each_number_of_connections_within_bounds() {
        assert_eq!(steps(&[1, 16], &[]).unwrap(), [(1, None), (16, None)]);
        let four = [(1, Some(200)), (16, Some(200)), (1, Some(7_000)), (16, Some(7_000))];
        assert_eq!(steps(&[1, 16], &[200, 7_000]).unwrap(), four);
        assert!(steps(&[1; 65], &[]).is_err());
        assert!(steps(&[4_096], &[1_000_000]).is_err());
    }

    #[test]
    fn times_are_said_in_units_that_fit() {
        let said = |seconds| spoken(Duration::from_secs(seconds));
        assert_eq!((said(0), said(59), said(61)), ("0 s".into(), "59 s".into(), "1 min 1 s".into()));
        assert_eq!(said(7_380), "2 h 3 min");
    }
}
