//! `qe_memory_store`: one version of one entry.

use aqe_core::inprocess::Caller;
use aqe_store::limits::QUERY_MAX_BYTES;
use aqe_store::{
    Attributes, Candidate, Entry, EntryId, Filters, OnConflict, Put, Search, StoreError, UnixMillis,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::secrets::{self, Mark, Secrets};
use super::{Memory, shown};
use crate::arguments::{Moment, rfc3339};
use crate::reply::{Refusal, structured};

/// The tool as it is listed.
pub(crate) const DEFINITION: &str = r#"{"name":"qe_memory_store","title":"Store memory","description":"Keep a value under namespace and key, across sessions. Times are RFC 3339.","inputSchema":{"type":"object","properties":{"namespace":{"type":"string"},"key":{"type":"string","description":"default: hash of value"},"value":{},"tags":{"type":"array","items":{"type":"string"}},"kind":{"enum":["fact","decision","failure","snippet","metric"]},"source":{"type":"object","description":"{file,range:[first,last],commit,tool}"},"ttl_s":{"type":"integer"},"valid_from":{"type":"string"},"if_version":{"type":"integer","description":"0: must be absent"},"on_conflict":{"enum":["version","replace","fail","merge"],"default":"version"},"importance":{"type":"number","maximum":1},"dedupe":{"type":"object","description":"{threshold}: nothing is stored if another entry is so like it (cosine)"}},"required":["namespace","value"]},"outputSchema":{"type":"object","required":["id","key","version"]},"annotations":{"openWorldHint":false}}"#;

/// Seconds that an entry may live at most, if it does not live for ever: ten years.
const TTL_MAX_S: u64 = 10 * 366 * 24 * 3600;

/// Entries that are named as similar.
const SIMILAR: usize = 3;

/// Masked credentials that an answer lists; it counts them all.
const MASKED_LISTED: usize = 20;

/// Hexadecimal digits of a key that was made from the value: 128 bits of SHA-256, beyond any accident.
const HASH_DIGITS: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments<'a> {
    namespace: String,
    key: Option<String>,
    #[serde(borrow)]
    value: &'a RawValue,
    tags: Option<Vec<String>>,
    kind: Option<Kind>,
    source: Option<Source>,
    ttl_s: Option<u64>,
    valid_from: Option<Moment>,
    if_version: Option<u64>,
    on_conflict: Option<Conflict>,
    importance: Option<f64>,
    dedupe: Option<Dedupe>,
}

/// Whether to look for an entry that says the same.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dedupe {
    threshold: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Fact,
    Decision,
    Failure,
    Snippet,
    Metric,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Decision => "decision",
            Self::Failure => "failure",
            Self::Snippet => "snippet",
            Self::Metric => "metric",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Conflict {
    #[default]
    Version,
    Replace,
    Fail,
    Merge,
}

/// Where a value comes from, in the caller's words.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// First and last line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
}

#[derive(Debug, Serialize)]
struct Reply<'a> {
    id: String,
    namespace: &'a str,
    key: &'a str,
    version: u64,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// The entry that says the same: id, key and version are that one's, and nothing was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<String>,
    /// Entries at least as near as was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    similar: Option<Vec<Similar>>,
    /// Credentials that were not stored, and how many if there were any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    masked: &'a [Mark],
    #[serde(skip_serializing_if = "Option::is_none")]
    masked_count: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Similar {
    id: String,
    /// Cosine of the two entries' vectors.
    score: f64,
}

