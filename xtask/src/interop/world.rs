//! What the clients and servers of the `clients` group work on: a folder with
//! a file and a repository, and the list of upstreams.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::process::Server;
use super::{Context, Result};

/// Tools that the upstream `many` generates, beside its own.
const MANY: &str = "300";

/// Each process that loads it takes its time, so that tests for it take more than a second.
const SLOW: &str = "import time\ntime.sleep(0.5)\n\n\ndef double(x: int) -> int:\n    return x * 2\n";

/// An entry of `mcpServers`, as MCP clients write it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Upstream {
    Stdio {
        command: PathBuf,
        args: Vec<String>,
        env: BTreeMap<&'static str, String>,
    },
    Http {
        #[serde(rename = "type")]
        kind: &'static str,
        url: String,
    },
}

/// The folder, and the upstreams by name.
#[derive(Debug)]
pub(super) struct World {
    pub(super) folder: PathBuf,
    pub(super) upstreams: BTreeMap<&'static str, Upstream>,
    /// Held because it ends with this.
    _remote: Server,
}

impl World {
    /// Writes the files and starts the one server that runs by itself.
    pub(super) fn build(context: &Context) -> Result<Self> {
        let folder = context.run.folder().join("files");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("note.txt"), "written before the gateway started\n")?;
        fs::write(folder.join("slow.py"), SLOW)?;
        repository(&folder.join("repo"))?;
        let tools = &context.tools;
        let mut command = context.run.command(tools.node(), "remote")?;
        let remote = Server::start(command.arg(tools.script("everything-http.mjs")))?;

        let shown = |path: PathBuf| path.display().to_string();
        let text = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
        let (mark, id) = context.run.mark();
        let stdio =
            |command: &Path, args: Vec<String>, more: Option<(&'static str, String)>| Upstream::Stdio {
                command: command.to_owned(),
                args,
                env: [(mark, id.to_owned())].into_iter().chain(more).collect(),
            };
        // A server of the reference collection for Node.js.
        let node = |package: &str, more: &[&str], env| {
            let mut args = vec![shown(tools.package(&format!("{package}/dist/index.js")))];
            args.extend(text(more));
            stdio(tools.node(), args, env)
        };
        let files = shown(folder.clone());
        let memory = ("MEMORY_FILE_PATH", shown(folder.join("memory.jsonl")));
        let upstreams = BTreeMap::from([
            ("everything", node("server-everything", &["stdio"], None)),
            ("remote", Upstream::Http { kind: "http", url: remote.url.clone() }),
            ("files", node("server-filesystem", &[&files], None)),
            ("memory", node("server-memory", &[], Some(memory))),
            ("thinking", node("server-sequential-thinking", &[], None)),
            ("time", stdio(&tools.python("mcp-server-time"), text(&["--local-timezone", "UTC"]), None)),
            (
                "git",
                stdio(
                    &tools.python("mcp-server-git"),
                    vec!["--repository".to_owned(), shown(folder.join("repo"))],
                    None,
                ),
            ),
            ("many", stdio(&context.fixture, text(&["stdio", "--tools", MANY]), None)),
        ]);
        Ok(Self { folder, upstreams, _remote: remote })
    }

    /// Writes the upstreams as an `.mcp.json` and says where.
    pub(super) fn configuration(&self) -> Result<PathBuf> {
        let path = self.folder.with_file_name("servers.json");
        let configuration = BTreeMap::from([("mcpServers", &self.upstreams)]);
        fs::write(&path, serde_json::to_vec_pretty(&configuration)?)?;
        Ok(path)
    }

    /// Our own file, by which every reply over HTTP is compressed that the client takes compressed, and built-in tools may look
    /// at the folder.
    pub(super) fn settings(&self) -> Result<PathBuf> {
        let path = self.folder.with_file_name("settings.toml");
        let root = serde_json::to_string(&self.folder.display().to_string())?;
        let compression = "[transport]\ncompression = \"always\"\ncompression_min_bytes = 1\n";
        fs::write(&path, format!("{compression}[qe]\nroots = [{root}]\n"))?;
        Ok(path)
    }
}

/// A repository with two commits.
fn repository(folder: &Path) -> Result<()> {
    fs::create_dir(folder)?;
    let git = |arguments: &[&str]| -> Result<()> {
        let settings =
            ["-c", "user.name=Interop", "-c", "user.email=interop@example.org", "-c", "commit.gpgsign=false"];
        let status = Command::new("git").current_dir(folder).args(settings).args(arguments).status()?;
        if status.success() { Ok(()) } else { Err(format!("git {}: {status}", arguments.join(" ")).into()) }
    };
    git(&["init", "--quiet"])?;
    for message in ["the first commit", "the second commit"] {
        fs::write(folder.join("file.txt"), message)?;
        git(&["add", "file.txt"])?;
        git(&["commit", "--quiet", "--message", message])?;
    }
    Ok(())
}
