//! Where the way through a source parts, on what, and where to.

use serde::Serialize;
use tree_sitter::Node;

use super::roles::Role;
use super::walk::{Step, Visit, walk};
use super::{Parsed, SyntaxError, first_line, last_line};
use crate::project::git::Lines;
use crate::stop::Stop;

/// Characters of a condition that are kept.
const CONDITION_CHARS: usize = 160;
/// Branches of one file, and ways of one branch.
const MOST_BRANCHES: usize = 50_000;
const MOST_OUTCOMES: usize = 200;

/// What sort of branch it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BranchKind {
    If,
    Loop,
    Switch,
    Catch,
    Ternary,
    /// Operands that are looked at only if those before them leave it open.
    Logical,
}

/// One place where the way parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Branch {
    pub(crate) kind: BranchKind,
    /// All of it, with the bodies.
    pub(crate) lines: Lines,
    /// What it depends on, as it stands in the source, in one line.
    pub(crate) condition: String,
    pub(crate) outcomes: Vec<Outcome>,
}

/// One way to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// `true`, `false`, `case X`, `raised`; of logical operators, the operand.
    pub(crate) label: String,
    /// The first line of what happens then; `None` where the way goes on behind the branch.
    pub(crate) line: Option<u32>,
}

impl Parsed<'_> {
    /// All branches, in the order in which they begin; of those on one line the outer one first.
    pub(crate) fn branches(&self, stop: &Stop) -> Result<Vec<Branch>, SyntaxError> {
        let mut visitor = Visitor { parsed: self, branches: Vec::new() };
        walk(self, stop, &mut visitor)?;
        Ok(visitor.branches)
    }
}

struct Visitor<'t, 's> {
    parsed: &'t Parsed<'s>,
    branches: Vec<Branch>,
}

impl<'t> Visit<'t> for Visitor<'t, '_> {
    fn enter(&mut self, path: &[Step<'t>]) {
        let [before @ .., step] = path else { return };
        if self.branches.len() >= MOST_BRANCHES {
            return;
        }
        let node = step.node;
        let (kind, condition, outcomes) = match step.role {
            Role::If | Role::ElseIf => {
                (BranchKind::If, field(node, &["condition"]), self.of_if(node, before))
            }
            Role::Loop => {
                let condition = field(node, &["condition", "right", "value"]).or_else(|| clause(node));
                (BranchKind::Loop, condition, of_loop(node))
            }
            Role::Switch => {
                (BranchKind::Switch, field(node, &["value", "subject", "condition"]), self.of_switch(node))
            }
            Role::Catch => {
                let raised = Outcome {
                    label: "raised".into(),
                    line: Some(body(node).map_or(first_line(node), first_line)),
                };
                (BranchKind::Catch, caught(node), vec![raised])
            }
            Role::Ternary => of_ternary(node),
            Role::Logical | Role::Binary if self.is_outermost_logical(step, before) => {
                (BranchKind::Logical, Some(node), self.of_logical(node))
            }
            _ => return,
        };
        if outcomes.is_empty() {
            return;
        }
        let condition = condition.map(|node| self.parsed.short(node, CONDITION_CHARS)).unwrap_or_default();
        let condition = unwrapped(&condition).to_owned();
        let lines = Lines { start: first_line(node), end: last_line(node) };
        self.branches.push(Branch { kind, lines, condition, outcomes });
    }
}

impl<'t> Visitor<'t, '_> {
    fn role(&self, node: Node<'_>) -> Role {
        self.parsed.roles.role(node.kind_id())
    }

