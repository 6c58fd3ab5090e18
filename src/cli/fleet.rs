//! `fleet`: agents and tasks of a running server. What results look like: `shown`.

mod shown;

use std::io::Read as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::ask::{items, post, text};
use super::output::{self, printable};
use super::{Failure, Server};
use shown::{agents, fleet, tasks, written};

/// Longest file of tasks, bytes: what one message may have.
const TASKS_MAX_BYTES: u64 = 16 << 20;

/// `fleet`.
#[derive(Debug, Subcommand)]
pub(super) enum Fleet {
    /// Make a fleet, or see how it differs from what is asked for.
    #[command(
        after_help = "Examples:\n  aqe-v3 fleet init\n  aqe-v3 fleet init --worker pytest:1:4 --worker npm-test"
    )]
    Init(Init),
    /// Fleets, agents, runs and tasks as they are.
    #[command(after_help = "Examples:\n  aqe-v3 fleet status\n  aqe-v3 fleet status default --json")]
    Status(Status),
    /// Start agents before tasks need them.
    #[command(after_help = "Example:\n  aqe-v3 fleet spawn pytest --count 2")]
    Spawn(Spawn),
    /// Run one task by its profile, or those of a file.
    #[command(
        after_help = "Examples:\n  aqe-v3 fleet run pytest paths=tests --wait 600\n  aqe-v3 fleet run --file tasks.json"
    )]
    Run(Run),
    /// Cancel a run or a task.
    #[command(after_help = "Example:\n  aqe-v3 fleet cancel run-5246e67ec7d89e9621ce75dce63dafcd")]
    Cancel(Cancel),
    /// Remove a fleet that has nothing to do, with its runs.
    #[command(
        after_help = "Examples:\n  aqe-v3 fleet remove default\n  aqe-v3 fleet remove default --cancel"
    )]
    Remove(Remove),
    /// What the last attempt of a task has written.
    #[command(after_help = "Example:\n  aqe-v3 fleet logs run-5246e67ec7d89e9621ce75dce63dafcd.0")]
    Logs(Logs),
    /// Be an agent of the server that has started this process.
    #[command(hide = true, after_help = "Example:\n  aqe-v3 fleet work")]
    Work,
}

/// `fleet init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    #[command(flatten)]
    server: Server,
    /// Its name; `default` without one.
    #[arg(long)]
    name: Option<String>,
    /// A profile, with the number of agents to keep and the most, such as `pytest:1:4`.
    #[arg(long = "worker", value_name = "PROFILE[:MIN:MAX]")]
    workers: Vec<String>,
    /// Tasks that may run at a time.
    #[arg(long)]
    max_concurrency: Option<u32>,
    /// `pool`, `pipeline` or `hierarchical`.
    #[arg(long)]
    topology: Option<String>,
    /// Change a fleet that is there.
    #[arg(long)]
    update: bool,
}

/// `fleet status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    server: Server,
    /// The id of a run or a task, or the id or name of a fleet; without it, all fleets.
    id: Option<String>,
}

/// `fleet spawn`.
#[derive(Debug, Args)]
pub(super) struct Spawn {
    #[command(flatten)]
    server: Server,
    /// What they do.
    profile: String,
    /// How many.
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// In which fleet, by id or name.
    #[arg(long)]
    fleet: Option<String>,
}

/// `fleet run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    server: Server,
    /// What is to be done.
    #[arg(required_unless_present = "file")]
    profile: Option<String>,
    /// The task's arguments, such as `paths=tests`; a name given several times makes a list.
    #[arg(value_name = "NAME=VALUE", conflicts_with = "file")]
    arguments: Vec<String>,
    /// A file with a JSON list of tasks, as `qe_task_orchestrate` takes them; `-` is standard input.
    #[arg(long, conflicts_with = "profile")]
    file: Option<String>,
    /// In which fleet, by id or name.
    #[arg(long)]
    fleet: Option<String>,
    /// Seconds to wait for the end.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// `fleet cancel`.
#[derive(Debug, Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    server: Server,
    /// The id of a run or a task.
    id: String,
}

/// `fleet remove`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    server: Server,
    /// Its id or name.
    fleet: String,
    /// Cancel its tasks that are not over.
    #[arg(long)]
    cancel: bool,
}

/// `fleet logs`.
#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    server: Server,
    /// The task's id.
    task: String,
}

