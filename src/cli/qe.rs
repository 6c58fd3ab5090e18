//! `qe`: the built-in tools, without a server. Their commands and flags are made of what they say of themselves to
//! clients of MCP, so that both are always the same.

mod flags;
mod text;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::inprocess::{Caller, InProcess, Progress, ToolResult};
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Failure, output};
use crate::app;
use crate::config::{self, Environment, Flags};

/// Longest time that one command takes.
const LIMIT: Duration = Duration::from_secs(3600);

/// A tool and its arguments.
#[derive(Debug)]
pub(super) struct Qe {
    tool: String,
    arguments: Map<String, Value>,
    json: bool,
}

impl Subcommand for Qe {
    fn augment_subcommands(command: Command) -> Command {
        // Not before somebody asks for it: `mcp start` has no use for it.
        command.defer(|command| command.subcommand_required(true).subcommands(flags::commands()))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        flags::commands().iter().any(|command| command.get_name() == name)
    }
}

impl FromArgMatches for Qe {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (command, matches) = matches
            .subcommand()
            .ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))?;
        let (tool, arguments) = flags::read(command, matches)?;
        Ok(Self { tool, arguments, json: matches.get_flag("json") })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Says on standard error how far the work is.
#[derive(Debug)]
struct Said;

impl Progress for Said {
    fn report(&self, done: f64, total: Option<f64>, message: &str) {
        let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
        output::complain(&output::printable(&format!("{done}{of} {message}")));
    }
}

/// What a tool answers, or why it does not.
pub(super) fn said(result: &ToolResult) -> Result<Box<RawValue>, Failure> {
    let failed = |error: serde_json::Error| Failure::Failed(error.to_string());
    if result.is_error {
        let reply: Value = serde_json::from_slice(&result.json).map_err(failed)?;
        let text = reply["content"][0]["text"].as_str().unwrap_or("no reason was given");
        return Err(Failure::Failed(output::printable(text)));
    }
    let mut reply: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&result.json).map_err(failed)?;
    reply.remove("structuredContent").ok_or_else(|| Failure::Failed("the tool answered nothing".into()))
}

impl Qe {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tools = self.tools()?;
        let result = runtime.block_on(self.call(&*tools)).map_err(|error| failed(&error))?;
        // What it may have left to do is nobody's any more.
        runtime.shutdown_background();
        let said = &serde_json::from_str::<Value>(said(&result)?.get()).map_err(|error| failed(&error))?;
        if self.json {
            output::line(&said.to_string())?;
        } else if self.arguments.get("write").and_then(Value::as_str) == Some("patch") {
            // What is piped into `git apply` is the patch and nothing else, to the byte.
            output::complain(&output::printable(
                text::of(&self.tool, &text::without_patches(said)).trim_end(),
            ));
            let patch = text::patches(said);
            if !patch.is_empty() {
                let patch = if std::io::stdout().is_terminal() { output::printable(&patch) } else { patch };
                output::line(patch.trim_end_matches('\n'))?;
            }
        } else {
            output::line(&output::printable(text::of(&self.tool, said).trim_end()))?;
        }
        // A gate says what its run exits with.
        let code = said["exit_code"].as_u64().and_then(|code| u8::try_from(code).ok());
        Ok(ExitCode::from(code.unwrap_or(0)))
    }

    /// The tools over the store and the folders of this folder's configuration.
    fn tools(&self) -> Result<Arc<dyn InProcess>, Failure> {
        let folder = std::env::current_dir()?;
        let request = config::Request {
            folder: folder.clone(),
            config: None,
            mcp_config: Vec::new(),
            flags: Flags::default(),
            env: Environment::of_process(),
        };
        let loaded = config::load(&request).map_err(|faults| Failure::Failed(faults.to_string()))?;
        let mut roots: Vec<PathBuf> = vec![folder];
        // Whoever types a folder here may read it.
        roots.extend(self.arguments.get("root").and_then(Value::as_str).map(PathBuf::from));
        roots.extend(loaded.config.qe.roots.iter().cloned());
        let store = app::store(&loaded.config.store);
        let store = store.map_err(|error| Failure::Failed(format!("[store] path: {error}")))?;
        Ok(app::tools(Arc::new(store), &app::tools_settings(roots, &loaded.config)))
    }

    async fn call(&self, tools: &dyn InProcess) -> Result<ToolResult, String> {
        let arguments = Value::Object(self.arguments.clone()).to_string();
        let progress: Arc<dyn Progress> = Arc::new(Said);
        let caller = Caller {
            principal: aqe_gateway::settings::LOCAL_PRINCIPAL,
            deadline: Instant::now() + LIMIT,
            progress: Some(&progress),
        };
        tokio::select! {
            result = tools.call(&self.tool, &arguments, caller) => result.map_err(|error| error.to_string()),
            // Dropping the call ends what it has started.
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    }
}