    fn of_if(&self, node: Node<'t>, before: &[Step<'t>]) -> Vec<Outcome> {
        let then = field(node, &["consequence"]).map(inner_line);
        // Python's clauses stand side by side in the `if`, and each is the other way of the one before it.
        let after = match (self.role(node), before.last()) {
            (Role::ElseIf, _) => clauses(node.next_named_sibling(), |next| self.role(next)),
            _ => field(node, &["alternative"]),
        };
        vec![
            outcome("true", then),
            outcome(
                "false",
                after.map(|after| match self.role(after) {
                    Role::If | Role::ElseIf => first_line(after),
                    Role::Else => {
                        after.named_child(0).map_or(first_line(after), |inner| match self.role(inner) {
                            Role::If => first_line(inner),
                            _ => inner_line(inner),
                        })
                    }
                    _ => inner_line(after),
                }),
            ),
        ]
    }

    fn of_switch(&self, node: Node<'t>) -> Vec<Outcome> {
        let block = field(node, &["body"]).unwrap_or(node);
        let mut outcomes = Vec::new();
        let mut cursor = block.walk();
        for child in block.named_children(&mut cursor).filter(|child| !child.is_extra()) {
            if outcomes.len() >= MOST_OUTCOMES {
                break;
            }
            let is_case = matches!(self.role(child), Role::Case)
                || matches!(
                    child.kind(),
                    "switch_default" | "default_case" | "switch_rule" | "switch_block_statement_group"
                );
            if is_case {
                let head = field(child, &["pattern", "value", "type", "communication"])
                    .filter(|_| child.kind() != "match_pattern")
                    .or_else(|| {
                        child
                            .named_child(0)
                            .filter(|first| matches!(first.kind(), "switch_label" | "case_pattern"))
                    });
                let head = head.map(|head| self.parsed.short(head, 60)).unwrap_or_default();
                let head = head.trim_start_matches("case ");
                let label = if head.is_empty() || head == "default" {
                    "default".into()
                } else {
                    format!("case {head}")
                };
                outcomes.push(Outcome { label, line: Some(first_line(child)) });
            }
        }
        outcomes
    }

    fn is_logical(&self, node: Node<'_>) -> bool {
        match self.role(node) {
            Role::Logical => true,
            Role::Binary => node
                .child_by_field_id(self.parsed.roles.fields.operator)
                .is_some_and(|operator| self.role(operator) == Role::LogicalOperator),
            _ => false,
        }
    }

    fn is_outermost_logical(&self, step: &Step<'t>, before: &[Step<'t>]) -> bool {
        let outer = before.iter().rev().find(|outer| outer.role != Role::Parentheses);
        self.is_logical(step.node) && !outer.is_some_and(|outer| self.is_logical(outer.node))
    }

    /// The operands, from left to right, those in parentheses as one.
    fn of_logical(&self, node: Node<'t>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if outcomes.len() >= MOST_OUTCOMES {
                break;
            }
            if self.is_logical(node) {
                let operands = u32::try_from(node.named_child_count()).unwrap_or(0).min(MOST_OUTCOMES as u32);
                open.extend((0..operands).rev().filter_map(|at| node.named_child(at)));
            } else if !node.is_extra() {
                outcomes.push(Outcome { label: self.parsed.short(node, 60), line: Some(first_line(node)) });
            }
        }
        outcomes
    }
}

fn outcome(label: &str, line: Option<u32>) -> Outcome {
    Outcome { label: label.to_owned(), line }
}

fn field<'t>(node: Node<'t>, names: &[&str]) -> Option<Node<'t>> {
    names.iter().find_map(|name| node.child_by_field_name(name))
}

fn body(node: Node<'_>) -> Option<Node<'_>> {
    field(node, &["body"]).or_else(|| {
        let last = u32::try_from(node.named_child_count()).ok()?.checked_sub(1)?;
        node.named_child(last).filter(|last| last.kind() == "block")
    })
}

/// Go's `for` has its condition in a clause of its own.
fn clause(node: Node<'_>) -> Option<Node<'_>> {
    let first = node.named_child(0)?;
    match first.kind() {
        "for_clause" => first.child_by_field_name("condition"),
        "range_clause" => first.child_by_field_name("right"),
        "block" => None,
        _ => Some(first),
    }
}

/// What a handler takes.
fn caught(node: Node<'_>) -> Option<Node<'_>> {
    field(node, &["value", "parameter"])
        .or_else(|| node.named_child(0).filter(|first| first.kind() != "block"))
}

fn of_loop(node: Node<'_>) -> Vec<Outcome> {
    let after = field(node, &["alternative"]).map(inner_line);
    vec![outcome("entered", body(node).map(inner_line)), outcome("left", after)]
}

fn of_ternary(node: Node<'_>) -> (BranchKind, Option<Node<'_>>, Vec<Outcome>) {
    // Python writes the condition in the middle, and has no fields there.
    let (condition, yes, no) = match field(node, &["condition"]) {
        Some(condition) => (Some(condition), field(node, &["consequence"]), field(node, &["alternative"])),
        None => (node.named_child(1), node.named_child(0), node.named_child(2)),
    };
    let outcomes = vec![outcome("true", yes.map(first_line)), outcome("false", no.map(first_line))];
    (BranchKind::Ternary, condition, outcomes)
}

/// The next `elif` or `else` among siblings.
fn clauses<'t>(mut next: Option<Node<'t>>, role: impl Fn(Node<'t>) -> Role) -> Option<Node<'t>> {
    while let Some(node) = next {
        if matches!(role(node), Role::ElseIf | Role::Else) {
            return Some(node);
        }
        next = node.next_named_sibling();
    }
    None
}

/// The line of the first statement of a block, or of what stands in the place of one.
fn inner_line(node: Node<'_>) -> u32 {
    let mut cursor = node.walk();
    let is_block = node.kind().contains("block") || node.kind() == "else_clause";
    let first = node.named_children(&mut cursor).find(|child| !child.is_extra()).filter(|_| is_block);
    match first {
        Some(inner) if inner.kind() == "block" && node.kind() == "else_clause" => inner_line(inner),
        // Go's blocks hold a list of statements.
        Some(inner) => first_line(inner),
        None => first_line(node),
    }
}

/// Without the parentheses around all of it.
fn unwrapped(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else { return text };
    let mut depth = 0_i32;
    for byte in inner.bytes() {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        if depth < 0 {
            return text;
        }
    }
    inner
}
