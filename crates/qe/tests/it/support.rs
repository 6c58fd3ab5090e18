//! A set of tools over a store in a temporary directory and a clock that the test turns.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use aqe_core::inprocess::{Caller, InProcess, InProcessError};
use aqe_store::{SqliteOptions, SqliteStore};
use serde_json::Value;

/// 2026-11-21T09:30:00Z.
pub(crate) const T0: i64 = 1_795_253_400_000;

/// A folder with these files: path and content.
pub(crate) fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let place = folder.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }
    folder
}

pub(crate) struct Tools {
    pub(crate) set: Arc<dyn InProcess>,
    clock: Arc<AtomicI64>,
    _directory: tempfile::TempDir,
}

impl Tools {
    pub(crate) fn new() -> Self {
        Self::over(&[])
    }

    /// With folders that may be read.
    pub(crate) fn over(roots: &[&Path]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&directory.path().join("store.db"), &SqliteOptions::default()).unwrap();
        let clock = Arc::new(AtomicI64::new(T0));
        let hands = Arc::clone(&clock);
        let settings = aqe_qe::Settings {
            roots: roots.iter().map(|root| root.to_path_buf()).collect(),
            ..Default::default()
        };
        let set = aqe_qe::builtin(Arc::new(store), &settings, move || hands.load(Ordering::Relaxed));
        Self { set, clock, _directory: directory }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    pub(crate) async fn raw(&self, tool: &str, arguments: &str) -> Result<String, InProcessError> {
        self.raw_as("alice", tool, arguments).await
    }

    pub(crate) async fn raw_as(
        &self,
        principal: &str,
        tool: &str,
        arguments: &str,
    ) -> Result<String, InProcessError> {
        let caller = Caller { principal, deadline: Instant::now() + Duration::from_secs(60), progress: None };
        let reply = self.set.call(tool, arguments, caller).await?;
        let json = String::from_utf8(reply.json).unwrap();
        assert_eq!(reply.is_error, json.ends_with(r#""isError":true}"#), "{json}");
        Ok(json)
    }

    /// The structured result of a call that succeeds.
    pub(crate) async fn call(&self, tool: &str, arguments: &str) -> Value {
        let reply = self.raw(tool, arguments).await.unwrap();
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply.get("isError"), None, "{reply}");
        let text: Value = serde_json::from_str(reply["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, reply["structuredContent"]);
        text
    }

    /// The text of a call that is refused.
    pub(crate) async fn refusal(&self, tool: &str, arguments: &str) -> String {
        let reply = self.raw(tool, arguments).await.unwrap();
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["isError"], true, "{reply}");
        assert_eq!(reply.get("structuredContent"), None);
        reply["content"][0]["text"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn store(&self, arguments: &str) -> Value {
        self.call("qe_memory_store", arguments).await
    }

    pub(crate) async fn retrieve(&self, arguments: &str) -> Value {
        self.call("qe_memory_retrieve", arguments).await
    }
}
