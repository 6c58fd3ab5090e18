//! The metrics that a condition may be about. The list is closed: a word that is not in it is an error, not a condition
//! that always holds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Percent of the new lines with code that ran.
    NewCoverage,
    /// Percent of the outcomes of decisions on new lines that were taken.
    NewBranchCoverage,
    /// Percent of all lines with code that ran.
    Coverage,
    BranchCoverage,
    /// Percent of the new lines that are in a duplicate.
    NewDuplicatedPct,
    DuplicatedPct,
    /// The largest CRAP of a function with a new line.
    CrapMaxNew,
    /// The largest cyclomatic complexity of a function with a new line.
    ComplexityMaxNew,
    /// Findings that were not there before.
    NewIssues,
    Issues,
    /// Tests that failed or could not run.
    TestsFailed,
    TestsSkipped,
    TestsTotal,
    /// Tests that failed and passed without a change.
    Flaky,
    /// Percent of the mutants that a test noticed.
    MutationScore,
    /// The same of the mutants with a new or changed line.
    NewMutationScore,
    /// Lines of source files that are new or changed.
    NewLines,
}

/// In which direction it gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// Where its figures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Coverage,
    Junit,
    Sarif,
    Mutation,
    /// The sources themselves.
    Source,
}

impl Metric {
    pub(crate) const ALL: [Self; 17] = [
        Self::NewCoverage,
        Self::NewBranchCoverage,
        Self::NewMutationScore,
        Self::NewDuplicatedPct,
        Self::CrapMaxNew,
        Self::ComplexityMaxNew,
        Self::NewIssues,
        Self::NewLines,
        Self::TestsFailed,
        Self::TestsSkipped,
        Self::TestsTotal,
        Self::Flaky,
        Self::Coverage,
        Self::BranchCoverage,
        Self::DuplicatedPct,
        Self::Issues,
        Self::MutationScore,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NewCoverage => "new_coverage",
            Self::NewBranchCoverage => "new_branch_coverage",
            Self::Coverage => "coverage",
            Self::BranchCoverage => "branch_coverage",
            Self::NewDuplicatedPct => "new_duplicated_pct",
            Self::DuplicatedPct => "duplicated_pct",
            Self::CrapMaxNew => "crap_max_new",
            Self::ComplexityMaxNew => "complexity_max_new",
            Self::NewIssues => "new_issues",
            Self::Issues => "issues",
            Self::TestsFailed => "tests_failed",
            Self::TestsSkipped => "tests_skipped",
            Self::TestsTotal => "tests_total",
            Self::Flaky => "flaky",
            Self::MutationScore => "mutation_score",
            Self::NewMutationScore => "new_mutation_score",
            Self::NewLines => "new_lines",
        }
    }

    pub(crate) fn better(self) -> Better {
        if self.is_share() && !matches!(self, Self::NewDuplicatedPct | Self::DuplicatedPct)
            || self == Self::TestsTotal
        {
            Better::Higher
        } else {
            Better::Lower
        }
    }

    /// Percent, from 0 to 100.
    pub(crate) fn is_share(self) -> bool {
        matches!(
            self,
            Self::NewCoverage
                | Self::NewBranchCoverage
                | Self::Coverage
                | Self::BranchCoverage
                | Self::NewDuplicatedPct
                | Self::DuplicatedPct
                | Self::MutationScore
                | Self::NewMutationScore
        )
    }

    /// About new code, and so of another thing in each change.
    pub(crate) fn is_of_change(self) -> bool {
        matches!(
            self,
            Self::NewCoverage
                | Self::NewBranchCoverage
                | Self::NewDuplicatedPct
                | Self::CrapMaxNew
                | Self::ComplexityMaxNew
                | Self::NewIssues
                | Self::NewMutationScore
                | Self::NewLines
        )
    }

    pub(crate) fn is_of_issues(self) -> bool {
        matches!(self, Self::NewIssues | Self::Issues)
    }

    /// Where its figure comes from.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            Self::NewCoverage | Self::NewBranchCoverage | Self::Coverage | Self::BranchCoverage => {
                &[Kind::Coverage]
            }
            Self::CrapMaxNew => &[Kind::Coverage, Kind::Source],
            Self::NewIssues | Self::Issues => &[Kind::Sarif],
            Self::TestsFailed | Self::TestsSkipped | Self::TestsTotal | Self::Flaky => &[Kind::Junit],
            Self::MutationScore | Self::NewMutationScore => &[Kind::Mutation],
            Self::NewDuplicatedPct | Self::DuplicatedPct | Self::ComplexityMaxNew => &[Kind::Source],
            Self::NewLines => &[],
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_the_name_that_it_is_read_by() {
        for metric in Metric::ALL {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
            assert_eq!(serde_json::from_value::<Metric>(metric.name().into()).unwrap(), metric);
        }
        let mut all = Metric::ALL.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), Metric::ALL.len());
    }
}
