//! The functions of a source.

use serde::{Deserialize, Serialize};
use tree_sitter::Node;

use super::complexity::Complexity;
use super::language::Language;
use super::lines::{LineCounts, Lines};
use super::roles::Role;
use super::tokens::{Token, Tokens};
use super::walk::{Step, Visit, walk};
use super::{Parsed, SyntaxError, first_line, last_line, shortened};
use crate::project::git;
use crate::stop::Stop;

/// Characters of a signature that are kept.
const SIGNATURE_CHARS: usize = 200;
/// Characters of a name, and of the names around it.
const NAME_CHARS: usize = 200;
/// Functions of one file.
const MOST_FUNCTIONS: usize = 20_000;

/// What sort of function it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FunctionKind {
    Function,
    Method,
    Constructor,
    /// A function that is written as an expression.
    Closure,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// With the classes, modules and functions around it, as `Class.method` or `module::Type::method`.
    pub(crate) qualified: String,
    pub(crate) kind: FunctionKind,
    /// From its first word, without decorators and attributes, to its last line.
    pub(crate) lines: git::Lines,
    /// Its text before the body, in one line.
    pub(crate) signature: String,
    pub(crate) parameters: u32,
    pub(crate) cyclomatic: u32,
    pub(crate) cognitive: u32,
    /// Lines with code, those of functions inside included.
    pub(crate) ncloc: u32,
    /// The function around it, by its place in the list.
    pub(crate) parent: Option<usize>,
    /// Marked as a test, or part of a module of tests (Rust's attributes).
    pub(crate) is_test: bool,
}

/// What one pass over a source finds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outline {
    /// In the order in which they begin.
    pub(crate) functions: Vec<Function>,
    pub(crate) lines: LineCounts,
    /// Of what stands outside of all functions, from 0.
    pub(crate) outside_cyclomatic: u32,
    pub(crate) outside_cognitive: u32,
    /// Whether a part of the source was not understood.
    pub(crate) has_errors: bool,
}

impl Parsed<'_> {
    /// The functions, and the kinds of lines.
    pub(crate) fn outline(&self, stop: &Stop) -> Result<Outline, SyntaxError> {
        let mut visitor = Visitor::new(self);
        walk(self, stop, &mut visitor)?;
        Ok(visitor.outline())
    }

    /// [`Self::outline`] and [`Self::tokens`] in one pass.
    pub(crate) fn outline_and_tokens(&self, stop: &Stop) -> Result<(Outline, Vec<Token>), SyntaxError> {
        let mut visitors = (Visitor::new(self), Tokens::new(self));
        walk(self, stop, &mut visitors)?;
        Ok((visitors.0.outline(), visitors.1.found()))
    }
}

impl<'t, 's> Visitor<'t, 's> {
    fn new(parsed: &'t Parsed<'s>) -> Self {
        Self {
            parsed,
            complexity: Complexity::new(parsed.language, parsed.roles),
            lines: Lines::new(parsed.source),
            outline: Outline { has_errors: parsed.has_errors(), ..Outline::default() },
            scopes: Vec::new(),
            marked: None,
        }
    }

    fn outline(self) -> Outline {
        let Self { lines, mut outline, .. } = self;
        outline.lines = lines.all();
        for function in &mut outline.functions {
            function.ncloc = lines.count(function.lines.start, function.lines.end).ncloc;
        }
        outline
    }
}

struct Visitor<'t, 's> {
    parsed: &'t Parsed<'s>,
    complexity: Complexity,
    lines: Lines,
    outline: Outline,
    /// Functions and classes around the node.
    scopes: Vec<Scope>,
    /// Length of the path to an attribute that marks a test; it is about the next sibling.
    marked: Option<usize>,
}

struct Scope {
    /// Length of the path to it.
    depth: usize,
    /// `None`: a class or a module.
    function: Option<usize>,
    qualified: String,
    is_test: bool,
    /// A type, in which functions are methods.
    has_methods: bool,
}