impl Memory {
    pub(crate) async fn store(
        &self,
        arguments: Arguments<'_>,
        caller: Caller<'_>,
        now: UnixMillis,
    ) -> Result<Vec<u8>, Refusal> {
        let dedupe = arguments.dedupe;
        let mut marks = Vec::new();
        let put = arguments.into_put(caller.principal, now, self.secrets, &mut marks)?;
        let masked_count = (!marks.is_empty()).then_some(marks.len());
        let masked = &marks[..marks.len().min(MASKED_LISTED)];
        let (namespace, key) = (put.namespace.clone(), put.key.clone());
        let similar = match dedupe {
            Some(Dedupe { threshold }) => Some(self.similar(&put, threshold).await?),
            None => None,
        };
        if let Some((entry, similar)) =
            similar.as_ref().and_then(|(entry, similar)| Some((entry.as_ref()?, similar)))
        {
            return structured(&Reply {
                id: shown(entry.id),
                namespace: &namespace,
                key: &entry.key,
                version: entry.version,
                created: rfc3339(entry.created),
                expires: entry.attributes.expires.map(rfc3339),
                duplicate_of: Some(shown(entry.id)),
                similar: Some(listed(similar)),
                masked,
                masked_count,
            });
        }
        let stored = self.store.put(put).await.map_err(|error| refusal(&error, &key))?;
        structured(&Reply {
            id: shown(stored.id),
            namespace: &namespace,
            key: &key,
            version: stored.version,
            created: rfc3339(stored.created),
            expires: stored.expires.map(rfc3339),
            duplicate_of: None,
            similar: similar.map(|(_, similar)| listed(&similar)),
            masked,
            masked_count,
        })
    }

    /// Entries under other keys of the namespace that are at least so near, the nearest first, and that one as it is.
    async fn similar(
        &self,
        put: &Put,
        threshold: f64,
    ) -> Result<(Option<Entry>, Vec<(EntryId, f64)>), Refusal> {
        let search = Search {
            principal: put.principal.clone(),
            namespaces: vec![put.namespace.clone()],
            query: put.text(QUERY_MAX_BYTES),
            filters: Filters::default(),
            most: SIMILAR + 1,
            at: put.now,
            now: put.now,
        };
        let failed =
            |error: StoreError| Refusal(format!("not stored: duplicates cannot be looked for: {error}"));
        let found = self.store.candidates(search).await.map_err(failed)?;
        if found.model.is_none() {
            return Err(Refusal(
                "not stored: this store makes no vectors, so `dedupe` finds nothing; leave it out".into(),
            ));
        }
        let mut near: Vec<(f64, &Candidate)> = found
            .candidates
            .iter()
            .filter_map(|one| Some((one.cosine?, one)).filter(|(cosine, _)| *cosine >= threshold))
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id)));
        let names = near.iter().map(|(_, one)| (one.namespace.clone(), one.id, one.version)).collect();
        let entries = self.store.named(put.principal.clone(), put.now, names).await.map_err(failed)?;
        // A new version of an entry is no duplicate of it.
        let others =
            near.iter().zip(entries).filter_map(|((cosine, one), entry)| Some((one.id, *cosine, entry?)));
        let others: Vec<_> = others.filter(|(_, _, entry)| entry.key != put.key).take(SIMILAR).collect();
        let similar = others.iter().map(|(id, cosine, _)| (*id, *cosine)).collect();
        Ok((others.into_iter().next().map(|(_, _, entry)| entry), similar))
    }
}

fn listed(similar: &[(EntryId, f64)]) -> Vec<Similar> {
    let one = |&(id, cosine): &(EntryId, f64)| Similar {
        id: shown(id),
        score: (cosine * 10_000.0).round() / 10_000.0,
    };
    similar.iter().map(one).collect()
}

