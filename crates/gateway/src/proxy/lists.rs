//! The four list methods, answered from the catalog.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::envelope::Field;
use aqe_core::revision::Era;
use bytes::Bytes;

use super::{Answer, Gateway, Request};
use crate::bridge;
use crate::catalog::Catalog;
use crate::coding::Listed;
use crate::refusal::Refusal;
use crate::upstream::{ListKind, handshake, with_connections};

/// A list up to this size is copied into its answer: that costs less than writing it as a part of its own.
const COPIED_BYTES: usize = 16 * 1024;
/// How long a resource list waits for upstreams that do not announce changes and so must be asked.
const FRESH_WAIT: Duration = Duration::from_secs(2);

impl Gateway {
    pub(super) async fn list(
        self: &Arc<Self>,
        request: &Request<'_>,
        kind: ListKind,
    ) -> Result<Answer, Refusal> {
        self.first_lists().await;
        if matches!(kind, ListKind::Resources | ListKind::Templates) {
            self.freshen(kind).await;
        } else {
            self.freshen_later(kind);
        }
        let catalog = self.catalog();
        let bad_cursor = || Refusal::invalid_params("unknown cursor, or the list has changed: list again");
        let cursor = match request.message.raw(Field::Cursor) {
            None | Some("null") => None,
            Some(_) => Some(request.message.string(Field::Cursor).ok_or_else(bad_cursor)?),
        };
        let mut shared = None;
        let (array, next) = match kind {
            ListKind::Tools | ListKind::Prompts => {
                let revision = request.caller.revision;
                let (snapshot, list) = match kind {
                    ListKind::Tools => (&catalog.tools, catalog.tool_list(revision)),
                    _ => (&catalog.prompts, &catalog.prompt_list),
                };
                let etag = snapshot.etag();
                let start = start_of(cursor.as_deref(), etag).ok_or_else(bad_cursor)?;
                let total = snapshot.total_tools();
                if start == 0 && total <= self.settings.page_size {
                    shared = Some(list);
                    (list.array().clone(), None)
                } else {
                    let entries = snapshot.tools().iter().map(|entry| match kind {
                        ListKind::Tools => catalog.definition(entry, revision),
                        _ => entry.definition.clone(),
                    });
                    page(entries, total, start, self.settings.page_size, etag)
                }
            }
            ListKind::Resources | ListKind::Templates => {
                let list = if kind == ListKind::Resources {
                    &catalog.resources.list
                } else {
                    &catalog.resources.template_list
                };
                let etag = list.len().to_string();
                let start = start_of(cursor.as_deref(), &etag).ok_or_else(bad_cursor)?;
                page(list.iter(), list.len(), start, self.settings.page_size, &etag)
            }
        };
        let opening = [r#"{"jsonrpc":"2.0","id":"#, request.id, r#","result":{"#];
        let members = opening.iter().map(|part| part.len()).sum();
        let [open, id, result] = opening;
        let head = match request.caller.era() {
            Era::Legacy => [open, id, result, "\"", kind.member(), "\":"].concat(),
            Era::Modern => {
                let hints = hints(&catalog, kind, Instant::now());
                let about =
                    [r#","_meta":{"io.modelcontextprotocol/serverInfo":"#, handshake::implementation()];
                [open, id, result, &hints, about[0], about[1], "},\"", kind.member(), "\":"].concat()
            }
        };
        let array_at = head.len()..head.len() + array.len();
        let listed = shared.map(|list| Box::new(Listed::new(list, members, array_at)));
        let tail = next.map_or(Cow::Borrowed("}}"), |next| format!(r#","nextCursor":"{next}"}}}}"#).into());
        if array.len() <= COPIED_BYTES {
            let whole = [head.as_bytes(), &array, tail.as_bytes()].concat();
            return Ok(Answer { listed, ..Answer::ok(whole) });
        }
        let parts = [head.into(), array, Bytes::copy_from_slice(tail.as_bytes())];
        Ok(Answer { listed, ..Answer::of(parts) })
    }

    /// Has lists fetched again whose time is over, of upstreams that would not say when they change. Nobody waits for it:
    /// what has changed is announced.
    fn freshen_later(&self, kind: ListKind) {
        let now = Instant::now();
        for upstream in self.catalog.load().upstreams.iter() {
            let is_over = upstream.manifest().is_some_and(|manifest| {
                let hint = manifest.hints[kind as usize];
                hint.is_some_and(|hint| hint.until <= now) && !manifest.announces(kind)
            });
            if is_over {
                upstream.refresh_later(kind);
            }
        }
    }

    /// Asks upstreams that announce no changes of their resources for their list again.
    async fn freshen(self: &Arc<Self>, kind: ListKind) {
        let upstreams = self.upstreams();
        let now = Instant::now();
        let silent = upstreams.iter().filter(|upstream| {
            upstream.current().is_some()
                && upstream.manifest().is_some_and(|manifest| {
                    let is_fresh = manifest.hints[kind as usize].is_some_and(|hint| now < hint.until);
                    manifest.capability("resources").is_some() && !manifest.announces(kind) && !is_fresh
                })
        });
        let asked = silent.map(|upstream| upstream.refresh_now(kind));
        let _ = tokio::time::timeout(FRESH_WAIT, futures_util::future::join_all(asked)).await;
    }
}

/// How long and by whom a list of all upstreams may be kept: as long as each of them has said of its own, by everybody if
/// all of them say so. What is in this process does not change.
fn hints(catalog: &Catalog, kind: ListKind, now: Instant) -> Cow<'static, str> {
    let unknown = Cow::Borrowed(bridge::modern_members(kind.method()));
    let mut least: Option<(Duration, bool)> = None;
    for upstream in with_connections(&catalog.upstreams) {
        let hint = upstream.manifest().and_then(|manifest| manifest.hints[kind as usize]);
        let Some(hint) = hint else { return unknown };
        let left = hint.until.saturating_duration_since(now);
        if left.is_zero() {
            return unknown;
        }
        let (so_far, public) = least.unwrap_or((left, true));
        least = Some((so_far.min(left), public && hint.public));
    }
    let Some((left, public)) = least else { return unknown };
    let scope = if public { "public" } else { "private" };
    let ttl = left.as_millis();
    format!(r#""resultType":"complete","ttlMs":{ttl},"cacheScope":"{scope}""#).into()
}

/// The position that a cursor names: `etag.position`.
fn start_of(cursor: Option<&str>, etag: &str) -> Option<usize> {
    let Some(cursor) = cursor else { return Some(0) };
    let (of, position) = cursor.rsplit_once('.')?;
    if of != short(etag) {
        return None;
    }
    position.parse().ok()
}

fn short(etag: &str) -> String {
    etag.chars().filter(char::is_ascii_alphanumeric).take(16).collect()
}

/// One page as a JSON array, and the cursor of the next one.
fn page(
    entries: impl Iterator<Item = impl AsRef<[u8]>>,
    total: usize,
    start: usize,
    size: usize,
    etag: &str,
) -> (Bytes, Option<String>) {
    let size = size.max(1);
    let mut array = vec![b'['];
    for entry in entries.skip(start).take(size) {
        if array.len() > 1 {
            array.push(b',');
        }
        array.extend_from_slice(entry.as_ref());
    }
    array.push(b']');
    let end = start.saturating_add(size);
    let next = (end < total).then(|| format!("{}.{end}", short(etag)));
    (array.into(), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_the_list_once_and_a_foreign_cursor_is_refused() {
        let entries: Vec<Bytes> = (0..7).map(|n| Bytes::from(n.to_string())).collect();
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let start = start_of(cursor.as_deref(), "\"abc\"").unwrap();
            let (array, next) = page(entries.iter(), 7, start, 3, "\"abc\"");
            seen.push(String::from_utf8(array.to_vec()).unwrap());
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ["[0,1,2]", "[3,4,5]", "[6]"]);
        for foreign in ["", "x", "other.3", "abc.", "abc.-1"] {
            assert_eq!(start_of(Some(foreign), "\"abc\""), None, "{foreign}");
        }
    }
}