impl<'t> Visit<'t> for Visitor<'t, '_> {
    fn enter(&mut self, path: &[Step<'t>]) {
        let Some(step) = path.last() else { return };
        let added = self.complexity.enter(path);
        self.mark(path, step);
        let is_marked = self.is_marked(path.len(), step);
        match step.role {
            Role::Function(kind) => self.open(path, kind, is_marked),
            Role::Scope => {
                let has_methods = !matches!(step.node.kind(), "mod_item" | "internal_module" | "module");
                self.scope(path.len(), None, self.scope_name(step.node), is_marked, has_methods);
            }
            _ => {}
        }
        let innermost = self.scopes.iter().rev().find_map(|scope| scope.function);
        let (cyclomatic, cognitive) = match innermost.and_then(|at| self.outline.functions.get_mut(at)) {
            Some(function) => (&mut function.cyclomatic, &mut function.cognitive),
            None => (&mut self.outline.outside_cyclomatic, &mut self.outline.outside_cognitive),
        };
        *cyclomatic = cyclomatic.saturating_add(added.cyclomatic);
        *cognitive = cognitive.saturating_add(added.cognitive);
    }

    fn leave(&mut self, path: &[Step<'t>]) {
        self.complexity.leave();
        if self.scopes.last().is_some_and(|scope| scope.depth == path.len()) {
            self.scopes.pop();
        }
    }
}

impl<'t> Visitor<'t, '_> {
    /// Notes what is on the lines of a node.
    fn mark(&mut self, path: &[Step<'t>], step: &Step<'t>) {
        let rows = || (step.node.start_position().row, last_line(step.node).saturating_sub(1) as usize);
        match step.role {
            Role::Comment => {
                let (first, last) = rows();
                self.lines.comment(first, last);
            }
            Role::Text if self.is_docstring(path) => {
                let (first, last) = rows();
                self.lines.comment(first, last);
            }
            Role::Text => {
                let (first, last) = rows();
                self.lines.code(first, last);
            }
            // What is inside of a text or a comment was marked with it.
            _ if step.is_leaf
                && !path
                    .iter()
                    .rev()
                    .skip(1)
                    .take(2)
                    .any(|outer| matches!(outer.role, Role::Text | Role::Comment)) =>
            {
                let (first, last) = rows();
                self.lines.code(first, last);
            }
            _ => {}
        }
    }

    /// A text that is a statement, in Python.
    fn is_docstring(&self, path: &[Step<'t>]) -> bool {
        self.parsed.language == Language::Python
            && matches!(path, [.., outer, text] if outer.role == Role::Statement && outer.node.child_count() == 1 && text.role == Role::Text)
    }

    /// Whether an attribute before the node says that it is a test.
    fn is_marked(&mut self, depth: usize, step: &Step<'t>) -> bool {
        match step.role {
            Role::Attribute => {
                let text = self.parsed.text(step.node);
                let inner = text.trim_start_matches(['#', '[', ' ']);
                let name = inner.split(['(', ']', ' ', '=']).next().unwrap_or_default();
                let says_test = name == "test"
                    || name.ends_with("::test")
                    || matches!(name, "rstest" | "test_case" | "proptest" | "bench")
                    || (name == "cfg" && inner.starts_with("cfg(test)"));
                if says_test {
                    self.marked = Some(depth);
                }
                false
            }
            Role::Comment => false,
            _ if self.marked == Some(depth) => {
                self.marked = None;
                true
            }
            _ => false,
        }
    }

    fn open(&mut self, path: &[Step<'t>], kind: FunctionKind, is_marked: bool) {
        let Some(node) = path.last().map(|step| step.node) else { return };
        let Some(body) = node.child_by_field_name("body") else { return };
        if self.outline.functions.len() >= MOST_FUNCTIONS {
            return;
        }
        let outer = self.scopes.last();
        let kind = match kind {
            FunctionKind::Function if outer.is_some_and(|scope| scope.has_methods) => FunctionKind::Method,
            kind => kind,
        };
        let name = self.name(path);
        let own = match self.receiver(node) {
            Some(receiver) => format!("{receiver}.{name}"),
            None => name.clone(),
        };
        let parent = self.scopes.iter().rev().find_map(|scope| scope.function);
        let at = self.outline.functions.len();
        self.scope(path.len(), Some(at), own, is_marked, false);
        let scope = self.scopes.last();
        let before = self.parsed.source.get(node.start_byte()..head_end(node, body)).unwrap_or_default();
        let signature = String::from_utf8_lossy(before);
        let signature = signature.trim_end().trim_end_matches([':', '{']).trim_end_matches("=>");
        self.outline.functions.push(Function {
            name,
            qualified: scope.map(|scope| scope.qualified.clone()).unwrap_or_default(),
            kind,
            lines: git::Lines { start: first_line(without_annotations(node)), end: last_line(node) },
            signature: shortened(signature, SIGNATURE_CHARS),
            parameters: parameters(node),
            cyclomatic: 1,
            cognitive: 0,
            ncloc: 0,
            parent,
            is_test: scope.is_some_and(|scope| scope.is_test),
        });
    }

    fn scope(
        &mut self,
        depth: usize,
        function: Option<usize>,
        name: String,
        is_marked: bool,
        has_methods: bool,
    ) {
        let outer = self.scopes.last();
        let qualified = match outer {
            Some(outer) if !outer.qualified.is_empty() && outer.qualified.len() < NAME_CHARS => {
                [&outer.qualified, self.parsed.language.separator(), &name].concat()
            }
            _ => name,
        };
        let is_test = is_marked || outer.is_some_and(|outer| outer.is_test);
        self.scopes.push(Scope { depth, function, qualified, is_test, has_methods });
    }

    /// The name of a class, a module, or of the type that an `impl` is for.
    fn scope_name(&self, node: Node<'t>) -> String {
        let named = node.child_by_field_name("name").or_else(|| node.child_by_field_name("type"));
        let text = named.map(|name| self.parsed.short(name, NAME_CHARS)).unwrap_or_default();
        bare(&text).to_owned()
    }

    /// The type that a Go method belongs to.
    fn receiver(&self, node: Node<'t>) -> Option<String> {
        let text = self.parsed.short(node.child_by_field_name("receiver")?, NAME_CHARS);
        let kind = text.trim_matches(['(', ')']).rsplit(' ').next()?;
        Some(bare(kind.trim_start_matches('*')).to_owned())
    }

    /// Its own name, or that of what it is assigned to.
    fn name(&self, path: &[Step<'t>]) -> String {
        let given = path.split_last().and_then(|(step, before)| {
            step.node.child_by_field_name("name").or_else(|| {
                let outer = before.last()?.node;
                match outer.kind() {
                    "variable_declarator" | "public_field_definition" => outer.child_by_field_name("name"),
                    "field_definition" => outer.child_by_field_name("property"),
                    "pair" => outer.child_by_field_name("key"),
                    "assignment_expression" | "assignment_pattern" => outer.child_by_field_name("left"),
                    _ => None,
                }
            })
        });
        let text = given.map(|name| self.parsed.short(name, NAME_CHARS)).unwrap_or_default();
        if text.is_empty() { "(anonymous)".to_owned() } else { text }
    }
}

/// The first part of a function that is no annotation, as Java has them among its modifiers.
fn without_annotations(node: Node<'_>) -> Node<'_> {
    let Some(modifiers) = node.child(0).filter(|first| first.kind() == "modifiers") else { return node };
    let mut cursor = modifiers.walk();
    let is_word = |child: &Node<'_>| !child.is_extra() && !child.kind().ends_with("annotation");
    let word = modifiers.children(&mut cursor).find(is_word);
    word.or_else(|| node.child(1)).unwrap_or(node)
}

/// Where the last word before the body ends; a comment is none.
fn head_end(node: Node<'_>, body: Node<'_>) -> usize {
    let mut cursor = node.walk();
    let before = node.children(&mut cursor).take_while(|child| child.start_byte() < body.start_byte());
    before.filter(|child| !child.is_extra()).map(|child| child.end_byte()).last().unwrap_or(node.start_byte())
}

/// A type's name without what it is applied to.
fn bare(name: &str) -> &str {
    name.split(['<', '[']).next().unwrap_or(name).trim()
}

fn parameters(node: Node<'_>) -> u32 {
    let Some(list) = node.child_by_field_name("parameters") else {
        // An arrow function's only one may stand without parentheses.
        return u32::from(node.child_by_field_name("parameter").is_some());
    };
    let mut cursor = list.walk();
    let count = list
        .named_children(&mut cursor)
        .filter(|child| !child.is_extra() && child.kind() != "attribute_item")
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
