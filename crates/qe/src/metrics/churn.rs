//! How often files changed of late, from one reading of Git's log.

use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

use crate::arguments::rfc3339;
use crate::project::git::Git;
use crate::reply::Refusal;

/// Days that are looked back.
pub(super) const DAYS: i64 = 90;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Before a commit's head in the log: no file's name begins a record so.
const COMMIT: char = '\u{1}';

/// Changes of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Churn {
    pub(crate) commits: u32,
    /// Lines added and deleted.
    pub(crate) lines: u32,
    /// Different mail addresses.
    pub(crate) authors: u32,
}

/// Changes of the files of a project, by the paths that they have now. A file that is not in it was not changed.
pub(crate) type History = HashMap<String, Churn>;

/// The first millisecond that is looked back to: the same all day, so that what is kept stays true.
pub(super) fn since(now: i64) -> i64 {
    now - now.rem_euclid(DAY_MS) - DAYS * DAY_MS
}

/// Reads the log of `head` since a moment. Merges are left out, and a renamed file keeps its history.
pub(super) fn read(git: &Git<'_>, head: &str, since: i64) -> Result<History, Refusal> {
    let since = format!("--since={}", rfc3339(since));
    let format = format!("--format={COMMIT}%aE");
    let output = git.said(&[
        "log",
        "--numstat",
        "-z",
        "--find-renames",
        "--no-merges",
        "--no-ext-diff",
        "--no-textconv",
        "--relative",
        &format,
        &since,
        "--end-of-options",
        head,
        "--",
        ".",
    ])?;
    Ok(parse(&String::from_utf8_lossy(&output)))
}

/// Reads `COMMIT mail NUL`, then for each file `added TAB deleted TAB path NUL`, or with an empty path and two names after it
/// for one that was renamed. The newest commit comes first, so a new name is seen before the old one.
fn parse(log: &str) -> History {
    let mut files: HashMap<String, (Churn, HashSet<Rc<str>>)> = HashMap::new();
    let mut now_called: HashMap<&str, &str> = HashMap::new();
    let mut author: Rc<str> = Rc::from("");
    let mut records = log.split('\0');
    while let Some(record) = records.next() {
        let record = record.trim_start_matches('\n');
        if let Some(mail) = record.strip_prefix(COMMIT) {
            author = Rc::from(mail.to_lowercase());
            continue;
        }
        let mut parts = record.splitn(3, '\t');
        let (Some(added), Some(deleted), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let path = if path.is_empty() {
            let (Some(old), Some(new)) = (records.next(), records.next()) else { break };
            let name = now_called.get(new).copied().unwrap_or(new);
            now_called.insert(old, name);
            name
        } else {
            now_called.get(path).copied().unwrap_or(path)
        };
        // Binary files have `-` for numbers.
        let lines = [added, deleted].map(|number| number.parse::<u32>().unwrap_or(0));
        let (churn, authors) = files.entry_ref(path).or_default();
        churn.commits += 1;
        churn.lines = churn.lines.saturating_add(lines[0]).saturating_add(lines[1]);
        authors.insert(Rc::clone(&author));
    }
    let count = |(path, (churn, authors)): (String, (Churn, HashSet<Rc<str>>))| {
        (path, Churn { authors: authors.len() as u32, ..churn })
    };
    files.into_iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_by_the_name_that_a_file_has_now() {
        let records = [
            "\u{1}A@x",
            "\n-\t-\tb.bin",
            "1\t2\tnew.py",
            "\u{1}b@x",
            "\n9\t1\t",
            "old\t.py",
            "new.py",
            "\u{1}a@X",
            "\n1\t0\ta b.py",
            "8\t0\told\t.py",
            "\u{1}c@x",
            "",
        ];
        let log = records.join("\0");
        let history = parse(&log);
        let churn = |commits, lines, authors| Churn { commits, lines, authors };
        assert_eq!(history.get("new.py"), Some(&churn(3, 21, 2)));
        assert_eq!(history.get("a b.py"), Some(&churn(1, 1, 1)));
        assert_eq!((history.get("b.bin"), history.len()), (Some(&churn(1, 0, 1)), 3));
        assert!(parse("").is_empty());
    }

    #[test]
    fn the_days_that_are_looked_back_begin_with_a_day() {
        assert_eq!(rfc3339(since(1_795_253_400_000)), "2026-08-23T00:00:00Z");
        assert_eq!(since(1_795_253_400_000), since(1_795_253_400_000 + 3_600_000));
    }
}
