//! The flags of a tool, from the schema of its arguments.

use std::collections::BTreeMap;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a tool says of itself, as far as a command line needs it.
#[derive(Deserialize)]
struct Definition<'a> {
    name: &'a str,
    description: String,
    #[serde(rename = "inputSchema", borrow)]
    input: Input<'a>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    properties: BTreeMap<&'a str, Schema>,
    #[serde(default)]
    required: Vec<String>,
}

/// Of JSON Schema what the definitions use.
#[derive(Deserialize)]
struct Schema {
    #[serde(rename = "type")]
    kind: Option<Value>,
    #[serde(rename = "enum")]
    words: Option<Vec<Value>>,
    description: Option<String>,
    items: Option<Box<Schema>>,
    default: Option<Value>,
}

/// How a flag's text becomes an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Flag,
    /// Anything else is written as JSON.
    Json,
    /// JSON, or text where it is none.
    Any,
}

impl Schema {
    fn form(&self) -> Form {
        match self.kind.as_ref().and_then(Value::as_str) {
            Some("string") => Form::Text,
            Some("boolean") => Form::Flag,
            Some(_) => Form::Json,
            None if self.words.is_some() => Form::Text,
            None => Form::Any,
        }
    }

    fn is_list(&self) -> bool {
        self.kind.as_ref().and_then(Value::as_str) == Some("array")
    }

    /// The schema of the value, or of each of a list.
    fn one(&self) -> &Self {
        if self.is_list() { self.items.as_deref().unwrap_or(self) } else { self }
    }

    fn read(&self, text: &str) -> Result<Value, String> {
        let json = |text: &str| serde_json::from_str::<Value>(text);
        match self.one().form() {
            Form::Text => Ok(text.into()),
            Form::Any => Ok(json(text).unwrap_or_else(|_| text.into())),
            // A list without a schema of its items may be of texts.
            Form::Json if self.is_list() && self.items.is_none() => {
                Ok(json(text).unwrap_or_else(|_| text.into()))
            }
            Form::Flag | Form::Json => json(text).map_err(|error| format!("{text:?} is no JSON: {error}")),
        }
    }
}

fn definitions() -> Vec<Definition<'static>> {
    // A test reads all of them.
    aqe_qe::definitions().into_iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
}

fn command_name(tool: &str) -> String {
    tool.trim_start_matches("qe_").replace('_', "-")
}

/// The command whose targets may stand by themselves, as files do for other programs, and the name of that argument.
const GENERATE: &str = "test-generate";
const FILES: &str = "files";

/// `FILE`, or `FILE::NAME`, as a target.
fn target(text: &str) -> Value {
    match text.split_once("::") {
        Some((file, name)) => serde_json::json!({ "file": file, "function": name.replace("::", ".") }),
        None => serde_json::json!({ "file": text }),
    }
}

/// One command for each tool.
pub(super) fn commands() -> Vec<Command> {
    // Fleets live in a server: `fleet` asks it.
    let alone = definitions().into_iter().filter(|tool| !is_of_server(tool.name));
    alone.map(command).collect()
}

fn is_of_server(tool: &str) -> bool {
    ["qe_fleet_", "qe_agent_", "qe_task_"].iter().any(|prefix| tool.starts_with(prefix))
}

fn command(tool: Definition<'static>) -> Command {
    let name = command_name(tool.name);
    let mut command =
        Command::new(name.clone()).about(tool.description).after_help(after(&name, &tool.input));
    for (name, schema) in &tool.input.properties {
        command =
            command.arg(flag(name, schema, tool.input.required.iter().any(|required| required == name)));
    }
    if name == GENERATE {
        command = command.mut_arg("targets", |arg| arg.required(false).required_unless_present(FILES)).arg(
            Arg::new(FILES)
                .value_name("FILE[::NAME]")
                .action(ArgAction::Append)
                .help("Source files, or functions, classes and methods of them (Class::method)"),
        );
    }
    command.arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"))
}

