//! Which answers of an upstream may be kept, as far as its manifest decides it.

use std::sync::Arc;

use aqe_core::cache::{Kind, Place, Source};
use aqe_core::revision::Era;
use sha2::{Digest, Sha256};

use super::resources::Resources;
use crate::cache::ResultCache;
use crate::settings::SessionScope;
use crate::upstream::{Manifest, Upstream};

/// Where answers of one upstream are kept that themselves say so.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Those to `resources/read`.
    pub(crate) resources: Option<Arc<Place>>,
    /// Those to `prompts/get`.
    pub(crate) prompts: Option<Arc<Place>>,
}

/// An upstream as the cache knows it; `None` if nothing of it is kept.
pub(super) fn source(
    upstream: &Upstream,
    manifest: Option<&Manifest>,
    cache: &ResultCache,
) -> Option<Source> {
    let settings = upstream.settings();
    // What is in this process is there at once. What a server keeps for one session of a client is not what it would
    // answer to another one, and a session is gone before an answer could be of use again.
    if upstream.in_process().is_some() || settings.session_scope == Some(SessionScope::PerClientSession) {
        return None;
    }
    let manifest = manifest?;
    let peer = &manifest.peer;
    let mut identity = Sha256::new();
    for part in
        [&settings.identity()[..], peer.revision.as_bytes(), peer.server_info.as_deref().unwrap_or_default()]
    {
        identity.update((part.len() as u64).to_le_bytes());
        identity.update(part);
    }
    // Only the modern era knows hints (2026-07-28, "Caching").
    let speaks_of_it = peer.era == Era::Modern || peer.dual;
    let has_any = manifest.capability("resources").is_some() || manifest.capability("prompts").is_some();
    Some(Source {
        hints: settings.cache.hints && speaks_of_it && has_any,
        rules: settings.cache.clone(),
        namespace: cache.namespace(upstream.name()),
        identity: identity.finalize().into(),
    })
}

/// Where answers are kept that themselves say so, by the upstream's position.
pub(super) fn places(
    manifests: &[(&Arc<Upstream>, Option<Arc<Manifest>>)],
    sources: &[Option<Source>],
    resources: &Resources,
) -> Vec<Places> {
    let place = |source: &Option<Source>, manifest: &Option<Arc<Manifest>>, kind: Kind, capability: &str| {
        manifest.as_ref().filter(|manifest| manifest.capability(capability).is_some())?;
        source.as_ref()?.hinted(kind)
    };
    let all = manifests.iter().zip(sources).map(|((upstream, manifest), source)| Places {
        // Kept answers have the upstream's own URIs in them.
        resources: place(source, manifest, Kind::Resources, "resources")
            .filter(|_| !resources.renames(upstream.id)),
        prompts: place(source, manifest, Kind::Prompts, "prompts"),
    });
    all.collect()
}
