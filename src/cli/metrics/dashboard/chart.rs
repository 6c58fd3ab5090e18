//! Series of the last minutes, and how they are drawn in little room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Sparkline, Widget as _};
use serde_json::Value;

use crate::cli::ask::items;

/// How what falls into one column becomes its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// The mean: of counts per second.
    Mean,
    /// The greatest: of what must not be overlooked.
    Most,
}

/// About the last `seconds` of a member of the history in `columns` columns, the newest last; `None` where nothing is
/// known. As much more or less than `seconds` as fills the columns.
pub(super) fn series(
    history: &Value,
    member: &str,
    seconds: usize,
    columns: usize,
    fold: Fold,
) -> Vec<Option<f64>> {
    let (step, wide, wanted) = span(history, seconds, columns);
    let points = items(&history["points"]);
    let points = &points[points.len().saturating_sub(wanted)..];
    // A column ends at a round time: so it keeps its points while new ones come.
    let column =
        |at: usize| points[at]["at"].as_f64().map_or(at as u64, |ms| (ms / step) as u64) / wide as u64;
    let mut folded = Vec::new();
    let mut from = 0;
    while from < points.len() {
        let to = (from..points.len()).find(|at| column(*at) != column(from)).unwrap_or(points.len());
        let known = || points[from..to].iter().filter_map(|point| point[member].as_f64());
        folded.push(match fold {
            Fold::Most => known().reduce(f64::max),
            Fold::Mean => known().reduce(|sum, value| sum + value).map(|sum| sum / known().count() as f64),
        });
        from = to;
    }
    folded
}

/// How long the columns are in milliseconds, all together.
pub(super) fn covers(history: &Value, seconds: usize, columns: usize) -> f64 {
    let (step, _, wanted) = span(history, seconds, columns);
    step * wanted as f64
}

/// Milliseconds of a point, points of a column, points of all columns.
fn span(history: &Value, seconds: usize, columns: usize) -> (f64, usize, usize) {
    /// More is not kept by the server.
    const KEPT_MS: f64 = 300_000.0;
    let step = history["step_ms"].as_f64().filter(|step| *step > 0.0).unwrap_or(1000.0);
    let columns = columns.max(1);
    let most = (KEPT_MS / step) as usize / columns;
    let wide = (seconds as f64 * 1e3 / step / columns as f64).round() as usize;
    let wide = wide.min(most).max(1);
    (step, wide, wide * columns)
}

/// The greatest value of a series, if any is known.
pub(super) fn most(series: &[Option<f64>]) -> Option<f64> {
    series.iter().flatten().copied().reduce(f64::max)
}

/// Draws a series as bars from nought to `top`, the newest at the right edge.
pub(super) fn bars(series: &[Option<f64>], top: f64, style: Style, area: Rect, buffer: &mut Buffer) {
    /// Steps from nought to the top: finer than any terminal shows.
    const STEPS: f64 = 10_000.0;
    let scale = if top > 0.0 { STEPS / top } else { 0.0 };
    // Sparkline has no right edge to begin at but the first column: what is missing is filled with nothing.
    let missing = usize::from(area.width).saturating_sub(series.len());
    let newest = &series[series.len().saturating_sub(usize::from(area.width))..];
    // What is more than nothing is seen.
    let least = STEPS / (8.0 * f64::from(area.height.max(1)));
    let height = |value: f64| if value > 0.0 { (value * scale).max(least).round() as u64 } else { 0 };
    let data = std::iter::repeat_n(None, missing).chain(newest.iter().map(|value| value.map(height)));
    Sparkline::default()
        .data(data.collect::<Vec<Option<u64>>>())
        .max(STEPS as u64)
        .absent_value_symbol(" ")
        .style(style)
        .render(area, buffer);
}

/// A share of `width` cells, drawn as a bar; without a share a dotted line.
pub(super) fn gauge<'a>(share: Option<f64>, width: usize, full: Style, empty: Style) -> Line<'a> {
    /// Eighths of a cell, from one to seven.
    const PARTS: [&str; 7] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let Some(share) = share.filter(|share| share.is_finite()) else {
        return Span::styled("·".repeat(width), empty).into();
    };
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    let (whole, part) = (eighths / 8, eighths % 8);
    let mut bar = "█".repeat(whole);
    bar.push_str(part.checked_sub(1).map_or("", |part| PARTS[part]));
    let rest = width - whole - usize::from(part > 0);
    vec![Span::styled(bar, full), Span::styled("░".repeat(rest), empty)].into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn history(values: &[Value]) -> Value {
        let point = |(at, value): (usize, &Value)| json!({ "at": (at + 7) * 1000, "x": value });
        let points: Vec<Value> = values.iter().enumerate().map(point).collect();
        json!({ "step_ms": 1000, "points": points })
    }

    #[test]
    fn what_shares_a_column_is_folded_and_stays_together() {
        let history = history(&[json!(9), json!(1), json!(2), Value::Null, json!(4)]);
        assert_eq!(series(&history, "x", 4, 4, Fold::Most), [Some(1.0), Some(2.0), None, Some(4.0)]);
        // At 7 to 11 s: columns of two seconds begin at 6, 8 and 10 s, of three at 6 and 9 s.
        assert_eq!(series(&history, "x", 4, 2, Fold::Most), [Some(2.0), Some(4.0)]);
        assert_eq!(series(&history, "x", 7, 3, Fold::Mean), [Some(9.0), Some(1.5), Some(4.0)]);
        assert_eq!(series(&history, "x", 6, 2, Fold::Mean), [Some(5.0), Some(3.0)]);
        assert_eq!(series(&history, "x", 60, 60, Fold::Mean).len(), 5, "there is no more yet");
        assert_eq!(series(&history, "x", 2, 4, Fold::Mean).len(), 4, "the columns are filled");
        assert_eq!((covers(&history, 60, 26), covers(&history, 60, 39)), (52_000.0, 78_000.0));
        assert_eq!((covers(&history, 60, 80), covers(&history, 300, 39)), (80_000.0, 273_000.0));
        assert_eq!(series(&history, "y", 2, 2, Fold::Mean), [None, None]);
        for nothing in [Value::Null, json!({}), json!({ "step_ms": 0, "points": 3 })] {
            assert!(series(&nothing, "x", 60, 0, Fold::Mean).is_empty());
        }
    }

    fn drawn(series: &[Option<f64>], top: f64, width: u16) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buffer = Buffer::empty(area);
        bars(series, top, Style::new(), area, &mut buffer);
        buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn the_newest_is_at_the_right_edge_and_what_is_not_known_is_blank() {
        assert_eq!(drawn(&[Some(4.0), None, Some(8.0)], 8.0, 5), "  ▄ █");
        assert_eq!(drawn(&[Some(9.0), Some(4.0), Some(8.0)], 8.0, 2), "▄█");
        assert_eq!(drawn(&[Some(0.001)], 8.0, 1), "▁", "more than nothing is seen");
        assert_eq!(drawn(&[Some(0.0), Some(0.0)], 0.0, 3), "   ");
    }

    #[test]
    fn a_gauge_is_as_long_as_its_share() {
        let gauge = |share| gauge(share, 4, Style::new(), Style::new()).to_string();
        assert_eq!(gauge(Some(0.0)), "░░░░");
        assert_eq!(gauge(Some(0.5)), "██░░");
        assert_eq!(gauge(Some(0.6)), "██▍░");
        assert_eq!(gauge(Some(7.0)), "████");
        assert_eq!(gauge(None), "····");
        assert_eq!(gauge(Some(f64::NAN)), "····");
    }
}
