//! Cargo in the copy: a target folder and a home of its own, never the network.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;

use super::super::native::{self, BUILD, FORMAT};
use super::super::sandbox::Job;
use super::super::scratch::Scratch;
use super::manifest;
use super::package::Package;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Of addresses, for the project's code: what eats more ends.
const MEMORY_KIB: u64 = 4 << 20;
/// What the copy's Cargo has of the user's.
const LINKED: [&str; 4] = ["registry", "git", "config.toml", "config"];

/// A package that can be built.
pub(super) struct Cargo<'a> {
    scratch: &'a Scratch,
    folder: PathBuf,
    finds_tests: bool,
    stop: &'a Stop,
    version: String,
    /// The program of each test target that was built.
    built: Mutex<Vec<(String, PathBuf)>>,
}

pub(super) enum Built {
    Done,
    Errors(Vec<CompileError>),
}

/// Where the compiler does not go on.
#[derive(Debug)]
pub(super) struct CompileError {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) text: String,
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    message: Option<Message>,
    executable: Option<PathBuf>,
    target: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    #[serde(rename = "message")]
    text: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    line_end: u32,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

#[derive(Deserialize)]
struct Expansion {
    span: Span,
}

impl<'a> Cargo<'a> {
    pub(super) fn of(scratch: &'a Scratch, package: &Package, stop: &'a Stop) -> Result<Self, Refusal> {
        let mut cargo = Self {
            scratch,
            folder: scratch.project().join(&package.folder),
            finds_tests: package.finds_tests,
            stop,
            version: String::new(),
            built: Mutex::new(Vec::new()),
        };
        cargo.link_home().map_err(|error| Refusal(format!("no home for cargo: {error}")))?;
        let (ok, out, _) = cargo.cargo(&["--version"], Duration::from_secs(30))?;
        if !ok {
            return Err(Refusal(
                "plan only: cargo is not installed, or not where the server finds it".into(),
            ));
        }
        String::from_utf8_lossy(&out).trim().trim_start_matches("cargo ").clone_into(&mut cargo.version);
        Ok(cargo)
    }

    pub(super) fn version(&self) -> String {
        self.version.clone()
    }

    /// A home that has the packages that were fetched before, but none of the user's secrets.
    fn link_home(&self) -> std::io::Result<()> {
        let home = self.scratch.beside("cargo");
        fs::create_dir_all(&home)?;
        let Some(own) = user_home("CARGO_HOME", ".cargo") else { return Ok(()) };
        for name in LINKED {
            let (from, to) = (own.join(name), home.join(name));
            if from.exists() && !to.exists() {
                std::os::unix::fs::symlink(from, to)?;
            }
        }
        Ok(())
    }

    /// Runs cargo in the package; whether it did, and what it said.
    fn cargo(&self, args: &[&str], time: Duration) -> Result<(bool, Vec<u8>, String), Refusal> {
        let text = |path: PathBuf| path.display().to_string();
        let manifest = text(self.folder.join("Cargo.toml"));
        let mut all: Vec<&str> = args.to_vec();
        if args.len() > 1 {
            all.extend(["--manifest-path", &manifest]);
        }
        let rustup = user_home("RUSTUP_HOME", ".rustup").map(text).unwrap_or_default();
        let (home, target) = (text(self.scratch.beside("cargo")), text(self.scratch.beside("target")));
        let mut env = vec![
            ("CARGO_HOME", home.as_str()),
            ("CARGO_TARGET_DIR", target.as_str()),
            ("RUSTFLAGS", "--cap-lints=allow"),
            ("CARGO_INCREMENTAL", "0"),
            ("CARGO_PROFILE_DEV_DEBUG", "0"),
            ("CARGO_PROFILE_TEST_DEBUG", "0"),
            ("CARGO_NET_OFFLINE", "true"),
            // One that asks a server for what it has built before would be refused.
            ("RUSTC_WRAPPER", ""),
        ];
        if !rustup.is_empty() {
            env.push(("RUSTUP_HOME", &rustup));
        }
        let readable = readable();
        // A build runs the project's code, too: its build scripts and macros.
        let job = Job { env: &env, held_to: Some(&readable), ..Job::of("cargo", &all) };
        let output = native::compiler(self.scratch, "cargo", job, time, self.stop)?;
        Ok((output.status.success(), output.stdout, output.stderr))
    }

