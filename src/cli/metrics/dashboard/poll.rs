//! Asking the server again and again, whatever becomes of it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::fleets::merge;
use crate::cli::metrics::Window;
use crate::cli::metrics::source::{INTERVAL, Source, interval};

/// Where the last minutes are, second by second.
pub(super) const HISTORY: &str = "/admin/metrics/history";
/// Where the fleets are, their newest tasks with them.
pub(super) const FLEETS: &str = "/admin/fleets";

/// What is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// The time that the figures are of.
    pub(super) window: Window,
    /// Whether nothing is to be asked for.
    pub(super) paused: bool,
    /// The task of a fleet that is looked at, by id.
    pub(super) task: Option<String>,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Told {
    /// The server has answered.
    Figures {
        /// `/admin/metrics`, with what [`merge`] adds.
        document: Value,
        /// `/admin/metrics/history`, or null.
        history: Value,
        /// Where the server is.
        at: Option<PathBuf>,
    },
    /// It has not, and why.
    Trouble(String),
}

/// Asks `every` so often, or as often as the server likes it, and at once when the wish has changed. Ends when nobody
/// wishes or listens any more.
pub(super) async fn poll(
    mut source: Source,
    every: Option<Duration>,
    mut wishes: watch::Receiver<Wish>,
    tell: mpsc::Sender<Told>,
) {
    let mut pause = every.unwrap_or(INTERVAL);
    // The first answer is there already.
    let mut next = Instant::now() + pause;
    loop {
        let paused = wishes.borrow_and_update().paused;
        tokio::select! {
            () = sleep_until(next), if !paused => {}
            changed = wishes.changed() => {
                if changed.is_err() {
                    return;
                }
                next = Instant::now();
                continue;
            }
        }
        next = Instant::now() + pause;
        let wish = wishes.borrow().clone();
        let told = tokio::select! {
            told = ask(&mut source, &wish) => told,
            // What is asked for is not wanted any more.
            _ = wishes.changed() => {
                next = Instant::now();
                continue;
            }
        };
        if let Told::Figures { document, .. } = &told {
            pause = every.unwrap_or_else(|| interval(document));
        }
        if tell.send(told).await.is_err() {
            return;
        }
    }
}

async fn ask(source: &mut Source, wish: &Wish) -> Told {
    match source.ask(&wish.window.path()).await {
        Ok(mut document) => {
            let fleets = source.ask(FLEETS).await.unwrap_or_default();
            let task = match &wish.task {
                Some(task) => source.ask(&format!("{FLEETS}/tasks/{task}")).await.unwrap_or_default(),
                None => Value::Null,
            };
            merge(&mut document, &fleets, &task);
            // Without it the charts are empty, and the figures are right.
            let history = source.ask(HISTORY).await.unwrap_or_default();
            Told::Figures { document, history, at: source.socket() }
        }
        Err(failure) => Told::Trouble(failure.to_string()),
    }
}
