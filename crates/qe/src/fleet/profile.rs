//! What agents may do: profiles, declared by the operator, and those that are there from the start.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

/// How long an attempt may take, unless the profile says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(600);

/// Something that agents can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What tasks call it.
    pub name: String,
    /// Whether tasks may use it.
    pub is_enabled: bool,
    /// What is done.
    pub work: Work,
    /// How long an attempt may take at most. A task may ask for less.
    pub timeout: Duration,
    /// Attempts after the first, unless the task says less.
    pub retries: u32,
}

/// What an agent of a profile does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A program is run.
    Command(Command),
    /// A tool of an upstream is called, by the name that clients see, as a client of the task's principal would.
    Tool {
        /// Its name, with the task's `args` as arguments; `None`: `args` has the name as `tool`, and `arguments`.
        tool: Option<String>,
    },
    /// One of the built-in tools is called, in this process, with the task's `args` as its arguments.
    Builtin {
        /// Its name, such as `qe_quality_metrics`.
        tool: String,
    },
}

impl Work {
    /// The tool of a call and its arguments; `None`: it is no call of an upstream's tool.
    pub(crate) fn tool_call(&self, args: &Map<String, Value>) -> Option<Result<(String, String), String>> {
        let Self::Tool { tool } = self else { return None };
        let arguments = |value: &Map<String, Value>| Value::Object(value.clone()).to_string();
        if let Some(tool) = tool {
            return Some(Ok((tool.clone(), arguments(args))));
        }
        let wrong = "the profile needs `args` with `tool`, a name, and `arguments`, an object";
        Some(match (args.get("tool"), args.get("arguments")) {
            (Some(Value::String(tool)), None) => Ok((tool.clone(), "{}".into())),
            (Some(Value::String(tool)), Some(Value::Object(given))) => Ok((tool.clone(), arguments(given))),
            _ => Err(wrong.into()),
        })
    }
}

/// A program and its arguments. No shell reads them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// The program: a name in `PATH`, or a path.
    pub program: String,
    /// Its arguments. `{name}` stands for an argument of the task; see [`Command::argv`].
    pub args: Vec<String>,
    /// The values that a task may give for each `{name}`: patterns with `*` and `?`, or `<path>` for what is below `cwd`.
    pub params: BTreeMap<String, Vec<String>>,
    /// Where it runs; `None`: in the first of the tools' folders.
    pub cwd: Option<PathBuf>,
    /// Variables of its environment, beside `PATH`, `HOME`, `LANG` and `TMPDIR`.
    pub env: Vec<(String, String)>,
    /// Most address space of each of its processes, in MiB; `None`: no bound.
    pub memory_mb: Option<u64>,
    /// Exit codes that mean success.
    pub success_codes: Vec<i32>,
    /// Exit codes that mean something passing, so that another attempt is made soon.
    pub transient_codes: Vec<i32>,
}

impl fmt::Debug for Command {
    /// Without arguments and values of variables, in which secrets may stand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("params", &self.params)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

/// The analysers that tasks may call as `builtin:NAME`. None of them starts a fleet or a task again.
const ANALYSERS: [&str; 5] =
    ["qe_coverage_analyze", "qe_coverage_gaps", "qe_quality_gate", "qe_quality_metrics", "qe_test_generate"];

/// The profiles that are there without any configuration. The operator's of the same name stand in their place.
pub fn defaults() -> Vec<Profile> {
    let path = || vec!["<path>".to_owned()];
    let any = || vec!["*".to_owned()];
    let mut profiles = vec![
        command(
            "pytest",
            "pytest",
            &["-q", "-k={k}", "-m={m}", "{paths}"],
            [("k", any()), ("m", any()), ("paths", path())],
        ),
        command(
            "nextest",
            "cargo",
            &["nextest", "run", "--no-fail-fast", "--package={package}", "{filters}"],
            [("package", any()), ("filters", any())],
        ),
        command(
            "cargo-test",
            "cargo",
            &["test", "--package={package}", "--test={test}", "{filter}"],
            [("package", any()), ("test", any()), ("filter", any())],
        ),
        command("npm-test", "npm", &["test", "--", "{paths}"], [("paths", path())]),
        Profile {
            is_enabled: false,
            ..command("agent", "claude", &["-p", "--output-format", "json", "{prompt}"], [("prompt", any())])
        },
    ];
    profiles.push(Profile {
        name: "tool".into(),
        is_enabled: true,
        work: Work::Tool { tool: None },
        timeout: TIMEOUT,
        retries: 0,
    });
    profiles.extend(ANALYSERS.iter().map(|tool| Profile {
        name: format!("builtin:{tool}"),
        is_enabled: true,
        work: Work::Builtin { tool: (*tool).to_owned() },
        timeout: TIMEOUT,
        retries: 0,
    }));
    profiles
}

fn command<const N: usize>(
    name: &str,
    program: &str,
    args: &[&str],
    params: [(&str, Vec<String>); N],
) -> Profile {
    let command = Command {
        program: program.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        params: params.into_iter().map(|(name, values)| (name.to_owned(), values)).collect(),
        success_codes: vec![0],
        ..Command::default()
    };
    Profile {
        name: name.to_owned(),
        is_enabled: true,
        work: Work::Command(command),
        timeout: TIMEOUT,
        retries: 0,
    }
}

impl Profile {
    /// `command`, `builtin` or `mcp`.
    pub fn kind(&self) -> &'static str {
        match self.work {
            Work::Command(_) => "command",
            Work::Builtin { .. } => "builtin",
            Work::Tool { .. } => "mcp",
        }
    }
}
