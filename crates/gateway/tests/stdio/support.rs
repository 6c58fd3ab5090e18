//! What the tests share.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aqe_core::envelope::Message;
use aqe_gateway::upstream::{
    CallError, CallTag, ChildSpec, Connection, Events, Item, Outgoing, PendingCall, StdioConnection,
    StdioLimits, next_item,
};
use libtest_mimic::Trial;
use tracing::{Event, Metadata, Subscriber, span};

use super::child;

/// How long a thing that should happen at once may take on a busy machine: far more than the milliseconds it needs,
/// far less than the deadline of a call (30 s and more).
pub const AT_ONCE: Duration = Duration::from_secs(5);

pub const TAG: CallTag = CallTag { owner: 0, wants_log: false, repeatable: false };

/// A test that runs on a runtime of its own.
pub fn trial<F>(name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(test());
        Ok(())
    })
}

/// Records what belongs to no call.
#[derive(Default)]
pub struct Seen {
    pub unsolicited: AtomicUsize,
    pub closed: Mutex<Vec<String>>,
}

impl Events for Seen {
    fn unsolicited(&self, _message: Message) {
        self.unsolicited.fetch_add(1, Ordering::Relaxed);
    }
    fn session_lost(&self) {
        unreachable!("a child has no session that could be lost")
    }

    fn closed(&self, reason: &str) {
        self.closed.lock().unwrap().push(reason.to_owned());
    }
}

pub struct Upstream {
    pub connection: Arc<StdioConnection>,
    pub seen: Arc<Seen>,
}

pub fn this_binary(argument: &str) -> ChildSpec {
    let command = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    ChildSpec { command, args: vec![argument.to_owned()], ..ChildSpec::default() }
}

pub fn shell(script: &str) -> ChildSpec {
    let env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    ChildSpec { command: "sh".into(), args: vec!["-c".into(), script.into()], env, cwd: None }
}

pub async fn start(label: &str, spec: &ChildSpec) -> Upstream {
    let seen = Arc::<Seen>::default();
    let events = Arc::clone(&seen) as Arc<dyn Events>;
    let connection = StdioConnection::spawn(label, spec, StdioLimits::default(), events).await.unwrap();
    Upstream { connection, seen }
}

/// Starts the child of [`child`].
pub async fn start_child() -> Upstream {
    start("child", &this_binary(child::ARGUMENT)).await
}

impl Upstream {
    pub fn send(&self, tool: &str, arguments: &str) -> Box<dyn PendingCall> {
        let id = self.connection.next_id();
        let bytes = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        let out = Outgoing {
            bytes: bytes.into(),
            method: "tools/call".into(),
            name: None,
            headers: Vec::new(),
            pass_from: None,
        };
        Arc::clone(&self.connection).call(id, out, TAG)
    }

    /// The answer's result.
    pub async fn call(&self, tool: &str, arguments: &str) -> Result<String, CallError> {
        finish(self.send(tool, arguments)).await
    }

    pub async fn works(&self) -> bool {
        self.call("echo", r#"{"n":1e400}"#).await == Ok(r#"{"n":1e400}"#.to_owned())
    }

    pub fn pid(&self) -> u32 {
        self.connection.status().pid
    }
}

/// The call's last item, which must come at once.
pub async fn finish(mut call: Box<dyn PendingCall>) -> Result<String, CallError> {
    loop {
        let item = tokio::time::timeout(AT_ONCE, next_item(call.as_mut())).await.expect("the call hangs");
        match item {
            Item::Long(_) => panic!("nothing long was asked for"),
            Item::Answer(message) => return Ok(String::from_utf8_lossy(message.body()).into_owned()),
            Item::Failed(error) => return Err(error),
            Item::Notification(_) | Item::Request(_) => {}
        }
    }
}

/// Waits until a condition holds; panics when it does not within `limit`. Returns how long it took.
pub async fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "after {limit:?} still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// The directories of all processes that are alive.
fn processes() -> impl Iterator<Item = (u32, PathBuf)> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

/// The living members of a process group (proc_pid_stat(5), fields 3 and 5).
pub fn members(group: u32) -> Vec<u32> {
    let of_group = |path: &PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
        let alive = fields.next()? != "Z";
        Some(alive && fields.nth(1)?.parse() == Ok(group))
    };
    processes().filter(|(_, path)| of_group(path) == Some(true)).map(|(pid, _)| pid).collect()
}

/// The processes that have `text` in a file such as `environ` or `cmdline`.
pub fn processes_with(file: &str, text: &str) -> Vec<u32> {
    let holds = |path: &PathBuf| {
        fs::read(path.join(file)).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    };
    processes().filter(|(_, path)| holds(path)).map(|(pid, _)| pid).collect()
}

/// Log lines of the upstream labelled "flood".
pub static FLOOD_LOG_LINES: AtomicUsize = AtomicUsize::new(0);

pub fn count_log_lines() {
    tracing::subscriber::set_global_default(CountLines).unwrap();
}

struct CountLines;

impl Subscriber for CountLines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut flood = false;
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            flood |= field.name() == "upstream" && format!("{value:?}").contains("flood");
        });
        if flood {
            FLOOD_LOG_LINES.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}
