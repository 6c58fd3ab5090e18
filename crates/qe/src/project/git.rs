//! What Git knows of a project. The `git` program is asked: no other reading of a repository agrees with it everywhere.

use serde::{Deserialize, Serialize};

use super::Project;
use super::child::{Output, Program, RunError};
use crate::reply::Refusal;
use crate::stop::Stop;

/// Lines `start` to `end` of a file, both included, counted from 1. Written as `[start, end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lines {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Serialize for Lines {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.start, self.end).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (start, end) = Deserialize::deserialize(deserializer)?;
        Ok(Self { start, end })
    }
}

/// What changed in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileDiff {
    /// Relative to the project; of a file that was deleted, as it was.
    pub(crate) path: String,
    /// As it was called before, if it was there.
    pub(crate) old_path: Option<String>,
    pub(crate) deleted: bool,
    pub(crate) hunks: Vec<Hunk>,
}

/// Lines that were replaced: `old` by `new`; `None` where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hunk {
    pub(crate) old: Option<Lines>,
    pub(crate) new: Option<Lines>,
    /// Lines of the new file before the hunk, and of the old one.
    new_before: u32,
    old_before: u32,
}

impl FileDiff {
    /// Lines of the new file that are new or changed.
    pub(crate) fn added(&self) -> impl Iterator<Item = Lines> + '_ {
        self.hunks.iter().filter_map(|hunk| hunk.new)
    }

    /// Where an unchanged line of the new file was in the old one; `None` if it is new.
    pub(crate) fn old_line(&self, line: u32) -> Option<u32> {
        let mut shift = 0_i64;
        for hunk in &self.hunks {
            if hunk.new.is_some_and(|new| (new.start..=new.end).contains(&line)) {
                return None;
            }
            if line <= hunk.new_before {
                break;
            }
            let end = |lines: Option<Lines>, before: u32| i64::from(lines.map_or(before, |lines| lines.end));
            shift = end(hunk.old, hunk.old_before) - end(hunk.new, hunk.new_before);
        }
        u32::try_from(i64::from(line) + shift).ok()
    }
}

/// A project that is, or is part of, the working tree of a repository.
#[derive(Debug)]
pub(crate) struct Git<'a> {
    project: &'a Project,
    stop: &'a Stop,
    head: Option<String>,
    is_shallow: bool,
    up: String,
}

