//! The trend of figures over time, after Theil and Sen: the median of the slopes between any two of them. A few outliers
//! do not move it, as they move a least-squares line.

use crate::stats::Spread;

/// Quantile of the normal distribution for an interval of 95 %.
const Z: f64 = 1.96;

/// The slope of `points` (time, figure) in the order of time, with the 95 % interval that Kendall's tau gives (Sen 1968); `None` without two
/// points at different times. The interval takes the points for independent of each other, which neighbours in time
/// are not: it is rather too narrow.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<Spread> {
    let mut slopes = Vec::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let later = points[at + 1..].iter().filter(|(other, _)| other > x);
        slopes.extend(later.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let median = Spread::of(slopes.iter().copied())?.median;
    let n = points.len() as f64;
    let reach = Z * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let pairs = slopes.len() as f64;
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(slopes.len() - 1)];
    let (min, max) = (at((pairs / 2.0 - reach / 2.0).floor()), at((pairs / 2.0 + reach / 2.0).ceil()));
    Some(Spread { median, min, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope_whatever_a_few_outliers_say() {
        let mut points: Vec<(f64, f64)> = (0..50).map(|x| (f64::from(x), 3.0 + 0.5 * f64::from(x))).collect();
        assert_eq!(slope(&points), Some(Spread::exactly(0.5)));
        points[10].1 = 1_000.0;
        points[40].1 = -1_000.0;
        assert_eq!(slope(&points).map(|slope| slope.median), Some(0.5));
    }

    #[test]
    fn what_goes_up_and_down_has_a_slope_of_about_nothing() {
        let wave = |x: i32| f64::from(x % 7) + if x % 2 == 0 { 0.3 } else { 0.0 };
        let points: Vec<(f64, f64)> = (0..120).map(|x| (f64::from(x), wave(x))).collect();
        let slope = slope(&points).unwrap();
        assert!(slope.median.abs() < 0.01 && slope.min < 0.0 && slope.max > 0.0, "{slope:?}");
    }

    #[test]
    fn one_moment_has_no_slope() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
