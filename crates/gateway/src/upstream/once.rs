//! A child that is given something on its standard input, does its work and ends.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::child::{self, ChildSpec, Started};

/// What is kept of the end of its standard error, bytes.
const LAST_WORDS: usize = 1_024;
/// How long what it has said may still be on its way when it has ended.
const LINGER: Duration = Duration::from_millis(100);

/// Why a run did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RunError {
    /// It could not be started.
    #[error("{0}")]
    Start(String),
    /// It did not end in time and was killed, with what it had started.
    #[error("did not end within {} ms and was killed", .0.as_millis())]
    Timeout(Duration),
    /// It ended with another status than 0.
    #[error("{exit}{}{said}", if said.is_empty() { "" } else { ": " })]
    Failed {
        /// How it ended.
        exit: String,
        /// The last line that it wrote to standard error.
        said: String,
    },
}

/// Runs a command in a process group of its own, writes `input` to its standard input and waits for its end, at most
/// for `limit`. What is left of its group is killed then. Its standard output is not looked at.
///
/// # Errors
/// If it cannot be started, ends with another status than 0, or not in time.
pub(crate) async fn run_once(spec: &ChildSpec, input: Bytes, limit: Duration) -> Result<(), RunError> {
    let run = async {
        let started = child::start(spec).await.map_err(|error| RunError::Start(error.to_string()))?;
        let Started { mut process, mut stdin, stdout, stderr } = started;
        let mut said = Vec::new();
        let exit = {
            let feed = async move {
                // One that does not read it may still do its work.
                let _ = stdin.write_all(&input).await;
                drop(stdin);
            };
            let talk = async { tokio::join!(feed, discard(stdout), tail(stderr, &mut said)) };
            let mut talk = std::pin::pin!(talk);
            let exit = tokio::select! {
                exit = process.exited() => Some(exit),
                _ = &mut talk => None,
            };
            match exit {
                Some(exit) => {
                    let _ = tokio::time::timeout(LINGER, talk).await;
                    exit
                }
                None => process.exited().await,
            }
        };
        if exit.is_success() {
            return Ok(());
        }
        Err(RunError::Failed { exit: exit.to_string(), said: last_line(&said) })
    };
    tokio::time::timeout(limit, run).await.unwrap_or(Err(RunError::Timeout(limit)))
}

async fn discard(mut from: impl AsyncRead + Unpin) {
    let mut buffer = [0; LAST_WORDS];
    while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// Reads to the end and keeps the end.
async fn tail(mut from: impl AsyncRead + Unpin, kept: &mut Vec<u8>) {
    let mut buffer = [0; LAST_WORDS];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        kept.drain(..kept.len().saturating_sub(LAST_WORDS));
    }
}

/// The last line that is not empty, without control characters.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> ChildSpec {
        let path = ("PATH".to_owned(), std::env::var("PATH").unwrap());
        ChildSpec {
            command: "sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![path],
            ..ChildSpec::default()
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn it_reads_what_it_is_given_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let spec = ChildSpec { cwd: Some(folder.path().to_owned()), ..sh("cat > got; echo noise") };
        let input = Bytes::from(vec![b'x'; 300_000]);
        run_once(&spec, input.clone(), LONG).await.unwrap();
        assert_eq!(std::fs::read(folder.path().join("got")).unwrap(), input);
    }

    #[tokio::test]
    async fn one_that_does_not_read_is_none_the_worse() {
        run_once(&sh("exit 0"), Bytes::from(vec![b'x'; 300_000]), LONG).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_is_told_with_its_last_words() {
        let error =
            run_once(&sh("echo one >&2; echo two >&2; exit 3"), Bytes::new(), LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "exited with status 3: two");
        let error = run_once(&sh("kill -9 $$"), Bytes::new(), LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "was killed by signal 9");
        let missing = ChildSpec { command: "/no/such/program".into(), ..ChildSpec::default() };
        let error = run_once(&missing, Bytes::new(), LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "command not found: /no/such/program");
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let script = "sleep 1000 & echo $! > pid; wait";
        let spec = ChildSpec { cwd: Some(folder.path().to_owned()), ..sh(script) };
        let limit = Duration::from_millis(500);
        let error = run_once(&spec, Bytes::new(), limit).await.unwrap_err();
        assert_eq!(error, RunError::Timeout(limit));
        let pid: i32 = std::fs::read_to_string(folder.path().join("pid")).unwrap().trim().parse().unwrap();
        let gone = async {
            // A zombie is nobody's process any more, but has a number until it is reaped.
            while std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, gone).await.unwrap();
    }
}
