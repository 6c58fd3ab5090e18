//! What was measured of contents, in the file of derived figures: found by later processes, whichever project a source is in.
//!
//! A row's key is a digest of all that it was made of: the content (or the commit), and by what it was measured
//! (`AQE_MEASURED_BY`, made by `build.rs` of our own sources and the parsers' versions). So a row is right or not found.

use std::fs;

use aqe_store::{Derived, DerivedKey, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::churn::{Churn, History};
use super::files::Stamp;
use super::measure::{ContentHash, Measured, Unmeasured};
use crate::project::Project;
use crate::project::git::Git;
use crate::syntax::Language;

/// Bytes of a row; what is larger is measured each time. Rows of the longest sources stay below it.
const MOST_BYTES: usize = 16 << 20;

/// What is known of a source. What depends on the time that was left is not kept.
#[derive(Debug, Serialize, Deserialize)]
enum Row {
    Measured(Box<Measured>),
    Generated,
}

fn key(parts: &[&[u8]]) -> DerivedKey {
    let mut hash = Sha256::new();
    for part in [env!("AQE_MEASURED_BY").as_bytes()].iter().chain(parts) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Where the figures of a source are.
pub(super) fn of_source(hash: &ContentHash, language: Language) -> DerivedKey {
    key(&[b"source", format!("{language:?}").as_bytes(), hash])
}

/// The figures of a source as a row; `None` if they are not to be kept.
pub(super) fn encode(result: &Result<Measured, Unmeasured>) -> Option<Vec<u8>> {
    let bytes = match result {
        Ok(measured) => {
            // As a `Row`, without a copy of it.
            let mut bytes = postcard::to_allocvec(&0_u32).ok()?;
            bytes.extend(postcard::to_allocvec(measured).ok()?);
            bytes
        }
        Err(Unmeasured::Generated) => postcard::to_allocvec(&Row::Generated).ok()?,
        Err(Unmeasured::Syntax(_)) => return None,
    };
    (bytes.len() <= MOST_BYTES).then_some(bytes)
}

/// The figures in a row; `None` if it is none of ours.
pub(super) fn decode(row: &[u8]) -> Option<Result<Measured, Unmeasured>> {
    Some(match postcard::from_bytes(row).ok()? {
        Row::Measured(measured) => Ok(*measured),
        Row::Generated => Err(Unmeasured::Generated),
    })
}

/// Where the changes before a commit are; `None` while who counts as one author may change unseen.
pub(super) fn of_history(
    project: &Project,
    git: &Git<'_>,
    head: &str,
    since: i64,
    now: UnixMillis,
) -> Option<DerivedKey> {
    // Its authors may change without a commit.
    let mailmap = fs::metadata(project.root.join(git.up()).join(".mailmap")).ok();
    let mailmap = mailmap.map(|metadata| Stamp::of(&metadata));
    if mailmap.is_some_and(|stamp| !stamp.is_settled(now)) {
        return None;
    }
    let root = project.root.as_os_str().as_encoded_bytes();
    let others = format!("{head} {} {since} {} {mailmap:?}", git.is_shallow(), git.up());
    Some(key(&[b"history", root, others.as_bytes()]))
}

/// The changes under this key.
pub(super) fn find_history(disk: &Derived, key: DerivedKey, now: UnixMillis) -> Option<History> {
    let row = disk.find(&[key], now).pop()??;
    let files: Vec<(String, Churn)> = postcard::from_bytes(&row).ok()?;
    Some(files.into_iter().collect())
}

pub(super) fn keep_history(disk: &Derived, key: DerivedKey, history: &History, now: UnixMillis) {
    let files: Vec<_> = history.iter().collect();
    if let Ok(row) = postcard::to_allocvec(&files)
        && row.len() <= MOST_BYTES
    {
        disk.keep(vec![(key, row)], now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::metrics::measure::measure;
    use crate::stop::Stop;
    use crate::syntax::SyntaxError;

    #[test]
    fn figures_come_back_as_they_were() {
        let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(60));
        let source = "class A:\n    def f(self, a):\n        '''d'''\n        if a and b:\n            return lambda: 'é'\n\n# c\n";
        for result in [
            measure(source.as_bytes(), Language::Python, &stop),
            measure(b"", Language::Go, &stop),
            measure(b"fn (", Language::Rust, &stop),
            Err(Unmeasured::Generated),
        ] {
            let row = encode(&result).unwrap();
            assert_eq!(decode(&row), Some(result));
            assert_eq!(decode(&row[..row.len() - 1]), None, "cut off");
        }
        let slow = Err(Unmeasured::Syntax(SyntaxError::TooSlow));
        assert_eq!(encode(&slow), None, "another machine may be faster");
    }

    #[test]
    fn one_content_in_two_languages_has_two_keys() {
        let hash = ContentHash::default();
        assert_ne!(of_source(&hash, Language::JavaScript), of_source(&hash, Language::Tsx));
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    }
}
