//! Which lines of functions and files ran, and how risky the others are.

use crate::coverage::gaps::Innermost;
use crate::coverage::model::{Counts, FileCoverage};
use crate::syntax::Function;

/// Lines with code of each function, and those of them that ran. A line counts to the innermost function that it is in,
/// as its complexity does.
pub(crate) fn of_functions(file: &FileCoverage, functions: &[Function]) -> Vec<Counts> {
    let mut counts = vec![Counts::default(); functions.len()];
    let mut innermost = Innermost::new(functions);
    for line in file.lines.iter().flatten() {
        if let Some(counts) = innermost.at(line.number).and_then(|at| counts.get_mut(at)) {
            counts.add(Counts { covered: u64::from(line.hits > 0), total: 1 });
        }
    }
    counts
}

/// The CRAP figure, comp² · (1 − cov)³ + comp (Savoia and Evans, 2007), to two decimals; `None` of a function without a line
/// that can run.
pub(crate) fn crap(cyclomatic: u32, lines: Counts) -> Option<f64> {
    let complexity = f64::from(cyclomatic);
    let uncovered = (lines.total > 0).then(|| 1.0 - lines.covered as f64 / lines.total as f64)?;
    Some(((complexity.powi(2) * uncovered.powi(3) + complexity) * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crap_is_what_its_authors_say() {
        let of = |complexity, covered, total| crap(complexity, Counts { covered, total });
        assert_eq!(of(5, 0, 10), Some(30.0), "comp² + comp without a test");
        assert_eq!(of(5, 10, 10), Some(5.0), "comp with all of it tested");
        assert_eq!(of(30, 10, 10), Some(30.0));
        assert_eq!(of(6, 1, 2), Some(10.5));
        assert_eq!(of(6, 0, 0), None);
    }
}
