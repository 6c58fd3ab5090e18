//! A project in a temporary folder, and the tools over it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::Tools;

/// Runs Git, which must succeed.
pub(crate) fn git_in(folder: &Path, args: &[&str]) {
    let output = Command::new("git").current_dir(folder).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) struct Project {
    folder: tempfile::TempDir,
    pub(crate) tools: Tools,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        fs::create_dir(&root).unwrap();
        let tools = Tools::over(&[&root]);
        Self { folder, tools }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("project").join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn git(&self, args: &[&str]) {
        let who = ["-c", "user.name=A", "-c", "user.email=a@x", "-c", "commit.gpgsign=false"];
        git_in(&self.path(""), &[&who, args].concat());
    }

    /// The structured result of a call that succeeds.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.tools.call(tool, &arguments.to_string()).await
    }

    /// The text of a call that is refused.
    pub(crate) async fn refusal(&self, tool: &str, arguments: Value) -> String {
        self.tools.refusal(tool, &arguments.to_string()).await
    }
}
