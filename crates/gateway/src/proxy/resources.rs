//! `resources/read`, and subscriptions of legacy clients.

use std::sync::Arc;

use aqe_core::envelope::{Field, Kind};

use super::call::{Answered, Route};
use super::{Answer, Gateway, Request};
use crate::cache::flight::Personal;
use crate::refusal::Refusal;
use crate::upstream::Upstream;
use crate::wire;

impl Gateway {
    pub(super) async fn read_resource(self: &Arc<Self>, request: &Request<'_>) -> Result<Answer, Refusal> {
        let uri = request
            .message
            .string(Field::Uri)
            .ok_or_else(|| Refusal::invalid_params("resources/read needs params.uri, a string"))?;
        self.first_lists_or(|catalog| catalog.resources.lists(&uri)).await;
        let catalog = self.catalog();
        let mut last = Err(Refusal::unknown("resource", &uri, &[]));
        for target in catalog.resources.candidates(&uri) {
            let Some(upstream) = catalog.upstream(target.upstream) else { continue };
            if let Some(place) = catalog.resources_of(target.upstream) {
                match self.resource_kept(request, upstream, &target, place).await {
                    Ok((answer, false)) => return Ok(answer),
                    Ok((answer, true)) => last = Ok(answer),
                    Err(refusal) => last = Err(refusal),
                }
                continue;
            }
            let answered = match self.forward_resource(request, upstream, &target.uri, None).await {
                Ok(answered) => answered,
                Err(refusal) => {
                    last = Err(refusal);
                    continue;
                }
            };
            let missing = is_missing(&answered);
            let answer = answered.finish_with(request, "resources/read", |edits| {
                let Some(message) = answered.message() else { return false };
                let contents = message.span(Field::Contents);
                if contents.is_empty() {
                    return false;
                }
                catalog.resources.show_contents(target.upstream, contents, message, edits);
                true
            });
            if !missing {
                return Ok(answer);
            }
            last = Ok(answer);
        }
        last
    }

    /// Sends a `resources/read` to an upstream, for its own `uri`.
    pub(super) async fn forward_resource(
        self: &Arc<Self>,
        request: &Request<'_>,
        upstream: &Arc<Upstream>,
        uri: &str,
        personal: Option<&Personal>,
    ) -> Result<Answered, Refusal> {
        let mut route = Route::to(upstream);
        route.name = Some(uri);
        self.may_keep(&mut route, personal);
        if self.catalog.load().resources.renames(upstream.id) {
            // Its contents name resources as the upstream does.
            route.pass_from = None;
        }
        if request.message.string(Field::Uri).is_none_or(|asked| asked != uri) {
            route.rename = Some((request.message.span(Field::Uri), uri));
        }
        self.forward(request, route).await
    }

    pub(super) async fn subscribe(self: &Arc<Self>, request: &Request<'_>) -> Result<Answer, Refusal> {
        let uri = request
            .message
            .string(Field::Uri)
            .ok_or_else(|| Refusal::invalid_params("resources/subscribe needs params.uri, a string"))?;
        let session =
            request.caller.session.as_ref().ok_or_else(|| Refusal::invalid_request("no session"))?;
        self.first_lists_or(|catalog| catalog.resources.lists(&uri)).await;
        if !session.subscribe(&uri) {
            return Ok(Answer::ok(wire::result(request.id, b"{}")));
        }
        let asked = match self.hold_uri(&uri) {
            Ok(Some((upstream, own))) => self.ask_for_updates(&upstream, &own).await,
            Ok(None) => Ok(()),
            Err(refusal) => {
                session.unsubscribe(&uri);
                return Err(refusal);
            }
        };
        if let Err(refusal) = asked {
            session.unsubscribe(&uri);
            self.release_uri(&uri);
            return Err(refusal);
        }
        Ok(Answer::ok(wire::result(request.id, b"{}")))
    }

    pub(super) fn unsubscribe(self: &Arc<Self>, request: &Request<'_>) -> Answer {
        let uri = request.message.string(Field::Uri).unwrap_or_default();
        if request.caller.session.as_ref().is_some_and(|session| session.unsubscribe(&uri)) {
            self.release_uri(&uri);
        }
        Answer::ok(wire::result(request.id, b"{}"))
    }
}

/// "Not found" in either era's code; somebody else may have it.
pub(super) fn is_missing(answered: &Answered) -> bool {
    answered.message().is_some_and(|message| {
        message.kind() == Kind::Error && matches!(message.raw(Field::Code), Some("-32002" | "-32602"))
    })
}
