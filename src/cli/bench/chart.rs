//! Charts as SVG, drawn with the colours of the page.

use std::fmt::Write as _;

/// The size of a chart, and where its axes lie.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 30.0;
const TOP: f64 = 10.0;
/// Colours that the page's style has.
const COLOURS: usize = 6;
/// The percentiles with a mark on the axis.
const MARKS: [f64; 6] = [0.0, 0.50, 0.90, 0.99, 0.999, 0.9999];

/// The colour of a target.
pub(super) fn colour(target: usize) -> String {
    format!("var(--c{})", target % COLOURS)
}

/// Curves of quantile and latency: nines to the right, decades upwards. Empty if there is nothing to draw.
pub(super) fn percentiles(curves: &[&[(f64, f64)]]) -> String {
    let points = || curves.iter().flat_map(|curve| curve.iter().copied());
    let positive = points().map(|(_, value)| value).filter(|value| *value > 0.0);
    let Some((low, high)) = range(positive) else { return String::new() };
    let (low, high) = (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
    let nines = |quantile: f64| -(1.0 - quantile).log10();
    let most = points().map(|(quantile, _)| nines(quantile)).fold(1.0, f64::max);
    let x = |quantile: f64| LEFT + (WIDTH - LEFT - 10.0) * nines(quantile) / most;
    let y = |value: f64| {
        let share = (value.max(f64::MIN_POSITIVE).log10() - low) / (high - low);
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share.clamp(0.0, 1.0)
    };
    let mut svg = open("Latency by percentile");
    let mut decade = low;
    while decade <= high {
        level(&mut svg, y(10_f64.powf(decade)), &short(10_f64.powf(decade)));
        decade += 1.0;
    }
    for quantile in MARKS.into_iter().filter(|quantile| nines(*quantile) <= most) {
        let name = format!("{}", (quantile * 1e6).round() / 1e4);
        below(&mut svg, x(quantile), &format!("p{name}"));
    }
    for (at, curve) in curves.iter().enumerate() {
        let points: Vec<String> =
            curve.iter().map(|(quantile, value)| format!("{:.1},{:.1}", x(*quantile), y(*value))).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke-width=\"2\" style=\"stroke:{}\" points=\"{}\"/>",
            colour(at),
            points.join(" ")
        );
    }
    svg + "</svg>"
}

/// A line for each target over the steps of a ladder, from zero or, if `by_decades`, with decades upwards; of several
/// figures the later ones are dashed. Empty if there is nothing to draw.
pub(super) fn steps(labels: &[String], figures: &[&[Vec<Option<f64>>]], by_decades: bool) -> String {
    let values = figures.iter().flat_map(|targets| targets.iter().flatten().flatten().copied());
    let Some((low, high)) = range(values.filter(|value| *value > 0.0)) else { return String::new() };
    let (low, high) = if by_decades {
        (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0))
    } else {
        (0.0, high)
    };
    let y = |value: f64| {
        let value = if by_decades { value.max(f64::MIN_POSITIVE).log10() } else { value };
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * ((value - low) / (high - low)).clamp(0.0, 1.0)
    };
    let gap = (WIDTH - LEFT - 10.0) / labels.len() as f64;
    let x = |step: usize| LEFT + gap * (step as f64 + 0.5);
    let mut svg = open("Steps");
    let mut mark = low;
    while mark <= high {
        let value = if by_decades { 10_f64.powf(mark) } else { mark };
        level(&mut svg, y(value), &short(value));
        mark += if by_decades { 1.0 } else { high / 4.0 };
    }
    for (step, label) in labels.iter().enumerate() {
        below(&mut svg, x(step), label);
    }
    for (dash, targets) in ["", "stroke-dasharray=\"6 5\" "].iter().zip(figures) {
        for (target, line) in targets.iter().enumerate() {
            let points = line.iter().enumerate().filter_map(|(step, value)| Some((x(step), y((*value)?))));
            let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke-width=\"2\" {dash}style=\"stroke:{}\" points=\"{}\"/>",
                colour(target),
                points.join(" ")
            );
        }
    }
    svg + "</svg>"
}

/// A bar for each round of each target, from zero. Empty if there is nothing to draw.
pub(super) fn rounds(targets: &[Vec<f64>]) -> String {
    let Some((_, high)) = range(targets.iter().flatten().copied()).filter(|(_, high)| *high > 0.0) else {
        return String::new();
    };
    let bars = targets.iter().map(|rounds| rounds.len() + 1).sum::<usize>();
    let step = (WIDTH - LEFT - 10.0) / bars.max(1) as f64;
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / high;
    let mut svg = open("Each round");
    for share in [0.0, 0.5, 1.0] {
        level(&mut svg, y(high * share), &short(high * share));
    }
    let mut x = LEFT + step / 2.0;
    for (at, rounds) in targets.iter().enumerate() {
        below(&mut svg, x + step * rounds.len() as f64 / 2.0, &(at + 1).to_string());
        for value in rounds {
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" style=\"fill:{}\"><title>{}</title></rect>",
                y(*value),
                step * 0.8,
                HEIGHT - BOTTOM - y(*value),
                colour(at),
                short(*value)
            );
            x += step;
        }
        x += step;
    }
    svg + "</svg>"
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}

fn open(title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n")
}

fn level(svg: &mut String, y: f64, name: &str) {
    let _ = writeln!(
        svg,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
         text-anchor=\"end\">{name}</text>",
        LEFT - 8.0,
        y + 4.0
    );
}

fn below(svg: &mut String, x: f64, name: &str) {
    let _ =
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>", HEIGHT - 10.0);
}

/// A number with three digits or more.
fn short(value: f64) -> String {
    if value >= 100.0 || value == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_stay_within_their_frame_and_empty_ones_are_not_drawn() {
        let svg = percentiles(&[&[(0.0, 3.0), (0.5, 10.0), (0.999, 12_345.0)], &[]]);
        let points = svg.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{point}");
        }
        assert!(svg.contains(">p99.9<") && svg.contains(">100000<"), "{svg}");
        assert_eq!(percentiles(&[&[]]), "");
        assert_eq!(rounds(&[vec![], vec![]]), "");
        assert_eq!(rounds(&[vec![1.0, 2.0], vec![3.0]]).matches("<rect").count(), 3);
        let labels = ["1".to_owned(), "16".into()];
        let lines = [vec![Some(5.0), Some(50.0)], vec![None, Some(7.0)]];
        for by_decades in [false, true] {
            let svg = steps(&labels, &[&lines, &lines], by_decades);
            assert_eq!((svg.matches("<polyline").count(), svg.matches("dasharray").count()), (4, 2));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert_eq!(steps(&labels, &[&[vec![None, None]]], true), "");
    }
}
