//! A line of the seeds' tables.

use aqe_load::stats::Ratio;
use serde_json::{Value, json};

use crate::cli::bench::text::{NONE, ratio as shown};

/// A figure, or why it is not known.
pub(super) type Figure = Result<f64, String>;

/// The heading of the table.
pub(super) const HEADING: [&str; 8] =
    ["what", "unit", "seeds, before", "seeds' target", "naive", "optimised", "ratio", "result"];

/// What the seeds ask for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Below(f64),
    Above(f64),
}

/// One line.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) unit: &'static str,
    /// What the seeds say it was.
    pub(super) before: Option<&'static str>,
    /// What they ask for, in their words.
    pub(super) target: &'static str,
    /// The same in the unit of this row.
    pub(super) limit: Limit,
    pub(super) naive: Figure,
    pub(super) optimized: Figure,
    /// From rounds beside each other, where there are such.
    pub(super) ratio: Option<Ratio>,
    /// From what the figures were made.
    pub(super) from: String,
}

impl Row {
    /// Whether the optimised side reaches the target.
    fn is_met(&self) -> Option<bool> {
        let figure = *self.optimized.as_ref().ok()?;
        Some(match self.limit {
            Limit::Below(limit) => figure < limit,
            Limit::Above(limit) => figure > limit,
        })
    }

    /// The quotient of the figures, where no rounds give an interval.
    fn quotient(&self) -> Option<f64> {
        let quotient = self.optimized.as_ref().ok()? / self.naive.as_ref().ok()?;
        quotient.is_finite().then_some(quotient)
    }

    /// As [`HEADING`] has it.
    pub(super) fn cells(&self) -> Vec<String> {
        let ratio = match (self.ratio, self.quotient()) {
            (Some(ratio), _) => shown(Some(ratio)),
            (None, Some(quotient)) => format!("{quotient:.2}"),
            (None, None) => NONE.into(),
        };
        vec![
            self.what.clone(),
            self.unit.into(),
            self.before.unwrap_or(NONE).into(),
            self.target.into(),
            number(&self.naive),
            number(&self.optimized),
            ratio,
            self.is_met().map_or(NONE, |is_met| if is_met { "met" } else { "MISSED" }).into(),
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "seeds_before": self.before,
            "seeds_target": self.target,
            "naive": self.naive.as_ref().ok(),
            "naive_unknown": self.naive.as_ref().err(),
            "optimized": self.optimized.as_ref().ok(),
            "optimized_unknown": self.optimized.as_ref().err(),
            "ratio": self.ratio.map_or_else(|| json!({ "ratio": self.quotient() }), |ratio| json!(ratio)),
            "met": self.is_met(),
            "measured": self.from,
        })
    }

    /// Why figures are missing.
    pub(super) fn unknown(&self) -> Vec<String> {
        let side = |name: &str, figure: &Figure| {
            figure.as_ref().err().map(|reason| format!("{}, {name}: unknown: {reason}", self.what))
        };
        side("naive", &self.naive).into_iter().chain(side("optimised", &self.optimized)).collect()
    }
}

/// Three digits, or all before the point.
fn number(figure: &Figure) -> String {
    match figure {
        Err(_) => NONE.into(),
        Ok(value) if *value >= 100.0 || *value == 0.0 => format!("{value:.0}"),
        Ok(value) if *value >= 10.0 => format!("{value:.1}"),
        Ok(value) => format!("{value:.2}"),
    }
}

/// The 95th percentile of some times: the least that 95 % of them do not exceed.
pub(super) fn p95(times: &[f64]) -> Figure {
    let mut times = times.to_vec();
    times.sort_unstable_by(f64::total_cmp);
    let at = (times.len() as f64 * 0.95).ceil() as usize;
    times.get(at.saturating_sub(1)).copied().ok_or_else(|| "nothing was measured".into())
}

/// The ratio of times that were taken in turns.
pub(super) fn ratio(optimized: &[f64], naive: &[f64]) -> Option<Ratio> {
    Ratio::of(optimized, naive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(naive: Figure, optimized: Figure) -> Row {
        Row {
            what: "pool hits".into(),
            unit: "%",
            before: None,
            target: "> 90 %",
            limit: Limit::Above(90.0),
            naive,
            optimized,
            ratio: None,
            from: "the pool".into(),
        }
    }

    #[test]
    fn what_is_not_known_is_null_with_a_reason_and_never_a_number() {
        let json = row(Err("nobody asked".into()), Ok(99.5)).json();
        assert_eq!((&json["naive"], &json["naive_unknown"]), (&Value::Null, &json!("nobody asked")));
        assert_eq!((&json["met"], &json["ratio"]["ratio"]), (&json!(true), &Value::Null));
        // No division by nothing.
        let json = row(Ok(0.0), Ok(50.0)).json();
        assert_eq!((&json["met"], &json["ratio"]["ratio"]), (&json!(false), &Value::Null));
        assert_eq!(row(Ok(0.0), Err("x".into())).json()["met"], Value::Null);
    }

    #[test]
    fn the_95th_of_a_hundred_is_the_95th() {
        let times: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((p95(&times), p95(&[3.0])), (Ok(95.0), Ok(3.0)));
        assert!(p95(&[]).is_err());
    }
}