/// What is told below the flags: examples, and what is not to be seen from them.
fn after(name: &str, input: &Input<'_>) -> String {
    let (examples, more): (&[&str], &str) = match name {
        "coverage-analyze" => (&["", " --base main", " --reports coverage/lcov.info --group-by dir"], ""),
        "coverage-gaps" => (&["", " --base main --scope patch", " --rank churn --max-items 5"], ""),
        "quality-gate" => (
            &[
                "",
                " --base origin/main --format markdown",
                " --conditions '{\"metric\":\"new_coverage\",\"op\":\">=\",\"value\":90}'",
                " --inputs '{\"junit\":[\"reports/\"]}' --format sarif > gate.sarif",
                " --format baseline > .qe/baseline.json",
            ],
            "Exit codes: 0 passed or with warnings, 2 failed, 3 no data, 1 it could not be told.",
        ),
        "quality-metrics" => {
            (&["", " --group-by function --sort crap", " --group-by duplicate", " --history 20"], "")
        }
        "test-generate" => (
            &[
                " src/half.py",
                " src/half.py::half src/basket.py::Basket::add --write files",
                " src/lib.rs --write patch | git apply",
                " src/lib.rs --mode plan",
                " --targets '{\"gap_id\":\"…\"}'",
            ],
            "With --write patch the patch alone goes to standard output, what else is said to standard error.",
        ),
        "learn-pattern" => (
            &[
                " --action suggest --query 'flaky network test' --context '{\"language\":\"python\"}'",
                " --action record --pattern '{\"title\":\"Mock the network\"}' --outcome '{\"result\":\"success\"}'",
                " --action export",
            ],
            "",
        ),
        "learn-status" => (&["", " --context '{\"language\":\"python\"}' --top 20"], ""),
        _ => {
            return format!("Example:\n  aqe-v3 qe {name}{}", example(input));
        }
    };
    let mut lines = vec!["Examples:".to_owned()];
    lines.extend(examples.iter().map(|example| format!("  aqe-v3 qe {name}{example}")));
    if !more.is_empty() {
        lines.extend([String::new(), more.to_owned()]);
    }
    lines.join("\n")
}

/// What a flag is for where the definition, which models pay for, leaves it to the name.
fn usual(name: &str) -> &'static str {
    match name {
        "root" => "Folder of the project; default: this one",
        "reports" => "Coverage reports; default: found",
        "paths" => "Files or folders to look at; may be given again",
        "include" => "Only paths like this one (glob); may be given again",
        "exclude" => "No paths like this one; may be given again",
        "base_report" => "Earlier report to compare with",
        "path_map" => "Prefix in reports: folder",
        "include_tests" => "Tests too",
        "scope" => "What is looked at",
        "group_by" => "What a row is",
        "sort" | "rank" => "What comes first",
        "max_items" => "Rows, or places of each condition, at once",
        "cursor" => "Goes on where the last answer ended",
        "context_lines" => "Lines of source for each gap",
        "explain" => "Whether places are named",
        "format" => "Form of the answer",
        "mode" | "action" => "What to do",
        "framework" => "What the tests are written for",
        "mutants" => "Faults that are planted to choose tests by; 0: none",
        "budget_ms" => "How long is searched, about",
        "max_tests" => "Tests that are kept at most",
        "order" => "Order in which ways to values are tried: fixed, or by what was learnt of them (Python)",
        "seed" => "The same seed gives the same answer",
        "write" => "Whether the project gets the files, or they are shown",
        "allow_effects" => "Run functions that write files too, in a copy",
        "baseline" => "Nothing may be worse than in this file",
        "history" => "Commits of the trend",
        "pattern_id" => "A known pattern, such as pat_12",
        "into" => "The pattern that it becomes a part of; without it, its near-duplicates become parts of it",
        "query" => "What is looked for, in words",
        "k" => "Suggestions, or patterns of a page",
        "explore" => "Give what is little known its turn; needs a seed",
        "top" => "Patterns of each list",
        _ => "",
    }
}

fn example(input: &Input<'_>) -> String {
    let required = input.required.iter().map(|name| {
        let of = input.properties.get(name.as_str());
        let value =
            if of.is_some_and(|schema| schema.one().form() == Form::Text) { "NAME" } else { "'{…}'" };
        format!(" --{} {value}", name.replace('_', "-"))
    });
    required.collect()
}

fn flag(name: &'static str, schema: &Schema, required: bool) -> Arg {
    let arg = Arg::new(name).long(name.replace('_', "-")).required(required);
    let default = schema.default.as_ref().map(|default| format!("[default: {default}]"));
    let said = schema.description.clone().or_else(|| schema.one().description.clone());
    let help = said.unwrap_or_else(|| usual(name).to_owned());
    let help: Vec<String> = [help].into_iter().chain(default).filter(|part| !part.is_empty()).collect();
    let arg = arg.help(help.join(" "));
    let one = schema.one();
    if let Some(words) = &one.words {
        let words = words.iter().filter_map(Value::as_str).map(str::to_owned);
        let arg = arg.value_parser(PossibleValuesParser::new(words));
        return if schema.is_list() { arg.action(ArgAction::Append) } else { arg };
    }
    if schema.form() == Form::Flag {
        let arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
        return arg.value_name("BOOL").value_parser(["true", "false"]);
    }
    let of = match one.form() {
        Form::Text => "TEXT",
        Form::Any => "VALUE",
        Form::Flag | Form::Json => match one.kind.as_ref().and_then(Value::as_str) {
            Some("integer" | "number") => "N",
            _ => "JSON",
        },
    };
    let arg = arg.value_name(of).value_parser(value_parser!(String)).allow_hyphen_values(of == "N");
    if schema.is_list() { arg.action(ArgAction::Append) } else { arg }
}

