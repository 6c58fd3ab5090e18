//! Calls whose answers may be kept: looked for in the cache, made once for all who ask the same, and kept.
//!
//! What is asked with anything that is no plain question (`inputResponses`, a task) goes to the upstream as if there were
//! no cache, and so does what is asked of a server that has not said yet that its answers may be kept.

use std::sync::Arc;
use std::time::Instant;

use aqe_core::cache::{Asked, Entry, Keys, Note, Place, Question, Stamp};
use aqe_core::envelope::{Field, Message};
use aqe_core::monitor::ErrorKind;
use aqe_core::registry::ToolEntry;

use super::call::{Answered, Route};
use super::resources::is_missing;
use super::tools::Found;
use super::{Answer, Caller, Gateway, Request};
use crate::cache::flight::{Personal, Seat, Voice};
use crate::cache::{Arrived, Kept, ResultCache};
use crate::catalog::{Catalog, Target};
use crate::monitor::Fate;
use crate::refusal::Refusal;
use crate::session::{Nowhere, Outlet, next_owner};
use crate::tasks;
use crate::upstream::Upstream;

/// What has come of a call that several may have waited for.
pub(crate) type Come = Result<Arc<Given>, Refusal>;

/// An answer that several may get.
pub(crate) struct Given {
    answered: Answered,
    /// The same for the one who began the call.
    answer: Answer,
    /// Where it is kept, if it is.
    entry: Option<Arc<Entry>>,
}

/// How an answer that was given before, or to another one, is told from one of the upstream.
const SHARED: &str = "shared";

/// Where a call goes if nothing is kept.
#[derive(Clone)]
enum Errand {
    Tool { catalog: Arc<Catalog>, entry: Arc<ToolEntry>, called: Box<str> },
    Prompt { catalog: Arc<Catalog>, entry: Arc<ToolEntry> },
    Resource { upstream: Arc<Upstream>, uri: Box<str> },
}

impl Errand {
    fn method(&self) -> &'static str {
        match self {
            Self::Tool { .. } => "tools/call",
            Self::Prompt { .. } => "prompts/get",
            Self::Resource { .. } => "resources/read",
        }
    }

    /// The upstream's own name of what is asked for.
    fn name(&self) -> &str {
        match self {
            Self::Tool { entry, .. } | Self::Prompt { entry, .. } => &entry.original,
            Self::Resource { uri, .. } => uri,
        }
    }

    async fn run(
        &self,
        gateway: &Arc<Gateway>,
        request: &Request<'_>,
        personal: Option<&Personal>,
    ) -> Result<Answered, Refusal> {
        match self {
            Self::Tool { catalog, entry, called } => {
                let found = Found { catalog, entry, called };
                gateway.forward_tool(request, &found, personal).await
            }
            Self::Prompt { catalog, entry } => {
                gateway.forward_prompt(request, catalog, entry, personal).await
            }
            Self::Resource { upstream, uri } => {
                gateway.forward_resource(request, upstream, uri, personal).await
            }
        }
    }
}

/// An answer for one client.
struct Told {
    answer: Answer,
    /// It says that there is no such thing.
    missing: bool,
}

impl Told {
    fn by(answered: &Answered, answer: Answer) -> Self {
        Self { answer, missing: is_missing(answered) }
    }

    fn found(parts: [bytes::Bytes; 3], error: Option<ErrorKind>) -> Self {
        let fate = Fate { from_cache: true, error, ..Fate::default() };
        Self { answer: Answer::of(parts).with_fate(fate), missing: false }
    }
}

