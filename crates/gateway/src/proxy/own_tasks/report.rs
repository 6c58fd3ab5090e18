//! How far a call is that may become a task: told to its client as long as it is a call, then kept as the task's message.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use aqe_core::envelope::Field;
use aqe_core::inprocess::Progress;

use super::{Form, now};
use crate::proxy::builtin::Told;
use crate::proxy::{Gateway, Request, task_forms};

/// Longest text of how far a task is, in characters.
const NOTE_CHARS: usize = 200;

/// A call that is told of how far it is: its client as long as it is a call, then its task.
pub(super) struct Report {
    told: Option<Told>,
    /// What was said last, for people.
    last: Mutex<Option<Arc<str>>>,
    task: OnceLock<(Weak<Gateway>, Arc<str>)>,
    /// A task of 2025-11-25 goes on telling its client; one of the extension does not.
    tells_on: bool,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Report {
    pub(super) fn new(request: &Request<'_>, form: Form, id: &str) -> Self {
        let tells_on = matches!(form, Form::Task(_));
        let token = request.message.raw(Field::MetaProgressToken);
        let told = token.map(|token| match &request.caller.session {
            // The stream of the request ends with its answer.
            Some(session) if tells_on => Told::new(token, &session.outlet, &task_forms::related(id)),
            _ => Told::new(token, request.outlet, ""),
        });
        Self { told, last: Mutex::default(), task: OnceLock::new(), tells_on }
    }

    /// The call goes on as a task.
    pub(super) fn go_on(&self, gateway: &Gateway, id: &Arc<str>) {
        if !self.tells_on {
            self.end();
        }
        let _first = self.task.set((gateway.this.clone(), Arc::clone(id)));
    }

    pub(super) fn said(&self) -> Option<Arc<str>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The client is told no more.
    pub(super) fn end(&self) {
        if let Some(told) = &self.told {
            told.end();
        }
    }
}

impl Progress for Report {
    fn report(&self, done: f64, total: Option<f64>, message: &str) {
        if let Some(told) = &self.told {
            told.report(done, total, message);
        }
        let mut note = total.map(|total| format!("{done} of {total}: ")).unwrap_or_default();
        note.extend(message.chars().take(NOTE_CHARS));
        // First, so that a task that is created now has it.
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(note.as_str().into());
        let Some((gateway, id)) = self.task.get() else { return };
        if let Some(gateway) = gateway.upgrade() {
            gateway.own_tasks.table().note(id, &note, now());
        }
    }
}

/// Says nothing more to the client when a call is given up.
pub(super) struct EndOnDrop(pub(super) Option<Arc<Report>>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(report) = &self.0 {
            report.end();
        }
    }
}