impl<'a> Git<'a> {
    /// `None` if the project is not below a working tree, or `git` is not installed.
    pub(crate) fn of(project: &'a Project, stop: &'a Stop) -> Result<Option<Self>, Refusal> {
        let mut git = Self { project, stop, head: None, is_shallow: false, up: String::new() };
        // One question for all of it. The last part has no answer, and fails, where there is no commit.
        let asked = git.ask([
            "rev-parse",
            "--is-inside-work-tree",
            "--is-shallow-repository",
            "--show-cdup",
            "--verify",
            "--quiet",
            "HEAD^{commit}",
        ]);
        let output = match asked {
            Ok(output) => output,
            Err(RunError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(Refusal(error.to_string())),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        if lines.next() != Some("true") {
            return Ok(None);
        }
        git.is_shallow = lines.next() == Some("true");
        lines.next().unwrap_or_default().clone_into(&mut git.up);
        git.head = lines.next().filter(|_| output.status.success()).map(str::to_owned);
        Ok(Some(git))
    }

    /// The commit that is checked out; `None` in a repository without commits.
    pub(crate) fn head(&self) -> Option<&str> {
        self.head.as_deref()
    }

    /// Whether commits are missing, so that what is known of the past may become more.
    pub(crate) fn is_shallow(&self) -> bool {
        self.is_shallow
    }

    /// The way from the project to the top of the working tree: nothing, or `../` some times.
    pub(crate) fn up(&self) -> &str {
        &self.up
    }

    /// The commit that a name stands for; `None` if there is none, as in a repository without commits.
    pub(crate) fn commit(&self, name: &str) -> Result<Option<String>, Refusal> {
        let name = format!("{name}^{{commit}}");
        let output =
            self.ask(["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).map_err(refused)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(output.status.success().then(|| text.trim().to_owned()))
    }

    /// Where two lines of development parted.
    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, Refusal> {
        let output = self.ask(["merge-base", "--end-of-options", one, other]).map_err(refused)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(output.status.success().then(|| text.trim().to_owned()))
    }

    /// What changed below the project from `base` to `head`, or to the files as they are now if that is `None`. Renamed
    /// files are found; binary ones have no hunks. Untracked files are not in it.
    pub(crate) fn diff(&self, base: &str, head: Option<&str>) -> Result<Vec<FileDiff>, Refusal> {
        let mut args =
            vec!["diff", "--unified=0", "--find-renames", "--no-color", "--no-ext-diff", "--no-textconv"];
        args.extend([
            "--ignore-submodules",
            "--relative",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "--end-of-options",
        ]);
        args.push(base);
        args.extend(head);
        args.push("--");
        let output = self.said(&args)?;
        Ok(parse(&String::from_utf8_lossy(&output)))
    }

    /// Files below the project that Git neither knows nor ignores, relative to it.
    pub(crate) fn untracked(&self) -> Result<Vec<String>, Refusal> {
        let output = self.said(&["ls-files", "--others", "--exclude-standard", "-z"])?;
        let names = output.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// The output of a command that succeeds.
    pub(crate) fn said(&self, args: &[&str]) -> Result<Vec<u8>, Refusal> {
        let output = self.ask(args).map_err(refused)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let what = args.first().copied().unwrap_or_default();
        Err(Refusal(format!("git {what}: {}", output.stderr.lines().next().unwrap_or("failed"))))
    }

    fn ask(&self, args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Result<Output, RunError> {
        // A repository names programs in its settings; none of them is run. Nothing is locked or asked for.
        let quiet = [
            "core.fsmonitor=false",
            "core.hooksPath=/dev/null",
            "core.quotePath=false",
            "core.untrackedCache=false",
        ];
        let settings = quiet.iter().flat_map(|setting| ["-c", setting]);
        Program::new("git", &self.project.root)
            .args(settings)
            .args(args)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .run(self.stop)
    }
}

#[allow(clippy::needless_pass_by_value)]
fn refused(error: RunError) -> Refusal {
    Refusal(error.to_string())
}

/// Reads a diff without context (git-diff(1), "Generating patch text with -p").
fn parse(text: &str) -> Vec<FileDiff> {
    let mut files: Vec<FileDiff> = Vec::new();
    // Lines of the hunk that are still to come: they may look like anything.
    let mut left = 0_u64;
    for line in text.lines() {
        if left > 0 && matches!(line.as_bytes().first(), Some(b'+' | b'-')) {
            left -= 1;
            continue;
        }
        if let Some(names) = line.strip_prefix("diff --git ") {
            let path = both(names).unwrap_or_default();
            files.push(FileDiff { old_path: Some(path.clone()), path, deleted: false, hunks: Vec::new() });
            continue;
        }
        let Some(file) = files.last_mut() else { continue };
        if let Some(name) = line.strip_prefix("rename from ").or_else(|| line.strip_prefix("copy from ")) {
            file.old_path = Some(unquoted(name));
        } else if let Some(name) = line.strip_prefix("rename to ").or_else(|| line.strip_prefix("copy to ")) {
            file.path = unquoted(name);
        } else if line.starts_with("new file mode ") {
            file.old_path = None;
        } else if line.starts_with("deleted file mode ") {
            file.deleted = true;
        } else if let Some(name) = line.strip_prefix("+++ ").and_then(|name| side(name, "b/")) {
            file.path = name;
        } else if let Some(name) = line.strip_prefix("--- ").and_then(|name| side(name, "a/")) {
            file.old_path = Some(name.clone());
            if file.deleted {
                file.path = name;
            }
        } else if let Some((hunk, lines)) = line.strip_prefix("@@ -").and_then(hunk) {
            file.hunks.push(hunk);
            left = lines;
        }
    }
    files
}

/// `12,3 +12,0 @@ …`, and how many lines follow.
fn hunk(text: &str) -> Option<(Hunk, u64)> {
    let (old, rest) = text.split_once(" +")?;
    let new = rest.split_once(" @@")?.0;
    let side = |text: &str| -> Option<(u32, Option<Lines>, u64)> {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        let (start, count): (u32, u32) = (start.parse().ok()?, count.parse().ok()?);
        if count == 0 {
            return Some((start, None, 0));
        }
        let end = start.checked_add(count - 1)?;
        Some((start.saturating_sub(1), Some(Lines { start, end }), count.into()))
    };
    let ((old_before, old, less), (new_before, new, more)) = (side(old)?, side(new)?);
    Some((Hunk { old, new, new_before, old_before }, less + more))
}

/// The name in `--- a/NAME` or `+++ b/NAME`; `None` for `/dev/null`.
fn side(text: &str, prefix: &str) -> Option<String> {
    // A name with blanks is followed by a tab.
    let name = unquoted(text.trim_end_matches('\t'));
    name.strip_prefix(prefix).map(str::to_owned)
}

/// The name in `a/NAME b/NAME`, where both are the same.
fn both(names: &str) -> Option<String> {
    if let Some(inner) = names.strip_prefix('"') {
        let end = inner.find("\" ")? + 2;
        return unquoted(&names[..end]).strip_prefix("a/").map(str::to_owned);
    }
    let half = names.len().checked_sub(1)? / 2;
    names.get(..half)?.strip_prefix("a/").map(str::to_owned)
}

/// A name as C would write it, if it stands in quotes.
fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'a') => 7,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'v') => 11,
            Some(digit @ b'0'..=b'3') => {
                let more =
                    [rest.next(), rest.next()].map(|digit| digit.unwrap_or(b'0').wrapping_sub(b'0') & 7);
                ((digit - b'0') << 6) | (more[0] << 3) | more[1]
            }
            Some(other) => other,
            None => b'\\',
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(start: u32, end: u32) -> Lines {
        Lines { start, end }
    }

    const DIFF: &str = "diff --git a/a.py b/a.py\nindex 1..2 100644\n--- a/a.py\n+++ b/a.py\n@@ -2,2 +2,3 @@ def f():\n--- a/not a name\n-old\n+++ b/nor this\n+new\n+new\n@@ -9 +9,0 @@\n-gone\ndiff --git a/old name.py b/new name.py\nsimilarity index 90%\nrename from old name.py\nrename to new name.py\n--- a/old name.py\t\n+++ b/new name.py\t\n@@ -0,0 +1 @@\n+x\ndiff --git \"a/t\\303\\244b\\t.py\" \"b/t\\303\\244b\\t.py\"\nnew file mode 100644\n--- /dev/null\n+++ \"b/t\\303\\244b\\t.py\"\n@@ -0,0 +1,2 @@\n+a\n+b\ndiff --git a/gone.py b/gone.py\ndeleted file mode 100644\n--- a/gone.py\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\ndiff --git a/b c.bin b/b c.bin\nBinary files a/b c.bin and b/b c.bin differ\n";

    #[test]
    fn a_diff_is_read_whatever_its_lines_and_names_look_like() {
        let files = parse(DIFF);
        let names: Vec<_> =
            files.iter().map(|file| (file.path.as_str(), file.old_path.as_deref(), file.deleted)).collect();
        let wanted = [
            ("a.py", Some("a.py"), false),
            ("new name.py", Some("old name.py"), false),
            ("täb\t.py", None, false),
            ("gone.py", Some("gone.py"), true),
            ("b c.bin", Some("b c.bin"), false),
        ];
        assert_eq!(names, wanted);
        let hunks =
            |file: usize| files[file].hunks.iter().map(|hunk| (hunk.old, hunk.new)).collect::<Vec<_>>();
        assert_eq!(hunks(0), [(Some(lines(2, 3)), Some(lines(2, 4))), (Some(lines(9, 9)), None)]);
        assert_eq!((hunks(1), hunks(2)), (vec![(None, Some(lines(1, 1)))], vec![(None, Some(lines(1, 2)))]));
        assert_eq!((hunks(3), hunks(4)), (vec![(Some(lines(1, 2)), None)], vec![]));
    }

    #[test]
    fn an_unchanged_line_is_found_where_it_was() {
        let file = &parse(DIFF)[0];
        let was = [1, 2, 4, 5, 9, 10].map(|line| file.old_line(line));
        // Lines 2 and 3 became 2 to 4; line 9 went.
        assert_eq!(was, [Some(1), None, None, Some(4), Some(8), Some(10)]);
    }
}
