//! Names that a source calls. Which function is meant is not resolved: who uses this says that it is approximate.

use hashbrown::HashMap;
use tree_sitter::Node;

use super::roles::Role;
use super::walk::{Step, Visit, walk};
use super::{Parsed, SyntaxError};
use crate::stop::Stop;

/// Names of one file.
const MOST_NAMES: usize = 20_000;
/// Bytes of a name; a longer one is an expression.
const NAME_MAX_BYTES: usize = 200;

impl Parsed<'_> {
    /// How often each name is called: the last part of what stands before the arguments. Of `new T()`, it is `T`.
    pub(crate) fn calls(&self, stop: &Stop) -> Result<HashMap<String, u32>, SyntaxError> {
        let mut visitor = Visitor { parsed: self, counts: HashMap::new() };
        walk(self, stop, &mut visitor)?;
        Ok(visitor.counts)
    }
}

struct Visitor<'t, 's> {
    parsed: &'t Parsed<'s>,
    counts: HashMap<String, u32>,
}

impl<'t> Visit<'t> for Visitor<'t, '_> {
    fn enter(&mut self, path: &[Step<'t>]) {
        let Some(step) = path.last().filter(|step| step.role == Role::Call) else { return };
        let Some(name) = called(step.node) else { return };
        if name.byte_range().len() > NAME_MAX_BYTES {
            return;
        }
        let name = self.parsed.text(name);
        if let Some(count) = self.counts.get_mut(name.as_ref()) {
            *count += 1;
        } else if self.counts.len() < MOST_NAMES {
            self.counts.insert(name.into_owned(), 1);
        }
    }
}

/// The name in a call.
fn called(call: Node<'_>) -> Option<Node<'_>> {
    let mut node = ["function", "name", "constructor", "type"]
        .iter()
        .find_map(|field| call.child_by_field_name(field))?;
    // `a.b::<T>()`: what is called stands in the middle.
    for _ in 0..4 {
        if node.child_count() == 0 {
            return Some(node);
        }
        // What is called there is what a call answers with.
        if node.kind().contains("call") {
            return None;
        }
        node = ["name", "field", "property", "attribute", "function", "type"]
            .iter()
            .find_map(|field| node.child_by_field_name(field))
            .or_else(|| node.named_child(0).filter(|_| node.kind().contains("generic")))?;
    }
    None
}
