//! Parts of Ruby sources that SimpleCov leaves out of its figures, between two comments `:nocov:`. Its resultset has counts of
//! them all the same (SimpleCov 0.22, source_file.rb); a token of the project's own, which is set in Ruby, is not known here.

use std::sync::Arc;

use super::load::SOURCE_BYTES;
use super::model::FileCoverage;
use crate::project::Project;
use crate::project::git::Lines;

const TOKEN: &[u8] = b":nocov:";

/// The file without what its source marks; as it is where the source marks nothing or cannot be read.
pub(super) fn left(project: &Project, path: &str, file: &Arc<FileCoverage>) -> Arc<FileCoverage> {
    let skipped = project.read(path, SOURCE_BYTES).map_or_else(|_| Vec::new(), |source| marked(&source));
    if skipped.is_empty() {
        return Arc::clone(file);
    }
    let is_left = |line: u32| !skipped.iter().any(|lines| lines.start <= line && line <= lines.end);
    let mut left = FileCoverage { path: file.path.clone(), ..FileCoverage::default() };
    left.lines =
        file.lines.as_ref().map(|all| all.iter().filter(|one| is_left(one.number)).copied().collect());
    left.branches =
        file.branches.as_ref().map(|all| all.iter().filter(|one| is_left(one.line)).cloned().collect());
    left.functions =
        file.functions.as_ref().map(|all| all.iter().filter(|one| is_left(one.start)).cloned().collect());
    Arc::new(left.sorted())
}

/// From each comment with the token to the next; the last one without another goes on to the end.
fn marked(source: &[u8]) -> Vec<Lines> {
    let is_mark = |line: &[u8]| {
        let comment = line.trim_ascii_start().strip_prefix(b"#");
        comment.is_some_and(|comment| comment.trim_ascii_start().starts_with(TOKEN))
    };
    let marks: Vec<u32> = (1..)
        .zip(source.split(|byte| *byte == b'\n'))
        .filter(|(_, line)| is_mark(line))
        .map(|(number, _)| number)
        .collect();
    let pair =
        |pair: &[u32]| Some(Lines { start: *pair.first()?, end: pair.get(1).copied().unwrap_or(u32::MAX) });
    marks.chunks(2).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_in_comments_of_their_own_and_the_last_may_be_open() {
        let source = b"a\n  # :nocov: why\nb\n#:nocov:\nc # :nocov:\nputs ':nocov:'\n\t#  :nocov:\nd\n";
        let lines = |start, end| Lines { start, end };
        assert_eq!(marked(source), [lines(2, 4), lines(7, u32::MAX)]);
        assert!(marked(b"a\nb\n").is_empty());
    }
}