impl Fleet {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Work => return Ok(aqe_qe::fleet::work()),
            Self::Init(init) => init.run()?,
            Self::Status(status) => status.run()?,
            Self::Spawn(spawn) => {
                let asked =
                    json!({ "profile": spawn.profile, "count": spawn.count, "fleet_id": spawn.fleet });
                told(&spawn.server, "qe_agent_spawn", &asked, |said| agents(&said["agents"]))?;
            }
            Self::Run(run) => return run.run(),
            Self::Cancel(cancel) => {
                let kind = if is_task(&cancel.id) { "task_id" } else { "run_id" };
                let asked = json!({ "action": "cancel", kind: cancel.id });
                told(&cancel.server, "qe_task_orchestrate", &asked, |said| {
                    format!("{} cancelled, {} stopping", text(&said["cancelled"]), text(&said["stopping"]))
                })?;
            }
            Self::Remove(remove) => {
                let how = if remove.cancel { "cancel" } else { "idle" };
                let asked = json!({ "name": remove.fleet, "remove": how });
                told(&remove.server, "qe_fleet_init", &asked, |said| {
                    format!("{} removed, {} runs cancelled", text(&said["name"]), said["cancelled"])
                })?;
            }
            Self::Logs(logs) => {
                let asked = json!({ "task_id": logs.task });
                told(&logs.server, "qe_fleet_status", &asked, written)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Init {
    fn run(self) -> Result<(), Failure> {
        let workers = self.workers.iter().map(|text| worker(text)).collect::<Result<Vec<_>, _>>()?;
        let asked = json!({
            "name": self.name, "max_concurrency": self.max_concurrency, "topology": self.topology,
            "update": self.update, "workers": (!workers.is_empty()).then_some(workers),
        });
        told(&self.server, "qe_fleet_init", &asked, |said| {
            let what = if said["created"] == true { "made" } else { "there already" };
            let differs: Vec<String> = items(&said["differs"])
                .iter()
                .map(|it| format!("\n{} is {}, not {}", text(&it["what"]), it["in_effect"], it["asked"]))
                .collect();
            format!("{} ({what}), capacity {}{}", text(&said["fleet_id"]), said["capacity"], differs.concat())
        })
    }
}

impl Status {
    fn run(self) -> Result<(), Failure> {
        let asked = match &self.id {
            None => json!({}),
            Some(id) if is_task(id) => json!({ "task_id": id }),
            Some(id) if id.starts_with("run-") => json!({ "run_id": id }),
            Some(id) => json!({ "fleet_id": id }),
        };
        told(&self.server, "qe_fleet_status", &asked, |said| {
            if said["attempts"].is_array() || said["run_id"].is_string() {
                return tasks(said);
            }
            let all =
                if said["fleets"].is_array() { items(&said["fleets"]) } else { std::slice::from_ref(said) };
            let shown: Vec<String> = all.iter().map(fleet).collect();
            if shown.is_empty() {
                "no fleets; make one with: aqe-v3 fleet init".into()
            } else {
                shown.join("\n")
            }
        })
    }
}

impl Run {
    fn run(self) -> Result<ExitCode, Failure> {
        let list = match (&self.file, &self.profile) {
            (Some(file), _) => read(file)?,
            (None, profile) => {
                json!([{ "key": profile, "profile": profile, "args": given(&self.arguments)? }])
            }
        };
        let asked =
            json!({ "tasks": list, "fleet_id": self.fleet, "wait_ms": self.wait.saturating_mul(1000) });
        let said = call(&self.server, "qe_task_orchestrate", &asked)?;
        output::line(&if self.server.json { said.to_string() } else { printable(&tasks(&said)) })?;
        let is_well = matches!(said["state"].as_str(), Some("done" | "running"));
        Ok(ExitCode::from(u8::from(!is_well)))
    }
}

/// Calls a tool of the server and shows what it answers.
fn told(
    server: &Server,
    tool: &str,
    asked: &Value,
    show: impl FnOnce(&Value) -> String,
) -> Result<(), Failure> {
    let said = call(server, tool, asked)?;
    Ok(output::line(&if server.json { said.to_string() } else { printable(&show(&said)) })?)
}

fn call(server: &Server, tool: &str, asked: &Value) -> Result<Value, Failure> {
    // What was not said is not sent.
    let given: Map<String, Value> = asked
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let answer = post(server, "/admin/call", &json!({ "name": tool, "arguments": given }))?;
    let result = &answer["result"];
    if result.is_null() {
        return Err(Failure::Failed(printable(&text(&answer["error"]["message"]))));
    }
    if result["isError"] == true {
        return Err(Failure::Failed(printable(&text(&result["content"][0]["text"]))));
    }
    Ok(result["structuredContent"].clone())
}

fn is_task(id: &str) -> bool {
    id.starts_with("run-") && id.contains('.')
}

fn worker(text: &str) -> Result<Value, Failure> {
    let number = |text: &str| {
        text.parse::<u32>()
            .map_err(|_| Failure::Usage(format!("--worker: \"{text}\" is no number of agents")))
    };
    // Names of built-in tools have a colon.
    let parts: Vec<&str> = text.rsplitn(3, ':').collect();
    match parts[..] {
        [max, min, profile] if max.parse::<u32>().is_ok() => {
            Ok(json!({ "profile": profile, "min": number(min)?, "max": number(max)? }))
        }
        _ => Ok(json!({ "profile": text })),
    }
}

fn given(arguments: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut given = Map::new();
    for argument in arguments {
        let (name, value) = argument
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("\"{argument}\" is not of the form NAME=VALUE")))?;
        match given.get_mut(name) {
            None => {
                given.insert(name.to_owned(), json!(value));
            }
            Some(Value::Array(values)) => values.push(json!(value)),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    Ok(given)
}

fn read(file: &str) -> Result<Value, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{file}: {error}"));
    let mut content = String::new();
    let source: Box<dyn std::io::Read> = if file == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| failed(&error))?)
    };
    source.take(TASKS_MAX_BYTES).read_to_string(&mut content).map_err(|error| failed(&error))?;
    serde_json::from_str(&content).map_err(|error| failed(&error))
}
