//! The model of `aqe-embed`, as the store wants one.

use std::sync::Arc;

use aqe_store::Embedder;

#[derive(Debug)]
struct StaticModel;

impl Embedder for StaticModel {
    fn key(&self) -> &str {
        aqe_embed::key()
    }

    fn dims(&self) -> usize {
        aqe_embed::DIMS
    }

    fn embed(&self, text: &str) -> Option<Vec<i8>> {
        aqe_embed::embed(text).map(|vector| vector.0.to_vec())
    }
}

/// What makes the vectors of memory entries, for [`aqe_store::SqliteOptions`].
pub fn embedder() -> Arc<dyn Embedder> {
    Arc::new(StaticModel)
}
