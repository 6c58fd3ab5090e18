//! `[[fleet.profile]]`: what the agents of fleets may do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aqe_qe::fleet::{Command, Profile, TIMEOUT, Work, defaults};

use super::env::clip;
use super::keys::{Codes, Flag, Map, OptInt, SectionKeys, Tables, Text, Texts};
use super::paths;
use super::section::Section;

/// `[fleet]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Profiles of the file: new ones, and those that stand in the place of one that is there from the start.
    pub profiles: Vec<Profile>,
}

/// Attempts after the first that a profile may give.
const RETRIES_MAX: u64 = 19;

pub(super) static PROFILE: Tables = Tables { name: "profile", meaning: "What agents may do." };

static NAME: Text = Text {
    name: "name",
    kind: "1 to 64 characters of A-Z a-z 0-9 _ . -",
    absent: "required",
    meaning: "What tasks call it. One of `pytest`, `nextest`, `cargo-test`, `npm-test` and `agent` changes the profile \
              that is there from the start: what the table does not say stays. `agent` runs `claude -p --output-format json` \
              with the task's `prompt`, and is off unless `enabled` is set.",
};
static ENABLED: Flag = Flag { name: "enabled", default: true, meaning: "Whether tasks may use it." };
static COMMAND: Text = Text {
    name: "command",
    kind: "a program",
    absent: "this or `tool` is required for a new profile",
    meaning: "The program that is run: a name in `PATH` or a path. No shell reads it.",
};
static TOOL: Text = Text {
    name: "tool",
    kind: "the name of a tool",
    absent: "`command` is run",
    meaning: "A tool of any upstream, by the name that clients see, that is called instead of a `command`, with the task's `args` as \
              its arguments.",
};
static ARGS: Texts = Texts {
    name: "args",
    kind: "a list of strings",
    absent: "`[]`",
    meaning: "Its arguments. `{name}` stands for an argument of the task. One that is nothing but `{name}` becomes as many arguments \
              as the task gives values, else there must be one value; without a value it is left out.",
};
static PARAMS: Map = Map {
    name: "params",
    kind: "a table of lists of patterns",
    meaning: "The values that a task may give for each `{name}`: `{ level = [\"low\", \"high\"], file = [\"<path>\"] }`. `*` \
              stands for any characters, `?` for one, `<path>` for a path below `cwd`. A value that begins with `-` is \
              refused unless a pattern does, too. A name without patterns takes no value.",
};
static CWD: Text = Text {
    name: "cwd",
    kind: "a path",
    absent: "the first of `roots` in `[qe]`",
    meaning: "The folder that it runs in.",
};
static ENV: Map = Map {
    name: "env",
    kind: "a table of strings",
    meaning: "Its environment variables, beside `PATH`, `HOME`, `LANG` and `TMPDIR`.",
};
static TIMEOUT_S: OptInt = OptInt {
    name: "timeout_s",
    absent: "`600`",
    min: 1,
    max: 86_400,
    meaning: "Longest time for one attempt; a task may ask for less.",
};
static MEMORY_MB: OptInt = OptInt {
    name: "memory_mb",
    absent: "no bound",
    min: 64,
    max: 1 << 20,
    meaning: "Most address space of each of its processes, in MiB. Programs that reserve much (Node.js, Go, Java) need far more \
              than they use.",
};
static RETRIES: OptInt = OptInt {
    name: "retries",
    absent: "`0`",
    min: 0,
    max: RETRIES_MAX,
    meaning: "Attempts after the first, unless the task says otherwise.",
};
static SUCCESS_CODES: Codes = Codes {
    name: "success_codes",
    absent: "`[0]`",
    meaning: "Exit codes that mean success. All others mean failure.",
};
static TRANSIENT_CODES: Codes = Codes {
    name: "transient_codes",
    absent: "`[]`",
    meaning: "Exit codes that mean something passing: another attempt is made after a shorter pause.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "fleet",
    repeated: false,
    meaning: "Agents that run tasks: `qe_fleet_init` and its like.",
    keys: &[&PROFILE],
};

pub(super) static PROFILE_KEYS: SectionKeys = SectionKeys {
    path: "fleet.profile",
    repeated: true,
    meaning: "Something that agents may do; tasks name it and give arguments, never a command line.",
    keys: &[
        &NAME,
        &ENABLED,
        &COMMAND,
        &TOOL,
        &ARGS,
        &PARAMS,
        &CWD,
        &ENV,
        &TIMEOUT_S,
        &MEMORY_MB,
        &RETRIES,
        &SUCCESS_CODES,
        &TRANSIENT_CODES,
    ],
};