impl Gateway {
    /// Makes a route that of a call whose answer may be kept, as far as the cache takes it; `personal` is told when the
    /// upstream asks the client something.
    pub(super) fn may_keep<'a>(&self, route: &mut Route<'a>, personal: Option<&'a Personal>) {
        route.personal = personal;
        if let (Some(_), Some(cache)) = (personal, &self.cache) {
            route.pass_from = route.pass_from.map(|from| from.max(cache.max_entry_bytes()));
        }
    }

    /// `tools/call` of a tool whose answers may be kept.
    pub(super) async fn run_kept(
        self: &Arc<Self>,
        request: &Request<'_>,
        found: &Found<'_>,
        place: &Arc<Place>,
    ) -> Result<Answer, Refusal> {
        let errand = || Errand::Tool {
            catalog: Arc::clone(found.catalog),
            entry: Arc::clone(found.entry),
            called: found.called.into(),
        };
        Ok(self.through_cache(request, place, &found.entry.original, errand).await?.answer)
    }

    /// `prompts/get` where an answer may say that it may be kept.
    pub(super) async fn prompt_kept(
        self: &Arc<Self>,
        request: &Request<'_>,
        catalog: &Arc<Catalog>,
        entry: &Arc<ToolEntry>,
        place: &Arc<Place>,
    ) -> Result<Answer, Refusal> {
        let errand = || Errand::Prompt { catalog: Arc::clone(catalog), entry: Arc::clone(entry) };
        Ok(self.through_cache(request, place, &entry.original, errand).await?.answer)
    }

    /// `resources/read` where an answer may say that it may be kept; and whether it says that there is no such resource.
    pub(super) async fn resource_kept(
        self: &Arc<Self>,
        request: &Request<'_>,
        upstream: &Arc<Upstream>,
        target: &Target,
        place: &Arc<Place>,
    ) -> Result<(Answer, bool), Refusal> {
        let errand = || Errand::Resource { upstream: Arc::clone(upstream), uri: target.uri.as_str().into() };
        let told = self.through_cache(request, place, &target.uri, errand).await?;
        Ok((told.answer, told.missing))
    }

    /// The future is in a box, because most calls do not come here and should not have to hold it.
    fn through_cache<'a>(
        self: &'a Arc<Self>,
        request: &'a Request<'a>,
        place: &'a Arc<Place>,
        name: &'a str,
        errand: impl FnOnce() -> Errand + Send + 'a,
    ) -> crate::upstream::BoxFuture<'a, Result<Told, Refusal>> {
        let Some(cache) = &self.cache else { return Box::pin(self.directly(request, errand())) };
        if !place.is_used() && !cache.outlives_processes() {
            return Box::pin(self.for_the_first_time(cache, request, place, errand()));
        }
        let Some(asked) = Asked::read(request.message.body()) else {
            return Box::pin(self.directly(request, errand()));
        };
        let question = question(request, place, name, asked);
        if let Some(parts) = cache.hot(&question, request.id) {
            return Box::pin(std::future::ready(Ok(Told::found(parts, None))));
        }
        let Some(keys) = question.keys() else { return Box::pin(self.directly(request, errand())) };
        let now = Instant::now();
        if let Some(hit) = cache.find(&question, &keys, now) {
            if hit.stale && hit.entry.claim_refresh(now) {
                self.refresh(cache, request, place, keys, errand());
            }
            let error = hit.entry.body.is_error.then_some(ErrorKind::Tool);
            return Box::pin(std::future::ready(Ok(Told::found(hit.reply(request.id), error))));
        }
        Box::pin(self.together(cache, request, place, keys, errand()))
    }

    /// As if there were no cache.
    async fn directly(self: &Arc<Self>, request: &Request<'_>, errand: Errand) -> Result<Told, Refusal> {
        let answered = errand.run(self, request, None).await?;
        let answer = answered.finish(request, errand.method());
        Ok(Told::by(&answered, answer))
    }

    /// Asks a server that has not said yet that its answers may be kept.
    async fn for_the_first_time(
        self: &Arc<Self>,
        cache: &ResultCache,
        request: &Request<'_>,
        place: &Arc<Place>,
        errand: Errand,
    ) -> Result<Told, Refusal> {
        let (began, stamp) = (Instant::now(), place.namespace.stamp(place.kind, errand.name()));
        let personal = Personal::default();
        let answered = errand.run(self, request, Some(&personal)).await?;
        let answer = answered.finish(request, errand.method());
        let ttl = answered.message().and_then(|message| message.raw(Field::TtlMs));
        let says = ttl.is_some_and(|ttl| ttl != "0") && !personal.is_set();
        let asked = if says { Asked::read(request.message.body()) } else { None };
        let keys = asked.and_then(|asked| question(request, place, errand.name(), asked).keys());
        if let Some(keys) = keys {
            let (response, took) = (&answer.parts[0], began.elapsed());
            cache.keep(&Arrived { place, name: errand.name(), keys: &keys, stamp, response, took });
        }
        Ok(Told::by(&answered, answer))
    }

    /// Asks the upstream, together with all who ask the same at the same time.
    async fn together(
        self: &Arc<Self>,
        cache: &ResultCache,
        request: &Request<'_>,
        place: &Arc<Place>,
        keys: Keys,
        errand: Errand,
    ) -> Result<Told, Refusal> {
        let voice = Voice::new(request.outlet);
        let _waiting = voice.while_waiting();
        let caller = request.caller.clone();
        let seat = self.call_once(cache, caller, request.message, voice, place, keys, errand.clone());
        let leads = seat.leads();
        let Some(come) = seat.wait().await else {
            // What came of it is for the one who was asked something.
            return self.directly(request, errand).await;
        };
        let given = come?;
        let answered = &given.answered;
        if leads {
            return Ok(Told::by(answered, given.answer.clone()));
        }
        let answer = match &given.entry {
            Some(entry) => {
                let note = Note { level: SHARED, age_ms: 0, stale: false };
                Answer::of(entry.body.reply(request.id, note))
            }
            None => answered.finish(request, errand.method()),
        };
        let fate = Fate { upstream: None, from_cache: true, ..given.answer.fate };
        Ok(Told::by(answered, answer.with_fate(fate)))
    }

    /// Fetches a stale answer anew, in the background.
    fn refresh(
        self: &Arc<Self>,
        cache: &ResultCache,
        request: &Request<'_>,
        place: &Arc<Place>,
        keys: Keys,
        errand: Errand,
    ) {
        // Nothing that the upstream says meanwhile is for the client that was given the stale one.
        let caller =
            Caller { session: None, owner: next_owner(), takes_long: false, ..request.caller.clone() };
        let seat = self.call_once(cache, caller, request.message, Arc::new(Nowhere), place, keys, errand);
        if !seat.leads() {
            return;
        }
        cache.count_refresh();
        tasks::spawn("cache refresh", async move {
            if let Some(Err(refusal)) = seat.wait().await {
                tracing::debug!(reason = refusal.message, "a stale answer could not be fetched anew");
            }
        });
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that a call is made of, taken apart to outlive its request"
    )]
    fn call_once(
        self: &Arc<Self>,
        cache: &ResultCache,
        caller: Caller,
        message: &Message,
        outlet: Arc<dyn Outlet>,
        place: &Arc<Place>,
        keys: Keys,
        errand: Errand,
    ) -> Seat<Come> {
        let stamp = place.namespace.stamp(place.kind, errand.name());
        // Always that of the principal: what the answer says of for whom it is comes too late.
        let key = keys.of(aqe_core::cache::Scope::Private);
        cache.flights.join(&key, stamp, |personal| {
            let call = Call {
                gateway: Arc::clone(self),
                caller,
                message: message.clone(),
                outlet,
                place: Arc::clone(place),
                keys,
                errand,
                stamp,
            };
            async move { call.make(&personal).await }
        })
    }
}

