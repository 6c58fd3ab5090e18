//! Reads sources, and measures those whose content is neither known to this process nor to the file of derived figures.

use std::sync::Arc;

use aqe_store::{Derived, DerivedKey};
use hashbrown::HashMap;

use super::files::{SourceFile, Stamp};
use super::kept;
use super::measure::{ContentHash, Measured, Unmeasured, content_hash, measure};
use crate::builtin::Request;
use crate::each::each;
use crate::project::Project;
use crate::reply::Refusal;
use crate::syntax::{SOURCE_MAX_BYTES, SyntaxError};

/// Sources that are read before any of them is measured; rows that are written at once.
const AT_ONCE: usize = 1_024;
/// Sources that are worth a thread: of those that are read only, and of those that are measured.
const READ_BY_ONE: usize = 64;
const MEASURED_BY_ONE: usize = 8;

/// What is known of a file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) stamp: Stamp,
    /// Whether no change can have gone by without a change of the stamp.
    pub(super) is_settled: bool,
    pub(super) hash: ContentHash,
    pub(super) result: Result<Arc<Measured>, Unmeasured>,
}

/// An entry, and whether it was measured anew; `None` for a file that cannot be read.
pub(super) type Read = Option<(Entry, bool)>;

/// A file's content.
enum Content {
    /// It cannot be read.
    Gone,
    Known(Entry),
    /// And whatever is kept of it.
    New {
        content: Vec<u8>,
        hash: ContentHash,
        row: Option<Vec<u8>>,
    },
}

/// What was read of each of these files, in order.
pub(super) fn read_all(
    project: &Project,
    stale: &[&SourceFile],
    known: &HashMap<String, Entry>,
    disk: Option<&Derived>,
    request: &Request,
) -> Result<Vec<Read>, Refusal> {
    let mut all = Vec::with_capacity(stale.len());
    for files in stale.chunks(AT_ONCE) {
        let mut contents = each(files, READ_BY_ONE, &request.stop, |file| {
            Ok((*file, read(project, file, known.get(&file.path), request)))
        })?;
        let are_new = find(disk, &mut contents, request);
        let share = if are_new { MEASURED_BY_ONE } else { READ_BY_ONE };
        let mut rows = Vec::new();
        for (read, row) in
            each(&contents, share, &request.stop, |(file, content)| entry(file, content, request))?
        {
            all.push(read);
            rows.extend(row);
        }
        if let Some(disk) = disk {
            disk.keep(rows, request.now);
        }
    }
    Ok(all)
}

fn read(project: &Project, file: &SourceFile, known: Option<&Entry>, request: &Request) -> Content {
    let stamp = file.stamp;
    let is_settled = stamp.is_settled(request.now);
    let bytes = usize::try_from(stamp.bytes).unwrap_or(usize::MAX);
    if bytes > SOURCE_MAX_BYTES {
        let result = Err(Unmeasured::Syntax(SyntaxError::TooLong { bytes }));
        return Content::Known(Entry { stamp, is_settled, hash: ContentHash::default(), result });
    }
    let Ok(content) = project.read(&file.path, SOURCE_MAX_BYTES as u64) else { return Content::Gone };
    let hash = content_hash(&content);
    match known.filter(|known| known.hash == hash) {
        Some(known) => Content::Known(Entry { stamp, is_settled, ..known.clone() }),
        None => Content::New { content, hash, row: None },
    }
}

/// Looks for what is kept of new contents; whether some of them are to be measured.
fn find(disk: Option<&Derived>, contents: &mut [(&SourceFile, Content)], request: &Request) -> bool {
    let new = contents.iter_mut().filter_map(|(file, content)| match content {
        Content::New { hash, row, .. } => Some((kept::of_source(hash, file.language), row)),
        Content::Gone | Content::Known(_) => None,
    });
    let (keys, places): (Vec<DerivedKey>, Vec<_>) = new.unzip();
    let Some(disk) = disk else { return !keys.is_empty() };
    let mut are_new = false;
    for (place, found) in places.into_iter().zip(disk.find(&keys, request.now)) {
        are_new |= found.is_none();
        *place = found;
    }
    are_new
}

/// What is to be kept of a file, and under which key.
type Row = (DerivedKey, Vec<u8>);

/// What is known of a file now, and what is to be kept of it.
fn entry(file: &SourceFile, content: &Content, request: &Request) -> Result<(Read, Option<Row>), Refusal> {
    let (content, hash, row) = match content {
        Content::Gone => return Ok((None, None)),
        Content::Known(entry) => return Ok((Some((entry.clone(), false)), None)),
        Content::New { content, hash, row } => (content, *hash, row),
    };
    let (stamp, is_settled) = (file.stamp, file.stamp.is_settled(request.now));
    if let Some(result) = row.as_deref().and_then(kept::decode) {
        let result = result.map(Arc::new);
        return Ok((Some((Entry { stamp, is_settled, hash, result }, false)), None));
    }
    let result = measure(content, file.language, &request.stop);
    if result == Err(Unmeasured::Syntax(SyntaxError::Stopped)) {
        request.stop.check()?;
    }
    let row = kept::encode(&result).map(|row| (kept::of_source(&hash, file.language), row));
    Ok((Some((Entry { stamp, is_settled, hash, result: result.map(Arc::new) }, true)), row))
}
