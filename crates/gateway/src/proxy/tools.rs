//! `tools/call`, and the other requests that a name leads to an upstream.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use aqe_core::cache::Caching;
use aqe_core::envelope::{Field, Kind, Message, decode_quoted, encode_string, open_object};
use aqe_core::registry::{Lookup, ToolEntry};
use bytes::Bytes;

use super::call::{Answered, Route};
use super::task_owners::Place;
use super::{Answer, Caller, Gateway, Request};
use crate::cache::flight::Personal;
use crate::catalog::Catalog;
use crate::monitor::{Flight, LookedUp};
use crate::refusal::Refusal;
use crate::upstream::Upstream;

/// The tool of a call.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) catalog: &'a Arc<Catalog>,
    pub(super) entry: &'a Arc<ToolEntry>,
    /// The name that the client used.
    pub(super) called: &'a str,
}

/// A tool that was found under another name than the one called.
struct Near {
    similarity: f64,
    variant: &'static str,
}

impl Gateway {
    pub(super) async fn call_tool(
        self: &Arc<Self>,
        request: &Request<'_>,
        flight: &Flight,
    ) -> Result<Answer, Refusal> {
        let name = request
            .message
            .string(Field::Name)
            .ok_or_else(|| Refusal::invalid_params("tools/call needs params.name, a string"))?;
        let mut catalog = self.catalog.load_full();
        if catalog.tools.get(&name).is_none() {
            self.first_lists_or(|catalog| catalog.tools.get(&name).is_some()).await;
            catalog = self.catalog.load_full();
        }
        let (entry, near) = self.find_tool(&catalog, &name)?;
        flight.is_of(entry);
        Self::check_param_headers(request, &catalog, entry)?;
        let found = Found { catalog: &catalog, entry, called: &name };
        let answer = self.run_tool(request, &found, flight).await?;
        Ok(match near {
            Some(near) => note_near(answer, &name, entry, &near),
            None => answer,
        })
    }