impl Fleet {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        let mut names = BTreeSet::new();
        let tables = section.tables(&PROFILE).into_iter();
        let profiles = tables.filter_map(|node| {
            let section = Section::open(section.cx, &PROFILE_KEYS, Some(node));
            let profile = profile(&section)?;
            if !names.insert(profile.name.clone()) {
                let name = clip(&profile.name);
                section.cx.fault(&section.at, format!("there are two profiles \"{name}\""));
            }
            Some(profile)
        });
        Self { profiles: profiles.collect() }
    }
}

/// Reads one table, the whole of it whatever is wrong.
fn profile(section: &Section<'_, '_>) -> Option<Profile> {
    let cx = &section.cx;
    let name = section.text(&NAME);
    let written = |key: &str| section.key_at(key).is_some();
    let base = defaults()
        .into_iter()
        .find(|profile| Some(profile.name.as_str()) == name.as_ref().map(|it| it.value));
    let (base_command, is_new) = match base.as_ref().map(|base| base.work.clone()) {
        Some(Work::Command(command)) => (command, false),
        _ => (Command { success_codes: vec![0], ..Command::default() }, true),
    };
    let program = section.expanded(&COMMAND);
    let tool = section.text(&TOOL);
    let args = section.texts(&ARGS).into_iter();
    let args: Vec<String> =
        args.filter_map(|arg| Some(cx.expand(ARGS.name, arg.value, &arg.at)?.value().to_owned())).collect();
    let params = section.texts_map(&PARAMS).into_iter().map(|(name, patterns)| {
        (name.value.to_owned(), patterns.into_iter().map(|pattern| pattern.value.to_owned()).collect())
    });
    let params: BTreeMap<String, Vec<String>> = params.collect();
    let cwd = section.expanded(&CWD).and_then(|cwd| paths::resolve(cx, CWD.name, cwd.value.value(), &cwd.at));
    let env = section.text_map(&ENV).into_iter().filter_map(|(name, value)| {
        Some((name.value.to_owned(), cx.expand(ENV.name, value.value, &value.at)?.value().to_owned()))
    });
    let env: Vec<(String, String)> = env.collect();
    let timeout = section.opt_int(&TIMEOUT_S).map(Duration::from_secs);
    let memory_mb = section.opt_int(&MEMORY_MB);
    let retries = section.opt_int(&RETRIES).map(|retries| retries as u32);
    let success_codes = section.codes(&SUCCESS_CODES);
    let transient_codes = section.codes(&TRANSIENT_CODES);
    let is_enabled = section.flag(&ENABLED);
    let Some(name) = name else {
        if !written(NAME.name) {
            cx.fault(&section.at, format!("\"{}\" is required", NAME.name));
        }
        return None;
    };
    if !is_name(name.value) {
        let found = clip(name.value);
        cx.fault(&name.at, format!("\"{}\" must be {}; found \"{found}\"", NAME.name, NAME.kind));
        return None;
    }
    if let Some(tool) = tool.filter(|_| program.is_none()) {
        return Some(Profile {
            name: name.value.to_owned(),
            is_enabled,
            work: Work::Tool { tool: Some(tool.value.to_owned()) },
            timeout: timeout.unwrap_or(TIMEOUT),
            retries: retries.unwrap_or(0),
        });
    }
    if let Some(at) = section.key_at(TOOL.name).filter(|_| written(COMMAND.name)) {
        cx.fault(&at, format!("\"{}\" has no effect with \"{}\"", TOOL.name, COMMAND.name));
    }
    if is_new && program.is_none() {
        if !written(COMMAND.name) && !written(TOOL.name) {
            cx.fault(&section.at, format!("\"{}\" or \"{}\" is required", COMMAND.name, TOOL.name));
        }
        return None;
    }
    let command = Command {
        program: program.map_or(base_command.program, |program| program.value.value().to_owned()),
        args: if written(ARGS.name) { args } else { base_command.args },
        params: if written(PARAMS.name) { params } else { base_command.params },
        cwd: cwd.or(base_command.cwd),
        env,
        memory_mb,
        success_codes: success_codes.unwrap_or(base_command.success_codes),
        transient_codes: transient_codes.unwrap_or(base_command.transient_codes),
    };
    Some(Profile {
        name: name.value.to_owned(),
        is_enabled,
        work: Work::Command(command),
        timeout: timeout.unwrap_or(TIMEOUT),
        retries: retries.unwrap_or(0),
    })
}

fn is_name(name: &str) -> bool {
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '.' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(is_sign)
}
