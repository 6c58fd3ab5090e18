//! What the server received, and when.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use super::request::quote;

/// Entries kept in memory; the oldest go first.
const MAX_ENTRIES: usize = 100_000;

/// A bounded list of entries, each a JSON object.
#[derive(Debug)]
pub(super) struct Journal {
    entries: Mutex<VecDeque<String>>,
    file: Option<Mutex<File>>,
}

impl Journal {
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path
            .map(|path| File::options().create(true).append(true).open(path).map(Mutex::new))
            .transpose()?;
        Ok(Self { entries: Mutex::default(), file })
    }

    /// Adds `{"at_us": micros since the epoch, "event": …, "method": …, "id": …, "session": …}`.
    /// `id` is JSON text.
    pub(super) fn record(&self, event: &str, method: &str, id: Option<&str>, session: &str) {
        self.record_marked(event, method, id, session, "");
    }

    /// The same with a member `mark`.
    pub(super) fn record_marked(
        &self,
        event: &str,
        method: &str,
        id: Option<&str>,
        session: &str,
        mark: &str,
    ) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let id = id.unwrap_or("null");
        let entry = format!(
            r#"{{"at_us":{at},"event":{},"method":{},"id":{id},"session":{},"mark":{},"pid":{}}}"#,
            quote(event),
            quote(method),
            quote(session),
            quote(mark),
            std::process::id(),
        );
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk must not change how the server answers; the reader of the file will notice.
            let _ = file.write_all(format!("{entry}\n").as_bytes());
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == MAX_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// All entries as a JSON array, oldest first.
    pub(super) fn to_json(&self) -> String {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut json = String::from("[");
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(entry);
        }
        json.push(']');
        json
    }

    pub(super) fn clear(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
