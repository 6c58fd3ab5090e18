//! The processes: this program as naive and as optimised gateway, and as what stands behind both.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aqe_load::Result;
use aqe_load::message::{Call, Era};
use aqe_load::pipe::Talk;
use aqe_load::process::{Process, apart, arguments, pss_kib};
use aqe_load::target::{Options, Place, Target};
use aqe_load::tree::Tree;
use serde_json::Value;
use tempfile::TempDir;

use super::row::Figure;
use crate::cli::bench::echo;
use crate::cli::{Failure, ask, client};

/// The names of the upstreams: over HTTP, and over stdio.
pub(super) const UPSTREAMS: [&str; 2] = ["web", "child"];
/// Tools of the child, as many as the seeds speak of.
pub(super) const TOOLS: u16 = 213;
/// How long a gateway may take to learn what its upstreams offer.
const LEARN: Duration = Duration::from_secs(20);

/// Everything that runs; ends with this value, the gateways before what is behind them.
pub(super) struct Sides {
    gateways: [Gateway; 2],
    program: PathBuf,
    /// For starts, whose store knows the upstreams' tools.
    primed: [PathBuf; 2],
    /// Tools that a gateway lists.
    tools: usize,
    _web: Process,
    _folder: TempDir,
}

struct Gateway {
    process: Process,
    url: String,
    socket: PathBuf,
}

impl Sides {
    /// Starts all, and waits until both gateways know all tools.
    pub(super) fn start() -> Result<Self> {
        let program = std::env::current_exe()?;
        let folder = tempfile::tempdir()?;
        let place = |name: &str| -> Result<PathBuf> {
            let place = folder.path().join(name);
            std::fs::create_dir(&place)?;
            Ok(place)
        };
        let (web, said) = Process::server(serve(&program, &place("web")?, "http", true))?;
        let url = text(&said, "url")?;
        let config = |place: &Path| std::fs::write(place.join("aqe.toml"), configuration(&program, &url));
        let gateway = |name: &str, optimized| -> Result<Gateway> {
            let place = place(name)?;
            config(&place)?;
            let (process, said) = Process::server(serve(&program, &place, "http", optimized))?;
            Ok(Gateway { process, url: text(&said, "url")?, socket: text(&said, "socket")?.into() })
        };
        let gateways = [gateway("naive", false)?, gateway("optimized", true)?];
        let primed = [place("naive-start")?, place("optimized-start")?];
        for place in &primed {
            config(place)?;
        }
        let mut sides = Self { gateways, program, primed, tools: 0, _web: web, _folder: folder };
        sides.tools = sides.learn()?;
        for optimized in [false, true] {
            sides.prime(optimized)?;
        }
        Ok(sides)
    }

    /// Waits until both gateways list the tools of both upstreams; how many those are.
    fn learn(&self) -> Result<usize> {
        let deadline = Instant::now() + LEARN;
        loop {
            let mut counts = Vec::new();
            for Gateway { url, .. } in &self.gateways {
                let target = Target::open(Place::Url(url.clone()), &Options::default())?;
                let has = |upstream: &str| {
                    let prefix = format!("{upstream}__");
                    target.tools.iter().any(|tool| tool.name.starts_with(&prefix))
                };
                counts.push(if UPSTREAMS.iter().all(|name| has(name)) { target.tools.len() } else { 0 });
            }
            match counts[..] {
                [naive, optimized] if naive > 0 && naive == optimized => return Ok(naive),
                _ if Instant::now() > deadline => {
                    return Err(format!("the gateways do not list their upstreams' tools: {counts:?}").into());
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Lets a gateway over stdio learn the tools once, so that later ones know them.
    fn prime(&self, optimized: bool) -> Result<()> {
        let mut talk = self.stdio(optimized)?;
        talk.initialize()?;
        let deadline = Instant::now() + LEARN;
        while listed(&talk.ask(list().fresh())?)? < self.tools {
            if Instant::now() > deadline {
                return Err("a gateway over stdio does not list its upstreams' tools".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// From spawning a gateway to its first list.
    ///
    /// # Errors
    /// Also if that is not the whole list.
    pub(super) fn start_once(&self, optimized: bool) -> Result<Duration> {
        let started = Instant::now();
        let mut talk = self.stdio(optimized)?;
        talk.initialize()?;
        let answer = talk.ask(list().fresh())?;
        let took = started.elapsed();
        match listed(&answer)? {
            tools if tools == self.tools => Ok(took),
            tools => Err(format!("a start lists {tools} of {} tools", self.tools).into()),
        }
    }

    fn stdio(&self, optimized: bool) -> Result<Talk> {
        Talk::start(serve(&self.program, &self.primed[usize::from(optimized)], "stdio", optimized))
    }

    /// The gateways as what is to be called.
    pub(super) fn targets(&self, options: &Options) -> Result<Vec<Target>> {
        self.gateways.iter().map(|gateway| Target::open(Place::Url(gateway.url.clone()), options)).collect()
    }

    /// What each gateway's pool has counted.
    pub(super) fn pools(&self) -> std::result::Result<[Value; 2], Failure> {
        ask::block_on(async {
            let [naive, optimized] = &self.gateways;
            let (naive, optimized) = (
                client::get(&naive.socket, "/admin/pool").await?,
                client::get(&optimized.socket, "/admin/pool").await?,
            );
            Ok([naive, optimized])
        })?
    }

    /// Megabytes of each gateway.
    pub(super) fn memory(&self) -> [Figure; 2] {
        [0, 1].map(|side| {
            let gateway = self.gateways[side].process.id();
            let tree = Tree::of(gateway).processes();
            let own =
                tree.into_iter().filter(|pid| !arguments(*pid).iter().any(|word| word == echo::COMMAND));
            let mut sum = 0;
            for pid in own {
                match pss_kib(pid) {
                    Ok(kib) => sum += kib,
                    // One that ends meanwhile has no memory: a plain gateway starts a child for each call.
                    Err(_) if pid != gateway => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
            Ok(sum as f64 * 1_024.0 / 1e6)
        })
    }
}

/// `mcp start` in a folder of its own.
fn serve(program: &Path, folder: &Path, transport: &str, optimized: bool) -> Command {
    let mut command = apart(program, folder);
    command.args(["mcp", "start", "--transport", transport, "--log", "error"]);
    if transport == "http" {
        command.args(["--listen", "127.0.0.1:0", "--json"]);
    }
    command.arg(format!("--optimized={optimized}")).env_remove("RUST_LOG").stderr(Stdio::null());
    command
}

fn configuration(program: &Path, url: &str) -> String {
    let [web, child] = UPSTREAMS;
    let program = program.to_string_lossy();
    let args = ["mcp".to_owned(), echo::COMMAND.to_owned(), format!("--tools={TOOLS}")];
    format!(
        "[registry]\nprefix = \"always\"\n\n[store]\npath = \"aqe.db\"\n\n[[upstream]]\nname = {web:?}\nurl = {url:?}\n\n\
         [[upstream]]\nname = {child:?}\ncommand = {program:?}\nargs = {args:?}\n"
    )
}

fn list() -> aqe_load::message::Request {
    Call::method(Era::Legacy, "tools/list").line()
}

/// Tools in an answer.
fn listed(answer: &[u8]) -> Result<usize> {
    let answer: Value = serde_json::from_slice(answer)?;
    answer["result"]["tools"]
        .as_array()
        .map(Vec::len)
        .ok_or_else(|| format!("no list of tools: {answer}").into())
}

fn text(said: &Value, member: &str) -> Result<String> {
    said[member].as_str().map(str::to_owned).ok_or_else(|| format!("no {member} in {said}").into())
}
