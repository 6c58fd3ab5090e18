//! Installing peers into a folder under cargo's target folder, each with its package manager's ordinary client.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::peers::table::{Install, Peer};

/// How long one installation may take: the largest downloads hundreds of megabytes or builds some hundred crates.
const TIME: Duration = Duration::from_secs(2_700);
/// Characters of a log's last line that are shown when an installation fails.
const SHOWN: usize = 300;
/// Written when all is in place; says what.
const DONE: &str = "installed";

/// The folder that a peer is in, installed now if it is not there in this version.
///
/// # Errors
/// If it cannot be installed; with the end of what the package manager said.
pub(crate) fn ready(peer: &Peer) -> Result<PathBuf> {
    let folder = folder()?.join(&peer.key);
    let wanted = format!("{} {:?}", peer.version, peer.install);
    if fs::read_to_string(folder.join(DONE)).is_ok_and(|there| there == wanted) {
        return Ok(folder);
    }
    eprintln!("  installing {} {} …", peer.name, peer.version);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let log = folder.join("install.log");
    for step in steps(peer, &folder)? {
        run(step, &log)?;
    }
    let build = folder.join("build");
    if build.exists() {
        fs::remove_dir_all(build)?;
    }
    fs::write(folder.join(DONE), wanted)?;
    Ok(folder)
}

/// `peers` beside the folder of this program's build profile.
fn folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).ok_or("no target folder above this program")?;
    Ok(target.join("peers"))
}

fn steps(peer: &Peer, folder: &Path) -> Result<Vec<Command>> {
    let version = &peer.version;
    let command = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(folder);
        command
    };
    Ok(match &peer.install {
        Install::Cargo { package, features } => {
            let mut install = command("cargo", &["install", "--locked", package, "--version", version]);
            install.args(["--features", &features.join(",")]).arg("--root").arg(folder);
            install.arg("--target-dir").arg(folder.join("build"));
            vec![install]
        }
        Install::Pip { package, python } => {
            let mut environment = python_of(*python)?;
            environment.args(["-m", "venv", "."]).current_dir(folder);
            let package = format!("{package}=={version}");
            let pip = folder.join("bin").join("pip");
            vec![environment, command(&pip.to_string_lossy(), &["install", "--quiet", &package])]
        }
        Install::Npm { package } => {
            fs::write(folder.join("package.json"), "{\"private\":true}\n")?;
            vec![command("npm", &["install", "--no-audit", "--no-fund", &format!("{package}@{version}")])]
        }
    })
}

/// A Python that is new enough: under its own name, or as a version that pyenv keeps.
fn python_of(least: u32) -> Result<Command> {
    let test = format!("import sys, ensurepip; sys.exit(sys.version_info < (3, {least}))");
    let newest = least + 2;
    let mut candidates: Vec<Command> = vec![Command::new("python3")];
    for minor in least..=newest {
        candidates.push(Command::new(format!("python3.{minor}")));
        let mut kept = Command::new("python3");
        kept.env("PYENV_VERSION", format!("3.{minor}"));
        candidates.push(kept);
    }
    for mut candidate in candidates {
        let mut fresh = Command::new(candidate.get_program());
        fresh.envs(candidate.get_envs().filter_map(|(name, value)| Some((name, value?))));
        candidate.args(["-c", &test]).stdout(Stdio::null()).stderr(Stdio::null());
        if candidate.status().is_ok_and(|status| status.success()) {
            return Ok(fresh);
        }
    }
    Err(format!("needs Python 3.{least} or later with venv").into())
}

/// The name of a package manager.
fn tool_of(step: &Command) -> String {
    Path::new(step.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn run(mut step: Command, log: &Path) -> Result<()> {
    let out = File::options().create(true).append(true).open(log)?;
    step.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    let mut child = step.spawn().map_err(|error| format!("{}: {error}", tool_of(&step)))?;
    let deadline = Instant::now() + TIME;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(format!("was not installed within {} s", TIME.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if status.success() {
        return Ok(());
    }
    let said = fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let last: String = last.chars().take(SHOWN).collect();
    Err(format!("{} has failed: {last}; all of it is in its install.log", tool_of(&step)).into())
}
