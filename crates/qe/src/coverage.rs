//! Coverage: reports of all formats as one model, and what they say of a working tree.

pub(crate) mod formats;
pub(crate) mod model;
