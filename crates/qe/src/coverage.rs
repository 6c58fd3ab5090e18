//! Coverage: reports of all formats as one model, and what they say of a working tree.

pub(crate) mod analyze;
pub(crate) mod collect;
mod discover;
mod filter;
pub(crate) mod formats;
pub(crate) mod load;
pub(crate) mod model;
mod page;
pub(crate) mod patch;
mod paths;
