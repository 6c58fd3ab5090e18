//! `mcp metrics --dashboard`: the document on the whole screen, live.

mod chart;
mod detail;
mod draw;
mod fleets;
mod overview;
mod poll;
mod screen;
mod theme;
mod view;

use std::future::pending;
use std::io::IsTerminal as _;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};

use self::draw::Shown;
use self::poll::{FLEETS, HISTORY, Told, Wish, poll};
use self::screen::Screen;
use self::theme::Theme;
use self::view::{Action, Effect, View};
use super::Window;
use super::figures;
use super::listing::Sort;
use super::source::Source;
use crate::cli::{Failure, Server, alerts, client};

/// How long the server may take to do what it was asked.
const ACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the screen is drawn when nothing happens: the age of the figures is told in seconds.
const TICK: Duration = Duration::from_secs(1);

/// Whether standard output is a terminal that can be painted on.
pub(super) fn fits() -> bool {
    let can = std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    can && std::io::stdout().is_terminal()
}

/// Shows the dashboard until somebody leaves it, the terminal is closed or the process is told to end.
pub(super) async fn run(
    server: Server,
    window: Window,
    sort: Sort,
    every: Option<Duration>,
) -> Result<(), Failure> {
    // A server that is not there, or has no such figures, is told on the screen that the user is on.
    let mut source = Source::find(server).await?;
    let mut document = source.ask(&window.path()).await?;
    fleets::merge(&mut document, &source.ask(FLEETS).await.unwrap_or_default(), &Value::Null);
    let history = source.ask(HISTORY).await.unwrap_or_default();
    let mut socket = source.socket();
    let mut shown = Shown { document, history, trouble: None, age: Duration::ZERO };
    let mut view = View::new(window, sort);

    let (wish, wishes) = watch::channel(Wish { window, paused: false, task: None });
    let (tell, mut told) = mpsc::channel(1);
    let mut polling = pin!(poll(source, every, wishes, tell));
    let mut acting: BoxFuture<'static, String> = pending().boxed();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut heard = Instant::now();

    let theme = Theme::of_environment();
    let mut screen = Screen::take()?;
    let mut keys = EventStream::new();
    loop {
        shown.age = heard.elapsed();
        screen.draw(|frame| draw::draw(frame, &shown, &view, theme))?;
        let effect = tokio::select! {
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) => view.key(key, &shown.document),
                // A new size is seen by drawing.
                Some(Ok(_)) => Effect::None,
                // The terminal is gone.
                None | Some(Err(_)) => Effect::Quit,
            },
            _ = terminate.recv() => Effect::Quit,
            _ = interrupt.recv() => Effect::Quit,
            _ = hangup.recv() => Effect::Quit,
            () = &mut polling => Effect::Quit,
            Some(answer) = told.recv() => {
                match answer {
                    Told::Figures { document, history, at } => {
                        (shown.document, shown.history, shown.trouble) = (document, history, None);
                        (socket, heard) = (at, Instant::now());
                    }
                    Told::Trouble(why) => shown.trouble = Some(why),
                }
                Effect::None
            }
            outcome = &mut acting => {
                view.message = Some(outcome);
                acting = pending().boxed();
                Effect::None
            }
            _ = tick.tick() => Effect::None,
        };
        match effect {
            // What is wished for is said below.
            Effect::None | Effect::Refresh => {}
            Effect::Quit => return Ok(()),
            Effect::Repaint => screen.clear()?,
            Effect::Suspend => screen.suspend()?,
            Effect::Do(action) => {
                view.message = Some("asking the server …".into());
                acting = act(socket.clone(), action).boxed();
            }
        }
        let now = Wish { window: view.window, paused: view.paused, task: view.task(&shown.document) };
        wish.send_if_modified(|wish| {
            let is_other = *wish != now;
            *wish = now;
            is_other
        });
    }
}

/// Asks the server to do something: what became of it, in words.
async fn act(socket: Option<impl AsRef<Path>>, action: Action) -> String {
    let (path, body, done) = match action {
        Action::Cancel(call) => (
            "/admin/calls/cancel",
            json!({ "call": call }),
            format!("the call {} is cancelled", figures::line(&call)),
        ),
        Action::End(task) => (
            "/admin/fleets/cancel",
            json!({ "id": task }),
            format!("the task {} is cancelled", figures::line(&task)),
        ),
        Action::Acknowledge(name) => (
            "/admin/alerts/ack",
            json!({ "name": name, "by": alerts::user() }),
            format!("the alert {} is acknowledged", figures::line(&name)),
        ),
    };
    let Some(socket) = socket else { return "the server is gone".into() };
    match timeout(ACTION_TIMEOUT, client::post(socket.as_ref(), path, body.to_string().into())).await {
        Ok(Ok(_)) => done,
        Ok(Err(error)) => figures::line(&error.to_string()),
        Err(_) => format!("the server did not answer within {} s", ACTION_TIMEOUT.as_secs()),
    }
}

#[cfg(test)]
mod tests;