    /// Builds a test target of this source.
    pub(super) fn build(&self, name: &str, source: &str) -> Result<Built, Refusal> {
        let failed = |error: std::io::Error| Refusal(format!("the copy cannot be written: {error}"));
        let tests = self.folder.join("tests");
        fs::create_dir_all(&tests).map_err(failed)?;
        fs::write(tests.join(format!("{name}.rs")), source).map_err(failed)?;
        if !self.finds_tests {
            self.declare(name).map_err(failed)?;
        }
        let args = ["--offline", "test", "--no-run", "--message-format=json", "--test", name];
        let (is_done, out, said) = self.cargo(&args, BUILD)?;
        let lines = String::from_utf8_lossy(&out);
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let (mut errors, mut program) = (Vec::new(), None);
        for line in lines {
            if let Some(message) = line.message.filter(|message| message.level == "error") {
                errors.extend(places(&message));
            }
            if line.reason == "compiler-artifact" && line.target.is_some_and(|target| target.name == name) {
                program = line.executable.or(program);
            }
        }
        match program.filter(|_| is_done) {
            Some(program) => {
                if let Ok(mut built) = self.built.lock() {
                    built.retain(|(other, _)| other != name);
                    built.push((name.to_owned(), program));
                }
                Ok(Built::Done)
            }
            None if !errors.is_empty() => Ok(Built::Errors(errors)),
            // What the library can do without may not be here.
            None if self.lean().map_err(failed)? => self.build(name, source),
            None => Err(refused(&said)),
        }
    }

    /// Makes the manifest ask for less; whether it could.
    fn lean(&self) -> std::io::Result<bool> {
        let place = self.folder.join("Cargo.toml");
        let lean = manifest::lean(&fs::read_to_string(&place)?);
        lean.map_or(Ok(false), |text| fs::write(place, text).map(|()| true))
    }

    /// For packages that list their tests.
    fn declare(&self, name: &str) -> std::io::Result<()> {
        let place = self.folder.join("Cargo.toml");
        let mut text = fs::read_to_string(&place)?;
        let line = format!("name = \"{name}\"");
        if !text.contains(&line) {
            let _ = write!(text, "\n[[test]]\n{line}\npath = \"tests/{name}.rs\"\n");
            fs::write(place, text)?;
        }
        Ok(())
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let built = self.built.lock().ok()?;
        built.iter().find(|(other, _)| other == name).map(|(_, program)| program.clone())
    }

    /// Runs what was built; how it ended.
    pub(super) fn run(&self, name: &str, args: &[&str], env: &[(&str, String)]) -> Result<String, Refusal> {
        self.output(name, args, env).map(|(how, _)| how)
    }

    /// Runs what was built; how it ended, and what it printed.
    pub(super) fn output(
        &self,
        name: &str,
        args: &[&str],
        env: &[(&str, String)],
    ) -> Result<(String, String), Refusal> {
        let Some(program) = self.program(name) else { return Err(Refusal(format!("{name} was not built"))) };
        let program = program.display().to_string();
        let limited = format!("ulimit -v {MEMORY_KIB}; exec \"$@\"");
        let mut all = vec!["-c", limited.as_str(), "sh", &program];
        all.extend(args);
        native::built(self.scratch, "sh", &all, env, &[], self.stop)
    }
}

/// A source as `rustfmt` has it, by the project's own settings; as it is where there is none.
pub(super) fn formatted(scratch: &Scratch, edition: &str, text: String, stop: &Stop) -> String {
    let rustup =
        user_home("RUSTUP_HOME", ".rustup").map(|path| path.display().to_string()).unwrap_or_default();
    let env = [("RUSTUP_HOME", rustup.as_str())];
    let args = ["--quiet", "--edition", edition];
    let env = if rustup.is_empty() { &env[..0] } else { &env[..] };
    let job = Job { env, input: text.clone().into_bytes(), ..Job::of("rustfmt", &args) };
    let output = native::compiler(scratch, "rustfmt", job, FORMAT, stop);
    let done = output.ok().filter(|output| output.status.success() && !output.stdout.is_empty());
    done.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or(text)
}

/// What cargo says of itself, without the rest.
fn refused(said: &str) -> Refusal {
    let from = said.find("error").unwrap_or(0);
    let text: String = said.get(from..).unwrap_or(said).split_whitespace().collect::<Vec<_>>().join(" ");
    Refusal(format!("plan only: cargo cannot build it here: {}", text.chars().take(400).collect::<String>()))
}

/// All lines that an error names in the project's own files.
fn places(message: &Message) -> Vec<CompileError> {
    let mut found = Vec::new();
    for span in message.spans.iter().filter(|span| span.is_primary) {
        let mut span = span;
        // What a macro wrote is blamed on the line that called it.
        while let Some(outer) = span.expansion.as_ref().filter(|_| !Path::new(&span.file_name).is_relative())
        {
            span = &outer.span;
        }
        for line in span.line_start..=span.line_end.min(span.line_start + 50) {
            found.push(CompileError { file: span.file_name.clone(), line, text: message.text.clone() });
        }
    }
    found
}

/// What a build reads beside the copy and what is installed for all: programs, toolchains, and packages that were fetched before.
/// Of the user's own Cargo folder that is all, so that its tokens are not read.
fn readable() -> Vec<PathBuf> {
    let programs: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let own = user_home("CARGO_HOME", ".cargo").into_iter();
    let own = own.flat_map(|home| LINKED.map(|name| home.join(name)));
    programs.into_iter().chain(user_home("RUSTUP_HOME", ".rustup")).chain(own).collect()
}

fn user_home(variable: &str, usual: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(usual)))
}