    fn find_tool<'c>(
        &self,
        catalog: &'c Catalog,
        name: &str,
    ) -> Result<(&'c Arc<ToolEntry>, Option<Near>), Refusal> {
        let count = |lookup| self.monitor.iter().for_each(|monitor| monitor.count_lookup(lookup));
        if !self.settings.optimized {
            let found = catalog.tools.scan(name);
            count(if found.is_some() { LookedUp::Exact } else { LookedUp::Unknown });
            return found.map(|entry| (entry, None)).ok_or_else(|| Refusal::unknown("tool", name, &[]));
        }
        match catalog.tools.lookup(name, &self.resolved, |_| true) {
            Lookup::Exact(entry) => {
                count(LookedUp::Exact);
                Ok((entry, None))
            }
            Lookup::Resolved { entry, similarity, variant, .. } => {
                count(LookedUp::Resolved);
                Ok((entry, Some(Near { similarity, variant: variant.as_str() })))
            }
            Lookup::Unknown { suggestions } => {
                count(LookedUp::Unknown);
                let names: Vec<String> =
                    suggestions.iter().map(|suggestion| suggestion.entry.shown.to_string()).collect();
                Err(self.with_absent(Refusal::unknown("tool", name, &names)))
            }
        }
    }

    /// Adds the upstreams whose offer was never seen: what is unknown may be theirs.
    fn with_absent(&self, mut refusal: Refusal) -> Refusal {
        for upstream in self.upstreams().iter().filter(|upstream| upstream.manifest().is_none()) {
            if let Some(error) = upstream.status().error {
                let _ = write!(refusal.message, " (upstream {} is not available: {error})", upstream.name());
            }
        }
        refusal
    }

    /// A modern HTTP client repeats annotated arguments in headers; both must say the same.
    fn check_param_headers(
        request: &Request<'_>,
        catalog: &Catalog,
        entry: &ToolEntry,
    ) -> Result<(), Refusal> {
        let Some(headers) = &request.caller.param_headers else { return Ok(()) };
        let Some(params) = catalog.param_headers.get(&entry.shown) else { return Ok(()) };
        let arguments = request.message.raw(Field::Arguments).unwrap_or("{}");
        params.check(headers, arguments.as_bytes()).map_err(Refusal::header_mismatch)
    }

    async fn run_tool(
        self: &Arc<Self>,
        request: &Request<'_>,
        found: &Found<'_>,
        flight: &Flight,
    ) -> Result<Answer, Refusal> {
        let Found { catalog, entry, .. } = *found;
        let upstream = catalog.upstream_of(entry);
        if let Some(tools) = upstream.in_process() {
            return self.run_builtin(request, upstream, tools, entry, flight).await;
        }
        let _writing = match &entry.caching {
            Caching::None => None,
            Caching::Keeps(place) => return self.run_kept(request, found, place).await,
            Caching::Invalidates(namespace) => self.cache.as_ref().map(|cache| cache.writing(namespace)),
        };
        // Not by `forward_tool`: an answer is large, and each function that it is returned through costs a copy.
        let answered = self.forward(request, tool_route(request, found)).await?;
        self.remember_task_of(&answered, upstream, request.caller);
        if let (Answered::Passing(passing), Caching::Invalidates(namespace)) = (&answered, &entry.caching) {
            passing.invalidate_at_end(self, namespace);
        }
        Ok(answered.finish(request, "tools/call"))
    }

    /// Sends a call to the tool's upstream. `personal` is told when that asks the client something.
    pub(super) async fn forward_tool(
        self: &Arc<Self>,
        request: &Request<'_>,
        found: &Found<'_>,
        personal: Option<&Personal>,
    ) -> Result<Answered, Refusal> {
        let mut route = tool_route(request, found);
        self.may_keep(&mut route, personal);
        let answered = self.forward(request, route).await?;
        self.remember_task_of(&answered, found.catalog.upstream_of(found.entry), request.caller);
        Ok(answered)
    }

    fn remember_task_of(&self, answered: &Answered, upstream: &Upstream, caller: &Caller) {
        // A result with a task in it is not long.
        let Answered::Whole { message, live, .. } = answered else { return };
        let place = Place { upstream: upstream.id, replica: live.replica };
        let remember = |task: &str| {
            let session = caller.session.as_ref().map(|session| session.owner);
            self.tasks.remember(task, place, &caller.principal, session, Instant::now());
        };
        if let Some(task) = message.string(Field::TaskId) {
            remember(&task);
            return;
        }
        // 2025-11-25 answers {"task":{"taskId":…}}.
        if let Some(task) = message.raw(Field::Task).and_then(|task| task_id(task.as_bytes())) {
            remember(&task);
        }
    }

    pub(super) async fn get_prompt(self: &Arc<Self>, request: &Request<'_>) -> Result<Answer, Refusal> {
        let name = request
            .message
            .string(Field::Name)
            .ok_or_else(|| Refusal::invalid_params("prompts/get needs params.name, a string"))?;
        self.first_lists_or(|catalog| catalog.prompts.get(&name).is_some()).await;
        let catalog = self.catalog();
        let Some(entry) = catalog.prompts.get(&name) else {
            let near = catalog.prompts.nearest(&name, 3, |_| true);
            let near: Vec<String> = near.iter().map(|near| near.entry.shown.to_string()).collect();
            return Err(Refusal::unknown("prompt", &name, &near));
        };
        if let Some(place) =
            catalog.caching_of(entry.upstream.index).and_then(|caching| caching.prompts.as_ref())
        {
            return self.prompt_kept(request, &catalog, entry, place).await;
        }
        Ok(self.forward_prompt(request, &catalog, entry, None).await?.finish(request, "prompts/get"))
    }

    /// Sends a `prompts/get` to the prompt's upstream.
    pub(super) async fn forward_prompt(
        self: &Arc<Self>,
        request: &Request<'_>,
        catalog: &Catalog,
        entry: &ToolEntry,
        personal: Option<&Personal>,
    ) -> Result<Answered, Refusal> {
        let mut route = Route::to(catalog.upstream_of(entry));
        route.name = Some(&entry.original);
        self.may_keep(&mut route, personal);
        if entry.shown != entry.original {
            route.rename = Some((request.message.span(Field::Name), &entry.original));
        }
        self.forward(request, route).await
    }

    /// `completion/complete`: about a prompt or a resource template.
    pub(super) async fn complete(self: &Arc<Self>, request: &Request<'_>) -> Result<Answer, Refusal> {
        let bad = || Refusal::invalid_params("completion/complete needs params.ref with a name or a uri");
        let reference = request.message.span(Field::Ref);
        let members = open_object(reference.of(request.message.bytes())).map_err(|_| bad())?;
        let member = |name: &str| {
            let (_, value) = members.iter().find(|(key, _)| key == name)?;
            let text = decode_quoted(value)?;
            let start = value.as_ptr() as usize - request.message.bytes().as_ptr() as usize;
            let span = aqe_core::envelope::Span { start: start as u32, end: (start + value.len()) as u32 };
            Some((span, text))
        };
        self.first_lists().await;
        let catalog = self.catalog();
        if let Some((span, name)) = member("name") {
            let entry = catalog.prompts.get(&name).ok_or_else(|| Refusal::unknown("prompt", &name, &[]))?;
            let mut route = Route::to(catalog.upstream_of(entry));
            if entry.shown != entry.original {
                route.rename = Some((span, &entry.original));
            }
            let answered = self.forward(request, route).await?;
            return Ok(answered.finish(request, "completion/complete"));
        }
        let (span, uri) = member("uri").ok_or_else(bad)?;
        let target = catalog.resources.template_owner(&uri).map(|upstream| (upstream, uri.to_string()));
        let target = target.or_else(|| {
            let target = catalog.resources.candidates(&uri).into_iter().next()?;
            Some((target.upstream, target.uri))
        });
        let (upstream, own) = target.ok_or_else(|| Refusal::unknown("resource", &uri, &[]))?;
        let mut route =
            Route::to(catalog.upstream(upstream).ok_or_else(|| Refusal::unknown("resource", &uri, &[]))?);
        if own != uri {
            route.rename = Some((span, &own));
        }
        Ok(self.forward(request, route).await?.finish(request, "completion/complete"))
    }
}