impl Arguments<'_> {
    fn into_put(
        self,
        principal: &str,
        now: UnixMillis,
        secrets: Secrets,
        marks: &mut Vec<Mark>,
    ) -> Result<Put, Refusal> {
        // Names are looked up by: a masked one would be another.
        for (what, name) in [("namespace", Some(&self.namespace)), ("key", self.key.as_ref())] {
            without_secrets(what, name.map_or("", String::as_str))?;
        }
        let mut safe = |argument: &'static str, json: &str| match secrets {
            Secrets::Refuse => without_secrets(argument, json).map(|()| json.to_owned()),
            Secrets::Mask => Ok(secrets::mask(json, argument, marks).into_owned()),
        };
        let value = safe("value", self.value.get())?;
        let tags = self.tags.map(|tags| safe("tags", &serde_json::json!(tags).to_string())).transpose()?;
        let tags = tags.map(|tags| serde_json::from_str(&tags)).transpose();
        let tags = tags.map_err(|error| Refusal(format!("bad arguments in `tags`: {error}")))?;
        let on_conflict = match self.on_conflict.unwrap_or_default() {
            Conflict::Version => OnConflict::Version,
            Conflict::Replace => OnConflict::Replace,
            Conflict::Fail => OnConflict::Fail,
            Conflict::Merge => OnConflict::Merge,
        };
        let valid_from = self.valid_from.map(|moment| moment.0);
        let is_scheduled = valid_from.is_some_and(|from| from > now);
        check(
            !(is_scheduled && on_conflict == OnConflict::Replace),
            || "`replace` drops what holds until `valid_from`: use on_conflict `version` for a value of the future",
        )?;
        check(
            self.ttl_s.is_none_or(|ttl| (1..=TTL_MAX_S).contains(&ttl)),
            || "`ttl_s` must be from 1 second to ten years (316224000); leave it out for ever",
        )?;
        check(
            self.importance.is_none_or(|importance| (0.0..=1.0).contains(&importance)),
            || "`importance` must be from 0 to 1",
        )?;
        check(
            self.dedupe.is_none_or(|dedupe| dedupe.threshold > 0.0 && dedupe.threshold <= 1.0),
            || "`dedupe.threshold` must be above 0 and at most 1; 0.95 is nearly the same words",
        )?;
        let range = self.source.as_ref().and_then(|source| source.range);
        check(
            range.is_none_or(|[first, last]| 1 <= first && first <= last),
            || "`source.range` must be [first, last] line, counted from 1",
        )?;
        // What is not valid yet does not age yet.
        let from = valid_from.map_or(now, |from| from.max(now));
        let expires = self.ttl_s.map(|ttl| from.saturating_add_unsigned(ttl * 1_000));
        let source = self.source.as_ref().map(serde_json::to_string).transpose();
        let source = source.map_err(|error| Refusal(format!("bad arguments in `source`: {error}")))?;
        let source = source.map(|source| safe("source", &source)).transpose()?;
        Ok(Put {
            principal: principal.to_owned(),
            namespace: self.namespace,
            key: self.key.unwrap_or_else(|| key_of(&value)),
            value,
            attributes: Attributes {
                tags,
                kind: self.kind.map(|kind| kind.as_str().to_owned()),
                source,
                importance: self.importance,
                expires,
            },
            valid_from,
            if_version: self.if_version,
            on_conflict,
            now,
        })
    }
}

fn without_secrets(argument: &str, text: &str) -> Result<(), Refusal> {
    match secrets::find(text) {
        None => Ok(()),
        Some(what) => Err(Refusal(format!(
            "not stored: `{argument}` contains {what}; take it out (name where it is kept instead)"
        ))),
    }
}

fn check(holds: bool, otherwise: impl FnOnce() -> &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal(format!("bad arguments: {}", otherwise()))) }
}

/// The key of a value that was given none: the same for the same text, so that storing it twice makes
/// one entry.
fn key_of(value: &str) -> String {
    ["sha256-", &hexadecimal(&Sha256::digest(value.as_bytes())[..HASH_DIGITS / 2])].concat()
}

/// Two digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Says what to do next.
fn refusal(error: &StoreError, key: &str) -> Refusal {
    Refusal(match error {
        StoreError::VersionConflict { expected, actual: 0 } => {
            format!(
                "not stored: `{key}` does not exist, so it is not at version {expected}; if_version 0 makes it"
            )
        }
        StoreError::VersionConflict { expected, actual } => format!(
            "not stored: `{key}` is at version {actual}, not {expected}; retrieve it, apply the change to \
             that value, and store with if_version {actual}"
        ),
        StoreError::Exists { version } => format!(
            "not stored: `{key}` exists, at version {version}; choose another key, or on_conflict `version`, \
             `replace` or `merge`"
        ),
        StoreError::NotMergeable { which } => {
            format!(
                "not stored: only objects merge, and the {which} value is none; use on_conflict `version`"
            )
        }
        other => format!("not stored: {other}"),
    })
}