fn question<'a>(request: &Request<'a>, place: &'a Place, name: &'a str, asked: Asked<'a>) -> Question<'a> {
    Question {
        place,
        era: request.caller.era(),
        name,
        arguments: asked.arguments,
        capabilities: asked.capabilities,
        principal: &request.caller.principal,
    }
}

/// A call that belongs to nobody.
struct Call {
    gateway: Arc<Gateway>,
    caller: Caller,
    message: Message,
    outlet: Arc<dyn Outlet>,
    place: Arc<Place>,
    keys: Keys,
    errand: Errand,
    stamp: Stamp,
}

impl Call {
    async fn make(&self, personal: &Personal) -> Come {
        let began = Instant::now();
        let id = self.message.id().unwrap_or("null");
        let request = Request { caller: &self.caller, message: &self.message, outlet: &self.outlet, id };
        let answered = self.errand.run(&self.gateway, &request, Some(personal)).await?;
        let answer = answered.finish(&request, self.errand.method());
        if answer.passing.is_some() {
            // Only one can have it: the others call by themselves.
            personal.set();
        }
        let mut entry = None;
        if let Some(cache) = self.gateway.cache.as_ref().filter(|_| !personal.is_set()) {
            let kept = cache.keep(&Arrived {
                place: &self.place,
                name: self.errand.name(),
                keys: &self.keys,
                stamp: self.stamp,
                response: &answer.parts[0],
                took: began.elapsed(),
            });
            match kept {
                Kept::Here(kept) => entry = Some(kept),
                Kept::Not => {}
                Kept::Unfinished => personal.set(),
            }
        }
        Ok(Arc::new(Given { answered, answer, entry }))
    }
}