/// Where a call of a tool goes, and what is changed about it.
fn tool_route<'a>(request: &Request<'_>, found: &Found<'a>) -> Route<'a> {
    let Found { catalog, entry, called } = *found;
    let mut route = Route::to(catalog.upstream_of(entry));
    route.timeout = route.settings.timeout_for(&entry.original);
    route.name = Some(&entry.original);
    route.category = Some(&entry.category);
    // The server's word counts here: what it repeats, it repeats to itself.
    let says = entry.annotations;
    route.repeatable = says.read_only == Some(true) || says.idempotent == Some(true);
    if says.read_only == Some(true) {
        route.hedge_after = entry.usage.p95();
    }
    if called != &*entry.shown {
        // It was misspelt, and what is said of that is put into the result.
        route.pass_from = None;
    }
    // By a prefix, or because the client has misspelt it.
    if called != &*entry.original {
        route.rename = Some((request.message.span(Field::Name), &entry.original));
    }
    if let Some(params) = catalog.param_headers.get(&entry.shown) {
        route.headers = params.of(request.message.raw(Field::Arguments).unwrap_or("{}").as_bytes());
    }
    route
}

/// The id of a task, raw JSON.
pub(super) fn task_id(task: &[u8]) -> Option<String> {
    let members = open_object(task).ok()?;
    let (_, value) = members.into_iter().find(|(name, _)| name == "taskId")?;
    decode_quoted(value).map(Cow::into_owned)
}

/// Says in `_meta` which tool ran in place of the one that was named.
fn note_near(answer: Answer, called: &str, entry: &ToolEntry, near: &Near) -> Answer {
    let Answer { status, fate, .. } = answer;
    let note = format!(
        r#""aqe-v3/resolvedTool":{{"called":{},"ran":{},"similarity":{:.3},"match":"{}"}}"#,
        encode_string(called),
        encode_string(&entry.shown),
        near.similarity,
        near.variant
    );
    Answer { status, fate, ..Answer::ok(with_meta(answer.into_bytes(), &note)) }
}

/// A response with a member more in `_meta` of its result; what has none stays as it is.
pub(super) fn with_meta(response: Bytes, member: &str) -> Bytes {
    let limits = aqe_core::envelope::Limits { max_depth: u16::MAX / 64, ..Default::default() };
    let Ok(message) = Message::parse(response.clone(), limits) else { return response };
    if message.kind() != Kind::Response {
        return response;
    }
    let mut edits = message.edit();
    match message.raw(Field::Meta) {
        Some(meta) if meta.starts_with('{') => edits.insert_members(message.span(Field::Meta), member),
        _ => edits.insert_members(message.body_span(), &format!(r#""_meta":{{{member}}}"#)),
    };
    edits.apply().into()
}
