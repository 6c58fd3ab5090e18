//! One call: what it works on, and the copy of the project as soon as something is to be run in it.

use std::cell::OnceCell;

use super::arguments::Arguments;
use super::javascript;
use super::memo::Memo;
use super::scratch::{Listing, Scratch};
use crate::builtin::{Context, Request};
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) context: &'a Context,
    pub(super) project: &'a Project,
    pub(super) arguments: &'a Arguments,
    pub(super) request: &'a Request,
    pub(super) listing: &'a Listing,
    scratch: OnceCell<Scratch>,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        context: &'a Context,
        project: &'a Project,
        arguments: &'a Arguments,
        request: &'a Request,
        listing: &'a Listing,
    ) -> Self {
        Self { context, project, arguments, request, listing, scratch: OnceCell::new() }
    }

    pub(super) fn memo(&self) -> &'a Memo {
        &self.context.testgen
    }

    pub(super) fn stop(&self) -> &'a Stop {
        &self.request.stop
    }

    /// The copy, made when it is first asked for.
    pub(super) fn scratch(&self) -> Result<&Scratch, Refusal> {
        if let Some(scratch) = self.scratch.get() {
            return Ok(scratch);
        }
        let scratch = Scratch::of(self.listing, self.stop())?;
        javascript::install(&scratch)?;
        Ok(self.scratch.get_or_init(|| scratch))
    }
}