/// The tool that a command stands for, and its arguments.
pub(super) fn read(command: &str, matches: &ArgMatches) -> Result<(String, Map<String, Value>), clap::Error> {
    let tool = definitions().into_iter().find(|tool| command_name(tool.name) == command);
    let tool = tool.ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))?;
    let mut arguments = Map::new();
    for (name, schema) in &tool.input.properties {
        let Some(texts) = matches.get_many::<String>(name) else { continue };
        let values = texts.map(|text| schema.read(text)).collect::<Result<Vec<Value>, _>>();
        let flag = name.replace('_', "-");
        let mut values = values
            .map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, format!("--{flag}: {error}\n")))?;
        let value = if schema.is_list() { values.into() } else { values.pop().unwrap_or_default() };
        arguments.insert((*name).to_owned(), value);
    }
    if command == GENERATE {
        let files = matches.get_many::<String>(FILES).into_iter().flatten().map(|text| target(text));
        let mut targets: Vec<Value> = files.collect();
        if let Some(Value::Array(more)) = arguments.remove("targets") {
            targets.extend(more);
        }
        arguments.insert("targets".into(), targets.into());
    }
    Ok((tool.name.to_owned(), arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<(String, Map<String, Value>), clap::Error> {
        let command = Command::new("qe").subcommands(commands());
        let matches = command.try_get_matches_from([&["qe"], line].concat())?;
        let (command, matches) = matches.subcommand().unwrap();
        read(command, matches)
    }

    #[test]
    fn every_tool_has_a_command_and_every_argument_a_flag() {
        assert_eq!(definitions().len(), aqe_qe::definitions().len());
        for (command, tool) in commands().into_iter().zip(definitions()) {
            command.clone().debug_assert();
            let flags: Vec<_> = command.get_arguments().map(|arg| arg.get_id().to_string()).collect();
            for name in tool.input.properties.keys() {
                assert!(flags.iter().any(|flag| flag == name), "{name} of {}", tool.name);
            }
        }
    }

    #[test]
    fn every_flag_of_the_quality_tools_says_what_it_is_for() {
        for (command, tool) in commands().into_iter().zip(definitions()) {
            if tool.name.contains("memory") {
                continue;
            }
            for arg in command.get_arguments() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "--{} of {}", arg.get_id(), tool.name);
            }
        }
    }

    #[test]
    fn the_examples_in_the_help_are_right() {
        for command in commands() {
            let help = command.get_after_help().unwrap().to_string();
            for line in help.lines().filter_map(|line| line.strip_prefix("  aqe-v3 qe ")) {
                let line = [" > ", " | "].iter().fold(line, |line, end| line.split(end).next().unwrap());
                let words: Vec<String> = line
                    .split('\'')
                    .enumerate()
                    .flat_map(|(at, part)| match at % 2 {
                        0 => part.split_whitespace().map(str::to_owned).collect(),
                        _ => vec![part.to_owned()],
                    })
                    .collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                // Those of the tools without examples of their own stand for any value.
                if !line.contains("NAME") && !line.contains('…') {
                    parsed(&words).unwrap_or_else(|error| panic!("{line}: {error}"));
                }
            }
        }
    }

    #[test]
    fn flags_become_arguments_of_the_right_type() {
        let (tool, arguments) = parsed(&[
            "memory-store",
            "--namespace",
            "n",
            "--value",
            r#"{"a":[1]}"#,
            "--key",
            "12",
            "--tags",
            "x",
            "--tags",
            "y",
            "--ttl-s",
            "60",
        ])
        .unwrap();
        let wanted = serde_json::json!({ "namespace": "n", "value": { "a": [1] }, "key": "12", "tags": ["x", "y"], "ttl_s": 60 });
        assert_eq!((tool.as_str(), Value::Object(arguments)), ("qe_memory_store", wanted));
        let (_, arguments) =
            parsed(&["memory-retrieve", "--namespace", "n", "--key", "k", "--include-history"]).unwrap();
        assert_eq!(arguments["include_history"], true);
    }

    #[test]
    fn tests_are_asked_for_by_files_and_names_in_them() {
        let (_, arguments) =
            parsed(&["test-generate", "a.py", "b.rs::Basket::add", "--targets", r#"{"gap_id":"g"}"#])
                .unwrap();
        let wanted = serde_json::json!([{ "file": "a.py" }, { "file": "b.rs", "function": "Basket.add" }, { "gap_id": "g" }]);
        assert_eq!(arguments["targets"], wanted);
        assert!(parsed(&["test-generate"]).is_err(), "one of both is needed");
    }

    #[test]
    fn a_wrong_flag_is_answered_like_any_other() {
        let said = |line: &[&str]| parsed(line).unwrap_err().to_string();
        assert!(
            said(&["memory-store", "--namespace", "n", "--value", "1", "--ttl-s", "soon"])
                .contains("--ttl-s")
        );
        assert!(said(&["memory-store", "--value", "1"]).contains("--namespace"));
        assert!(said(&["memory-store", "--namespce", "n"]).contains("--namespace"));
    }
}
