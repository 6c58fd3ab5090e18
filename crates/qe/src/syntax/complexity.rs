//! Cyclomatic and cognitive complexity, counted while a tree is walked.

use super::language::Language;
use super::roles::{Role, Roles};
use super::walk::Step;

/// What a node adds to the function that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Added {
    pub(super) cyclomatic: u32,
    pub(super) cognitive: u32,
}

/// What a node says to its children.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    /// How deep the children are nested; `head`: those that belong to the condition.
    nesting: u32,
    head: u32,
    /// The run of logical operators that this is part of.
    run: Option<usize>,
}

/// Follows the walk.
#[derive(Debug)]
pub(super) struct Complexity {
    language: Language,
    roles: &'static Roles,
    frames: Vec<Frame>,
    /// The last operator of each run of logical operators.
    runs: Vec<u16>,
}

impl Complexity {
    pub(super) fn new(language: Language, roles: &'static Roles) -> Self {
        Self { language, roles, frames: Vec::with_capacity(64), runs: Vec::new() }
    }

    /// What the last node of `path` adds.
    pub(super) fn enter(&mut self, path: &[Step<'_>]) -> Added {
        let Some((step, before)) = path.split_last() else { return Added::default() };
        let parent = before.last();
        let outer = self.frames.last().copied().unwrap_or_default();
        let depth = if self.roles.is_head(step.field) { outer.head } else { outer.nesting };
        let mut frame = Frame { nesting: depth, head: depth, run: None };
        let mut added = Added::default();
        let parent_role = parent.map_or(Role::Other, |parent| parent.role);
        let is_alternative = step.field != 0 && step.field == self.roles.fields.alternative;
        match step.role {
            // The walk enters it at the depth of the body before it.
            Role::If if parent_role == Role::Else || (parent_role == Role::If && is_alternative) => {
                added = Added { cyclomatic: 1, cognitive: 1 };
                frame.head = depth.saturating_sub(1);
            }
            Role::ElseIf => {
                added = Added { cyclomatic: 1, cognitive: 1 };
                frame.head = depth.saturating_sub(1);
            }
            Role::If | Role::Loop | Role::Catch | Role::Ternary => {
                added = Added { cyclomatic: 1, cognitive: 1 + depth };
                frame.nesting = depth + 1;
            }
            Role::Let if step.node.child_by_field_id(self.roles.fields.alternative).is_some() => {
                added = Added { cyclomatic: 1, cognitive: 1 + depth };
                frame.nesting = depth + 1;
            }
            Role::Endless | Role::Switch => {
                added.cognitive = 1 + depth;
                frame.nesting = depth + 1;
            }
            Role::Else => {
                // Python's of loops and of `try`: taken or not, unlike that of an `if`.
                added.cyclomatic = u32::from(matches!(parent_role, Role::Loop | Role::Try));
                added.cognitive = 1;
            }
            Role::Case => added.cyclomatic = self.ways_of_case(step),
            Role::Clause | Role::Question | Role::Assert | Role::Parting => added.cyclomatic = 1,
            Role::Parameter => {
                added.cyclomatic = u32::from(step.node.child_by_field_name("value").is_some());
            }
            Role::Closure => frame.nesting = depth + 1,
            Role::Function(_) => frame = Frame::default(),
            Role::Jump => added.cognitive = u32::from(self.has_label(step)),
            Role::Parentheses => frame.run = outer.run,
            Role::Logical | Role::Binary if self.is_logical(step) => {
                frame.run = Some(outer.run.unwrap_or_else(|| {
                    self.runs.push(0);
                    self.runs.len() - 1
                }));
            }
            Role::Keyword => added.cyclomatic = u32::from(parent_role == Role::Words),
            // An operator has an operand before it; a reference and a closure do not.
            Role::LogicalOperator if parent_role == Role::Words => {
                added.cyclomatic =
                    u32::from(step.node.prev_sibling().is_some_and(|before| before.is_named()));
            }
            Role::LogicalOperator => {
                if let Some(last) = outer.run.and_then(|run| self.runs.get_mut(run))
                    && matches!(parent_role, Role::Logical | Role::Binary)
                {
                    let operator = step.node.kind_id();
                    added = Added { cyclomatic: 1, cognitive: u32::from(*last != operator) };
                    *last = operator;
                }
            }
            // Where `else` has no node of its own.
            _ if parent_role == Role::If
                && is_alternative
                && matches!(self.language, Language::Go | Language::Java) =>
            {
                added.cognitive = 1;
            }
            _ => {}
        }
        self.frames.push(frame);
        added
    }

    pub(super) fn leave(&mut self) {
        self.frames.pop();
    }

    fn is_logical(&self, step: &Step<'_>) -> bool {
        step.role == Role::Logical
            || step
                .node
                .child_by_field_id(self.roles.fields.operator)
                .is_some_and(|operator| self.roles.role(operator.kind_id()) == Role::LogicalOperator)
    }

    /// Ways that a `case` adds: none if it takes whatever is left, one, and one for its guard.
    fn ways_of_case(&self, step: &Step<'_>) -> u32 {
        let node = step.node;
        match self.language {
            Language::Java => u32::from(node.named_child_count() > 0),
            Language::Python => {
                let pattern = node.named_child(0);
                // A name alone takes everything, as `_` does.
                let takes_all =
                    pattern.and_then(|pattern| pattern.child(0).filter(|_| pattern.child_count() == 1));
                let takes_all = takes_all.is_some_and(|only| {
                    only.kind() == "_" || (only.kind() == "dotted_name" && only.child_count() == 1)
                });
                // A guard is a clause of its own.
                u32::from(!takes_all)
            }
            Language::Rust => {
                let Some(pattern) = node.child_by_field_name("pattern") else { return 1 };
                let guard = pattern.child_by_field_name("condition");
                let is_wild = pattern.child(0).is_some_and(|only| only.kind() == "_");
                u32::from(!is_wild) + u32::from(guard.is_some())
            }
            _ => 1,
        }
    }

    fn has_label(&self, step: &Step<'_>) -> bool {
        let Some(first) = step.node.named_child(0) else { return false };
        // In Rust a value may stand there.
        self.language != Language::Rust || first.kind() == "label"
    }
}
