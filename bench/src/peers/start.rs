//! Starting a gateway in front of the upstream, as often as wanted: until it lists the upstream's tools.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aqe_load::target::{Options, Place as At, Target};
use aqe_load::tree::Tree;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Result;
use crate::message::Era;
use crate::peers::table::{Places, Way};
use crate::place::{Place, on};
use crate::process::Process;
use crate::subject::Home;

/// How long one may take to list the upstream's tools.
const START: Duration = Duration::from_secs(120);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);
/// Bytes of a log's end that are shown when one does not start.
const SHOWN: usize = 300;

/// A command line that can be started again and again.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    words: Vec<String>,
    env: Vec<(String, String)>,
    folder: Option<String>,
}

impl Line {
    /// The same as a command; what it inherits it inherits.
    pub(crate) fn of(command: &Command) -> Self {
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let env = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
        Self {
            words: std::iter::once(command.get_program()).chain(command.get_args()).map(text).collect(),
            env: env.collect(),
            folder: command.get_current_dir().map(|folder| folder.to_string_lossy().into_owned()),
        }
    }

    /// As a command.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).envs(self.env.iter().cloned());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// As words that start it in its folder with its environment: `env` becomes what it starts.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec!["env".to_owned()];
        words.extend(self.folder.iter().flat_map(|folder| ["-C".to_owned(), folder.clone()]));
        words.extend(self.env.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend(self.words.iter().cloned());
        words
    }

    fn fill(&self, places: &Places) -> Self {
        let fill = |text: &String| places.fill(text);
        Self {
            words: self.words.iter().map(fill).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect(),
            folder: self.folder.clone(),
        }
    }
}

/// How a side is reached.
#[derive(Debug, Clone)]
enum Reach {
    /// It runs already.
    Url(String),
    /// It says its URL in its first line.
    Says(Line),
    /// It listens on the port that it is given, and may be told something then.
    Port { line: Line, endpoint: String, then: Option<Line> },
    /// Over its pipes.
    Pipes(Line),
}

/// One side of a scene.
#[derive(Debug)]
pub(crate) struct Launch {
    reach: Reach,
    /// Files that are written anew, with the port, before each start.
    files: Vec<(String, String)>,
    folder: Option<TempDir>,
    _home: Option<Home>,
}

/// A side that runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// Goes first: it takes leave of its sessions.
    pub(crate) target: Target,
    /// From spawning it to its list with the upstream's tools.
    pub(crate) took: Duration,
    /// What its clients must send.
    pub(crate) headers: Vec<(String, String)>,
    /// Its processes, if they are not the target's own.
    pub(crate) whole: Option<Whole>,
}

/// A process that ends with this value, and all that it has started.
#[derive(Debug)]
pub(crate) struct Whole {
    process: Process,
}

