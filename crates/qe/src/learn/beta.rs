//! The Beta distribution: its distribution function, quantiles and draws, for parameters of at least one.
//!
//! Written here because the crates that have it stop the continued fraction after a fixed number of terms, which too few are
//! for large counts. `vectors.py` prints what SciPy says, and a test compares.

#![allow(clippy::many_single_char_names)] // They are those of the formulas.

/// Terms of the continued fraction at most; it needs some multiple of the root of the larger parameter.
const TERMS: u32 = 20_000;
const TINY: f64 = 1e-300;

/// The chance that a draw is at most `x`: the regularised incomplete beta function (DLMF 8.17).
pub(crate) fn cdf(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast on this side of the mean, and there is no cancellation.
    if x <= (a + 1.0) / (a + b + 2.0) { part(x, a, b) } else { 1.0 - part(1.0 - x, b, a) }
}

/// DLMF 8.17.22, evaluated by Lentz's method.
fn part(x: f64, a: f64, b: f64) -> f64 {
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp() / a;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..TERMS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction
}

/// Where the distribution function reaches `p`: Newton's method, kept between bounds that close in.
pub(crate) fn quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = a / (a + b);
    let ln_beta = ln_beta(a, b);
    for _ in 0..200 {
        let over = cdf(x, a, b) - p;
        if over > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let density = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta).exp();
        let step = x - over / density;
        let next = if step > low && step < high { step } else { f64::midpoint(low, high) };
        let moved = (next - x).abs();
        x = next;
        if moved <= 1e-15 * x {
            break;
        }
    }
    x
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// Stirling's series (DLMF 5.11.1) behind the recurrence that leads to where it is exact to the last digits.
fn ln_gamma(x: f64) -> f64 {
    const FROM: f64 = 12.0;
    let (mut z, mut product) = (x, 1.0);
    while z < FROM {
        product *= z;
        z += 1.0;
    }
    let square = z * z;
    let terms = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1_260.0,
        -1.0 / 1_680.0,
        1.0 / 1_188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
        -3_617.0 / 122_400.0,
    ];
    let series = terms.iter().rev().fold(0.0, |sum, term| sum / square + term) / z;
    (z - 0.5) * z.ln() - z + 0.5 * std::f64::consts::TAU.ln() + series - f64::ln(product)
}

/// A draw: two of the gamma distribution, by Marsaglia's and Tsang's method (2000), which needs parameters of at least one.
pub(crate) fn draw(rng: &mut fastrand::Rng, a: f64, b: f64) -> f64 {
    let (one, other) = (gamma(rng, a), gamma(rng, b));
    one / (one + other)
}

fn gamma(rng: &mut fastrand::Rng, shape: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - rng.f64();
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// Box's and Muller's transform.
fn normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `p a b quantile`; see `vectors.py`.
    const VECTORS: &str = include_str!("vectors.txt");

    #[test]
    fn quantiles_are_those_of_scipy() {
        let mut seen = 0;
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
            let [p, a, b, expected] = numbers[..] else { panic!("{line}") };
            let x = quantile(p, a, b);
            assert!((x - expected).abs() <= 1e-9, "{line}: {x}");
            assert!((cdf(expected, a, b) - p).abs() <= 1e-9, "{line}: {}", cdf(expected, a, b));
            seen += 1;
        }
        assert!(seen >= 300, "{seen}");
    }

    #[test]
    fn a_quantile_of_one_success_is_known_in_closed_form() {
        for n in 0..200 {
            let n = f64::from(n);
            // Of Beta(n + 1, 1) the distribution function is x^(n + 1).
            assert!((quantile(0.05, n + 1.0, 1.0) - 0.05_f64.powf(1.0 / (n + 1.0))).abs() < 1e-12);
            assert!((quantile(0.95, 1.0, n + 1.0) - (1.0 - 0.05_f64.powf(1.0 / (n + 1.0)))).abs() < 1e-12);
        }
    }

    #[test]
    fn draws_are_distributed_as_they_should_and_the_seed_decides_them() {
        for (a, b) in [(1.0, 1.0), (3.5, 1.0), (20.0, 60.0)] {
            let mut rng = fastrand::Rng::with_seed(7);
            let mut draws: Vec<f64> = (0..20_000).map(|_| draw(&mut rng, a, b)).collect();
            assert!((draws[0] - draw(&mut fastrand::Rng::with_seed(7), a, b)).abs() < f64::EPSILON);
            draws.sort_by(f64::total_cmp);
            // Kolmogorov's and Smirnov's distance; 1.63/√n is exceeded by chance once in a hundred times.
            let n = draws.len() as f64;
            let distance = |(place, x): (usize, &f64)| (cdf(*x, a, b) - place as f64 / n).abs();
            let farthest = draws.iter().enumerate().map(distance).fold(0.0, f64::max);
            assert!(farthest < 1.63 / n.sqrt(), "Beta({a}, {b}): {farthest}");
        }
    }
}
