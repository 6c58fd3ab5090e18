//! One pass over a tree, without recursion: however deep a source nests, the stack does not grow.

use tree_sitter::Node;

use super::roles::Role;
use super::{Parsed, SyntaxError};
use crate::stop::Stop;

/// Nodes below this depth are not looked at; hand-written sources stay below a hundredth of it.
const MOST_DEPTH: usize = 4_000;

/// Nodes between two looks at the clock.
const LOOK_EVERY: u32 = 4_096;

/// A node on the way from the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'t> {
    pub(super) node: Node<'t>,
    pub(super) role: Role,
    /// Number of the field that it is in its parent; 0: none.
    pub(super) field: u16,
    pub(super) is_leaf: bool,
}

/// Is shown each node, before and after what is in it.
pub(super) trait Visit<'t> {
    /// `path` leads from the root to the node, which stands last.
    fn enter(&mut self, path: &[Step<'t>]);

    /// The same path as when it was entered.
    fn leave(&mut self, path: &[Step<'t>]) {
        let _ = path;
    }
}

/// Two in one pass: moving about in the tree costs more than looking at it.
impl<'t, One: Visit<'t>, Other: Visit<'t>> Visit<'t> for (One, Other) {
    fn enter(&mut self, path: &[Step<'t>]) {
        self.0.enter(path);
        self.1.enter(path);
    }

    fn leave(&mut self, path: &[Step<'t>]) {
        self.0.leave(path);
        self.1.leave(path);
    }
}

/// Shows all nodes to `visit`, in the order of the text.
pub(super) fn walk<'t>(
    parsed: &'t Parsed<'_>,
    stop: &Stop,
    visit: &mut impl Visit<'t>,
) -> Result<(), SyntaxError> {
    let roles = parsed.roles;
    let mut cursor = parsed.tree.walk();
    let mut path: Vec<Step<'t>> = Vec::with_capacity(64);
    let mut until_look = LOOK_EVERY;
    loop {
        until_look -= 1;
        if until_look == 0 {
            until_look = LOOK_EVERY;
            if stop.left().is_zero() {
                return Err(SyntaxError::Stopped);
            }
        }
        let node = cursor.node();
        let field = cursor.field_id().map_or(0, std::num::NonZero::get);
        let descends = path.len() < MOST_DEPTH && cursor.goto_first_child();
        path.push(Step { node, role: roles.role(node.kind_id()), field, is_leaf: !descends });
        visit.enter(&path);
        if descends {
            continue;
        }
        loop {
            visit.leave(&path);
            path.pop();
            if cursor.goto_next_sibling() {
                break;
            }
            if !cursor.goto_parent() {
                return Ok(());
            }
        }
    }
}
