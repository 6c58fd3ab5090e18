//! What the caller says of the paths in reports: which beginning stands for which folder of the project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::paths::normal;
use crate::project::Project;
use crate::reply::Refusal;

/// Beginnings of one call.
const MOST_RULES: usize = 100;

/// Beginnings of paths, the longest first, each with a folder that is really in the project.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathMap(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    /// Whole parts of a path, without a `/` at the end; `/` alone: all absolute paths; nothing: all relative ones.
    from: String,
    to: PathBuf,
}

impl PathMap {
    /// `{"/build/checkout": "backend"}`: what is below the one is below the other, a folder that is relative to the project.
    ///
    /// # Errors
    /// If a folder is not there or not in the project, or there are too many.
    pub(crate) fn new(project: &Project, pairs: &BTreeMap<String, String>) -> Result<Self, Refusal> {
        if pairs.len() > MOST_RULES {
            return Err(Refusal(format!("`path_map`: {} pairs are more than {MOST_RULES}", pairs.len())));
        }
        let rule = |(from, to): (&String, &String)| {
            let failed = |Refusal(why)| Refusal(format!("`path_map`: {why}"));
            // An empty path would be that of the process.
            let to = project.find(if to.is_empty() { "." } else { to }).map_err(failed)?;
            if !to.is_dir() {
                return Err(Refusal(format!("`path_map`: {} is no folder", project.shown(&to))));
            }
            let from = normal(from);
            let from = if from == "." { String::new() } else { from };
            let bare = from.trim_end_matches('/');
            let from = if bare.is_empty() { from } else { bare.to_owned() };
            Ok(Rule { from, to })
        };
        let mut rules = pairs.iter().map(rule).collect::<Result<Vec<_>, Refusal>>()?;
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.from.len()));
        Ok(Self(rules))
    }

    /// Where a path leads, as the longest beginning says, and which one that is; `None` if none fits. It need not be there.
    pub(super) fn place(&self, path: &str) -> Option<(usize, PathBuf)> {
        self.0.iter().enumerate().find_map(|(at, rule)| Some((at, rule.to.join(rule.rest(path)?))))
    }

    /// The beginnings, in the order that [`Self::place`] counts them in.
    pub(super) fn beginnings(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|rule| rule.from.as_str())
    }
}

impl Rule {
    fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.from.as_str() {
            "" => (!path.starts_with('/')).then_some(path),
            "/" => path.strip_prefix('/'),
            from => path.strip_prefix(from)?.strip_prefix('/'),
        }
        // What begins with another `/` would be absolute.
        .map(|rest| rest.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::project::Roots;

    #[test]
    fn the_longest_beginning_of_whole_parts_says_where_a_path_leads() {
        let folder = tempfile::tempdir().unwrap();
        let project = Roots::new(&[folder.path().to_owned()]).project(None).unwrap();
        fs::create_dir_all(project.root.join("web/src")).unwrap();
        fs::write(project.root.join("file"), "").unwrap();
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
            PathMap::new(&project, &pairs.collect())
        };
        let some = map(&[("/ci/", ""), ("/ci/web", "web"), ("C:\\w", "web/src"), ("gen", ".")]).unwrap();
        let place = |path: &str| some.place(&normal(path)).map(|(_, place)| project.shown(&place));
        let wanted = [
            ("/ci/a.py", Some("a.py")),
            ("/ci/web/a.ts", Some("web/a.ts")),
            ("/ci/website/a.ts", Some("website/a.ts")),
            ("/ci//etc/passwd", Some("etc/passwd")),
            ("C:\\w\\x\\a.cs", Some("web/src/x/a.cs")),
            ("gen/a.py", Some("a.py")),
            ("general/a.py", None),
            ("/other/a.py", None),
            ("/ci", None),
        ];
        for (path, to) in wanted {
            assert_eq!(place(path).as_deref(), to, "{path}");
        }
        let all = map(&[("", "web"), ("/", ".")]).unwrap();
        let place = |path: &str| project.shown(&all.place(path).unwrap().1);
        assert_eq!((place("a.ts"), place("/a.py")), ("web/a.ts".into(), "a.py".into()));
        for (to, why) in [("../..", "outside"), ("/etc", "outside"), ("none", "none"), ("file", "no folder")]
        {
            let Refusal(refusal) = map(&[("a", to)]).unwrap_err();
            assert!(refusal.starts_with("`path_map`") && refusal.contains(why), "{refusal}");
        }
    }
}