impl Drop for Whole {
    fn drop(&mut self) {
        let all = Tree::of(self.process.id()).processes();
        let _ = self.process.stop();
        // A wrapper may leave behind what it wraps.
        for pid in all.into_iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Launch {
    /// A server that runs and stays.
    pub(crate) fn running(url: String) -> Self {
        Self { reach: Reach::Url(url), files: Vec::new(), folder: None, _home: None }
    }

    /// A server of ours over HTTP, with what it needs on disk.
    pub(crate) fn says(command: &Command, home: Option<Home>) -> Self {
        Self { reach: Reach::Says(Line::of(command)), files: Vec::new(), folder: None, _home: home }
    }

    /// A server over its pipes.
    pub(crate) fn pipes(command: &Command, home: Option<Home>) -> Self {
        Self { reach: Reach::Pipes(Line::of(command)), files: Vec::new(), folder: None, _home: home }
    }

    /// A peer, in a folder of its own that is also its home.
    pub(crate) fn peer(way: &Way, places: &Places, is_http: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_str().ok_or("the folder's path is not text")?.to_owned();
        let mut places = places.clone();
        places.0.push(("folder", path.clone()));
        // Stays the same in all starts, so that what it keeps stays true.
        places.0.push(("port2", free_port()?.to_string()));
        let files = way.files.iter().map(|(name, text)| (name.clone(), places.fill(text))).collect();
        let mut env = vec![("HOME".to_owned(), path.clone())];
        env.extend(way.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let line = |words: &[String]| {
            Line { words: words.to_vec(), env: env.clone(), folder: Some(path.clone()) }.fill(&places)
        };
        let reach = if is_http {
            let then = (!way.then.is_empty()).then(|| line(&way.then));
            Reach::Port { line: line(&way.command), endpoint: way.endpoint.clone(), then }
        } else {
            Reach::Pipes(line(&way.command))
        };
        Ok(Self { reach, files, folder: Some(folder), _home: None })
    }

    /// Starts it on the processor that is measured.
    ///
    /// # Errors
    /// If it does not list the upstream's tools in time; with the end of what it has written.
    pub(crate) fn start(&self, era: Era) -> Result<Started> {
        let port = free_port()?;
        let places = Places(vec![("port", port.to_string())]);
        if let Some(folder) = &self.folder {
            for (name, text) in &self.files {
                fs::write(folder.path().join(name), places.fill(text))?;
            }
        }
        let begun = Instant::now();
        let deadline = begun + START;
        let (mut whole, at) = match &self.reach {
            Reach::Url(url) => (None, At::Url(url.clone())),
            Reach::Says(line) => {
                let mut command = line.command();
                command.stderr(Stdio::null());
                let (process, said) = on(Place::Measured, || Process::server(command))?;
                let url = said["url"].as_str().ok_or_else(|| format!("no url in {said}"))?;
                (Some(Whole { process }), At::Url(url.to_owned()))
            }
            Reach::Port { line, endpoint, then } => {
                let process = on(Place::Measured, || Process::start(self.logged(&line.fill(&places))?))?;
                let mut whole = Whole { process };
                if let Some(then) = then {
                    self.tell(&then.fill(&places), port, &mut whole, deadline)?;
                }
                (Some(whole), At::Url(format!("http://127.0.0.1:{port}{endpoint}")))
            }
            Reach::Pipes(line) => (None, At::Command(line.fill(&places).words())),
        };
        let headers = self.headers();
        loop {
            let options = Options {
                era: Some(era),
                headers: headers.clone(),
                patience: Some(PATIENCE),
                asks_nothing: true,
                ..Options::default()
            };
            let missing: crate::Error = match on(Place::Measured, || Target::open(at.clone(), &options)) {
                Ok(target) if tool(&target).is_some() => {
                    return Ok(Started { target, took: begun.elapsed(), headers, whole });
                }
                Ok(target) => format!("lists {} tools, none of the upstream's", target.tools.len()).into(),
                Err(error) => error,
            };
            if let Some(whole) = &mut whole {
                self.must_run(whole)?;
            }
            if Instant::now() > deadline {
                return Err(format!("{missing}{}", self.said()).into());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The headers that were left in a file of this name when the upstream was registered.
    fn headers(&self) -> Vec<(String, String)> {
        let path = self.folder.as_ref().map(|folder| folder.path().join("headers"));
        let text = path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let header =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.lines().filter_map(header).collect()
    }

    /// Runs what registers the upstream, once the port is open.
    fn tell(&self, then: &Line, port: u16, whole: &mut Whole, deadline: Instant) -> Result<()> {
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            self.must_run(whole)?;
            if Instant::now() > deadline {
                return Err(format!("does not listen{}", self.said()).into());
            }
            std::thread::sleep(PAUSE);
        }
        let status = self.logged(then)?.status()?;
        if status.success() { Ok(()) } else { Err(format!("cannot be set up{}", self.said()).into()) }
    }

    fn must_run(&self, whole: &mut Whole) -> Result<()> {
        match whole.process.child().try_wait()? {
            Some(status) => Err(format!("has ended with {status}{}", self.said()).into()),
            None => Ok(()),
        }
    }

    /// The command, whose output goes to a file: it is read only if it fails.
    fn logged(&self, line: &Line) -> Result<Command> {
        let mut command = line.command();
        let out = File::options().create(true).append(true).open(self.log())?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        Ok(command)
    }

    fn log(&self) -> PathBuf {
        self.folder.as_ref().map_or_else(|| "/dev/null".into(), |folder| folder.path().join("output"))
    }

    fn said(&self) -> String {
        let said = fs::read(self.log()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(SHOWN)..]).into_owned();
        if said.trim().is_empty() { String::new() } else { format!("; its last words: {}", said.trim()) }
    }
}

/// The name under which a server shows the upstream's tool that is called: some write hyphens for underscores.
pub(crate) fn tool(target: &Target) -> Option<&str> {
    let own = |name: &&str| name.replace('-', "_").ends_with(crate::echo::TOOLS[0].0);
    target.tools.iter().map(|tool| tool.name.as_str()).find(own)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
