//! Memory: values that outlive the conversation, under namespace and key, with their versions.
//!
//! What is stored is given back as it was, to the principal that stored it, and as data: nothing in it
//! is ever acted upon here.

mod embedder;
mod fuse;
pub(crate) mod retrieve;
pub(crate) mod search;
pub(crate) mod secrets;
mod snippet;
pub(crate) mod store;

use std::sync::Arc;

use aqe_store::{EntryId, Store};

pub use embedder::embedder;
pub use secrets::Secrets;

/// The three tools' common part.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) secrets: Secrets,
}

/// Before the number in an entry's id as shown.
const ID_PREFIX: &str = "mem_";

fn shown(id: EntryId) -> String {
    [ID_PREFIX, &id.0.to_string()].concat()
}

fn parse_id(text: &str) -> Option<EntryId> {
    let digits = text.strip_prefix(ID_PREFIX)?;
    let number = digits.parse().ok()?;
    // One spelling per id: no sign, no leading zeros.
    Some(EntryId(number)).filter(|&id| shown(id) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        assert_eq!(parse_id(&shown(EntryId(42))), Some(EntryId(42)));
        for other in ["42", "mem_", "mem_042", "mem_+42", "mem_4 2", "mem_99999999999999999999"] {
            assert_eq!(parse_id(other), None, "{other}");
        }
    }
}
